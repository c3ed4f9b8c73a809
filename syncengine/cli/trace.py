"""`syncengine trace ID`: the history of an object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, selection
from syncengine.cli._output import counted, show_json
from syncengine.engine.people import trace as tracing
from syncengine.engine.people.record_search import MOST_NAMED
from syncengine.engine.people.trace import Match, Trace
from syncengine.redaction import safe_text


@click.command("trace")
@click.argument("id_", metavar="ID")
@selection
@as_json
def command(id_: str, connection: str | None, flow: str | None, as_json: bool) -> int:
    """Show the history of an object.

    If there is none, shows why. ID is the key of the object in either system, with or without leading zeros, or a name
    that it has there: a reference of the shop or of its customer, a SKU, an e-mail address, a telephone number. If
    several objects have the name, they are listed. `email:`, `phone:`, `sku:` or `reference:` before a name means that
    kind alone.

    Shows links, decisions and corrections, then events in order: versions read, plans, writes and their answers, dead
    letters, and manual actions.
    """
    with open_engine() as engine:
        found = tracing.trace(engine, id_, connection=connection, flow=flow)
        named = tracing.matches(engine, id_, connection=connection, flow=flow)
        reasons = [] if found or named else tracing.why_not(engine, id_)
    if as_json:
        show_json(
            {
                "found": [asdict(trace) for trace in found],
                "named": [asdict(match) for match in named],
                "why_not": reasons,
            }
        )
        return Exit.OK if found or named else Exit.NO
    for trace in found:
        _show(trace)
    if named:
        _show_matches(named, are_more=bool(found))
    if not (found or named):
        click.echo(f"No record of {id_}.")
        for reason in reasons:
            click.echo(f"  {reason}")
    return Exit.OK if found or named else Exit.NO


def _show_matches(named: list[Match], *, are_more: bool) -> None:
    """Print a line for each record that has the name. are_more: beside those whose id it is."""
    click.secho(
        f"{counted(len(named), 'other record')} with this name:" if are_more else "Records with this name:", bold=True
    )
    for match in named:
        click.echo(f"  {match.flow} {match.key}  ({match.connection})  by {match.kind}: {match.state}")
    if len(named) >= MOST_NAMED:
        click.echo("  Only the newest are listed; use --flow or --connection to narrow the search.")


def _show(trace: Trace) -> None:
    click.secho(f"{trace.flow} {trace.key}  ({trace.connection})", bold=True)
    click.echo(f"  {trace.state}")
    for link in trace.links:
        part = f" {link['part']}" if link["part"] else ""
        left, right = (f"{trace.systems[side]} {link[f'{side}_key'] or '(planned)'}" for side in ("left", "right"))
        click.echo(f"  linked: {left} = {right}{part}, reference {link['natural_key'] or '(none)'}")
    for effect in trace.effects:
        key = effect["target_key"] or "?"
        sent = f", sent {effect['sends']} times" if effect["sends"] > 1 else ""
        click.echo(f"  write {effect['id']}: {effect['verb']} {effect['resource']} {key}: {effect['state']}{sent}")
        for change in effect["changes"]:
            click.echo(f"      {change}")
        for warning in effect["warnings"]:
            click.echo(f"      {warning}")
    for failure in trace.failures:
        if not failure["closed_at"]:
            value = " = ".join(filter(None, (failure["field"], failure["value"])))
            click.echo(f"  dead letter {failure['id']}: {f'{value}: ' if value else ''}{failure['cause']}")
            click.echo(f"      {failure['remedy']}")
    for correction in trace.corrections:
        _show_manual("correction", correction)
    for decision in trace.decisions:
        _show_manual("decision", decision)
    for run in trace.runs:
        click.echo(f"  last found by run {run['id']} ({run['trigger']}, {safe_text(run['started_at'])})")
    for event in trace.way:
        click.echo(f"  {safe_text(event['at'])}  {event['what']:<18} {detail(event['detail'])}")


def _show_manual(kind: str, act: dict[str, Any]) -> None:
    """Print a correction or a decision."""
    lapsed = f", ended{': ' + act['lapsed_because'] if act['lapsed_because'] else ''}" if act["lapsed_at"] else ""
    because = f": {act['because']}" if act["because"] else ""
    verdict = f" {act['verdict']}" if "verdict" in act else ""
    click.echo(f"  {kind} {act['id']}{verdict} by {act['made_by']}{because}{lapsed}")


def detail(of: dict[str, Any]) -> str:
    """The detail of an event in one line. What a list repeats of another text is left out."""
    parts = {part for text in of.values() if isinstance(text, str) for part in text.split("; ")}
    texts = (
        ", ".join(text for text in map(safe_text, value) if text not in parts)
        if isinstance(value, list)
        else safe_text(value)
        for value in of.values()
    )
    return "; ".join(filter(None, texts))
