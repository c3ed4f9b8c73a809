"""What may be shown of a value, and how: names of secret fields, URLs without queries, shortened texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "***"
LONGEST_SHOWN = 200
MOST_LEVELS = 20

_SECRET_NAME = re.compile(r"pass(word|wd)?|secret|token|authorization|api[_-]?key|userid|session|cookie", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    r"(?i)\b((?:operator|company)?password|userid|(?:access|refresh|account|staff)?_?token|client_secret|api[_-]?key)"
    r"(\s*[=:]\s*|%3D)([^\s&\"'<>,;]+)"
)


def is_secret_name(name: str) -> bool:
    """True if a field or header of this name must never be shown."""
    return bool(_SECRET_NAME.search(name))


def redact_url(url: str) -> str:
    """The address without credentials and query: both systems carry secrets or order data there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path, HIDDEN if parts.query else "", ""))


def hide_secrets(text: str) -> str:
    """A text of our own, whole, with everything that looks like `password=...` hidden."""
    return _SECRET_IN_TEXT.sub(lambda found: f"{found[1]}{found[2]}{HIDDEN}", text)


def redact_text(text: str) -> str:
    """A text from outside, shortened, with everything that looks like `password=...` hidden."""
    shown = hide_secrets(text)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}… ({len(shown)} characters)"


def shown(value: Any) -> str:
    """A value as people read it: nothing as an empty text, a moment in UTC to the second, what has parts as JSON."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}{' UTC' if value.tzinfo else ''}"
    if isinstance(value, bool | Mapping | list | tuple):
        return json.dumps(value, default=shown, ensure_ascii=False)
    return str(value)


def quoted(value: Any) -> str:
    """As `shown`, within a sentence: a text in quotes, and a word for nothing."""
    if value in (None, ""):
        return "nothing"
    return repr(value) if isinstance(value, str) else shown(value)


def redact(value: Any, name: str = "", *, levels: int = MOST_LEVELS) -> Any:
    """The value as it may stand in an error, an event or a log line; secrets are hidden.

    Its structure is kept, as far as `levels` deep.
    """
    if name and is_secret_name(name):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping | list | tuple) and levels == 0:
        return "…"
    if isinstance(value, Mapping):
        return {key: redact(item, str(key), levels=levels - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, levels=levels - 1) for item in value]
    return value
