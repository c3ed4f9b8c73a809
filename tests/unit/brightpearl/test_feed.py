"""Feeds lose nothing: against a search that behaves as the references say and leaves open what they leave open."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.connectors.base import Page
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.feed import Feed
from syncengine.connectors.brightpearl.gateway import Found
from syncengine.errors import Transient

T0 = datetime(2024, 3, 4, 9, 0, 0, tzinfo=UTC)


def second(number: float) -> datetime:
    return T0 + timedelta(seconds=number)


@dataclass
class FakeAccount:
    page_size: int = 500
    lag: timedelta = timedelta(0)
    overlap: timedelta = timedelta(seconds=60)


@dataclass
class Search:
    """`updatedOn` by id, searched as section 7 says. `between_pages` runs after each call, as edits of others do."""

    updated: dict[int, datetime]
    account: FakeAccount = field(default_factory=FakeAccount)
    from_too: bool = True
    to_too: bool = True
    sorts_by_id: bool = True
    now: datetime = T0 + timedelta(seconds=10_000)
    late: dict[int, int] = field(default_factory=dict)  # id: calls after which its row appears
    between_pages: Callable[[Search], None] = lambda _: None
    calls: int = 0

    def search(
        self,
        path: str,
        *,
        columns: Sequence[str],
        sort: Sequence[str],
        page_size: int,
        filters: Mapping[str, str],
        first_result: int = 1,
    ) -> Found:
        self.calls += 1
        rows = [(at, key) for key, at in self.updated.items() if self._fits(at, key, filters)]
        if list(sort) == ["orderId.DESC"]:
            rows.sort(key=lambda row: -row[1])
        elif list(sort) == ["orderId.ASC"]:
            rows.sort(key=lambda row: row[1])
        else:
            assert list(sort) == ["updatedOn.ASC", "orderId.ASC"]
            rows.sort(key=lambda row: (row[0], row[1] if self.sorts_by_id else -row[1]))
        page = rows[first_result - 1 : first_result - 1 + page_size]
        found = Found(
            [{"orderId": key, "createdOn": None, "updatedOn": times.text(at)} for at, key in page],
            first_result - 1 + len(page) < len(rows) and bool(page),
            len(rows),
            self.now,
        )
        self.between_pages(self)
        return found

    def _fits(self, at: datetime, key: int, filters: Mapping[str, str]) -> bool:
        if self.late.get(key, 0) >= self.calls:
            return False
        low, _, high = filters["updatedOn"].partition("/")
        start = datetime.fromisoformat(low)
        is_in = at > start or (self.from_too and at == start)
        if high:
            end = datetime.fromisoformat(high)
            is_in = is_in and (at < end or (self.to_too and at == end))
        if "orderId" in filters:
            first, _, last = filters["orderId"].partition("-")
            is_in = is_in and int(first) <= key <= int(last or first)
        return is_in


def pages(search: Search, position: Mapping[str, Any] | None = None, since: datetime | None = None) -> list[Page]:
    feed = Feed(search, "order-service/order-search", "updatedOn", "orderId", {"orderTypeId": "1"})  # type: ignore[arg-type]
    return list(feed.pages(position or {}, since))


def keys(found: Sequence[Page]) -> list[int]:
    return [int(ref.key) for page in found for ref in page.refs]


def test_an_idle_feed_costs_one_call_and_moves_its_position_to_the_sources_clock_less_the_lag() -> None:
    search = Search({}, account=FakeAccount(lag=timedelta(seconds=5)))
    found = pages(search)
    assert search.calls == 1
    assert [(page.refs, page.position, page.source_time) for page in found] == [
        ([], {"at": "2024-03-04T11:46:35.000Z", "id": 0}, second(10_000))
    ]


def test_rows_come_oldest_first_with_the_version_of_their_state() -> None:
    refs = pages(Search({7: second(2), 8: second(1)}))[0].refs
    assert [(ref.key, ref.version, ref.at) for ref in refs] == [
        ("8", "2024-03-04T09:00:01.000Z", second(1)),
        ("7", "2024-03-04T09:00:02.000Z", second(2)),
    ]


@pytest.mark.parametrize("from_too", [True, False])
@pytest.mark.parametrize("to_too", [True, False])
@pytest.mark.parametrize("sorts_by_id", [True, False])
def test_1200_orders_of_one_second_come_once_each(from_too: bool, to_too: bool, sorts_by_id: bool) -> None:
    updated = {5000 + number: second(100) for number in range(1200)} | {1: second(99), 9000: second(101)}
    search = Search(updated, from_too=from_too, to_too=to_too, sorts_by_id=sorts_by_id)
    assert sorted(keys(pages(search))) == sorted(updated)


def test_1200_orders_of_one_second_cost_three_calls() -> None:
    search = Search({5000 + number: second(100) for number in range(1200)})
    pages(search)
    assert search.calls == 3


@pytest.mark.parametrize("a_second", [1, 7, 100, 250, 499, 500, 3000])
def test_10000_orders_cost_hardly_more_calls_than_pages(a_second: int) -> None:
    search = Search({number: second(number // a_second) for number in range(1, 10_001)}, now=second(20_000))
    assert sorted(keys(pages(search))) == list(range(1, 10_001))
    assert search.calls <= 21


def test_orders_edited_while_pages_are_read_are_not_lost_nor_are_their_neighbours() -> None:
    chance = random.Random(3)

    def edit(search: Search) -> None:
        search.now += timedelta(seconds=1)
        for key in chance.sample(sorted(search.updated), 40):
            search.updated[key] = search.now

    search = Search({number: second(number // 4) for number in range(1, 10_001)}, between_pages=edit)
    first = pages(search)
    search.between_pages = lambda _: None
    second_reading = pages(search, first[-1].position)
    seen = {(int(ref.key), ref.version) for page in first + second_reading for ref in page.refs}
    assert {(key, times.text(at)) for key, at in search.updated.items()} <= seen


def test_a_tie_that_shrinks_while_it_is_read_is_read_by_id() -> None:
    def edit(search: Search) -> None:
        search.now += timedelta(seconds=1)
        for key in sorted(key for key, at in search.updated.items() if at == second(5))[:60]:
            search.updated[key] = search.now

    search = Search({number: second(5) for number in range(1, 3001)}, between_pages=edit)
    found = pages(search)
    assert set(range(1, 3001)) == set(keys(found))


def test_a_reading_that_broke_off_goes_on_where_it_was() -> None:
    updated = {number: second(number) for number in range(1, 2001)}
    whole = pages(Search(updated))
    resumed = pages(Search(updated), whole[1].position)
    assert set(keys(whole[:2]) + keys(resumed)) == set(updated)
    assert len(keys(resumed)) < 1100
    assert resumed[-1].position == whole[-1].position


def test_a_broken_off_reading_of_a_huge_tie_goes_on_within_it() -> None:
    updated = {number: second(5) for number in range(1, 5001)}
    whole = pages(Search(updated))
    search = Search(updated)
    resumed = pages(search, whole[7].position)
    assert set(keys(whole[:8]) + keys(resumed)) == set(updated)
    assert len(keys(resumed)) < 1200


def test_the_next_reading_overlaps_so_that_rows_which_appeared_late_are_found() -> None:
    search = Search({1: second(9_970), 2: second(9_981)}, late={2: 1})
    first = pages(search)
    assert keys(first) == [1]
    search.now += timedelta(seconds=20)
    assert 2 in keys(pages(search, first[-1].position))


def test_the_next_reading_does_not_repeat_what_is_older_than_the_overlap() -> None:
    search = Search({1: second(9_000), 2: second(9_950)})
    assert keys(pages(search, pages(search)[-1].position)) == [2]


def test_an_empty_position_begins_at_since() -> None:
    search = Search({1: second(1), 2: second(2), 3: second(3)}, from_too=False)
    assert keys(pages(search, since=second(2))) == [2, 3]


def test_a_row_later_than_the_end_is_given_but_does_not_move_the_position_past_it() -> None:
    search = Search({1: second(10_003)}, now=second(10_000))
    found = pages(search)
    assert keys(found) == [1]
    assert found[-1].position == {"at": times.text(second(10_000)), "id": 0}


def test_a_search_that_ignores_the_sort_by_time_is_refused_and_not_half_read() -> None:
    search = Search({number: second(-number) for number in range(1, 1001)})
    sorted_search = search.search
    search.search = lambda path, **query: _reversed(sorted_search(path, **query))  # type: ignore[method-assign]
    with pytest.raises(Transient, match="not sorted by updatedOn"):
        pages(search)


def _reversed(found: Found) -> Found:
    return Found(list(reversed(found.rows)), found.is_more, found.available, found.source_time)


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(0, 60),
    spread=st.integers(1, 20),
    page_size=st.integers(2, 9),
    edits=st.integers(0, 4),
    seed=st.integers(0, 10_000),
    from_too=st.booleans(),
    to_too=st.booleans(),
    sorts_by_id=st.booleans(),
    break_offs=st.sets(st.integers(0, 30), max_size=4),
)
def test_nothing_is_lost_whatever_happens_between_the_pages(
    count: int,
    spread: int,
    page_size: int,
    edits: int,
    seed: int,
    from_too: bool,
    to_too: bool,
    sorts_by_id: bool,
    break_offs: set[int],
) -> None:
    chance = random.Random(seed)
    until_call = 80

    def edit(search: Search) -> None:
        search.now += timedelta(seconds=1)
        for key in chance.sample(sorted(search.updated), min(edits, len(search.updated))):
            if search.calls < until_call:
                search.updated[key] = search.now

    search = Search(
        {key: second(chance.randrange(spread)) for key in range(1, count + 1)},
        account=FakeAccount(page_size=page_size),
        from_too=from_too,
        to_too=to_too,
        sorts_by_id=sorts_by_id,
        now=second(1000),
        between_pages=edit,
    )
    feed = Feed(search, "order-service/order-search", "updatedOn", "orderId", {})  # type: ignore[arg-type]
    seen: set[tuple[int, str]] = set()
    position: Mapping[str, Any] = {}
    number = 0
    for _ in range(200):  # readings, some broken off, until one ends that saw no edit
        quiet = search.calls >= until_call
        is_whole = True
        for page in feed.pages(position, None):
            seen |= {(int(ref.key), ref.version) for ref in page.refs}
            position = page.position
            number += 1
            if number in break_offs:
                is_whole = False
                break
        if quiet and is_whole:
            break
        if not edits:
            search.calls = max(search.calls, until_call)
    assert search.calls < 3000
    assert {(key, times.text(at)) for key, at in search.updated.items()} <= seen
