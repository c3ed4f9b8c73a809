"""Calls for N changed orders, counted by the simulated systems, beside the fewest that the APIs allow (docs/traffic.md).

scripts/bench calls [--orders 1000] [--customers 200] [--picture 1] [--json FILE]

--picture: how old, in seconds, the picture of an order may be from which it is amended (SYNCENGINE_PICTURE_S, 30). The
simulated SYSPRO answers so fast that a batch is written before its picture is old; with 1 it is compared as in a slow one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import report
from installation import Site, end_on_sigterm, site
from sqlalchemy import func, select

from syncengine import clock
from syncengine.engine.core.engine import Engine, Limits
from syncengine.engine.steps import running, sync
from syncengine.engine.steps.pump import pump
from syncengine.store.models import Record

PAGE, READ, FIND = 500, 200, 40
AMENDED_A_SECOND = 200
SETTLED_S = 8.0  # after which the feed tells of a change for sure
OVERLAP_S = 61.0  # of two readings of a feed: changes within it are reported twice, which costs only a search
MOST = 1.1


@dataclass(frozen=True)
class Count:
    """Calls of one phase at one system, and the fewest possible."""

    orders: int
    customers: int
    phase: str
    system: str
    fewest: int
    made: int
    operations: Mapping[str, int]

    @property
    def ratio(self) -> float:
        return self.made / self.fewest if self.fewest else float(self.made > 0) + 1.0


def fewest(phase: str, *, orders: int, customers: int, addresses: int) -> dict[str, int]:
    """The fewest calls by system, see docs/traffic.md: `create`, `amend`, `nothing new`, `unchanged`."""
    if phase == "nothing new":
        return {"brightpearl": 2, "syspro": 0}
    searches = ceil(orders / PAGE) + 1 + 1  # the one feed's pages and its end; the other feed has nothing
    reads = ceil(orders / READ)
    if phase == "amend":
        finds = 2 * ceil(orders / FIND)  # headers and lines, to see that nobody changed them since they were read
        return {"brightpearl": searches + reads, "syspro": 2 * orders + finds}
    contacts = ceil(customers / READ) + ceil(addresses / READ)
    return {
        "brightpearl": searches + reads + contacts,
        "syspro": orders + ceil(orders / FIND) + customers,
    }


PHASES = ("create", "nothing new", "amend", "nothing new")


def measure(
    installation: Site,
    *,
    orders: int,
    customers: int,
    addresses: int,
    phases: Sequence[str] = PHASES,
    limits: Limits | None = None,
) -> list[Count]:
    """Create, look again, amend, look again once the overlap of the feeds is over; and what each of these cost."""
    engine = installation.engine(limits=limits)
    counts = []
    try:
        for phase in phases:
            if phase == "amend":
                over_s = orders / AMENDED_A_SECOND
                installation.systems.ask("amend", over_s)
                clock.sleep(over_s + SETTLED_S)
            elif counts and counts[-1].phase == "amend":
                clock.sleep(OVERLAP_S)
            installation.systems.calls(reset=True)
            drain(installation, engine)
            made = installation.systems.calls()
            least = fewest(phase, orders=orders, customers=customers, addresses=addresses)
            for system, number in least.items():
                operations = made.get(system, {})
                counts.append(Count(orders, customers, phase, system, number, sum(operations.values()), operations))
        _all_arrived(engine, orders, customers)
    finally:
        engine.close()
    return counts


def drain(installation: Site, engine: Engine) -> None:
    """Sync orders, and run in this process whatever is due until nothing is."""
    for result in sync.start(engine, sync.Request("orders")):
        assert not isinstance(result, str), result
    while True:
        while installation.messages:
            chain = installation.messages.pop(0)
            for stage in chain.stages:
                running.run(engine, stage, chain.token)
            pump(engine)
        if not pump(engine, sweep=True):
            return


def _all_arrived(engine: Engine, orders: int, customers: int) -> None:
    with engine.store.read() as session:
        query = select(Record.flow, Record.status, func.count()).group_by(Record.flow, Record.status)
        states = {(flow, status): count for flow, status, count in session.execute(query)}
    expected = {("orders", "done"): orders, ("customers", "done"): customers}
    assert states == expected, f"{states} instead of {expected}"


def main() -> int:
    """Returns 1 if a ratio is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, help="default: 1,000 with 200 customers, then 10,000 with 2,000")
    parser.add_argument("--customers", type=int, help="default: a fifth of the orders")
    parser.add_argument("--picture", type=float, default=Limits().picture_s, metavar="SECONDS")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    sizes = [(1_000, 200), (10_000, 2_000)]
    if options.orders:
        sizes = [(options.orders, options.customers or max(1, options.orders // 5))]
    counts: list[Count] = []
    for orders, customers in sizes:
        with site(orders=orders, customers=customers) as installation:
            addresses = int(installation.systems.ask("addresses")["addresses"])
            limits = Limits(picture_s=options.picture)
            counts += measure(installation, orders=orders, customers=customers, addresses=addresses, limits=limits)
    report.show("Calls, beside the fewest possible", _rows(counts))
    figures = [{**asdict(count), "ratio": round(count.ratio, 3)} for count in counts]
    report.save(options.json, "calls", {"most": MOST, "counts": figures})
    return int(any(count.ratio > MOST for count in counts))


def _rows(counts: list[Count]) -> list[dict[str, Any]]:
    return [
        {
            "orders": count.orders,
            "phase": count.phase,
            "system": count.system,
            "made": count.made,
            "fewest": count.fewest,
            "ratio": f"{count.ratio:.3f}",
            "operations": ", ".join(f"{name} {number}" for name, number in sorted(count.operations.items())),
        }
        for count in counts
    ]


if __name__ == "__main__":
    raise SystemExit(main())
