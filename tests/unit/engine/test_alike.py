"""Lines that are like others are found by a text of their values, and that finds what comparing each with each would find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connectors.base import Resource
from syncengine.document import LINE_KEY, LINE_NUMBER, Doc
from syncengine.engine.decide import adoption, unconfirmed_change
from syncengine.engine.decide.adoption import Candidate
from syncengine.engine.decide.merge import ABSENT, UNCLEAR, alike_together, canonical, merge, numeric, same
from syncengine.mapping.contract import Policy

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG = "1.00000000000000000000000000001"  # 30 digits: two more than the arithmetic keeps
ORDINARY = [
    *(None, "", " ", "a", "a ", " a", "1", "1.0", "1.1", "1.10", "0", "-0", "100", "1E+2", "2026-03-02", "True", "[1]"),
    *(0, 1, -1, 100, 10**30, ABSENT),
    *(Decimal(text) for text in ("0", "0.00", "1", "1.0", "1.1", "1.10", "-1", "1E+2", "100.0")),
    *(date(2026, 3, 2), NOON, NOON.replace(tzinfo=None), NOON.isoformat(), NOON.replace(hour=0, tzinfo=None)),
]
ODD = [
    *(True, False, 1.0, 0.0, -0.0, float("nan"), [1], [True], {"a": 1}),
    *(Decimal(text) for text in ("-0", "NaN", "Infinity", LONG, "1E+40", "1E-40", "1E+30")),
    NOON.astimezone(timezone(timedelta(hours=1))),
    NOON.astimezone(timezone(timedelta(hours=1))).isoformat(),
]
things = st.one_of(
    st.text(max_size=3),
    st.integers(),
    st.decimals(allow_nan=False),
    st.decimals(-1000, 1000, places=3),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.booleans(),
    st.floats(),
)
values = st.one_of(
    st.sampled_from([*ORDINARY, *ODD]),
    things,
    things.map(lambda value: format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)),
)


@given(one=values, other=values)
def test_two_values_are_the_same_exactly_if_their_canonical_texts_are(one: Any, other: Any) -> None:
    texts = canonical(one), canonical(other)
    if None not in texts:
        assert same(one, other) is (texts[0] == texts[1])


@pytest.mark.parametrize("one", ORDINARY)
def test_what_documents_are_made_of_has_a_canonical_text_that_says_what_is_the_same(one: Any) -> None:
    assert canonical(one) is not None
    for other in ORDINARY:
        assert same(one, other) is (canonical(one) == canonical(other))


@given(value=st.one_of(st.text(), st.decimals(-(10**9), 10**9, places=6).filter(bool), st.integers(), st.dates()))
def test_so_has_every_text_amount_and_date(value: Any) -> None:
    assert canonical(value) is not None


@pytest.mark.parametrize(
    ("one", "between", "other"),
    [
        (True, 1, "1"),
        (Decimal("-0"), Decimal(0), "0"),
        (Decimal(1), "1", Decimal(LONG)),
        (NOON.astimezone(timezone(timedelta(hours=1))), NOON, NOON.isoformat()),
    ],
)
def test_where_the_same_as_the_same_is_not_the_same_there_is_no_canonical_text(
    one: Any, between: Any, other: Any
) -> None:
    assert same(one, between)
    assert same(between, other)
    assert not same(one, other)
    assert None in (canonical(one), canonical(other))


@pytest.mark.parametrize("text", ["1E+999999999", "1E-999999999"])
def test_a_number_of_absurd_size_is_compared_without_being_written_out(text: str) -> None:
    lines = {"a": {"qty": Decimal(text)}, "b": {"qty": Decimal(1)}, "c": {"qty": Decimal(text)}}
    assert alike_together(list(lines), lines, ["qty"]) == [["a", "c"], ["b"]]


FIELDS = ("code", "qty")
few = st.sampled_from(["X", "X ", "Y", None, "", "1", "1.0", 1, Decimal("1.0"), Decimal(2), "2"])
odd_too = st.one_of(few, st.sampled_from([True, Decimal("-0"), 0, "0", 1.0]))
rows = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, few)), max_size=8)
odd_rows = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, odd_too)), max_size=8)
any_rows = st.one_of(rows, odd_rows)
fields = st.sampled_from([FIELDS, FIELDS[:1], ()])


def _ours(lines: Sequence[Doc]) -> list[Doc]:
    return [{**line, LINE_KEY: f"k{place}"} for place, line in enumerate(lines)]


def _theirs(lines: Sequence[Doc]) -> list[Doc]:
    return [{**line, LINE_NUMBER: str(len(lines) - place)} for place, line in enumerate(lines)]


def _by(mark: str, lines: Sequence[Doc]) -> dict[str, Doc]:
    return {line[mark]: line for line in lines}


def _alike(one: Doc, other: Doc, names: Sequence[str]) -> bool:
    return all(same(one.get(name), other.get(name)) for name in names)


def _grouped_one_by_one(keys: Sequence[str], lines: Mapping[str, Doc], names: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for key in keys:
        group = next((group for group in groups if _alike(lines[key], lines[group[0]], names)), None)
        if group is None:
            groups.append([key])
        else:
            group.append(key)
    return groups


@given(lines=any_rows, names=fields)
def test_lines_are_grouped_as_if_each_were_compared_with_each(lines: list[Doc], names: Sequence[str]) -> None:
    by_key = _by(LINE_KEY, _ours(lines))
    assert alike_together(list(by_key), by_key, names) == _grouped_one_by_one(list(by_key), by_key, names)


def _recognised_one_by_one(
    agreed: Mapping[str, Doc], there: Mapping[str, Doc], numbers: dict[str, str], needed: Sequence[str]
) -> list[str]:
    """Completes `numbers`; returns the keys of the lines that are needed and ambiguous."""
    free = {number: line for number, line in there.items() if number not in [numbers.get(key) for key in agreed]}
    unnumbered = [key for key in agreed if key not in numbers]
    clear = True
    for depth in range(len(FIELDS), 0, -1):
        names = FIELDS[:depth]
        for group in _grouped_one_by_one(unnumbered, agreed, names):
            alike = [number for number, line in free.items() if _alike(line, agreed[group[0]], names)]
            if alike and len(alike) == len(group):
                for key, number in zip(group, sorted(alike, key=numeric), strict=True):
                    numbers[key] = number
                    del free[number]
                    unnumbered.remove(key)
            elif alike and set(group) & set(needed):
                clear = False
    return [] if clear else [key for key in unnumbered if key in needed]


@given(before=any_rows, current=any_rows, kept=st.sets(st.integers(0, 7)), known=st.sets(st.integers(0, 7)))
def test_lines_are_recognised_as_if_each_were_compared_with_each(
    before: list[Doc], current: list[Doc], kept: set[int], known: set[int]
) -> None:
    agreed, there = _ours(before), _theirs(current)
    asked = [line for place, line in enumerate(agreed) if place in kept]
    numbers = {f"k{place}": str(place + 1) for place in known}
    merged = merge(
        {"rows": agreed},
        {"rows": asked},
        {"rows": there},
        policy=lambda _: Policy.HOLD,
        line_fields={"rows": FIELDS},
        numbers=numbers,
    )

    needed = [line[LINE_KEY] for line in agreed if line not in asked]
    unclear = _recognised_one_by_one(_by(LINE_KEY, agreed), _by(LINE_NUMBER, there), numbers, needed)
    assert merged.numbers == numbers
    ambiguous = [conflict.path for conflict in merged.conflicts if conflict.because == UNCLEAR]
    assert ambiguous == [f"rows[{key}]" for key in unclear]


@given(new=any_rows, current=any_rows, known=st.dictionaries(st.integers(-2, 7), st.integers(1, 8), max_size=4))
def test_added_lines_are_found_as_if_each_were_compared_with_each(
    new: list[Doc], current: list[Doc], known: dict[int, int]
) -> None:
    added, there = _ours(new), _theirs(current)
    numbers = {f"k{place}": str(number) for place, number in known.items()}
    agreed, found = unconfirmed_change.agreement_shown(
        {}, {"rows": added}, {"rows": there}, line_fields={"rows": FIELDS}, numbers=numbers
    )  # fmt: skip

    arrived = []
    for line in added:
        used = set(numbers.values())
        alike = [other[LINE_NUMBER] for other in there if _alike(line, other, FIELDS)]
        if free := [number for number in alike if number not in used]:
            numbers[line[LINE_KEY]] = max(free, key=numeric)
            arrived.append(line)
    assert agreed["rows"] == arrived
    assert found == numbers


@given(asked=any_rows, data=st.data())
def test_an_object_has_our_lines_as_if_each_were_compared_with_each(asked: list[Doc], data: st.DataObject) -> None:
    found = data.draw(st.one_of(any_rows, st.permutations(asked)))
    ours, theirs = _ours(asked), _theirs(found)
    orders = cast(
        Resource,
        SimpleNamespace(
            identity=(), line_fields={"rows": FIELDS}, is_cancelled=lambda doc: False, created_at=lambda doc: None
        ),
    )
    verdict = adoption.judge(
        orders, {"rows": ours}, [Candidate("7", {}, {"rows": theirs})], sent_at=NOON, verify=False
    )  # fmt: skip

    rest, missing = list(theirs), len(ours) != len(theirs)
    for line in ours:
        match = next((other for other in rest if _alike(line, other, FIELDS)), None)
        missing = missing or match is None
        rest = [other for other in rest if other is not match]
    assert (verdict.adopt is None) is missing
