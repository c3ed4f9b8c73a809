"""The one place where the time is asked for: aware UTC, and a monotonic clock for leases."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime


def _clock_that_counts_sleep() -> int | None:
    """The system's monotonic clock that runs while the machine is suspended; None where Python cannot read one.

    Linux: clock_gettime(2), CLOCK_BOOTTIME, as CLOCK_MONOTONIC leaves out suspended time. macOS: CLOCK_MONOTONIC of
    clock_gettime(3) continues while the system is asleep; `time.monotonic` reads mach_absolute_time, which does not.
    """
    if sys.platform == "darwin":
        return time.CLOCK_MONOTONIC
    return getattr(time, "CLOCK_BOOTTIME", None)


_CLOCK = _clock_that_counts_sleep()


def now() -> datetime:
    """The time of day, aware, in UTC."""
    return datetime.now(UTC)


def read(text: str) -> datetime:
    """A point in time as people write it (ISO 8601), in UTC; one without a zone is meant as UTC. Raises ValueError.

    The zone of a host says nothing of who wrote it, and differs between the hosts of an installation.
    """
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def monotonic() -> float:
    """Seconds on a clock that never jumps and counts suspended time; for leases and time-outs, not for storage."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def sleep(seconds: float) -> None:
    """Sleep; the only sleep of the engine, so that tests can see and replace it."""
    time.sleep(max(0.0, seconds))
