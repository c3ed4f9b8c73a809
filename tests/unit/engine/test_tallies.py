"""Tallies against a ledger: whatever moves when and is read when, no movement is missed or counted twice. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.engine.decide.tallies import Entry, Marks, Range, Window, ends, exact_at, sums

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LONGEST = 60
"""Seconds of a timeline."""

END = LONGEST * 3
"""By then everything has come and every mark is past."""

Slack = tuple[int | None, int | None]
EXACT: Slack = (0, 0)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


@dataclass(frozen=True)
class Mirrored:
    """A note (less), a receipt or a return (more), or one end of a transfer, that a flow brings to the other system.

    here, there: when the source and the target have it; either may be first. *_slack: seconds by which the marks of that side
    lie before and after; None for a mark that is not known.
    """

    quantity: int
    here: int
    there: int
    here_slack: Slack
    there_slack: Slack

    def entry(self) -> Entry:
        own, other = _marks(self.here, self.here_slack), _marks(self.there, self.there_slack)
        return Entry("main", Decimal(self.quantity), own, other)


def _marks(moment: int, slack: Slack) -> Marks:
    before, after = slack
    return Marks(
        None if before is None and after is not None else at(moment - (before or 0)),
        None if after is None else at(moment + after),
    )


@dataclass(frozen=True)
class Ledger:
    """What both systems show: the source has movements of its own too, the target a level that was wrong at first."""

    mirrored: Sequence[Mirrored]
    own: Sequence[tuple[int, int]]  # moment and quantity: production, counts
    wrong_by: int = 0

    def on_hand(self, moment: int) -> int:
        return 100 + self._own(moment) + sum(each.quantity for each in self.mirrored if each.here <= moment)

    def level(self, moment: int) -> int:
        """Without corrections."""
        return 100 + self.wrong_by + sum(each.quantity for each in self.mirrored if each.there <= moment)

    def true(self, here: int, there: int) -> int:
        """What the target should show: all that the source alone knows, and each movement once the target has it."""
        return 100 + self._own(here) + sum(each.quantity for each in self.mirrored if each.there <= there)

    def range(self, here: Window, there: Window, read_at: int) -> tuple[int, int]:
        tallied = sums([each.entry() for each in self.mirrored], here, there).get("main", Range())
        on_hand = self.on_hand(read_at)
        return int(on_hand + tallied.low), int(on_hand + tallied.high)

    def _own(self, moment: int) -> int:
        return sum(quantity for when, quantity in self.own if when <= moment)


moments, quantities = st.integers(0, LONGEST), st.integers(-9, 9)
vague = st.one_of(
    st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 20))), st.tuples(st.none(), st.integers(0, 20))
)


def ledgers(slack: st.SearchStrategy[Slack]) -> st.SearchStrategy[Ledger]:
    mirrored = st.builds(Mirrored, quantities, moments, moments, slack, slack)
    return st.builds(
        Ledger, st.lists(mirrored, max_size=6), st.lists(st.tuples(moments, quantities), max_size=3), quantities
    )


@st.composite
def reads(draw: st.DrawFn) -> tuple[Window, int]:
    """The bounds of a read, and when it was."""
    moment, before, after = draw(moments), draw(st.integers(0, 5)), draw(st.integers(0, 5))
    return (at(moment - before), at(moment + after)), moment


@given(ledgers(vague), reads(), reads())
def test_what_the_level_should_be_is_always_within_the_range(
    ledger: Ledger, here: tuple[Window, int], there: tuple[Window, int]
) -> None:
    low, high = ledger.range(here[0], there[0], here[1])
    assert low <= ledger.true(here[1], there[1]) <= high


@given(ledgers(st.just(EXACT)), moments, moments)
def test_where_all_marks_and_reads_are_exact_the_range_is_what_the_level_should_be(
    ledger: Ledger, here: int, there: int
) -> None:
    true = ledger.true(here, there)
    assert ledger.range((at(here), at(here)), (at(there), at(there)), here) == (true, true)


@given(ledgers(st.tuples(st.integers(0, 20), st.integers(0, 20))), st.lists(st.tuples(moments, moments), max_size=8))
def test_however_often_it_is_read_meanwhile_both_systems_agree_in_the_end(
    ledger: Ledger, read: list[tuple[int, int]]
) -> None:
    """Each write moves the level to the nearest end of its range, so it never moves away from what it should be."""
    corrected = 0
    for here, there in [*sorted(read, key=max), (END, END)]:
        low, high = ledger.range((at(here), at(here)), (at(there), at(there)), here)
        level, true = ledger.level(there) + corrected, ledger.true(here, there)
        written = min(max(level, low), high)
        assert abs(written - true) <= abs(level - true)
        corrected += written - level
    assert ledger.level(END) + corrected == ledger.on_hand(END)


WINDOW = at(10), at(20)


@pytest.mark.parametrize(
    ("marks", "possible"),
    [
        (Marks(), (0,)),
        (Marks(at(0), at(9)), (1,)),
        (Marks(at(0), at(10)), (1,)),
        (Marks(at(0), at(11)), (0, 1)),
        (Marks(at(15), at(16)), (0, 1)),
        (Marks(at(20), at(30)), (0, 1)),
        (Marks(at(21), at(30)), (0,)),
        (Marks(at(21)), (0,)),
        (Marks(at(0)), (0, 1)),
        (Marks(None, at(5)), (1,)),
        (Marks(None, at(15)), (0, 1)),
    ],
)
def test_a_figure_has_a_movement_surely_or_not_or_perhaps(marks: Marks, possible: tuple[int, ...]) -> None:
    assert marks.possible(WINDOW) == possible


def test_a_transfer_counts_at_both_its_places_and_sums_are_by_place() -> None:
    there, not_there = Marks(at(0), at(5)), Marks()
    entries = [
        Entry("main", Decimal(-4), not_there, there),
        Entry("side", Decimal(4), not_there, there),
        Entry("side", Decimal(2), Marks(at(0)), there),
    ]
    found = sums(entries, WINDOW, WINDOW)
    assert found == {"main": Range(Decimal(-4), Decimal(-4)), "side": Range(Decimal(4), Decimal(6))}
    assert ends(found) == (
        {"main": Decimal(-4), "side": Decimal(4)},
        {"main": Decimal(-4), "side": Decimal(6)},
    )


@given(ledgers(vague), reads(), reads())
def test_a_reading_after_the_time_at_which_it_is_exact_leaves_open_only_what_nobody_knows(
    ledger: Ledger, here: tuple[Window, int], there: tuple[Window, int]
) -> None:
    entries = [each.entry() for each in ledger.mirrored]
    time = exact_at(entries, here[0], there[0])
    later = max(filter(None, (time, here[0][0], there[0][0])))
    width = sum(
        abs(each.quantity)
        for each in entries
        for mark in (each.in_source, each.in_target)
        if mark.by is None and mark.after is not None and mark.after <= later
    )
    found = sums(entries, (later, later), (later, later)).get("main", Range())
    assert found.high - found.low <= width


def test_it_is_exact_when_the_figures_that_were_read_have_all_for_sure() -> None:
    entry = Entry("main", Decimal(-2), Marks(at(0), at(15)), Marks(at(0), at(5)))
    assert exact_at([entry], WINDOW, WINDOW) == at(15)  # whenever it is planned
    assert exact_at([entry], (at(15), at(20)), WINDOW) is None
    assert exact_at([Entry("main", Decimal(-2), Marks(at(0)), Marks(at(0), at(5)))], WINDOW, WINDOW) is None
