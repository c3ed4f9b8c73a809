"""Flows that share links, parts, write-backs and doubts: nothing is created twice, and nobody's edit is overwritten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Safety, Verb
from syncengine.document import LINE_KEY, LINE_NUMBER, Doc
from syncengine.engine.people import held, manual
from syncengine.engine.steps import sync
from syncengine.engine.steps.discover import discover
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context, Need, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, World, by_name, flow

MakeWorld = Callable[..., World]
LINES = {"line_fields": {"rows": ("code", "qty")}}


def _order(doc: Doc, context: Context) -> Doc:
    rows = [{LINE_KEY: row["id"], "code": row["code"], "qty": Decimal(row["qty"])} for row in doc.get("rows", ())]
    return {"ref": doc["id"], "name": doc["name"], "note": doc.get("note", ""), "rows": rows}


def _rows(*codes: str) -> list[Doc]:
    return [{"id": f"row {code}", "code": code, "qty": 1} for code in codes]


def _there(world: World, key: str = "R1") -> list[str]:
    return [row["code"] for row in world.right.objects["orders"][key]["rows"]]


def _status(**more: Any) -> Flow:
    """The path back of an order: its state, right to left, on the links of `orders`."""
    mapping = Plain(lambda doc, context: {"state": doc.get("state", "new")}, policies={"state": Policy.ENFORCE})
    return flow(
        "status", mapping, entity="orders", source="right.orders", target="left.orders", **{"write_back": True, **more}
    )


@pytest.fixture
def orders(make_world: MakeWorld) -> World:
    """Orders with lines left to right, cancelled if `gone`, and their status back."""
    cancel = RuleDecision(RuleVerdict.CANCEL, "cancelled")
    mapping = Plain(_order, rules=lambda doc, context: cancel if doc.get("gone") else RuleDecision())
    return make_world(flow("orders", mapping), _status(), right=LINES)


def _states(world: World) -> list[str]:
    with world.store.read() as session:
        return list(session.scalars(select(m.Effect.state).order_by(m.Effect.id)))


# -- doubts ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_doubt(orders: World) -> World:
    """An amendment (B, and a MUG) whose outcome is unknown, and that did not happen; its status is written back meanwhile."""
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))
    orders.sync("orders", "1")
    orders.right.faults = ["lost"]
    orders.left.put("orders", "1", name="B", rows=_rows("LAMP", "MUG"))
    orders.sync("orders", "1")
    orders.time.pass_(10)
    orders.right.put("orders", "R1", state="picked")
    orders.sync("status", "left:1")
    assert orders.left.objects["orders"]["1"]["state"] == "picked"
    return orders


@pytest.mark.one_database
def test_no_doubt_outlives_the_write_that_settled_it(in_doubt: World) -> None:
    in_doubt.settle(patience_s=600)

    assert in_doubt.record("orders", "1").status == "done"
    assert _there(in_doubt) == ["LAMP", "MUG"]
    assert not {"unknown", "sent"} & set(_states(in_doubt))


@pytest.mark.one_database
def test_a_clerks_edit_is_not_overwritten_for_a_doubt_of_yesterday(in_doubt: World) -> None:
    in_doubt.settle(patience_s=600)
    in_doubt.time.pass_(86_400)
    in_doubt.left.put("orders", "1", name="C", rows=_rows("LAMP"))
    in_doubt.sync("orders", "1", patience_s=600)
    assert (in_doubt.right.objects["orders"]["R1"]["name"], _there(in_doubt)) == ("C", ["LAMP"])

    in_doubt.time.pass_(86_400)  # a clerk happens to write what was tried a day ago
    lines = in_doubt.right.objects["orders"]["R1"]["rows"]
    in_doubt.right.put("orders", "R1", name="B", rows=[*lines, {LINE_NUMBER: "3", "code": "MUG", "qty": Decimal(1)}])
    in_doubt.left.put("orders", "1", note="please ring")
    in_doubt.sync("orders", "1", patience_s=600)

    assert _there(in_doubt) == ["LAMP", "MUG"]
    assert in_doubt.right.objects["orders"]["R1"]["name"] == "B"


@pytest.mark.one_database
def test_a_cancellation_in_doubt_that_is_taken_back_leaves_no_doubt_and_overwrites_nobody(orders: World) -> None:
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))
    orders.sync("orders", "1")
    orders.right.faults = ["lost"]
    orders.left.put("orders", "1", gone=True)
    orders.sync("orders", "1")
    orders.left.put("orders", "1", gone=False, name="B")
    orders.sync("orders", "1", patience_s=900)

    assert (orders.record("orders", "1").status, orders.right.objects["orders"]["R1"]["name"]) == ("done", "B")
    assert not {"unknown", "sent"} & set(_states(orders))
    orders.time.pass_(86_400)
    orders.right.put("orders", "R1", name="A")  # a clerk
    orders.left.put("orders", "1", note="please ring")
    orders.sync("orders", "1", patience_s=600)
    assert orders.right.objects["orders"]["R1"]["name"] == "A"


@pytest.mark.one_database
def test_a_refused_conflict_ends_the_doubt_and_a_clerks_own_line_stays(orders: World) -> None:
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))
    orders.sync("orders", "1")
    orders.right.faults = ["lost"]
    orders.left.put("orders", "1", name="B", rows=_rows("LAMP", "MUG"))
    orders.sync("orders", "1")
    orders.time.pass_(10)
    orders.right.put("orders", "R1", name="clerk")
    orders.settle(patience_s=600)
    assert orders.record("orders", "1").status == "held"
    with orders.store.read() as session:
        one = held.of_record(session, orders.engine, orders.record("orders", "1"))
    held.refuse(orders.engine, [one], by="anna", because="the clerk is right, and no mug")
    orders.settle(patience_s=600)
    assert not {"unknown", "sent"} & set(_states(orders))

    orders.left.put("orders", "1", name="clerk", rows=_rows("LAMP"))
    orders.sync("orders", "1", patience_s=600)
    orders.time.pass_(86_400)
    lines = [*orders.right.objects["orders"]["R1"]["rows"], {LINE_NUMBER: "7", "code": "MUG", "qty": Decimal(1)}]
    orders.right.put("orders", "R1", rows=lines)
    orders.left.put("orders", "1", note="please ring")
    orders.sync("orders", "1", patience_s=600)
    assert _there(orders) == ["LAMP", "MUG"]


# -- two flows that create the same entity, from either side -----------------------------------------------------------


def _back() -> Flow:
    def to_left(doc: Doc, context: Context) -> Doc:
        rows = [
            {LINE_KEY: row[LINE_NUMBER], "id": row[LINE_NUMBER], "code": row["code"], "qty": row["qty"]}
            for row in doc.get("rows", ())
        ]
        return {"ref": doc["id"], "name": doc["name"], "rows": rows}

    return flow("back", Plain(to_left), entity="orders", source="right.orders", target="left.orders")


@pytest.mark.one_database
def test_what_one_flow_created_is_not_written_back_by_the_other(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_order)), _back(), right=LINES, left=LINES)
    world.right.put("orders", "PO9", name="po", rows=[{LINE_NUMBER: "1", "code": "LAMP", "qty": Decimal(1)}])
    world.sync("back", "PO9")
    assert world.links("orders") == [("L1", "", "PO9")]
    world.time.pass_(60)
    world.sync("orders", "L1")  # the feed of the left tells of what was created there

    assert (_there(world, "PO9"), world.record("orders", "L1").status) == (["LAMP"], "done")
    world.left.put("orders", "L1", rows=[{"id": "1", "code": "LAMP", "qty": 4}])
    world.sync("orders", "L1", patience_s=600)
    assert [(row["code"], row["qty"]) for row in world.right.objects["orders"]["PO9"]["rows"]] == [("LAMP", 4)]


@pytest.mark.one_database
def test_a_line_that_the_first_comparison_does_not_find_is_held_and_not_added(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_order)), _back(), right=LINES, left=LINES)
    world.right.put("orders", "PO9", name="po", rows=[{LINE_NUMBER: "1", "code": "LAMP", "qty": Decimal(1)}])
    world.sync("back", "PO9")
    rows = world.left.objects["orders"]["L1"]["rows"]
    world.left.put("orders", "L1", rows=[*rows, {"id": "2", "code": "MUG", "qty": 1}])
    world.sync("orders", "L1", patience_s=600)

    assert (_there(world, "PO9"), world.record("orders", "L1").status) == (["LAMP"], "held")


@pytest.mark.one_database
def test_what_one_flow_is_creating_is_not_created_once_more_by_the_other(make_world: MakeWorld) -> None:
    world = make_world(
        flow("orders", Plain(by_name)),
        flow("back", Plain(by_name), entity="orders", source="right.orders", target="left.orders"),
    )
    world.resources["left.orders"].settle_s = 120.0
    world.left.faults = ["unheard"]
    world.right.put("orders", "PO9", name="po")
    world.sync("back", "PO9")  # created on the left, the answer is lost
    world.sync("orders", "L1")  # the feed of the left tells of it
    world.settle(patience_s=900)

    assert sorted(world.right.objects["orders"]) == ["PO9"]
    assert world.links("orders") == [("L1", "", "PO9")]


# -- needs and keys ----------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_flow_is_never_asked_for_an_object_by_a_key_of_the_other_side(make_world: MakeWorld) -> None:
    orders = flow("orders", Plain(by_name), cut_over=True)
    notes = flow(
        "notes",
        Plain(
            lambda doc, context: {"ref": doc["id"], "order": context.links[Need("orders", doc["id"], "", "orders")]},
            needs_=lambda doc, context: [Need("orders", doc["id"], "", "orders")],
        ),
        source="right.orders",
        target="left.notes",
        needs={"orders": "orders"},
    )
    world = make_world(orders, notes)
    world.left.put("orders", "100512", name="an order of 2019")  # before the cut-over date
    world.time.pass_(1000)
    world.configure(cut_over=world.time.at)
    world.right.put("orders", "100512", name="counter sale")  # a number of the right system's own
    world.sync("notes", "100512", patience_s=60)

    assert world.right.writes == []
    waiting = world.record("notes", "100512")
    assert (waiting.status, waiting.need_key, waiting.need_side) == ("waiting", "100512", "right")
    with world.store.read() as session:
        assert session.scalars(select(m.Record.flow)).all() == ["notes"]

    world.left.put("orders", "7", name="a new order")
    world.sync("orders", "7")
    world.right.put("orders", "R1", name="of 7")
    world.sync("notes", "R1", patience_s=60)  # this one is linked, as 7
    assert world.record("notes", "R1").status == "done"
    assert [one["order"] for one in world.left.objects["notes"].values()] == ["7"]
    assert world.record("notes", "100512").status == "waiting"  # nobody has woken it by the number alone


def test_what_waits_for_a_link_is_woken_by_it_whatever_side_its_key_is_of(make_world: MakeWorld) -> None:
    customers = flow(
        "customers", Plain(lambda doc, context: {"EUR": {"ref": doc["id"], "name": doc["name"]}}, parts=True)
    )
    asked = Need("customers", "R1", "", "customers")
    payments = flow(
        "payments",
        Plain(
            lambda doc, context: {"ref": doc["id"], "name": context.links[asked]},
            needs_=lambda doc, context: [asked],
        ),
        source="right.payments", target="left.payments", needs={"customers": "customers"},
    )  # fmt: skip
    world = make_world(customers, payments)
    world.right.put("payments", "9", name="paid")
    world.sync("payments", "9")
    assert world.record("payments", "9").status == "waiting"

    world.left.put("customers", "310", name="Robin")
    world.sync("customers", "310", patience_s=30)  # R1, a part of 310

    assert world.record("payments", "9").status == "done"
    assert [one["name"] for one in world.left.objects["payments"].values()] == ["310"]


@pytest.mark.one_database
def test_records_that_need_one_another_are_a_dead_letter_that_names_them(make_world: MakeWorld) -> None:
    def needs(entity: str, key: str) -> Callable[[Doc, Context], list[Need]]:
        return lambda doc, context: [Need(entity, key, "", entity)]

    world = make_world(
        flow("hens", Plain(by_name, needs_=needs("eggs", "2")), needs={"eggs": "eggs"}),
        flow("eggs", Plain(by_name, needs_=needs("nests", "3")), needs={"nests": "nests"}),
        flow("nests", Plain(by_name, needs_=needs("hens", "1")), needs={"hens": "hens"}),
    )
    for kind, key in (("hens", "1"), ("eggs", "2"), ("nests", "3")):
        world.left.put(kind, key, name="x")
    world.sync("hens", "1", patience_s=60)

    [(key, _, cause)] = world.failures()
    assert (key, cause) == ("3", "these records need one another: nests 3 needs hens 1 needs eggs 2 needs nests 3")
    assert [world.record("hens", "1").status, world.record("eggs", "2").status] == ["waiting", "waiting"]


# -- write-backs -------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_write_back_changes_what_is_linked_and_leaves_the_rest_alone_without_a_call(orders: World) -> None:
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))
    orders.sync("orders", "1")
    orders.right.put("orders", "R1", state="picked")
    orders.right.put("orders", "COUNTER", name="a sale at the till", state="invoiced")
    orders.right.reads.clear()
    discover(orders.engine, orders.connection_id, "status", trigger="schedule", lane=Lane.SCHEDULED)
    orders.settle()

    assert orders.left.objects["orders"]["1"]["state"] == "picked"
    assert (orders.record("status", "left:1").status, orders.record("status", "right:COUNTER").status) == (
        "done",
        "skipped",
    )
    assert "COUNTER" not in str(orders.right.reads)
    assert [write for write in orders.left.writes if write[0] != "change"] == []
    orders.time.pass_(3600)
    assert discover(orders.engine, orders.connection_id, "status", trigger="schedule", lane=Lane.SCHEDULED).wanted == 0


@pytest.mark.one_database
def test_what_a_write_back_left_alone_is_written_once_it_is_linked(orders: World) -> None:
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))

    def told_early(_operation: object) -> None:  # the feed tells of the order before its link is saved
        orders.right.during_write = None
        orders.want("status", "right:R1")
        orders.settle()

    orders.right.during_write = told_early
    orders.sync("orders", "1")
    orders.settle()

    assert orders.record("status", "right:R1").status == "skipped"
    assert orders.record("status", "left:1").status == "done"
    assert orders.left.objects["orders"]["1"]["state"] == "new"


def test_a_write_back_finds_the_link_whatever_its_part_and_its_sources_must_agree(make_world: MakeWorld) -> None:
    customers = flow(
        "customers",
        Plain(
            lambda doc, context: {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in doc["in"]},
            parts=True,
        ),
    )
    credit = flow(
        "credit",
        Plain(lambda doc, context: {"hold": doc.get("hold", "N")}, policies={"hold": Policy.ENFORCE}),
        entity="customers", source="right.customers", target="left.customers", write_back=True,
    )  # fmt: skip
    world = make_world(customers, credit)
    world.left.put("customers", "310", name="Robin", **{"in": ["EUR", "GBP"]})
    world.sync("customers", "310")
    assert world.links("customers") == [("310", "EUR", "R1"), ("310", "GBP", "R2")]

    world.right.put("customers", "R1", hold="Y")
    world.sync("credit", "left:310", patience_s=60)
    record = world.record("credit", "left:310")
    assert (record.status, sorted(world.left.objects["customers"])) == ("held", ["310"])
    assert record.reason == "its sources disagree on hold: R1 and R2 have different values"

    world.right.put("customers", "R2", hold="Y")
    world.time.pass_(60)
    world.sync("credit", "left:310", patience_s=60)
    assert (world.record("credit", "left:310").status, world.left.objects["customers"]["310"]["hold"]) == ("done", "Y")
    assert discover(world.engine, world.connection_id, "credit", trigger="schedule", lane=Lane.SCHEDULED).known == 2


@pytest.mark.one_database
def test_a_one_way_flow_to_the_left_finds_a_link_with_a_part_and_creates_nothing(make_world: MakeWorld) -> None:
    customers = flow(
        "customers", Plain(lambda doc, context: {"EUR": {"ref": doc["id"], "name": doc["name"]}}, parts=True)
    )
    credit = flow(
        "credit",
        Plain(lambda doc, context: {"ref": "", "hold": doc.get("hold", "N")}, policies={"hold": Policy.ENFORCE}),
        entity="customers", source="right.customers", target="left.customers",
    )  # fmt: skip
    world = make_world(customers, credit)
    world.left.put("customers", "310", name="Robin")
    world.sync("customers", "310")
    world.right.put("customers", "R1", hold="Y")
    world.sync("credit", "R1", patience_s=300)

    assert sorted(world.left.objects["customers"]) == ["310"]
    assert world.left.objects["customers"]["310"]["hold"] == "Y"


# -- parts -------------------------------------------------------------------------------------------------------------


def _by_warehouse(doc: Doc, context: Context) -> dict[str, Doc]:
    parts: dict[str, Doc] = {}
    for row in doc["rows"]:
        part = parts.setdefault(row["wh"], {"ref": f"{doc['id']}-{row['wh']}", "name": doc["name"], "rows": []})
        part["rows"].append({LINE_KEY: row["id"], "code": row["code"], "qty": Decimal(row["qty"])})
    return parts


def _stored(lamp: str, mug: str) -> list[Doc]:
    rows = zip(_rows("LAMP", "MUG"), (lamp, mug), strict=True)
    return [{**row, "wh": warehouse} for row, warehouse in rows]


@pytest.fixture
def split(make_world: MakeWorld) -> World:
    """One order for each warehouse: a LAMP from N and a MUG from S, which then moves to N."""
    world = make_world(flow("orders", Plain(_by_warehouse, parts=True)), right=LINES)
    world.left.put("orders", "1", name="o", rows=_stored("N", "S"))
    world.sync("orders", "1")
    assert world.links("orders") == [("1", "N", "R1"), ("1", "S", "R2")]
    world.left.put("orders", "1", rows=_stored("N", "N"))
    return world


def _shipped(world: World) -> list[str]:
    alive = [one for one in world.right.objects["orders"].values() if not one.get("cancelled")]
    return sorted(row["code"] for one in alive for row in one["rows"])


@pytest.mark.one_database
def test_a_part_that_is_no_longer_wanted_is_cancelled(split: World) -> None:
    split.sync("orders", "1", patience_s=60)

    assert (_shipped(split), split.record("orders", "1").status) == (["LAMP", "MUG"], "done")
    assert split.right.objects["orders"]["R2"]["cancelled"]
    split.left.put("orders", "1", name="p")
    split.sync("orders", "1", patience_s=60)  # and stays so
    assert split.record("orders", "1").status == "done"


@pytest.mark.one_database
def test_a_part_that_is_no_longer_wanted_and_cannot_be_cancelled_is_held_and_nothing_is_written(split: World) -> None:
    split.right.put("orders", "R2", invoiced=True)
    split.sync("orders", "1", patience_s=60)

    assert (_shipped(split), split.record("orders", "1").status) == (["LAMP", "MUG"], "held")
    assert split.record("orders", "1").reason == "it is invoiced"


@pytest.mark.one_database
def test_a_flow_that_keeps_its_parts_leaves_them(make_world: MakeWorld) -> None:
    mapping = Plain(lambda doc, context: {doc["currency"]: {"ref": doc["currency"], "name": doc["name"]}}, parts=True)
    world = make_world(flow("customers", mapping, keeps_parts=True))
    world.left.put("customers", "310", name="Robin", currency="GBP")
    world.sync("customers", "310")
    world.left.put("customers", "310", currency="EUR")
    world.sync("customers", "310", patience_s=60)

    assert world.record("customers", "310").status == "done"
    assert not any(one.get("cancelled") for one in world.right.objects["customers"].values())


@pytest.mark.one_database
def test_a_mapping_that_goes_over_to_parts_is_held_and_does_not_cancel_what_was_whole(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_order)), right=LINES)
    world.left.put("orders", "1", name="o", rows=_stored("N", "S"))
    world.sync("orders", "1")
    world.engine.flows["orders"] = flow("orders", Plain(_by_warehouse, parts=True), version="2")  # type: ignore[index]
    world.left.put("orders", "1", name="p")
    world.sync("orders", "1", patience_s=60)

    assert world.record("orders", "1").status == "held"
    assert [write[0] for write in world.right.writes] == ["create"]


@pytest.mark.one_database
def test_one_object_of_the_right_may_become_several_of_the_left(make_world: MakeWorld) -> None:
    def to_left(doc: Doc, context: Context) -> dict[str, Doc]:
        return {part: {"ref": f"{doc['id']}-{part}", "name": f"{doc['name']} {part}"} for part in ("N", "S")}

    world = make_world(flow("orders", Plain(to_left, parts=True), source="right.orders", target="left.orders"))
    world.right.put("orders", "9", name="o")
    world.sync("orders", "9", patience_s=300)
    assert world.record("orders", "9").status == "done"
    assert sorted(world.links("orders")) == [("L1", "N", "9"), ("L2", "S", "9")]

    world.right.put("orders", "9", name="p")
    world.sync("orders", "9", patience_s=300)
    assert [one["name"] for one in world.left.objects["orders"].values()] == ["p N", "p S"]
    assert len([write for write in world.left.writes if write[0] == "create"]) == 2


# -- the target's people, and ids --------------------------------------------------------------------------------------


@pytest.mark.one_database
@pytest.mark.parametrize("policy", [Policy.ENFORCE, Policy.LEFT])
def test_an_enforced_field_is_brought_back_to_the_sources_value(make_world: MakeWorld, policy: Policy) -> None:
    def stock(doc: Doc, context: Context) -> Doc:
        return {"ref": doc["id"], "name": doc["name"], "quantity": doc["quantity"]}

    world = make_world(flow("stock", Plain(stock, policies={"quantity": policy})))
    world.left.put("stock", "1", name="lamp", quantity=Decimal(10))
    world.sync("stock", "1")
    world.right.put("stock", "R1", quantity=Decimal(3))
    world.time.pass_(3600)
    world.left.put("stock", "1", name="lamp!")
    world.sync("stock", "1")

    assert world.right.objects["stock"]["R1"]["quantity"] == 10


@pytest.mark.one_database
def test_an_id_of_a_link_that_is_gone_is_given_to_no_other(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(by_name)))
    for name in ("one", "one!"):
        world.left.put("things", "1", name=name)
        world.sync("things", "1")
    record = world.record("things", "1")
    with world.store.read() as session:
        link = manual.link_of(session, world.engine, record)
    manual.unlink(world.engine, record, link, by="anna", because="the wrong one")
    for name in ("two", "two!"):
        world.left.put("things", "2", name=name)
        world.sync("things", "2", patience_s=60)

    assert (world.record("things", "2").status, world.right.objects["things"]["R2"]["name"]) == ("done", "two!")


@pytest.mark.one_database
def test_a_write_without_a_key_may_be_cancelled_by_a_person_only(make_world: MakeWorld) -> None:
    cancel = RuleDecision(RuleVerdict.CANCEL, "cancelled")
    mapping = Plain(
        lambda doc, context: {"name": doc["name"], "ref": ""},
        rules=lambda doc, context: cancel if doc.get("gone") else RuleDecision(),
    )
    world = make_world(flow("payments", mapping))
    world.resources["right.payments"].safety = dict.fromkeys(Verb, Safety.ASK)  # type: ignore[misc]
    world.right.faults = ["numberless"]
    world.left.put("payments", "1", name="100.00")
    world.sync("payments", "1", patience_s=300)
    assert world.record("payments", "1").status == "done"
    world.left.put("payments", "1", gone=True)
    world.sync("payments", "1")

    assert world.record("payments", "1").status == "held"
    assert world.record("payments", "1").reason == "cancelled, and it was written without a key"
    world.time.pass_(timedelta(hours=3).total_seconds())
    world.settle()
    assert len(world.right.writes) == 1


@pytest.mark.one_database
def test_a_person_names_a_write_backs_record_by_the_sources_key(orders: World) -> None:
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))
    orders.sync("orders", "1")
    orders.right.put("orders", "R1", state="picked")
    sync.start(orders.engine, sync.Request("status", ids=("R1", "left:1", "right:R1")))
    orders.settle()
    assert orders.left.objects["orders"]["1"]["state"] == "picked"
    with orders.store.write() as session:
        found = manual.get_or_create(session, orders.engine, orders.connection_id, "status", "R1", orders.time.at)
        assert (found.key, session.scalars(select(m.Record.key).where(m.Record.flow == "status")).all()) == (
            "left:1", ["left:1"],
        )  # fmt: skip


@pytest.mark.one_database
def test_an_unlinked_object_is_written_back_again_once_it_is_linked(orders: World) -> None:
    orders.left.put("orders", "1", name="A", rows=_rows("LAMP"))
    orders.sync("orders", "1")
    orders.sync("status", "left:1")
    record = orders.record("orders", "1")
    with orders.store.read() as session:
        link = manual.link_of(session, orders.engine, record)
    assert manual.unlink(orders.engine, record, link, by="anna", because="the wrong one") == ["1", "left:1"]
    assert orders.record("orders", "1").ignored
    assert not orders.record("status", "left:1").ignored
    orders.sync("status", "left:1")
    assert orders.record("status", "left:1").status == "skipped"
