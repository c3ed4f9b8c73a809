"""In a two-way flow the other side's feed may tell of an object before the create that makes it is settled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Operation
from syncengine.mapping.contract import FieldGroup, Policy
from syncengine.store.models import Record
from tests.contract.kernel.world import World, two_way

PEOPLE = two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)])
ONCE = [("create", "1", "R1")]


def _records(world: World) -> list[str]:
    with world.store.read() as session:
        return list(session.scalars(select(Record.key).order_by(Record.key)))


@pytest.mark.one_database
def test_an_object_whose_create_is_in_doubt_is_not_created_on_its_own_side_again(
    make_world: Callable[..., World],
) -> None:
    world = make_world(PEOPLE)
    world.left.put("things", "1", name="a lamp")
    world.right.faults = ["unheard"]
    world.sync("things", "left:1", patience_s=0)
    world.sync("things", "right:R1", patience_s=30)
    world.settle(patience_s=600)

    assert (world.left.writes, world.right.writes) == ([], ONCE)
    assert _records(world) == ["left:1"]
    assert world.record("things", "left:1").status == "done"


def test_an_object_that_is_told_while_its_create_is_under_way_waits_for_its_link(
    make_world: Callable[..., World],
) -> None:
    world = make_world(PEOPLE)
    world.left.put("things", "1", name="a lamp")

    def tell(operation: Operation) -> None:
        """The object is in the target, and its feed is read, before the writer hears of it."""
        world.right.during_write = None
        world.right.put("things", "R1", name="a lamp", ref="1")
        world.sync("things", "right:R1", patience_s=0)
        assert world.left.writes == []
        del world.right.objects["things"]["R1"]

    world.right.during_write = tell
    world.sync("things", "left:1", patience_s=600)
    world.settle(patience_s=600)

    assert (world.left.writes, world.right.writes) == ([], ONCE)
    assert _records(world) == ["left:1"]


@pytest.mark.one_database
def test_an_object_that_another_create_cannot_have_made_does_not_wait(make_world: Callable[..., World]) -> None:
    world = make_world(PEOPLE, right={"identity": ("name",)})
    world.left.put("things", "1", name="a lamp")
    world.right.faults = ["unheard"]
    world.sync("things", "left:1", patience_s=0)
    world.right.put("things", "R9", name="a rug", ref="9")
    world.sync("things", "right:R9", patience_s=0)

    assert [verb for verb, _, _ in world.left.writes] == ["create"]
    assert world.record("things", "left:1").status != "done"
