"""ID sets: `1-3,8,10-12`, ascending, ranges where ids are consecutive. Facts: reference/brightpearl.md section 6."""

from __future__ import annotations

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
