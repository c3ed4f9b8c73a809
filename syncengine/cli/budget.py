"""`syncengine budget`: what the calls of the last hour went on, and how long a backfill would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from redis.exceptions import RedisError
from rich.table import Table

from syncengine.cli._engine import as_json, engine, show_json, wide_console
from syncengine.engine.traffic import budget, quota
from syncengine.engine.traffic.budget import Backfill
from syncengine.errors import Transient
from syncengine.http.meter import Spent


@click.command("budget")
@click.option(
    "--backfill", type=click.IntRange(min=1), metavar="N", help="Estimate N objects of each flow; default: what is due."
)
@as_json
def command(backfill: int | None, as_json: bool) -> None:
    """Show per flow and lane what the calls of the last hour went on, what is left, and how long a backfill would take."""
    with engine(calls=True) as one:
        try:
            calls = budget.spent(one)
        except RedisError as error:
            raise Transient(f"Redis, which keeps the account, cannot be reached ({type(error).__name__})") from None
        estimates = budget.backfills(one, calls, objects=backfill)
        quotas = quota.left(one)
    if as_json:
        told = [{**asdict(estimate), "minutes": estimate.minutes} for estimate in estimates]
        show_json({"calls": [asdict(one_kind) for one_kind in calls], "quotas": quotas, "backfills": told})
        return
    console = wide_console()
    console.print(_calls(calls) if calls else "No call was made in the last hour.")
    for one_quota in quotas:
        console.print(f"{one_quota['endpoint']}: {one_quota['says']}")
    for estimate in estimates:
        console.print(_said(estimate))


def _calls(calls: Sequence[Spent]) -> Table:
    table = Table(title="Calls of the last hour", title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in ("endpoint", "flow", "lane", "operation", "calls", "share", "mean ms"):
        table.add_column(name, justify="right" if name in ("calls", "share", "mean ms") else "left", no_wrap=True)
    totals: dict[str, int] = {}
    for one in calls:
        totals[one.endpoint] = totals.get(one.endpoint, 0) + one.calls
    for one in sorted(calls, key=lambda one: (one.endpoint, one.flow, one.lane, -one.calls)):
        share, mean_ms = one.calls / totals[one.endpoint], one.took_s * 1000 / one.calls
        numbers = (f"{one.calls:,}", f"{share:.0%}", f"{mean_ms:.0f}")
        table.add_row(one.endpoint, one.flow or "·", one.lane, one.operation, *numbers)
    return table


def _said(estimate: Backfill) -> str:
    loads = ", ".join(
        f"{load.endpoint} {load.calls:,} calls"
        + (
            f" at {load.calls_a_minute:.0f} a minute ({load.paced_by})"
            if load.calls_a_minute
            else f" ({load.paced_by})"
        )
        for load in estimate.loads
    )
    time = "not known yet" if estimate.minutes is None else _time(estimate.minutes)
    head = f"[bold]{estimate.connection}: {estimate.objects:,} {estimate.flow}[/bold]: {time}"
    return f"{head}; {loads}; by {estimate.basis}"


def _time(minutes: float) -> str:
    if minutes < 1:
        return "under a minute"
    return f"about {minutes:.0f} min" if minutes < 120 else f"about {minutes / 60:.1f} h"
