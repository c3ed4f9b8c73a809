"""`syncengine sync --id`: who names an object wants it compared, whatever the engine believes to know of it."""

from __future__ import annotations

from syncengine.engine import sync
from tests.contract.kernel.world import World


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
