"""Orders that people entered before the sandbox began: complete, invoiced in part, cancelled, in suspense, forward.

A real company has such orders, and a client must read, find and refuse them as it would there (syspro-transport.md
section 10.1).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from syncengine.sandbox.shop.model import ENTERED_BEFORE
from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row

FIRST_NUMBER = 901
_CUSTOMER, _STOCK_CODE, _WAREHOUSE, _PRICE = "WEB001", "KB-2040", "FG", Decimal(8)


def load(company: Company) -> None:
    """Add one order of each kind, with numbers and references of its own, under the customer WEB001."""
    kinds: dict[str, Callable[[Row], object]] = {
        "COMPLETE": lambda order: invoicing.invoice(company, order),
        "PARTIAL": lambda order: _invoice_in_part(company, order),
        "CANCELLED": lambda order: booking.cancel_order(company, order),
        "CANCELLED-IN-ENTRY": lambda order: booking.set_status(company, order, "*"),
        "SUSPENSE": lambda order: booking.set_status(company, order, "S"),
        "FORWARD": lambda order: booking.set_status(company, order, "F"),
    }
    with company.as_person():
        for place, (name, end) in enumerate(kinds.items()):
            end(_entered(company, FIRST_NUMBER + place, f"{ENTERED_BEFORE}{name}"))


def _invoice_in_part(company: Company, order: Row) -> None:
    line = company.lines(order)[0]
    booking.change_line(company, line, MShipQty=Decimal(1), MBackOrderQty=Decimal(1), MStockQtyToShp=Decimal(1))
    invoicing.invoice(company, order)


def _entered(company: Company, number: int, po_number: str) -> Row:
    customer = company.customer(_CUSTOMER) or {}
    day = company.today() - timedelta(days=30)
    order = company.table("SorMaster").insert(
        SalesOrder=company.order_key(number),
        NextDetailLine=1,
        OrderStatus="8",
        ActiveFlag="Y",
        DocumentType="O",
        Customer=_CUSTOMER,
        CustomerName=customer["Name"],
        CustomerPoNumber=po_number,
        Currency=customer["Currency"],
        ExchangeRate=Decimal(1),
        MulDiv="M",
        TaxStatus=customer["TaxStatus"],
        Salesperson=customer["Salesperson"],
        Branch=customer["Branch"],
        Area=customer["Area"],
        InvTermsOverride=customer["TermsCode"],
        OrderDate=day,
        EntrySystemDate=day,
        ReqShipDate=day,
        LastOperator="CLERK",
    )
    booking.add_line(company, order, **_line(company))
    return order


def _line(company: Company) -> Row:
    item = company.table("InvMaster").get(_STOCK_CODE) or {}
    return {
        "LineType": "1",
        "MStockCode": _STOCK_CODE,
        "MStockDes": item["Description"],
        "MWarehouse": _WAREHOUSE,
        "MBin": _WAREHOUSE,
        "MOrderQty": Decimal(2),
        "MShipQty": Decimal(2),
        "MStockQtyToShp": Decimal(2),
        "MOrderUom": item["StockUom"],
        "MStockingUom": item["StockUom"],
        "MPrice": _PRICE,
        "MPriceUom": item["StockUom"],
        "MTaxCode": item["TaxCode"],
        "MProductClass": item["ProductClass"],
    }
