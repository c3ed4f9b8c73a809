"""Removes secrets from values for display: names of secret fields, URLs without queries, shortened texts."""

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
_NAME = r"(?:password|passwd|passphrase|pwd|secret|token|authorization|api[ _-]?key|userid|session[ _-]?id|cookie)"
_SECRET_IN_TEXT = re.compile(
    rf"""
      (?P<tag> (?:<|&lt;|%3C) (?:[\w.-]{{1,40}}:)? (?P<element>[\w.-]{{0,40}}?{_NAME})
        (?:\s[^<>]{{0,200}}?)? (?<!/)(?:>|&gt;|%3E) )
    | (?: (?:["']|%2[27]) [\w.-]{{0,40}}? {_NAME} (?:\\*["']|%2[27]) | {_NAME} | \bpass(?==) )
      \[?\]? \s* (?:=>?|:|%3[DA]) \s*
    | (?P<scheme> \b(?:bearer|basic)\s+ (?=[\w.~+/-]*[\d.~+/=]) )
    | (?P<url> :\\?/\\?/ (?!(?:user)?:password@)(?=[^\s/"'<>]+@) )
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Matches the text before a secret: an XML tag, a name (JSON, forms, headers, Python), `Bearer`, the start of an address.

Every repetition is bounded or can start at only one place, so the time grows linearly with the length of the text.
"""
_HINTS = ("pass", "pwd", "secret", "token", "author", "api", "userid", "session", "cookie", "bearer", "basic", "@")
"""Every text with a secret contains one of these, so that texts without a secret are recognised quickly."""
_UNQUOTED = re.compile(r"[^\s&\"'<>,;]*")
_HEADER_NAME = re.compile(r"(?:authorization|cookie)\W*\Z", re.IGNORECASE)
_HEADER = re.compile(r"[^\r\n\"'<>]*")
_IN_BRACKETS = re.compile(r"[^\]}]*")
_QUOTE = re.compile(r"[bru]{0,2}(\\*)([\"'])", re.IGNORECASE)
_USER_INFO = re.compile(r"[^\s/\"'<>]+(?=@)")
_UP_TO_TAG = re.compile(r"(?:(?!&lt;|%3C)[^<\s])*", re.IGNORECASE)
_LONGEST_ELEMENT = 4096  # search limit for the end of an XML element


def is_secret_name(name: str) -> bool:
    """True if a field or header of this name must never be shown."""
    return bool(_SECRET_NAME.search(name))


def redact_url(url: str) -> str:
    """The address without credentials and query, where both systems put secrets or order data."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path, HIDDEN if parts.query else "", ""))


def hide_secrets(text: str) -> str:
    """The text with everything hidden that looks like a secret. Its length is not limited.

    Recognises `password=...`, JSON and Python (`"token": "..."`), XML, headers (`Authorization: Bearer ...`) and the
    credentials of an address (`redis://user:...@host`), also if they are escaped inside another text.
    """
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return text
    kept, at = [], 0
    while found := _SECRET_IN_TEXT.search(text, at):
        begin, end = _secret_behind(text, found)
        kept += [text[at:begin], HIDDEN if end > begin else ""]
        at = end
    return "".join([*kept, text[at:]])


def _secret_behind(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Begin and end of the secret after this match."""
    begin = found.end()
    if found["tag"]:
        return begin, _end_of_element(text, begin, found["element"])
    if found["url"]:
        return begin, _end(_USER_INFO, text, begin)
    if quote := _QUOTE.match(text, begin):
        return quote.end(), _end_of_quoted(text, quote)
    if text[begin : begin + 1] in ("[", "{"):
        return begin + 1, _end(_IN_BRACKETS, text, begin + 1)
    return begin, _end(_HEADER if _HEADER_NAME.search(found[0]) else _UNQUOTED, text, begin)


def _end(pattern: re.Pattern[str], text: str, begin: int) -> int:
    found = pattern.match(text, begin)
    return found.end() if found else begin


def _end_of_quoted(text: str, quote: re.Match[str]) -> int:
    """The position of the closing quote, which is escaped as often as the opening one; the end of a text that was cut off."""
    escapes, mark, at = len(quote[1]), quote[2], quote.end()
    while (at := text.find(mark, at)) >= 0:
        before = at
        while before > quote.end() and text[before - 1] == "\\":
            before -= 1
        run = at - before  # of backslashes; each level of escaping doubles those that belong to the value
        if run < escapes or (run - escapes) % (2 * (escapes + 1)) == 0:
            return at - min(run, escapes)
        at += 1
    return len(text)


def _end_of_element(text: str, begin: int, name: str) -> int:
    """The element's end tag, so that CDATA and inner elements are hidden too; without an end tag, the next tag or blank."""
    closing = re.compile(rf"(?:<|&lt;|%3C)(?:/|%2F)(?:[\w.-]{{1,40}}:)?{re.escape(name)}\b", re.IGNORECASE)
    if found := closing.search(text, begin, begin + _LONGEST_ELEMENT):
        return found.start()
    return _end(_UP_TO_TAG, text, begin)


def redact_text(text: str) -> str:
    """A text from outside, shortened, with secrets hidden; see `hide_secrets`."""
    visible = hide_secrets(text)
    return visible if len(visible) <= LONGEST_SHOWN else f"{visible[:LONGEST_SHOWN]}… ({len(visible)} characters)"


def safe_text(value: Any) -> str:
    """A value for people: None as an empty text, a time in UTC to the second, structures as JSON."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}{' UTC' if value.tzinfo else ''}"
    if isinstance(value, bool | Mapping | list | tuple):
        return json.dumps(value, default=safe_text, ensure_ascii=False)
    return str(value)


def quoted(value: Any) -> str:
    """A value within a sentence: as `safe_text`, but a text in quotes, and "nothing" if it is empty."""
    if value in (None, ""):
        return "nothing"
    return repr(value) if isinstance(value, str) else safe_text(value)


def redact(value: Any, name: str = "", *, levels: int = MOST_LEVELS) -> Any:
    """The value with secrets hidden, for errors, events and logs.

    name: the field's name; the value of a secret field is hidden. levels: depth to which its structure is kept.
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
