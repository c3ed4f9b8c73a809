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

from syncengine import clock
from syncengine.connectors.base import Page
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.feed import Feed
from syncengine.connectors.brightpearl.gateway import Found
from syncengine.errors import Transient
from tests.depth import usually

TOUCHED = ("updatedOn", "createdOn")
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
    wrong_by: Callable[[int], timedelta] = lambda _: timedelta(0)  # the `Date` of the n-th answer
    ours_wrong_by: timedelta = timedelta(0)
    empty: dict[int, dict[str, Any]] = field(default_factory=dict)  # id: columns that its row shows otherwise
    between_pages: Callable[[Search], None] = lambda _: None
    calls: int = 0

    def __post_init__(self) -> None:
        _latest[:] = [self]

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
            [
                {"orderId": key, "createdOn": None, "updatedOn": times.text(at), **self.empty.get(key, {})}
                for at, key in page
            ],
            first_result - 1 + len(page) < len(rows) and bool(page),
            len(rows),
            self.now + self.wrong_by(self.calls),
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


_latest: list[Search] = []


@pytest.fixture(autouse=True)
def our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our clock shows what the source's does, unless the search says otherwise."""
    monkeypatch.setattr(clock, "now", lambda: _latest[-1].now + _latest[-1].ours_wrong_by)


def pages(search: Search, position: Mapping[str, Any] | None = None, since: datetime | None = None) -> list[Page]:
    feed = Feed(search, "order-service/order-search", "updatedOn", "orderId", {"orderTypeId": "1"}, TOUCHED)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("a_second", usually([1, 250, 500, 3000], full=[1, 7, 100, 250, 499, 500, 3000]))
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


AN_HOUR = timedelta(hours=1)
FAR = timedelta(days=365 * 20)
LAG = FakeAccount(lag=timedelta(seconds=5))


@pytest.mark.parametrize("wrong_by", [timedelta(minutes=20), FAR, -AN_HOUR, -FAR])
@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("calls", [range(1, 2), range(1, 100)])
def test_a_wrong_clock_loses_no_edit_and_stalls_nothing(wrong_by: timedelta, is_ours: bool, calls: range) -> None:
    """A front end's clock, for one answer or for all; or our own. 1,200 edits are three pages, and one comes after them."""
    search = Search({number: second(number) for number in range(1, 1201)}, account=LAG, now=second(1201))
    if is_ours:
        search.ours_wrong_by = wrong_by
    else:
        search.wrong_by = lambda call: wrong_by if call in calls else timedelta(0)
    position: Mapping[str, Any] = {}
    seen: set[int] = set()
    for edited in (9001, 9002, 9003):
        found = pages(search, position)
        seen |= set(keys(found))
        position = found[-1].position
        search.now += timedelta(minutes=3)
        search.updated[edited] = search.now
        search.now += timedelta(minutes=2)
    seen |= set(keys(pages(search, position)))
    assert seen == set(search.updated)
    assert search.calls <= 14


def test_where_the_clocks_differ_the_next_reading_begins_at_the_latest_row() -> None:
    search = Search({1: second(9_000)}, account=LAG, wrong_by=lambda _: AN_HOUR, ours_wrong_by=2 * AN_HOUR)
    assert pages(search)[-1].position == {"at": times.text(second(9_000)), "id": 0}
    search = Search({}, account=LAG, wrong_by=lambda _: AN_HOUR)
    before = {"at": times.text(second(9_000)), "id": 0}
    assert pages(search, before)[-1].position == before


def test_a_clock_that_is_little_ahead_of_ours_does_not_move_the_feed_beyond_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    search = Search({}, account=LAG, wrong_by=lambda _: timedelta(seconds=40))
    assert pages(search)[-1].position == {"at": times.text(second(9_995)), "id": 0}
    assert caplog.records == []


def test_clocks_that_differ_are_told_once_a_reading_with_both_times(caplog: pytest.LogCaptureFixture) -> None:
    search = Search({number: second(number) for number in range(1, 1201)}, wrong_by=lambda _: AN_HOUR)
    pages(search)
    assert [record.getMessage() for record in caplog.records] == [
        "order-service/order-search: the clocks differ: the answer says 2024-03-04T12:46:40.000Z, this host "
        "2024-03-04T11:46:40.000Z. The feed follows the times of its rows"
    ]


