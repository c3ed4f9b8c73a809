"""Waiting while a lease is held: in slices, renewing the lease before each of them."""

from __future__ import annotations

from syncengine import clock
from syncengine.http import guard

SLICE_S = 5.0
"""Longest sleep without renewing the lease; well below the 45 s that a lease lasts (design.md section 5)."""


def wait(seconds: float) -> None:
    """Sleep for `seconds` (0 or less: not at all). Raises what the guard raises if the lease is lost."""
    until = clock.monotonic() + seconds
    left = seconds
    while left > 0:
        guard.current().renew()
        clock.sleep(min(left, SLICE_S))
        left = until - clock.monotonic()
