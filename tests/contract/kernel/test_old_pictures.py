"""No change from an old picture, no two writers of one object, and writes of several calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Operation, Verb
from syncengine.document import Doc
from syncengine.engine.core.engine import Limits
from syncengine.errors import EndpointDown
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Policy
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

pytestmark = pytest.mark.one_database

MakeWorld = Callable[..., World]


class Looked(Thing):
    """Notes what it is asked to look at, and takes its time for each write."""

    takes_s = 0.0

    def __init__(self, *arguments: object, **settings: object) -> None:
        self.looks: list[list[str]] = []
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]

    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        self.looks.append(sorted(pictures, key=lambda key: int(key[1:])))
        return super().unchanged(pictures)

    def _one(self, operation: Operation):  # type: ignore[no-untyped-def]
        self.system.time.pass_(self.takes_s)
        return super()._one(operation)


def _amended(make_world: MakeWorld, count: int, **settings: object) -> tuple[World, Looked]:
    """Linked things that were all edited at the source."""
    world = make_world(flow("things", Plain(by_name), batch=200))
    looked = Looked(world.right, "right.things", settle_s=120.0)
    world.resources["right.things"] = looked
    keys = [str(number) for number in range(1, count + 1)]
    for key in keys:
        world.left.put("things", key, name="a")
    world.sync("things", *keys, patience_s=600)
    for key in keys:
        world.left.put("things", key, name="b")
    for name, value in settings.items():
        setattr(looked, name, value)
    return world, looked


def test_an_edit_between_the_plan_and_a_late_push_is_not_overwritten(make_world: MakeWorld) -> None:
    world, looked = _amended(make_world, 1)
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)
    world.time.pass_(40)
    world.right.put("things", "R1", name="clerk")  # policy: hold
    world.step(message, Stage.PUSH)
    assert (world.right.objects["things"]["R1"]["name"], looked.looks) == ("clerk", [["R1"]])
    world.settle(patience_s=60)

    assert (world.record("things", "1").status, world.right.objects["things"]["R1"]["name"]) == ("held", "clerk")
    assert "changed on both sides" in world.record("things", "1").reason


def test_an_edit_of_another_field_leads_to_a_new_plan_that_spares_it(make_world: MakeWorld) -> None:
    world, _ = _amended(make_world, 1)
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)
    world.time.pass_(40)
    world.right.put("things", "R1", note="by a clerk")
    world.step(message, Stage.PUSH)
    world.settle(patience_s=60)

    there = world.right.objects["things"]["R1"]
    assert (there["name"], there["note"], world.record("things", "1").status) == ("b", "by a clerk", "done")


def test_a_fresh_picture_costs_no_look(make_world: MakeWorld) -> None:
    world, looked = _amended(make_world, 50)
    world.sync("things", *map(str, range(1, 51)), patience_s=60)

    assert ({one["name"] for one in world.right.objects["things"].values()}, looked.looks) == ({"b"}, [])


def test_many_changes_are_looked_at_forty_at_once_and_as_many_as_are_written_while_the_look_is_fresh(
    make_world: MakeWorld,
) -> None:
    world, looked = _amended(make_world, 100, takes_s=0.5)
    world.sync("things", *map(str, range(1, 101)), patience_s=1200)

    assert {one["name"] for one in world.right.objects["things"].values()} == {"b"}
    assert world.record("things", "100").status == "done"
    assert max(len(look) for look in looked.looks) <= 40
    assert len(looked.looks) <= 3  # 60 are written while the first picture is fresh

    world, looked = _amended_again(world, looked, takes_s=3.0)
    world.sync("things", *map(str, range(1, 101)), patience_s=3600)
    assert {one["name"] for one in world.right.objects["things"].values()} == {"c"}
    assert max(len(look) for look in looked.looks[1:]) <= 10  # more would be old again before they are written


def _amended_again(world: World, looked: Looked, *, takes_s: float) -> tuple[World, Looked]:
    for key in world.left.objects["things"]:
        world.left.put("things", key, name="c")
    looked.takes_s, looked.looks = takes_s, []
    return world, looked


def test_no_write_is_made_from_a_picture_that_is_older_than_the_limit(make_world: MakeWorld) -> None:
    world, looked = _amended(make_world, 30, takes_s=4.0)
    edited = iter([7, 19, 23])

    def people(operation: Operation) -> None:  # somebody edits an object that is about to be written, now and then
        number = int((operation.key or "R0")[1:])
        if number % 6 == 0 and (other := next(edited, None)) is not None:
            world.right.put("things", f"R{other}", name="clerk")
            looked.system.time.pass_(31)

    world.right.during_write = people
    world.sync("things", *map(str, range(1, 31)), patience_s=3600)

    for number in (7, 19, 23):
        there, record = world.right.objects["things"][f"R{number}"], world.record("things", str(number))
        assert (there["name"], record.status) in (("clerk", "held"), ("clerk", "done")), number


def test_a_look_that_cannot_be_made_puts_the_changes_off(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, looked = _amended(make_world, 1)
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)
    world.time.pass_(40)
    down = iter([EndpointDown("connection refused", retry_in_s=1)])
    whole = looked.unchanged

    def unchanged(pictures: Mapping[str, Doc]) -> set[str]:
        if error := next(down, None):
            raise error
        return whole(pictures)

    monkeypatch.setattr(looked, "unchanged", unchanged)
    world.run_message(replace(message, stage=Stage.PUSH))
    world.settle(patience_s=120)

    assert (world.record("things", "1").status, world.right.objects["things"]["R1"]["name"]) == ("done", "b")


# -- one object, one writer --------------------------------------------------------------------------------------------


@pytest.fixture
def two_writers(make_world: MakeWorld) -> World:
    """Orders, and their notes by a flow and a resource of its own: both write the order of the right."""

    class Notes(Thing):
        @property
        def object_kind(self) -> str:
            return "right.orders"

        @property
        def objects(self) -> dict[str, Doc]:
            return self.system.objects.setdefault("orders", {})

    notes: Flow = flow(
        "notes", Plain(lambda doc, context: {"note": doc["note"]}, policies={"note": Policy.ENFORCE}),
        entity="orders", source="left.orders", target="right.notes", write_back=True,
    )  # fmt: skip
    world = make_world(flow("orders", Plain(by_name)), notes)
    world.resources["right.notes"] = Notes(world.right, "right.notes", settle_s=120.0)
    world.left.put("orders", "1", name="a", note="")
    world.sync("orders", "1")
    world.left.put("orders", "1", name="b", note="ring first")
    return world


def test_two_flows_never_write_one_object_at_once(two_writers: World) -> None:
    inside: list[str] = []

    def meanwhile(operation: Operation) -> None:
        assert inside == [], "two writes of one object at once"
        inside.append(str(operation.verb))
        two_writers.sync("orders", "1")
        two_writers.time.pass_(1)
        inside.clear()

    two_writers.right.during_write = meanwhile
    two_writers.sync("notes", "right:R1", patience_s=60)
    two_writers.right.during_write = None
    two_writers.settle(patience_s=60)

    there = two_writers.right.objects["orders"]["R1"]
    assert (there["name"], there["note"]) == ("b", "ring first")
    assert two_writers.record("orders", "1").status == two_writers.record("notes", "right:R1").status == "done"
    assert [write[0] for write in two_writers.right.writes] == ["create", "change", "change"]


def test_nobody_writes_an_object_while_a_write_of_it_settles(two_writers: World) -> None:
    begun = two_writers.time.at
    two_writers.right.faults = ["late"]  # it happens 60 s after it was given up
    two_writers.sync("notes", "right:R1")
    two_writers.sync("orders", "1", patience_s=300)

    with two_writers.store.read() as session:
        sent = {one.record_id: one.sent_at for one in session.scalars(select(m.Effect)) if one.verb == Verb.CHANGE}
    orders = two_writers.record("orders", "1")
    assert sent[orders.id] >= begun + timedelta(seconds=120)
    there = two_writers.right.objects["orders"]["R1"]
    assert (there["name"], there["note"], orders.status) == ("b", "ring first", "done")


def test_a_record_that_waits_for_a_person_blocks_nobody(two_writers: World) -> None:
    from syncengine.connectors.base import Safety

    two_writers.resources["right.notes"].safety = dict.fromkeys(Verb, Safety.ASK)  # type: ignore[misc]
    two_writers.right.faults = ["lost"]
    two_writers.sync("notes", "right:R1", patience_s=300)
    assert two_writers.record("notes", "right:R1").status == "held"
    two_writers.sync("orders", "1", patience_s=30)

    assert two_writers.record("orders", "1").status == "done"


def test_what_another_flow_agreed_on_after_the_plan_has_the_write_planned_again(two_writers: World) -> None:
    message = two_writers.begun("orders", "1", Stage.FETCH, Stage.TRANSFORM)
    two_writers.sync("notes", "right:R1")
    two_writers.step(message, Stage.PUSH)
    assert two_writers.right.objects["orders"]["R1"]["name"] == "a"
    two_writers.settle(patience_s=30)

    assert two_writers.right.objects["orders"]["R1"]["name"] == "b"


# -- writes of several calls -------------------------------------------------------------------------------------------


class InCalls(Thing):
    """The name and the note of an object take a call each."""

    def calls(self, operation: Operation) -> Sequence[Operation]:
        if operation.verb is Verb.CREATE and operation.doc.get("note"):
            return [replace(operation, doc={**operation.doc, "note": ""}), operation]
        if operation.verb is Verb.CHANGE and len(operation.changes) > 1:
            return [replace(operation, changes={name: change}) for name, change in sorted(operation.changes.items())]
        return [operation]


@pytest.fixture
def in_calls(make_world: MakeWorld) -> World:
    mapping = Plain(lambda doc, context: {"ref": doc["id"], "name": doc["name"], "note": doc["note"]})
    world = make_world(flow("things", mapping), limits=Limits())
    world.resources["right.things"] = InCalls(world.right, "right.things", settle_s=120.0)
    world.left.put("things", "1", name="a", note="x")
    world.sync("things", "1", patience_s=30)
    return world


def test_a_create_of_several_calls_is_completed_once_it_is_there(in_calls: World) -> None:
    assert in_calls.right.writes == [("create", "1", "R1"), ("change", "1", "R1")]
    assert in_calls.right.objects["things"]["R1"]["note"] == "x"
    assert in_calls.record("things", "1").status == "done"


def test_each_call_of_a_change_is_a_write_of_its_own_in_one_step(in_calls: World) -> None:
    in_calls.right.reads.clear()
    in_calls.left.put("things", "1", name="b", note="y")
    in_calls.sync("things", "1")

    there = in_calls.right.objects["things"]["R1"]
    assert (there["name"], there["note"], in_calls.record("things", "1").status) == ("b", "y", "done")
    assert in_calls.right.reads == [("things", ["R1"])]
    with in_calls.store.read() as session:
        names = [one.dedupe.rpartition(":")[2] for one in session.scalars(select(m.Effect).order_by(m.Effect.id))]
    assert sorted(names[-2:]) == ["1", "2"]


@pytest.mark.parametrize("fault", ["lost", "unheard"])
def test_a_change_is_resumed_at_the_call_in_doubt(in_calls: World, fault: str) -> None:
    in_calls.left.put("things", "1", name="b", note="y")
    in_calls.right.faults = ["", fault]
    in_calls.right.writes.clear()
    in_calls.sync("things", "1", patience_s=600)

    there = in_calls.right.objects["things"]["R1"]
    assert (there["name"], there["note"], in_calls.record("things", "1").status) == ("b", "y", "done")
    assert len(in_calls.right.writes) == 2
    with in_calls.store.read() as session:
        assert not {"sent", "unknown"} & set(session.scalars(select(m.Effect.state)))


def test_what_a_clerk_undoes_after_the_first_call_of_a_refused_write_is_not_done_again(in_calls: World) -> None:
    in_calls.left.put("things", "1", name="b", note="y")
    in_calls.right.faults = ["", "refused"]
    in_calls.sync("things", "1")
    assert in_calls.record("things", "1").status == "dead"
    in_calls.right.put("things", "R1", name="clerk")
    in_calls.left.put("things", "1", name="b", note="z")
    in_calls.sync("things", "1", patience_s=60)

    there = in_calls.right.objects["things"]["R1"]
    assert [there["name"], there["note"]] in (["clerk", "z"], ["b", "z"])
