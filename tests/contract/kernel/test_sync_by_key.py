"""`syncengine sync --id`: who names an object wants it compared, whatever the engine believes to know of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from syncengine.document import Doc
from syncengine.engine.steps import sync
from syncengine.store.states import Stage
from tests.contract.kernel.world import World


@pytest.mark.one_database
def test_a_sync_by_key_reads_a_target_that_has_drifted_though_the_source_is_unchanged(world: World) -> None:
    for key in "12":
        world.left.put("things", key, name="a lamp")
    world.sync("things", "1", "2")
    for key in ("R1", "R2"):
        world.right.objects["things"][key]["name"] = "a blue lamp"
    world.right.reads.clear()
    world.sync("things", "1", "2")
    assert (world.right.reads, world.timeline("things", "1")[-1]) == ([], "unchanged")

    sync.run(world.engine, sync.Request("things", ids=("1",)))
    world.settle()
    assert world.right.reads == [("things", ["R1"])]
    assert [world.timeline("things", key)[-1] for key in "12"] == ["skipped", "unchanged"]


@pytest.mark.one_database
def test_what_is_found_unchanged_just_when_it_is_named_is_compared_after_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    source, read = world.resources["left.things"], world.resources["left.things"].read

    def named_meanwhile(keys: Sequence[str]) -> dict[str, Doc]:
        monkeypatch.setattr(source, "read", read)
        sync.run(world.engine, sync.Request("things", ids=("1",)))
        return read(keys)

    message = world.begun("things", "1")
    monkeypatch.setattr(source, "read", named_meanwhile)
    world.right.reads.clear()
    world.step(message, Stage.FETCH)
    assert (world.right.reads, world.timeline("things", "1")[-1]) == ([], "unchanged")

    world.settle()
    assert world.right.reads == [("things", ["R1"])]
