"""One limiter for all workers and hosts: an exact rolling window per pool of calls, kept in Redis by `window.lua`.

Who asks gets a slot at once, or a place in line and the time at which its turn comes, so a caller sleeps once. Realtime
goes first and nearly always finds a slot free; the other lanes take turns, one call each window/limit, so that no burst
of theirs uses up the window. The window is longer than the system's by a guard, for the time between grant and arrival:
60 s + 0.5 s gave no window over the limit at 99.2 % use (reference/celery.md section 6). Without Redis no call is made.
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
"""How long the one call that finds out the state of a window may take before another one is let through."""

LANES = ("realtime", "scheduled", "backfill")

COMPLAIN_EVERY_S = 60.0
"""Between two log lines that say that Redis is away, per process."""

AWAY_S = 20.0
"""When to come again while Redis is away. Longer than any Celery retry, which would have to be sent through that Redis: so
the records wait in SQL."""

_ASK_AGAIN_S = 0.25
_MICRO = 1_000_000


class RedisAway(Throttled):
    """The limiter's Redis does not answer, or takes nothing (its disk is full, it is loading, it is a replica).

    Nothing was booked, and no call may be made. Costs no attempt.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"the limiter's Redis is away ({kind}), and without it no call may be made", retry_in_s=AWAY_S)


