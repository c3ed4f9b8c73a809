"""Id sets: `8`, `1-10`, `1,2,3`, `1-3,8,10-12` (brightpearl.md section 6)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from syncengine.sandbox.brightpearl.errors import BAD_ID_SET, TOO_MANY_IDS, invalid

_PART = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?\Z")


def spans(text: str) -> list[tuple[int, int]]:
    """The set's parts as inclusive ranges, in the order given.

    Raises:
        ValueError: it is no id set, is open-ended, or a range descends.
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


def parse(text: str, most: int, ascending: bool) -> list[tuple[int, int]]:
    """The ranges of an id set in a path.

    Args:
        most: how many ids it may name, known or not.
        ascending: whether parts out of numerical order are refused.

    Raises:
        ApiError: 400; the codes are invented, no recording shows this case.
    """
    try:
        found = spans(text)
    except ValueError as problem:
        raise invalid(BAD_ID_SET, f"The ID set {text} is invalid: {problem}") from None
    if ascending and any(after[0] <= before[1] for before, after in itertools.pairwise(found)):
        raise invalid(BAD_ID_SET, f"The ID set {text} is invalid: it must be in ascending order")
    if sum(high - low + 1 for low, high in found) > most:
        raise invalid(TOO_MANY_IDS, f"The ID set has more than the {most} IDs allowed")
    return found


def members(found: list[tuple[int, int]], known: Iterable[int]) -> Iterator[int]:
    """The known ids of a set, ascending; unknown ones are skipped in silence."""
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
