"""Writes that take several calls: each is settled by itself, and the next one waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from syncengine.connectors.base import Operation, Verb
from syncengine.document import Doc
from syncengine.mapping.contract import Context
from tests.contract.kernel.world import Plain, Thing, World, flow

pytestmark = pytest.mark.one_database

MakeWorld = Callable[..., World]


class FieldByField(Thing):
    """Takes one field a call."""

    def calls(self, operation: Operation) -> Sequence[Operation]:
        if operation.verb is not Verb.CHANGE:
            return [operation]
        return [replace(operation, changes={name: one}) for name, one in sorted(operation.changes.items())]


def _both(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["id"], "name": doc["name"], "size": doc["size"]}


@pytest.fixture(params=[1, 3])
def world(request: pytest.FixtureRequest, make_world: MakeWorld) -> World:
    world = make_world(flow("things", Plain(_both)))
    world.resources["right.things"] = FieldByField(
        world.right, "right.things", settle_s=120.0, most_per_write=request.param
    )
    world.left.put("things", "1", name="x", size="1")
    world.sync("things", "1")
    return world


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_call_in_doubt_is_not_forgotten_for_the_other_one(world: World, fault: str, before: int) -> None:
    world.right.faults = [*[""] * before, fault]
    world.left.put("things", "1", name="y", size="2")
    world.sync("things", "1", patience_s=600)
    assert {name: world.right.objects["things"]["R1"][name] for name in ("name", "size")} == {"name": "y", "size": "2"}

    world.left.put("things", "1", name="z", size="3")  # nobody else has edited anything
    world.sync("things", "1", patience_s=600)

    assert world.record("things", "1").status == "done"
    assert {name: world.right.objects["things"]["R1"][name] for name in ("name", "size")} == {"name": "z", "size": "3"}
