"""What calls were spent on, by all workers: a hash per minute in Redis, kept for a little over an hour.

Each process tells at most once a second, and at the end of each step, what it has called; a worker that is killed takes
that second's calls with it. It is an account for people: if Redis is away calls are made all the same, and are not counted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import redis
from redis.exceptions import RedisError

from syncengine import clock

log = logging.getLogger(__name__)

HOUR_MIN = 60
_KEPT_S = 62 * 60
_TOLD_EVERY_S = 1.0
_REST_S = 30.0  # without a word to a Redis that did not answer, so that no call waits for it
_BETWEEN = "\t"


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls of one kind within the last hour, and how long they took together (seconds)."""

    endpoint: str
    flow: str
    lane: str
    operation: str
    calls: int
    took_s: float


class Meter:
    """Counts calls by endpoint, flow, lane and operation. May be shared by threads."""

    def __init__(self, client: redis.Redis, *, prefix: str = "calls", now: Callable[[], datetime] = clock.now) -> None:
        self._client, self._prefix, self._now = client, prefix, now
        self._lock = threading.Lock()
        self._untold: dict[str, dict[str, int]] = {}  # by key of the minute: calls, and microseconds
        self._told_at = self._rests_until = float("-inf")

    def count(self, *, endpoint: str, flow: str, lane: str, operation: str, took_s: float) -> None:
        """Note one call. Raises nothing: what cannot be noted is left out."""
        key = self._key(int(self._now().timestamp()) // 60)
        what = _BETWEEN.join((endpoint, flow, lane, operation))
        with self._lock:
            minute = self._untold.setdefault(key, {})
            minute[what] = minute.get(what, 0) + 1
            minute[what + _BETWEEN] = minute.get(what + _BETWEEN, 0) + round(took_s * 1_000_000)
        if clock.monotonic() >= self._told_at + _TOLD_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Have all that was counted here known to everybody. Raises nothing."""
        with self._lock:
            untold, self._untold = self._untold, {}
        if not untold or clock.monotonic() < self._rests_until:
            return
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for key, minute in untold.items():
                    for what, number in minute.items():
                        pipe.hincrby(key, what, number)
                    pipe.expire(key, _KEPT_S)
                pipe.execute()
            self._told_at = clock.monotonic()
        except RedisError as error:
            self._rests_until = clock.monotonic() + _REST_S
            log.warning("calls are not counted for %.0f s: %s", _REST_S, type(error).__name__)

    def last_hour(self) -> list[Spent]:
        """The calls of the last hour, the most frequent first. Raises redis.exceptions.RedisError."""
        self.tell()
        minute = int(self._now().timestamp()) // 60
        with self._client.pipeline(transaction=False) as pipe:
            for ago in range(HOUR_MIN):
                pipe.hgetall(self._key(minute - ago))
            minutes = pipe.execute()
        totals: dict[str, int] = {}
        for one in minutes:
            for what, number in one.items():
                name = what.decode() if isinstance(what, bytes) else str(what)
                totals[name] = totals.get(name, 0) + int(number)
        spent = []
        for what, calls in totals.items():
            if not what.endswith(_BETWEEN):
                endpoint, flow, lane, operation = what.split(_BETWEEN)
                took_s = totals.get(what + _BETWEEN, 0) / 1_000_000
                spent.append(Spent(endpoint, flow, lane, operation, calls, took_s))
        return sorted(spent, key=lambda one: (-one.calls, one.endpoint, one.operation))

    def _key(self, minute: int) -> str:
        return f"{self._prefix}:{minute}"
