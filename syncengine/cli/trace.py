"""`syncengine trace ID`: everything that happened to an object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from syncengine.cli import _named
from syncengine.cli._engine import as_json, engine, show_json
from syncengine.engine.people import trace as tracing
from syncengine.engine.people.trace import Trace
from syncengine.redaction import safe_text

NOT_FOUND = 1


@click.command("trace")
@click.argument("id_", metavar="ID")
@_named.narrowing
@as_json
def command(id_: str, connection: str | None, flow: str | None, as_json: bool) -> int:
    """Show everything that happened to an object, by any ID of either system; and if it is not there, why.

    ID may be the id of a Brightpearl order or contact, the number of a SYSPRO order or customer, or the reference that SYSPRO
    has of it (the customer's PO number), with or without zeros before it. A reference that the shop or its customer gave an
    order is not kept: look up the order's id in Brightpearl.
    Its links, what people decided, and its way in order: versions read, plans, writes and their answers, dead letters, and
    what was done by hand.
    """
    with engine() as one:
        found = tracing.trace(one, id_, connection=connection, flow=flow)
        reasons = [] if found else tracing.why_not(one, id_)
    if as_json:
        show_json({"found": [asdict(trace) for trace in found], "why_not": reasons})
        return 0 if found else NOT_FOUND
    for trace in found:
        _show(trace)
    if not found:
        click.echo(f"Nothing is known of {id_}.")
        for reason in reasons:
            click.echo(f"  {reason}")
    return 0 if found else NOT_FOUND


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
    for word, made in (("correction", trace.corrections), ("decision", trace.decisions)):
        for one in made:
            _show_word(word, one)
    for run in trace.runs:
        click.echo(f"  found last by run {run['id']} ({run['trigger']}, {safe_text(run['started_at'])})")
    for stop in trace.way:
        click.echo(f"  {safe_text(stop['at'])}  {stop['what']:<18} {detail(stop['detail'])}")


def _show_word(word: str, one: dict[str, Any]) -> None:
    lapsed = f", ended{': ' + one['lapsed_because'] if one['lapsed_because'] else ''}" if one["lapsed_at"] else ""
    because = f": {one['because']}" if one["because"] else ""
    verdict = f" {one['verdict']}" if "verdict" in one else ""
    click.echo(f"  {word} {one['id']}{verdict} by {one['made_by']}{because}{lapsed}")


def detail(of: dict[str, Any]) -> str:
    """The detail of an event in a line. What a list has in common with another text of it is said once."""
    parts = {part for text in of.values() if isinstance(text, str) for part in text.split("; ")}
    said = (
        ", ".join(text for text in map(safe_text, value) if text not in parts)
        if isinstance(value, list)
        else safe_text(value)
        for value in of.values()
    )
    return "; ".join(filter(None, said))
