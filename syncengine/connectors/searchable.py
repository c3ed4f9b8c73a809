"""The names by which people look an object up: a shop's reference, a SKU, an e-mail address, a telephone number.

A resource declares which of its fields hold them (`Source.searchable`). Pure functions; nothing here is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

ANY = "*"
"""In a path: every value of a list, or of an object whose keys are data (`orderRows.*.productSku`)."""

MOST = 200
"""Names of one document; what its resource declares first goes first."""

LONGEST = 255
SHORTEST_PHONE, COMPARED_DIGITS = 7, 9
PHONE_CHARACTERS = frozenset("0123456789 +-()./\t\u00a0")


class NameKind(StrEnum):
    """What a name is. It decides how it is written the same way whoever writes it (`normal`)."""

    REFERENCE = "reference"  # any number or text that identifies the object to people
    SKU = "sku"
    EMAIL = "email"
    PHONE = "phone"


def normal(kind: NameKind, text: str) -> str:
    """A name in its one form, equal for all its spellings; empty if the text cannot be a name of this kind.

    Letter case and surrounding spaces never matter. Telephone numbers are compared by their last nine digits, since the same
    number is written with and without its country.
    """
    text = " ".join(text.split()).casefold()
    if not text or len(text) > LONGEST:
        return ""
    if kind is NameKind.EMAIL:
        return text if "@" in text else ""
    if kind is NameKind.PHONE:
        digits = "".join(filter(str.isdigit, text)) if PHONE_CHARACTERS.issuperset(text) else ""
        return digits[-COMPARED_DIGITS:] if len(digits) >= SHORTEST_PHONE else ""
    return text


def names_in(doc: Mapping[str, Any], searchable: Mapping[str, NameKind]) -> list[tuple[NameKind, str]]:
    """The names in a document as its system gave it, in their one form, at most `MOST`.

    searchable: kinds by path, as `Source.searchable`. Values that are neither texts nor numbers are left out.
    """
    found: dict[tuple[NameKind, str], None] = {}
    for path, kind in searchable.items():
        for value in _values(doc, path.split(".")):
            if name := normal(kind, value):
                found[kind, name] = None
    return list(found)[:MOST]


def _values(value: Any, path: list[str]) -> Iterator[str]:
    if not path:
        if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            yield str(value)
        return
    step, rest = path[0], path[1:]
    if step != ANY:
        if isinstance(value, Mapping):
            yield from _values(value.get(step), rest)
        return
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _values(each, rest)
