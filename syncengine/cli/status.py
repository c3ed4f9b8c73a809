"""`syncengine status`: how things stand, at a glance."""

from __future__ import annotations

import click
from rich.table import Table

from syncengine import clock
from syncengine.cli._engine import as_json, engine, show_json, wide_console
from syncengine.engine.people import status
from syncengine.engine.people.status import FlowStatus
from syncengine.engine.traffic import quota
from syncengine.engine.writes import ceiling

NUMBERS = ("due", "done", "skipped", "waiting", "held", "dead", "attention")


@click.command("status")
@as_json
def command(as_json: bool) -> None:
    """Show per flow: last sync, lag, and how many records are due, waiting, held and dead; and the quotas."""
    with engine() as one:
        flows, paused, quotas = status.flows(one), status.paused(one), quota.left(one)
        not_synced = [connection.name for connection in one.connections() if not connection.flows]
    if as_json:
        show_json({"flows": status.as_rows(flows), "paused": paused, "quotas": quotas, "not_synced": not_synced})
        return
    console = wide_console()
    for name in not_synced:
        console.print(f"{name} is not synced: it has no flows in syncengine.yml, or is not in it. Its links are kept.")
    if not flows and not_synced:
        return
    if not flows:
        console.print("There is no connection yet. Write syncengine.yml and run `syncengine configure`.")
        return
    console.print(_table(flows))
    for one_quota in quotas:
        console.print(f"{one_quota['endpoint']}: {one_quota['says']}")
    for rest in paused:
        console.print(f"[bold]{rest['endpoint']} rests until {rest['until']:%H:%M:%S} UTC[/bold]: {rest['because']}")
    for flow in flows:
        if flow.last_error:
            console.print(f"{flow.connection}: {flow.flow}: the last sync failed: {flow.last_error}")
    for flow in flows:
        if flow.is_shut:
            console.print(
                f"[bold]{flow.flow} of {flow.connection} is shut by its write ceiling[/bold]. "
                f"{ceiling.remedy(flow.connection, flow.flow)}"
            )
    needs = {
        "deadletters": any(flow.dead or flow.attention for flow in flows),
        "held": any(flow.held for flow in flows),
    }
    if commands := [f"`syncengine {name} list`" for name, is_needed in needs.items() if is_needed]:
        console.print(f"What needs a person: {', '.join(commands)}")


def _table(flows: list[FlowStatus]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("connection", "flow", "last sync", "lag", *NUMBERS):
        table.add_column(name, justify="right" if name in NUMBERS or name == "lag" else "left", no_wrap=True)
    for flow in flows:
        name = flow.connection if flow.mode == "live" else f"{flow.connection} ({flow.mode})"
        numbers = [str(getattr(flow, number) or "·") for number in NUMBERS]
        table.add_row(name, flow.flow, _ago(flow), f"{flow.lag_s:.0f} s" if flow.due else "·", *numbers)
    return table


def _ago(flow: FlowStatus) -> str:
    if flow.last_sync is None:
        return "never"
    seconds = (clock.now() - flow.last_sync).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
