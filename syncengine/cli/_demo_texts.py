"""Comparing what SYSPRO holds with what it should: fields, addresses, lines, and texts as Windows-1252 may spell them."""

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
    """Name every column that is not what it should be."""
    for field, value in wanted.items():
        if not same(str(found[field] if found[field] is not None else ""), str(value)):
            yield f"{field} is {found[field]!r}, not {value!r}"


def cut(found: Json, field: str, whole: str, length: int) -> Iterable[str]:
    """A column that may hold the beginning of a text that is too long for it, as far as its last blank."""
    text = found[field]
    ways = [whole[:length].strip(), whole[: length + 1].rpartition(" ")[0].strip()] if len(whole) > length else [whole]
    if not any(same(text, way) for way in ways):
        yield f"{field} is {text!r}, not {whole!r}"


def address(
    found: Json, name_field: str, prefix: str, name: str, lines: Sequence[str], country: str, country_code: str
) -> Iterable[str]:
    """Line by line where all fits, the country last; else every word in the same order, on lines that are not too long.

    A country that does not fit may stand there as its code.
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
    ways = [squeezed("".join([name, *lines, ending])) for ending in (country, country_code)]
    if not any(pattern(way).fullmatch(whole) for way in ways):
        yield f"{name_field} and {prefix} are {found[name_field]!r}, {written}, which is not {name!r}, {list(lines)}"


def match(what: str, wanted: Sequence[tuple[Any, ...]], found: Sequence[tuple[Any, ...]]) -> Iterable[str]:
    """Each wanted line has one that is the same in all columns, and none is left over."""
    left = list(found)
    for line in wanted:
        alike = next((one for one in left if all(map(_equal, one, line))), None)
        if alike is None:
            yield f"lacks the {what} {', '.join(plain(value) for value in line)}"
        else:
            left.remove(alike)
    for line in left:
        yield f"has the {what} {', '.join(plain(value) for value in line)}, which is not wanted"


def shown(lines: Iterable[Json], *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of some rows."""
    return [tuple(line[column] for column in columns) for line in lines]


def same(written: str, wanted: str) -> bool:
    """Whether a text is the wanted one, but for the number of blanks and for characters that SYSPRO does not have."""
    return pattern(" ".join(wanted.split())).fullmatch(" ".join(written.split())) is not None


def pattern(text: str) -> re.Pattern[str]:
    """What a text may look like in Windows-1252: its characters are kept, others spelled with like ones or replaced
    (syspro-transport.md section 2.1)."""
    return re.compile("".join(map(_character, unicodedata.normalize("NFC", text))), re.DOTALL)


def squeezed(text: str) -> str:
    """Without blanks and commas: a line may have been broken at either, and lines may have been joined by them."""
    return "".join(unicodedata.normalize("NFC", text).replace(",", "").split())


def plain(value: object) -> str:
    """A figure without zeros at its end."""
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def _equal(written: Any, wanted: Any) -> bool:
    return Decimal(written) == wanted if isinstance(wanted, Decimal) else same(str(written), str(wanted))


def _character(one: str) -> str:
    if one.encode("cp1252", "ignore"):
        return re.escape(one)
    base = unicodedata.normalize("NFD", one)[0]
    spelled = f"{re.escape(base)}.{{0,2}}" if base.isascii() else ".{1,4}" if one.isalpha() else ".{0,2}"
    return f"(?:{re.escape(one)}|{spelled})"
