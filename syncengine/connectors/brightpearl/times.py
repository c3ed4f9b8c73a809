"""Brightpearl's date-times: ISO 8601 with milliseconds and the account's offset (reference/brightpearl.md section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
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


def version(document: Mapping[str, Any]) -> str:
    """The version of a row or a document: its `updatedOn`, before the first edit its `createdOn`, in UTC."""
    touched = touched_at(document)
    return "" if touched is None else text(touched)


def touched_at(document: Mapping[str, Any]) -> datetime | None:
    """When it was last changed, creation included (UTC); None if it does not say so in a way that can be read."""
    return lenient(document.get("updatedOn")) or created_at(document)


def created_at(document: Mapping[str, Any]) -> datetime | None:
    """When it came into being (UTC); None if it does not say so in a way that can be read."""
    return lenient(document.get("createdOn"))


def lenient(value: Any) -> datetime | None:
    """As `parse`, but None for what cannot be read: `load` is where a bad document is refused."""
    try:
        return parse(value)
    except (ValueError, OverflowError):  # the latter in the first and the last day of the calendar
        return None
