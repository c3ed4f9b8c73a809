"""`syncengine endpoints`: the state of each endpoint, and planned downtime."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.table import Table

from syncengine import clock
from syncengine.cli._engine import open_engine
from syncengine.cli._options import as_json, because_option
from syncengine.cli._output import show_json, wide_console
from syncengine.cli._person import me
from syncengine.cli._times import duration, moment
from syncengine.engine.traffic import endpoints
from syncengine.engine.traffic.endpoints import EndpointState


@click.group("endpoints")
def command() -> None:
    """Show, pause and resume endpoints."""


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List endpoints: can each be called right now?

    Shows whether each is up, down or paused, and its quota, without a call. Use `syncengine check` to call each one and
    verify its credentials.
    """
    with open_engine() as engine:
        found = endpoints.listed(engine)
    if as_json:
        show_json([_row(endpoint) for endpoint in found])
        return
    if not found:
        click.echo("No endpoint configured. Write syncengine.yml and run `syncengine configure`.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("endpoint", "system", "connections", "state", "quota"):
        table.add_column(name, overflow="fold")
    for endpoint in found:
        connections = ", ".join(endpoint.connections)
        table.add_row(endpoint.name, endpoint.system, connections, _state(endpoint), endpoint.quota)
    wide_console().print(table)


@command.command("pause")
@click.argument("name")
@click.option("--for", "for_", metavar="DURATION", help="How long: 90s, 30m, 2h, 1h30m or 3d. Default: 1h.")
@click.option(
    "--until", metavar="WHEN", help="End of the pause: 2026-01-31T06:00, UTC unless an offset is given (+01:00)."
)
@because_option
@as_json
def pause(name: str, for_: str | None, until: str | None, because: str, as_json: bool) -> None:
    """Pause the endpoint NAME, for planned downtime.

    No work with it starts until the end of the pause; running work ends within a minute. Nothing is lost.
    """
    if for_ and until:
        raise click.UsageError("use --for or --until, not both")
    end = moment("--until", until) if until else clock.now() + duration("--for", for_ or "1h")
    with open_engine() as engine:
        before = endpoints.pause(engine, name, until=end, because=because, by=me())
    if as_json:
        show_json({"endpoint": name, "paused_until": end, "because": because, "before": before})
    else:
        click.echo(
            f"{name} is paused until {end:%Y-%m-%d %H:%M:%S} UTC. Resume it with `syncengine endpoints resume {name}`."
        )
        if before:
            click.echo(f"Before: {before}.")


@command.command("resume")
@click.argument("name")
@as_json
def resume(name: str, as_json: bool) -> None:
    """Resume the endpoint NAME.

    Ends a pause, or a rest after refused credentials. An endpoint that is down is called at once.
    """
    with open_engine() as engine:
        changed = endpoints.resume(engine, name, by=me())
        by_whom = "" if changed else endpoints.resumed_last(engine, name)
    if as_json:
        show_json({"endpoint": name, "resumed": changed} | ({} if changed else {"last": by_whom.strip(" ()")}))
    else:
        click.echo(f"{name} resumed." if changed else f"{name} was neither paused nor down{by_whom}.")


def _row(endpoint: EndpointState) -> dict[str, Any]:
    row = asdict(endpoint)
    breaker = endpoint.breaker
    row["breaker"] = None if breaker is None else {**row["breaker"], "is_open": breaker.is_open}
    row["state"] = _state(endpoint)
    return row


def _state(endpoint: EndpointState) -> str:
    if endpoint.paused_until is not None:
        who = f" by {endpoint.paused_by}" if endpoint.paused_by else ""
        because = f": {endpoint.paused_because}" if endpoint.paused_because else ""
        return f"paused until {endpoint.paused_until:%Y-%m-%d %H:%M:%S} UTC{who}{because}"
    breaker = endpoint.breaker
    if breaker is None:
        return "unknown: Redis does not answer"
    if not breaker.is_open:
        return "up" if not breaker.failures else f"up, {breaker.failures} of the last {breaker.calls} calls failed"
    trying = "trying now" if breaker.name == "probing" else f"next try in {breaker.retry_in_s:.0f} s"
    return f"down for {breaker.open_s:.0f} s, {trying}: {breaker.why}"
