"""The part of the control API that ships, invoices and pays, and that shows SYSPRO's own tax.

GET  tax/rates                      tax codes with their dated percentages
POST tax/rates                      {code, percent, from?, description?}: a new code, or a new rate of a known one
GET  tax/orders[?order=]            each order's net, tax, total, totals by code and lines, as booked now
GET  tax/invoices                   each invoice's net, tax, total, totals by code and lines
POST day                            {orders?: [numbers], every_in_part?: n, dispatches?: true}: people ship and invoice all
                                    open orders, or these; every n-th is shipped in part, and to its end the next time; or
                                    they make dispatch notes
POST orders/<number>/invoice        {lines?: {line number: quantity}}: ship and invoice these quantities, or all
POST invoices/<number>/pay          {value?, reference?}: the customer pays, all of the balance if no value is given
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from syncengine.sandbox.syspro import booking, day, invoicing
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.tax.calculation import MERCHANDISE, CodeTotal, LineTax

Json = dict[str, object]


def read(company: Company, parts: list[str], order: str) -> object | None:
    """The answer to a GET; None for another path."""
    match parts:
        case ["tax", "rates"]:
            return company.tax_rates.described()
        case ["tax", "orders"]:
            return [_order(company, row) for row in _chosen(company, [order] if order else None)]
        case ["tax", "invoices"]:
            return [_invoice(company, row) for row in company.table("ArInvoice").rows()]
    return None


def act(company: Company, parts: list[str], body: dict[str, Any]) -> object | None:
    """Do what a POST asks for; None for another path. A bad value raises ValueError or KeyError."""
    match parts:
        case ["tax", "rates"]:
            since = date.fromisoformat(body["from"]) if body.get("from") else date.min
            company.tax_rates.add(
                str(body["code"]), Decimal(str(body["percent"])), since, str(body.get("description", ""))
            )
            return company.tax_rates.described()
        case ["day"]:
            in_part, dispatches = int(body.get("every_in_part", 0)), bool(body.get("dispatches", False))
            done = day.work(company, _chosen(company, body.get("orders")), in_part, dispatches=dispatches)
            invoices = [_invoice(company, row) for row in done.invoices]
            return {"invoices": invoices, "notes": done.notes, "in_part": done.in_part}
        case ["orders", number, "invoice"]:
            return _invoice_order(company, number, body)
        case ["invoices", number, "pay"]:
            return _pay(company, number, body)
    return None


def _chosen(company: Company, numbers: list[str] | None) -> list[Row]:
    if numbers is None:
        return company.table("SorMaster").rows()
    return [_order_row(company, str(number)) for number in numbers]


def _order_row(company: Company, number: str) -> Row:
    order = company.order(number)
    if order is None:
        raise KeyError(f"no sales order {number}")
    return order


def _invoice_order(company: Company, number: str, body: dict[str, Any]) -> Json:
    order = _order_row(company, number)
    if "lines" not in body:
        done = day.work(company, [order])
        if not done.invoices:
            raise ValueError(f"sales order {number} in status {order['OrderStatus']} cannot be invoiced")
        return _invoice(company, done.invoices[0])
    quantities = {int(line): Decimal(str(quantity)) for line, quantity in body["lines"].items()}
    return _invoice(company, day.ship(company, order, quantities))


def _pay(company: Company, number: str, body: dict[str, Any]) -> Row:
    found = next(iter(company.table("ArInvoice").by("Invoice", number)), None)
    if found is None:
        raise KeyError(f"no invoice {number}")
    value = Decimal(str(body["value"])) if "value" in body else amount_of(found, "InvoiceBal1")
    return invoicing.pay(company, text_of(found, "Customer"), number, value, str(body.get("reference", "")))


def _order(company: Company, order: Row) -> Json:
    figures = invoicing.booked(company, order)
    return {
        "po": order["CustomerPoNumber"],
        "number": company.shown(text_of(order, "SalesOrder")),
        "status": order["OrderStatus"],
        "cancelled": booking.is_cancelled(order),
        "currency": order["Currency"],
        "tax_status": order["TaxStatus"],
        **_amounts(figures.net, figures.tax),
        "codes": [_code(total) for total in figures.totals],
        "lines": [_line(part) for part in figures.lines],
    }


def _invoice(company: Company, invoice: Row) -> Json:
    number, tax = text_of(invoice, "Invoice"), amount_of(invoice, "TaxPortion")
    totals = company.table("_InvoiceTax").by("Invoice", number)
    return {
        "po": invoice["CustomerPoNumber"],
        "number": number,
        "order": company.shown(text_of(invoice, "SalesOrder")),
        "currency": invoice["PostCurrency"],
        "date": invoice["InvoiceDate"],
        **_amounts(amount_of(invoice, "CurrencyValue") - tax, tax),
        "codes": [
            _code(
                CodeTotal(
                    text_of(row, "TaxCode"),
                    text_of(row, "TaxStatus"),
                    amount_of(row, "TaxPercent"),
                    amount_of(row, "NetValue"),
                    amount_of(row, "TaxValue"),
                )
            )
            for row in totals
        ],
        "lines": [_detail(row) for row in company.table("ArTrnDetail").by("Invoice", number)],
    }


def _amounts(net: Decimal, tax: Decimal) -> Json:
    return {"net": net, "tax": tax, "total": net + tax}


def _code(total: CodeTotal) -> Json:
    return {
        "code": total.code,
        "status": total.status,
        "percent": total.percent,
        "net": total.net,
        "tax": total.tax,
    }


def _line(part: LineTax) -> Json:
    """A line of an order as `_detail` shows one of an invoice; `quantity` is the whole ordered quantity."""
    is_goods = part.line["LineType"] in MERCHANDISE
    return {
        "line": part.line["SalesOrderLine"],
        "type": part.line["LineType"],
        "stock_code": part.line["MStockCode"],
        "description": part.line["MStockDes" if is_goods else "NComment"],
        "quantity": part.line["MOrderQty"] if is_goods else Decimal(1),
        "net": part.net,
        "code": part.code,
        "status": part.status,
    }


def _detail(row: Row) -> Json:
    return {
        "line": row["SalesOrderLine"],
        "type": row["LineType"],
        "stock_code": row["StockCode"],
        "description": row["Description"],
        "quantity": row["QtyInvoiced"],
        "net": row["NetSalesValue"],
        "code": row["TaxCode"],
        "status": row["TaxStatus"],
    }
