"""Tallies: what moved in one of two systems and may not have moved in the other yet, as a range. Pure.

A movement counts once for each side whose figure has it: target = source's figure + sum of q * (in the target's figure - in the
source's figure). Where nobody knows whether a figure had it, both are possible, so the sum is a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

Window = tuple[datetime, datetime]
"""The bounds of the moment at which a figure was read, by its system's clock (UTC)."""


@dataclass(frozen=True, slots=True)
class Marks:
    """When a movement came into the figures of one system: not before `after`, and by `by`.

    Both None: it is surely not there yet. `by` alone None: it may have come in since `after`.
    """

    after: datetime | None = None
    by: datetime | None = None

    def possible(self, window: Window) -> tuple[int, ...]:
        """Whether a figure that was read within the window has the movement: (0,), (1,) or (0, 1)."""
        began, ended = window
        if self.after is None and self.by is None:
            return (0,)
        if self.by is not None and self.by <= began:
            return (1,)
        return (0,) if self.after is not None and ended < self.after else (0, 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement of one item at a place of the target: its signed effect, and its marks in both systems."""

    place: str
    quantity: Decimal
    in_source: Marks
    in_target: Marks


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and the highest sum that is possible."""

    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)

    def plus(self, low: Decimal, high: Decimal) -> Range:
        """The range with another term."""
        return Range(self.low + low, self.high + high)


def sums(entries: Iterable[Entry], source: Window, target: Window) -> dict[str, Range]:
    """The sum by place, given when the figures of both systems were read; a place without movements is absent."""
    found: dict[str, Range] = {}
    for entry in entries:
        own = term(entry, source, target)
        found[entry.place] = found.get(entry.place, Range()).plus(own.low, own.high)
    return found


def exact_at(entries: Iterable[Entry], source: Window, target: Window) -> datetime | None:
    """From when on a later reading of both systems has each movement for sure, given when they were read; it may be past.

    None if the figures have each for sure, or if that depends on what is posted.
    """
    marks = [each for entry in entries for each in ((entry.in_source, source), (entry.in_target, target))]
    times = [mark.by for mark, (began, _) in marks if mark.by is not None and mark.by > began]
    return max(times) if times else None


def term(entry: Entry, source: Window, target: Window) -> Range:
    """What one movement adds to the sum."""
    terms = [
        entry.quantity * (there - here)
        for there in entry.in_target.possible(target)
        for here in entry.in_source.possible(source)
    ]
    return Range(min(terms), max(terms))


def ends(ranges: Mapping[str, Range]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """All lowest and all highest sums, by place."""
    return {place: range_.low for place, range_ in ranges.items()}, {
        place: range_.high for place, range_ in ranges.items()
    }
