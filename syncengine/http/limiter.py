"""One limiter for all workers and hosts: an exact rolling window per pool of calls, kept in Redis by `window.lua`.

A caller gets a slot at once, or a place in line and the time of its turn, so it sleeps only once. Realtime goes first and
nearly always finds a free slot. The other lanes take turns, one call per window/limit, so that none of their bursts uses up
the window. The window is longer than the system's by a guard, which covers the time between grant and arrival: with 60 s +
0.5 s no window exceeded the limit at 99.2 % use (reference/celery.md section 6). Without Redis no call is made.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import redis
from redis import exceptions

from syncengine import clock
from syncengine.errors import Misconfigured, Throttled, bounded_wait_s
from syncengine.http.waiting import wait

log = logging.getLogger(__name__)

PROBE_S = 10.0
"""How long the call that determines the state of a window may take before another call may try."""

LANES = ("realtime", "scheduled", "backfill")

COMPLAIN_EVERY_S = 60.0
"""Interval between log lines about a Redis that is away, per process."""

AWAY_S = 20.0
"""Retry interval while Redis is away. Longer than any Celery retry, which would have to go through that Redis, so that the
records wait in SQL."""

_ASK_AGAIN_S = 0.25
_MICRO = 1_000_000


class RedisAway(Throttled):
    """The limiter's Redis does not answer, or accepts no writes (its disk is full, it is loading, it is a replica).

    No slot was taken, and no call may be made. Does not count as an attempt.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"the limiter's Redis is away ({kind}); without it no call may be made", retry_in_s=AWAY_S)


@dataclass(frozen=True, slots=True)
class Pool:
    """Calls that a system counts together.

    name: ``system:account:app``, for example ``brightpearl:acme:sync``; two endpoints of one app share it. limit: calls
    that the system admits in `window_s` seconds. guard_s: see the module. reserve: calls that are left for other users of
    the pool. realtime_share: the part of a window for which a slot must have been free before a lane other than realtime
    takes it. 0.5 % is one call of 200, which is lost while there is no realtime work.
    """

    name: str
    limit: int = 200
    window_s: float = 60.0
    guard_s: float = 0.5
    reserve: int = 0
    realtime_share: float = 0.005

    def __post_init__(self) -> None:
        if self.limit - self.reserve < 1:
            raise Misconfigured(
                f"a reserve of {self.reserve} leaves no calls of {self.limit}", "Set it below the limit", of=self.name
            )


@dataclass(frozen=True, slots=True)
class Usage:
    """The current state of a window.

    taken: slots taken, of `of`. closed_for_s: seconds for which no call may leave. is_known: whether the count is known.
    waiting: callers in line. paced_wait_s: how long one more caller of the lower lanes would wait.
    """

    taken: int
    of: int
    closed_for_s: float
    is_known: bool
    waiting: int = 0
    paced_wait_s: float = 0.0


class Booking:
    """A slot, if `wait_s` is 0.0: make the call, or give it back. Otherwise a place in line: ask again after `wait_s`."""

    def __init__(self, limiter: Limiter, pool: Pool, lane: str, slot: str, wait_s: float, late_after: float) -> None:
        self.wait_s = wait_s
        self.pool = pool
        self.lane = lane
        self.slot = slot
        self._limiter = limiter
        self._late_after = late_after

    def give_back(self) -> None:
        """Free the slot of a call that was not made."""
        self._limiter.give_back(self.pool, self.slot)

    def renew_if_late(self, *, patience: float) -> None:
        """Take the slot again, and wait for it, if more than the guard has passed since its time. Raises as `take`."""
        if self.wait_s > 0 or clock.monotonic() > self._late_after:
            renewed = self._limiter.take(self.pool, self.lane, patience=patience, slot=self.slot)
            self.wait_s, self._late_after = 0.0, renewed._late_after


