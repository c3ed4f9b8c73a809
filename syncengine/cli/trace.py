"""`syncengine trace ID`: the history of an object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, selection
from syncengine.cli._output import show_json
from syncengine.engine.people import trace as tracing
from syncengine.engine.people.trace import Trace
from syncengine.redaction import safe_text


@click.command("trace")
@click.argument("id_", metavar="ID")
@selection
@as_json
def command(id_: str, connection: str | None, flow: str | None, as_json: bool) -> int:
    """Show the history of an object.

    If there is none, shows why. ID is the id of a Brightpearl order or contact, the number of a SYSPRO order or
    customer, or its reference in SYSPRO (the customer's PO number), with or without leading zeros. References given by
    the shop or its customer are not stored: look up the order's id in Brightpearl.

    Shows links, decisions and corrections, then events in order: versions read, plans, writes and their answers, dead
    letters, and manual actions.
    """
    with open_engine() as engine:
        found = tracing.trace(engine, id_, connection=connection, flow=flow)
        reasons = [] if found else tracing.why_not(engine, id_)
    if as_json:
        show_json({"found": [asdict(trace) for trace in found], "why_not": reasons})
        return Exit.OK if found else Exit.NO
    for trace in found:
        _show(trace)
    if not found:
        click.echo(f"No record of {id_}.")
        for reason in reasons:
            click.echo(f"  {reason}")
    return Exit.OK if found else Exit.NO


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
