"""What two objects must have agreed on where the store has forgotten it, and what is planned from there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from syncengine.document import LINE_KEY, LINE_NUMBER, Doc
from syncengine.engine.decide import rebase
from syncengine.engine.decide.merge import Merged, merge
from syncengine.engine.decide.rebase import Known
from syncengine.mapping.contract import Policy

LINE_FIELDS = {"Stock": ("Code", "Qty"), "Freight": ("Value",)}
POLICIES = {"Stock": Policy.HOLD, "Freight": Policy.HOLD}


def _policy(name: str) -> Policy:
    return POLICIES.get(name.partition(".")[0], Policy.SOURCE)


def _doc(ship: str, *lines: tuple[str, str, int], freight: str = "", mark: str = LINE_KEY) -> Doc:
    stock = [{mark: key, "Code": code, "Qty": Decimal(quantity)} for key, code, quantity in lines]
    doc: Doc = {"Ship": ship, "Stock": stock}
    return {**doc, "Freight": [{mark: "9", "Value": Decimal(freight)}]} if freight else {**doc, "Freight": []}


def _there(ship: str, *lines: tuple[str, str, int], freight: str = "") -> Doc:
    return _doc(ship, *lines, freight=freight, mark=LINE_NUMBER)


def _merged(known: Known, wanted: Doc, current: Doc, *, edited: bool = True) -> Merged:
    base, numbers = rebase.agreement(
        known,
        wanted,
        current,
        line_fields=LINE_FIELDS,
        edited=edited,
        is_held=lambda name: _policy(name) is Policy.HOLD,
    )
    return merge(base, wanted, current, policy=_policy, line_fields=LINE_FIELDS, numbers=numbers)


def _lines(merged: Merged) -> list[tuple[str, str | None]]:
    return [(line.action, line.number or line.key) for line in merged.lines]


def _told(merged: Merged) -> list[tuple[str, Any]]:
    return [(one.path, one.because) for one in merged.conflicts]


BACKUP = Known(_doc("Bristol", ("a", "MUG", 1), ("b", "BOOK", 2)), {"a": "1", "b": "2"})


def test_what_was_written_since_the_backup_needs_no_write_and_no_line_is_added_twice() -> None:
    now = ("York", ("a", "MUG", 5), ("c", "LAMP", 1))
    merged = _merged(BACKUP, _doc(*now), _there("York", ("1", "MUG", 5), ("3", "LAMP", 1)))

    assert not merged.writes
    assert merged.conflicts == []
    assert merged.numbers["c"] == "3"


def test_what_has_changed_at_the_source_alone_since_the_last_write_is_written() -> None:
    wanted = _doc("York", ("a", "MUG", 5), ("b", "BOOK", 2), ("c", "LAMP", 1), ("d", "DESK", 1))
    current = _there("Bristol", ("1", "MUG", 1), ("2", "BOOK", 2), ("3", "LAMP", 1))
    merged = _merged(BACKUP, wanted, current)

    assert merged.changes["Ship"].new == "York"
    assert _lines(merged) == [("change", "1"), ("add", "d")]
    assert merged.conflicts == []


def test_what_the_targets_people_have_changed_alone_stays() -> None:
    wanted = _doc("Bristol", ("a", "MUG", 1), ("b", "BOOK", 2))
    current = _there("Leeds", ("1", "MUG", 4), ("2", "BOOK", 2), ("7", "GIFT", 1))
    merged = _merged(BACKUP, wanted, current)

    assert not merged.writes
    assert merged.conflicts == []
    assert [one.path for one in merged.kept] == ["Ship", "Stock[a].Qty"]


def test_a_line_that_was_added_and_changed_again_is_not_added_a_second_time_but_is_for_a_person() -> None:
    wanted = _doc("Bristol", ("a", "MUG", 1), ("b", "BOOK", 2), ("c", "LAMP", 4))
    current = _there("Bristol", ("1", "MUG", 1), ("2", "BOOK", 2), ("3", "LAMP", 1))
    merged = _merged(BACKUP, wanted, current)

    assert _lines(merged) == []
    assert _told(merged) == [("Stock[c].Qty", "was changed on both sides")]


def test_a_line_without_more_than_its_value_is_not_added_where_another_one_may_be_it() -> None:
    wanted = _doc("Bristol", ("a", "MUG", 1), ("b", "BOOK", 2), freight="5.99")
    current = _there("Bristol", ("1", "MUG", 1), ("2", "BOOK", 2), freight="4.99")
    merged = _merged(BACKUP, wanted, current)

    assert not merged.writes
    assert [path for path, _ in _told(merged)] == ["Freight[9]"]


def test_a_line_number_that_bears_another_line_by_now_takes_nothing_away() -> None:
    wanted = _doc("Bristol", ("a", "MUG", 1), ("c", "LAMP", 1))
    current = _there("Bristol", ("1", "MUG", 1), ("2", "LAMP", 1))  # 2 was the book's
    merged = _merged(BACKUP, wanted, current)

    assert not merged.writes
    assert merged.conflicts == []
    assert merged.numbers == {"a": "1", "c": "2"}


FOUND = Known(dict(rebase.NOTHING), {})


@pytest.mark.parametrize("edited", [False, True])
def test_an_object_that_was_found_equal_needs_nothing_and_its_lines_are_known(edited: bool) -> None:
    wanted = _doc("Bristol", ("a", "MUG", 1), ("b", "MUG", 1), ("c", "BOOK", 2), freight="4.99")
    current = _there("Bristol", ("1", "BOOK", 2), ("2", "MUG", 1), ("3", "MUG", 1), freight="4.99")
    merged = _merged(FOUND, wanted, current, edited=edited)

    assert not merged.writes
    assert merged.conflicts == []
    assert merged.numbers == {"a": "2", "b": "3", "c": "1", "9": "9"}


def test_what_differs_in_an_object_whose_source_was_never_edited_is_its_peoples_doing() -> None:
    wanted = _doc("Bristol", ("a", "MUG", 1), ("b", "BOOK", 2), ("c", "LAMP", 1))
    current = _there("Leeds", ("1", "MUG", 3), ("2", "BOOK", 2), ("7", "GIFT", 1))
    merged = _merged(FOUND, wanted, current, edited=False)

    assert not merged.writes
    assert merged.conflicts == []


def test_what_differs_in_one_whose_source_was_edited_goes_by_policy_and_its_lines_are_for_a_person() -> None:
    wanted = _doc("York", ("a", "MUG", 3), ("c", "LAMP", 1))
    current = _there("Bristol", ("1", "MUG", 1), ("2", "BOOK", 2))
    merged = _merged(FOUND, wanted, current)

    assert merged.changes["Ship"].new == "York"
    assert _lines(merged) == []
    assert sorted(path for path, _ in _told(merged)) == ["Stock[@2]", "Stock[a].Qty", "Stock[c]"]


def test_what_the_target_does_not_tell_counts_as_agreed() -> None:
    wanted = {**_doc("Bristol", ("a", "MUG", 1)), "Secret": "x"}
    wanted["Stock"][0]["Note"] = "n"
    merged = _merged(FOUND, wanted, _there("Bristol", ("1", "MUG", 1)))

    assert not merged.writes
    assert merged.conflicts == []


@pytest.mark.parametrize("numbers", [{"a": "1", "b": "2"}, {}])
def test_the_numbers_of_known_lines_are_found_before_a_new_line_is_judged(numbers: dict[str, str]) -> None:
    known = Known(BACKUP.base, numbers)
    wanted = _doc("Bristol", ("a", "MUG", 4), ("c", "BOOK", 2), ("d", "LAMP", 1))
    current = _there("Bristol", ("1", "MUG", 3), ("2", "BOOK", 2), ("4", "LAMP", 1))
    merged = _merged(known, wanted, current)

    assert _told(merged) == [("Stock[a].Qty", "was changed on both sides")]
    removed = _merged(known, _doc("Bristol", ("a", "MUG", 1)), _there("Bristol", ("1", "MUG", 1), ("2", "BOOK", 2)))
    assert _lines(removed) == [("remove", "2")]
    late = _doc("Bristol", ("a", "MUG", 1), ("b", "BOOK", 2), ("c", "BOOK", 1))
    added = _merged(known, late, _there("Bristol", ("1", "MUG", 1), ("2", "BOOK", 2)))
    assert _lines(added) == [("add", "c")]