class Limiter:
    """Slots of rolling windows. May be shared by threads; `now` (seconds) replaces the server's clock in tests."""

    def __init__(self, client: redis.Redis, *, now: Callable[[], float] | None = None, prefix: str = "limit") -> None:
        self._client = client
        self._source = resources.files(__package__).joinpath("window.lua").read_text()
        self._scripts: dict[Pool, _Script] = {}
        self._now = now
        self._prefix = prefix
        self._away_since: float | None = None
        self._complained_at = float("-inf")

    def reserve(self, pool: Pool, lane: str, *, patience: float, slot: str | None = None) -> Booking:
        """A slot of a pool's window, or a place in line for one.

        Args:
            lane: realtime, scheduled or backfill.
            patience: longest wait in seconds that the caller accepts.
            slot: the slot of an earlier booking, which keeps its place in line.

        Returns:
            The booking. If its `wait_s` is 0.0 the slot is taken: call, or give it back. Otherwise ask again for the same
            slot after `wait_s` seconds, or give it back; a caller that does neither loses its place.

        Raises:
            Throttled: the wait (`retry_in_s`) exceeds `patience`; no place is held.
            RedisAway: Redis does not answer; no slot was taken and no call may be made.

        Source: 200 calls a minute (reference/brightpearl.md section 5); 0.5 s guard (reference/celery.md section 6).
        """
        if lane not in LANES:
            raise ValueError(f"unknown lane {lane!r}; the lanes are {', '.join(LANES)}")
        slot = slot or f"{lane}:{uuid.uuid4().hex}"
        asked_at = clock.monotonic()
        verdict, micros, age = self._ask(pool, "reserve", slot, lane, _micros(patience), _micros(PROBE_S))
        wait_s = int(micros) / _MICRO
        if verdict in ("go", "wait"):
            late_after = asked_at + pool.guard_s - int(age) / _MICRO
            return Booking(self, pool, lane, slot, wait_s, late_after)
        if verdict == "unknown":
            raise Throttled(
                "one call is determining how many are left", retry_in_s=min(wait_s, _ASK_AGAIN_S), of=pool.name
            )
        raise Throttled(f"the next free call is {wait_s:.1f} s away", retry_in_s=wait_s, of=pool.name)

    def take(self, pool: Pool, lane: str, *, patience: float, slot: str | None = None) -> Booking:
        """A slot: as `reserve`, but waits for its turn for at most `patience` seconds and renews the lease meanwhile.

        If Redis stays away that long, raises RedisAway. The log has one line per minute about it.
        """
        slot = slot or f"{lane}:{uuid.uuid4().hex}"
        until = clock.monotonic() + patience
        while True:
            left = max(0.0, until - clock.monotonic())
            try:
                booking = self.reserve(pool, lane, patience=left, slot=slot)
                wait_s = booking.wait_s
            except RedisAway:
                if left <= 0:
                    raise
                wait_s = min(left, _ASK_AGAIN_S)
            except Throttled as busy:
                if busy.retry_in_s > left:
                    raise
                wait_s = busy.retry_in_s
            else:
                if wait_s <= 0:
                    return booking
            self._wait(pool, slot, wait_s)

    def learn(self, pool: Pool, remaining: int, resets_in_s: float, *, age_s: float = 0.0) -> None:
        """Apply the system's own count, as an answer reports it.

        If fewer calls remain than we count, others use the pool, and their calls count until the reset. After a lost state
        the first answer seeds the window. If more remain, nothing changes.

        Args:
            remaining: calls remaining after the answered one. resets_in_s: seconds until the system's reset.
            age_s: how long ago the system may have counted: the duration of the call.
        """
        counted = max(0, pool.limit - remaining)
        self._tell(pool, "learn", counted, _micros(bounded_wait_s(resets_in_s)), _micros(age_s), pool.reserve)

    def close(self, pool: Pool, for_s: float) -> None:
        """Let no call leave for `for_s` seconds, booked or not, because the system refused a call as one too many.

        At most `LONGEST_WAIT_S`: all workers obey, and a system that needs longer will refuse again.
        """
        self._tell(pool, "close", _micros(bounded_wait_s(for_s)))

    def give_back(self, pool: Pool, slot: str) -> None:
        """Free the slot of a call that was not made."""
        self._tell(pool, "return", slot)

    def usage(self, pool: Pool) -> Usage:
        """The current state of the window, for people. Raises RedisAway."""
        _, taken, closed_for, known, waiting, paced_wait = self._ask(pool, "usage")
        return Usage(
            taken=int(taken),
            of=pool.limit - pool.reserve,
            closed_for_s=int(closed_for) / _MICRO,
            is_known=bool(int(known)),
            waiting=int(waiting),
            paced_wait_s=int(paced_wait) / _MICRO,
        )

    def _wait(self, pool: Pool, slot: str, seconds: float) -> None:
        """Wait. If the wait raises, because the lease is lost, give the place in line back."""
        returned = False
        try:
            wait(seconds)
            returned = True
        finally:
            if not returned:
                self.give_back(pool, slot)

    def _tell(self, pool: Pool, verb: str, *arguments: int | str) -> None:
        """Send an update that must not fail the call that was made; the next answer repeats it."""
        try:
            self._ask(pool, verb, *arguments)
        except RedisAway as away:
            log.debug("limiter: %s not noted for %s: %s", verb, pool.name, away)

    def _ask(self, pool: Pool, verb: str, *arguments: int | str) -> list[Any]:
        script = self._scripts.get(pool)
        if script is None:
            script = self._scripts[pool] = _Script.of(self._source, pool, self._prefix)
        now = "" if self._now is None else _micros(self._now())
        try:
            answer = self._run(script, verb, (now, *script.head, *arguments))
        except exceptions.RedisError as error:
            kind = _kind(error)
            self._complain(kind)
            raise RedisAway(kind) from error
        if self._away_since is not None:
            log.warning("limiter: Redis is back after %.0f s", clock.monotonic() - self._away_since)
            self._away_since, self._complained_at = None, float("-inf")
        return [part.decode() if isinstance(part, bytes) else part for part in answer]

    def _run(self, script: _Script, verb: str, arguments: tuple[int | str, ...]) -> list[Any]:
        """Run the script. If Redis does not know it, mark the state as doubtful first, which makes the next call a probe.

        Redis forgets scripts when it restarts, and a replica that takes over has none. So a missing script means that the
        state may lack the latest calls. A Redis that refuses the mark (`MISCONF`) has not loaded the script either, so the
        next caller finds it missing too.
        """
        count, keys = len(script.keys), script.keys
        try:
            answer: list[Any] = self._client.evalsha(script.sha, count, *keys, verb, *arguments)
        except exceptions.NoScriptError:
            log.info("limiter: Redis has restarted, or never knew %s: one call determines its window", keys[0])
            self._client.eval(script.doubt, count, *keys, "doubt", *arguments)
            answer = self._client.eval(script.text, count, *keys, verb, *arguments)
        return answer

    def _complain(self, kind: str) -> None:
        """Log at most one line per minute about a Redis that is away."""
        at = clock.monotonic()
        if self._away_since is None:
            self._away_since = at
        if at - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = at
            away_s = at - self._away_since
            since = f" for {away_s:.0f} s" if away_s >= 1 else ""
            log.warning(
                "Redis is not reachable, or refuses writes (%s)%s, so call counts are unknown and calls wait. Is syncengine "
                "running? Start it with `syncengine up`",
                kind,
                since,
            )


