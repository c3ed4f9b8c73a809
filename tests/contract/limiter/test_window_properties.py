"""For any interleaving of lanes, delays, returns, deaths, corrections, closed gates and restarts, on a real Valkey.

Never more calls arrive in a window than the limit, and every caller who stays is served in the end.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from syncengine.errors import Throttled
from syncengine.http.limiter import LANES, Limiter, Pool

WINDOW, GUARD = 10.0, 0.5
START = 1_700_000_000.0
TICK = 1e-4
PATIENT = 10_000.0

_numbers = itertools.count()


@dataclass
class Caller:
    """Wants one call; `slot` stays the same until it is served. Asks again at the required time."""

    lane: str
    patience: float
    delay: float  # between grant and arrival, at most the guard
    wakes_at: float
    slot: str = field(default_factory=str)

    def __post_init__(self) -> None:
        self.slot = f"{self.lane}:{uuid.uuid4().hex}"


class Machine(RuleBasedStateMachine):
    """Callers of all lanes on one clock, and the times at which their calls arrive."""

    client: redis.Redis

    @initialize(
        limit=st.integers(1, 8), reserve=st.integers(0, 2), known=st.booleans(), share=st.sampled_from([0, 0.005, 0.2])
    )
    def begin(self, limit: int, reserve: int, known: bool, share: float) -> None:
        self.time = START
        self.limit = limit
        self.pool = Pool(
            f"p:{next(_numbers)}",
            limit + reserve,
            window_s=WINDOW,
            guard_s=GUARD,
            reserve=reserve,
            realtime_share=share,
        )
        self.limiter = Limiter(self.client, now=lambda: self.time)
        self.waiting: list[Caller] = []
        self.holding: list[tuple[float, Caller]] = []  # a slot since when, not departed yet
        self.arrived: list[float] = []
        self.forgotten = 0
        if known:
            self.limiter.learn(self.pool, self.pool.limit, 0)

    @rule(lane=st.sampled_from(LANES), patience=st.sampled_from([0, 1, 30, PATIENT]), delay=st.floats(0, GUARD))
    def come(self, lane: str, patience: float, delay: float) -> None:
        self._ask(Caller(lane, patience, delay, self.time))

    @rule(lane=st.sampled_from(LANES), count=st.integers(2, 12))
    def come_in_a_burst(self, lane: str, count: int) -> None:
        for _ in range(count):
            self._ask(Caller(lane, PATIENT, GUARD, self.time))

    @rule(lane=st.sampled_from(LANES), delay=st.floats(0, GUARD))
    def take_and_dawdle(self, lane: str, delay: float) -> None:
        """A slot is taken and the call has not left yet."""
        caller = Caller(lane, 0, delay, self.time)
        try:
            self.limiter.reserve(self.pool, lane, patience=0, slot=caller.slot)
        except Throttled:
            return
        self.holding.append((self.time, caller))

    @precondition(lambda self: self.holding)
    @rule(pick=st.integers(0, 30))
    def depart(self, pick: int) -> None:
        """The dawdler asks again: within the guard it keeps its slot, else it begins again."""
        since, caller = self.holding.pop(pick % len(self.holding))
        self._ask(caller, since)

    @rule(seconds=st.floats(0, 25))
    def sleep(self, seconds: float) -> None:
        """Time passes; callers that must ask again do so, and their calls arrive after their delay."""
        until = self.time + seconds
        while due := [caller for caller in self.waiting if caller.wakes_at <= until]:
            caller = min(due, key=lambda caller: caller.wakes_at)
            self.waiting.remove(caller)
            self.time = max(self.time, caller.wakes_at)
            self._ask(caller)
        self.time = max(self.time, until)

    @precondition(lambda self: self.waiting)
    @rule(pick=st.integers(0, 30), seconds=st.floats(0, 30))
    def oversleep(self, pick: int, seconds: float) -> None:
        self.waiting[pick % len(self.waiting)].wakes_at += seconds

    @precondition(lambda self: self.waiting)
    @rule(pick=st.integers(0, 30), politely=st.booleans())
    def leave(self, pick: int, politely: bool) -> None:
        """A waiter gives its place back, or dies."""
        caller = self.waiting.pop(pick % len(self.waiting))
        if politely:
            self.limiter.give_back(self.pool, caller.slot)

    @precondition(lambda self: self.holding)
    @rule(pick=st.integers(0, 30))
    def give_back(self, pick: int) -> None:
        self.limiter.give_back(self.pool, self.holding.pop(pick % len(self.holding))[1].slot)

    @rule(remaining=st.integers(0, 10), resets_in_s=st.floats(0, WINDOW), age_s=st.floats(0, 3))
    def learn(self, remaining: int, resets_in_s: float, age_s: float) -> None:
        self.limiter.learn(self.pool, min(remaining, self.pool.limit), resets_in_s, age_s=age_s)

    @rule(seconds=st.floats(0, 15))
    def close(self, seconds: float) -> None:
        self.limiter.close(self.pool, seconds)

    @rule()
    def restart(self) -> None:
        """Redis restarts with what it had stored: nothing is lost, but nobody can know that."""
        self.client.script_flush()

    @rule()
    def lose(self) -> None:
        """Redis forgets. What went before cannot be known but by the system's word, so it is not held against us."""
        for key in self.client.scan_iter(f"limit:{{{self.pool.name}}}:*"):
            self.client.delete(key)
        self.holding.clear()
        self._check()
        self.forgotten = len(self.arrived)

    def teardown(self) -> None:
        if not hasattr(self, "waiting"):
            return
        self._check()
        for _ in range(300):
            if not self.waiting:
                break
            self.sleep(WINDOW)
        assert not self.waiting, "nobody waits for ever"
        self._check()

    def _ask(self, caller: Caller, since: float | None = None) -> None:
        asked_at = self.time
        try:
            booking = self.limiter.reserve(self.pool, caller.lane, patience=caller.patience, slot=caller.slot)
        except Throttled as busy:
            caller.wakes_at = self.time + busy.retry_in_s + TICK
            caller.patience = PATIENT  # one who always leaves at once has no place, and no claim
            self.waiting.append(caller)
            return
        assert booking.wait_s <= caller.patience + 1e-6
        if booking.wait_s > 0:
            caller.wakes_at = self.time + booking.wait_s + TICK
            self.waiting.append(caller)
            return
        is_kept = since is not None and asked_at - since <= GUARD - 1e-6
        self.arrived.append(
            min(self.time + caller.delay, since + GUARD) if is_kept and since else asked_at + caller.delay
        )
        if not self.limiter.usage(self.pool).is_known:
            recent = sum(at > self.time - WINDOW for at in self.arrived)
            self.limiter.learn(self.pool, max(0, self.pool.limit - recent), WINDOW / 2)

    def _check(self) -> None:
        arrived = sorted(self.arrived[self.forgotten :])
        for first, beyond in zip(arrived, arrived[self.limit :], strict=False):
            assert beyond - first >= WINDOW - 1e-5


@pytest.mark.parametrize("examples", [60])
def test_no_window_holds_more_than_the_limit_and_everybody_is_served_in_the_end(valkey_url: str, examples: int) -> None:
    Machine.client = redis.Redis.from_url(valkey_url)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    Machine.client.close()
