"""Shipments of a site that invoices directly: SORTBO, SORTOS and SORTIC as steps of one write; the result is an invoice.

Facts: syspro-objects.md sections 6.3 and 9. The delivery note's number, which SORTOS gives the order and the invoice keeps, is
the reference by which a shipment is found, and by which an interrupted one continues where it stopped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from marshmallow import fields

from syncengine.connectors import base
from syncengine.connectors.base import NameKind, Operation, Outcome, Result, Safety, Verb
from syncengine.connectors.declared import DeclaredSetting, choice, flag
from syncengine.connectors.syspro import direct_steps
from syncengine.connectors.syspro.business import BusinessCall, BusinessObject
from syncengine.connectors.syspro.direct_steps import IN_WAREHOUSE, OrderState, Shipment, Step
from syncengine.connectors.syspro.documents import STORED_WIDTH, Filler, canonical_section, marked, replacements
from syncengine.connectors.syspro.elements import DATE, Section, code, lengths, number, text
from syncengine.connectors.syspro.order_balance import MERCHANDISE, OrderReader, amount
from syncengine.connectors.syspro.order_options import OrderOptions
from syncengine.connectors.syspro.post_replies import posted
from syncengine.connectors.syspro.replies import Said
from syncengine.connectors.syspro.resources.order_lines import LINES
from syncengine.connectors.syspro.resources.outcomes import refusal, sent
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.resources.shipped_lines import open_lines, shipped_quantities
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings, SettingsReader
from syncengine.connectors.syspro.shipping_calls import SORTBO, SORTIC, SORTOS
from syncengine.connectors.syspro.values import day_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc
from syncengine.errors import Rejected, SyncError

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

HEADER: Section = {
    "SalesOrder": code(20),
    "DeliveryNoteNumber": text(20),
    "DateDeliveryNotePrinted": DATE,
    "InvoiceDate": DATE,
}
LINE: Section = {"SalesOrderLine": code(4), "DispatchQty": number(12, 6)}
BELIEVED: Section = {"OrderStatus": code(1), "DeliveryNote": text(20)}
READ_ONLY: Section = {"Invoice": code(20), "Total": number(14, 2), "Tax": number(14, 2)}
_INVOICE = ("SalesOrder", "Invoice", "DocumentType", "InvoiceDate", "CurrencyValue", "TaxPortion", "LastDelNote")
_INVOICED = ("Invoice", "SalesOrderLine", "QtyInvoiced", "LineType")
_CREDIT = "C"


@dataclass(frozen=True, slots=True)
class DirectOptions:
    """What a site decides about direct invoicing. marks_with: the status with which SORTOS takes a delivery note's number.
    keeps_mark: invoices show it."""

    marks_with: str
    keeps_mark: bool


class DirectShipment(SysproSource, base.Resource):
    """The key is the invoice's number. The natural key is the delivery note's number, behind the order's and a slash."""

    name: ClassVar[str] = "syspro.direct_shipment"
    schema = schema_of(
        "DirectShipment",
        {**HEADER, **BELIEVED, **READ_ONLY},
        MerchandiseLine=fields.List(fields.Nested(schema_of("DirectShipmentLine", LINE))),
        Line=LINES,
    )
    searchable = {
        "Invoice": NameKind.REFERENCE,
        "DeliveryNoteNumber": NameKind.REFERENCE,
        "SalesOrder": NameKind.REFERENCE,
    }
    uses: ClassVar[tuple[BusinessObject, ...]] = (SORTBO, SORTOS, SORTIC)
    settings: ClassVar[tuple[DeclaredSetting, ...]] = (
        choice(
            "delivery_note_status",
            (IN_WAREHOUSE, "8"),
            IN_WAREHOUSE,
            "direct invoicing: the status with which SORTOS takes a delivery note's number; with 4 the site must allow ship "
            "quantities to be changed in that status",
        ),
        flag(
            "invoices_keep_delivery_note",
            True,
            "direct invoicing: an invoice's LastDelNote is the delivery note's number",
        ),
    )
    misses_changes = True
    safety: ClassVar[Mapping[Verb, Safety]] = {Verb.CREATE: Safety.SEARCH}
    identity: ClassVar[tuple[str, ...]] = ("SalesOrder",)
    line_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {"MerchandiseLine": ("SalesOrderLine", "DispatchQty")}
    required_fields = (
        "SalesOrder",
        "DeliveryNoteNumber",
        "MerchandiseLine.SalesOrderLine",
        "MerchandiseLine.DispatchQty",
    )
    field_notes: ClassVar[Mapping[str, str]] = {
        "DeliveryNoteNumber": "the reference by which the shipment is found again",
        "DateDeliveryNotePrinted": "written only: the day on which it left",
        "InvoiceDate": "the day of the invoice and of the stock movement; today if it is empty",
        "MerchandiseLine.DispatchQty": "in the order unit, above 0",
        "OrderStatus": "written only, with DeliveryNote and Line: the order as `order_lines` read it; else it is read",
        "Total": "read only; with tax",
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self._options: DirectOptions = settings.options[self.name]
        orders: OrderOptions = settings.options[SalesOrder.name]
        self._reader = OrderReader(gateway, settings, orders.has_numeric_keys)
        self.most_per_look = settings.find_at_once
        self.settle_s = settings.settle_s

    @classmethod
    def lengths(cls) -> Mapping[str, str]:
        """Widths of SORTOS's elements; see `Source.lengths`."""
        return lengths(HEADER)

    @classmethod
    def options(cls, given: SettingsReader) -> DirectOptions:
        """See `DirectOptions`. Raises Misconfigured."""
        return DirectOptions(given.choice("delivery_note_status"), given.flag("invoices_keep_delivery_note"))

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Invoices with their goods by number: two COMFND for many."""
        forms = {form: key for key in keys for form in (key, _stored(key))}
        documents = self._documents("Invoice", list(forms))
        return {forms[doc["Invoice"]]: doc for doc in documents if doc["Invoice"] in forms}

    def key_of(self, doc: Doc) -> str:
        """The invoice's number."""
        return text_of(doc, "Invoice")

    def version(self, doc: Doc) -> str:
        """An invoice does not change."""
        return self.key_of(doc)

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """Invoices by order and delivery note: two COMFND for many.

        Where invoices do not keep the note's number, one more: the order's last invoice, if the order still shows the number.
        """
        parts = {key: key.rpartition("/") for key in natural_keys}
        orders = {key: self._reader.shown(order) for key, (order, _, _) in parts.items()}
        stored = list(dict.fromkeys(self._reader.stored(order) for order in orders.values()))
        documents = self._documents("SalesOrder", stored)
        if not self._options.keeps_mark:
            self._mark_last(documents, stored)
        return {
            key: docs
            for key, (_, _, mark) in parts.items()
            if (
                docs := [
                    doc for doc in documents if (doc["SalesOrder"], doc["DeliveryNoteNumber"]) == (orders[key], mark)
                ]
            )
        }

    def canonical(self, doc: Doc) -> Doc:
        """Widths, decimals and case; what is only read is absent."""
        filler = Filler(self._settings)
        head = {name: value for name, value in doc.items() if name in HEADER}
        result = canonical_section(filler, "DirectShipment", HEADER, head)
        if result.get("SalesOrder"):
            result["SalesOrder"] = self._reader.shown(str(result["SalesOrder"]))
        result["MerchandiseLine"] = [
            canonical_section(filler, "MerchandiseLine", LINE, line, shown="MerchandiseLine.")
            for line in doc.get("MerchandiseLine") or ()
        ]
        return marked(result, filler)

    def _documents(self, column: str, values: Sequence[str]) -> list[Doc]:
        rows = self._reader.rows("ArInvoice", column, values, _INVOICE)
        invoices = {text_of(row, "Invoice"): row for row in rows if text_of(row, "DocumentType") != _CREDIT}
        if not invoices:
            return []
        lines: dict[str, list[Doc]] = defaultdict(list)
        for row in self._reader.rows("ArTrnDetail", "Invoice", list(invoices), _INVOICED):
            if text_of(row, "LineType") in ("", *MERCHANDISE):
                lines[text_of(row, "Invoice")].append(_line(row))
        return [self._document(row, lines[invoice]) for invoice, row in sorted(invoices.items())]

    def _document(self, row: Doc, lines: Sequence[Doc]) -> Doc:
        day = day_of(text_of(row, "InvoiceDate"))
        return {
            "Invoice": _shown(text_of(row, "Invoice")),
            "SalesOrder": self._reader.shown(text_of(row, "SalesOrder")),
            "DeliveryNoteNumber": text_of(row, "LastDelNote") if self._options.keeps_mark else "",
            "InvoiceDate": day.isoformat() if day is not None else "",
            "Total": str(amount(row, "CurrencyValue")),
            "Tax": str(amount(row, "TaxPortion")),
            "MerchandiseLine": sorted(lines, key=lambda line: int(line[LINE_NUMBER])),
        }

    def _mark_last(self, documents: Sequence[Doc], orders: Sequence[str]) -> None:
        rows = self._reader.rows(
            "SorMaster", "SalesOrder", orders, ("SalesOrder", "OrderStatus", "DeliveryNote", "LastInvoice")
        )
        marks = {
            _shown(text_of(row, "LastInvoice")): text_of(row, "DeliveryNote")
            for row in rows
            if text_of(row, "OrderStatus") not in (IN_WAREHOUSE, "8")  # else its shipment is not invoiced yet
        }
        for doc in documents:
            doc["DeliveryNoteNumber"] = marks.get(doc["Invoice"], "")

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """One or two SORTBO, SORTOS and SORTIC for each; see `direct_steps`."""
        return [self._written(operation) for operation in operations]

    def _written(self, operation: Operation) -> Outcome:
        try:
            filler = Filler(self._settings)
            head = filler.section("DirectShipment", HEADER, {k: v for k, v in operation.doc.items() if k in HEADER})
            shipment = Shipment(
                str(head.get("DeliveryNoteNumber") or ""),
                str(head.get("DateDeliveryNotePrinted") or ""),
                shipped_quantities(operation.doc),
            )
            if not shipment.mark:
                raise Rejected(
                    field="DeliveryNoteNumber",
                    value="",
                    reason="it is empty, so the shipment could not be found again",
                    remedy="Map the note's id to it",
                )
            warnings = [*filler.warnings, *replacements(operation, filler)]
            return self._shipped(operation, str(head.get("SalesOrder") or ""), shipment, warnings)
        except Rejected as error:
            return Outcome.rejected(error)

    def _shipped(self, operation: Operation, order: str, shipment: Shipment, warnings: list[str]) -> Outcome:
        if believed := _believed(order, operation.doc):
            try:
                outcome = self._run(operation, believed, shipment, warnings)
            except Rejected:
                outcome = None
            if outcome is not None and outcome.result is not Result.REJECTED:
                return outcome
        return self._run(operation, self._read_state(order), shipment, warnings)

    def _read_state(self, order: str) -> OrderState:
        document = self._reader.read([order]).get(order)
        if document is None:
            raise Rejected(
                field="SalesOrder", value=order, reason="it is not in SYSPRO", remedy="Check the link of the order"
            )
        lines = open_lines(document["Line"])
        return OrderState(order, document["OrderStatus"], document["DeliveryNote"], lines, is_fresh=True)

    def _run(self, operation: Operation, state: OrderState, shipment: Shipment, warnings: list[str]) -> Outcome:
        plan = direct_steps.steps(state, shipment, self._options.marks_with)
        outcome = Outcome.done(warnings=warnings)
        for position, (step, items) in enumerate(plan):
            try:
                outcome = self._step(operation, step, items, outcome.warnings)
            except SyncError as error:
                if not position:
                    raise
                return Outcome.retry(error)  # the steps that are done are seen when it is planned again
            if outcome.result is not Result.DONE:
                return outcome
        return outcome

    def _step(self, operation: Operation, step: Step, items: list[Doc], said: Sequence[str]) -> Outcome:
        by = {Step.RELEASE: SORTBO, Step.MARK: SORTOS, Step.INVOICE: SORTIC}[step]
        day = operation.doc.get("InvoiceDate") if step is Step.INVOICE else None
        parameters = self._settings.parameters_of(by, **({"InvoiceDate": str(day)} if day else {}))
        call = BusinessCall(by, "Post", {"Item": items}, parameters, is_write=True)
        reply = sent(lambda: self._gateway.call(call), 1)
        if isinstance(reply, list):
            return reply[0]
        answer = posted(reply, *(("Item", "Key", "InvoiceNumber") if step is Step.INVOICE else ()))
        warnings = [*said, *answer.warnings]
        if answer.said is Said.DONE:
            return Outcome.done(key=_shown(answer.key), warnings=warnings)
        return refusal(answer, self._settings, by, what=f"Shipment {operation.natural_key}", warnings=warnings)


def _believed(order: str, doc: Doc) -> OrderState | None:
    """The order as the document says that it was; None if it does not say so."""
    if doc.get("OrderStatus") is None or not doc.get("Line"):
        return None
    return OrderState(
        order, str(doc["OrderStatus"]), str(doc.get("DeliveryNote") or ""), open_lines(doc["Line"]), is_fresh=False
    )


def _line(row: Doc) -> Doc:
    line = str(int(text_of(row, "SalesOrderLine") or 0))
    return {LINE_NUMBER: line, "SalesOrderLine": line, "DispatchQty": str(amount(row, "QtyInvoiced"))}


def _shown(invoice: str) -> str:
    """An invoice's number as replies show it: tables may store it with leading zeros."""
    return invoice.lstrip("0") if len(invoice) == STORED_WIDTH and invoice.isdecimal() else invoice


def _stored(invoice: str) -> str:
    return invoice.zfill(STORED_WIDTH) if invoice.isdecimal() else invoice
