"""Brightpearl's id sets: `8`, `1-10`, `1,2,3`, `1-3,8,10-12` (brightpearl.md section 6).

Brightpearl reads them in paths and filters, a fault in the path of a call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_PART = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?\Z")


def spans(text: str) -> list[tuple[int, int]]:
    """The set's parts as inclusive ranges, in the order given.

    Raises:
        ValueError: it is not an id set, is open-ended, or a range descends.
    """
    found = []
    for part in text.split(","):
        match = _PART.match(part)
        if not match:
            raise ValueError(f"{part!r} is not an id or a range of ids")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise ValueError(f"range {part} does not ascend")
        found.append((low, high))
    return found


def members(found: list[tuple[int, int]], known: Iterable[int]) -> Iterator[int]:
    """The known ids of a set, ascending; unknown ones are skipped."""
    known_ids = known if isinstance(known, dict | set) else set(known)
    for low, high in found:
        if high - low > len(known_ids):
            yield from sorted(number for number in known_ids if low <= number <= high)
        else:
            yield from (number for number in range(low, high + 1) if number in known_ids)


def compact(ids: Iterable[int]) -> str:
    """Ids as the shortest id set: `1-2,5,8,10-41`."""
    ranges: list[list[int]] = []
    for number in sorted(ids):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
