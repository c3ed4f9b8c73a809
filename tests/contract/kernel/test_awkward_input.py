"""Keys, texts and answers that no store or plan expects: each costs its own record and none of its batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from syncengine.connectors.base import Outcome, Safety, Verb
from syncengine.engine.core.want import want
from syncengine.engine.steps.discover import discover
from syncengine.engine.steps.pump import pump
from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, Need
from syncengine.store import models as m
from syncengine.store.session import complaint
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, World, by_name, flow


def _both(world: World, **second: Any) -> None:
    world.left.put("things", "1", name="a lamp")
    world.left.put("things", "2", **{"name": "a chair", **second})
    world.want("things", "1", "2")
    world.pump()
    world.run_message(world.messages.pop())


@pytest.mark.parametrize("ref", ["x" * 129, "a\0b", "a\ud800b"])
def test_a_reference_that_cannot_be_kept_is_a_dead_letter_that_names_it(
    make_world: Callable[..., World], ref: str
) -> None:
    world = make_world(flow("things", Plain(lambda doc, context: {"ref": doc.get("ref", doc["id"])})))
    _both(world, ref=ref)

    assert [world.record("things", key).status for key in "12"] == ["done", "dead"]
    assert world.failures()[0][1] == "right.things"
    assert "cannot be a key" in world.failures()[0][2]


@pytest.mark.parametrize("customer", ["x" * 129, "a\0b"])
def test_a_need_that_cannot_be_kept_is_a_dead_letter_that_names_it(
    make_world: Callable[..., World], customer: str
) -> None:
    def needs(doc: Any, context: Context) -> list[Need]:
        return [Need("customers", doc["customer"], "", "customers")] if "customer" in doc else []

    world = make_world(flow("customers", Plain(by_name)), flow("things", Plain(by_name, needs_=needs)))
    _both(world, customer=customer)

    assert [world.record("things", key).status for key in "12"] == ["done", "dead"]
    assert "cannot be a key" in world.failures()[0][2]


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b", "x" * 100_000])
def test_a_refusal_may_quote_any_text(make_world: Callable[..., World], value: str) -> None:
    def to(doc: Any, context: Context) -> Any:
        if doc["id"] == "2":
            raise Rejected(field="name", value=doc["name"], reason=f"{doc['name']} is not a name", remedy="correct it")
        return by_name(doc, context)

    world = make_world(flow("things", Plain(to)))
    _both(world, name=value)

    assert [world.record("things", key).status for key in "12"] == ["done", "dead"]
    assert world.failures()[0][1] == "name"
    assert world.record("things", "1").crashes == 0


@pytest.mark.parametrize("key", ["x" * 129, "a\0b", ""])
def test_a_feed_goes_on_after_an_object_whose_key_cannot_be_kept(world: World, key: str) -> None:
    for name in ("1", key, "2"):
        world.left.put("things", name, name="x")
    discover(world.engine, world.connection_id, "things", trigger="call", lane=Lane.SCHEDULED)
    world.settle()

    assert sorted(ref for _, ref, _ in world.right.writes) == ["1", "2"]


@pytest.mark.one_database
def test_an_answer_that_names_an_object_of_another_record_is_held_and_stops_nobody(world: World) -> None:
    resource = world.resources["right.things"]
    resource.most_per_write = 3
    write = resource.write
    resource.write = lambda operations: [  # type: ignore[method-assign]
        Outcome.done("R1") if operation.natural_key == "2" else outcome
        for operation, outcome in zip(operations, write(operations), strict=True)
    ]
    for key in "123":
        world.left.put("things", key, name=key)
    world.sync("things", *"123")

    assert [world.record("things", key).status for key in "123"] == ["done", "held", "done"]
    assert "1 is already linked with R1" in world.record("things", "2").reason
    assert [(left, right) for left, _, right in world.links("things")] == [("1", "R1"), ("3", "R3")]


@pytest.mark.one_database
def test_a_search_that_finds_an_object_of_another_record_is_held(world: World) -> None:
    world.left.put("things", "1", name="same")
    world.sync("things", "1")
    world.right.faults.append("lost")
    world.left.put("things", "2", name="same")
    world.sync("things", "2")
    world.right.objects["things"]["R1"]["ref"] = "2"
    world.settle(patience_s=300)

    assert world.record("things", "2").status == "held"
    assert "1 is already linked with R1" in world.record("things", "2").reason


def test_writes_without_any_key_are_not_taken_for_one_another(make_world: Callable[..., World]) -> None:
    safety = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.ABSOLUTE}
    world = make_world(flow("things", Plain(lambda doc, context: {"name": doc["name"]})), right={"safety": safety})
    _both(world)

    assert [world.record("things", key).status for key in "12"] == ["done", "done"]


@pytest.mark.one_database
def test_a_create_that_is_harmless_to_repeat_is_repeated_when_its_outcome_is_unknown(
    make_world: Callable[..., World],
) -> None:
    safety = {Verb.CREATE: Safety.ABSOLUTE, Verb.CHANGE: Safety.ABSOLUTE}
    world = make_world(flow("things", Plain(by_name)), right={"safety": safety})
    world.right.faults.append("lost")
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1", patience_s=300)

    assert world.record("things", "1").status == "done"


def test_a_statement_that_fails_is_told_without_what_it_carried(world: World) -> None:
    same = {"connection_id": world.connection_id, "entity": "things", "right_key": "R1", "natural_key": "5 Elm Street"}
    times = {"created_at": world.time.at, "updated_at": world.time.at, "lines": {}}
    with pytest.raises(IntegrityError) as raised, world.store.write() as session:
        session.add_all([m.Link(left_key=key, **same, **times) for key in "12"])

    assert "Elm" not in str(raised.value)
    assert "Elm" not in complaint(raised.value)


def test_what_is_wanted_while_the_pump_claims_is_not_taken_for_done(world: World) -> None:
    """PostgreSQL: a row that a `want` has changed and not committed yet must not be claimed by what was seen before it."""
    if world.store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    world.left.put("things", "1", name="old")
    world.right.faults.append("busy")
    world.sync("things", "1")  # planned, and at push again after a pause
    assert world.record("things", "1").stage == "push"
    world.left.put("things", "1", name="new")
    world.time.pass_(10)
    with world.store.write() as session:
        want(session, world.connection_id, "things", ["1"], lane=Lane.SCHEDULED, now=world.time.at)
        other = threading.Thread(target=pump, args=(world.engine,))
        other.start()
        other.join(1)
    other.join()
    while world.messages:
        world.run_message(world.messages.pop())
    world.settle(patience_s=60)

    assert world.right.objects["things"]["R1"]["name"] == "new"
    with world.store.read() as session:
        assert {effect.state for effect in session.query(m.Effect)} == {"done"}
