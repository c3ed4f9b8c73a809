"""Our own documents: filled in the order of the schema, checked before they are sent, and as SYSPRO would give them back.

SYSPRO drops unknown elements silently and may cut what is too long (syspro-transport.md section 6), so both are
refused here, by name. Values become texts of a fixed number of decimals: a float was once "not numeric".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from syncengine.connectors.operations import Operation, Verb
from syncengine.connectors.syspro.elements import Element, Kind, Section
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.values import day_of, fits_character_set, lost, one_line, quantised, transliterated
from syncengine.document import Doc
from syncengine.errors import Rejected
from syncengine.redaction import quoted, redact

WRITTEN_AS = "@written_as"
"""In a canonical document: by path, the texts that hold other characters than SYSPRO's, as they were before. Never sent."""

STORED_WIDTH = 15
"""Digits in which a company with numeric keys stores customers and orders (section 6)."""


@dataclass
class Filler:
    """Fills sections of one document and collects what had to be written differently.

    `warnings` are for the outcome, `replaced` are texts by path whose characters had to be replaced. Every complaint is a
    Rejected that names the field.
    """

    settings: Settings
    warnings: list[str] = field(default_factory=list)
    replaced: Doc = field(default_factory=dict)

    def section(self, name: str, elements: Section, values: Mapping[str, Any], *, shown: str = "") -> Doc:
        """The elements of `values` as texts, in the schema's order; absent and blank ones are left out.

        `shown` is put before field names in complaints and warnings (`StockLine.`).
        """
        for given in values:
            if given not in elements and not given.startswith("@"):
                raise _unknown(f"{shown}{given}", values[given], given, elements)
        filled: Doc = {}
        for element_name, element in elements.items():
            value = self._value(f"{name}.{element_name}", element, values.get(element_name), f"{shown}{element_name}")
            if value is None or value in ("", []):
                continue
            filled[element_name] = value
        return filled

    def _value(self, path: str, element: Element, value: Any, shown: str) -> Any:
        if element.repeats > 1:
            return self.pieces(path, element, value, shown)
        typed = self.typed(path, element, value, shown)
        if isinstance(typed, Decimal):
            return format(typed, "f")
        return typed.isoformat() if isinstance(typed, date) else typed

    def pieces(self, path: str, element: Element, value: Any, shown: str) -> list[str]:
        """A text that may continue in further elements: a long one is broken, at blanks where there are any."""
        width = self._width(path, element)
        texts = value if isinstance(value, list) else [] if value is None else [value]
        pieces: list[str] = []
        for text in texts:
            pieces += _wrapped(self._text(text, shown), width)
        if len(pieces) > element.repeats:
            raise _refused(shown, value, f"it is longer than {element.repeats} x {width} characters")
        return pieces

    def typed(self, path: str, element: Element, value: Any, shown: str) -> Any:
        """The value as SYSPRO keeps it: a text, a Decimal, a date; None for none. Raises Rejected."""
        if value is None or value == "":
            return value
        try:
            if element.kind is Kind.NUMBER:
                return self._number(path, element, value)
            if element.kind is Kind.DATE:
                return day_of(value)
        except ValueError as error:
            raise _refused(shown, value, str(error)) from None
        text = self._text(value, shown)
        if element.kind is Kind.CODE and self.settings.upper_case_codes:
            text = text.upper()
        width = self._width(path, element)
        if width and len(text) > width:
            raise _refused(shown, text, f"it has {len(text)} characters, {width} are allowed")
        if element.choices and text and text not in element.choices:
            raise _refused(shown, text, f"it is none of {', '.join(element.choices)}")
        return self.key(path.rpartition(".")[2], text)

    def key(self, name: str, text: str) -> str:
        """A key in its stored form, where the site says that its keys are numeric."""
        is_numeric = name in self.settings.numeric_keys
        return text.zfill(STORED_WIDTH) if is_numeric and text.isdecimal() else text

    def _number(self, path: str, element: Element, value: Any) -> Decimal:
        exact = quantised(value, element.places)
        if element.width and abs(exact) >= 10 ** self._width(path, element):
            raise ValueError(f"it has more than {self._width(path, element)} digits before the point")
        return exact

    def _text(self, value: Any, shown: str) -> str:
        if isinstance(value, bool | float | Mapping | list):
            raise _refused(shown, value, f"a {type(value).__name__} is not a text")
        text = one_line(value.isoformat() if isinstance(value, date) else str(value))
        if self.settings.characters == "send" or fits_character_set(text):
            return transliterated(text) if self.settings.characters != "send" else text
        if self.settings.characters == "reject":
            raise _refused(shown, text, "it has characters that Windows-1252 does not have")
        self.replaced[shown] = text
        return transliterated(text).strip()

    def _width(self, path: str, element: Element) -> int:
        widths = self.settings.widths
        return widths.get(path, widths.get(path.rpartition(".")[2], element.width))


