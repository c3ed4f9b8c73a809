"""Orders that SYSPRO or the flow refuses: a dead letter that names field, value and cause, and nothing in SYSPRO.

Numbers and shapes of refusals: syspro-transport.md sections 7.4 and 9.4.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from syncengine.engine.people import dead_letters
from syncengine.sandbox.shop.model import Order
from syncengine.store.models import Failure
from tests.system.awkward.world import Shop, World, both_gateways

UNKNOWN = "NEW-NOT-IN-ERP"
TOO_LONG = "LIMITED-EDITION-BLANKET-XL-2025A"


@both_gateways
@pytest.mark.parametrize("shape", ["reasons", "empty"])
def test_an_unknown_stock_code_is_named_with_number_field_and_value(world: World, shape: str) -> None:
    world.sandbox.switches.turn({"syspro_rejection": shape})  # shapes 4 and 3 of a refused import
    order = world.shop.order(None, world.shop.row("MUG", 1, "8.00"), world.shop.row(UNKNOWN, 1, "4.50"))

    world.sync()

    [(key, field, value, cause)] = world.letters()
    assert key == str(order.id)
    assert field.rpartition(".")[2] == "StockCode"
    assert value == UNKNOWN
    assert "not found" in cause
    assert world.status(order.id)[0] == "dead"
    assert world.erp.orders(order.id) == []
    with world.store.read() as session:
        letter = session.scalars(select(Failure)).one()
        assert letter.remedy == "Create the stock code in SYSPRO, or correct the SKU or its lookup, then retry"


@pytest.mark.one_gateway
@both_gateways
@pytest.mark.parametrize("shape", ["reasons", "empty"])
def test_a_customer_on_hold_is_a_dead_letter_that_goes_through_once_released(world: World, shape: str) -> None:
    world.sandbox.switches.turn({"syspro_rejection": shape})
    contact = world.shop.contact()
    world.sync("customers")
    world.erp.act("customers/BP310", CustomerOnHold="Y")
    order = world.shop.order(contact)

    world.sync()

    [(key, field, value, cause)] = world.letters()
    assert (key, field.rpartition(".")[2], value) == (str(order.id), "Customer", "BP310")
    assert "on hold" in cause
    assert world.erp.orders(order.id) == []

    world.erp.act("customers/BP310", CustomerOnHold="N")
    with world.store.read() as session:
        [(letter, _)] = dead_letters.listed(session)
    dead_letters.retry(world.engine, [letter.id])
    world.settle()
    assert world.erp.order(order.id)["Customer"] == "BP310"
    assert world.letters() == []


@pytest.mark.one_gateway
@both_gateways
def test_one_that_is_refused_stops_none_of_its_batch(world: World) -> None:
    shop = world.shop
    first = shop.order()
    bad = shop.order(None, shop.row(UNKNOWN, 1, "4.50"))
    last = shop.order()
    world.sync()
    assert [len(world.erp.orders(one.id)) for one in (first, bad, last)] == [1, 0, 1]
    assert [letter[0] for letter in world.letters()] == [str(bad.id)]


Make = Callable[[Shop], Order]
REFUSED: dict[str, tuple[Make, str, str, str]] = {
    "no rows": (lambda shop: shop.order(no_rows=True), "orderRows", "", "no rows"),
    "negative": (lambda shop: shop.order(None, shop.row("MUG", -2, "-16.00")), "orderRows.quantity", "-2", "negative"),
    "no SKU": (lambda shop: shop.order(None, shop.row("", 1, "3.00")), "orderRows.productSku", "Sample", "SKU"),
    "long SKU": (lambda shop: shop.order(None, shop.row(TOO_LONG, 1, "145.00")), "StockCode", TOO_LONG, ""),
    "currency": (lambda shop: shop.order(currency="JPY"), "Currency", "JPY", "currency"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_an_order_is_refused_before_it_is_sent(world: World, why: str) -> None:
    make, field, value, cause = REFUSED[why]
    order = make(world.shop)
    world.sync()
    [(key, its_field, its_value, its_cause)] = world.letters()
    assert key == str(order.id)
    assert field in its_field
    assert value in its_value
    assert cause in its_cause
    assert its_cause
    assert world.calls("SORTOI") == 0


def test_rows_that_do_not_add_up_to_the_total_are_refused(world: World) -> None:
    # Four pieces for 10.0002 and a total of 9.00: what a shop's broken discount rows look like.
    order = world.shop.order(None, world.shop.row("MUG", 4, "10.00"))
    account = world.shop.account
    text = account.order_text(order).replace('"net":"10.00"', '"net":"9.00"')
    account._texts[order.id] = ("Europe/London", text)
    world.sync()
    [(key, field, value, _)] = world.letters()
    assert (key, field, value) == (str(order.id), "totalValue.net", "10.00; expected 9.00")
    assert world.erp.orders(order.id) == []


@both_gateways
@pytest.mark.parametrize("setup", [False, True])
def test_an_order_that_clerks_entered_under_the_same_number_is_not_doubled_nor_adopted(
    world: World, setup: bool
) -> None:
    world.sandbox.switches.turn({"syspro_forbid_duplicate_po": setup})
    contact = world.shop.contact()
    world.sync("customers")
    order = world.shop.order(contact)
    entered = world.erp.act("orders", customer="BP310", po=str(order.id), lines=[{"stock_code": "BOOK", "qty": 7}])

    world.sync()

    assert [one["SalesOrder"] for one in world.erp.orders(order.id)] == [entered["order"]["SalesOrder"]]
    status, reason = world.status(order.id)
    assert status in ("held", "dead")
    shown = reason + "".join(str(letter) for letter in world.letters())
    assert str(order.id) in shown or "reference" in shown or "already used" in shown


def test_a_lookup_entry_that_is_missing_is_waited_for(world: World) -> None:
    order = world.shop.order(None, world.shop.row("MUG", 1, "8.00"), warehouse_id=9)
    world.sync()
    assert world.status(order.id)[0] == "waiting"
    assert world.letters() == []
    world.configure(lookups={"warehouses": {"9": "ST"}})
    world.settle()
    assert world.erp.order(order.id)["Warehouse"] == "ST"


def test_a_credit_limit_that_is_exceeded_is_told(world: World) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    world.erp.act("customers/BP310", CreditLimit="5", CreditCheckFlag="L")
    order = world.shop.order(contact)
    world.sync()
    [(key, _, _, cause)] = world.letters()
    assert key == str(order.id)
    assert "Credit limit" in cause
