"""Times as people write them on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from syncengine import clock
from syncengine.errors import Misconfigured

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?")


def duration(option: str, text: str) -> timedelta:
    """Parse a duration: 90s, 30m, 2h, 1h30m, 3d. Raises Misconfigured, naming the option."""
    match = _DURATION.fullmatch(text.replace(" ", "").lower())
    if match is None or not any(match.groups()):
        raise Misconfigured(f"{option} {text!r} is not a duration. Write 90s, 30m, 2h, 1h30m or 3d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def moment(option: str, text: str) -> datetime:
    """Parse a point in time, UTC unless it has an offset. Raises Misconfigured, naming the option."""
    try:
        return clock.read(text)
    except ValueError:
        raise Misconfigured(
            f"{option} {text!r} is not a time. Write 2026-01-31T06:00 or 2026-01-31T06:00+01:00"
        ) from None
