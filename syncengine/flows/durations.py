"""Durations in flow files: `30 s`, `5 min`, `1 day`."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+)\s*(s|sec|seconds?|min|minutes?|h|hours?|d|days?)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(given: object) -> float | None:
    """A duration in seconds; a number alone is one in seconds. None if it is not a duration."""
    found = None if isinstance(given, bool) else _DURATION.fullmatch(str(given).strip().lower())
    return float(int(found[1]) * _SECONDS[(found[2] or "s")[0]]) if found else None
