"""Two things that come at the same moment, or in the wrong order: neither undoes the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Operation
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.core import failures, timeline
from syncengine.engine.people import dead_letter_bulk, dead_letters, held, manual, manual_links
from syncengine.engine.steps import discover
from syncengine.engine.steps import pump as pumping
from syncengine.engine.writes import ceiling, links
from syncengine.errors import Misconfigured
from syncengine.mapping.contract import Context, FieldGroup, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.world import Plain, World, by_name, flow, two_way

MakeWorld = Callable[..., World]
PAIRS = two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)])


def _if_off(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.CANCEL, "cancelled at the source") if doc.get("off") else RuleDecision()


def _link(world: World, left: str, right: str) -> None:
    manual_links.join(
        world.engine, manual_links.inspect(world.engine, world.connection_id, "things", left, right), by="anna"
    )


def _effects(world: World) -> list[tuple[str, str | None]]:
    with world.store.read() as session:
        return [(one.state, one.target_key) for one in session.scalars(select(m.Effect).order_by(m.Effect.id))]


def _letters(world: World) -> list[m.Failure]:
    with world.store.read() as session:
        return [failure for failure, _ in dead_letters.listed(session)]


# -- an order that is taken up again -----------------------------------------------------------------------------------


@pytest.fixture
def taken_up(make_world: MakeWorld) -> World:
    """An order that was cancelled at the source, by us in the target, and is back at the source with nothing changed."""
    world = make_world(flow("things", Plain(by_name, rules=_if_off)))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.left.put("things", "1", off=True)
    world.sync("things", "1")
    assert world.right.objects["things"]["R1"]["cancelled"]
    world.left.put("things", "1", off=False)
    world.sync("things", "1")
    return world


def test_what_we_cancelled_and_is_taken_up_again_at_the_source_is_held(taken_up: World) -> None:
    record = taken_up.record("things", "1")
    assert (record.status, record.reason) == ("held", "R1 was cancelled in the target")


def test_a_person_may_leave_it_cancelled_and_is_not_asked_again(taken_up: World) -> None:
    with taken_up.store.read() as session:
        found = held.of_record(session, taken_up.engine, taken_up.record("things", "1"))
    held.refuse(taken_up.engine, [found], by="anna", because="it was ordered again")
    taken_up.settle()
    assert taken_up.record("things", "1").status == "skipped"

    taken_up.time.pass_(7200)
    taken_up.sync("things", "1")

    assert taken_up.record("things", "1").status in ("skipped", "done")
    assert [verb for verb, _, _ in taken_up.right.writes] == ["create", "cancel"]


# -- discarded ---------------------------------------------------------------------------------------------------------


def test_what_is_discarded_while_its_write_is_put_off_is_not_written(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults = ["refused", "busy"]
    world.sync("things", "1")
    dead_letters.retry(world.engine, [_letters(world)[0].id], by="anna")
    world.settle()
    assert world.right.writes == []

    dead_letter_bulk.discard(world.engine, _letters(world), because="a test order", by="anna")
    world.settle(patience_s=600)

    assert (world.right.writes, world.record("things", "1").status) == ([], "skipped")


@pytest.mark.one_database
def test_what_is_discarded_rests_although_its_source_could_not_be_read_once(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults = ["refused"]
    world.sync("things", "1")
    dead_letter_bulk.discard(world.engine, _letters(world), because="a test order", by="anna")
    world.left.down = True
    world.want("things", "1")
    world.settle(patience_s=60)
    world.left.down = False
    world.settle(patience_s=900)
    assert (world.right.writes, world.record("things", "1").status) == ([], "skipped")

    world.left.put("things", "1", name="another lamp")  # it has changed at the source
    world.sync("things", "1")
    assert world.record("things", "1").status == "done"


def test_a_pump_that_claims_while_a_person_discards_waits_for_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults = ["refused"]
    world.sync("things", "1")
    letters = _letters(world)
    close = failures.close_by_hand
    other = threading.Thread(target=lambda: (world.want("things", "1"), world.pump()))

    def meanwhile(*args: Any) -> None:
        other.start()
        other.join(0.3)  # it waits for this transaction
        close(*args)

    monkeypatch.setattr(failures, "close_by_hand", meanwhile)
    dead_letter_bulk.discard(world.engine, letters, because="a test order", by="anna")
    other.join(20)
    world.settle(patience_s=600)

    assert (world.right.writes, world.record("things", "1").status) == ([], "skipped")


# -- linked by hand ----------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_nobody_links_another_object_while_the_target_may_still_create_one(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "X9", name="a lamp", ref="by hand")
    world.right.faults = ["late"]
    world.sync("things", "1")
    with pytest.raises(Misconfigured, match=r"may still carry out write 1 \(create 1\)"):
        _link(world, "1", "X9")
    world.settle(patience_s=600)
    assert world.links("things") == [("1", "", "R1")]


def test_a_create_in_doubt_of_the_record_on_the_right_has_happened_when_the_pair_is_linked(
    make_world: MakeWorld,
) -> None:
    world = make_world(PAIRS)
    world.right.put("things", "X", name="a lamp")
    world.left.faults = ["unheard"]
    world.sync("things", "right:X")
    world.time.pass_(121)  # the settle time
    _link(world, "L1", "X")
    world.settle(patience_s=600)
    assert (world.links("things"), _effects(world)) == ([("L1", "", "X")], [("done", "L1")])

    world.left.put("things", "7", name="a rug")  # nothing blocks others
    world.sync("things", "left:7")
    assert world.record("things", "left:7").status == "done"


def test_an_intention_of_a_record_that_became_part_of_a_pair_blocks_no_later_create(make_world: MakeWorld) -> None:
    world = make_world(PAIRS)
    world.right.put("things", "X", name="a lamp")
    world.left.put("things", "5", name="a lamp")
    world.left.faults = ["busy"]
    world.sync("things", "right:X")  # intended, not made
    _link(world, "5", "X")
    world.settle(patience_s=600)
    del world.left.objects["things"]["5"]
    world.sync("things", "left:5")
    record = world.record("things", "left:5")
    with world.store.read() as session:
        link = manual.link_of(session, world.engine, record)
    manual.unlink(world.engine, record, link, by="anna", because="gone", recreate=True)
    world.settle(patience_s=600)
    assert world.links("things") == [("L1", "", "X")]


def test_a_want_that_comes_while_a_pair_becomes_one_record_is_not_lost(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(PAIRS)
    world.left.put("things", "5", name="a lamp")
    world.right.put("things", "X", name="a lamp")
    world.want("things", "right:X")
    with world.store.write() as session:
        one = session.scalars(select(m.Record)).one()
        one.done, one.status = one.wanted, "skipped"
    pairing = manual_links.inspect(world.engine, world.connection_id, "things", "5", "X")
    note, others = timeline.note, []

    def meanwhile(session: Any, records: Any, what: str, *args: Any) -> None:
        if what == links.FOLDED:  # another process reads the right's feed
            others.append(threading.Thread(target=lambda: world.want("things", "right:X")))
            others[0].start()
            others[0].join(0.3)
        note(session, records, what, *args)

    monkeypatch.setattr(timeline, "note", meanwhile)
    manual_links.join(world.engine, pairing, by="anna")
    others[0].join(20)

    with world.store.read() as session:
        due = {one.key for one in session.scalars(select(m.Record).where(m.Record.wanted > m.Record.done))}
    assert "right:X" in due  # it came after the pair, and finds it by the link when it is synced
    world.settle(patience_s=600)
    assert world.right.writes == world.left.writes == []


# -- one record and another --------------------------------------------------------------------------------------------


def test_a_reference_that_another_record_meant_to_create_and_does_not_any_more_is_free(make_world: MakeWorld) -> None:
    world = make_world(
        flow("things", Plain(lambda doc, context: {"ref": doc["code"], "name": doc["name"]}, rules=_if_off))
    )  # fmt: skip
    world.configure(ceilings={"things": 1})
    world.left.put("things", "0", name="x", code="A")
    world.left.put("things", "1", name="x", code="K")
    world.sync("things", "0")
    world.sync("things", "1")
    assert world.record("things", "1").status == "held"
    world.left.put("things", "1", off=True)
    world.sync("things", "1")
    assert world.record("things", "1").status == "skipped"
    world.time.pass_(1)
    ceiling.open_(world.engine, "main", "things", by="Kim", uncounted=timedelta(hours=1))

    world.left.put("things", "2", name="x", code="K")
    world.sync("things", "2")

    assert world.record("things", "2").status == "done"


@pytest.mark.one_database
def test_a_flow_without_lines_keeps_the_line_numbers_that_another_flow_of_the_link_has_just_learned(
    make_world: MakeWorld,
) -> None:
    def with_rows(doc: Doc, context: Context) -> Doc:
        rows = [{LINE_KEY: key, "sku": sku, "qty": qty} for key, sku, qty in doc["rows"]]
        return {"ref": doc["id"], "name": doc["name"], "rows": rows}

    orders = flow("orders", Plain(with_rows))
    notes = flow("notes", Plain(lambda doc, context: {"ref": doc["id"], "note": doc["note"]}), entity="orders")
    world = make_world(
        orders, replace(notes, source="left.orders", target="right.orders"), right={"line_fields": {"rows": ("sku",)}}
    )  # fmt: skip
    world.left.put("orders", "1", rows=[("a", "LAMP", 1)], note="x", name="n")
    world.sync("orders", "1")
    world.sync("notes", "1")
    world.left.put("orders", "1", note="y", rows=[("a", "LAMP", 1), ("b", "TOTE", 2)])

    def meanwhile(_operation: Operation) -> None:
        world.right.during_write = None
        world.sync("orders", "1")

    world.right.during_write = meanwhile
    world.sync("notes", "1", patience_s=60)

    with world.store.read() as session:
        assert session.scalars(select(m.Link.lines)).one() == {"orders": {"a": "1", "b": "2"}}
    assert world.right.objects["orders"]["R1"]["note"] == "y"


def test_a_record_that_its_late_runner_has_just_ended_is_not_counted_as_dead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.left.put("things", "1", name="a lamp")
    message = world.begun("things", "1", Stage.FETCH, Stage.TRANSFORM)
    collapse, looked, stored = pumping.recover_crashed, threading.Event(), threading.Event()

    def slowly(*args: Any, **more: Any) -> None:
        looked.set()
        stored.wait(10)
        collapse(*args, **more)

    monkeypatch.setattr(pumping, "recover_crashed", slowly)
    pump = threading.Thread(target=world.pump)

    def meanwhile(_operation: Operation) -> None:
        world.time.pass_(46)  # longer than the lease; the pump finds it over, before the answer is stored
        pump.start()
        if not world.store.is_sqlite:
            looked.wait(10)

    world.right.during_write = meanwhile
    done = threading.Thread(target=lambda: world.step(message, Stage.PUSH))
    done.start()
    done.join(1)
    stored.set()
    done.join(20)
    pump.join(20)
    world.settle(patience_s=600)

    assert (world.right.writes, world.links("things")) == ([("create", "1", "R1")], [("1", "", "R1")])
    assert (world.record("things", "1").status, world.failures()) == ("done", [])


def test_a_clock_that_is_set_back_makes_no_step_go_round(world: World) -> None:
    world.left.put("things", "1", name="a")
    world.sync("things", "1")
    del world.right.objects["things"]["R1"]
    world.left.put("things", "1", name="b")
    world.time.at -= timedelta(hours=1)
    with world.store.write() as session:
        session.scalars(select(m.Record)).one().not_before = world.time.at
    world.want("things", "1")
    before = world.timeline("things", "1").count("fetched")
    for _ in range(30):  # a minute
        world.settle()
        world.time.pass_(2)
    assert world.timeline("things", "1").count("fetched") - before < 10


@pytest.mark.one_database
def test_a_sync_since_a_time_looks_again_at_what_other_rules_left_alone(make_world: MakeWorld) -> None:
    nothing = Plain(by_name, rules=lambda doc, context: RuleDecision(RuleVerdict.SKIP, "not eligible"))
    mine = flow("things", nothing)
    world = make_world(mine)
    world.left.put("things", "1", name="a lamp")
    world.time.pass_(600)
    discover.discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()
    assert world.record("things", "1").status == "skipped"

    world.engine.flows["things"] = replace(mine, mapping=Plain(by_name), version="2")  # type: ignore[type-var]
    world.time.pass_(600)
    since = world.time.at - timedelta(days=1)
    discover.discover(
        world.engine, world.connection_id, "things", trigger="by hand", lane=Lane.REALTIME, since=since
    )  # fmt: skip
    world.settle()

    assert world.record("things", "1").status == "done"
