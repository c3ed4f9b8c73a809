"""The elements of the documents that we send and read: names, order, widths. The server drops what it does not know in silence.

Facts: syspro-transport.md sections 9.2 and 9.3 (SORTOI), syspro-objects.md section 3.1 (ARSSCS); widths are those of a
7/8 company database, digits are those before the point. A site whose widths differ overrides them by the setting `widths`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    TEXT = "text"
    CODE = "code"  # a key or table code: upper case by convention
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Element:
    """One element. `width`: characters of a text, digits before the point of a number; 0 for a width nobody knows.

    choices: the values that a code may have. repeats: how often it may stand there. keeps_blank: an empty text is a value
    of its own; elsewhere an empty element makes SYSPRO take its default, so it is not sent and not compared.
    """

    kind: Kind
    width: int = 0
    places: int = 0
    choices: tuple[str, ...] = ()
    repeats: int = 1
    keeps_blank: bool = False


Section = Mapping[str, Element]


def text(width: int = 0, *, repeats: int = 1, keeps_blank: bool = False) -> Element:
    return Element(Kind.TEXT, width, repeats=repeats, keeps_blank=keeps_blank)


def code(width: int = 0, *choices: str) -> Element:
    return Element(Kind.CODE, width, choices=choices)


def flag(*choices: str) -> Element:
    return Element(Kind.CODE, 1, choices=choices or ("Y", "N"))


def number(digits: int, places: int) -> Element:
    return Element(Kind.NUMBER, digits, places)


DATE = Element(Kind.DATE)
ADDRESS = text(40, keeps_blank=True)
