"""What is over and old is removed; whatever decides about the next sync stays, and everything works as before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine.core import observe_mode, payloads
from syncengine.engine.people import dead_letter_bulk, dead_letter_detail, dead_letters, held, manual, status, trace
from syncengine.engine.upkeep import retention
from syncengine.engine.upkeep.retention import Kept
from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, Need
from syncengine.store import models as m
from syncengine.store.lock import Lock
from tests.contract.kernel.world import Plain, World, by_name, flow

AGO = timedelta(days=500)
SOON = Kept(events=31, writes=1, letters=1, documents=1, runs=1, alerts=1)
"""As little as may be kept."""


def _thing(doc: Doc, context: Context) -> Doc:
    if doc["name"].startswith("bad"):
        raise Rejected(field="name", value=doc["name"], reason="no such name", remedy="correct it")
    return by_name(doc, context)


def _owner(doc: Doc, context: Context) -> list[Need]:
    return [Need("owners", doc["owner"], "", "owners")] if "owner" in doc else []


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Its time is long ago by the database's own clock, which guards the timeline."""
    world = make_world(flow("things", Plain(_thing, needs_=_owner)), flow("owners", Plain(by_name)))
    world.time.at = datetime.now(UTC) - AGO
    return world


def _put(world: World, key: str, name: str, **more: Any) -> None:
    world.left.put("things", key, name=name, **more)
    world.sync("things", key)


def _age(world: World) -> None:
    """To the present of the database, as far as nothing is run meanwhile."""
    world.time.at = datetime.now(UTC)


def _removed(world: World, kept: Kept = SOON) -> dict[str, int]:
    expected = retention.foresee(world.engine, kept)
    removed = retention.remove(world.engine, kept)
    assert removed is not None
    assert {name: count for name, count in expected.counts.items() if count} == dict(removed.counts)
    return dict(removed.counts)


def _count(world: World, model: Any, *which: Any) -> int:
    with world.store.read() as session:
        return session.scalar(select(func.count()).select_from(model).where(*which)) or 0


def test_what_is_young_stays(world: World) -> None:
    _put(world, "1", "lamp")
    _put(world, "1", "red lamp")
    world.time.pass_(86_000)
    assert _removed(world) == {}


def test_a_year_later_the_history_is_gone_and_the_record_its_link_and_its_create_are_there(world: World) -> None:
    _put(world, "1", "lamp")
    for name in ("red lamp", "blue lamp", "old lamp"):
        _put(world, "1", name)
    _age(world)
    assert _removed(world) == {"events": 11, "writes": 2, "documents of writes": 3, "documents of records": 1}
    assert _removed(world) == {}

    (found,) = trace.trace(world.engine, "1")
    assert found.state == "done: change R1: name"
    assert [one["verb"] for one in found.effects] == ["create", "change"]  # the newest row of a table stays
    assert trace.trace(world.engine, "R1")[0].key == "1"
    assert _count(world, m.Effect, m.Effect.request.is_not(None)) == 1
    _put(world, "1", "green lamp")
    assert world.right.objects["things"]["R1"]["name"] == "green lamp"
    assert Counter(verb for verb, _, _ in world.right.writes) == {"create": 1, "change": 4}


@pytest.mark.one_database
@pytest.mark.parametrize("is_gone", [False, True], ids=["restored there", "gone there"])
def test_an_object_whose_link_was_cut_long_after_its_create_is_not_created_twice(world: World, is_gone: bool) -> None:
    """What it was created from is gone: what is planned now tells whose object it is."""
    world.resources["right.things"].identity = ("name",)
    _put(world, "1", "lamp")
    _put(world, "2", "lamp")
    _age(world)
    _removed(world)
    there = world.right.objects["things"].pop("R1")
    manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    world.settle()
    if not is_gone:
        world.right.objects["things"]["R1"] = there
    with world.store.read() as session:
        record = world.record("things", "1")
        link = manual.link_of(session, world.engine, record)
    manual.unlink(world.engine, record, link, by="anna", because="a mistake", recreate=True)
    world.settle(patience_s=600)

    made = [key for verb, natural, key in world.right.writes if (verb, natural) == ("create", "1")]
    assert made == (["R1", "R3"] if is_gone else ["R1"])
    assert ("1", "", made[-1]) in world.links("things")


@pytest.mark.one_database
def test_what_is_open_is_kept_whole_and_goes_on(world: World) -> None:
    _put(world, "dead", "bad")
    _put(world, "waits", "vase", owner="7")
    _put(world, "clash", "old")
    world.right.objects["things"]["R1"]["name"] = "theirs"
    _put(world, "clash", "ours")
    world.right.faults = ["lost"]
    _put(world, "doubt", "jug")
    _put(world, "over", "cup")
    before = {key: _documents(world, key) for key in ("dead", "waits", "clash", "doubt")}
    _age(world)
    assert _removed(world)["documents of records"] == 1  # of `over`
    assert {key: _documents(world, key) for key in before} == before

    (one,) = [each for each in _letters(world) if each.key == "dead"]  # the owner that nobody has is another one
    assert dead_letter_detail.detail(world.engine, one.id).documents["source"]
    with world.store.read() as session:
        assert held.of_record(session, world.engine, world.record("things", "clash"))
    world.left.put("owners", "7", name="Robin")
    world.left.put("things", "dead", name="good")
    dead_letters.retry(world.engine, [one.id], by="anna")
    world.sync("owners", "7")
    world.settle(patience_s=600)

    assert {key: world.record("things", key).status for key in ("dead", "waits", "clash", "doubt", "over")} == {
        "dead": "done", "waits": "done", "clash": "held", "doubt": "done", "over": "done",
    }  # fmt: skip
    assert Counter(natural for verb, natural, _ in world.right.writes if verb == "create") == dict.fromkeys(
        ("dead", "waits", "clash", "doubt", "over", "7"), 1
    )


