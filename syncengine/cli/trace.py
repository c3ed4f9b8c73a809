"""`syncengine trace ID`: everything that happened to an object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from syncengine.cli._engine import as_json, engine, show_json
from syncengine.engine import trace as tracing
from syncengine.engine.trace import Trace

NOT_FOUND = 1


@click.command("trace")
@click.argument("id_", metavar="ID")
@as_json
def command(id_: str, as_json: bool) -> int:
    """Show everything that happened to an object, by any ID of either system; and if it is not there, why.

    ID may be a Brightpearl order, contact or reference, or a SYSPRO order or customer, with or without zeros before it.
    """
    with engine() as one:
        found = tracing.trace(one, id_)
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
        click.echo(
            f"  linked: {link['left_key']} = {link['right_key'] or '(planned)'}{part}, reference {link['natural_key']}"
        )
    for effect in trace.effects:
        key = effect["target_key"] or "?"
        sent = f", sent {effect['sends']} times" if effect["sends"] > 1 else ""
        click.echo(f"  write {effect['id']}: {effect['verb']} {effect['resource']} {key}: {effect['state']}{sent}")
        for warning in effect["warnings"]:
            click.echo(f"      {warning}")
    for failure in trace.failures:
        closed = f" (closed: {failure['closed_because']})" if failure["closed_at"] else ""
        click.echo(
            f"  dead letter {failure['id']}: {failure['field']} = {failure['value']}: {failure['cause']}{closed}"
        )
        if not failure["closed_at"]:
            click.echo(f"      {failure['remedy']}")
    for made in trace.corrections:
        lapsed = f", lapsed: {made['lapsed_because']}" if made["lapsed_at"] else ""
        because = f": {made['because']}" if made["because"] else ""
        click.echo(f"  correction {made['id']} by {made['made_by']}{because}{lapsed}")
    for event in trace.events:
        click.echo(f"  {event['at']:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  {event['what']:<16} {_detail(event['detail'])}")


def _detail(detail: dict[str, Any]) -> str:
    shown = (", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in detail.values())
    return "; ".join(text for text in shown if text)
