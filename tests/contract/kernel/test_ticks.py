"""A tick of beat claims its turn in SQL: what is due once is read once, however many ticks come."""

from __future__ import annotations

from datetime import timedelta

import pytest
from freezegun import freeze_time

from syncengine.engine import sync
from syncengine.engine.discover import due_connections
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
