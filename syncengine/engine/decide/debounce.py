"""When an object has stopped changing. Orders are built row by row at the source; none is pushed half-built. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

BY_HAND = "by hand"
"""In the place of a print: a person wants the object pushed as it is now, at the next look."""


@dataclass(frozen=True, slots=True)
class DebounceState:
    """What is remembered of an object's last look: a print of what would be written, and since when it is the same."""

    print: str
    since: datetime | None


def debounce_wait(
    quiet_s: float, *, touched_at: datetime | None, read_at: datetime, print_: str, before: DebounceState, now: datetime
) -> float:
    """Seconds to wait before this object may be pushed; 0 if it is quiet.

    One that was touched longer ago than `quiet_s` (by the source's clock, `read_at`) is quiet at the first look, unless an
    earlier look saw something else. A younger one is, once two looks that far apart saw the same.
    """
    if quiet_s <= 0 or before.print == BY_HAND:
        return 0.0
    if before.print == print_ and before.since is not None:
        return max(0.0, quiet_s - (now - before.since).total_seconds())
    old_enough = touched_at is not None and read_at - touched_at >= timedelta(seconds=quiet_s)
    return 0.0 if old_enough and not before.print else quiet_s
