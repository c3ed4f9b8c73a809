"""`syncengine budget`: where the calls of the last hour went, and how long a backfill would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from redis.exceptions import RedisError
from rich.table import Table

from syncengine import clock
from syncengine.cli._engine import open_engine
from syncengine.cli._options import as_json
from syncengine.cli._output import counted, show_json, wide_console
from syncengine.engine.traffic import budget, quota
from syncengine.engine.traffic.budget import Backfill, Load
from syncengine.errors import Transient
from syncengine.http.meter import Spent


@click.command("budget")
@click.option(
    "--backfill", type=click.IntRange(min=1), metavar="N", help="Estimate N objects of each flow. Default: what is due."
)
@as_json
def command(backfill: int | None, as_json: bool) -> None:
    """Show the calls of the last hour and estimate backfills.

    Calls are listed by flow and lane, with the remaining quotas.
    """
    with open_engine(calls=True) as engine:
        try:
            calls = budget.spent(engine)
        except RedisError as error:
            raise Transient(f"Redis, which counts the calls, cannot be reached ({type(error).__name__})") from None
        estimates = budget.backfills(engine, calls, objects=backfill)
        quotas = quota.left(engine)
    if as_json:
        backfills = [{**asdict(estimate), "minutes": estimate.minutes} for estimate in estimates]
        show_json({"calls": [asdict(spent) for spent in calls], "quotas": quotas, "backfills": backfills})
        return
    console = wide_console()
    console.print(_calls(calls) if calls else "No calls in the last hour.")
    for remaining in quotas:
        console.print(f"{remaining['endpoint']}: {remaining['says']}")
    for estimate in estimates:
        console.print(_estimate(estimate))


def _calls(calls: Sequence[Spent]) -> Table:
    table = Table(title="Calls of the last hour", title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in ("endpoint", "flow", "lane", "operation", "calls", "share", "mean ms"):
        table.add_column(name, justify="right" if name in ("calls", "share", "mean ms") else "left", no_wrap=True)
    totals: dict[str, int] = {}
    for spent in calls:
        totals[spent.endpoint] = totals.get(spent.endpoint, 0) + spent.calls
    for spent in sorted(calls, key=lambda spent: (spent.endpoint, spent.flow, spent.lane, -spent.calls)):
        share, mean_ms = spent.calls / totals[spent.endpoint], spent.took_s * 1000 / spent.calls
        numbers = (f"{spent.calls:,}", f"{share:.0%}", f"{mean_ms:.0f}")
        table.add_row(spent.endpoint, spent.flow or "·", spent.lane, spent.operation, *numbers)
    return table


def _estimate(estimate: Backfill) -> str:
    flow = f"{estimate.connection}: {estimate.flow}"
    if not estimate.objects:
        return f"[bold]{flow}[/bold]: nothing is due. Capacity: {', '.join(map(_capacity, estimate.loads))}"
    loads = ", ".join(f"{load.endpoint} {load.calls:,} calls, {_pace(load)}" for load in estimate.loads)
    time = "not known yet" if estimate.minutes is None else _time(estimate.minutes)
    return f"[bold]{flow}, {counted(estimate.objects, 'object')}[/bold]: {time}; {loads}; by {estimate.basis}"


def _capacity(load: Load) -> str:
    return f"{load.endpoint} {_pace(load)}"


def _pace(load: Load) -> str:
    """How many calls a minute an endpoint can take, and what limits them."""
    return f"{load.calls_a_minute:,.0f} calls a minute ({load.paced_by})" if load.calls_a_minute else load.paced_by


def _time(minutes: float) -> str:
    if minutes < 1:
        return "under a minute"
    return f"about {clock.spell(60 * minutes)}"
