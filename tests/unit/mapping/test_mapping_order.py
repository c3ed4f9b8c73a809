"""What is empty, true and equal, and the one order that `<`, min, max and sort share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.errors import Rejected
from syncengine.mapping.order import is_empty, rank, same, truth
from tests.unit.mapping.mapping_fixtures import mapped

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ASCENDING: list[Any] = [
    "-1", Decimal("-0.5"), "-0", 0, "007", 7, "7.0", "9", Decimal("9.5"), "10", 11, "10a", "A", "Z", "a", "caf\u00e9",
    date(2026, 1, 31), date(2026, 2, 1), NOON, NOON + timedelta(seconds=1), False, True, None,
]  # fmt: skip
"""By docs/mapping.md, written by hand: numbers and numeric text, other text, dates, times, booleans, nothing."""

ALIKE: list[tuple[Any, Any]] = [
    (7, "7"), (7, Decimal("7.00")), (" 7 ", 7), ("a", " a\n"), ("caf\u00e9", "cafe\u0301"), (None, ""), ("", " \t"),
    (NOON, NOON.astimezone(timezone(timedelta(hours=2)))), (0, Decimal("-0.0")), (0.5, Decimal("0.5")),
    ([1, "a"], ["1", " a"]), ({"a": 1}, {"a": Decimal(1)}), ([], []),
]  # fmt: skip
DIFFERENT: list[tuple[Any, Any]] = [
    (7, "007"), (7, "7.0"), ("7", "07"), ("a", "A"), (True, 1), (False, 0), (False, None), (0, None), (0, ""),
    (date(2026, 1, 31), "2026-01-31"), (date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC)), ([], None), ([1], 1),
    ({}, []), ([1], [1, 2]), ({"a": 1}, {"b": 1}),
]  # fmt: skip
SINGLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 20),
    st.decimals(-20, 20, places=1),
    st.from_regex(r"[+-]?0?[0-9]{1,2}(\.[05]0?)?", fullmatch=True),
    st.text(alphabet="aZ\u00e9e\u0301 9", max_size=3),
    st.dates(date(2026, 1, 1), date(2026, 1, 9)),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 9), timezones=st.just(UTC)),  # noqa: DTZ001 - zone is given
)


def test_the_order_is_as_documented() -> None:
    for lower, higher in pairwise(ASCENDING):
        assert rank(lower) < rank(higher)
        assert not same(lower, higher)


@pytest.mark.parametrize(("left", "right"), ALIKE)
def test_what_is_equal(left: Any, right: Any) -> None:
    assert same(left, right)
    assert same(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_what_is_not_equal(left: Any, right: Any) -> None:
    assert not same(left, right)
    assert not same(right, left)


@given(SINGLE, SINGLE, SINGLE)
def test_the_order_is_total_and_agrees_with_equality(one: Any, two: Any, three: Any) -> None:
    assert (rank(one) == rank(two)) is same(one, two)
    assert (rank(one) < rank(two)) + (rank(one) > rank(two)) + same(one, two) == 1
    low, middle, high = sorted([one, two, three], key=rank)
    assert rank(low) <= rank(middle) <= rank(high)
    assert rank(low) <= rank(high)


@pytest.mark.parametrize("value", [None, "", " \t\u00a0"])
def test_what_is_empty_is_false(value: Any) -> None:
    assert is_empty(value)
    assert not truth(value)


def test_what_is_false_and_not_empty() -> None:
    assert not any(truth(value) for value in (0, Decimal("0.00"), False, [], {}))
    assert not any(is_empty(value) for value in (0, False, [], {}))
    assert all(truth(value) for value in ("0", "false", "no", 0.1, [None], date(2026, 1, 1)))


@pytest.mark.parametrize(
    "condition",
    [
        "custom.BLANK", "not custom.ZERO", "custom.BLANK or note", "paid and custom.BLANK", "any([custom.BLANK, note])",
        "all([custom.ZERO, custom.BLANK])", "count([t for t in tags if t]) != 1", "'y' if custom.BLANK else ''",
        "custom.BLANK != none", "custom.BLANK in ['x']", "custom.ZERO == 1", "'x' in custom.BLANK",
    ],
)  # fmt: skip
def test_a_blank_is_no_yes_anywhere(condition: str) -> None:
    doc = {"custom": {"BLANK": " ", "ZERO": "0"}, "paid": True, "tags": ["a", " "]}

    assert mapped(f'key: {{when: "{condition}", then: "\'yes\'", else: "\'no\'"}}', doc) == {"key": "no"}


def test_blank_conditions_hold_nowhere() -> None:
    doc = {"custom": {"BLANK": " "}, "title": "t", "id": 1}

    assert mapped("key: {cases: [{when: custom.BLANK, then: \"'a'\"}, {else: \"'b'\"}]}", doc) == {"key": "b"}
    assert mapped("line1, line2: {spread: [title], max: 9, when: custom.BLANK}", doc) == {}
    assert mapped("customer: {when: custom.BLANK, from: id, link: customers}", doc) == {}


ROWS = {"rows": [{"id": "1", "sequence": "10"}, {"id": "2", "sequence": "9"}, {"id": "3", "sequence": " "}]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("max(r.sequence for r in rows)", "10"),
        ("min(r.sequence for r in rows)", "9"),
        ("max('9', 10)", Decimal(10)),
        ("min('9', 10)", Decimal(9)),
        ("max('b', 'a', 'B')", "b"),
        ("max('9', 'a')", "a"),
        ("min('7', '007')", "007"),
        ("max(custom.ONE, custom.TWO)", date(2026, 2, 1)),
        ("count([r for r in rows if r.sequence and r.sequence > '5'])", 2),
        ("custom.TEXT > 5", True),
        ("custom.TEXT >= '12.0'", False),
        ("custom.ONE < custom.TWO", True),
        ("'10' < '9'", False),
        ("'10' < '9a'", True),
    ],
)
def test_compared_by_the_one_order(expression: str, expected: Any) -> None:
    custom = {"ONE": date(2026, 1, 31), "TWO": date(2026, 2, 1), "TEXT": "12"}
    found = mapped(f'free: {{from: "{expression}"}}', {**ROWS, "custom": custom})["free"]

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("custom.WORD > 5", "custom.WORD is not a number"),
        ("custom.DAY > 5", "custom.DAY is not a number"),
        ("custom.DAY > custom.WORD", "custom.WORD and custom.DAY are of different kinds and have no order"),
        ("custom.FLAG > custom.FLAG", "custom.FLAG is not a number"),
        ("custom.BLANK > 5", "custom.BLANK has no value to compare"),
        ("custom.LIST > 5", "custom.LIST is a group or a list"),
        ("max(5, custom.WORD)", "a value compared is not a number"),
        ("max(custom.DAY, custom.WORD)", "of different kinds"),
    ],
)
def test_what_does_not_belong_together_is_not_compared_by_size(expression: str, said: str) -> None:
    custom = {"WORD": "n/a", "DAY": date(2026, 1, 31), "FLAG": True, "BLANK": " ", "LIST": [1]}

    with pytest.raises(Rejected) as error:
        mapped(f"free: {{from: '{expression}'}}", {"custom": custom})
    assert said in error.value.reason
