"""What SYSPRO has booked of a sales order: its lines' tax codes, and its invoices with their lines. Read only.

Four or five COMFND read many orders, where SORQRY would take a call for each. Facts: syspro-objects.md sections 6.3 and 10;
the columns of ArTrnDetail are those that SQL against live databases names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import fields

from syncengine import clock
from syncengine.connectors.base import Page, Position, Ref
from syncengine.connectors.declared import whole_number
from syncengine.connectors.syspro import order_numbers
from syncengine.connectors.syspro.elements import DATE, Section, code, number, text
from syncengine.connectors.syspro.find import After, page_after, rows_where, uncut_rows_where
from syncengine.connectors.syspro.order_options import OrderOptions
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings, SettingsReader
from syncengine.connectors.syspro.values import day_of, decimal_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

_AMOUNT = number(14, 2)
ORDER: Section = {
    "SalesOrder": code(20),
    "CustomerPoNumber": text(30),
    "Customer": code(15),
    "Currency": code(3),
    "OrderStatus": code(1),
    "CustomerTaxStatus": code(1),
    "InvoicedTax": _AMOUNT,
}
LINE: Section = {
    "SalesOrderLine": code(4), "LineType": code(1), "StockCode": code(30), "OrderQty": number(12, 6),
    "Price": number(15, 5), "Value": _AMOUNT, "TaxCode": code(3),
}  # fmt: skip
INVOICE: Section = {
    "Invoice": code(20), "InvoiceDate": DATE, "Net": _AMOUNT, "Tax": _AMOUNT, "Total": _AMOUNT, "TaxBooked": _AMOUNT,
}  # fmt: skip
INVOICE_LINE: Section = {"Invoice": code(20), **LINE, "Quantity": number(18, 6), "Net": _AMOUNT}
INVOICE_CODE: Section = {"Invoice": code(20), "TaxCode": code(3), "Net": _AMOUNT}

_MASTER = ("SalesOrder", "CustomerPoNumber", "Customer", "Currency", "OrderStatus")
_DETAIL = (
    "SalesOrder",
    "SalesOrderLine",
    "LineType",
    "MStockCode",
    "MOrderQty",
    "MPrice",
    "MTaxCode",
    "NMscChargeValue",
    "NMscTaxCode",
)
_CUSTOMER = ("Customer", "TaxStatus")
_INVOICE = ("SalesOrder", "Invoice", "DocumentType", "InvoiceDate", "CurrencyValue", "TaxPortion")
_INVOICE_LINE = ("SalesOrder", "Invoice", "SalesOrderLine", "QtyInvoiced", "NetSalesValue")
_CHARGES = ("4", "5")
_COMMENT = "6"
_CREDIT = "C"
ROUND_NUMBER = 100
"""A site's own limit of rows would be a multiple of it, so a page of as many rows may have been cut (see `Find`)."""


@dataclass(frozen=True, slots=True)
class InvoiceOptions:
    """How invoices are read. days_back: how late an invoice may be dated back. per_page: rows that one call returns."""

    days_back: int
    per_page: int


def _list_of(name: str, section: Section) -> fields.Field[Any]:
    return fields.List(fields.Nested(schema_of(name, section)))


