"""Durations as people read them."""

from __future__ import annotations

_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def spell(seconds: float) -> str:
    """A duration in the largest unit of which there are at least two: `90 s`, `32 minutes`, `26 hours`, `5 days`."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
