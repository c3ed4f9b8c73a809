"""The only source of time: aware UTC, and a monotonic clock for leases."""

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
    """Parse a point in time in ISO 8601. Returns UTC; a time without a zone is taken as UTC. Raises ValueError.

    The zone of the host does not matter: it differs between hosts and from the user's zone.
    """
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def monotonic() -> float:
    """Seconds on a clock that never jumps and counts suspended time; for leases and time-outs, not for storage."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def sleep(seconds: float) -> None:
    """Sleep for `seconds`. The engine sleeps only here, so that tests can replace it."""
    time.sleep(max(0.0, seconds))


def spell(seconds: float) -> str:
    """A duration for people, in the largest unit of which there are two or more: `3 hours`, `119 seconds`."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    count = f"{seconds:.0f}"
    return f"{count} second" if count == "1" else f"{count} seconds"
