"""A write-back comes to a link that another flow has made: its first write may be in doubt before anything is agreed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.document import Doc
from syncengine.mapping.contract import Context
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow


def _note(doc: Doc, context: Context) -> Doc:
    return {"note": doc.get("remark") or ""}


@pytest.mark.one_database
def test_an_edit_after_a_first_write_in_doubt_is_not_overwritten(make_world: Callable[..., World]) -> None:
    notes = flow("notes", Plain(_note), entity="things", source="left.things", target="right.notes", write_back=True)
    world = make_world(flow("things", Plain(by_name)), notes)
    view = Thing(world.right, "right.notes", settle_s=120.0)
    view.kind = "things"
    world.resources["right.notes"] = view
    world.left.put("things", "1", name="x", remark="w")
    world.sync("things", "1")

    world.right.faults = ["unheard"]
    world.sync("notes", "right:R1")
    assert world.right.objects["things"]["R1"]["note"] == "w"
    world.right.put("things", "R1", note="by a clerk")
    for _ in range(3):
        world.time.pass_(3700)
        world.settle(patience_s=300)

    assert world.right.objects["things"]["R1"]["note"] == "by a clerk"
