"""How far SYSPRO has come with a sales order: status, back orders by line, dispatch notes, invoices. Read only.

Calls for `find_at_once` orders: two COMFND, one on ArInvoice if any of them is invoiced, and for those with dispatches a
COMFND on MdnMaster or a SORQDL each. SorMaster has no column of the last change, so there is no feed: open orders are read
again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from marshmallow import fields

from syncengine.connectors.syspro.dispatch_lists import DispatchOptions, DispatchReader
from syncengine.connectors.syspro.elements import DATE, Section, code, number, text
from syncengine.connectors.syspro.order_balance import MERCHANDISE, amount
from syncengine.connectors.syspro.resources.dispatch_note import DispatchNote
from syncengine.connectors.syspro.resources.order_lines import LINE_NOTES, LINES, ORDER, OrderLines
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.values import day_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

_QUANTITY, _AMOUNT = number(12, 6), number(14, 2)
_TOTALS = ("OrderQty", "ShipQty", "BackOrderQty", "DispatchedQty", "InvoicedQty")
PROGRESS: Section = {
    **ORDER,
    "ShippingInstrs": text(50),
    "DateLastInvPrt": DATE,
    **{f"Total{name}": _QUANTITY for name in _TOTALS},
    "DispatchNotes": text(),
    "Invoices": text(),
    "TrackingNumbers": text(),
}
DISPATCH: Section = {
    "DispatchNote": code(20), "DispatchNoteStatus": code(1), "UserDefined1": text(15), "UserDefined2": text(15),
    "ShippingInstrs": text(50), "ActualDispatchDate": DATE, "Invoice": code(20), "InvoiceCreatedDate": DATE,
}  # fmt: skip
INVOICE: Section = {
    "Invoice": code(20),
    "InvoiceDate": DATE,
    "Total": _AMOUNT,
    "Tax": _AMOUNT,
    "DeliveryNote": text(20),
}
_MORE = ("ShippingInstrs", "DateLastInvPrt")
_INVOICE = ("SalesOrder", "Invoice", "DocumentType", "InvoiceDate", "CurrencyValue", "TaxPortion", "LastDelNote")
_CANCELLED_NOTE, _CREDIT = "*", "C"


class OrderProgress(OrderLines):
    """The key is the sales order's number."""

    name = "syspro.order_progress"
    schema = schema_of(
        "OrderProgress",
        PROGRESS,
        Line=LINES,
        Dispatch=fields.List(fields.Nested(schema_of("OrderDispatch", DISPATCH))),
        Invoice=fields.List(fields.Nested(schema_of("OrderInvoice", INVOICE))),
    )
    field_notes: ClassVar[Mapping[str, str]] = {
        **LINE_NOTES,
        "OrderStatus": "as SYSPRO has it; 2 also after a part was invoiced",
        "TotalBackOrderQty": "of all lines with goods, in their order units; so are the other totals",
        "DispatchNotes": "the numbers of those that are not cancelled, with commas between them",
        "Invoices": "the numbers, with commas between them; credit notes are left out",
        "TrackingNumbers": "UserDefined1 of the dispatch notes, with commas between them",
        "Dispatch.DispatchNoteStatus": "3 created, 5 printed, 7 to invoice, 9 invoiced, S and H held, * cancelled",
        "Invoice.DeliveryNote": "where the site's invoices keep it",
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        options: DispatchOptions = settings.options[DispatchNote.name]
        self._dispatches = DispatchReader(self._reader, options)

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Orders with lines, dispatch notes and invoices by number; for the calls see the module."""
        orders = self._reader.read(keys, _MORE)
        invoiced = [key for key, order in orders.items() if text_of(order, "LastInvoice")]
        dispatched = [key for key, order in orders.items() if amount(order, "NumDispatches")]
        invoices = self._invoices(invoiced)
        notes = self._dispatches.of_orders(dispatched) if dispatched else {}
        return {key: _document(order, notes.get(key, []), invoices.get(key, [])) for key, order in orders.items()}

    def is_closed(self, doc: Doc) -> bool:
        """Once it is cancelled, or complete with all its dispatch notes invoiced."""
        is_live = any(each["DispatchNoteStatus"] not in ("9", _CANCELLED_NOTE) for each in doc.get("Dispatch") or ())
        return super().is_closed(doc) and not is_live

    def _invoices(self, orders: Sequence[str]) -> dict[str, list[Doc]]:
        found: dict[str, list[Doc]] = defaultdict(list)
        stored = [self._reader.stored(order) for order in orders]
        for row in self._reader.rows("ArInvoice", "SalesOrder", stored, _INVOICE) if stored else ():
            if text_of(row, "DocumentType") != _CREDIT:
                found[self._reader.shown(text_of(row, "SalesOrder"))].append(_invoice(row))
        return {order: sorted(rows, key=lambda row: row[LINE_NUMBER]) for order, rows in found.items()}


def _document(order: Doc, notes: Sequence[Doc], invoices: Sequence[Doc]) -> Doc:
    goods = [line for line in order["Line"] if line["LineType"] in MERCHANDISE]
    totals = {f"Total{name}": str(sum((Decimal(line[name]) for line in goods), Decimal(0))) for name in _TOTALS}
    live = [note for note in notes if note["DispatchNoteStatus"] != _CANCELLED_NOTE]
    return {
        **order,
        **totals,
        "DispatchNotes": ", ".join(note["DispatchNote"] for note in live),
        "Invoices": ", ".join(invoice["Invoice"] for invoice in invoices),
        "TrackingNumbers": ", ".join(dict.fromkeys(note["UserDefined1"] for note in live if note["UserDefined1"])),
        "Dispatch": [{LINE_NUMBER: note["DispatchNote"], **{name: note[name] for name in DISPATCH}} for note in notes],
        "Invoice": list(invoices),
    }


def _invoice(row: Doc) -> Doc:
    day = day_of(text_of(row, "InvoiceDate"))
    return {
        LINE_NUMBER: text_of(row, "Invoice"),
        "Invoice": text_of(row, "Invoice"),
        "InvoiceDate": day.isoformat() if day is not None else "",
        "Total": str(amount(row, "CurrencyValue")),
        "Tax": str(amount(row, "TaxPortion")),
        "DeliveryNote": text_of(row, "LastDelNote"),
    }
