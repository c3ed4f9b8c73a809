"""For any interleaving of bookings, delays, returns, corrections and closed gates the window is never exceeded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.errors import Throttled
from syncengine.http.limiter import Booking, Limiter, Pool

WINDOW, GUARD = 10.0, 0.5
START = 1_700_000_000.0

_numbers = itertools.count()

steps = st.one_of(
    st.tuples(st.just("book"), st.floats(0, 30), st.floats(0, GUARD)),
    st.tuples(st.just("sleep"), st.floats(0, 12), st.just(0.0)),
    st.tuples(st.just("return"), st.integers(0, 30), st.just(0.0)),
    st.tuples(st.just("learn"), st.integers(0, 6), st.floats(0, WINDOW)),
    st.tuples(st.just("close"), st.floats(0, 15), st.just(0.0)),
    st.tuples(st.just("late"), st.integers(0, 30), st.floats(0, 20)),
)


@dataclass
class World:
    """Several callers on one clock: what they have booked, and when their calls arrive."""

    limiter: Limiter
    pool: Pool
    time: float = START
    waiting: list[tuple[float, float, Booking]] = field(default_factory=list)  # slot time, delay, booking
    arrived: list[float] = field(default_factory=list)

    def act(self, step: tuple[str, float, float]) -> None:
        getattr(self, step[0])(step[1], step[2])

    def book(self, patience: float, delay: float) -> None:
        try:
            booking = self.limiter.reserve(self.pool, "scheduled", patience=patience)
        except Throttled:
            return
        assert booking.wait_s <= patience + 1e-6
        self.waiting.append((self.time + booking.wait_s, delay, booking))

    def sleep(self, seconds: float, _: float) -> None:
        """Time passes; calls whose slot has come confirm it, as `take` does, and arrive after their delay."""
        until = self.time + seconds
        while due := sorted((entry for entry in self.waiting if entry[0] <= until), key=lambda entry: entry[0]):
            at, delay, booking = due[0]
            self.waiting.remove(due[0])
            self.time = max(self.time, at)
            self._confirm(delay, booking)
        self.time = max(self.time, until)

    def late(self, index: int, seconds: float) -> None:
        """One caller sleeps far too long."""
        if self.waiting:
            at, delay, booking = self.waiting.pop(index % len(self.waiting))
            self.sleep(max(0.0, at - self.time) + seconds, 0)
            self._confirm(delay, booking)

    def _confirm(self, delay: float, booking: Booking) -> None:
        try:
            again = self.limiter.reserve(self.pool, "scheduled", patience=30, slot=booking.slot)
        except Throttled:
            return
        if again.wait_s > 0:
            self.waiting.append((self.time + again.wait_s, delay, again))
        else:
            self.arrived.append(self.time + delay)

    def learn(self, remaining: int, resets_in_s: float) -> None:
        self.limiter.learn(self.pool, remaining, resets_in_s)

    def close(self, seconds: float, _: float) -> None:
        self.limiter.close(self.pool, seconds)

    def give_back(self, index: int) -> None:
        if self.waiting:
            self.waiting.pop(index % len(self.waiting))[2].give_back()

    def __getattr__(self, name: str) -> object:
        if name == "return":
            return lambda index, _: self.give_back(int(index))
        raise AttributeError(name)


@pytest.fixture(scope="module")
def module_client(valkey_url: str) -> redis.Redis:
    return redis.Redis.from_url(valkey_url)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 5), probed=st.booleans(), script=st.lists(steps, max_size=60))
def test_no_window_ever_holds_more_than_the_limit(
    module_client: redis.Redis, limit: int, probed: bool, script: list[tuple[str, float, float]]
) -> None:
    pool = Pool(f"p:{next(_numbers)}", limit=limit, window_s=WINDOW, guard_s=GUARD)
    world = World(Limiter(module_client, now=lambda: world.time), pool)
    if probed:
        world.learn(limit, 0)
    for step in script:
        world.act(step)
    world.sleep(200, 0)

    arrived = sorted(world.arrived)
    for index in range(len(arrived) - limit):
        assert arrived[index + limit] - arrived[index] >= WINDOW - 1e-5


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 4), script=st.lists(steps, max_size=30), callers=st.integers(1, 12))
def test_every_waiter_is_served_in_the_end(
    module_client: redis.Redis, limit: int, script: list[tuple[str, float, float]], callers: int
) -> None:
    pool = Pool(f"w:{next(_numbers)}", limit=limit, window_s=WINDOW, guard_s=GUARD)
    world = World(Limiter(module_client, now=lambda: world.time), pool)
    world.learn(limit, 0)
    for step in script:
        world.act(step)
    world.sleep(200, 0)
    before = len(world.arrived)
    for _ in range(callers):
        world.book(10_000, 0)
    world.sleep(10_000, 0)
    assert len(world.arrived) == before + callers
