"""Hints: what a webhook tells becomes one sync of each object, however often, late or out of order it is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.connectors.hooks import MOST_KEYS
from syncengine.engine.steps import hints
from syncengine.engine.steps.early_hints import TOO_EARLY
from syncengine.engine.steps.hints import Hint, Taken
from syncengine.engine.steps.intake import Intake
from syncengine.errors import DatabaseAway, Throttled, Transient
from syncengine.mapping.contract import FieldGroup, Policy
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, World, by_name, flow, two_way

EVENTS = {"events": ("thing.modified",)}


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world(flow("things", Plain(by_name)), left=EVENTS)


def _hint(
    world: World,
    *keys: str,
    at: datetime | None = None,
    event: str = "thing.modified",
    side: str = "left",
    once: str = "",
) -> Hint:
    return Hint(world.connection_id, side, event, keys, at, once)


def _take(world: World, *given: Hint) -> list[Taken]:
    hints.prepare(world.engine, given)
    with world.store.write() as session:
        return hints.take(session, world.engine, given, clock.now())


def test_a_hint_syncs_the_object_and_an_event_below_the_declared_one_is_taken_too(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    taken = _take(world, _hint(world, "1", event="thing.modified.status"))
    world.settle()
    assert taken == [Taken(("things",))]
    assert world.links("things") == [("1", "", "R1")]


def test_the_same_change_told_twice_and_an_earlier_one_told_late_cause_no_second_read(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    at = clock.now()
    _take(world, _hint(world, "1", at=at))
    world.settle()
    world.left.reads.clear()
    _take(world, _hint(world, "1", at=at), _hint(world, "1", at=at - timedelta(seconds=10)))
    world.settle(patience_s=30)
    assert world.left.reads == []

    _take(world, _hint(world, "1", at=at + timedelta(milliseconds=1)))
    world.settle()
    assert world.left.reads == [("things", ["1"])]


def test_a_change_that_was_joined_to_an_earlier_one_is_read(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    at = clock.now()
    _take(world, _hint(world, "1", at=at))
    world.settle()
    world.left.put("things", "1", name="a chair")
    _take(world, _hint(world, "1", at=at - timedelta(seconds=1)))
    world.settle()
    assert world.right.objects["things"]["R1"]["name"] == "a chair"


def test_a_change_told_from_the_far_future_hides_none_that_follows(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    _take(world, _hint(world, "1", at=clock.now() + timedelta(days=400)))
    world.settle()
    world.time.pass_(1)
    world.left.put("things", "1", name="a chair")
    _take(world, _hint(world, "1", at=clock.now()))
    world.settle()
    assert world.right.objects["things"]["R1"]["name"] == "a chair"


@pytest.mark.parametrize("is_new", [True, False])
def test_a_hint_that_overtakes_its_change_is_fetched_once_more_and_no_more_than_that(
    world: World, is_new: bool
) -> None:
    if not is_new:
        world.left.put("things", "1", name="a lamp")
        world.sync("things", "1")
    _take(world, _hint(world, "1", at=clock.now()))
    world.settle()
    world.left.put("things", "1", name="a chair")  # only now can it be read
    world.time.pass_(TOO_EARLY.total_seconds())
    world.settle()
    assert world.right.objects["things"]["R1"]["name"] == "a chair"

    world.left.reads.clear()
    world.settle(patience_s=60)
    assert world.left.reads == []
    _take(world, _hint(world, "1", at=clock.now()))
    world.settle(patience_s=60)
    assert world.left.reads == [("things", ["1"])] * 2


def test_a_pair_is_found_by_its_link_from_either_side(make_world: Callable[..., World]) -> None:
    group = FieldGroup("all", ("name",), ("name",), Policy.LEFT)
    world = make_world(two_way("things", [group]), left=EVENTS, right=EVENTS)
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "left:1")
    _take(world, _hint(world, "R1", "R77", side="right"))
    with world.store.read() as session:
        due = session.scalars(select(m.Record.key).where(m.Record.wanted > m.Record.done).order_by(m.Record.key)).all()
    assert due == ["left:1", "right:R77"]


def test_an_event_that_no_flow_takes_has_the_subscriptions_checked(world: World) -> None:
    assert _take(world, _hint(world, "1", event="stock.moved")) == [Taken(())]
    with world.store.read() as session:
        assert session.scalars(select(m.Record)).all() == []
        assert [(row.side, row.check_due) for row in session.scalars(select(m.Hook))] == [("left", True)]


def test_a_hint_without_keys_makes_the_feeds_due(world: World) -> None:
    with world.store.write() as session:
        later = clock.now() + timedelta(hours=1)
        session.add(m.Schedule(connection_id=world.connection_id, flow="things", next_due=later))
    assert _take(world, _hint(world)) == [Taken(("things",), reads_feeds=True)]
    with world.store.read() as session:
        assert session.scalars(select(m.Schedule.next_due)).one() == clock.now()


def test_a_message_that_may_come_once_is_taken_once(world: World) -> None:
    once = _hint(world, "1", once="ab" * 32)
    assert [taken.is_repeated for taken in _take(world, once, once)] == [False, True]
    assert [taken.is_repeated for taken in _take(world, once)] == [True]


class _Callers:
    """Threads that each give one hint to an intake, and what each of them got."""

    def __init__(self, intake: Intake, given: list[Hint]) -> None:
        self.got: list[Taken | Exception] = []
        self._threads = [threading.Thread(target=self._call, args=(intake, hint)) for hint in given]
        for thread in self._threads:
            thread.start()

    def _call(self, intake: Intake, hint: Hint) -> None:
        try:
            self.got.append(intake.take(hint))
        except Exception as error:
            self.got.append(error)

    def join(self) -> list[Taken | Exception]:
        for thread in self._threads:
            thread.join(30)
        return self.got


def test_callers_share_commits_and_return_after_theirs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nudged: list[int] = []
    intake = Intake(world.engine, lambda taken: nudged.append(len(taken)))
    are_waiting, go = threading.Event(), threading.Event()
    take = hints.take

    def slow(*arguments: object) -> list[Taken]:
        are_waiting.set()
        go.wait(30)
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hints, "take", slow)
    first = _Callers(intake, [_hint(world, "0")])
    assert are_waiting.wait(30)
    others = _Callers(intake, [_hint(world, str(number)) for number in range(1, 40)])
    while len(intake._pending) < 39:
        pass
    assert first.got == []
    go.set()
    assert [first.join(), others.join()] == [[Taken(("things",))], [Taken(("things",))] * 39]
    assert (intake.commits, nudged) == (2, [1, 39])
    assert world.backlog() == 40


def test_a_caller_hears_that_the_store_is_away_and_the_next_is_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(world.engine, lambda taken: None)
    take = hints.take
    failures: list[Exception] = [DatabaseAway("away"), RuntimeError("a bug")]

    def failing(*arguments: object) -> list[Taken]:
        if failures:
            raise failures.pop(0)
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hints, "take", failing)
    with pytest.raises(Transient, match="away"):
        intake.take(_hint(world, "1"))
    with pytest.raises(Throttled, match="not stored"):
        intake.take(_hint(world, "1"))
    assert intake.take(_hint(world, "1")) == Taken(("things",))


def test_more_callers_than_may_wait_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncengine.engine.steps.intake.MOST_PENDING", 0)
    with pytest.raises(Throttled, match="too many"):
        Intake(world.engine, lambda taken: None).take(_hint(world, "1"))


def test_as_many_keys_as_a_message_may_have_are_taken_at_once(world: World) -> None:
    _take(world, _hint(world, *map(str, range(MOST_KEYS))))
    assert world.backlog() == MOST_KEYS