class BookedOrder(SysproSource):
    """The key is the sales order's number.

    `Line` has the lines with a tax code, by SYSPRO's line number; `Invoice` the invoices by theirs, with amounts in the order's
    currency; `InvoiceLine` their lines; `InvoiceCode` their net by tax code. `TaxBooked` is `Tax` once more, so that a flow can
    compare it with two figures. `InvoicedTax` is the tax of all invoices.
    """

    name = "syspro.booked_order"
    schema = schema_of(
        "BookedOrder",
        ORDER,
        Line=_list_of("BookedLine", LINE),
        Invoice=_list_of("BookedInvoice", INVOICE),
        InvoiceLine=_list_of("BookedInvoiceLine", INVOICE_LINE),
        InvoiceCode=_list_of("BookedInvoiceCode", INVOICE_CODE),
    )
    feeds: ClassVar[tuple[str, ...]] = ("invoiced",)
    events: ClassVar[tuple[str, ...]] = ("sales_order",)
    table = "SorMaster"
    key_field = "SalesOrder"
    settings = (
        whole_number("invoice_days_back", 3, "days by which an invoice may be dated back"),
        whole_number("invoices_per_page", 500, "invoices that one COMFND returns", least=1),
    )
    required_fields = ("SalesOrder",)
    field_notes: ClassVar[Mapping[str, str]] = {
        "CustomerTaxStatus": "of the order's customer: E exempt, N taxable, O by the item",
        "InvoicedTax": "the tax of all invoices",
        "Line": "the lines that have a tax code, by SYSPRO's number",
        "Line.Value": "of a charge",
        "Invoice": "invoices, without credit notes, by number; in the order's currency",
        "Invoice.TaxBooked": "the tax once more, to compare it with a second figure",
        "InvoiceLine": "the lines of all invoices",
        "InvoiceCode": "the net of each invoice by tax code",
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self._invoices: InvoiceOptions = settings.options[self.name]
        self._orders: OrderOptions = settings.options[SalesOrder.name]

    @classmethod
    def options(cls, given: SettingsReader) -> InvoiceOptions:
        """`invoice_days_back`, 3 by default, and `invoices_per_page`, 500 by default."""
        return InvoiceOptions(given.whole_number("invoice_days_back"), given.whole_number("invoices_per_page"))

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Orders by number, as SYSPRO shows it.

        A COMFND on each of SorMaster, ArCustomer, SorDetail and ArInvoice, and on ArTrnDetail if there are invoices;
        more only where a reply may have been cut.
        """
        stored = {self._stored(key): key for key in keys}
        orders = rows_where(
            self._gateway, "SorMaster", "SalesOrder", list(stored), list(_MASTER), at_once=self._settings.find_at_once
        )
        found = {self._stored(text_of(row, "SalesOrder")): row for row in orders}
        if not found:
            return {}
        statuses = self._customer_statuses(found.values())
        lines = self._by_order("SorDetail", found, _DETAIL)
        invoices = self._by_order("ArInvoice", found, _INVOICE)
        details = self._by_order("ArTrnDetail", invoices, _INVOICE_LINE) if invoices else {}
        return {
            stored[order]: {
                **_document(row, lines.get(order, ()), invoices.get(order, ()), details.get(order, ())),
                "CustomerTaxStatus": statuses.get(text_of(row, "Customer"), ""),
            }
            for order, row in found.items()
            if order in stored
        }

    def key_of(self, doc: Doc) -> str:
        """The order's number."""
        return self._shown(text_of(doc, "SalesOrder"))

    def version(self, doc: Doc) -> str:
        """Date and number of the latest invoice; empty without one."""
        last = max(
            ((text_of(each, "InvoiceDate"), text_of(each, "Invoice")) for each in doc.get("Invoice", ())), default=None
        )
        return "/".join(last) if last else ""

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Orders with new invoices, by the invoices' dates, which have no time: the last days are read again."""
        if feed not in self.feeds:
            raise LookupError(f"{self.name} has no feed {feed!r}")
        read_to = day_of(str(position["on"])) if position else None
        start = read_to or (since.date() if since is not None else date(1900, 1, 1))
        after = After("InvoiceDate", str(start - timedelta(days=self._invoices.days_back if read_to else 0)), "Invoice")
        latest = start
        while True:
            rows = page_after(self._gateway, "ArInvoice", after, _INVOICE, most=self._invoices.per_page)
            days = [day for row in rows if (day := day_of(text_of(row, "InvoiceDate"))) is not None]
            latest = max([latest, *days])
            yield Page(self._refs(rows), {"on": latest.isoformat()}, clock.now())
            if not days or (len(rows) < self._invoices.per_page and len(rows) % ROUND_NUMBER):
                return
            after = After("InvoiceDate", days[-1].isoformat(), "Invoice", text_of(rows[-1], "Invoice"))

    def _refs(self, rows: Sequence[Doc]) -> list[Ref]:
        latest: dict[str, str] = {}
        for row in rows:
            if order := text_of(row, "SalesOrder"):
                version = f"{_day(row)}/{text_of(row, 'Invoice')}"
                latest[order] = max(version, latest.get(order, ""))
        return [Ref(self._shown(order), version) for order, version in latest.items()]

    def _customer_statuses(self, orders: Iterable[Doc]) -> dict[str, str]:
        """Tax statuses of the customers of these orders; an order itself does not show its status."""
        codes = sorted({text_of(order, "Customer") for order in orders})
        rows = rows_where(
            self._gateway, "ArCustomer", "Customer", codes, list(_CUSTOMER), at_once=self._settings.find_at_once
        )
        return {text_of(row, "Customer"): text_of(row, "TaxStatus") for row in rows}

    def _by_order(self, table: str, orders: Mapping[str, object], columns: Sequence[str]) -> dict[str, list[Doc]]:
        found: dict[str, list[Doc]] = defaultdict(list)
        rows = uncut_rows_where(
            self._gateway, table, "SalesOrder", list(orders), list(columns), at_once=self._settings.find_at_once
        )
        for row in rows:
            found[self._stored(text_of(row, "SalesOrder"))].append(row)
        return dict(found)

    def _stored(self, order: str) -> str:
        return order_numbers.stored(order, is_numeric=self._orders.has_numeric_keys)

    def _shown(self, order: str) -> str:
        return order_numbers.shown(order, is_numeric=self._orders.has_numeric_keys)


def _document(order: Doc, lines: Sequence[Doc], invoices: Sequence[Doc], details: Sequence[Doc]) -> Doc:
    booked = [_line(line) for line in lines if text_of(line, "LineType") != _COMMENT]
    by_number = {line["SalesOrderLine"]: line for line in booked}
    invoiced = [_invoice(row) for row in invoices if text_of(row, "DocumentType") != _CREDIT]
    numbers = {invoice["Invoice"] for invoice in invoiced}
    on_invoices = [_invoice_line(row, by_number) for row in details if text_of(row, "Invoice") in numbers]
    return {
        **{name: text_of(order, name) for name in _MASTER},
        "InvoicedTax": str(sum((Decimal(invoice["Tax"]) for invoice in invoiced), Decimal(0))),
        "Line": booked,
        "Invoice": invoiced,
        "InvoiceLine": on_invoices,
        "InvoiceCode": _by_code(on_invoices),
    }


def _line(line: Doc) -> Doc:
    number_, is_charge = text_of(line, "SalesOrderLine"), text_of(line, "LineType") in _CHARGES
    return {
        LINE_NUMBER: number_,
        "SalesOrderLine": number_,
        "LineType": text_of(line, "LineType"),
        "StockCode": "" if is_charge else text_of(line, "MStockCode"),
        "OrderQty": str(_amount(line, "MOrderQty")),
        "Price": str(_amount(line, "MPrice")),
        "Value": str(_amount(line, "NMscChargeValue")),
        "TaxCode": text_of(line, "NMscTaxCode" if is_charge else "MTaxCode"),
    }


def _invoice(row: Doc) -> Doc:
    number_, total, tax = text_of(row, "Invoice"), _amount(row, "CurrencyValue"), _amount(row, "TaxPortion")
    return {
        LINE_NUMBER: number_, "Invoice": number_, "InvoiceDate": _day(row), "Total": str(total), "Tax": str(tax),
        "TaxBooked": str(tax), "Net": str(total - tax),
    }  # fmt: skip


def _invoice_line(row: Doc, lines: Mapping[str, Doc]) -> Doc:
    number_ = text_of(row, "SalesOrderLine")
    return {
        **lines.get(number_, {"SalesOrderLine": number_, "TaxCode": ""}),
        LINE_NUMBER: f"{text_of(row, 'Invoice')}/{number_}",
        "Invoice": text_of(row, "Invoice"),
        "Quantity": str(_amount(row, "QtyInvoiced")),
        "Net": str(_amount(row, "NetSalesValue")),
    }


def _by_code(lines: Sequence[Doc]) -> list[Doc]:
    nets: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        nets[line["Invoice"], line["TaxCode"]] += Decimal(line["Net"])
    return [
        {LINE_NUMBER: f"{invoice}/{tax_code}", "Invoice": invoice, "TaxCode": tax_code, "Net": str(net)}
        for (invoice, tax_code), net in nets.items()
    ]


def _amount(row: Doc, column: str) -> Decimal:
    return decimal_of(text_of(row, column)) if text_of(row, column).strip() else Decimal(0)


def _day(row: Doc) -> str:
    day = day_of(text_of(row, "InvoiceDate"))
    return day.isoformat() if day is not None else ""
