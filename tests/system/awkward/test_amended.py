"""Orders that are amended or cancelled in Brightpearl, while people in SYSPRO work on them too.

Order life in SYSPRO: syspro-transport.md section 10; three-way merge: design, section 5.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from syncengine.engine.people.trace import trace
from syncengine.engine.steps import sync
from tests.system.awkward.world import World, both_gateways

D = Decimal


def number_of(world: World, order_id: int) -> str:
    return str(world.erp.order(order_id)["SalesOrder"]).lstrip("0")


@both_gateways
def test_rows_added_changed_and_removed_and_a_new_address_follow(world: World) -> None:
    shop = world.shop
    mug, book = shop.row("MUG", 2, "16.00"), shop.row("BOOK", 1, "12.50")
    wrap, post = shop.text("Gift wrap", "3.50"), shop.shipping("Post", "2.95")
    order = shop.order(None, mug, book, wrap, post)
    world.sync()
    number = world.erp.order(order.id)["SalesOrder"]

    shop.edit_row(order, mug, quantity=D(5), net=D("37.50"))  # 7.50 each now
    shop.remove_row(order, book)
    shop.edit_row(order, wrap, net=D("4.00"))
    shop.add_row(order, shop.row("BOOK", 3, "30.00"))
    shop.add_row(order, shop.text("Please ring"))
    order.delivery.line1, order.delivery.postal_code = "2 New Street", "BS2 0AA"
    shop.edit(order, reference="AMENDED")
    world.sync()

    assert world.erp.order(order.id)["SalesOrder"] == number  # the same order
    assert sorted(world.erp.stock_lines(order.id)) == [("BOOK", D(3), D(10)), ("MUG", D(5), D("7.5"))]
    assert world.erp.charges(order.id) == [("Gift wrap", D(4))]
    assert world.erp.freight(order.id) == [D("2.95")]
    assert world.erp.comments(order.id) == ["Please ring"]
    found = world.erp.order(order.id)
    assert (found["ShipAddress1"], found["ShipPostalCode"], found["SpecialInstrs"]) == (
        "2 New Street",
        "BS2 0AA",
        "AMENDED",
    )
    assert world.status(order.id)[0] == "done"
    assert world.erp.made(order.id) == 1


@pytest.mark.one_gateway
@both_gateways
def test_a_clerks_changes_stay_while_the_amended_row_changes(world: World) -> None:
    shop = world.shop
    mug, book = shop.row("MUG", 2, "16.00"), shop.row("BOOK", 1, "12.50")
    order = shop.order(None, mug, book)
    world.sync()
    number = number_of(world, order.id)
    world.erp.act(f"orders/{number}/lines", stock_code="KB-1001", qty=1, price="24.95")
    world.erp.act(f"orders/{number}/lines", comment="Packed by hand")
    world.erp.act(f"orders/{number}/lines/2", "PATCH", price="11.00")  # the book, cheaper
    world.erp.act(f"orders/{number}/header", ShippingInstrs="By van")

    shop.edit_row(order, mug, quantity=D(4), net=D("32.00"))
    world.sync()

    assert sorted(world.erp.stock_lines(order.id)) == [
        ("BOOK", D(1), D(11)),  # the clerk's price
        ("KB-1001", D(1), D("24.95")),  # the clerk's line
        ("MUG", D(4), D(8)),  # the amended row
    ]
    assert "Packed by hand" in world.erp.comments(order.id)
    assert world.erp.order(order.id)["ShippingInstrs"] == "By van"
    assert world.status(order.id)[0] == "done"


@pytest.mark.one_gateway
@both_gateways
def test_a_row_that_both_changed_is_held_and_nothing_of_the_order_is_written(world: World) -> None:
    shop = world.shop
    mug, book = shop.row("MUG", 2, "16.00"), shop.row("BOOK", 1, "12.50")
    order = shop.order(None, mug, book)
    world.sync()
    world.erp.act(f"orders/{number_of(world, order.id)}/lines/1", "PATCH", qty=3)
    shop.edit_row(order, mug, quantity=D(5), net=D("40.00"))
    shop.edit_row(order, book, quantity=D(2), net=D("25.00"))
    world.sync()
    assert world.status(order.id) == ("held", f"StockLine[{mug.id}].OrderQty was changed on both sides")
    assert sorted(world.erp.stock_lines(order.id)) == [("BOOK", D(1), D("12.5")), ("MUG", D(3), D(8))]


@pytest.mark.one_gateway
@both_gateways
def test_a_row_that_is_removed_after_a_clerk_changed_it_is_held(world: World) -> None:
    shop = world.shop
    mug, book = shop.row("MUG", 2, "16.00"), shop.row("BOOK", 1, "12.50")
    order = shop.order(None, mug, book)
    world.sync()
    world.erp.act(f"orders/{number_of(world, order.id)}/lines/2", "PATCH", qty=6)
    shop.remove_row(order, book)
    world.sync()
    assert world.status(order.id) == ("held", f"StockLine[{book.id}] was changed on both sides")
    assert sorted(world.erp.stock_lines(order.id)) == [("BOOK", D(6), D("12.5")), ("MUG", D(2), D(8))]


@both_gateways
def test_a_tax_code_that_syspro_ignores_is_nobodys_change(world: World) -> None:
    # A live site ignored StockTaxCode (section 9.3): SYSPRO holds the stock code's own, which no person entered.
    shop = world.shop
    mug, book = shop.row("MUG", 1, "8.00", tax_code="T5"), shop.row("BOOK", 1, "12.50", tax_code="T5")
    order = shop.order(None, mug, book)
    world.sync()
    shop.edit_row(order, mug, tax_code="T9", quantity=D(2), net=D("16.00"))
    shop.remove_row(order, book)
    world.sync()
    assert world.status(order.id)[0] == "done"
    assert world.erp.stock_lines(order.id) == [("MUG", D(2), D(8))]


@pytest.mark.one_gateway
@both_gateways
def test_a_line_that_cannot_be_told_apart_is_held(world: World) -> None:
    shop = world.shop
    first, second = shop.row("MUG", 1, "8.00"), shop.row("MUG", 2, "16.00")
    order = shop.order(None, first, second)
    world.sync()
    number = number_of(world, order.id)
    # Before the engine ever read the line numbers, a clerk turned both lines into something of which each may be either.
    world.erp.act(f"orders/{number}/lines/1", "PATCH", qty=5)
    world.erp.act(f"orders/{number}/lines/2", "PATCH", qty=6)
    world.erp.act(f"orders/{number}/lines", stock_code="MUG", qty=7, price="8.00")
    shop.edit_row(order, first, quantity=D(9), net=D("72.00"))
    world.sync()
    status, reason = world.status(order.id)
    assert status == "held"
    assert f"StockLine[{first.id}]" in reason
    assert [line[1] for line in world.erp.stock_lines(order.id)] == [D(5), D(6), D(7)]


@pytest.mark.one_gateway
@both_gateways
def test_equal_rows_are_told_apart_as_far_as_it_matters(world: World) -> None:
    shop = world.shop
    rows = [shop.row("MUG", 1, "8.00") for _ in range(3)]
    order = shop.order(None, *rows)
    world.sync()
    shop.edit_row(order, rows[1], quantity=D(4), net=D("32.00"))
    shop.remove_row(order, rows[2])
    world.sync()
    assert sorted(world.erp.stock_lines(order.id)) == [("MUG", D(1), D(8)), ("MUG", D(4), D(8))]


@pytest.mark.one_gateway
@both_gateways
def test_a_cancelled_order_is_cancelled_and_stays_so(world: World) -> None:
    shop = world.shop
    order = shop.order()
    world.sync()
    shop.set_status(order, 5)
    world.sync()
    found = world.erp.order(order.id)
    assert (found["OrderStatus"], found["CancelledFlag"]) == ("\\", "Y")
    shop.edit(order, reference="TOO LATE")
    world.sync()
    assert world.erp.order(order.id)["SpecialInstrs"] == f"WEB-{order.id}"
    assert world.erp.made(order.id) == 1
    if world.gateway == "enet":
        assert world.calls("SORTOX") == 1


@pytest.mark.one_gateway
@both_gateways
def test_an_order_cancelled_before_it_was_ever_sent_is_never_sent(world: World) -> None:
    order = world.shop.order(status_id=5)
    world.sync()
    assert world.erp.orders(order.id) == []
    assert world.status(order.id)[0] == "skipped"
    assert world.erp.customers() == []


@pytest.mark.one_gateway
@both_gateways
@pytest.mark.parametrize(("status", "said"), [("4", "warehouse"), ("8", "invoiced"), ("9", "complete")])
@pytest.mark.parametrize("what", ["amended", "cancelled"])
def test_an_order_that_may_not_change_any_more_is_held_with_what_would_be_changed(
    world: World, status: str, said: str, what: str
) -> None:
    shop = world.shop
    mug = shop.row("MUG", 2, "16.00")
    order = shop.order(None, mug)
    world.sync()
    world.erp.act(f"orders/{number_of(world, order.id)}/status", status=status)
    if what == "amended":
        shop.edit_row(order, mug, quantity=D(3), net=D("24.00"))
    else:
        shop.set_status(order, 5)
    world.sync()

    its_status, reason = world.status(order.id)
    assert its_status == "held"
    assert said in reason
    assert world.erp.stock_lines(order.id) == [("MUG", D(2), D(8))]
    assert world.erp.order(order.id)["OrderStatus"] == status
    number = number_of(world, order.id).zfill(6)
    [event] = [event for event in trace(world.engine, str(order.id))[0].events if event["what"] == "held"]
    would = f"change {number}: ~ StockLine 1" if what == "amended" else f"cancel {number}"
    assert event["detail"]["writes"] == [would]


@pytest.mark.one_gateway
@both_gateways
def test_an_order_that_is_gone_in_syspro_is_held_and_never_made_again(world: World) -> None:
    shop = world.shop
    order = shop.order()
    world.sync()
    company = world.sandbox.syspro
    with company.lock:
        company.table("SorMaster").delete(company.order(number_of(world, order.id)))
    shop.edit(order, reference="CHANGED")
    world.sync()
    assert world.erp.orders(order.id) == []
    assert world.status(order.id)[0] == "held"
    assert "no longer exists" in world.status(order.id)[1]


@both_gateways
def test_an_amendment_that_is_refused_leaves_the_order_as_it_was_and_goes_through_when_corrected(world: World) -> None:
    shop = world.shop
    order = shop.order(None, shop.row("MUG", 1, "8.00"))
    world.sync()
    bad = shop.row("NEW-NOT-IN-ERP", 1, "4.50")
    shop.add_row(order, bad)
    world.sync()
    [(key, field, value, _)] = world.letters()
    assert (key, field.rpartition(".")[2], value) == (str(order.id), "StockCode", "NEW-NOT-IN-ERP")
    assert world.erp.stock_lines(order.id) == [("MUG", D(1), D(8))]
    shop.remove_row(order, bad)
    shop.add_row(order, shop.row("BOOK", 1, "12.50"))
    world.sync()
    assert world.erp.stock_lines(order.id) == [("MUG", D(1), D(8)), ("BOOK", D(1), D("12.5"))]
    assert world.letters() == []


@pytest.mark.one_gateway
@both_gateways
def test_an_edit_that_means_nothing_to_syspro_writes_nothing(world: World) -> None:
    order = world.shop.order()
    world.sync()
    before = world.erp.order(order.id)
    world.shop.edit(order, payment_status="PAID")
    world.sync()
    assert world.erp.order(order.id) == before
    assert world.status(order.id)[0] == "done"


@pytest.mark.one_gateway
@both_gateways
def test_a_customer_that_moves_moves_in_each_currency_and_keeps_what_is_set_by_people(world: World) -> None:
    shop = world.shop
    contact = shop.contact()
    shop.order(contact)
    shop.order(contact, currency="EUR")
    world.sync()
    world.erp.act("customers/BP310", CreditLimit="900", Salesperson="100")
    contact.email = "new@mail.example"
    shop.account.addresses[contact.billing_address_id].line1 = "7 Moved Street"
    shop.account.save_contact(contact, by="person")
    world.sync("customers")
    for code in ("BP310", "BP310EUR"):
        found = world.erp.customer(code)
        assert (found["Email"], found["SoldToAddr1"]) == ("new@mail.example", "7 Moved Street")
    assert world.erp.customer("BP310")["CreditLimit"] == 900
    assert world.erp.customer("BP310")["Salesperson"] == "100"


def test_an_order_that_arrives_before_its_customer_waits_and_goes_on_by_itself(world: World) -> None:
    world.fault("ARSSCS", "error", times=1)
    order = world.shop.order()
    world.sync(patience_s=0)
    assert world.erp.orders(order.id) == []
    world.settle(patience_s=120)
    assert world.erp.order(order.id)["Customer"] == "BP310"
    assert world.timeline(order.id)[:2] == ["fetched", "waiting"]


def test_a_patch_by_another_app_that_stamps_nothing_arrives_by_the_sweep(world: World) -> None:
    """brightpearl.md section 14.8: the recorded reply to a PATCH has version 1 and no updatedOn."""
    shop = world.shop
    orders = [shop.order(None, shop.row("MUG", 2, "16.00")) for _ in range(3)]
    invoiced = shop.order(None, shop.row("MUG", 1, "8.00"))
    world.configure(sweep_s=900.0)
    _tick(world)
    headers = {"brightpearl-app-ref": "sandbox_app", "brightpearl-account-token": "sandbox-account-token"}
    url = f"{world.sandbox.base_url}/public-api/sandbox/order-service/order/{orders[0].id}"
    operations = [{"op": "replace", "path": "/reference", "value": "AMENDED"}]
    assert requests.patch(url, json=operations, headers=headers, timeout=10).status_code == 200
    with world.shop.account.lock:
        world.shop.account.close_order(invoiced)
    world.time.pass_(300)
    _tick(world)
    assert world.erp.order(orders[0].id)["SpecialInstrs"] != "AMENDED"  # no feed shows it
    reads = world.calls("order.read", "brightpearl")
    before = {order.id: world.timeline(order.id) for order in (*orders[1:], invoiced)}

    for _ in range(2):
        world.time.pass_(300)
        _tick(world)

    assert world.erp.order(orders[0].id)["SpecialInstrs"] == "AMENDED"
    assert world.calls("order.read", "brightpearl") - reads == 2  # the sweep's, and the amended order's
    assert {key: world.timeline(key) for key in before} == before


def _tick(world: World) -> None:
    """One tick of beat for orders."""
    sync.run(world.engine, sync.Request("orders", trigger="schedule"))
    world.settle()
