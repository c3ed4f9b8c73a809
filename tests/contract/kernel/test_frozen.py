"""A process that was frozen in the middle of a step wakes when others have continued: it changes nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.connectors.base import Operation, Outcome
from syncengine.document import Doc
from syncengine.engine.core import payloads
from syncengine.engine.core.engine import Chain
from syncengine.engine.core.lease import Lease, LeaseLost
from syncengine.engine.writes import intentions
from syncengine.engine.writes.write_run import WriteRun
from syncengine.errors import Rejected
from syncengine.http import guard
from syncengine.mapping.contract import Context
from syncengine.store.models import Effect
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow


def _others_go_on(world: World, name: str) -> None:
    """The lease runs out, the object is edited, and another process brings it over."""
    world.time.pass_(60)
    world.left.put("things", "1", name=name)
    world.sync("things", "1", patience_s=10)


@pytest.mark.one_database
def test_a_transform_that_wakes_late_opens_no_dead_letter_for_what_was_written_meanwhile(
    make_world: Callable[..., World],
) -> None:
    def mapped(doc: Doc, context: Context) -> Doc:
        if doc["name"] == "bad":
            _others_go_on(world, "good")
            raise Rejected(field="name", value="bad", reason="bad", remedy="correct it")
        return by_name(doc, context)

    world = make_world(flow("things", Plain(mapped)))
    world.left.put("things", "1", name="bad")
    world.want("things", "1")
    world.pump()
    message = world.messages.pop()
    world.step(message, Stage.FETCH)

    assert world.step(message, Stage.TRANSFORM) == "lease lost"
    assert world.failures() == []
    assert (world.record("things", "1").status, world.right.objects["things"]["R1"]["name"]) == ("done", "good")


@pytest.mark.one_database
def test_a_fetch_that_wakes_late_does_not_store_what_it_read_before(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name)))

    class Slow(Thing):
        frozen = False

        def read(self, keys: Sequence[str]) -> dict[str, Doc]:
            found = super().read(keys)
            if not self.frozen:
                Slow.frozen = True
                _others_go_on(world, "new")
            return found

    world.resources["left.things"] = Slow(world.left, "left.things")
    world.left.put("things", "1", name="old")
    world.want("things", "1")
    world.pump()

    assert world.step(world.messages.pop(), Stage.FETCH) == "lease lost"
    record = world.record("things", "1")
    with world.store.read() as session:
        stored = payloads.load(session, world.vault, "context", [record.id])[record.id]
    assert stored["left.things"]["1"]["name"] == "new"
    assert world.timeline("things", "1").count("fetched") == 1


@pytest.mark.one_database
def test_a_push_that_wakes_before_its_intentions_opens_no_write_that_others_have_ended(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.left.put("things", "1", name="a")
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)
    prepare = intentions.commit

    def frozen(run: WriteRun) -> None:
        monkeypatch.setattr(intentions, "commit", prepare)
        world.right.faults = ["refused"]
        _others_go_on(world, "b")
        prepare(run)

    monkeypatch.setattr(intentions, "commit", frozen)

    assert world.step(message, Stage.PUSH) == "lease lost"
    assert world.record("things", "1").status == "dead"
    with world.store.read() as session:
        assert [str(state) for state in session.scalars(select(Effect.state))] == ["rejected"]


@pytest.mark.one_database
@pytest.mark.parametrize("stages", [(Stage.FETCH,), (Stage.FETCH, Stage.TRANSFORM)], ids=["fetched", "planned"])
@pytest.mark.parametrize("fault", ["", "numberless", "unheard"])
def test_a_write_that_lands_after_it_was_looked_for_is_not_sent_again(
    make_world: Callable[..., World], fault: str, stages: Sequence[Stage]
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Thing(world.right, "right.things", settle_s=120.0)
    world.left.put("things", "1", name="a")
    world.want("things", "1")
    world.pump()
    message = world.messages.pop()
    others: list[Chain] = []

    def freeze(operation: Operation) -> None:
        """The process is frozen with its bytes on their way; others find nothing and plan again."""
        world.right.during_write = None
        world.time.pass_(150)
        world.pump()
        others.append(world.messages.pop())
        for stage in stages:
            world.step(others[0], stage)
        world.time.pass_(1)

    world.step(message, Stage.FETCH)
    world.step(message, Stage.TRANSFORM)
    world.right.during_write, world.right.faults = freeze, [fault]
    world.step(message, Stage.PUSH)
    for stage in others[0].stages[len(stages) :]:
        world.step(others[0], stage)
    world.settle(patience_s=300)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.links("things") == [("1", "", "R1")]
    assert world.record("things", "1").status == "done"
    assert "held" not in world.timeline("things", "1")


def test_a_refusal_that_is_told_late_opens_no_dead_letter_for_what_was_written_meanwhile(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.left.put("things", "1", name="a")
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)

    def freeze(operation: Operation) -> None:
        """The process is frozen in its call; others look for the write, do not find it, and write."""
        world.right.during_write = None
        world.time.pass_(150)
        world.settle(patience_s=10)

    world.right.during_write, world.right.faults = freeze, ["refused"]
    world.step(message, Stage.PUSH)

    assert world.record("things", "1").status == "done"
    assert world.failures() == []


class Guarded(Thing):
    """Asks the lease immediately before it sends, as http/session.py does; something happens just before that."""

    before: Callable[[], None] | None = None

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        meanwhile, self.before = self.before, None
        if meanwhile is not None:
            meanwhile()
        guard.current().check()
        return super().write(operations)


@pytest.mark.parametrize("wrong", ["the monotonic clock stopped", "the time of day was set back"])
def test_a_machine_that_slept_before_its_call_sends_nothing(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Others, on another machine, have continued meanwhile. One right clock is enough to know of it."""
    world = make_world(flow("things", Plain(by_name)))
    target = Guarded(world.right, "right.things", settle_s=120.0)
    world.resources["right.things"] = target
    world.left.put("things", "1", name="a")
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)

    def sleep() -> None:
        monotonic, now = clock.monotonic(), clock.now()
        world.time.pass_(60)
        world.settle(patience_s=200)  # they wait for the settle time, find nothing, and create it
        if wrong == "the monotonic clock stopped":
            monkeypatch.setattr(clock, "monotonic", lambda: monotonic)
        else:
            monkeypatch.setattr(clock, "now", lambda: now)

    target.before = sleep

    assert world.step(message, Stage.PUSH) == "lease lost"
    assert world.right.writes == [("create", "1", "R1")]


def _entered(world: World) -> Lease:
    world.left.put("things", "1", name="a")
    world.want("things", "1")
    world.pump()
    lease = Lease(world.engine, world.messages[-1].token, Stage.FETCH)
    assert lease.enter()
    return lease


@pytest.mark.one_database
def test_a_time_of_day_that_is_set_forward_costs_the_lease_and_prolongs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = _entered(world)
    until = world.record("things", "1").lease_until
    stopped = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: stopped)
    world.time.pass_(46)

    with pytest.raises(LeaseLost):
        lease.check()
    with pytest.raises(LeaseLost):
        lease.renew()
    assert world.record("things", "1").lease_until == until


@pytest.mark.one_database
def test_a_time_of_day_that_is_set_back_prolongs_no_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = _entered(world)
    noon = clock.now()
    monkeypatch.setattr(clock, "now", lambda: noon)
    world.time.pass_(10)
    with pytest.raises(LeaseLost):
        lease.check()  # a call takes 36 s, and the lease has 35 s left
    world.time.pass_(36)
    with pytest.raises(LeaseLost):
        lease.renew()
