"""Brightpearl down for minutes with orders due: how often it is called meanwhile, and what happens when it is back.

The orders are due in all three lanes before it begins. Calls are counted where they arrive, in the simulated Brightpearl,
which throttles at 200 a minute as the real one does.

    scripts/bench outage [--minutes 10] [--orders 5000] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import backlog
import pace
import report
from installation import Site, end_on_sigterm, site
from sqlalchemy import func, select

from syncengine import clock, settings
from syncengine.engine.setup import bootstrap
from syncengine.store import Store
from syncengine.store.models import Event, Record
from syncengine.store.states import Lane

CUSTOMERS = 200
LIMIT = 200
LOOK_EVERY_S = 5.0
PATIENCE_S = 3600.0
EARLY = 0.95
"""A probe may come so early, as a share of its interval: the breaker counts from the end of a call, we from its start."""


@dataclass
class Outage:
    """What was seen. Times are seconds from the begin of the outage (calls, probes) or from its end (the rest)."""

    minutes: float
    orders: int
    calls_at: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    too_early: int = 0
    found_out_s: float = 0.0
    first_fetched_s: dict[str, float] = field(default_factory=dict)
    last_fetched_s: dict[str, float] = field(default_factory=dict)
    all_done_s: float = 0.0
    calls_after: int = 0
    most_a_second: int = 0
    most_a_minute: int = 0
    refused: int = 0
    verdict: backlog.Verdict | None = None

    @property
    def is_right(self) -> bool:
        """True if it was probed once an interval, came back without a storm, lanes in order, and all arrived."""
        begun = [self.first_fetched_s[lane.label] for lane in Lane if lane.label in self.first_fetched_s]
        is_calm = not self.too_early and not self.refused and self.most_a_minute <= LIMIT
        return is_calm and begun == sorted(begun) and self.verdict is not None and self.verdict.is_right


class Journal:
    """All calls to Brightpearl, one by one, gathered from what the simulated system remembers."""

    def __init__(self, installation: Site) -> None:
        self._site = installation
        self._seen_until = ""
        self.calls: list[tuple[datetime, int]] = []

    def look(self) -> None:
        """Take over what came since the last look; often enough that nothing was forgotten meanwhile."""
        latest = [call for call in self._site.systems.latest_calls() if call["at"] > self._seen_until]
        if latest:
            self._seen_until = latest[-1]["at"]
        ours = [call for call in latest if call["system"] == "brightpearl"]
        self.calls += [(datetime.fromisoformat(call["at"]), int(call["status"])) for call in ours]


def measure(minutes: float, orders: int, *, limit: int = LIMIT) -> Outage:
    """One outage, from its begin until everything has arrived. limit: Brightpearl's calls a minute; 0: no throttle."""
    found = Outage(minutes, orders)
    with site(orders=orders, customers=min(CUSTOMERS, orders), limit_per_minute=limit) as installation:
        installation.start_redis()
        store, journal = Store(installation.database_url), Journal(installation)
        backlog.read_no_feeds(store)
        runner = pace.EngineRunner(installation)
        fault = installation.systems.fault(system="brightpearl", kind="drop", times=None)  # counted, and cut off
        urgent, scheduled = max(1, orders // 100), orders // 5
        backlog.want_orders(store, backlog.order_keys(0, urgent), Lane.REALTIME)
        backlog.want_orders(store, backlog.order_keys(urgent, scheduled), Lane.SCHEDULED)
        backlog.want_orders(store, backlog.order_keys(urgent + scheduled, orders - urgent - scheduled), Lane.BACKFILL)
        begun, lanes = clock.now(), _lanes(store)
        _watch(journal, until=begun + timedelta(minutes=minutes))
        ended = clock.now()
        installation.systems.end_fault(fault)
        _drain(store, journal)
        _judge_outage(found, journal, begun, ended)
        _judge_return(found, journal, store, lanes, ended)
        found.verdict = backlog.judge(installation, store, backlog.order_keys(0, orders))
        store.close()
        runner.close()
    return found


def _watch(journal: Journal, *, until: datetime) -> None:
    while clock.now() < until:
        clock.sleep(min(LOOK_EVERY_S, max(0.0, (until - clock.now()).total_seconds())))
        journal.look()


def _drain(store: Store, journal: Journal) -> None:
    deadline = clock.monotonic() + PATIENCE_S
    while backlog.due(store) and clock.monotonic() < deadline:
        clock.sleep(LOOK_EVERY_S)
        journal.look()
    journal.look()


def _lanes(store: Store) -> dict[str, str]:
    """In which lane each order was wanted, by key."""
    with store.read() as session:
        rows = session.execute(select(Record.key, Record.lane).where(Record.flow == "orders"))
        return {key: Lane(lane).label for key, lane in rows}


def _judge_outage(found: Outage, journal: Journal, begun: datetime, ended: datetime) -> None:
    """Calls before the end, and whether the probes kept their intervals: 2 s, then twice as long each time, up to 60 s."""
    rules = bootstrap.rules(settings.load({}))
    during = [at for at, _ in journal.calls if at < ended]
    found.calls_at = [round((at - begun).total_seconds(), 2) for at in during]
    opening = during[: rules.calls]
    probes = [opening[-1], *during[rules.calls :]] if opening else []
    expected = rules.first_s
    for earlier, later in pairwise(probes):
        gap = (later - earlier).total_seconds()
        found.intervals.append(round(gap, 2))
        found.too_early += gap < expected * EARLY
        expected = min(rules.most_s, expected * 2)


def _judge_return(found: Outage, journal: Journal, store: Store, lanes: dict[str, str], ended: datetime) -> None:
    after = [(at, status) for at, status in journal.calls if at >= ended]
    found.calls_after = len(after)
    found.refused = sum(1 for _, status in after if status in (429, 503))
    found.found_out_s = round((after[0][0] - ended).total_seconds(), 1) if after else float("inf")
    found.most_a_second = max(Counter(at.replace(microsecond=0) for at, _ in after).values(), default=0)
    found.most_a_minute = _most_within([at for at, _ in after], timedelta(minutes=1))
    with store.read() as session:
        fetched = session.execute(
            select(Event.key, func.min(Event.at))
            .where(Event.flow == "orders", Event.what == "fetched", Event.at >= ended)
            .group_by(Event.key)
        ).all()
        last = session.scalar(select(func.max(Event.at)).where(Event.flow == "orders", Event.what == "written"))
    times: dict[str, list[float]] = {}
    for key, at in fetched:
        times.setdefault(lanes[key], []).append((at - ended).total_seconds())
    found.first_fetched_s = {lane: round(min(all_of), 1) for lane, all_of in times.items()}
    found.last_fetched_s = {lane: round(max(all_of), 1) for lane, all_of in times.items()}
    found.all_done_s = round((last - ended).total_seconds(), 1) if last else float("inf")


def _most_within(times: Sequence[datetime], span: timedelta) -> int:
    """The most of sorted times in any window of `span`."""
    most, first = 0, 0
    for number, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, number - first + 1)
    return most


