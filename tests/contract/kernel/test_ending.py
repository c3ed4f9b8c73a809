"""A worker that is told to end sees its call through, gives the rest back as it stands, and begins nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Operation
from syncengine.document import Doc
from syncengine.engine import sync
from syncengine.http import guard
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow


class Ending:
    """Whether the process has been told to end."""

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
    assert world.record("things", "1").stage == stage  # and goes on from there


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
