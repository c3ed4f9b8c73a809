"""The limiter of the product and two libraries behind one face, for limiter.py: all on the same Redis, 200 calls a minute.

`limits` has a moving window and `pyrate-limiter` a sliding log, both exact; neither tells when to come again, so their
callers ask ten times a second. Neither knows lanes nor a guard.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import limits
import pyrate_limiter
import redis
import requests

from syncengine.connectors.brightpearl.errors import throttled_for
from syncengine.errors import Throttled
from syncengine.http.limiter import Limiter, Pool

ASK_EVERY_S = 0.1
BEGIN_IN_S = 0.5


@dataclass(frozen=True)
class Window:
    """What is admitted: `limit` calls in `window_s` seconds; the product's own is longer by `guard_s`."""

    limit: int = 200
    window_s: float = 60.0
    guard_s: float = 0.5

    @property
    def calls_a_second(self) -> float:
        """What the guard leaves."""
        return self.limit / (self.window_s + self.guard_s)


class Candidate(Protocol):
    """One limiter on one pool."""

    def try_once(self, lane: str) -> bool:
        """Ask for a slot and take no for an answer."""

    def take(self, lane: str, until: float) -> bool:
        """Wait for a slot until `until` (monotonic seconds); False if there was none."""

    def learn(self, response: requests.Response) -> None:
        """What an answer of Brightpearl says."""


class Product:
    """`syncengine.http.limiter`, fed with the headers as the gateway does it."""

    def __init__(self, client: redis.Redis, name: str, window: Window) -> None:
        self._limiter = Limiter(client)
        self._pool = Pool(name, window.limit, window.window_s, window.guard_s)

    def try_once(self, lane: str) -> bool:
        try:
            return self._limiter.reserve(self._pool, lane, patience=0).wait_s == 0
        except Throttled:
            return False

    def take(self, lane: str, until: float) -> bool:
        while (left := until - time.monotonic()) > 0:
            try:
                self._limiter.take(self._pool, lane, patience=left)
                return True
            except Throttled as busy:  # as a step does: again after the requested time
                time.sleep(max(0.0, min(busy.retry_in_s, until - time.monotonic())))
        return False

    def learn(self, response: requests.Response) -> None:
        resets_in_s = int(response.headers["brightpearl-next-throttle-period"]) / 1000
        remaining = int(response.headers["brightpearl-requests-remaining"])
        self._limiter.learn(self._pool, remaining, resets_in_s, age_s=response.elapsed.total_seconds())
        if (wait_s := throttled_for(response)) is not None:
            self._limiter.close(self._pool, wait_s)


class _Asking(ABC):
    """A library that says only yes or no."""

    @abstractmethod
    def try_once(self, lane: str) -> bool:
        """Ask for a slot and take no for an answer."""

    def take(self, lane: str, until: float) -> bool:
        while time.monotonic() < until:
            if self.try_once(lane):
                return True
            time.sleep(ASK_EVERY_S)
        return False

    def learn(self, response: requests.Response) -> None:
        """It cannot take over what the system says; as is usual with 503, its caller sleeps."""
        if response.status_code == 503:
            time.sleep(int(response.headers["brightpearl-next-throttle-period"]) / 1000)


class Limits(_Asking):
    """`limits`, moving window."""

    def __init__(self, client: redis.Redis, name: str, window: Window) -> None:
        pool = client.connection_pool
        path = pool.connection_kwargs["path"]
        storage = limits.storage.RedisStorage(f"redis+unix://{path}", connection_pool=pool)
        self._strategy = limits.strategies.MovingWindowRateLimiter(storage)
        self._item = limits.RateLimitItemPerSecond(window.limit, int(window.window_s))
        self._name = name

    def try_once(self, lane: str) -> bool:  # noqa: ARG002 - it knows no lanes
        return self._strategy.hit(self._item, self._name)


class Pyrate(_Asking):
    """`pyrate-limiter`, its log in Redis."""

    def __init__(self, client: redis.Redis, name: str, window: Window) -> None:
        rate = pyrate_limiter.Rate(window.limit, int(window.window_s * 1000))
        bucket = pyrate_limiter.RedisBucket.init([rate], client, name)
        self._limiter = pyrate_limiter.Limiter(bucket)

    def try_once(self, lane: str) -> bool:  # noqa: ARG002 - it knows no lanes
        return bool(self._limiter.try_acquire("call", blocking=False))


class Ping(_Asking):
    """No limiter at all: a round trip to Redis, which is the least that any of them can cost on this machine."""

    def __init__(self, client: redis.Redis, name: str, window: Window) -> None:  # noqa: ARG002 - it counts nothing
        self._client = client

    def try_once(self, lane: str) -> bool:  # noqa: ARG002 - it knows no lanes
        return bool(self._client.ping())


CANDIDATES: dict[str, type[Product | Limits | Pyrate]] = {
    "syncengine": Product,
    "limits": Limits,
    "pyrate-limiter": Pyrate,
}
BARE = "bare round trip"


def candidate(kind: str, socket: str, name: str, window: Window) -> Candidate:
    """One of CANDIDATES, or BARE, connected to the Redis behind `socket`."""
    kinds: dict[str, type[Product | Limits | Pyrate | Ping]] = {**CANDIDATES, BARE: Ping}
    return kinds[kind](redis.Redis(unix_socket_path=socket), name, window)


def start_together(socket: str, name: str, processes: int) -> float:
    """Wait until this many processes have arrived; returns the monotonic time at which all of them begin."""
    client = redis.Redis(unix_socket_path=socket, decode_responses=True)
    if client.incr(f"come:{name}") == processes:
        client.set(f"begin:{name}", time.monotonic() + BEGIN_IN_S)
    while (begin := client.get(f"begin:{name}")) is None:
        time.sleep(BEGIN_IN_S / 10)
    client.close()
    time.sleep(max(0.0, float(begin) - time.monotonic()))
    return float(begin)