def canonical_section(filler: Filler, name: str, elements: Section, values: Mapping[str, Any], shown: str = "") -> Doc:
    """A mapped section as SYSPRO would give it back, typed as `load` types it; what it would default is absent.

    Unknown fields and what cannot be converted are kept as they are: the write refuses them by name.
    """
    result: Doc = {}
    for given, value in values.items():
        element = elements.get(given)
        if element is None:
            result[given] = value
            continue
        try:
            typed = _canonical_value(filler, f"{name}.{given}", element, value, f"{shown}{given}")
        except Rejected:
            typed = value
        if typed is None or (typed == "" and not element.keeps_blank) or typed == []:
            continue
        result[given] = typed
    return result


def _canonical_value(filler: Filler, path: str, element: Element, value: Any, shown: str) -> Any:
    if element.repeats > 1:
        return filler.pieces(path, element, value, shown)
    return filler.typed(path, element, value, shown)


def marked(document: Doc, filler: Filler) -> Doc:
    """The canonical document with a note of the texts whose characters were replaced, for the outcome of its write."""
    return {**document, WRITTEN_AS: filler.replaced} if filler.replaced else document


def replacements(operation: Operation, filler: Filler) -> list[str]:
    """A warning for each text of a write that was written in other characters."""
    noted = {**_written_otherwise(operation), **filler.replaced}
    return [
        f"{path}: {text!r} was written as {transliterated(str(text))!r}, in the characters that SYSPRO has"
        for path, text in noted.items()
    ]


def loss(operation: Operation) -> str | None:
    """What a write would lose to SYSPRO's character set, with field, value and remedy; None for nothing."""
    found = {path: str(text) for path, text in _written_otherwise(operation).items() if lost(str(text))}
    if not found:
        return None
    shown = ", ".join(f"{path} = {quoted(redact(text, path))}" for path, text in found.items())
    missing = " ".join(dict.fromkeys("".join(lost(text) for text in found.values())))
    return (
        f"{shown}: SYSPRO's character set has no {missing}, which would become '?'. "
        "Correct the text at the source, or approve the plan to write it like that"
    )


def _written_otherwise(operation: Operation) -> Doc:
    """By path, the texts of the fields and lines which an operation writes that hold other characters than SYSPRO's."""
    noted: Doc = operation.doc.get(WRITTEN_AS, {})
    if operation.verb is not Verb.CHANGE:
        return noted if operation.verb is Verb.CREATE else {}
    written = {*operation.changes, *(line.key for line in operation.lines)}
    return {path: text for path, text in noted.items() if written & {*path.replace("]", "[").split("[")}}


def without_blank_groups(document: Doc, group: tuple[str, ...]) -> Doc:
    """The document without the fields of a group that is blank as a whole: SYSPRO fills it from its own defaults."""
    if any(document.get(name) for name in group):
        return document
    return {name: value for name, value in document.items() if name not in group}


def _wrapped(text: str, width: int) -> list[str]:
    pieces = []
    while len(text) > width:
        cut = text.rfind(" ", width // 2, width + 1)
        cut = cut if cut > 0 else width
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*pieces, text] if text else pieces


def _unknown(shown: str, value: Any, name: str, elements: Section) -> Rejected:
    close = get_close_matches(name, elements, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Rejected(
        field=shown,
        value=value,
        reason=f"SYSPRO has no such element and would drop it silently{hint}",
        remedy="Correct the mapping",
    )


def _refused(shown: str, value: Any, reason: str) -> Rejected:
    return Rejected(
        field=shown,
        value=value,
        reason=f"not valid for SYSPRO: {reason}",
        remedy="Correct the value at the source, or the mapping, then retry",
    )
