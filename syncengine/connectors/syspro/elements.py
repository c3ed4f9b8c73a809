"""The elements of the documents that we send and read: names, order, widths. The server silently drops what it does not know.

Widths are those of a company database of SYSPRO 7 or 8, digits are those before the point. A site whose widths differ
overrides them by the setting `widths`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an element holds."""

    TEXT = "text"
    CODE = "code"  # a key or table code: upper case by convention
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Element:
    """One element. `width`: characters of a text, digits before the point of a number; 0 for an unknown width.

    choices: the values that a code may have. repeats: how often it may occur. keeps_blank: an empty text is a value
    of its own; elsewhere an empty element makes SYSPRO take its default, so it is not sent and not compared.
    """

    kind: Kind
    width: int = 0
    places: int = 0
    choices: tuple[str, ...] = ()
    repeats: int = 1
    keeps_blank: bool = False

    @property
    def length(self) -> str:
        """As people write it: `30`, `4 x 100` for a text that repeats, `10.5` for a number; empty if it is unknown."""
        if not self.width:
            return ""
        if self.kind is Kind.NUMBER:
            return f"{self.width}.{self.places}"
        return f"{self.repeats} x {self.width}" if self.repeats > 1 else str(self.width)


Section = Mapping[str, Element]
"""The elements of one part of a document by name, in the order of its schema."""


def text(width: int = 0, *, repeats: int = 1, keeps_blank: bool = False) -> Element:
    """A text of at most `width` characters; the rest as in `Element`."""
    return Element(Kind.TEXT, width, repeats=repeats, keeps_blank=keeps_blank)


def code(width: int = 0, *choices: str) -> Element:
    """A key or table code of at most `width` characters; any, or one of `choices`."""
    return Element(Kind.CODE, width, choices=choices)


def flag(*choices: str) -> Element:
    """One character: Y or N, or one of `choices`."""
    return Element(Kind.CODE, 1, choices=choices or ("Y", "N"))


def number(digits: int, places: int) -> Element:
    """A number of at most `digits` before the point, sent with exactly `places` behind it."""
    return Element(Kind.NUMBER, digits, places)


DATE = Element(Kind.DATE)
ADDRESS = text(40, keeps_blank=True)


def lengths(section: Section, prefix: str = "") -> dict[str, str]:
    """The known lengths of a section's elements by path."""
    return {f"{prefix}{name}": element.length for name, element in section.items() if element.length}


def choices(section: Section, prefix: str = "") -> dict[str, str]:
    """Notes on the elements that take certain values alone: `one of Y, N`."""
    return {
        f"{prefix}{name}": f"one of {', '.join(element.choices)}"
        for name, element in section.items()
        if element.choices
    }
