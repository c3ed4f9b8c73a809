"""Going live after observing: what would have been written is written, all else is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine import observe
from syncengine.mapping.contract import Context, Decision, Need, Verdict
from syncengine.store.states import Status
from tests.contract.kernel.world import Plain, World, by_name, flow


def _needs(doc: Doc, context: Context) -> list[Need]:
    return [Need("customers", doc["customer"], "", "customers")]


def _order(doc: Doc, context: Context) -> Doc:
    return {**by_name(doc, context), "customer": context.links[_needs(doc, context)[0]]}


def _rules(doc: Doc, context: Context) -> Decision:
    return Decision(Verdict.SKIP, "a draft") if doc["name"] == "draft" else Decision()


def _observed(make_world: Callable[..., World]) -> World:
    orders = flow("orders", Plain(_order, needs_=_needs, rules=_rules), needs={"customers": "customers"})
    world = make_world(flow("customers", Plain(by_name)), orders)
    world.configure(mode="observe")
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="order", customer="310")
    world.left.put("orders", "2", name="draft", customer="310")
    world.sync("orders", "1", "2")
    return world


def _go_live(world: World, **values: Any) -> int:
    world.configure(mode="live", **values)
    with world.store.write() as session:
        return observe.go_live(session, world.connection_id, clock.now())


def test_what_was_observed_is_written_when_the_connection_goes_live_and_needs_come_first(
    make_world: Callable[..., World],
) -> None:
    world = _observed(make_world)
    assert world.right.writes == []

    assert _go_live(world) == 2  # the customer and the order
    world.settle(patience_s=10)

    assert [write[:2] for write in world.right.writes] == [("create", "310"), ("create", "1")]
    assert world.right.objects["orders"]["R2"]["customer"] == "R1"
    assert (world.record("orders", "1").status, world.record("orders", "2").reason) == (Status.DONE, "a draft")


def test_a_link_that_was_only_planned_is_none_once_the_connection_is_live(make_world: Callable[..., World]) -> None:
    world = _observed(make_world)
    world.configure(mode="live")  # as a worker may see it whose last observed write comes late
    world.left.put("orders", "3", name="order", customer="310")
    world.sync("orders", "3", patience_s=10)

    assert [write[:2] for write in world.right.writes] == [("create", "310"), ("create", "3")]
