"""Replies that tell little, answers that are lost, writes that come late, sessions that end: one order, always.

syspro-transport.md sections 5 (sessions), 7.1 (channels) and 9.4 (shapes).
"""

from __future__ import annotations

import pytest

from tests.system.awkward.world import SETTLE_S, World, both_gateways


@pytest.mark.parametrize("number", ["always", "never", "auto"])
@pytest.mark.parametrize("nested", [False, True])
def test_an_import_is_linked_whether_or_not_its_reply_has_the_number(world: World, number: str, nested: bool) -> None:
    world.sandbox.switches.turn({"syspro_clean_reply": number, "syspro_nested_status": nested})
    order = world.shop.order()
    short = world.shop.order(None, world.shop.row("MUG", 2000, "16000.00"))  # back order: always shape 1
    world.sync()
    assert world.status(order.id)[0] == world.status(short.id)[0] == "done"
    assert (world.erp.made(order.id), world.erp.made(short.id)) == (1, 1)
    world.shop.edit(order, reference="CHANGED")  # the link is the right one
    world.sync("orders", order.id)
    assert world.erp.order(order.id)["SpecialInstrs"] == "CHANGED"


@both_gateways
@pytest.mark.parametrize("after", ["before", "commit"])
def test_a_create_whose_answer_is_lost_makes_one_order(world: World, after: str) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    order = world.shop.order(contact)
    operation = "SORTOI.add" if world.gateway == "enet" else "*"
    world.fault(operation, "drop", after=after, match=None if world.gateway == "enet" else str(order.id))

    world.sync("orders", order.id, patience_s=0)
    assert world.erp.made(order.id) == (1 if after == "commit" else 0)
    world.settle(SETTLE_S * 3)

    assert world.status(order.id)[0] == "done"
    assert world.erp.made(order.id) == 1
    assert len(world.erp.orders(order.id)) == 1


@pytest.mark.one_gateway
@both_gateways
def test_nothing_is_sent_again_within_the_settle_time_whatever_wants_it(world: World) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    order = world.shop.order(contact)
    fault = world.fault("*", "drop", after="before", match=str(order.id), times=1)
    world.sync("orders", order.id, patience_s=0)
    assert fault.hits == 1
    world.shop.edit(order, reference="HURRY")
    world.sync("orders", order.id, patience_s=SETTLE_S - 2)
    assert world.erp.made(order.id) == 0
    world.settle(SETTLE_S * 2)
    assert world.erp.order(order.id)["SpecialInstrs"] == "HURRY"


@both_gateways
def test_a_create_that_takes_effect_late_is_adopted(world: World) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    order = world.shop.order(contact)
    operation = "SORTOI.add" if world.gateway == "enet" else "*"
    world.fault(operation, "late", seconds=0.4, match=None if world.gateway == "enet" else str(order.id))

    world.sync("orders", order.id, patience_s=0)
    assert world.erp.made(order.id) == 0  # not yet
    world.sandbox.faults.wait_for_late_writes()
    assert world.erp.made(order.id) == 1
    world.settle(SETTLE_S * 3)

    assert world.status(order.id)[0] == "done"
    assert world.erp.made(order.id) == 1
    assert "adopted" in world.timeline(order.id)


def test_a_change_whose_answer_is_lost_is_not_made_twice(world: World) -> None:
    shop = world.shop
    order = shop.order(None, shop.row("MUG", 1, "8.00"))
    world.sync()
    shop.add_row(order, shop.row("BOOK", 2, "25.00"))
    world.fault("SORTOI.change", "drop", after="commit")
    world.sync("orders", order.id, patience_s=SETTLE_S * 3)
    assert [line[0] for line in world.erp.stock_lines(order.id)] == ["MUG", "BOOK"]
    assert world.status(order.id)[0] == "done"


def test_a_customer_whose_answer_is_lost_is_made_once_and_its_order_follows(world: World) -> None:
    order = world.shop.order()
    world.fault("ARSSCS", "drop", after="commit")
    world.sync(patience_s=SETTLE_S * 4)
    assert world.erp.order(order.id)["Customer"] == "BP310"
    assert len(world.sandbox.calls.effects(object="ArCustomer", key="BP310", action="created")) == 1


@pytest.mark.parametrize("when", ["between", "at the write"])
def test_a_session_that_is_evicted_in_mid_run_is_opened_again(world: World, when: str) -> None:
    shop = world.shop
    orders = [shop.order() for _ in range(3)]
    if when == "between":
        made = world.sandbox.syspro.order_effect

        def evict_after_the_first(action: str, order: object, **detail: object) -> None:
            made(action, order, **detail)
            if world.sandbox.calls.total("syspro", "Logon") == 1:
                world.sandbox.syspro.sessions.end("BPSYNC")

        world.sandbox.syspro.order_effect = evict_after_the_first
    else:
        world.fault("SORTOI.add", "expired", times=1)
    world.sync(patience_s=SETTLE_S * 4)
    assert [world.erp.made(order.id) for order in orders] == [1, 1, 1]
    assert [world.status(order.id)[0] for order in orders] == ["done"] * 3
    assert world.calls("Logon") == 2


@both_gateways
@pytest.mark.parametrize("kind", ["error", "malformed"])
def test_an_answer_that_makes_no_sense_to_a_create_leaves_one_order(world: World, kind: str) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    order = world.shop.order(contact)
    operation = "SORTOI.add" if world.gateway == "enet" else "*"
    match = None if world.gateway == "enet" else str(order.id)
    world.fault(operation, kind, after="commit", match=match)
    world.sync("orders", order.id, patience_s=SETTLE_S * 4)
    assert world.erp.made(order.id) == 1
    assert world.status(order.id)[0] == "done"


def test_brightpearl_throttling_costs_time_and_loses_nothing(world: World) -> None:
    world.sandbox.switches.turn(
        {"brightpearl_window": "rolling"}
    )  # the rest of a calendar minute can be no wait at all
    world.fault("order.read", "throttle", system="brightpearl", times=1)
    orders = [world.shop.order() for _ in range(3)]
    world.sync(patience_s=0)
    assert [world.erp.made(order.id) for order in orders] == [0, 0, 0]
    world.valkey.flushall()  # the limiter goes by its server's clock: this is the minute that it has to wait
    world.settle(patience_s=200)
    assert [world.erp.made(order.id) for order in orders] == [1, 1, 1]
