"""Incoming documents: parsed safely, read field by field, with unknown elements ignored.

The server does not validate against the XSD; the order of elements is free and a misspelled one is ignored
(syspro-transport.md section 6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError  # types only: parsing is defusedxml's

import defusedxml.ElementTree as SafeTree
from defusedxml.common import DefusedXmlException

from syncengine.sandbox.syspro.tables import Value
from syncengine.sandbox.syspro.texts import EnetError, Problem, problem

#: On a change it clears a field (section 9.2).
BLANK = "{blank}"
_NUMBER = re.compile(r"^([+-]?)(\d*)(?:\.(\d*))?$")
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Field:
    """What one element may hold.

    Attributes:
        kind: text, number, date, or one of a set of letters in `choices`.
        length: maximum characters of a text; maximum digits before the decimal point of a number.
        places: maximum decimals of a number.
        old_length: length in version 6.1 if it differs.
    """

    kind: str = "text"
    length: int = 0
    places: int = 0
    choices: str = ""
    old_length: int = 0


def txt(length: int, old: int = 0) -> Field:
    """A text of at most this many characters (in version 6.1: `old`)."""
    return Field("text", length, old_length=old)


def num(digits: int, places: int = 0) -> Field:
    """A number of at most this many digits before and after the point."""
    return Field("number", digits, places)


def choice(letters: str) -> Field:
    """One of these letters; blank is the default."""
    return Field("choice", 1, choices=letters)


DAY = Field("date")


@dataclass(frozen=True, slots=True)
class Reading:
    """How this site reads: the version's lengths, and what happens to over-long values and foreign characters."""

    version: str = "8"
    over_length: str = "reject"
    outside_cp1252: str = "question_mark"


@dataclass(slots=True)
class Section:
    """One part of a document, read by its fields: `values` holds the given values that are not blank."""

    element: Element
    name: str
    values: dict[str, Value] = field(default_factory=dict)
    blanks: set[str] = field(default_factory=set)  # given, but empty
    repeats: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A text or choice; blank if absent or refused."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def amount(self, name: str) -> Decimal | None:
        """A number; None if absent or refused."""
        value = self.values.get(name)
        return value if isinstance(value, Decimal) else None

    def day(self, name: str) -> date | None:
        """A date; None if absent or refused."""
        value = self.values.get(name)
        return value if isinstance(value, date) else None

    def flag(self, name: str, default: str = "N") -> str:
        """A choice, upper case; the default if blank."""
        return self.text(name).upper() or default

    def refuse(self, code: str, field_name: str, *parameters: object, number: str | None = None) -> None:
        """Refuse a field for this reason; the value is the document's."""
        value = (self.element.findtext(field_name) or "").strip()
        self.problems.append(problem(code, field_name, value, *parameters, number=number))


def parse(document: str, what: str) -> Element:
    """The root of a document.

    Raises:
        EnetError: it is not well-formed XML, or has a DTD.
    """
    try:
        root: Element = SafeTree.fromstring(document.strip().lstrip("\ufeff"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        # The text of this exception is not public; it must only start with ERROR.
        raise EnetError(f"{what} is not a valid XML document") from None
    return root


def children(element: Element, name: str) -> Iterator[Element]:
    """Direct children of this name, in document order."""
    return (child for child in element if child.tag == name)


def read(element: Element, fields: Mapping[str, Field], reading: Reading, repeats: tuple[str, ...] = ()) -> Section:
    """Read the known direct children of an element; each refused value becomes a problem of the section."""
    section = Section(element, str(element.tag))
    for child in element:
        spec = fields.get(str(child.tag))
        if spec is None:
            continue
        _take(section, str(child.tag), (child.text or "").strip(), spec, reading, repeated=child.tag in repeats)
    return section


def parameters(root: Element | None, defaults: Mapping[str, str], verbatim: tuple[str, ...] = ()) -> dict[str, str]:
    """The known children of `Parameters`, with defaults for absent or blank ones; unknown ones are ignored.

    Values become upper case, except those named in `verbatim`.
    """
    given = root.find("Parameters") if root is not None else None
    values = dict(defaults)
    if given is not None:
        for child in given:
            text = (child.text or "").strip()
            if child.tag in defaults and text:
                values[str(child.tag)] = text if child.tag in verbatim else text.upper()
    return values


def stored(text: str, reading: Reading) -> str | None:
    """A text as Windows-1252 stores it; None if the site refuses its characters."""
    if reading.outside_cp1252 == "keep":
        return text
    kept = text.encode("cp1252", "replace").decode("cp1252")
    return None if kept != text and reading.outside_cp1252 == "refuse" else kept


def _take(section: Section, name: str, raw: str, spec: Field, reading: Reading, *, repeated: bool) -> None:
    if not raw:
        section.blanks.add(name)
        section.values.pop(name, None)
        return
    text = stored(raw, reading)
    if text is None:
        section.refuse("characters", name, name)
        return
    value = text if text == BLANK else _convert(section, name, text, spec, reading)
    if value is None:
        return
    section.blanks.discard(name)
    if repeated:
        section.repeats.setdefault(name, []).append(str(value))
    else:
        section.values[name] = value


def _convert(section: Section, name: str, text: str, spec: Field, reading: Reading) -> Value:
    if spec.kind == "number":
        return _number(section, name, text, spec)
    if spec.kind == "date":
        return _date(section, name, text)
    if spec.kind == "choice":
        if len(text) == 1 and text.upper() in spec.choices:
            return text.upper()
        section.refuse("bad_value", name, text, name)
        return None
    length = spec.old_length if spec.old_length and reading.version.startswith("6") else spec.length
    if len(text) <= length:
        return text
    if reading.over_length == "truncate":
        return text[:length].rstrip()
    section.refuse("too_long", name, name, length)
    return None


def _number(section: Section, name: str, text: str, spec: Field) -> Decimal | None:
    """A plain decimal within its digits; a 15-digit float is "not numeric" (section 6)."""
    found = _NUMBER.match(text)
    if found is None or not (found[2] or found[3]) or len(found[2]) > spec.length or len(found[3] or "") > spec.places:
        section.refuse("100031", name, name)
        return None
    return Decimal(text)


def _date(section: Section, name: str, text: str) -> date | None:
    try:
        if _DATE.match(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # an impossible day: refused below like any other format
    section.refuse("100028", name, text, name)
    return None
