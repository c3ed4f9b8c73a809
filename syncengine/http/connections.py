"""Connections that report when a request is sent, and urllib3's log without queries.

A library's error does not always reveal whether a request was sent. So each call has a `Flight`: the connection opens first,
then asks the flight for permission, and only then sends the first byte.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Flight:
    """One call: the check immediately before its bytes leave, and whether they may have left.

    before_departure: called with the connection open; it raises to stop the call.
    """

    def __init__(self, before_departure: Callable[[], None]) -> None:
        self._before_departure = before_departure
        self._left = False
        self._started = False
        self._watched = False
        self._unconnected = False

    @property
    def never_left(self) -> bool:
        """True only if it is certain that not one byte of the request was sent."""
        return not self._left and (not self._started or self._watched or self._unconnected)

    def start(self) -> None:
        """The call was passed to the library."""
        self._started = True

    def watch(self) -> None:
        """Our own connections handle the call, and they report its departure."""
        self._watched = True

    def depart(self) -> None:
        """The connection is open; the bytes leave when this returns."""
        self._before_departure()
        self._left = True

    def failed(self, error: Exception) -> None:
        """The library raised an error. Some errors show that there was no connection."""
        self._unconnected = any(
            isinstance(cause, requests.ConnectTimeout | urllib3.exceptions.NewConnectionError)
            for cause in causes(error)
        )


_flight: ContextVar[Flight | None] = ContextVar("flight", default=None)


@contextmanager
def departing(flight: Flight) -> Iterator[None]:
    """Make calls inside as this flight."""
    token = _flight.set(flight)
    try:
        yield
    finally:
        _flight.reset(token)


class _AsksFirst(HTTPConnection):
    """A connection that opens before it asks whether the request may leave."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Connect if necessary, ask, send."""
        if self.sock is None:
            self.connect()
        if (flight := _flight.get()) is not None:
            flight.depart()
        super().request(*args, **kwargs)


class _SecureAsksFirst(_AsksFirst, HTTPSConnection):
    """The same over TLS; the handshake comes before the question."""


class _ConnectionPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _AsksFirst

    def urlopen(self, *args: Any, **kwargs: Any) -> urllib3.BaseHTTPResponse:
        """As in urllib3, but the flight knows that its departure is reported."""
        if (flight := _flight.get()) is not None:
            flight.watch()
        return super().urlopen(*args, **kwargs)


class _SecureAsksFirstPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureAsksFirst

    def urlopen(self, *args: Any, **kwargs: Any) -> urllib3.BaseHTTPResponse:
        """As in urllib3, but the flight knows that its departure is reported."""
        if (flight := _flight.get()) is not None:
            flight.watch()
        return super().urlopen(*args, **kwargs)


class Adapter(requests.adapters.HTTPAdapter):
    """An adapter without retries that uses our connections, directly and through a proxy."""

    def __init__(self) -> None:
        super().__init__(max_retries=0, pool_maxsize=10)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As in requests, with our pools."""
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """As in requests, with our pools."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        _watch(manager)
        return manager


def _watch(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _ConnectionPool, "https": _SecureAsksFirstPool}


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: requests and urllib3 nest them in `args`, `reason` and `__cause__`."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        cause = queue.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            queue += [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]


class _NoQueries(logging.Filter):
    """Removes queries from urllib3's log: those of both systems contain secrets and order data."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the line per call, and cut queries from all others."""
        if record.levelno <= logging.DEBUG:
            return False
        if isinstance(record.args, tuple):
            record.args = tuple(arg.split("?", 1)[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_NoQueries())
