"""Flows that compare, and checks that hold a document or tell people of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.document import Doc
from syncengine.engine.people import dead_letter_bulk, record_search, trace
from syncengine.engine.steps.discover import discover
from syncengine.mapping.contract import Context, Remark
from syncengine.store import models as m
from syncengine.store.states import Lane, Status, Why
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

pytestmark = pytest.mark.one_database
MakeWorld = Callable[..., World]


def _expected(doc: Doc, context: Context) -> Doc:
    return {"name": doc.get("name")}


def _total(doc: Doc, context: Context, mapped: Doc) -> Sequence[Remark]:
    there = context.found.get("total")
    if there == doc.get("total"):
        return ()
    return [
        Remark(False, "totals", "the totals differ", "total", str(there), str(doc.get("total")), "Correct the total")
    ]


def _world(make_world: MakeWorld, **more: Any) -> World:
    audit = flow(
        "audit", Plain(_expected, **more), entity="things", source="left.things", target="right.view",
        write_back=True, compares=True,
    )  # fmt: skip
    world = make_world(flow("things", Plain(by_name)), audit)
    view = Thing(world.right, "right.view")
    view.kind = "things"
    world.resources["right.view"] = view
    return world


def _attentions(world: World, *, open_: bool = True) -> list[tuple[str, str, str]]:
    with world.store.read() as session:
        rows = session.scalars(select(m.Failure).where(m.Failure.kind == "attention").order_by(m.Failure.id))
        return [(row.flow, row.field, row.value) for row in rows if (row.closed_at is None) == open_]


def test_what_was_written_is_compared_once_it_is_linked(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()

    record = world.record("audit", "right:R1")
    assert (record.status, record.why) == (Status.DONE, Why.EQUAL)
    assert _attentions(world) == []


def test_people_who_name_an_object_mean_the_record_that_is_written(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()

    with world.store.read() as session:
        assert record_search.find_one(session, world.engine, "1").flow == "things"
        assert record_search.find_one(session, world.engine, "R1").flow == "things"
        assert record_search.find_one(session, world.engine, "R1", flow="audit").key == "right:R1"
    assert [found.flow for found in trace.trace(world.engine, "1")] == ["things", "audit"]


def test_a_difference_is_told_once_with_both_figures_and_ends_with_it(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()
    world.right.put("things", "R1", name="y")
    world.sync("audit", "right:R1")
    world.sync("audit", "right:R1")
    assert _attentions(world) == [("audit", "name", "y; expected x")]
    assert world.record("audit", "right:R1").why == Why.DIFFERS
    assert world.right.objects["things"]["R1"]["name"] == "y", "nothing is written"

    world.right.put("things", "R1", name="x")
    world.sync("audit", "right:R1")
    assert _attentions(world) == []
    assert _attentions(world, open_=False) == [("audit", "name", "y; expected x")]


def test_a_difference_that_a_person_has_closed_is_not_told_again(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.right.put("things", "R1", name="y")
    world.sync("audit", "right:R1")
    with world.store.read() as session:
        letters = session.scalars(select(m.Failure)).all()
    dead_letter_bulk.close(world.engine, letters, by="anna", because="agreed with the customer")

    world.sync("audit", "right:R1")
    assert _attentions(world) == []
    world.right.put("things", "R1", name="z")
    world.sync("audit", "right:R1")
    assert _attentions(world) == [("audit", "name", "z; expected x")]


def test_checks_may_look_at_the_document_of_the_target(make_world: MakeWorld) -> None:
    world = _world(make_world, remarks_=_total)
    world.left.put("things", "1", name="x", total="10")
    world.sync("things", "1")
    world.right.put("things", "R1", total="12")
    world.sync("audit", "right:R1")

    assert _attentions(world) == [("audit", "total", "12; expected 10")]


def test_what_has_changed_at_the_source_is_compared_after_it_was_synced(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()
    world.left.put("things", "1", name="new")
    world.sync("audit", "right:R1")
    assert (world.record("audit", "right:R1").status, _attentions(world)) == (Status.WAITING, [])

    world.sync("things", "1")
    world.settle()
    assert world.record("audit", "right:R1").status == Status.DONE
    assert _attentions(world) == []


def test_a_change_that_needs_no_write_ends_the_wait_of_the_comparison(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()
    world.left.put("things", "1", name="x", note="not mapped")
    world.sync("audit", "right:R1")
    assert world.record("audit", "right:R1").status == Status.WAITING

    world.sync("things", "1")
    world.settle()
    assert world.record("things", "1").why == Why.EQUAL
    assert world.record("audit", "right:R1").status == Status.DONE


def test_what_a_person_must_decide_on_is_compared_meanwhile(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()
    world.right.put("things", "R1", name="by a clerk")
    world.left.put("things", "1", name="new")
    world.sync("things", "1")
    assert world.record("things", "1").status == Status.HELD

    world.sync("audit", "right:R1")
    assert _attentions(world) == [("audit", "name", "by a clerk; expected new")]


def test_the_feed_of_the_target_wants_the_linked_object_alone(make_world: MakeWorld) -> None:
    world = _world(make_world)
    world.flows["audit"] = flow(
        "audit", Plain(_expected), entity="things", source="left.things", target="right.view",
        write_back=True, compares=True, feeds=(), backward_feeds=("updated",),
    )  # fmt: skip
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    world.settle()
    world.right.put("things", "R1", name="y")
    world.right.put("things", "R9", name="of nobody")
    discover(world.engine, world.connection_id, "audit", trigger="test", lane=Lane.SCHEDULED)
    world.settle()

    assert _attentions(world) == [("audit", "name", "y; expected x")]
    with world.store.read() as session:
        assert session.scalars(select(m.Record.key).where(m.Record.flow == "audit")).all() == ["right:R1"]


@pytest.mark.parametrize("holds", [True, False])
def test_a_check_holds_a_write_or_tells_of_it(make_world: MakeWorld, holds: bool) -> None:
    def remarks(doc: Doc, context: Context, mapped: Doc) -> Sequence[Remark]:
        return [Remark(holds, "n", "the name is odd", "name", mapped["name"], "a name")]

    world = make_world(flow("things", Plain(by_name, remarks_=remarks)))
    world.left.put("things", "1", name="x")
    world.sync("things", "1")

    record = world.record("things", "1")
    if holds:
        assert (record.status, record.why) == (Status.HELD, Why.RULE)
        assert "R1" not in world.right.objects.get("things", {})
    else:
        assert record.status == Status.DONE
        assert _attentions(world) == [("things", "name", "x; expected a name")]
