"""Wait until an object has stopped changing: the source builds orders row by row, and none is pushed half-built. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

BY_HAND = "by hand"
"""In place of a fingerprint: a person wants the next fetch to push the object as it is then."""


@dataclass(frozen=True, slots=True)
class DebounceState:
    """What the last comparison saw: a fingerprint of the document to write, and since when it has been the same."""

    print: str
    since: datetime | None


def debounce_wait(
    quiet_s: float, *, touched_at: datetime | None, read_at: datetime, print_: str, before: DebounceState, now: datetime
) -> float:
    """Seconds to wait before this object may be pushed; 0 if it is quiet.

    An object that was last touched more than `quiet_s` seconds before `read_at` (both by the source's clock) is quiet at
    once, unless an earlier comparison saw a different document. Any other is quiet once two comparisons at least
    `quiet_s` seconds apart saw the same document.
    """
    if quiet_s <= 0 or before.print == BY_HAND:
        return 0.0
    if before.print == print_ and before.since is not None:
        return max(0.0, quiet_s - (now - before.since).total_seconds())
    old_enough = touched_at is not None and read_at - touched_at >= timedelta(seconds=quiet_s)
    return 0.0 if old_enough and not before.print else quiet_s
