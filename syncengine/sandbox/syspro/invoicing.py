"""Invoices: what is ready to ship becomes an AR invoice with SYSPRO's own tax, and payments reduce its balance.

Sources: syspro-objects.md section 6.3, syspro-transport.md section 10.3. Assumed: CurrencyValue and InvoiceBal1 include tax,
TaxPortion is the tax; a payment has a negative TrnValue, so that CurrencyValue and all TrnValues add up to the balance;
charges are invoiced as a whole on the first invoice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.inventory.movements import Movement, move
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, integer_of, text_of
from syncengine.sandbox.syspro.tax import calculation
from syncengine.sandbox.syspro.tax.calculation import COMMENT, MERCHANDISE, Figures

ZERO = Decimal(0)


def invoice(company: Company, order: Row, *, lines: Collection[int] | None = None, on: date | None = None) -> Row:
    """Invoice the ship quantities and the charges of an order: reduces stock and creates the AR invoice that is returned.

    With back orders left the order returns to status 2 with LastInvoice set; otherwise it is complete.

    Args:
        lines: numbers of the lines to invoice; None for all.
        on: the invoice's date, which decides the tax rate; None for today.
    """
    ready = ready_lines(company, order, lines)
    billed = [(line, amount_of(line, "MShipQty") if line["LineType"] in MERCHANDISE else Decimal(1)) for line in ready]
    created = bill(company, order, billed, on or company.today(), text_of(order, "DeliveryNote"))
    for line in company.lines(order):
        if line in ready or (line["LineType"] == COMMENT and lines is None):
            _ship(company, line, created)
    booking.set_status(company, order, _status_after(company, order))
    return created


def bill(company: Company, order: Row, billed: Sequence[tuple[Row, Decimal]], on: date, delivery_note: str) -> Row:
    """Create the AR invoice of some lines of an order, and say so on the order; stock and lines stay as they are.

    Args:
        billed: lines with the quantity that is invoiced, in their order unit; 1 for a charge.
        on: the invoice's date, which decides the tax rate.
    """
    number = str(company.next_number("invoice"))
    shares = [(line, _share(line, quantity)) for line, quantity in billed]
    figures = calculation.calculate(company, order, shares, on)
    kept = delivery_note if company.switches.on("syspro_invoice_keeps_delivery_note") else ""
    created = _add_invoice(company, order, number, figures, on, kept)
    _add_details(company, created, figures, {integer_of(line, "SalesOrderLine"): each for line, each in billed})
    company.table("SorMaster").update(order, LastInvoice=number, DateLastInvPrt=on)
    company.effect("ArInvoice", "created", number, text_of(order, "CustomerPoNumber"))
    return created


def ready_lines(company: Company, order: Row, lines: Collection[int] | None = None) -> list[Row]:
    """The lines that an invoice would contain now: merchandise with a ship quantity, and charges not yet invoiced."""
    return [
        line
        for line in company.lines(order)
        if line["LineType"] != COMMENT
        and line["MCompleteFlag"] != "Y"
        and (line["LineType"] not in MERCHANDISE or amount_of(line, "MShipQty") or not amount_of(line, "MOrderQty"))
        and (lines is None or line["SalesOrderLine"] in lines)
    ]


def pay(company: Company, customer: str, number: str, value: Decimal, reference: str) -> Row:
    """A person enters a customer's payment of an invoice; returns the invoice.

    Raises:
        KeyError: there is no such invoice.
    """
    found = company.table("ArInvoice").get(customer, number, "I")
    if found is None:
        raise KeyError(f"no invoice {number} of customer {customer}")
    today = company.today()
    entries = [row for row in company.table("ArInvoicePay").by("Invoice", number) if row["Customer"] == customer]
    company.table("ArInvoicePay").insert(
        Customer=customer,
        Invoice=number,
        EntryNumber=len(entries) + 1,
        TrnType="P",
        JournalDate=today,
        Journal=company.next_number("journal"),
        Reference=reference,
        TrnValue=-value,
        TrnYear=today.year,
        TrnMonth=today.month,
    )
    balance = amount_of(found, "InvoiceBal1") - value
    cleared = {} if balance else {"YearInvBalZero": today.year, "MonthInvBalZero": today.month}
    company.table("ArInvoice").update(found, InvoiceBal1=balance, **cleared)
    company.effect("ArInvoice", "paid", number, reference, value=str(value))
    return found


def booked(company: Company, order: Row) -> Figures:
    """What the whole order comes to at today's rates: what is invoiced and what is still open, without lines closed short."""
    invoiced: dict[int, Decimal] = {}
    for detail in company.table("ArTrnDetail").by("SalesOrder", order["SalesOrder"]):
        line_number = integer_of(detail, "SalesOrderLine")
        invoiced[line_number] = invoiced.get(line_number, ZERO) + amount_of(detail, "QtyInvoiced")
    shares = []
    for line in company.lines(order):
        line_number = integer_of(line, "SalesOrderLine")
        if line["LineType"] not in MERCHANDISE:
            share = Decimal(line_number in invoiced or line["MCompleteFlag"] != "Y")
        else:
            counted = invoiced.get(line_number, ZERO) + _open(line)
            share = counted / amount_of(line, "MOrderQty") if amount_of(line, "MOrderQty") else Decimal(1)
        if share:
            shares.append((line, share))
    return calculation.calculate(company, order, shares, company.today())