@dataclass(frozen=True, slots=True)
class _Script:
    """`window.lua` for one pool, under its own name, so that each pool notices by itself that Redis has restarted.

    head: the arguments of every verb, after verb and time. doubt: the same script under another name, because Redis keeps
    every script that it receives, even one that fails.
    """

    text: str
    doubt: str
    sha: str
    keys: tuple[str, ...]
    head: tuple[int, ...]

    @classmethod
    def of(cls, source: str, pool: Pool, prefix: str) -> _Script:
        base = f"{prefix}:{{{pool.name}}}"
        text = f"-- {base!r}\n{source}"
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # as Redis names scripts
        keys = tuple(f"{base}:{part}" for part in ("slots", "state", "urgent", "paced", "due"))
        window_s = pool.window_s + pool.guard_s
        times = (_micros(seconds) for seconds in (window_s, pool.guard_s, window_s * pool.realtime_share))
        return cls(text, f"-- doubt\n{text}", sha, keys, (pool.limit - pool.reserve, *times))


def _kind(error: exceptions.RedisError) -> str:
    """The error's class and the code with which Redis begins its answer (`ResponseError MISCONF`), but no other text."""
    code = str(error).partition(" ")[0]
    return f"{type(error).__name__} {code}" if code.isalpha() and code.isupper() else type(error).__name__


def _micros(seconds: float) -> int:
    return round(max(0.0, seconds) * _MICRO)
