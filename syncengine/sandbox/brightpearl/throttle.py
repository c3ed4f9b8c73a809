"""The 200 calls a minute and the two headers that report them (brightpearl.md section 5)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from syncengine.sandbox.switches import Switches

BODY = '{"response":"You have sent too many requests. Please wait before sending another request"}'


class Grant(NamedTuple):
    """The outcome of one call: `remaining` after it is counted, and milliseconds until the window resets."""

    is_allowed: bool
    remaining: int
    next_period_ms: int


@dataclass(slots=True)
class _Pool:
    period: int = -1
    used: int = 0
    times: deque[float] = field(default_factory=deque)


class Throttle:
    """Counts calls by pool; safe from any thread."""

    def __init__(self, switches: Switches, clock: Callable[[], float]) -> None:
        self._switches = switches
        self._clock = clock  # seconds
        self._lock = threading.Lock()
        self._pools: dict[str, _Pool] = {}

    def take(self, pool_name: str) -> Grant:
        """Count one call in a pool and say whether it may pass."""
        limit, window = self._switches.integer("brightpearl_limit"), self._switches.number("brightpearl_window_s")
        if limit <= 0:
            return Grant(True, 199, int(window * 1000))
        with self._lock:
            pool = self._pools.setdefault(pool_name, _Pool())
            if self._switches.text("brightpearl_window") == "rolling":
                return self._rolling(pool, limit, window)
            return self._calendar(pool, limit, window)

    def _calendar(self, pool: _Pool, limit: int, window: float) -> Grant:
        """The window ends with the server's minute, whenever its first call came."""
        now = self._clock()
        period = int(now // window)
        if pool.period != period:
            pool.period, pool.used = period, 0
        is_allowed = pool.used < limit
        pool.used += 1 if is_allowed else 0
        left_ms = int(((period + 1) * window - now) * 1000)
        return Grant(is_allowed, limit - pool.used, min(max(left_ms, 0), int(window * 1000)))

    def _rolling(self, pool: _Pool, limit: int, window: float) -> Grant:
        now = self._clock()
        while pool.times and pool.times[0] <= now - window:
            pool.times.popleft()
        is_allowed = len(pool.times) < limit
        if is_allowed or self._switches.on("brightpearl_refused_calls_cost"):
            pool.times.append(now)
        # The call that must leave the window before another is allowed: the oldest, or a later one if refused calls count.
        blocking = pool.times[max(0, len(pool.times) - limit)] if pool.times else now
        left_ms = int((blocking + window - now) * 1000)
        return Grant(is_allowed, max(0, limit - len(pool.times)), min(max(left_ms, 0), int(window * 1000)))
