"""Every document that goes to SYSPRO is valid by the element tables of the references (tests/syspro_documents.py).

The traffic of the awkward orders, and of amendments, removals and cancellations of every kind of line, is captured where the
sandbox receives it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

import defusedxml.ElementTree as SafeTree
import pytest

from syncengine.sandbox.shop.model import CUT_OVER, Order
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.simulation import Syspro
from tests.syspro_documents import complaints
from tests.system.awkward.world import World

Captured = list[tuple[str, str, str]]
"""Of each call: business object, XmlParameters, XmlIn."""


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Captured:
    """What SYSPRO has received so far."""
    received: Captured = []
    call = Syspro.call

    def noted(
        company: Syspro, session: Session, klass: str, method: str, object: str, params_xml: str, data_xml: str
    ) -> str:
        received.append((object, params_xml, data_xml))
        return call(company, session, klass, method, object, params_xml, data_xml)

    monkeypatch.setattr(Syspro, "call", noted)
    return received


def found(captured: Captured) -> list[str]:
    """What is wrong with the captured documents, each complaint once."""
    texts = (f"{object}: {text}" for object, *documents in captured for text in complaints(object, *documents))
    return list(dict.fromkeys(texts))


def imported(captured: Captured) -> Iterator[Element]:
    for object, _, document in captured:
        if object == "SORTOI":
            yield from SafeTree.fromstring(document).iter("Orders")


def lines_by_action(captured: Captured) -> Counter[tuple[str, str]]:
    return Counter(
        (str(line.tag), line.findtext("LineActionType") or "")
        for orders in imported(captured)
        for line in orders.find("OrderDetails") or ()
    )


def test_the_awkward_orders_and_their_customers_are_sent_in_valid_documents(world: World, captured: Captured) -> None:
    world.start_over(seed=3, contacts=4, products=70, orders=0, awkward=True)
    world.configure(cut_over=CUT_OVER)

    world.sync("customers")
    world.sync("orders")

    assert found(captured) == []
    kinds = {kind for kind, _ in lines_by_action(captured)}
    assert kinds == {"StockLine", "CommentLine", "MiscChargeLine", "FreightLine"}
    assert Counter(object for object, *_ in captured)["SORTOI"] > 30


def order_of_every_kind(world: World, **more: Any) -> Order:
    shop = world.shop
    return shop.order(
        None,
        shop.row("MUG", 3, "24.00", "4.80"),
        shop.row("BOOK", 2, "25.00"),
        shop.text("Gift wrap", "2.00"),
        shop.text("Engraving", "7.50"),
        shop.text("Please ring twice"),
        shop.text("Leave with a neighbour"),
        shop.shipping("Post", "4.95"),
        shop.shipping("Insurance", "1.00"),
        **more,
    )


@pytest.mark.parametrize("cancel_by", ["SORTOX", "SORTOI"])
def test_amendments_removals_and_cancellations_of_every_kind_of_line_are_valid(
    world: World, captured: Captured, cancel_by: str
) -> None:
    codes = {"line_cancel_code": "WEB", "cancel_reason": "WEB", "cancel_by": cancel_by}
    world.sandbox.switches.turn({"syspro_cancel_reasons": "WEB", "syspro_negative_quantities": True})
    world.configure(erp=codes, settings={"negative_quantities": True})
    order = order_of_every_kind(world)
    world.sync()
    mug, book, wrap, engraving, ring, neighbour, post, insurance = order.rows.values()

    world.shop.edit_row(order, mug, quantity=Decimal(5), net=Decimal("40.00"))
    world.shop.edit_row(order, wrap, net=wrap.net + 1)
    world.shop.edit_row(order, ring, name="Please ring three times")
    world.shop.edit_row(order, post, net=post.net + 1)
    for row in (book, engraving, neighbour, insurance):
        world.shop.remove_row(order, row)
    world.shop.add_row(order, world.shop.row("BOOK", -1, "-12.50"))
    world.shop.add_row(order, world.shop.text("Sorry for the delay"))
    world.sync()
    assert world.status(order.id)[0] == "done", world.letters()
    world.shop.set_status(order, 5)
    world.sync()

    assert found(captured) == []
    assert world.status(order.id)[0] == "done"
    acted = lines_by_action(captured)
    for kind in ("StockLine", "CommentLine", "MiscChargeLine", "FreightLine"):
        assert {action for of, action in acted if of == kind} >= {"A", "C", "D"}, kind
    cancelled = [orders.findtext("OrderHeader/OrderActionType") == "D" for orders in imported(captured)]
    assert any(cancelled) is (cancel_by == "SORTOI")
    assert ("SORTOX" in {object for object, *_ in captured}) is (cancel_by == "SORTOX")


def test_an_amended_customer_and_an_address_that_loses_lines_are_sent_in_valid_documents(
    world: World, captured: Captured
) -> None:
    order = order_of_every_kind(world, delivery={"line2": "Rear entrance"})
    world.sync()
    world.shop.edit(order, delivery=replace(order.delivery, line2="", line1="2 Example Road"), reference="PO/2")
    contact = world.shop.account.contacts[order.customer.contact_id]
    contact.first_name = "Żaneta"
    world.shop.account.save_contact(contact, is_new=False, by="person")
    world.sync("customers")
    world.sync()

    assert found(captured) == []
    headers = [orders[0] for orders in imported(captured)]
    assert any(header.findtext("ShipAddress2") == "{blank}" for header in headers)
    assert "ARSSCS" in {object for object, *_ in captured}