@pytest.mark.parametrize("time", [None, "", "soon", "2024-03-04T09:00:00", 5, "0001-01-01T00:00:00+14:00"])
def test_an_object_whose_row_has_no_time_is_given_and_holds_nobody_up(
    time: Any, caplog: pytest.LogCaptureFixture
) -> None:
    created = "2024-03-04T08:00:00.000Z"
    search = Search({number: second(number) for number in range(1, 1201)})
    search.empty[700] = {"updatedOn": time, "createdOn": created}
    found = pages(search)
    assert sorted(set(keys(found))) == list(range(1, 1201))
    assert found[-1].position == {"at": times.text(second(10_000)), "id": 0}
    assert {ref.version for page in found for ref in page.refs if ref.key == "700"} == {created}
    assert "whose updatedOn cannot be read, given nevertheless: 700" in caplog.text


def test_whole_pages_without_times_do_not_stop_the_feed() -> None:
    search = Search({number: second(number) for number in range(1, 3001)})
    search.empty = {number: {"updatedOn": None} for number in (*range(1, 1100), *range(1700, 2600))}
    assert set(keys(pages(search))) == set(range(1, 3001))
    only = Search(dict.fromkeys(range(1, 1201), second(5)), empty={n: {"updatedOn": None} for n in range(1, 1201)})
    found = pages(only)
    assert set(keys(found)) == set(range(1, 1201))
    assert [page.position for page in found[:-1]] == [{}, {}]  # nothing is passed over if it breaks off there


@pytest.mark.parametrize("number", [None, "", 0, -1, "x", True])
def test_a_row_without_an_id_is_named_by_its_time_and_the_others_carry_the_feed_on(
    number: Any, caplog: pytest.LogCaptureFixture
) -> None:
    search = Search({key: second(key) for key in range(1, 1201)}, empty={700: {"orderId": number}})
    found = pages(search)
    assert set(keys(found)) == set(range(1, 1201)) - {700}
    assert found[-1].position == {"at": times.text(second(10_000)), "id": 0}
    assert f"they have no orderId: {number!r} of '2024-03-04T09:11:40.000Z'" in caplog.text


def test_a_page_of_which_no_row_has_an_id_stops_the_feed_until_another_object_is_edited() -> None:
    search = Search({1: second(1)}, empty={1: {"orderId": None}})
    with pytest.raises(Transient, match="it has no orderId: None of '2024-03-04T09:00:01"):
        pages(search)
    search.updated[2] = second(2)
    assert keys(pages(search)) == [2]


def test_an_answer_without_the_column_that_was_asked_for_is_refused() -> None:
    search = Search({1: second(1)})
    feed = Feed(search, "order-service/order-search", "placedOn", "orderId", {}, TOUCHED)  # type: ignore[arg-type]
    with pytest.raises(Transient, match="no column placedOn"):
        feed._batch(
            search.search(
                "x", columns=(), sort=["orderId.ASC"], page_size=5, filters={"updatedOn": "2000-01-01T00:00:00Z/"}
            )
        )


@settings(max_examples=usually(80, full=200), deadline=None)
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
    wrong_by_s=st.lists(st.sampled_from([0, 0, 20, 1200, -1200, 10**8, -(10**8)]), min_size=1, max_size=4),
    is_ours=st.booleans(),  # one clock is wrong; if both are wrong alike nobody can tell
    without_time=st.sets(st.integers(1, 60), max_size=5),
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
    wrong_by_s: list[int],
    is_ours: bool,
    without_time: set[int],
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
        wrong_by=lambda call: timedelta(seconds=0 if is_ours else wrong_by_s[call % len(wrong_by_s)]),
        ours_wrong_by=timedelta(seconds=wrong_by_s[0] if is_ours else 0),
        empty={key: {"updatedOn": None} for key in without_time},
        between_pages=edit,
    )
    feed = Feed(search, "order-service/order-search", "updatedOn", "orderId", {}, TOUCHED)  # type: ignore[arg-type]
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
    timeless = without_time & search.updated.keys()
    assert {(key, times.text(at)) for key, at in search.updated.items() if key not in timeless} <= seen
    assert timeless <= {key for key, _ in seen}
