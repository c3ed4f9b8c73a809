"""One ordeal: an installation at work, faults one after the other, and in the end the question whether all is right."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from scripts.crashes import arrivals, awkward
from scripts.crashes.arrivals import Arrivals
from scripts.crashes.awkward import Fate, Three
from scripts.crashes.faults import SYSPRO_WRITES, Fault, Harm
from scripts.crashes.installation import Shape, Site, describe
from scripts.crashes.judge import Verdict, await_calm, due, judge, judge_stock
from scripts.crashes.machine import Machine
from scripts.crashes.people import People
from scripts.crashes.traders import Traders
from syncengine.store.models import Record

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `patience_s`: how long a fault may wait for its place to be passed before another one goes first.

    `spread`: the faults strike at random moments from the first order that is done to the last. `opening_s`: where orders
    are awkward, how long faults wait at most until all others that were there at the start have arrived in spite of them.
    """

    act_s: float = 0.4
    between_s: float = 2.0
    patience_s: float = 15.0
    calm_s: float = 6.0
    drain_s: float = 300.0
    opening_s: float = 200.0
    most_tries: int = 4
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an ordeal. `seat_s`: for how long awkward orders kept SYSPRO's seat from the others; None where
    there is no seat, or no such order.
    """

    about: dict[str, Any]
    faults: list[Fault]
    verdict: Verdict
    arrivals: Arrivals
    fates: list[Fate]
    seat_s: float | None
    problems: list[str]
    acts: int
    restarts: int
    seconds: float


def endure(home: Path, shape: Shape, faults: Sequence[Fault], pace: Pace, say: Say) -> Outcome:
    """Run one installation through these faults, let it drain, and judge."""
    begun, site = time.monotonic(), Site(home, shape)
    three = awkward.put(site)
    with site:
        ordeal = _Ordeal(site, faults, pace, say, three)
        ordeal.run()
        return _outcome(site, ordeal, list(faults), time.monotonic() - begun)


def _outcome(site: Site, ordeal: _Ordeal, faults: list[Fault], seconds: float) -> Outcome:
    shape, three, people = site.shape, ordeal.three, ordeal.people
    traders = ordeal.traders
    verdict = (
        judge_stock(site.store, traders.problems(shape))
        if traders is not None
        else judge(site.store, site.url, people, three.keys)
    )
    deaths = awkward.deaths_in(site.points)
    fates = awkward.fates(three, site.store, site.sandbox, deaths)
    seat_s = three.seat_s(shape.times, deaths) if shape.gateway == "enet" and three.orders else None
    arrived = arrivals.judged(
        site.sandbox, shape, people.arriving(), people.placed, ordeal.begun_at, faults, seat_s or 0.0,
        ordeal.machine.slowness,
    )  # fmt: skip
    problems = [*verdict.problems, *arrived.late, *(problem for fate in fates for problem in fate.problems)]
    if seat_s is not None and seat_s > awkward.longest_seat_s(shape.times):
        problems.append(f"awkward orders kept SYSPRO's seat for {seat_s:.0f} s")
    return Outcome(
        describe(shape), faults, verdict, arrived, fates, seat_s, problems, ordeal.acts, site.restarts, seconds
    )


class _Ordeal:
    def __init__(self, site: Site, faults: Sequence[Fault], pace: Pace, say: Say, three: Three) -> None:
        self.site, self.pace, self.say, self.three = site, pace, say, three
        self.people = People(site.sandbox, site.url, site.shape.seed)
        self.people.leave_alone(three.keys)
        self.traders = Traders(site.sandbox, site.url, site.shape.seed) if site.shape.trades else None
        self.begun_at = datetime.now(UTC)
        self._first = set(self.people.arriving())  # what was there at the start
        self._opens_by = time.monotonic() + pace.opening_s if three.orders and not pace.spread else 0.0
        self.harm, self.machine = Harm(site), Machine()
        self._chance = random.Random(site.shape.seed)
        self._waiting = deque((fault, 1) for fault in faults)
        self._all = list(faults)
        self._armed: dict[int, tuple[Fault, int, float]] = {}  # fault, tries, since when
        self._next_at = 0.0
        count, chance = len(faults) if pace.spread else 0, random.Random(site.shape.seed)
        self._moments = deque(sorted(chance.uniform(0.0, 0.95) for _ in range(count)))  # shares of all that is to do

    def run(self) -> None:
        """Until every fault has struck, or could not; then until nothing moves any more."""
        self._until(lambda: due(self.site.store) > 0, 60)
        self.begun_at = datetime.now(UTC)
        act_at = time.monotonic()
        while self._waiting or self._armed or self.harm.frozen:
            self._tend()
            if time.monotonic() >= act_at:
                self._act()
                act_at = time.monotonic() + self._chance.uniform(0.3, 1.7) * self.pace.act_s
            if not self._is_opening():
                self._faults()
            time.sleep(0.05)
        self._drain()

    def _act(self) -> None:
        """One person does one thing."""
        if self.traders is not None:
            self.traders.act()
        else:
            self.people.act()

    @property
    def acts(self) -> int:
        """How often somebody did something."""
        return self.people.acts if self.traders is None else self.traders.acts

    def _is_opening(self) -> bool:
        """Whether the first orders are still on their way, with nothing in their way but the awkward ones."""
        if not self._opens_by:
            return False
        left = self._first - set(arrivals.arrivals(self.site.sandbox))
        left &= set(self.people.arriving())  # but for those that were cancelled meanwhile
        if left and time.monotonic() < self._opens_by:
            return True
        took_s = (datetime.now(UTC) - self.begun_at).total_seconds()
        self.say(
            f"  after {took_s:.0f} s {len(left)} of {len(self._first)} first orders are not in SYSPRO; faults begin"
        )
        self._opens_by = 0.0
        return False

    def _tend(self) -> None:
        self.site.tend()
        self.harm.tend()
        self.machine.look()
        self._look_who_recovered()

    def _faults(self) -> None:
        """Arm the next one, see which have struck, and take back those whose place nobody passes."""
        now = time.monotonic()
        if self._waiting and len(self._armed) < Harm.ROOM and now >= self._next_at and self._is_time():
            fault, tries = self._waiting.popleft()
            self._armed[fault.number] = fault, tries, now
            self.harm.arm(fault)
            if fault.where in SYSPRO_WRITES:
                self.people.provoke(fault.where)
        for fault in self.harm.struck():
            self._armed.pop(fault.number)
            self._struck(fault)
        for fault, tries, since in list(self._armed.values()):
            if now - since > self.pace.patience_s and self.harm.disarm(fault):
                del self._armed[fault.number]
                if tries < self.pace.most_tries:
                    self._waiting.append((fault, tries + 1))
                else:
                    self.say(f"  {fault.kind} at {fault.where!r}: nobody came by")

    def _is_time(self) -> bool:
        """True unless the faults are spread and so much is not done yet."""
        if not self._moments:
            return True
        self._next_at = time.monotonic() + 0.5
        with self.site.store.read() as session:
            done, total = session.execute(
                select(func.count().filter(Record.wanted == Record.done), func.count()).select_from(Record)
            ).one()
        if done < self._moments[0] * max(total, self.site.shape.orders):
            return False
        self._moments.popleft()
        return True

    def _struck(self, fault: Fault) -> None:
        with self.site.store.read() as session:
            under_lease = select(Record.id, Record.claimed).where(Record.token.is_not(None))
            fault.held = dict(session.execute(under_lease).all())
        fault.due = due(self.site.store)
        struck = sum(one.fired_at is not None for one in self._all)
        self.say(f"  {struck}/{len(self._all)} {fault.kind} at {fault.where!r}, {len(fault.held)} records under lease")
        self._next_at = time.monotonic() + self._chance.uniform(0.2, 1.8) * self.pace.between_s

    def _look_who_recovered(self) -> None:
        open_ones = [fault for fault in self._all if fault.fired_at is not None and fault.recovered_at is None]
        wanted = {record_id for fault in open_ones for record_id in fault.held}
        with self.site.store.read() as session:
            query = select(Record.id, Record.done).where(Record.id.in_(wanted))
            done = dict(session.execute(query).all())
        for fault in open_ones:
            if all(done.get(record_id, 0) >= claimed for record_id, claimed in fault.held.items()):
                fault.recovered_at = time.time()

    def _drain(self) -> None:
        """Nobody edits any more: until all is done."""
        self.say(f"  all faults have struck; {due(self.site.store)} records are due")
        pace, last = self.pace, self.people.last_at
        if self.traders is not None:
            self._until(self.traders.finish, pace.patience_s)
            last = datetime.now(UTC) + timedelta(seconds=self.site.shape.settled_s)
        await_calm(self.site.store, last, calm_s=pace.calm_s, patience_s=pace.drain_s, meanwhile=self._tend)
        self._look_who_recovered()

    def _until(self, what: Callable[[], bool], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while not what() and time.monotonic() < deadline:
            self._tend()
            time.sleep(0.2)
