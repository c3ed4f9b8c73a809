"""What a caller of the network must respect: the engine's lease. Set by the engine, asked by the session and the waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Guard(Protocol):
    """A lease that is held around calls, as seen from below."""

    lane: str
    """realtime, scheduled or backfill: in which order calls are admitted."""

    def renew(self) -> None:
        """Make the lease last for a whole further call or wait. Raises whatever ends the step if it is lost."""

    def check(self) -> None:
        """Called immediately before the bytes leave. Raises if the lease has run out on the monotonic clock."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """A call was made, answered or not: for the account of what calls went on. Raises nothing."""


class _NoGuard:
    lane = "scheduled"

    def renew(self) -> None:
        """Nobody else works on it."""

    def check(self) -> None:
        """Nobody else works on it."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Nobody keeps an account."""


_current: ContextVar[Guard] = ContextVar("guard", default=_NoGuard())  # noqa: B039 - stateless default


def current() -> Guard:
    """The guard of the running step; outside of a step one that always agrees."""
    return _current.get()


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Have `guard` asked around every call that is made inside."""
    token = _current.set(guard)
    try:
        yield
    finally:
        _current.reset(token)
