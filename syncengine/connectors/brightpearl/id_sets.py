"""ID sets: `1-3,8,10-12`, ascending, ranges where ids are consecutive. Facts: reference/brightpearl.md section 6."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MOST_CHARACTERS = 1_800
"""Longest id set in one path; with the rest of the URI it stays below the 2,048 that proxies commonly admit."""


def id_set(ids: Iterable[int]) -> str:
    """The compact form of some ids: sorted, each once."""
    return ",".join(_text(first, last) for first, last in _ranges(sorted(set(ids))))


def id_sets(ids: Iterable[int], most: int) -> Iterator[tuple[str, int]]:
    """Id sets of at most `most` ids and `MOST_CHARACTERS` characters that cover `ids`, each with its number of ids."""
    left = sorted(set(ids))
    while left:
        count = min(most, len(left))
        while len(text := id_set(left[:count])) > MOST_CHARACTERS:
            count = max(1, count * MOST_CHARACTERS // len(text))
        yield text, count
        left = left[count:]


def _ranges(ids: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for index in range(1, len(ids) + 1):
        if index == len(ids) or ids[index] != ids[index - 1] + 1:
            yield ids[start], ids[index - 1]
            start = index


def _text(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


MOST_DIGITS = 15
_PART = re.compile(r"([1-9][0-9]{0,14})(?:-([1-9][0-9]{0,14}))?", re.ASCII)  # MOST_DIGITS


def keys_in(text: str, most: int) -> tuple[str, ...]:
    """The ids of an id set as text, each once, in ascending order; none if they are more than `most`.

    Raises ValueError if the text is not an id set.
    """
    ids: set[int] = set()
    is_too_many = False
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if not found:
            raise ValueError("not an id set")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ValueError("a range of an id set ends before it begins")
        is_too_many = is_too_many or last - first >= most
        if not is_too_many:
            ids.update(range(first, last + 1))
            is_too_many = len(ids) > most
    return () if is_too_many else tuple(str(id_) for id_ in sorted(ids))
