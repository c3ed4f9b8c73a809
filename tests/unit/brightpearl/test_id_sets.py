"""Id sets: sorted, compact, short enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connectors.brightpearl.id_sets import MOST_CHARACTERS, id_set, id_sets


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([8], "8"),
        ([3, 1, 2], "1-3"),
        ([12, 1, 2, 3, 8, 10, 11], "1-3,8,10-12"),
        ([5, 5, 6], "5-6"),
        ([], ""),
    ],
)
def test_ids_are_sorted_and_consecutive_ones_joined(ids: list[int], text: str) -> None:
    assert id_set(ids) == text


def test_no_set_has_more_ids_than_a_call_takes() -> None:
    assert list(id_sets(range(1, 451), 200)) == [("1-200", 200), ("201-400", 200), ("401-450", 50)]


def test_200_ids_of_seven_digits_fit_one_uri() -> None:
    assert len(list(id_sets(range(1_000_000, 1_000_400, 2), 200))) == 1


def test_a_set_too_long_for_a_uri_is_split() -> None:
    sets = list(id_sets(range(10**12, 10**12 + 400, 2), 200))
    assert [count for _, count in sets] == [128, 72]
    assert all(len(text) <= MOST_CHARACTERS for text, _ in sets)


@given(st.sets(st.integers(1, 10**9), max_size=300), st.integers(1, 200))
def test_sets_cover_exactly_the_ids(ids: set[int], most: int) -> None:
    covered: list[int] = []
    for text, count in id_sets(ids, most):
        numbers: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
        assert len(numbers) == count <= most
        covered += numbers
    assert covered == sorted(ids)
