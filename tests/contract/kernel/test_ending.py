"""A worker that is asked to end completes its call, gives the rest back as it is, and begins nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Operation
from syncengine.document import Doc
from syncengine.engine.steps import sync
from syncengine.http import guard
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

pytestmark = pytest.mark.one_database


class Ending:
    """Whether the process has been asked to end."""

    def __init__(self, world: World) -> None:
        self.is_told = False
        world.engine.is_ending = lambda: self.is_told


@pytest.fixture
def ending(world: World) -> Ending:
    return Ending(world)


def _leased(world: World) -> list[str]:
    with world.store.read() as session:
        return list(session.scalars(select(m.Record.key).where(m.Record.token.is_not(None))))


def _put(world: World, count: int) -> list[str]:
    keys = [str(number) for number in range(1, count + 1)]
    for key in keys:
        world.left.put("things", key, name=f"thing {key}")
    return keys


def test_the_write_that_has_begun_is_noted_and_the_others_are_due_at_once(world: World, ending: Ending) -> None:
    world.want("things", *_put(world, 5))
    world.pump()
    chain = world.messages.pop()
    for stage in (Stage.FETCH, Stage.TRANSFORM):
        world.step(chain, stage)

    def tell(operation: Operation) -> None:
        ending.is_told = len(world.right.writes) == 1  # while the second of five is written

    world.right.during_write = tell
    world.step(chain, Stage.PUSH)

    assert len(world.right.writes) == 2
    assert _leased(world) == []
    assert [world.record("things", key).status for key in "12345"] == ["done", "done", "open", "open", "open"]

    world.right.during_write, ending.is_told = None, False
    world.settle()  # no time has to pass
    assert sorted(key for _, key, _ in world.right.writes) == ["1", "2", "3", "4", "5"]
    assert world.backlog() == 0


def test_reading_stops_before_the_next_call(world: World, ending: Ending) -> None:
    calls: list[Sequence[str]] = []

    class Called(Thing):
        most_per_read = 1

        def read(self, keys: Sequence[str]) -> dict[str, Doc]:
            guard.current().renew()
            calls.append(keys)
            ending.is_told = len(calls) == 2
            return super().read(keys)

    world.resources["left.things"] = Called(world.left, "left.things")
    world.want("things", *_put(world, 5))
    world.pump()
    chain = world.messages.pop()
    assert world.step(chain, Stage.FETCH) == "handed back, since the worker ends"
    assert len(calls) == 2
    assert _leased(world) == []
    for stage in (Stage.TRANSFORM, Stage.PUSH):  # what is left of the chain may still come
        assert world.step(chain, stage) == "nothing to do"

    ending.is_told = False
    world.settle()
    assert len(world.right.writes) == 5


@pytest.mark.parametrize("stage", list(Stage))
def test_a_step_that_comes_too_late_begins_nothing(world: World, ending: Ending, stage: Stage) -> None:
    world.want("things", *_put(world, 2))
    world.pump()
    chain = world.messages.pop()
    for before in list(Stage)[: list(Stage).index(stage)]:
        world.step(chain, before)
    reads = len(world.left.reads)
    ending.is_told = True

    assert world.step(chain, stage) == "handed back, since the worker ends"
    assert (len(world.left.reads), world.right.writes, _leased(world)) == (reads, [], [])
    assert world.record("things", "1").stage == stage  # and continues from there


def test_the_pump_claims_nothing_that_this_process_would_have_to_wait_for(world: World, ending: Ending) -> None:
    world.want("things", *_put(world, 2))
    ending.is_told = True
    assert world.pump() == 0
    assert (world.messages, _leased(world)) == ([], [])


def test_a_feed_is_left_after_a_page_and_read_on_from_there(world: World, ending: Ending) -> None:
    world.flows["things"] = flow("things", Plain(by_name), every_s=60.0)
    _put(world, 8)  # three pages
    ending.is_told = True
    (first,) = sync.start(world.engine, sync.Request("things", trigger="schedule"))
    assert isinstance(first, sync.Waiting)
    assert first.retry_in_s == 0
    assert world.backlog() == 3

    ending.is_told = False
    again = sync.Request("things", connection="main", trigger="again")
    assert "5 found" in sync.line(sync.start(world.engine, again))
    assert world.backlog() == 8


class Slow(Thing):
    """Each read is a call of its own that takes its time."""

    most_per_read = 1
    takes_s = 20.0

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        guard.current().renew()
        self.system.time.pass_(self.takes_s)
        return super().read(keys)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_step_reads_for_its_time_and_gives_the_rest_back_to_be_read_next(world: World, side: str) -> None:
    keys = _put(world, 8)
    world.want("things", *keys)
    world.settle()
    world.resources[f"{side}.things"] = Slow(getattr(world, side), f"{side}.things", settle_s=120.0)
    world.engine._connectors.clear()
    world.engine._connections.clear()
    for key in keys:
        world.left.put("things", key, name="y")
    world.want("things", *keys)

    steps = 0
    while world.pump():
        chain = world.messages.pop()
        begun = world.time.at
        world.step(chain, Stage.FETCH)
        assert (world.time.at - begun).total_seconds() <= world.engine.limits.step_s + 2 * Slow.takes_s
        for stage in (Stage.TRANSFORM, Stage.PUSH):
            world.step(chain, stage)
        steps += 1
        assert steps < 20, "it does not get on"

    assert steps > 1
    assert {one["name"] for one in world.right.objects["things"].values()} == {"y"}
    assert world.backlog() == 0


def test_planning_stops_when_its_time_is_over_and_holds_its_lease_meanwhile(world: World) -> None:
    count = 60
    world.want("things", *_put(world, count))

    def slowly(doc: Doc, context: Context) -> Doc:
        world.time.pass_(1.5)
        return by_name(doc, context)

    world.engine.flows["things"] = flow("things", Plain(slowly), batch=200)  # type: ignore[index]
    steps = 0
    while world.pump():
        chain = world.messages.pop()
        world.step(chain, Stage.FETCH)
        assert world.step(chain, Stage.TRANSFORM) in (
            f"{count} records",
            "nothing to do",
            f"{count - 60 * steps} records",
        )
        world.step(chain, Stage.PUSH)
        steps += 1
        assert steps < 20
    world.settle()
    assert len(world.right.writes) == count
