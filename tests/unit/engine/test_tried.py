"""A change of unknown outcome: what of it the target shows was us, and nothing else is."""

from __future__ import annotations

from hypothesis import given

from syncengine.document import Doc
from syncengine.engine.decide.unconfirmed_change import agreement_shown
from tests.unit.engine.test_merge import LINES, _applied, _created, _doc, _line, _merge, _row, source_rows

Rows = dict[str, tuple[str, int]]


def _shown(base: Doc, tried: Doc, current: Doc, numbers: dict[str, str]) -> tuple[Doc, dict[str, str]]:
    return agreement_shown(base, tried, current, line_fields=LINES, numbers=numbers)


@given(before=source_rows, after=source_rows)
def test_a_change_that_happened_is_recognised_whole(before: Rows, after: Rows) -> None:
    base, tried = _doc(before, "old"), _doc(after, "new")
    merged = _merge(base, tried, _created(base), numbers=_numbers(base))
    target, _ = _applied(_created(base), merged)
    agreed, numbers = _shown(base, tried, target, merged.numbers)
    again = _merge(agreed, tried, target, numbers=numbers)

    assert not again.writes
    assert not again.conflicts
    assert len(agreed["rows"]) == len(after)


@given(before=source_rows, after=source_rows)
def test_of_a_change_that_did_not_happen_nothing_is_recognised(before: Rows, after: Rows) -> None:
    base, tried = _doc(before, "old"), _doc(after, "new")
    agreed, numbers = _shown(base, tried, _created(base), _numbers(base))

    assert agreed == base
    assert numbers == _numbers(base)


def test_a_field_that_shows_what_was_tried_is_ours_and_one_that_shows_something_else_is_not() -> None:
    agreed, _ = _shown({"f": "a", "g": "a"}, {"f": "b", "g": "b"}, {"f": "b", "g": "theirs"}, {})
    assert agreed == {"f": "b", "g": "a"}


def test_a_line_like_one_that_was_there_before_has_arrived_only_if_there_are_two() -> None:
    base, tried = {"rows": [_row("a", "X", 1)]}, {"rows": [_row("a", "X", 1), _row("b", "X", 1)]}

    assert _shown(base, tried, {"rows": [_line(1, "X", 1)]}, {"a": "1"}) == (base, {"a": "1"})
    both = {"rows": [_line(1, "X", 1), _line(2, "X", 1)]}
    assert _shown(base, tried, both, {"a": "1"}) == (tried, {"a": "1", "b": "2"})


def test_a_line_whose_number_is_not_known_is_not_taken_for_removed() -> None:
    base = {"rows": [_row("a", "X", 1), _row("b", "Y", 1)]}
    agreed, _ = _shown(base, {"rows": [_row("a", "X", 1)]}, {"rows": [_line(1, "X", 1)]}, {"a": "1"})
    assert agreed == base


def test_a_line_that_was_to_be_removed_and_is_gone_is_agreed_to_be_gone() -> None:
    base = {"rows": [_row("a", "X", 1), _row("b", "Y", 1)]}
    agreed, _ = _shown(base, {"rows": [_row("a", "X", 1)]}, {"rows": [_line(1, "X", 1)]}, {"a": "1", "b": "2"})
    assert agreed == {"rows": [_row("a", "X", 1)]}


def _numbers(doc: Doc) -> dict[str, str]:
    return {row["@key"]: str(number) for number, row in enumerate(doc["rows"], 1)}
