"""A record that waits for an object by which nothing comes: somebody is notified, and it continues once that object comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.document import Doc
from syncengine.mapping.contract import Context, Need, RuleDecision, RuleVerdict
from tests.contract.kernel.world import Plain, World, by_name, flow

pytestmark = pytest.mark.one_database


def _needs(doc: Doc, context: Context) -> list[Need]:
    return [Need("customers", doc["customer"], "", "customers")]


def _order(doc: Doc, context: Context) -> Doc:
    return {**by_name(doc, context), "customer": context.links[_needs(doc, context)[0]]}


def _rules(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.SKIP, "it is a supplier") if doc["name"] == "supplier" else RuleDecision()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    orders = flow("orders", Plain(_order, needs_=_needs), needs={"customers": "customers"})
    return make_world(flow("customers", Plain(by_name, rules=_rules)), orders)


@pytest.mark.parametrize("there", [True, False])
def test_an_object_that_is_left_alone_though_others_wait_for_it_is_a_dead_letter(world: World, there: bool) -> None:
    if there:
        world.left.put("customers", "310", name="supplier")
    for order in ("1", "2"):
        world.left.put("orders", order, name="order", customer="310")
    world.sync("orders", "1", "2")

    why = "it is a supplier" if there else "not found in the source"
    assert world.failures() == [("310", "left.customers", f"2 records need this object, but it is skipped: {why}")]
    assert {world.record("orders", key).status for key in "12"} == {"waiting"}

    world.left.put("customers", "310", name="a customer")
    world.sync("customers", "310")

    assert world.failures() == []
    assert [natural for _, natural, _ in world.right.writes] == ["310", "1", "2"]


def test_what_nobody_waits_for_is_left_alone_quietly(world: World) -> None:
    world.left.put("customers", "310", name="supplier")
    world.sync("customers", "310")

    assert world.failures() == []
    assert world.record("customers", "310").reason == "it is a supplier"


def test_one_that_is_linked_and_left_alone_since_lets_its_dependants_go_on(world: World) -> None:
    world.left.put("customers", "310", name="a customer")
    world.sync("customers", "310")
    world.left.put("customers", "310", name="supplier")
    world.sync("customers", "310")
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")

    assert world.failures() == []
    assert world.record("orders", "1").status == "done"


def test_what_waits_for_a_day_fills_no_history(make_world: Callable[..., World]) -> None:
    orders = flow(
        "orders",
        Plain(by_name, needs_=lambda doc, context: [Need("customers", "7", "", "customers")]),
        needs={"customers": "customers"},
    )
    world = make_world(flow("customers", Plain(by_name)), orders)
    world.left.put("orders", "1", name="x")
    world.sync("orders", "1")
    before = len(world.timeline("orders", "1"))
    for _ in range(24):
        world.time.pass_(3601)
        world.settle()

    assert world.record("orders", "1").status == "waiting"
    assert len(world.timeline("orders", "1")) - before <= 24  # that it was checked
    assert len(world.timeline("customers", "7")) <= 3
