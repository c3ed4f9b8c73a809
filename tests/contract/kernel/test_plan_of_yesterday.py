"""A plan that a write has overtaken, between its making and its push, is made again and not carried out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.connectors.base import Operation
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.core.engine import Chain
from syncengine.mapping.contract import Context
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, World, by_name, flow


def _halves(doc: Doc, context: Context) -> dict[str, Doc]:
    rows = [{LINE_KEY: str(number), "sku": sku} for number, sku in enumerate(doc["rows"])]
    return {part: {"ref": f"{doc['id']}-{part}", "name": doc["name"], "lines": rows} for part in ("a", "b")}


@pytest.mark.one_database
def test_what_was_written_is_not_written_again_when_the_other_half_of_its_plan_is_put_off(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("orders", Plain(_halves, parts=True)), right={"line_fields": {"lines": ("sku",)}})
    world.left.put("orders", "1", name="x", rows=["lamp"])
    world.sync("orders", "1")
    world.time.pass_(5)
    world.left.put("orders", "1", rows=["lamp", "shade"])
    world.right.during_write = lambda _: world.time.pass_(1)
    world.right.faults = ["", "busy"]
    world.sync("orders", "1", patience_s=100)

    assert world.right.writes == [
        ("create", "1-a", "R1"), ("create", "1-b", "R2"), ("change", "1-a", "R1"), ("change", "1-b", "R2"),
    ]  # fmt: skip
    for key in ("R1", "R2"):
        assert [line["sku"] for line in world.right.objects["orders"][key]["lines"]] == ["lamp", "shade"]
    assert world.record("orders", "1").status == "done"


@pytest.mark.one_database
def test_an_edit_is_not_lost_when_a_frozen_worker_tells_of_its_create_after_the_next_plan_was_made(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.left.put("things", "1", name="old")
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)
    others: list[Chain] = []

    def freeze(operation: Operation) -> None:
        """The process is frozen with its bytes on their way; others find nothing, and plan the edited object."""
        world.right.during_write = None
        world.time.pass_(150)
        world.left.put("things", "1", name="new")
        others.append(world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM))
        world.time.pass_(1)

    world.right.during_write = freeze
    world.step(message, Stage.PUSH)
    world.step(others[0], Stage.PUSH)
    world.settle(patience_s=300)

    assert world.right.writes == [("create", "1", "R1"), ("change", "1", "R1")]
    assert world.right.objects["things"]["R1"]["name"] == "new"
    assert world.record("things", "1").status == "done"
