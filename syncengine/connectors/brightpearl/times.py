"""Brightpearl's date-times: ISO 8601 with milliseconds and the account's offset (reference/brightpearl.md section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def parse(value: Any) -> datetime | None:
    """An aware time in UTC; None for nothing at all. Raises ValueError for anything else."""
    if value is None or value == "":
        return None
    time = datetime.fromisoformat(value) if isinstance(value, str) else None
    if time is None or time.tzinfo is None:
        raise ValueError(f"not a time with an offset: {value!r}")
    return time.astimezone(UTC)


def text(time: datetime) -> str:
    """The time as filters take it: UTC, milliseconds, `Z` (a `+` would have to be encoded)."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def version(document: Mapping[str, Any], paths: Sequence[str]) -> str:
    """The version of a row or a document, from its latest time (`latest`) in UTC; empty if it has none."""
    touched = latest(document, paths)
    return "" if touched is None else text(touched)


def latest(document: Mapping[str, Any], paths: Sequence[str]) -> datetime | None:
    """The first time (UTC) of `paths` that is there and can be read; None if there is none."""
    return next((time for path in paths if (time := lenient(at(document, path))) is not None), None)


def at(document: Mapping[str, Any], path: str) -> Any:
    """What a document has at a path such as `status.shippedOn`; None if there is nothing."""
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def lenient(value: Any) -> datetime | None:
    """As `parse`, but None for what cannot be read: `load` is where a bad document is refused."""
    try:
        return parse(value)
    except (ValueError, OverflowError):  # the latter in the first and the last day of the calendar
        return None
