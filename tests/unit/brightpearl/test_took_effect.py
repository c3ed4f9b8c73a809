"""Whether a correction whose answer was lost is there, by its token and all that moved since the level was read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from syncengine.connectors.base import Change, LineChange, Operation, Verb
from syncengine.connectors.brightpearl.corrections import took_effect
from syncengine.connectors.brightpearl.movements import Movement, Posted

AT = datetime(2026, 3, 2, 9, 0, 57, tzinfo=UTC)
READ = (AT + timedelta(seconds=0.4), AT + timedelta(seconds=1))
TOKEN = "se-1"
OURS = 900


def _asked(old: int, new: int) -> Operation:
    line = LineChange("warehouses", "change", "3", "3", {}, {"inStock": Change(old, new)})
    return Operation(Verb.CHANGE, "MUG", doc={}, key="7", lines=(line,), token=TOKEN)


def _moved(quantities: Sequence[tuple[float, int]], *, is_done: int = 0) -> list[Movement]:
    """Movements, each so many seconds after the second of the reading, and ours if it was done."""
    found = [(AT + timedelta(seconds=after), quantity, 100 + at) for at, (after, quantity) in enumerate(quantities)]
    found += [(AT + timedelta(seconds=3), is_done, OURS)] if is_done else []
    return [
        Movement(note, 7, 3, 1, quantity, note, "SC", 0, is_quarantine=False, updated_on=at)
        for at, quantity, note in found
    ]


def _took(old: int, new: int, now: int, moved: Sequence[Movement]) -> bool | None:
    posted = [
        Posted(each.note_id, 7, 3, each.quantity, TOKEN, each.updated_on) for each in moved if each.note_id == OURS
    ]
    levels = {"7": {"warehouses": {"3": {"inStock": now}}}}
    return took_effect(_asked(old, new), READ, levels, moved, posted)


@pytest.mark.parametrize("before", [[], [(-1, 7)], [(0, 7)], [(-1, 2), (0, 5)]])
def test_it_is_there_if_the_level_is_what_moved_since(before: list[tuple[float, int]]) -> None:
    """What moved in the second of the reading was in the level already."""
    assert _took(26, 32, 32, _moved(before, is_done=6)) is True


def test_what_moved_in_the_second_of_the_reading_may_be_newer_than_the_level() -> None:
    assert _took(26, 32, 39, _moved([(0, 7)], is_done=6)) is True


def test_it_is_not_there_without_its_token() -> None:
    assert _took(26, 32, 26, _moved([(0, 7)])) is False
    assert _took(26, 32, 24, _moved([(2, -2)])) is False


@pytest.mark.parametrize(("now", "is_done"), [(40, 6), (26, 6), (32, 0), (25, 0)])
def test_nobody_knows_where_the_level_is_none_of_what_it_may_be(now: int, is_done: int) -> None:
    assert _took(26, 32, now, _moved([(0, 7)], is_done=is_done)) is None
