"""What a look at one part comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from syncengine.errors import Misconfigured


class Level(StrEnum):
    """How a part is."""

    OK = "ok"
    WARN = "warn"  # it works, and somebody should do something
    FAIL = "FAIL"  # it does not work, or will not for long


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, in a line; `remedy` says what to do and is empty where there is nothing to."""

    part: str
    level: Level
    says: str
    remedy: str = ""


def ok(part: str, says: str) -> Finding:
    """It is as it should be."""
    return Finding(part, Level.OK, says)


def warn(part: str, says: str, remedy: str) -> Finding:
    """It works, and somebody should do something."""
    return Finding(part, Level.WARN, says, remedy)


def fail(part: str, says: str, remedy: str) -> Finding:
    """It does not work, or will not for long."""
    return Finding(part, Level.FAIL, says, remedy)


def misconfigured(part: str, error: Misconfigured) -> Finding:
    """What is set up wrongly, with what to do."""
    return fail(part, error.says, error.remedy)


def size(count: float) -> str:
    """Bytes for people: `1.4 GB`."""
    for unit, of in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count:.0f} bytes"


def long(seconds: float) -> str:
    """A time for people: `3 hours`."""
    for unit, of in (("days", 86_400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * of:
            return f"{seconds / of:.0f} {unit}"
    return f"{seconds:.0f} s"
