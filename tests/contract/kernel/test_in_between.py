"""What happens between two transactions: runners that vanish, databases that blink, wakes and wants that come in between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from syncengine.engine.core.lease import Lease
from syncengine.engine.steps import running
from syncengine.errors import Transient
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.test_moving import _order_world as order_world
from tests.contract.kernel.world import World


def _planned(world: World, key: str = "1", name: str = "a lamp") -> str:
    """A record of which only the write is left; its token."""
    world.left.put("things", key, name=name)
    world.want("things", key)
    world.pump()
    token = world.messages.pop().token
    for stage in (Stage.FETCH, Stage.TRANSFORM):
        running.run(world.engine, stage, token)
    return token


def _states(world: World) -> list[str]:
    with world.store.read() as session:
        return [effect.state for effect in session.query(m.Effect).order_by(m.Effect.id)]


@pytest.mark.one_database
def test_a_message_that_comes_again_between_the_end_of_the_lease_and_the_pump_leaves_the_record_to_the_pump(
    world: World,
) -> None:
    token = _planned(world)

    def killed(operation: Any) -> None:
        raise SystemExit

    lease = Lease(world.engine, token, Stage.PUSH)
    world.right.during_write = killed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "_crashed", lambda *_: None)  # SIGKILL: nobody tidies up
        with pytest.raises(SystemExit):
            running.run(world.engine, Stage.PUSH, token)
    world.right.during_write = None
    world.time.pass_(46)

    assert not lease.enter()
    world.settle(patience_s=300)
    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_database_that_blinks_when_the_answer_is_noted_costs_the_settle_time_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _planned(world)
    write = Store.write

    @contextmanager
    def away(self: Store) -> Any:
        monkeypatch.setattr(Store, "write", write)
        raise Transient("the database cannot be used now")
        yield

    world.right.during_write = lambda _: monkeypatch.setattr(Store, "write", away)
    running.run(world.engine, Stage.PUSH, token)
    world.right.during_write = None
    assert world.record("things", "1").token is None
    world.settle(patience_s=600)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("things", "1").status == "done"
    assert _states(world) == ["done"]


@pytest.mark.one_database
def test_the_settle_time_is_kept_even_if_the_record_is_taken_up_before_its_end(world: World) -> None:
    world.right.faults.append("late")
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    with world.store.write() as session:  # whatever may have cleared its pause
        session.execute(update(m.Record).values(pause="", not_before=world.time.at))
    world.settle(patience_s=300)
    world.time.pass_(120)

    assert world.right.writes == [("create", "1", "R1")]


def test_waking_does_not_shorten_a_settle_time(world: World) -> None:
    world.right.faults.append("late")
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    until = world.record("things", "1").not_before
    with world.store.write() as session:  # its last look ended in waiting, and what it waited for is there
        session.add(m.Lookup(connection_id=world.connection_id, name="colours", key="red", value="R"))
        session.execute(update(m.Record).values(status="waiting", need_entity="lookup:colours", need_key="red"))
    world.pump()

    assert world.record("things", "1").not_before == until
    world.settle(patience_s=300)
    assert world.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
def test_a_source_that_is_set_back_while_a_change_is_in_doubt_is_written_back(world: World) -> None:
    """The version that was done last is seen again, but the target may have taken the one between."""
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    before = dict(world.left.objects["things"]["1"])
    world.left.put("things", "1", name="new")
    world.right.faults.append("unheard")
    world.sync("things", "1")
    assert world.right.objects["things"]["R1"]["name"] == "new"
    world.left.objects["things"]["1"] = before
    world.settle(patience_s=300)
    world.sync("things", "1", patience_s=300)

    assert world.right.objects["things"]["R1"]["name"] == "old"
    assert set(_states(world)) == {"done"}


@pytest.mark.one_database
def test_a_source_that_is_set_back_after_a_late_answer_is_written_back(world: World) -> None:
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    before = dict(world.left.objects["things"]["1"])
    token = _planned(world, name="new")

    def frozen(operation: Any) -> None:
        world.right.during_write = None
        world.time.pass_(60)
        world.pump()

    world.right.during_write = frozen
    running.run(world.engine, Stage.PUSH, token)
    world.left.objects["things"]["1"] = before
    world.sync("things", "1", patience_s=300)

    assert world.right.objects["things"]["R1"]["name"] == "old"


def test_more_may_wait_for_one_object_than_a_statement_has_parameters(make_world: Callable[..., World]) -> None:
    world = order_world(make_world)
    with world.store.write() as session:
        session.execute(insert(m.Record), [_waiting(world, str(number)) for number in range(700)])
        names = list(_waiting(world, ""))
        for copy in range(1, 100):
            copied = [m.Record.key.concat(f"-{copy}") if name == "key" else getattr(m.Record, name) for name in names]
            session.execute(insert(m.Record).from_select(names, select(*copied).where(m.Record.key.not_like("%-%"))))
    world.left.put("customers", "310", name="Robin")
    world.want("customers", "310")
    world.pump()
    world.run_message(world.messages.pop())

    assert world.record("customers", "310").status == "done"
    with world.store.read() as session:
        assert session.scalar(select(func.count()).where(m.Record.flow == "orders")) == 70_000
        assert session.scalar(select(func.count()).where(m.Record.status == "open")) > 0


def _waiting(world: World, key: str) -> dict[str, Any]:
    return {
        "connection_id": world.connection_id, "flow": "orders", "key": key, "wanted": 1, "claimed": 1, "done": 1,
        "lane": 1, "not_before": world.time.at, "status": "waiting", "need_entity": "customers", "need_key": "310",
        "created_at": world.time.at, "updated_at": world.time.at,
    }  # fmt: skip
