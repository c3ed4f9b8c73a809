"""The one way to wait while a lease is held: in slices, and the lease is renewed before each of them."""

from __future__ import annotations

from syncengine import clock
from syncengine.http import guard

SLICE_S = 5.0
"""Longest sleep without a look at the lease; well below the 45 s that a lease lasts (design.md section 5)."""


def wait(seconds: float) -> None:
    """Sleep for `seconds` (0 or less: not at all). Raises whatever the guard raises once the lease is lost."""
    until = clock.monotonic() + seconds
    left = seconds
    while left > 0:
        guard.current().renew()
        clock.sleep(min(left, SLICE_S))
        left = until - clock.monotonic()
