"""The engine's lease as the network layer sees it. The engine sets it; the session and waits ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Guard(Protocol):
    """A lease that is held around calls."""

    lane: str
    """realtime, scheduled or backfill: decides the order in which calls are admitted."""

    def renew(self) -> None:
        """Extend the lease for one more call or wait. Raises, to end the step, if the lease is lost."""

    def check(self) -> None:
        """Called immediately before the bytes leave. Raises if the lease has run out on the monotonic clock."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Count a call, answered or not, for the budget report. `took_s`: seconds. Raises nothing."""


class _NoGuard:
    lane = "scheduled"

    def renew(self) -> None:
        """Without a lease there is nothing to do."""

    def check(self) -> None:
        """Without a lease there is nothing to do."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Nobody counts calls here."""


_current: ContextVar[Guard] = ContextVar("guard", default=_NoGuard())  # noqa: B039 - stateless default


def current() -> Guard:
    """The guard of the running step; outside a step, a guard that allows everything."""
    return _current.get()


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Ask `guard` around every call made inside."""
    token = _current.set(guard)
    try:
        yield
    finally:
        _current.reset(token)
