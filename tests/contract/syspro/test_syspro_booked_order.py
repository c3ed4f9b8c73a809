"""`syspro.booked_order` at a site that returns 100 rows of a find at most: no line and no invoice is left out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from syncengine.connectors.syspro.resources.booked_order import BookedOrder
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking
from tests.contract.syspro.conftest import Connect

D = Decimal


def _booked(connect_to: Connect, sandbox: Sandbox) -> BookedOrder:
    sandbox.switches.turn({"syspro_find_most_rows": 100})
    found = connect_to("enet").resources["syspro.booked_order"]
    assert isinstance(found, BookedOrder)
    return found


def _orders(sandbox: Sandbox, count: int, lines: int) -> list[str]:
    company, shown = sandbox.syspro, []
    for _ in range(count):
        number = company.order_key(company.next_number("order"))
        order = company.table("SorMaster").insert(
            SalesOrder=number, NextDetailLine=1, OrderStatus="1", Customer="WEB001", CustomerPoNumber=number
        )
        for _ in range(lines):
            booking.add_line(company, order, LineType="1", MStockCode="KB-2040", MWarehouse="FG", MOrderQty=D(1))
        shown.append(company.shown(number))
    return shown


def test_orders_with_more_lines_than_one_find_returns_have_all_of_them(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = _orders(sandbox, 3, 40)

    found = _booked(connect_to, sandbox).read(orders)
    assert [len(found[order]["Line"]) for order in orders] == [40, 40, 40]


def test_more_invoices_of_one_day_than_one_find_returns_are_all_found(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = _orders(sandbox, 120, 0)
    for number, order in enumerate(orders):
        sandbox.syspro.table("ArInvoice").insert(
            Customer="WEB001", Invoice=f"{number:015}", DocumentType="I", InvoiceDate=date(2026, 3, 2),
            SalesOrder=sandbox.syspro.order_key(order),
        )  # fmt: skip

    pages = list(_booked(connect_to, sandbox).changes("invoiced", {"on": "2026-03-02"}))
    assert {ref.key for page in pages for ref in page.refs} == set(orders)
