"""Compares values in SYSPRO with the expected ones: fields, addresses, lines, and texts as Windows-1252 may spell them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

ADDRESS = ("1", "2", "3", "3Loc", "4", "5")  # in the order in which it is read
NAME_LENGTH, LINE_LENGTH = 50, 40  # syspro-transport.md section 9.2


def fields(found: Json, wanted: Mapping[str, str]) -> Iterable[str]:
    """Name every column whose value is not the wanted one."""
    for field, value in wanted.items():
        if not same(str(found[field] if found[field] is not None else ""), str(value)):
            yield f"{field} is {found[field]!r}, not {value!r}"


def cut(found: Json, field: str, whole: str, length: int) -> Iterable[str]:
    """Check a column that may hold only the beginning of a text that is too long for it, up to the last blank."""
    text = found[field]
    cuts = [whole[:length].strip(), whole[: length + 1].rpartition(" ")[0].strip()] if len(whole) > length else [whole]
    if not any(same(text, wanted) for wanted in cuts):
        yield f"{field} is {text!r}, not {whole!r}"


def address(
    found: Json, name_field: str, prefix: str, name: str, lines: Sequence[str], country: str, country_code: str
) -> Iterable[str]:
    """Check an address: line by line where everything fits, the country last; else all words in order, on lines that fit.

    A country that does not fit may be written as its code.
    """
    written = [str(found[f"{prefix}{line}"]) for line in ADDRESS]
    if any(len(text) > LINE_LENGTH for text in written) or len(found[name_field]) > NAME_LENGTH:
        yield f"{prefix}: a line or the name is too long: {written}"
    if len(name) <= NAME_LENGTH and all(len(line) <= LINE_LENGTH for line in lines):
        wanted = [lines[0], lines[1], lines[2], "", lines[3], country]
        if not same(found[name_field], name):
            yield f"{name_field} is {found[name_field]!r}, not {name!r}"
        if not all(map(same, written, wanted)):
            yield f"{prefix} is {written}, not {wanted}"
        return
    whole = squeezed("".join([found[name_field], *written]))
    wanted_texts = [squeezed("".join([name, *lines, ending])) for ending in (country, country_code)]
    if not any(pattern(text).fullmatch(whole) for text in wanted_texts):
        yield f"{name_field} and {prefix} are {found[name_field]!r}, {written}, which is not {name!r}, {list(lines)}"


def match(what: str, wanted: Sequence[tuple[Any, ...]], found: Sequence[tuple[Any, ...]]) -> Iterable[str]:
    """Check that each wanted line has an equal line in all columns, and that none is left over."""
    left = list(found)
    for line in wanted:
        equal = next((each for each in left if all(map(_equal, each, line))), None)
        if equal is None:
            yield f"lacks the {what} {', '.join(plain(value) for value in line)}"
        else:
            left.remove(equal)
    for line in left:
        yield f"has the {what} {', '.join(plain(value) for value in line)}, which is not wanted"


def columns(lines: Iterable[Json], *names: str) -> list[tuple[Any, ...]]:
    """The values of these columns, a tuple for each line."""
    return [tuple(line[name] for name in names) for line in lines]


def same(written: str, wanted: str) -> bool:
    """Whether a text equals the wanted one, apart from the number of blanks and characters that SYSPRO does not have."""
    return pattern(" ".join(wanted.split())).fullmatch(" ".join(written.split())) is not None


def pattern(text: str) -> re.Pattern[str]:
    """How a text may look in Windows-1252: characters of that set are kept, others replaced, by similar ones if there are any
    (syspro-transport.md section 2.1)."""
    return re.compile("".join(map(_character, unicodedata.normalize("NFC", text))), re.DOTALL)


def squeezed(text: str) -> str:
    """A text without blanks and commas: lines may have been broken at or joined by either."""
    return "".join(unicodedata.normalize("NFC", text).replace(",", "").split())


def plain(value: object) -> str:
    """A value as text, a Decimal without trailing zeros."""
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def _equal(written: Any, wanted: Any) -> bool:
    return Decimal(written) == wanted if isinstance(wanted, Decimal) else same(str(written), str(wanted))


def _character(character: str) -> str:
    if character.encode("cp1252", "ignore"):
        return re.escape(character)
    base = unicodedata.normalize("NFD", character)[0]
    spelled = f"{re.escape(base)}.{{0,2}}" if base.isascii() else ".{1,4}" if character.isalpha() else ".{0,2}"
    return f"(?:{re.escape(character)}|{spelled})"