def _open(line: Row) -> Decimal:
    return amount_of(line, "MShipQty") + amount_of(line, "MBackOrderQty") + amount_of(line, "MQtyDispatched")


def _share(line: Row, quantity: Decimal) -> Decimal:
    ordered = amount_of(line, "MOrderQty") if line["LineType"] in MERCHANDISE else ZERO
    return quantity / ordered if ordered else Decimal(1)


def _add_invoice(company: Company, order: Row, number: str, figures: Figures, day: date, delivery_note: str) -> Row:
    total = figures.net + figures.tax
    return company.table("ArInvoice").insert(
        Customer=order["Customer"],
        Invoice=number,
        DocumentType="I",
        InvoiceDate=day,
        CurrencyValue=total,
        InvoiceBal1=total,
        TaxPortion=figures.tax,
        TermsCode=order["InvTermsOverride"],
        Branch=order["Branch"],
        SalesOrder=order["SalesOrder"],
        CustomerPoNumber=order["CustomerPoNumber"],
        LastDelNote=delivery_note,
        PostCurrency=order["Currency"],
        ConvRate=order["ExchangeRate"],
        Register=company.next_number("register"),
    )


def _add_details(company: Company, created: Row, figures: Figures, quantities: Mapping[int, Decimal]) -> None:
    day = created["InvoiceDate"]
    period = {"TrnYear": day.year, "TrnMonth": day.month} if isinstance(day, date) else {}
    for number, part in enumerate(figures.lines, start=1):
        is_merchandise = part.line["LineType"] in MERCHANDISE
        company.table("ArTrnDetail").insert(
            **period,
            Register=created["Register"],
            Invoice=created["Invoice"],
            DetailLine=number,
            Customer=created["Customer"],
            SalesOrder=created["SalesOrder"],
            SalesOrderLine=part.line["SalesOrderLine"],
            LineType=part.line["LineType"],
            StockCode=part.line["MStockCode"],
            Description=part.line["MStockDes" if is_merchandise else "NComment"],
            QtyInvoiced=quantities[integer_of(part.line, "SalesOrderLine")],
            NetSalesValue=part.net,
            TaxCode=part.code,
            TaxStatus=part.status,
            TaxPercent=part.percent,
        )
    for number, total in enumerate(figures.totals, start=1):
        company.table("_InvoiceTax").insert(
            Invoice=created["Invoice"],
            Number=number,
            TaxCode=total.code,
            TaxStatus=total.status,
            TaxPercent=total.percent,
            NetValue=total.net,
            TaxValue=total.tax,
        )


def _status_after(company: Company, order: Row) -> str:
    """8 if ready lines are left (only some were invoiced), 2 with back orders or dispatches, otherwise 9."""
    if ready_lines(company, order):
        return "8"
    is_open = any(
        amount_of(line, name) for line in company.lines(order) for name in ("MBackOrderQty", "MQtyDispatched")
    )
    return "2" if is_open else "9"


def _ship(company: Company, line: Row, created: Row) -> None:
    shipped, day = amount_of(line, "MStockQtyToShp"), created["InvoiceDate"]
    booking.reserve(company, line, -1)
    is_open = amount_of(line, "MBackOrderQty") or amount_of(line, "MQtyDispatched")
    company.table("SorDetail").update(line, MShipQty=ZERO, MStockQtyToShp=ZERO, MCompleteFlag="" if is_open else "Y")
    booking.reserve(company, line, 1)
    code, place = text_of(line, "MStockCode"), text_of(line, "MWarehouse")
    if line["LineType"] != "1" or company.table("InvWarehouse").get(code, place) is None:
        return
    more: Row = {"SalesOrder": line["SalesOrder"], "Invoice": created["Invoice"], "Customer": created["Customer"]}
    on = day if isinstance(day, date) else None
    move(company, Movement(code, place, -shipped, "S", text_of(created, "CustomerPoNumber"), on, more=more))