def main() -> int:
    """Returns 1 if Brightpearl was called too often, the lanes were out of order, or an order is missing or there twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    found = measure(options.minutes, options.orders)
    report.show(f"Brightpearl down for {found.minutes:g} min, {found.orders:,} orders due", _rows(found))
    report.show("When it is back, by lane", _lane_rows(found))
    report.save(options.json, "outage", {"is_right": found.is_right, **asdict(found)})
    return int(not found.is_right)


def _rows(found: Outage) -> list[dict[str, Any]]:
    verdict = found.verdict
    assert verdict is not None
    probes = ", ".join(f"{gap:.1f}" for gap in found.intervals)
    rows = {
        "calls while it was down": f"{len(found.calls_at)}, at {', '.join(f'{at:.0f}' for at in found.calls_at)} s",
        "between probes, s": f"{probes}; too early: {found.too_early}",
        "back: found out after": f"{found.found_out_s} s",
        "back: calls": f"{found.calls_after}; most in a second {found.most_a_second}, in a minute {found.most_a_minute}"
        f" of {LIMIT}; refused {found.refused}",
        "back: all written after": f"{found.all_done_s} s",
        "orders in SYSPRO": f"{verdict.created} of {verdict.wanted}; missing {verdict.missing}, twice {verdict.twice},"
        f" records not done {verdict.not_done}",
    }
    return [{"what": name, "figure": figure} for name, figure in rows.items()]


def _lane_rows(found: Outage) -> list[dict[str, Any]]:
    return [
        {
            "lane": lane.label,
            "first fetched after s": f"{found.first_fetched_s.get(lane.label, float('inf')):.1f}",
            "last fetched after s": f"{found.last_fetched_s.get(lane.label, float('inf')):.1f}",
        }
        for lane in Lane
    ]


if __name__ == "__main__":
    raise SystemExit(main())
