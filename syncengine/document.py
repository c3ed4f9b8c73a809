"""Documents: plain dicts with exact numbers and aware times, and their JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import JSONEncoder, object_hook

Doc = dict[str, Any]
"""A document: nested dicts and lists of str, int, bool, Decimal, date, aware datetime and None. Never float for money."""

LINE_KEY = "@key"
"""In a line of a mapped document: the source's own key of that line (for example the Brightpearl row id)."""

LINE_NUMBER = "@line"
"""In a line of a document that was read from a target: the target's own number of that line."""


_TYPE, _VALUE = "__type__", "__value__"
_MARK = f'"{_TYPE}"'
_FOREIGN = "foreign"  # the type of a foreign dict with exactly these two keys; its value is the list of items


_kombu = JSONEncoder()


class _Encoder(json.JSONEncoder):
    """Encodes as kombu does, and counts the values that it encodes as a dict with a type."""

    typed = 0

    def default(self, o: Any) -> Any:
        """A typed dict for a value that JSON does not support. Raises TypeError if kombu does not support it either."""
        encoded = _kombu.default(o)
        self.typed += isinstance(encoded, dict) and _TYPE in encoded
        return encoded


def to_json(value: Any) -> str:
    """JSON that keeps Decimal, date, datetime and UUID exactly (kombu's codec), keys sorted.

    Such a value becomes `{"__type__": ..., "__value__": ...}`. If a document of another system contains a dict with exactly
    these keys, it is encoded with the type `foreign`.
    """
    encoder = _Encoder(sort_keys=True)
    text = encoder.encode(value)
    if text.count(_MARK) == encoder.typed:  # nearly always: the document itself contains no mark
        return text
    return _Encoder(sort_keys=True).encode(_wrapped(value))


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TYPE, _VALUE}:
            return {_TYPE: _FOREIGN, _VALUE: [[key, _wrapped(value[key])] for key in (_TYPE, _VALUE)]}
        return {key: _wrapped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wrapped(item) for item in value]
    return value


def from_json(text: str | bytes) -> Any:
    """The inverse of `to_json`. Raises ValueError for what is not JSON."""
    decoded = text if isinstance(text, str) else text.decode()
    return json.loads(decoded, object_hook=_typed if _MARK in decoded else None)


def _typed(found: dict[str, Any]) -> Any:
    """Decode a typed dict. Any other dict stays as it is, also one that an earlier version left unwrapped."""
    if len(found) != 2 or found.keys() != {_TYPE, _VALUE}:
        return found
    try:
        return dict(found[_VALUE]) if found[_TYPE] == _FOREIGN else object_hook(found)
    except (ValueError, TypeError, ArithmeticError, AttributeError):  # not what our encoder writes for that type
        return found


def fingerprint(value: Any) -> str:
    """A hash of 32 hex digits, equal for equal documents."""
    return hashlib.blake2b(to_json(value).encode(), digest_size=16).hexdigest()


def without_marks(line: Mapping[str, Any]) -> Doc:
    """The line without its `@key` and `@line`."""
    return {name: value for name, value in line.items() if name not in (LINE_KEY, LINE_NUMBER)}
