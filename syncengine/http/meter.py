"""Counts what the calls of all workers were spent on: a hash per minute in Redis, kept for a little over an hour.

Each process writes its counts at most once a second, and at the end of each step; a killed worker loses those of the last
second. The counts are for people: while Redis is away, calls are made but not counted.
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
_WRITE_EVERY_S = 1.0
_REST_S = 30.0  # pause after Redis did not answer, so that no call waits for it
_BETWEEN = "\t"


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls of one kind within the last hour. took_s: their total duration in seconds."""

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
        self._unwritten: dict[str, dict[str, int]] = {}  # by key of the minute: calls, and microseconds
        self._written_at = self._rests_until = float("-inf")

    def count(self, *, endpoint: str, flow: str, lane: str, operation: str, took_s: float) -> None:
        """Count one call. `took_s`: its duration in seconds. Raises nothing: a call that cannot be counted is left out."""
        key = self._key(int(self._now().timestamp()) // 60)
        what = _BETWEEN.join((endpoint, flow, lane, operation))
        with self._lock:
            minute = self._unwritten.setdefault(key, {})
            minute[what] = minute.get(what, 0) + 1
            minute[what + _BETWEEN] = minute.get(what + _BETWEEN, 0) + round(took_s * 1_000_000)
        if clock.monotonic() >= self._written_at + _WRITE_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Write the counts of this process to Redis. Raises nothing."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, {}
        if not unwritten or clock.monotonic() < self._rests_until:
            return
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for key, minute in unwritten.items():
                    for what, number in minute.items():
                        pipe.hincrby(key, what, number)
                    pipe.expire(key, _KEPT_S)
                pipe.execute()
            self._written_at = clock.monotonic()
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
        for minute_counts in minutes:
            for what, number in minute_counts.items():
                name = what.decode() if isinstance(what, bytes) else str(what)
                totals[name] = totals.get(name, 0) + int(number)
        spent = []
        for what, calls in totals.items():
            if not what.endswith(_BETWEEN):
                endpoint, flow, lane, operation = what.split(_BETWEEN)
                took_s = totals.get(what + _BETWEEN, 0) / 1_000_000
                spent.append(Spent(endpoint, flow, lane, operation, calls, took_s))
        return sorted(spent, key=lambda kind: (-kind.calls, kind.endpoint, kind.operation))

    def _key(self, minute: int) -> str:
        return f"{self._prefix}:{minute}"
