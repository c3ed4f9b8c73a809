"""The result of examining one part of an installation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from syncengine.errors import Misconfigured


class Level(StrEnum):
    """How well a part works."""

    OK = "ok"
    WARN = "warn"  # it works, but somebody should act
    FAIL = "FAIL"  # it does not work, or will soon stop working


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, described in one line.

    remedy: what to do, empty if there is nothing to do. endpoint: the name of the endpoint that this part is, empty for
    every other part.
    """

    part: str
    level: Level
    says: str
    remedy: str = ""
    endpoint: str = ""


def ok(part: str, says: str, *, endpoint: str = "") -> Finding:
    """The part works as it should."""
    return Finding(part, Level.OK, says, endpoint=endpoint)


def warn(part: str, says: str, remedy: str) -> Finding:
    """The part works, but somebody should act."""
    return Finding(part, Level.WARN, says, remedy)


def fail(part: str, says: str, remedy: str, *, endpoint: str = "") -> Finding:
    """The part does not work, or will soon stop working."""
    return Finding(part, Level.FAIL, says, remedy, endpoint)


def misconfigured(part: str, error: Misconfigured) -> Finding:
    """The part is configured wrongly; the error says what to do."""
    return fail(part, error.says, error.remedy)


def size(count: float) -> str:
    """Bytes for people: `1.4 GB`."""
    for unit, of in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count:.0f} bytes"
