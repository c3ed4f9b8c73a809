"""The three-way comparison: what is written, what is left, what is held; lines by number or by content."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.document import LINE_KEY, LINE_NUMBER, Doc
from syncengine.engine.decide.merge import Merged, merge, same
from syncengine.mapping.contract import Policy

LINES = {"rows": ("code", "qty")}


def _policy(kind: Policy) -> Callable[[str], Policy]:
    return lambda path: kind


def _merge(base: Doc, wanted: Doc, current: Doc, policy: Policy = Policy.HOLD, **more: Any) -> Merged:
    defaults: dict[str, Any] = {"line_fields": LINES, "numbers": {}}
    return merge(base, wanted, current, policy=_policy(policy), **{**defaults, **more})


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (None, "", True),
        ("a  ", "a", True),
        (Decimal("1.10"), Decimal("1.1"), True),
        (Decimal("1.10"), "1.1", True),
        (5, "5", True),
        (" a", "a", False),
        ("0", None, False),
        (Decimal(0), "", False),
    ],
)
def test_what_is_the_same_for_the_business(one: object, other: object, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


@pytest.mark.parametrize(
    ("base", "wanted", "current", "policy", "newer", "outcome"),
    [
        ("a", "a", "a", Policy.HOLD, None, "nothing"),
        ("a", "b", "a", Policy.HOLD, None, "written"),
        ("a", "a", "b", Policy.SOURCE, None, "left"),
        ("a", "b", "c", Policy.SOURCE, None, "written"),
        ("a", "a", "b", Policy.ENFORCE, None, "written"),
        ("a", "a", "b", Policy.LEFT, None, "written"),
        ("a", "a", "a", Policy.ENFORCE, None, "nothing"),
        ("a", "b", "b", Policy.HOLD, None, "nothing"),
        ("a", "b", "c", Policy.HOLD, None, "held"),
        ("a", "b", "c", Policy.ENFORCE, None, "written"),
        ("a", "b", "c", Policy.LEFT, None, "written"),
        ("a", "b", "c", Policy.RIGHT, None, "left"),
        ("a", "b", "a", Policy.ON_CREATE, None, "left"),
        ("a", "b", "c", Policy.NEWEST, True, "written"),
        ("a", "b", "c", Policy.NEWEST, False, "left"),
        ("a", "b", "c", Policy.NEWEST, None, "held"),
    ],
)
def test_a_field_goes_by_who_changed_it_and_by_its_policy(
    base: str, wanted: str, current: str, policy: Policy, newer: bool | None, outcome: str
) -> None:
    merged = _merge({"f": base}, {"f": wanted}, {"f": current}, policy, source_is_newer=newer)

    found = "written" if merged.changes else "left" if merged.kept else "held" if merged.conflicts else "nothing"
    assert found == outcome


def test_a_field_that_the_target_does_not_tell_is_taken_as_it_was_agreed() -> None:
    assert not _merge({"f": "a"}, {"f": "a"}, {}).writes
    assert _merge({"f": "a"}, {"f": "b"}, {}).changes["f"].new == "b"


def test_a_field_that_is_not_mapped_any_more_is_cleared_in_the_target() -> None:
    assert _merge({"f": "a"}, {}, {"f": "a"}).changes["f"].new is None


def _row(key: str, code: str, qty: int) -> Doc:
    return {LINE_KEY: key, "code": code, "qty": qty}


def _line(number: int, code: str, qty: int) -> Doc:
    return {LINE_NUMBER: str(number), "code": code, "qty": qty}


def test_two_equal_lines_take_any_of_two_equal_ones() -> None:
    base = {"rows": [_row("a", "X", 1), _row("b", "X", 1)]}
    wanted = {"rows": [_row("a", "X", 1), _row("b", "X", 9)]}
    merged = _merge(base, wanted, {"rows": [_line(1, "X", 1), _line(2, "X", 1)]})

    assert [(line.action, line.number) for line in merged.lines] == [("change", "2")]


def test_a_line_that_a_clerk_changed_is_recognised_by_its_code_alone() -> None:
    base = {"rows": [_row("a", "X", 1), _row("b", "Y", 1)]}
    wanted = {"rows": [_row("a", "X", 1)]}
    merged = _merge(base, wanted, {"rows": [_line(1, "X", 5), _line(2, "Y", 1)]})

    assert merged.numbers == {"a": "1", "b": "2"}
    assert [(line.action, line.number) for line in merged.lines] == [("remove", "2")]
    assert [one.path for one in merged.kept] == ["rows[a].qty"]


def test_a_line_that_was_removed_in_the_target_and_changed_in_the_source_is_held() -> None:
    merged = _merge({"rows": [_row("a", "X", 1)]}, {"rows": [_row("a", "X", 2)]}, {"rows": []})
    assert [one.because for one in merged.conflicts] == ["no longer exists in the target"]


def test_a_line_that_is_removed_in_the_source_and_changed_in_the_target_is_held_or_enforced() -> None:
    sides = ({"rows": [_row("a", "X", 1)]}, {"rows": []}, {"rows": [_line(1, "X", 4)]})
    assert _merge(*sides).conflicts
    assert [line.action for line in _merge(*sides, policy=Policy.ENFORCE).lines] == ["remove"]


codes = st.sampled_from(["X", "Y", "Z"])
quantities = st.integers(1, 3)
source_rows = st.dictionaries(st.sampled_from("abcdef"), st.tuples(codes, quantities), max_size=5)
clerk_lines = st.lists(st.tuples(codes, quantities), max_size=3)


def _doc(rows: dict[str, tuple[str, int]], name: str) -> Doc:
    return {"name": name, "rows": [_row(key, *row) for key, row in rows.items()]}


def _created(doc: Doc) -> Doc:
    """The target after a create: it numbers the lines itself."""
    return {
        "name": doc["name"],
        "rows": [_line(number, row["code"], row["qty"]) for number, row in enumerate(doc["rows"], 1)],
    }


def _applied(current: Doc, merged: Merged) -> tuple[Doc, dict[str, str]]:
    """The target after the merge was written; and the line numbers as they are known then."""
    doc = {**current, **{name: change.new for name, change in merged.changes.items()}}
    rows = {row[LINE_NUMBER]: dict(row) for row in current["rows"]}
    numbers = dict(merged.numbers)
    top = max(map(int, rows), default=0)  # no number is given twice
    for line in merged.lines:
        if line.action == "remove":
            del rows[str(line.number)]
        elif line.action == "change":
            rows[str(line.number)] |= {name: change.new for name, change in line.changes.items()}
        else:
            top += 1
            number = str(top)
            rows[number] = _line(int(number), line.line["code"], line.line["qty"])
            numbers[line.key] = number
    return {**doc, "rows": list(rows.values())}, numbers


@given(before=source_rows, after=source_rows, names=st.tuples(codes, codes))
def test_a_merge_that_is_written_leaves_nothing_to_write(
    before: dict[str, tuple[str, int]], after: dict[str, tuple[str, int]], names: tuple[str, str]
) -> None:
    base, wanted = _doc(before, names[0]), _doc(after, names[1])
    merged = _merge(base, wanted, _created(base))
    if merged.conflicts:
        return
    written, numbers = _applied(_created(base), merged)
    again = _merge(wanted, wanted, written, numbers=numbers)

    assert not again.writes
    assert not again.conflicts
    assert sorted((row["code"], row["qty"]) for row in written["rows"]) == sorted(after.values())


@given(before=source_rows, after=source_rows, clerks=clerk_lines)
def test_lines_of_the_targets_people_are_never_touched(
    before: dict[str, tuple[str, int]], after: dict[str, tuple[str, int]], clerks: list[tuple[str, int]]
) -> None:
    base, wanted = _doc(before, "n"), _doc(after, "n")
    current = _created(base)
    numbers = {row[LINE_KEY]: str(number) for number, row in enumerate(base["rows"], 1)}
    extra = [_line(100 + number, *line) for number, line in enumerate(clerks)]
    merged = _merge(base, wanted, {**current, "rows": current["rows"] + extra}, numbers=numbers)

    assert {line.number for line in merged.lines}.isdisjoint({line[LINE_NUMBER] for line in extra})


@given(rows=source_rows, quantity=st.integers(4, 9))
def test_what_was_changed_in_the_target_alone_survives(rows: dict[str, tuple[str, int]], quantity: int) -> None:
    base = _doc(rows, "n")
    current = _created(base)
    numbers = {row[LINE_KEY]: row_[LINE_NUMBER] for row, row_ in zip(base["rows"], current["rows"], strict=True)}
    for row in current["rows"]:
        row["qty"] = quantity
    merged = _merge(base, base, {**current, "name": "theirs"}, numbers=numbers)

    assert not merged.writes
    assert len(merged.kept) == len(rows) + 1