@dataclass(frozen=True, slots=True)
class Pool:
    """Calls that are counted together by a system.

    name: ``system:account:app``, for example ``brightpearl:acme:sync``; two endpoints of one app share it.
    limit: calls that the system admits in `window_s` seconds. guard_s: see the module. reserve: calls of these that are
    left for other users of the same pool. realtime_share: the part of a window for which a slot must have been free
    before another lane than realtime takes it; 0.5 % is one call of 200, and costs as much while no realtime work comes.
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
                f"a reserve of {self.reserve} leaves none of {self.limit} calls", "Set it below the limit", of=self.name
            )


@dataclass(frozen=True, slots=True)
class Usage:
    """A window as it stands: slots taken of `of`, seconds that the gate stays closed, whether the state is known.

    waiting: callers that hold a place in line. paced_wait_s: how long one more caller of the low lanes would wait.
    """

    taken: int
    of: int
    closed_for_s: float
    is_known: bool
    waiting: int = 0
    paced_wait_s: float = 0.0


class Booking:
    """A slot, if `wait_s` is 0.0: make the call, or give it back. Else a place in line: ask again once it has passed."""

    def __init__(self, limiter: Limiter, pool: Pool, lane: str, slot: str, wait_s: float, late_after: float) -> None:
        self.wait_s = wait_s
        self.pool = pool
        self.lane = lane
        self.slot = slot
        self._limiter = limiter
        self._late_after = late_after

    def give_back(self) -> None:
        """The call was not made: its slot is free for another one."""
        self._limiter.give_back(self.pool, self.slot)

    def renew_if_late(self, *, patience: float) -> None:
        """Take it anew, and wait for it, if more than the guard has passed since the slot's time. Raises as `take`."""
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
            patience: longest wait in seconds that the caller is ready to sleep.
            slot: the slot asked for before: it is kept if it still stands, so is its place in line.

        Returns:
            The booking. If its `wait_s` is 0.0 the slot is taken: call, or give it back. Else ask again for the same
            slot after so many seconds, or give it back; who does neither is passed over.

        Raises:
            Throttled: the wait exceeds `patience`; `retry_in_s` gives it; no place is held.
            RedisAway: Redis does not answer; nothing was booked and no call may be made.

        Source: 200 calls a minute (reference/brightpearl.md section 5); 0.5 s guard (reference/celery.md section 6).
        """
        if lane not in LANES:
            raise ValueError(f"no such lane: {lane!r}; there are {', '.join(LANES)}")
        slot = slot or f"{lane}:{uuid.uuid4().hex}"
        asked_at = clock.monotonic()
        verdict, micros, age = self._ask(pool, "reserve", slot, lane, _micros(patience), _micros(PROBE_S))
        wait_s = int(micros) / _MICRO
        if verdict in ("go", "wait"):
            late_after = asked_at + pool.guard_s - int(age) / _MICRO
            return Booking(self, pool, lane, slot, wait_s, late_after)
        if verdict == "unknown":
            raise Throttled(
                "one call is finding out how many are left", retry_in_s=min(wait_s, _ASK_AGAIN_S), of=pool.name
            )
        raise Throttled(f"the next free call is {wait_s:.1f} s away", retry_in_s=wait_s, of=pool.name)

    def take(self, pool: Pool, lane: str, *, patience: float, slot: str | None = None) -> Booking:
        """A slot: as `reserve`, and waits for its turn, renewing the lease, for at most `patience` seconds.

        While Redis is away it waits as long, and then raises RedisAway; one log line a minute tells of it.
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
        """Take over what the system itself says: calls remaining, after the one answered, and seconds until its reset.

        Fewer than we know of: others use the pool, and their calls count until the reset. After a lost state the first
        answer seeds the window. More than we know of changes nothing.

        Args:
            age_s: how long ago the system may have counted: the time that the call took.
        """
        counted = max(0, pool.limit - remaining)
        self._tell(pool, "learn", counted, _micros(bounded_wait_s(resets_in_s)), _micros(age_s), pool.reserve)

    def close(self, pool: Pool, for_s: float) -> None:
        """The system refused a call as one too many: let none leave for `for_s` seconds, booked or not.

        At most `LONGEST_WAIT_S`: all workers obey, and a system that means longer says so again.
        """
        self._tell(pool, "close", _micros(bounded_wait_s(for_s)))

    def give_back(self, pool: Pool, slot: str) -> None:
        """Free the slot of a call that was not made."""
        self._tell(pool, "return", slot)

    def usage(self, pool: Pool) -> Usage:
        """The window as it stands, for people. Raises RedisAway."""
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
        """Wait; whoever does not come back from it, because its lease is lost, leaves no place in line behind."""
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
        """Redis forgets scripts when it starts, and a replica that took over has none: who finds the script gone meets a
        state that may lack the latest calls. It says so before the script is loaded; a probe follows. A Redis that refuses
        the word (`MISCONF`) has loaded nothing by that, so whoever comes next finds the script gone as well."""
        count, keys = len(script.keys), script.keys
        try:
            answer: list[Any] = self._client.evalsha(script.sha, count, *keys, verb, *arguments)
        except exceptions.NoScriptError:
            log.info("limiter: Redis has begun anew, or never knew %s: one call finds out its window", keys[0])
            self._client.eval(script.doubt, count, *keys, "doubt", *arguments)
            answer = self._client.eval(script.text, count, *keys, verb, *arguments)
        return answer

    def _complain(self, kind: str) -> None:
        """One line a minute says that Redis is away, however many callers find out."""
        at = clock.monotonic()
        if self._away_since is None:
            self._away_since = at
        if at - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = at
            away_s = at - self._away_since
            log.warning("limiter: Redis is away (%s) for %.0f s; calls wait, none is made without a slot", kind, away_s)


@dataclass(frozen=True, slots=True)
class _Script:
    """`window.lua` for one pool, under a name of its own, so that each pool finds out by itself that Redis began anew.

    head: the arguments that every verb is given, behind verb and time. doubt: the same script under another name, since
    Redis keeps a script that it was given, also one that failed.
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
    """The error's class, and the code that Redis begins its answer with: `ResponseError MISCONF`. Its text may hold more."""
    code = str(error).partition(" ")[0]
    return f"{type(error).__name__} {code}" if code.isalpha() and code.isupper() else type(error).__name__


def _micros(seconds: float) -> int:
    return round(max(0.0, seconds) * _MICRO)
