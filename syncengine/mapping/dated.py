"""Lookup tables whose entries hold from a date on: `T20: 20` from the beginning, `T20@2026-04-01: 21` from that day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from syncengine.mapping.order import is_empty
from syncengine.mapping.runtime import Unfit

MARK = "@"
"""Between a key and the date from which its entry holds. Keys of a dated table do not contain it."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def entry_on(table: Mapping[str, str], key: str, on: date | None) -> str | None:
    """The entry of `key` that holds on a day: the latest one at or before it, or the one without a date; None if neither.

    on: None for an unknown day, on which only the entry without a date holds. Raises Unfit for a date of this key that
    is not written as 2026-04-01.
    """
    start = key + MARK
    since = {start_of(entry): value for entry, value in table.items() if entry.startswith(start)}
    days = [day for day in since if on is not None and day <= on]
    return since[max(days)] if days else table.get(key)


def day_of(value: Any) -> date | None:
    """A date as it is, None for an empty value. Raises Unfit for a time, which has no day without a zone, and a text."""
    if is_empty(value):
        return None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Unfit("a date is needed to find what holds on it", value=value)
    return value


def start_of(entry: str) -> date:
    """The date from which an entry with a date holds. Raises Unfit if it is not written as 2026-04-01."""
    key, _, day = entry.rpartition(MARK)
    try:
        if _DAY.fullmatch(day):  # `fromisoformat` alone accepts more than one way of writing a date
            return date.fromisoformat(day)
    except ValueError as error:
        raise _invalid(key, entry, day) from error
    raise _invalid(key, entry, day)


def _invalid(key: str, entry: str, day: str) -> Unfit:
    return Unfit(f"the entry {entry!r} of a dated table has no valid date", value=day, remedy=f"Write {key}@2026-04-01")


def in_force(table: Mapping[str, str], on: date) -> dict[str, str]:
    """The entries that hold on a day, by key without date, in the order of the table. Raises Unfit as `entry_on` does."""
    keys = dict.fromkeys(entry.rpartition(MARK)[0] or entry for entry in table)
    found = {key: entry_on(table, key, on) for key in keys}
    return {key: value for key, value in found.items() if value is not None}
