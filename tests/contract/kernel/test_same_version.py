"""A feed tells the same version again and again: what is just being dealt with, or was set aside, is not wanted again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import update

from syncengine.connectors.base import Page, Position, Ref
from syncengine.document import Doc, fingerprint
from syncengine.engine.steps import sync
from syncengine.engine.steps.discover import discover
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.world import START, Thing, World

pytestmark = pytest.mark.one_database

LATER_S = 5.0  # than the source's resolution


def _told_again(world: World) -> int:
    """How many records are wanted when the feed is read from the beginning again."""
    found = sync.start(world.engine, sync.Request("things", since=START))
    assert isinstance(found[0], sync.Found)
    return found[0].wanted


def _fetched(world: World) -> None:
    world.left.put("things", "1", name="lamp")
    world.time.pass_(LATER_S)
    world.want("things", "1")
    world.pump()
    world.step(world.messages.pop(0), Stage.FETCH)


def test_a_version_that_was_fetched_and_is_being_dealt_with_is_not_wanted_again(world: World) -> None:
    _fetched(world)

    assert _told_again(world) == 0
    world.left.put("things", "1", name="a newer lamp")
    assert _told_again(world) == 1


def test_an_edit_within_the_second_of_the_fetch_is_wanted(world: World) -> None:
    world.left.put("things", "1", name="lamp")
    world.want("things", "1")
    world.pump()
    world.step(world.messages.pop(0), Stage.FETCH)

    assert _told_again(world) == 1


def test_what_was_set_aside_as_poison_stays_there_until_its_source_changes(world: World) -> None:
    _fetched(world)
    for _ in range(world.engine.limits.crashes):
        with world.store.write() as session:
            session.execute(update(m.Record).values(runner="dead"))
        world.time.pass_(60)
        _told_again(world)
        world.pump()
    assert world.record("things", "1").status == "dead"
    world.messages.clear()

    assert _told_again(world) == 0
    assert world.pump() == 0
    world.left.put("things", "1", name="a lamp that kills nobody")
    assert _told_again(world) == 1


class Polled(Thing):
    """Tells no time of a change: the version is a print of the content."""

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        refs = [Ref(key, fingerprint(doc["name"])) for key, doc in sorted(self.objects.items())]
        yield Page(refs, {"n": 1}, self.system.time.at)

    def version(self, doc: Doc) -> str:
        return fingerprint(doc["name"])


def test_what_is_polled_by_its_content_is_wanted_only_if_that_has_changed(world: World) -> None:
    world.resources["left.things"] = Polled(world.left, "left.things")
    for number in range(20):
        world.left.put("things", f"{number:02}", name="x")

    def poll() -> int:
        found = discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
        world.settle()
        return found.wanted

    assert [poll(), poll(), poll()] == [20, 0, 0]
    world.left.put("things", "07", name="y")
    assert [poll(), poll()] == [1, 0]
    assert world.right.writes[-1] == ("change", "07", "R8")
