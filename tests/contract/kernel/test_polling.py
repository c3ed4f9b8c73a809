"""Feeds as the safety net of webhooks: read seldom while webhooks work, and often again once one was missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.engine.core.events import PROBATION, polling
from syncengine.engine.people import status
from syncengine.engine.steps import hints, sync
from syncengine.engine.steps.hints import Hint
from syncengine.engine.watch.rule import Thresholds, View
from syncengine.engine.watch.rules.webhooks import unheard
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, World, by_name, flow

pytestmark = pytest.mark.one_database
EVERY_S, RELAXED_S = 300.0, 3600.0


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    things = flow("things", Plain(by_name), every_s=EVERY_S, relaxed_s=RELAXED_S)
    world = make_world(things, flow("others", Plain(by_name), every_s=EVERY_S))
    world.resources["left.things"].events = ("thing.modified",)  # type: ignore[misc]
    return world


def _tell(world: World, key: str) -> None:
    hint = Hint(world.connection_id, "left", "thing.modified", (key,), clock.now())
    hints.prepare(world.engine, [hint])
    with world.store.write() as session:
        hints.take(session, world.engine, [hint], clock.now())
    world.settle()


def _ticks(world: World, seconds: float, flow_name: str = "things") -> int:
    """Let beat tick for some time; returns how often the feed was read."""
    count = 0
    for _ in range(round(seconds / EVERY_S)):
        world.time.pass_(EVERY_S)
        count += bool(sync.start(world.engine, sync.Request(flow_name, trigger="schedule")))
        world.settle()
    return count


def _interval(world: World) -> float:
    with world.store.read() as session:
        return polling(session, world.engine.route(world.connection_id, "things"), clock.now()).interval_s


def _signs(world: World) -> list[str]:
    with world.store.read() as session:
        view = View(world.engine, session, clock.now(), Thresholds(), None, None, {}, frozenset())
        return [sign.subject for sign in unheard(view)]


def test_feeds_are_read_seldom_once_webhooks_are_heard_and_others_as_before(world: World) -> None:
    assert _ticks(world, 3600) == 12
    world.left.put("things", "1", name="a lamp")
    _tell(world, "1")
    assert _ticks(world, 2 * 3600) == 2  # 24 without webhooks
    assert _ticks(world, 3600, "others") == 12
    assert _interval(world) == RELAXED_S


def test_a_connection_may_have_an_interval_of_its_own(world: World) -> None:
    world.configure(relaxed_s=900.0)
    _tell(world, "1")
    assert _interval(world) == 900.0


def test_a_change_that_no_webhook_told_brings_the_usual_interval_back_at_once(world: World) -> None:
    _tell(world, "1")
    _ticks(world, EVERY_S)
    world.left.put("things", "2", name="a chair")  # nobody tells
    assert _ticks(world, 3600) == 1
    assert world.links("things") == [("2", "", "R1")]
    assert (_interval(world), _signs(world)) == (EVERY_S, ["main: things"])
    with world.store.read() as session:
        assert session.scalars(select(m.Hook.check_due)).all() == [True]
    assert _ticks(world, 1800) == 6

    world.left.put("things", "1", name="a lamp")  # webhooks are back
    _tell(world, "1")
    world.time.pass_(PROBATION.total_seconds())
    assert (_interval(world), _signs(world)) == (RELAXED_S, [])


def test_changes_that_were_told_and_those_of_the_last_seconds_are_not_missed(world: World) -> None:
    _ticks(world, 600)
    world.left.put("things", "1", name="a lamp")
    _tell(world, "1")
    world.time.pass_(EVERY_S)
    world.left.put("things", "2", name="a chair")
    sync.start(world.engine, sync.Request("things"))
    world.settle()
    assert (_interval(world), _signs(world)) == (RELAXED_S, [])


def test_a_webhook_that_falls_silent_is_noticed_at_the_next_tick_and_not_after_the_relaxed_interval(
    world: World,
) -> None:
    _tell(world, "1")
    _ticks(world, 600)
    with world.store.write() as session:
        schedule = session.get_one(m.Schedule, (world.connection_id, "things"))
        schedule.missed_at = clock.now() + timedelta(seconds=1)  # as a sync by hand would note
    assert _ticks(world, 600) == 2


def test_status_shows_both_intervals(world: World) -> None:
    _tell(world, "1")
    found = {row.flow: row.polling for row in status.flows(world.engine)}
    assert [(row.usual_s, row.relaxed_s, row.interval_s) for row in found.values() if row] == [
        (EVERY_S, RELAXED_S, RELAXED_S),
        (EVERY_S, None, EVERY_S),
    ]
