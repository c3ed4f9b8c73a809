"""The one place where the time is asked for: aware UTC, and a monotonic clock for leases."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The time of day, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never jumps; for leases and time-outs, not for storage."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Sleep; the only sleep of the engine, so that tests can see and replace it."""
    time.sleep(max(0.0, seconds))
