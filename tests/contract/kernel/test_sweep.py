"""A feed that misses changes: what is open is read again at an interval, and only what differs becomes wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from syncengine.document import Doc
from syncengine.engine.people import manual
from syncengine.engine.steps import sync
from syncengine.engine.steps.sweep import sweep
from syncengine.errors import Throttled
from syncengine.store import models as m
from syncengine.store.states import Status
from tests.contract.kernel.world import Plain, System, Thing, World, by_name, flow

pytestmark = pytest.mark.one_database

EVERY_S, SWEEP_S = 300.0, 900.0


class Forgetful(Thing):
    """Its feed says nothing of some changes; a thing that is marked closed is not changed any more."""

    misses_changes = True
    most_per_read = 4
    busy_after: int | None = None  # reads until the quota is used up, once

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        if self.busy_after == 0:
            self.busy_after = None
            raise Throttled("no slot", retry_in_s=40)
        self.busy_after = None if self.busy_after is None else self.busy_after - 1
        return super().read(keys)

    def is_closed(self, doc: Doc) -> bool:
        return bool(doc.get("closed"))


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Ten things, all of them written, and one sync by schedule behind them, so that the next sweep has a time."""
    made = make_world(flow("things", Plain(by_name), every_s=EVERY_S, sweep_s=SWEEP_S))
    made.resources["left.things"] = Forgetful(made.left, "left.things")
    for number in range(10):
        made.left.put("things", f"{number:02}", name=f"thing {number}")
    tick(made)
    made.settle()
    made.left.reads.clear()
    made.right.reads.clear()
    made.right.writes.clear()
    return made


def tick(world: World) -> str:
    """One tick of beat for the flow."""
    return sync.run(world.engine, sync.Request("things", trigger="schedule"))


def pass_(world: World, seconds: float) -> None:
    """Let time go by with its ticks and whatever becomes due."""
    while seconds > 0:
        step = min(seconds, EVERY_S)
        world.time.pass_(step)
        tick(world)
        world.settle()
        seconds -= step


def amend(system: System, key: str, name: str) -> None:
    """An edit that leaves version and time as they are."""
    system.objects["things"][key]["name"] = name


def source(world: World) -> Forgetful:
    found = world.resources["left.things"]
    assert isinstance(found, Forgetful)
    return found


def test_an_amendment_that_no_feed_shows_arrives_within_the_interval(world: World) -> None:
    amend(world.left, "03", "amended")

    pass_(world, SWEEP_S)

    assert [doc["name"] for doc in world.right.objects["things"].values() if doc["ref"] == "03"] == ["amended"]
    assert len(world.right.writes) == 1


def test_unchanged_things_cost_the_reads_of_the_sweep_alone(world: World) -> None:
    before = {key: world.timeline("things", key) for key in ("00", "09")}

    pass_(world, SWEEP_S)

    assert [len(keys) for _, keys in world.left.reads] == [4, 4, 2]
    assert (world.right.reads, world.right.writes) == ([], [])
    assert {key: world.timeline("things", key) for key in before} == before


def test_what_is_closed_or_ignored_is_not_read(world: World) -> None:
    for key in ("00", "01", "02"):
        world.left.put("things", key, closed=True)
    pass_(world, EVERY_S)
    world.left.reads.clear()
    manual.ignore(world.engine, world.record("things", "03"), by="ada", because="sold")

    pass_(world, SWEEP_S - EVERY_S)

    assert sorted(key for _, keys in world.left.reads for key in keys) == ["04", "05", "06", "07", "08", "09"]
    assert [len(keys) for _, keys in world.left.reads] == [4, 2]


def test_what_is_gone_at_the_source_is_noticed(world: World) -> None:
    del world.left.objects["things"]["05"]

    pass_(world, SWEEP_S)

    assert world.record("things", "05").status != Status.DONE
    assert world.record("things", "04").status == Status.DONE


def test_a_dead_letter_is_planned_again_once_its_thing_was_corrected(world: World) -> None:
    world.left.put("things", "07", name=None)  # the schema refuses it
    pass_(world, EVERY_S)
    assert world.record("things", "07").status == Status.DEAD
    amend(world.left, "07", "right at last")

    pass_(world, SWEEP_S)

    assert world.record("things", "07").status == Status.DONE


def test_a_sweep_that_must_wait_for_the_quota_continues_where_it_was(world: World) -> None:
    pass_(world, SWEEP_S - EVERY_S)
    source(world).busy_after = 1
    world.time.pass_(EVERY_S)

    assert "no slot" in tick(world)
    assert [keys for _, keys in world.left.reads] == [["00", "01", "02", "03"]]
    world.time.pass_(40)
    again = sync.Request("things", connection="main", trigger="again")
    assert "6 known" in sync.run(world.engine, again)
    assert [keys[0] for _, keys in world.left.reads] == ["00", "04", "08"]
    assert "sweep" not in sync.run(world.engine, again)


def test_of_two_workers_one_sweeps(world: World) -> None:
    pass_(world, SWEEP_S - EVERY_S)
    world.time.pass_(EVERY_S)
    meanwhile: list[object] = []
    forgetful, read = source(world), source(world).read

    def read_while_another_tries(keys: Sequence[str]) -> dict[str, Doc]:
        meanwhile.append(sweep(world.engine, world.connection_id, "things"))
        return read(keys)

    forgetful.read = read_while_another_tries  # type: ignore[method-assign]
    assert sweep(world.engine, world.connection_id, "things") is not None
    assert meanwhile == [None, None, None]


def test_a_sweep_whose_worker_died_is_continued_once_its_hold_expires(world: World) -> None:
    pass_(world, SWEEP_S - EVERY_S)
    world.time.pass_(EVERY_S)
    with world.store.write() as session:
        row = session.query(m.Schedule).one()
        last = session.query(m.Record.id).filter(m.Record.key == "07").scalar()
        row.sweep_after, row.sweep_held_until = last, world.time.at + timedelta(seconds=100)

    assert sweep(world.engine, world.connection_id, "things") is None
    world.time.pass_(101)
    assert sweep(world.engine, world.connection_id, "things") is not None
    assert [keys for _, keys in world.left.reads] == [["08", "09"]]


@pytest.mark.parametrize(("own_s", "count"), [(None, 1), (300.0, 3), (0.0, 0)])
def test_a_connection_may_have_an_interval_of_its_own(world: World, own_s: float | None, count: int) -> None:
    world.configure(sweep_s=own_s)

    pass_(world, SWEEP_S)

    assert len(world.left.reads) / 3 == pytest.approx(count, abs=1)
    assert bool(world.left.reads) is (own_s != 0)
