"""Calls and time of stock levels: the first load of N products in three warehouses, the poll that tells of
its writes, then a sweep that finds nothing.

scripts/bench stock [--products 20000] [--sell-out] [--json FILE]

--sell-out: instead, how long a sell-out takes to reach Brightpearl while such a first load runs with real workers, and SYSPRO
takes 0.2 s for a call: from the answer that shows it.

The fewest calls are worked out in docs/traffic.md. The systems answer at once, so the time is the engine's own.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from time import perf_counter, process_time

import report
from installation import Site, end_on_sigterm, site
from sqlalchemy import func, select, update

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.steps import running, sync
from syncengine.engine.steps.discover import discover
from syncengine.engine.steps.pump import pump
from syncengine.store.models import Record, Schedule
from syncengine.store.states import Lane

PAGE, READ, AT_ONCE, WAREHOUSES, ROWS = 500, 200, 200, 3, 500
LAG_S = 1.0
OVERLAP_S = 61.0  # of two readings of a feed
MOST, MOST_S = 1.1, 2.0
SYSPRO_CALL_S = 0.2
SETTINGS = {"posted_elsewhere": "nobody: nothing is shipped"}
LOOKUPS = {"stock_warehouses": {"MN": "2", "ST": "3", "EX": "4"}}


@dataclass(frozen=True)
class Phase:
    """Calls at one system, the fewest possible, and the time of the engine."""

    name: str
    system: str
    fewest: int
    made: int
    took_s: float
    cpu_s: float
    operations: Mapping[str, int]

    @property
    def ratio(self) -> float:
        return self.made / self.fewest


def fewest(products: int) -> dict[tuple[str, str], int]:
    """By phase and system. The simulated SYSPRO has some more products of its own."""
    pages = ceil(products * WAREHOUSES / ROWS) + 1
    loaded = ceil(products / PAGE) + 2 * ceil(products / READ) + ceil(products * WAREHOUSES / AT_ONCE)
    return {
        ("first load", "brightpearl"): loaded,
        ("first load", "syspro"): pages,
        ("echo", "brightpearl"): ceil(products * WAREHOUSES / PAGE) + 1,  # its own corrections, which the feed tells
        ("echo", "syspro"): 1,
        ("sweep", "brightpearl"): 1,
        ("sweep", "syspro"): pages + 1,
    }


def drain(installation: Site, engine: Engine) -> None:
    """Sync, and run in this process whatever is due until nothing is, waiting for what rests."""
    sync.start(engine, sync.Request("inventory"))
    while True:
        while installation.messages:
            chain = installation.messages.pop(0)
            for stage in chain.stages:
                running.run(engine, stage, chain.token)
            pump(engine)
        if pump(engine, sweep=True):
            continue
        with engine.store.read() as session:
            next_ = session.scalar(select(func.min(Record.not_before)).where(Record.wanted > Record.done))
        if next_ is None:
            return
        clock.sleep(max(0.05, (next_ - clock.now()).total_seconds()))


def measure(products: int) -> list[Phase]:
    """The first load, and a sweep after it."""
    least, phases = fewest(products), []
    with site(
        orders=0, customers=0, flows=["customers", "orders", "inventory"], settings=SETTINGS, lookups=LOOKUPS,
        shop={"cost_currency": "GBP", "lag_s": LAG_S},
    ) as installation:  # fmt: skip
        installation.systems.ask("stock", products)
        engine = installation.engine()
        for name in ("first load", "echo", "sweep"):
            if name != "first load":
                clock.sleep(OVERLAP_S)
            if name == "sweep":
                with engine.store.write() as session:
                    session.execute(update(Schedule).values(next_sweep=None))
            installation.systems.calls(reset=True)
            began, cpu = perf_counter(), process_time()
            drain(installation, engine)
            took, used = perf_counter() - began, process_time() - cpu
            made = installation.systems.calls()
            phases += [
                Phase(
                    name,
                    system,
                    least[name, system],
                    sum(made.get(system, {}).values()),
                    took,
                    used,
                    made.get(system, {}),
                )
                for system in ("brightpearl", "syspro")
            ]
        differ = installation.systems.ask("levels")["differ"]
        with engine.store.read() as session:
            states = session.execute(
                select(Record.status, func.min(Record.reason), func.count()).group_by(Record.status)
            ).all()
        engine.close()
    if differ:
        raise SystemExit(f"{differ} levels differ: {states}")
    return phases


def sell_outs(products: int, times: int) -> list[float]:
    """Seconds from the poll that shows a sell-out of SYSPRO to Brightpearl's level of 0, while the first load runs."""
    with site(
        orders=0, customers=0, flows=["customers", "orders", "inventory"], settings=SETTINGS, lookups=LOOKUPS,
        shop={"cost_currency": "GBP"},
    ) as installation:  # fmt: skip
        installation.systems.ask("stock", products)
        installation.systems.turn(syspro_latency_s=SYSPRO_CALL_S)
        installation.start_redis()
        os.environ.update(installation.environment())
        from syncengine.tasks.base import send

        engine = installation.engine(send=send)
        installation.start_workers(beat=True)
        while _levels_set(engine) < times:
            clock.sleep(1.0)
        found = [_sell_out(installation, engine, f"S{number:06}") for number in range(times)]
        engine.close()
        return found


def _levels_set(engine: Engine) -> int:
    with engine.store.read() as session:
        done = select(func.count()).where(Record.flow == "inventory", Record.status == "done", Record.key.like("S%"))
        return session.scalar(done) or 0


def _sell_out(installation: Site, engine: Engine, code: str) -> float:
    installation.systems.ask("count", code, 0)
    discover(engine, 1, "inventory", trigger="schedule", lane=Lane.SCHEDULED)
    began = perf_counter()
    pump(engine)
    while installation.systems.ask("level", code)["level"]:
        clock.sleep(0.01)
    took = perf_counter() - began
    clock.sleep(3.0)
    return took


def main() -> int:
    """Returns 1 if a ratio is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--sell-out", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    if options.sell_out:
        took = sell_outs(options.products, 8)
        report.show(
            "Sell-outs during a first load, seconds",
            [{"number": n + 1, "seconds": f"{s:.2f}"} for n, s in enumerate(took)],
        )
        report.save(options.json, "stock", {"products": options.products, "sell_outs_s": took})
        return int(max(took) > MOST_S)
    phases = measure(options.products)
    rows = [
        {
            "phase": each.name, "system": each.system, "fewest": each.fewest, "made": each.made, "ratio": f"{each.ratio:.2f}",
            "seconds": f"{each.took_s:.0f}", "CPU s": f"{each.cpu_s:.0f}",
            "calls": ", ".join(f"{name} {count}" for name, count in sorted(each.operations.items())),
        }
        for each in phases
    ]  # fmt: skip
    report.show(f"Stock of {options.products:,} products in {WAREHOUSES} warehouses", rows)
    report.save(options.json, "stock", {"products": options.products, "phases": [asdict(each) for each in phases]})
    return int(any(each.ratio > MOST for each in phases))


if __name__ == "__main__":
    raise SystemExit(main())