def _documents(world: World, key: str) -> dict[str, Any]:
    id_ = world.record("things", key).id
    with world.store.read() as session:
        return {kind: payloads.load(session, world.vault, kind, [id_]) for kind in ("context", "plan")}


def _letters(world: World) -> list[m.Failure]:
    with world.store.read() as session:
        return [failure for failure, _ in dead_letters.listed(session)]


@pytest.mark.one_database
def test_what_was_discarded_is_left_alone_while_it_is_unchanged_and_a_letter_that_is_over_goes(world: World) -> None:
    _put(world, "1", "bad")
    _put(world, "2", "bad too")
    discarded, other = sorted(_letters(world), key=lambda one: one.key)
    dead_letter_bulk.discard(world.engine, [discarded], because="a test", by="anna")
    _put(world, "2", "good")
    _put(world, "3", "bad as well")  # the newest letter
    _age(world)
    assert _removed(world)["dead letters"] == 1

    assert _count(world, m.Failure, m.Failure.id == other.id) == 0
    world.sync("things", "1")
    assert world.record("things", "1").status == "skipped"
    assert dead_letter_detail.detail(world.engine, discarded.id).documents["source"]
    with world.store.read() as session:
        assert [one.id for one in dead_letters.retriable(session, dead_letters.LetterFilter(ids=[discarded.id]))] == [
            discarded.id
        ]
    world.left.put("things", "1", name="good")
    world.sync("things", "1")
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_discarded_record_rests_although_its_letter_is_gone(world: World) -> None:
    _put(world, "1", "bad")
    dead_letter_bulk.discard(world.engine, _letters(world), because="a test", by="anna")
    with world.store.write() as session:
        session.execute(delete(m.Failure))
    _age(world)
    _removed(world)

    world.sync("things", "1")
    record = world.record("things", "1")
    assert (record.status, record.why) == ("skipped", "discarded")
    assert world.right.writes == []
    world.left.put("things", "1", name="good")
    world.sync("things", "1")
    record = world.record("things", "1")
    assert (record.status, record.why) == ("done", "")


@pytest.mark.one_database
def test_what_would_have_been_written_is_still_shown_and_written_when_the_connection_goes_live(world: World) -> None:
    world.configure(mode="observe")
    _put(world, "1", "lamp")
    _age(world)
    assert "documents of records" not in _removed(world)
    world.configure(mode=observe_mode.GOING_LIVE)
    observe_mode.go_live(world.store, world.connection_id)
    world.engine._connections.clear()
    world.settle()
    assert world.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
def test_the_latest_run_of_a_flow_stays_and_alerts_that_are_over_go(world: World) -> None:
    for days in (3, 2, 1):
        at = world.time.at - timedelta(days=days)
        with world.store.write() as session:
            for name in ("things", "owners"):
                session.add(
                    m.Run(
                        connection_id=world.connection_id,
                        flow=name,
                        trigger="call",
                        lane=1,
                        started_at=at,
                        finished_at=at,
                    )
                )
            latest, alert = at, {"severity": "warning", "text": "late", "opened_at": at, "seen_at": at}
            session.add(m.Alert(rule="oldest due", subject=f"{days}", resolved_at=at, **alert))
            session.add(m.Alert(rule="stalled", subject=f"{days}", **alert))
    _age(world)
    assert _removed(world) == {"runs": 4, "alerts": 3}
    assert [one.last_sync for one in status.flows(world.engine)] == [latest, latest]
    assert _count(world, m.Alert, m.Alert.resolved_at.is_(None)) == 3


def test_thousands_of_rows_go_in_small_transactions_within_the_time_of_a_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"at": world.time.at, "what": "fetched", "detail": {}, "flow": "things", "key": str(n)} for n in range(3000)
    ]
    with world.store.write() as session:
        session.execute(insert(m.Event), rows)
    _age(world)
    names = iter(("lamp", "red lamp", "blue lamp", "jar", "cup", "mug", "pot"))

    def others_work(seconds: float) -> None:
        world.time.pass_(seconds)
        _put(world, "1", next(names))

    monkeypatch.setattr(clock, "sleep", others_work)
    first = retention.remove(world.engine, SOON, for_s=retention.PAUSE_S * 2)
    assert first is not None
    assert str(first) == "removed 1,500 events; the next run removes more"
    assert str(retention.remove(world.engine, SOON, for_s=60)) == "removed 1,500 events"
    assert str(retention.remove(world.engine, SOON, for_s=60)) == "removed nothing"
    assert world.right.objects["things"]["R1"]["name"] == "cup"


@pytest.mark.one_database
def test_two_at_once_are_one(world: World) -> None:
    with Lock(world.store, retention.PULSE, retention.LEASE_S).tried():
        assert retention.remove(world.engine, SOON) is None


def test_what_is_kept_for_ever_is_not_removed(world: World) -> None:
    _put(world, "1", "lamp")
    _put(world, "2", "lamp")
    _age(world)
    assert _removed(world, Kept(0, 0, 0, 0, 0, 0)) == {}
