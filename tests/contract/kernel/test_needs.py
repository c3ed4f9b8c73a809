"""What waits for another object continues, or somebody is notified; none waits unseen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.document import Doc
from syncengine.engine.people import manual, manual_links
from syncengine.mapping.contract import Context, FieldGroup, MissingLookup, Need, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, World, by_name, flow, two_way

MakeWorld = Callable[..., World]
HOUR_S = 3600


def _customer(doc: Doc, context: Context) -> Sequence[Need]:
    return [Need("customers", doc["customer"], doc.get("currency", ""), "customers")]


def _order(doc: Doc, context: Context) -> Doc:
    return {**by_name(doc, context), "customer": context.links[_customer(doc, context)[0]]}


def _no_suppliers(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.SKIP, "it is a supplier") if doc["name"] == "supplier" else RuleDecision()


def _master(doc: Doc, context: Context) -> Sequence[Need]:
    return [Need("things", doc["master"], "", "things")] if doc.get("master") else []


def _shop(make_world: MakeWorld, **more: Any) -> World:
    orders = flow("orders", Plain(_order, needs_=_customer), needs={"customers": "customers"})
    return make_world(flow("customers", Plain(by_name, rules=_no_suppliers), **more), orders)


def _statuses(world: World) -> dict[str, str]:
    with world.store.read() as session:
        return {row.key: row.status for row in session.execute(select(m.Record.key, m.Record.status))}


@pytest.mark.one_database
def test_what_is_left_alone_though_others_of_its_own_batch_need_it_is_told(make_world: MakeWorld) -> None:
    world = make_world(
        flow("things", Plain(by_name, rules=_no_suppliers, needs_=_master), needs={"things": "things"})
    )  # fmt: skip
    world.left.put("things", "1", name="supplier")
    world.left.put("things", "2", name="branch", master="1")
    world.sync("things", "1", "2")
    assert _statuses(world) == {"1": "dead", "2": "waiting"}


@pytest.mark.one_database
def test_what_needs_it_no_more_by_a_mended_mapping_goes_on_within_the_hour(make_world: MakeWorld) -> None:
    world = _shop(make_world)
    world.left.put("customers", "310", name="supplier")
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")
    assert world.record("orders", "1").status == "waiting"

    world.engine.flows["orders"] = flow("orders", Plain(by_name), version="2", needs={"customers": "customers"})
    world.time.pass_(HOUR_S + 60)
    world.settle()

    assert world.record("orders", "1").status == "done"


@pytest.mark.one_database
@pytest.mark.parametrize(("after_s", "reads"), [(0, 1), (299, 1), (300, 1), (301, 2)])
def test_what_the_sweep_wakes_is_read_once_more_only_if_its_fetch_is_older_than_five_minutes(
    make_world: MakeWorld, after_s: int, reads: int
) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        if "T20" not in context.lookups.get("tax", {}):
            raise MissingLookup(Need("lookup:tax", "T20"))
        return by_name(doc, context)

    world = make_world(flow("things", Plain(to), lookups={"tax": {}}))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.time.pass_(after_s)
    with world.store.write() as session:
        session.add(m.Lookup(connection_id=world.connection_id, name="tax", key="T20", value="A"))
    world.settle()

    assert world.record("things", "1").status == "done"
    assert world.left.reads == [("things", ["1"])] * reads


@pytest.mark.one_database
def test_an_entry_that_is_added_to_the_table_in_a_flows_file_is_found_within_the_hour(make_world: MakeWorld) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        found = context.lookups.get("tax", {}).get(doc["code"])
        if found is None:
            raise MissingLookup(Need("lookup:tax", doc["code"]))
        return {**by_name(doc, context), "tax": found}

    mine = flow("things", Plain(to), lookups={"tax": {}})
    world = make_world(mine)
    world.left.put("things", "1", name="a lamp", code="T20")
    world.sync("things", "1")
    assert world.record("things", "1").status == "waiting"

    world.engine.flows["things"] = replace(mine, lookups={"tax": {"T20": "A"}}, version="2")
    world.time.pass_(HOUR_S + 60)
    world.settle()

    assert world.record("things", "1").status == "done"


def test_it_is_not_woken_by_an_object_of_the_other_side_that_bears_the_key_of_its_need(make_world: MakeWorld) -> None:
    world = _shop(make_world)
    world.left.put("customers", "500", name="legacy")
    world.right.put("customers", "310", name="legacy", ref="old")
    manual_links.join(
        world.engine, manual_links.inspect(world.engine, world.connection_id, "customers", "500", "310"), by="anna"
    )
    world.settle()
    world.left.put("customers", "310", name="supplier")
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")
    before = world.timeline("orders", "1")

    for _ in range(20):
        world.time.pass_(5)
        world.settle()

    assert world.timeline("orders", "1") == before
    assert _statuses(world)["310"] == "dead"


def _by_part(doc: Doc, context: Context) -> dict[str, Doc]:
    return {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in context.parts if part != "XXX"}


def _by_currency(make_world: MakeWorld) -> World:
    orders = flow("orders", Plain(by_name, needs_=_customer), needs={"customers": "customers"})
    world = make_world(flow("customers", Plain(_by_part, rules=_no_suppliers, parts=True)), orders)
    world.left.put("customers", "310", name="shop")
    world.left.put("orders", "1", name="order", customer="310", currency="GBP")
    world.sync("orders", "1")
    assert _statuses(world) == {"310": "done", "1": "done"}
    return world


@pytest.mark.one_database
def test_a_part_that_does_not_come_since_its_object_is_left_alone_by_now_is_told(make_world: MakeWorld) -> None:
    world = _by_currency(make_world)
    world.left.put("customers", "310", name="supplier")
    world.left.put("orders", "2", name="order", customer="310", currency="EUR")
    world.sync("orders", "2")

    assert _statuses(world) == {"310": "dead", "1": "done", "2": "waiting"}
    [(key, _, cause)] = world.failures()
    assert (key, "1 record needs this object" in cause) == ("310", True)


@pytest.mark.one_database
def test_a_part_that_the_mapping_does_not_make_is_told(make_world: MakeWorld) -> None:
    world = _by_currency(make_world)
    world.left.put("orders", "2", name="order", customer="310", currency="XXX")
    world.sync("orders", "2")
    assert _statuses(world) == {"310": "dead", "1": "done", "2": "waiting"}


@pytest.mark.one_database
def test_what_became_needed_while_it_was_planned_is_planned_again_as_needed(make_world: MakeWorld) -> None:
    world = _shop(make_world, cut_over=True)
    world.left.put("customers", "310", name="old customer")
    world.time.pass_(86400)
    world.configure(cut_over=world.time.at)
    world.left.put("orders", "1", name="order", customer="310")
    message = world.begun("customers", "310", Stage.FETCH)
    resource: Any = world.resources["left.customers"]
    created_at = resource.created_at

    def meanwhile(doc: Doc) -> Any:
        resource.created_at = created_at
        world.want("orders", "1")
        world.pump(sweep=False)
        order = world.messages.pop()
        world.step(order, Stage.FETCH)
        world.step(order, Stage.TRANSFORM)
        return created_at(doc)

    resource.created_at = meanwhile
    world.step(message, Stage.TRANSFORM)
    world.settle()

    assert (world.failures(), _statuses(world)) == ([], {"310": "done", "1": "done"})


@pytest.mark.one_database
def test_a_pair_that_is_needed_from_the_right_and_left_alone_is_told(make_world: MakeWorld) -> None:
    people = two_way("customers", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)])
    nothing = replace(people.backward, rules=lambda doc, context: RuleDecision(RuleVerdict.SKIP, "not for us"))  # type: ignore[type-var]
    invoices = flow(
        "invoices", Plain(_order, needs_=_customer),
        source="right.invoices", target="left.invoices", needs={"customers": "customers"},
    )  # fmt: skip
    world = make_world(replace(people, backward=nothing), invoices)
    world.right.put("customers", "000123", name="x")
    world.right.put("invoices", "9", name="invoice", customer="000123")
    world.sync("invoices", "9")
    assert _statuses(world) == {"9": "waiting", "right:000123": "dead"}


def test_what_others_need_is_made_although_it_was_done_before_and_its_link_is_gone(make_world: MakeWorld) -> None:
    world = _shop(make_world)
    world.left.put("customers", "310", name="shop")
    world.sync("customers", "310")
    record = world.record("customers", "310")
    with world.store.read() as session:
        link = manual.link_of(session, world.engine, record)
    with world.store.write() as session:  # as after a backup of which a part was lost
        session.delete(session.get_one(m.Link, link.id))
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1", patience_s=600)
    assert _statuses(world) == {"310": "done", "1": "done"}
    assert world.right.writes.count(("create", "310", "R1")) == 1
