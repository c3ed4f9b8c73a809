"""`syncengine status`: the state of each flow at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from syncengine import clock, settings
from syncengine.cli._engine import open_engine, redis_problem
from syncengine.cli._options import as_json
from syncengine.cli._output import NO_CONNECTION, counted, disabled_doc, show_json, wide_console
from syncengine.cli._running import why_idle
from syncengine.engine.people import nothing_found, status
from syncengine.engine.people.status import FlowStatus
from syncengine.engine.traffic import quota
from syncengine.engine.writes import ceiling

NUMBERS = ("due", "done", "skipped", "waiting", "held", "dead", "attention")


@click.command("status")
@as_json
def command(as_json: bool) -> None:
    """Show the records of each flow: how many are done and due?

    Says first whether any process is running. Shows each flow's last sync, its lag, and records by status. Use `syncengine
    health` to check that everything is making progress, `syncengine doctor` to find out what is wrong, and `syncengine
    endpoints list` for quotas.
    """
    current = settings.load()
    problem = redis_problem(current)
    with open_engine(is_redis_away=problem is not None) as engine:
        flows, paused, idle = status.flows(engine), status.paused(engine), why_idle(engine, current, problem)
        quotas = quota.left(engine) if as_json else []
        not_synced = [connection.name for connection in engine.connections() if not connection.flows]
        broken = engine.broken
        empty = [flow for flow in flows if not flow.records and flow.flow in engine.flows]
        why = [line for flow in empty for line in nothing_found.explain(engine, flow.flow, flow.connection)]
    if as_json:
        shown = {"paused": paused, "quotas": quotas, "not_synced": not_synced, "not_running": idle}
        shown |= {"disabled": disabled_doc(broken), "nothing_found": why}
        show_json({"flows": status.as_rows(flows), **shown})
        return
    console = wide_console()
    if idle:
        console.print(f"[bold]{escape(idle)}[/bold]")
    for name in not_synced:
        console.print(f"{name} is not synced: it is not in syncengine.yml, or has no flows there. Its links are kept.")
    if not flows and not_synced:
        return
    if not flows:
        console.print(NO_CONNECTION)
        return
    console.print(_table(flows))
    for line in why:
        console.print(line, markup=False, highlight=False)
    for flow in flows:
        if flow.polling is not None and flow.polling.is_heard and flow.polling.why:
            console.print(
                f"{flow.connection}: {flow.flow} is read at its usual interval: {flow.polling.why}", markup=False
            )
    _show_trouble(console, flows, paused)
    needs = {
        "deadletters": any(flow.dead or flow.attention for flow in flows),
        "held": any(flow.held for flow in flows),
    }
    if commands := [f"`syncengine {name} list`" for name, is_needed in needs.items() if is_needed]:
        console.print(f"Records that need a person: {', '.join(commands)}")


def _show_trouble(console: Console, flows: Sequence[FlowStatus], paused: Sequence[Mapping[str, Any]]) -> None:
    """Print what keeps flows from syncing."""
    for rest in paused:
        console.print(
            f"[bold]{rest['endpoint']} is paused until {rest['until']:%H:%M:%S} UTC[/bold]: {rest['because']}"
        )
    for flow in flows:
        if flow.last_error:
            console.print(f"{flow.connection}: {flow.flow}: the last sync failed: {flow.last_error}")
    for flow in flows:
        if flow.is_shut:
            console.print(
                f"[bold]{flow.flow} of {flow.connection} is shut by its write ceiling[/bold]"
                f"{', and lowers no levels' if flow.stops_all else ''}. "
                f"{ceiling.remedy(flow.connection, flow.flow, stops_all=flow.stops_all)}"
            )
    for flow in flows:
        if flow.moving_until:
            items = counted(flow.moving, "item waits", "items wait")
            console.print(
                f"{flow.connection}: {flow.flow}: {items} until more is known of what moves, before a level may rise, the "
                f"first until {flow.moving_until:%H:%M:%S} UTC"
            )


def _table(flows: list[FlowStatus]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("connection", "flow", "last sync", "every", "lag", *NUMBERS):
        table.add_column(name, justify="right" if name in NUMBERS or name == "lag" else "left", no_wrap=True)
    for flow in flows:
        name = flow.connection if flow.mode == "live" else f"{flow.connection} ({flow.mode})"
        numbers = [str(getattr(flow, number) or "·") for number in NUMBERS]
        table.add_row(name, flow.flow, _ago(flow), _every(flow), clock.spell(flow.lag_s) if flow.due else "·", *numbers)
    return table


def _every(flow: FlowStatus) -> str:
    """The present interval of syncs, and the other one of a flow that has two."""
    polling = flow.polling
    if polling is None or not polling.interval_s:
        return "never" if polling is not None else "·"
    if polling.relaxed_s is None:
        return clock.spell(polling.interval_s)
    other = polling.usual_s if polling.interval_s == polling.relaxed_s else polling.relaxed_s
    return f"{clock.spell(polling.interval_s)} ({clock.spell(other)})"


def _ago(flow: FlowStatus) -> str:
    if flow.last_sync is None:
        return f"after {', '.join(flow.follows)}" if flow.follows else "never"
    return f"{clock.spell((clock.now() - flow.last_sync).total_seconds())} ago"
