"""What was decided on and is carried out in part at first: writes of several calls, objects of several parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from syncengine.connectors.base import Operation, Verb
from syncengine.document import Doc
from syncengine.engine.people import held, manual, manual_links
from syncengine.mapping.contract import Context, Policy, RuleDecision, RuleVerdict
from tests.contract.kernel.world import Plain, Thing, World, flow

MakeWorld = Callable[..., World]


class FieldByField(Thing):
    """Takes one field a call, and a create without its size."""

    def calls(self, operation: Operation) -> Sequence[Operation]:
        if operation.verb is Verb.CREATE:
            first = {name: value for name, value in operation.doc.items() if name != "size"}
            return [replace(operation, doc=first), operation]
        if operation.verb is not Verb.CHANGE:
            return [operation]
        return [replace(operation, changes={name: one}) for name, one in sorted(operation.changes.items())]


def _dear(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "over the credit limit") if doc.get("dear") else RuleDecision()


def _both(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["id"], "name": doc["name"], "size": doc["size"]}


def _approve(world: World) -> None:
    with world.store.read() as session:
        one = held.of_record(session, world.engine, world.record("things", "1"))
    held.approve(world.engine, [one], by="anna")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    policies = {"name": Policy.SOURCE, "size": Policy.SOURCE}
    world = make_world(flow("things", Plain(_both, rules=_dear, policies=policies)))
    world.resources["right.things"] = FieldByField(world.right, "right.things", settle_s=120.0)
    return world


def _written(world: World) -> tuple[object, object, str, list[str]]:
    there, record = world.right.objects["things"]["R1"], world.record("things", "1")
    ends = [what for what in world.timeline("things", "1") if what.startswith("decision")]
    return there["name"], there.get("size"), record.status, ends


@pytest.mark.one_database
def test_an_approved_change_of_several_calls_is_written_whole(world: World) -> None:
    world.left.put("things", "1", name="x", size="1")
    world.sync("things", "1", patience_s=300)
    world.left.put("things", "1", name="y", size="2", dear=True)
    world.sync("things", "1", patience_s=300)
    _approve(world)
    world.right.faults = ["", "busy"]
    world.settle(patience_s=600)

    assert _written(world) == ("y", "2", "done", ["decision carried out"])


@pytest.mark.one_database
def test_an_approved_create_of_several_calls_is_written_whole(world: World) -> None:
    world.left.put("things", "1", name="y", size="2", dear=True)
    world.sync("things", "1", patience_s=300)
    _approve(world)
    world.settle(patience_s=600)

    assert _written(world) == ("y", "2", "done", ["decision carried out"])


@pytest.mark.one_database
def test_what_the_targets_people_edit_between_the_calls_is_not_written_over(world: World) -> None:
    world.left.put("things", "1", name="x", size="1")
    world.sync("things", "1", patience_s=300)
    world.left.put("things", "1", name="y", size="2", dear=True)
    world.sync("things", "1", patience_s=300)
    _approve(world)
    world.right.faults = ["", "busy"]
    world.settle()
    world.right.put("things", "R1", size="theirs")
    world.settle(patience_s=600)

    assert _written(world) == ("y", "theirs", "held", ["decision lapsed"])


def _two(doc: Doc, context: Context) -> Doc:
    return {part: {"ref": f"{doc['ref']}/{part}", "name": doc["name"]} for part in ("a", "b")}


@pytest.mark.one_database
def test_each_part_that_is_recreated_is_looked_for_by_its_own_former_reference(make_world: MakeWorld) -> None:
    """The target's people have given both parts new numbers; the source has another reference by then."""
    world = make_world(flow("things", Plain(_two, parts=True)), right={"identity": ("name",)})
    world.left.put("things", "1", name="x", ref="A")
    world.sync("things", "1")
    there = world.right.objects["things"]
    for _, part, key in world.links("things"):
        there[f"N{part}"] = {**there.pop(str(key)), "id": f"N{part}"}
    world.left.put("things", "1", ref="B")
    world.sync("things", "1", patience_s=300)
    for part in ("a", "b"):
        manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
        world.settle(patience_s=600)
        record = world.record("things", "1")
        with world.store.read() as session:
            link = manual.link_of(session, world.engine, record, part)
        if "is gone" in record.reason:
            manual.unlink(world.engine, record, link, by="anna", because="x", recreate=True)
            world.settle(patience_s=600)

    assert (sorted(there), world.record("things", "1").status) == (["Na", "Nb"], "held")
    for part in ("a", "b"):
        if part not in {one for _, one, _ in world.links("things")}:
            pairing = manual_links.inspect(world.engine, world.connection_id, "things", "1", f"N{part}", part=part)
            manual_links.join(world.engine, pairing, by="anna")
            world.settle(patience_s=600)
    assert sorted(there) == ["Na", "Nb"]
