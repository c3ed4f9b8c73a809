"""One limiter for all workers and hosts: an exact rolling window per pool of calls, kept in Redis by `window.lua`.

A slot is booked ahead and says when its call may leave, so a caller sleeps once. The window is longer than the system's
by a guard, for the time between grant and arrival: 60 s + 0.5 s gave no window over the limit at 99.2 % use
(reference/celery.md section 6). Without Redis no call is made.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import redis
from redis import exceptions

from syncengine import clock
from syncengine.errors import Misconfigured, Throttled, Transient
from syncengine.http.waiting import wait

log = logging.getLogger(__name__)

PROBE_S = 10.0
"""How long the one call that finds out the state of a window may take before another one is let through."""

_ASK_AGAIN_S = 0.25
_MICRO = 1_000_000
_REDIS_AWAY = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.OutOfMemoryError,
)


@dataclass(frozen=True, slots=True)
class Pool:
    """Calls that are counted together by a system.

    name: ``system:account:app``, for example ``brightpearl:acme:sync``; two endpoints of one app share it.
    limit: calls that the system admits in `window_s` seconds. guard_s: see the module. reserve: calls of these that are
    left for other users of the same pool.
    """

    name: str
    limit: int = 200
    window_s: float = 60.0
    guard_s: float = 0.5
    reserve: int = 0

    def __post_init__(self) -> None:
        if self.limit - self.reserve < 1:
            raise Misconfigured(
                f"{self.name}: a reserve of {self.reserve} leaves none of {self.limit} calls; set it below the limit"
            )


@dataclass(frozen=True, slots=True)
class Usage:
    """A window as it stands: slots taken of `of`, seconds that the gate stays closed, whether the state is known."""

    taken: int
    of: int
    closed_for_s: float
    is_known: bool


class Booking:
    """One slot. Make the call once `wait_s` has passed, or give the slot back."""

    def __init__(self, limiter: Limiter, pool: Pool, slot: str, wait_s: float) -> None:
        self.wait_s = wait_s
        self.pool = pool
        self.slot = slot
        self._limiter = limiter
        self._late_after = clock.monotonic() + wait_s + pool.guard_s

    def give_back(self) -> None:
        """The call was not made: its slot is free for another one."""
        self._limiter.give_back(self.pool, self.slot)

    def renew_if_late(self, *, patience: float) -> None:
        """Book anew, and wait for it, if more than the guard has passed since the slot's time. Raises as `take`."""
        if clock.monotonic() > self._late_after:
            renewed = self._limiter.take(self.pool, "", patience=patience, slot=self.slot)
            self._late_after = renewed._late_after


class Limiter:
    """Slots of rolling windows. May be shared by threads; `now` (seconds) replaces the server's clock in tests."""

    def __init__(self, client: redis.Redis, *, now: Callable[[], float] | None = None, prefix: str = "limit") -> None:
        source = resources.files(__package__).joinpath("window.lua").read_text()
        self._script = client.register_script(source)
        self._now = now
        self._prefix = prefix

    def reserve(self, pool: Pool, lane: str, *, patience: float, slot: str | None = None) -> Booking:
        """Book the next free call of a pool's window.

        Args:
            lane: realtime, scheduled or backfill.
            patience: longest wait in seconds that the caller is ready to sleep.
            slot: a slot booked before: it is kept if it still stands, else booked anew.

        Returns:
            The booking; its `wait_s` is 0.0 for now. The slot is taken: call, or give it back.

        Raises:
            Throttled: the wait exceeds `patience`; `retry_in_s` gives it; nothing is booked.
            Transient: Redis is away; nothing was booked and no call may be made.

        Source: 200 calls a minute (reference/brightpearl.md section 5); 0.5 s guard (reference/celery.md section 6).
        """
        slot = slot or f"{lane}:{uuid.uuid4().hex}"
        verdict, micros = self._ask(pool, "reserve", slot, _micros(patience), _micros(PROBE_S))
        wait_s = int(micros) / _MICRO
        if verdict == "go":
            return Booking(self, pool, slot, wait_s)
        if verdict == "unknown":
            raise Throttled(
                f"{pool.name}: one call is finding out how many are left", retry_in_s=min(wait_s, _ASK_AGAIN_S)
            )
        raise Throttled(f"{pool.name}: the next free call is {wait_s:.1f} s away", retry_in_s=wait_s)

    def take(self, pool: Pool, lane: str, *, patience: float, slot: str | None = None) -> Booking:
        """A slot whose time has come: as `reserve`, and waits, renewing the lease, for at most `patience` seconds.

        A slot that was waited for is confirmed, since Redis may have lost it meanwhile, or the gate been closed.
        """
        slot = slot or f"{lane}:{uuid.uuid4().hex}"
        until = clock.monotonic() + patience
        while True:
            left = max(0.0, until - clock.monotonic())
            try:
                booking = self.reserve(pool, lane, patience=left, slot=slot)
                wait_s = booking.wait_s
            except Throttled as busy:
                if busy.retry_in_s > left:
                    raise
                wait_s = busy.retry_in_s
            else:
                if wait_s <= 0:
                    return booking
            self._wait(pool, slot, wait_s)

    def learn(self, pool: Pool, remaining: int, resets_in_s: float) -> None:
        """Take over what the system itself says: calls remaining, after the one answered, and seconds until its reset.

        Fewer than we know of: others use the pool, and their calls count until the reset. After a lost state the first
        answer seeds the window. More than we know of changes nothing.
        """
        self._tell(pool, "learn", max(0, pool.limit - remaining), _micros(resets_in_s))

    def close(self, pool: Pool, for_s: float) -> None:
        """The system refused a call as one too many: let none leave for so many seconds, booked or not."""
        self._tell(pool, "close", _micros(for_s))

    def give_back(self, pool: Pool, slot: str) -> None:
        """Free the slot of a call that was not made."""
        self._tell(pool, "return", slot)

    def usage(self, pool: Pool) -> Usage:
        """The window as it stands, for people. Raises Transient if Redis is away."""
        _, taken, closed_for, known = self._ask(pool, "usage")
        return Usage(int(taken), pool.limit - pool.reserve, int(closed_for) / _MICRO, bool(int(known)))

    def _wait(self, pool: Pool, slot: str, seconds: float) -> None:
        """Wait; whoever does not come back from it, because its lease is lost, leaves no slot behind."""
        returned = False
        try:
            wait(seconds)
            returned = True
        finally:
            if not returned:
                self.give_back(pool, slot)

    def _tell(self, pool: Pool, verb: str, *arguments: int | str) -> None:
        """For what improves the state but must not fail the call that was made; the next answer tells the same."""
        try:
            self._ask(pool, verb, *arguments)
        except Transient as away:
            log.warning("limiter: %s not noted for %s: %s", verb, pool.name, away)

    def _ask(self, pool: Pool, verb: str, *arguments: int | str) -> list[Any]:
        base = f"{self._prefix}:{{{pool.name}}}"
        now = "" if self._now is None else str(_micros(self._now()))
        window = _micros(pool.window_s + pool.guard_s)
        head: list[int | str] = [verb, now, pool.limit - pool.reserve, window, _micros(pool.guard_s)]
        try:
            answer: list[Any] = self._script(keys=[f"{base}:slots", f"{base}:state"], args=head + list(arguments))
        except _REDIS_AWAY as error:
            kind = type(error).__name__
            raise Transient(f"the limiter's Redis is away ({kind}), and without it no call may be made") from error
        return [part.decode() if isinstance(part, bytes) else part for part in answer]


def _micros(seconds: float) -> int:
    return round(max(0.0, seconds) * _MICRO)
