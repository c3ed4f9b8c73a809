"""A tick of beat claims its turn in SQL: what is due once is read once, however many ticks come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from freezegun import freeze_time

from syncengine import clock
from syncengine.connectors.base import Page, Position
from syncengine.engine.steps import sync
from syncengine.engine.steps.discover import due_connections
from syncengine.errors import Throttled
from syncengine.http.limiter import RedisAway
from syncengine.store import Store
from syncengine.vault import Vault
from tests.contract.kernel.world import Plain, System, Thing, Time, World, by_name, flow

NOON = "2026-03-02 12:00:00"


@pytest.fixture
def things(store: Store, vault: Vault) -> World:
    """One flow with an interval of a minute, on the machine's clock."""
    time = Time()
    left, right = System("left", time), System("right", time)
    resources = {one.name: one for one in (Thing(left, "left.things"), Thing(right, "right.things"))}
    return World(store, vault, time, left, right, resources, {"things": flow("things", Plain(by_name), every_s=60.0)})


def test_of_two_ticks_at_once_one_finds_something_due(things: World) -> None:
    with freeze_time(NOON):
        assert due_connections(things.engine, "things") == [things.connection_id]
        assert due_connections(things.engine, "things") == []


@pytest.mark.parametrize(("later_s", "due"), [(30, False), (53, False), (54, True), (60, True), (86_400, True)])
def test_the_next_tick_is_due_after_the_interval_or_a_little_before(things: World, later_s: int, due: bool) -> None:
    with freeze_time(NOON) as frozen:
        due_connections(things.engine, "things")
        frozen.tick(timedelta(seconds=later_s))
        assert bool(due_connections(things.engine, "things")) is due


def test_a_sync_by_schedule_with_nothing_due_says_so_and_one_by_hand_reads_all_the_same(things: World) -> None:
    with freeze_time(NOON):
        things.left.put("things", "1", name="lamp")
        first = sync.run(things.engine, sync.Request("things", trigger="schedule"))
        again = sync.run(things.engine, sync.Request("things", trigger="schedule"))
        by_hand = sync.run(things.engine, sync.Request("things"))

    assert first.endswith("1 found")
    assert again == "nothing due"
    assert by_hand.endswith("0 found")


class Narrow(Thing):
    """A feed whose second page waits for the quota, so often; it notes from where it was read."""

    throttles = 1
    retry_in_s = 40.0

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        self.read_from.append(int(position.get("edit", 0)))
        for number, page in enumerate(super().changes(feed, position, since=since)):
            if number == 1 and self.throttles > 0:
                self.throttles -= 1
                raise Throttled("the next free call is 40.0 s away", retry_in_s=self.retry_in_s)
            yield page

    @property
    def read_from(self) -> list[int]:
        return self.__dict__.setdefault("_read_from", [])


@pytest.fixture
def narrow(things: World) -> Narrow:
    """Five things in pages of three."""
    source = Narrow(things.left, "left.things")
    things.resources["left.things"] = source
    for key in "12345":
        things.left.put("things", key, name="lamp")
    return source


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(clock, "sleep", slept.append)
    monkeypatch.setattr(clock, "monotonic", lambda: sum(slept))
    return slept


def test_a_sync_by_hand_waits_for_the_quota_and_reads_on_where_it_was(
    things: World, narrow: Narrow, slept: list[float]
) -> None:
    assert sync.run(things.engine, sync.Request("things")).endswith("5 found")
    assert sum(slept) == pytest.approx(40)
    assert narrow.read_from == [0, 3]


def test_a_sync_by_hand_does_not_wait_for_longer_than_a_window(
    things: World, narrow: Narrow, slept: list[float]
) -> None:
    narrow.retry_in_s = 71.0
    assert sync.run(things.engine, sync.Request("things")) == "main: the next free call is 40.0 s away"
    assert slept == []


def test_a_sync_by_schedule_holds_no_worker_while_it_waits_and_is_to_come_again(
    things: World, narrow: Narrow, slept: list[float]
) -> None:
    tick = sync.Request("things", trigger="schedule")
    results = sync.start(things.engine, tick)
    waiting = sync.Waiting("main", 40.0, "the next free call is 40.0 s away")
    assert sync.to_retry(results, tick, retries=0) == [waiting]

    again = sync.Request("things", connection="main", trigger="again")
    assert sync.run(things.engine, again).endswith("2 found")
    assert narrow.read_from == [0, 3]
    assert slept == []


def test_a_sync_that_waits_again_and_again_is_left_to_the_next_tick_and_one_by_hand_to_the_person(
    things: World, narrow: Narrow
) -> None:
    waiting = [sync.Waiting("main", 40.0, "the next free call is 40.0 s away")]
    assert sync.to_retry(waiting, sync.Request("things", trigger="again"), retries=3) == waiting
    assert sync.to_retry(waiting, sync.Request("things", trigger="again"), retries=4) == []
    assert sync.to_retry(waiting, sync.Request("things"), retries=0) == []


def test_without_the_limiters_redis_a_sync_by_schedule_says_so_and_fails_nothing(
    things: World, narrow: Narrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object, **more: object) -> Iterator[Page]:
        raise RedisAway("ConnectionError")
        yield

    monkeypatch.setattr(narrow, "changes", away)
    assert "Redis is away" in sync.run(things.engine, sync.Request("things", trigger="schedule"))
