"""Lanes on one window, against a real Valkey, on a clock that the test moves: pace, turns, and room for realtime work."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

import pytest
import redis

from syncengine.http.limiter import Booking, Limiter, Pool

START = 1_700_000_000.0
POOL = Pool("brightpearl:acme:app", limit=200)
PACE = 60.5 * 1.005 / 200


@dataclass
class Caller:
    """Makes one call after the other, each `work_s` after the one before; a dead one sleeps for ever."""

    lane: str
    work_s: float = 0.0
    is_dead: bool = False
    wakes_at: float = START
    asked_at: float = START
    booking: Booking | None = None
    taken: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


class Floor:
    """Callers on one clock, who sleep exactly as long as required."""

    def __init__(self, client: redis.Redis, pool: Pool = POOL) -> None:
        self.time = START
        self.pool = pool
        self.limiter = Limiter(client, now=lambda: self.time)
        self.limiter.learn(pool, pool.limit, 0)
        self.callers: list[Caller] = []

    def add(self, lane: str, count: int = 1, work_s: float = 0.0) -> list[Caller]:
        added = [Caller(lane, work_s, wakes_at=self.time, asked_at=self.time) for _ in range(count)]
        self.callers += added
        return added

    def run(self, seconds: float) -> None:
        until = self.time + seconds
        while True:
            alive = [caller for caller in self.callers if not caller.is_dead]
            caller = min(alive, key=lambda caller: caller.wakes_at)
            if caller.wakes_at > until:
                self.time = until
                return
            self.time = max(self.time, caller.wakes_at)
            self._ask(caller)

    def _ask(self, caller: Caller) -> None:
        slot = caller.booking.slot if caller.booking else None
        booking = self.limiter.reserve(self.pool, caller.lane, patience=10_000, slot=slot)
        if booking.wait_s > 0:
            caller.booking, caller.wakes_at = booking, self.time + booking.wait_s + 1e-4
            return
        caller.taken.append(self.time)
        caller.waited.append(self.time - caller.asked_at)
        caller.booking, caller.wakes_at = None, self.time + caller.work_s + 1e-4
        caller.asked_at = caller.wakes_at

    def taken(self, since: float = 0.0) -> list[float]:
        return sorted(at for caller in self.callers for at in caller.taken if at - START >= since)


@pytest.fixture
def floor(client: redis.Redis) -> Floor:
    return Floor(client)


def worst(times: list[float], window_s: float = 60.5) -> int:
    """The most calls in a window. `times` are sorted."""
    return max(bisect_left(times, start + window_s - 1e-5) - before for before, start in enumerate(times))


def test_a_backfill_alone_is_paced_and_uses_99_percent(floor: Floor) -> None:
    floor.add("backfill", 4)
    floor.run(605)
    times = floor.taken()
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 2.1 * PACE
    assert len(times) >= 0.99 * 2000
    assert worst(times) == 200


def test_a_single_scheduled_caller_that_works_between_its_calls_is_not_held_back_more(floor: Floor) -> None:
    floor.add("scheduled", work_s=0.15)
    floor.run(605)
    assert len(floor.taken()) >= 0.99 * 2000


def test_realtime_alone_may_use_the_whole_window_at_once(floor: Floor) -> None:
    floor.add("realtime", 250)
    floor.run(1)
    assert len(floor.taken()) == 200


@pytest.mark.parametrize(("scheduled", "backfill"), [(1, 8), (8, 1), (4, 4)])
def test_scheduled_and_backfill_take_turns_however_many_they_are(floor: Floor, scheduled: int, backfill: int) -> None:
    floor.add("scheduled", scheduled)
    floor.add("backfill", backfill)
    floor.run(300)
    shares = Counter({caller.lane: 0 for caller in floor.callers})
    for caller in floor.callers:
        shares[caller.lane] += len(caller.taken)
    assert shares["scheduled"] == pytest.approx(shares["backfill"], rel=0.1)
    assert min(len(caller.taken) for caller in floor.callers) > 0
    assert len(floor.taken()) >= 0.98 * 300 / 60.5 * 200


def test_within_a_lane_callers_are_served_in_order_of_arrival(floor: Floor) -> None:
    callers = floor.add("backfill", 6, work_s=1000)
    floor.run(60)
    assert [caller.taken[0] for caller in callers] == sorted(caller.taken[0] for caller in callers)


def test_realtime_finds_a_slot_at_once_while_both_other_lanes_saturate(floor: Floor) -> None:
    floor.add("scheduled", 4)
    floor.add("backfill", 4)
    floor.run(130)
    urgent = []
    for number in range(100):  # 20 a minute, not in step with the pace
        floor.run(2.2 + 1.6 * (number * 7 % 10) / 9)
        urgent += floor.add("realtime", work_s=10_000)
    floor.run(10)
    waits = sorted(caller.waited[0] for caller in urgent)
    assert waits[94] == 0
    assert waits[-1] < 0.5
    assert worst(floor.taken()) == 200
    assert len(floor.taken(130)) >= 0.99 * (floor.time - START - 130) / 60.5 * 200


def test_a_burst_of_realtime_calls_leaves_room_for_those_after_it(floor: Floor) -> None:
    floor.add("realtime", 120, work_s=10_000)
    floor.run(0.1)
    floor.add("backfill", 4)
    urgent = []
    for _ in range(40):
        floor.run(3)
        urgent += floor.add("realtime", work_s=10_000)
    floor.run(1)
    assert max(caller.waited[0] for caller in urgent) < 1
    assert worst(floor.taken()) == 200


def test_a_flood_of_realtime_work_leaves_a_tenth_to_the_others(floor: Floor) -> None:
    floor.add("realtime", 300)
    floor.add("backfill", 2)
    floor.run(300)
    backfill = [at for caller in floor.callers if caller.lane == "backfill" for at in caller.taken if at > START + 61]
    everything = floor.taken(since=61)
    assert 0.08 <= len(backfill) / len(everything) <= 0.11
    assert len(everything) >= 0.97 * 239 / 60.5 * 200  # they come in bursts, once a window
    assert worst(floor.taken()) == 200


def test_waiters_who_died_are_passed_over(floor: Floor) -> None:
    callers = floor.add("backfill", 8)
    floor.run(65)
    for caller in callers[:7]:
        caller.is_dead = True
    served = len(callers[7].taken)
    floor.run(20)
    assert len(callers[7].taken) - served >= 0.9 * 20 / PACE
    assert floor.limiter.usage(POOL).waiting <= 1


def test_a_slot_taken_late_is_made_up_for(client: redis.Redis) -> None:
    floor = Floor(client, Pool("p", limit=100, window_s=10, guard_s=0))
    take = floor.add("backfill")[0]
    for _ in range(995):
        floor.run(0.1001)
        take.wakes_at = max(take.wakes_at, floor.time + 0.05)  # it oversleeps each time
    assert len(floor.taken()) >= 0.98 * (floor.time - START) * 10
