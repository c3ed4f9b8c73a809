"""Documents as they travel between the floors: plain dicts, with exact numbers and aware times, and their JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import dumps, loads

Doc = dict[str, Any]
"""A document: nested dicts and lists of str, int, bool, Decimal, date, aware datetime and None. Never float for money."""

LINE_KEY = "@key"
"""In a line of a mapped document: the source's own key of that line (for example the Brightpearl row id)."""

LINE_NUMBER = "@line"
"""In a line of a document that was read from a target: the target's own number of that line."""


def to_json(value: Any) -> str:
    """JSON that keeps Decimal, date, datetime and UUID exactly (kombu's codec), keys sorted."""
    return str(dumps(value, sort_keys=True))


def from_json(text: str | bytes) -> Any:
    """The inverse of `to_json`."""
    return loads(text)


def fingerprint(value: Any) -> str:
    """32 hex digits that are equal for equal documents."""
    return hashlib.blake2b(to_json(value).encode(), digest_size=16).hexdigest()


def without_marks(line: Mapping[str, Any]) -> Doc:
    """The line without its `@key` and `@line`."""
    return {name: value for name, value in line.items() if name not in (LINE_KEY, LINE_NUMBER)}
