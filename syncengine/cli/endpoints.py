"""`syncengine endpoints`: which systems can be called, and planned downtime."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.table import Table

from syncengine import clock
from syncengine.cli._engine import as_json, engine, me, show_json, wide_console
from syncengine.cli._times import duration, moment
from syncengine.engine.traffic import endpoints
from syncengine.engine.traffic.endpoints import EndpointState


@click.group("endpoints")
def command() -> None:
    """The accounts that are connected: see how they stand, pause one for planned downtime, resume it."""


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List endpoints: whether each is up, down or paused, and its quota or session."""
    with engine() as one:
        found = endpoints.listed(one)
    if as_json:
        show_json([_row(standing) for standing in found])
        return
    if not found:
        click.echo("There is no endpoint yet. Write syncengine.yml and run `syncengine configure`.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("endpoint", "system", "connections", "state", "quota"):
        table.add_column(name, overflow="fold")
    for standing in found:
        table.add_row(
            standing.name, standing.system, ", ".join(standing.connections), _state(standing), standing.quota
        )  # fmt: skip
    wide_console().print(table)


@command.command("pause")
@click.argument("name")
@click.option("--for", "for_", metavar="TIME", help="How long: 90s, 30m, 2h, 1h30m, 3d. Default: 1h.")
@click.option("--until", metavar="WHEN", help="Until when: 2026-01-31T06:00, UTC unless it says otherwise (+01:00).")
@click.option("--because", default="", help="Why, for those who see it.")
@as_json
def pause(name: str, for_: str | None, until: str | None, because: str, as_json: bool) -> None:
    """Begin no work with the endpoint NAME until a time; what is running ends within a minute. Nothing is lost."""
    if for_ and until:
        raise click.UsageError("say --for or --until, not both")
    end = moment("--until", until) if until else clock.now() + duration("--for", for_ or "1h")
    with engine() as one:
        before = endpoints.pause(one, name, until=end, because=because, by=me())
    if as_json:
        show_json({"endpoint": name, "paused_until": end, "because": because, "before": before})
    else:
        click.echo(f"{name} is paused until {end:%Y-%m-%d %H:%M:%S} UTC. `syncengine endpoints resume {name}` ends it.")
        if before:
            click.echo(f"Before: {before}.")


@command.command("resume")
@click.argument("name")
@as_json
def resume(name: str, as_json: bool) -> None:
    """End a pause, or a rest after refused credentials; an endpoint that is down is tried at once."""
    with engine() as one:
        changed = endpoints.resume(one, name, by=me())
        by_whom = "" if changed else endpoints.resumed_last(one, name)
    if as_json:
        show_json({"endpoint": name, "resumed": changed} | ({} if changed else {"last": by_whom.strip(" ()")}))
    else:
        click.echo(f"{name} is called again." if changed else f"{name} was neither paused nor down{by_whom}.")


def _row(standing: EndpointState) -> dict[str, Any]:
    row = asdict(standing)
    breaker = standing.breaker
    row["breaker"] = None if breaker is None else {**row["breaker"], "is_open": breaker.is_open}
    row["state"] = _state(standing)
    return row


def _state(standing: EndpointState) -> str:
    if standing.paused_until is not None:
        who = f" by {standing.paused_by}" if standing.paused_by else ""
        because = f": {standing.paused_because}" if standing.paused_because else ""
        return f"paused until {standing.paused_until:%Y-%m-%d %H:%M:%S} UTC{who}{because}"
    breaker = standing.breaker
    if breaker is None:
        return "not known, since Redis does not answer"
    if not breaker.is_open:
        return "up" if not breaker.failures else f"up, {breaker.failures} of the last {breaker.calls} calls failed"
    trying = "being tried now" if breaker.name == "probing" else f"tried again in {breaker.retry_in_s:.0f} s"
    return f"down for {breaker.open_s:.0f} s, {trying}: {breaker.why}"
