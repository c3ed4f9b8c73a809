"""Connections that know when the bytes of a call leave, and urllib3's log without queries.

A library's error does not always tell whether a request was sent. So each call has a `Flight`: the connection is opened
first, then asks the flight for leave, and only with that the first byte goes out.
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
    """One call on its way: what is asked immediately before its bytes leave, and whether they can have left."""

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
        """The call is handed over to the library."""
        self._started = True

    def watch(self) -> None:
        """The call is in the hands of our own connections, which report its departure."""
        self._watched = True

    def depart(self) -> None:
        """The connection is open; with the return of this the bytes leave."""
        self._before_departure()
        self._left = True

    def failed(self, error: Exception) -> None:
        """The library gave up; some of its errors say that there was no connection at all."""
        self._unconnected = any(
            isinstance(cause, requests.ConnectTimeout | urllib3.exceptions.NewConnectionError)
            for cause in causes(error)
        )


_flight: ContextVar[Flight | None] = ContextVar("flight", default=None)


@contextmanager
def departing(flight: Flight) -> Iterator[None]:
    token = _flight.set(flight)
    try:
        yield
    finally:
        _flight.reset(token)


class _Connection(HTTPConnection):
    """A connection that is open before it asks whether the request may leave."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Connect if need be, ask, send."""
        if self.sock is None:
            self.connect()
        if (flight := _flight.get()) is not None:
            flight.depart()
        super().request(*args, **kwargs)


class _SecureConnection(HTTPSConnection):
    """The same over TLS; the handshake is done before it asks."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Connect if need be, ask, send."""
        if self.sock is None:
            self.connect()
        if (flight := _flight.get()) is not None:
            flight.depart()
        super().request(*args, **kwargs)


class _ConnectionPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection

    def urlopen(self, *args: Any, **kwargs: Any) -> urllib3.BaseHTTPResponse:
        """As usual, and the flight knows that it is watched."""
        if (flight := _flight.get()) is not None:
            flight.watch()
        return super().urlopen(*args, **kwargs)


class _SecureConnectionPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection

    def urlopen(self, *args: Any, **kwargs: Any) -> urllib3.BaseHTTPResponse:
        """As usual, and the flight knows that it is watched."""
        if (flight := _flight.get()) is not None:
            flight.watch()
        return super().urlopen(*args, **kwargs)


class Adapter(requests.adapters.HTTPAdapter):
    """No retries, and the watched connections, directly and through a proxy."""

    def __init__(self) -> None:
        super().__init__(max_retries=0, pool_maxsize=10)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As usual, with our pools."""
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """As usual, with our pools."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        _watch(manager)
        return manager


def _watch(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _ConnectionPool, "https": _SecureConnectionPool}


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised for: requests and urllib3 nest them in `args`, `reason` and `__cause__`."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        cause = queue.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            queue += [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]


class _NoQueries(logging.Filter):
    """urllib3 logs whole URLs; queries of both systems carry secrets and order data, so they never reach a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the line per call, cut queries out of the rest."""
        if record.levelno <= logging.DEBUG:
            return False
        if isinstance(record.args, tuple):
            record.args = tuple(arg.split("?", 1)[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_NoQueries())
