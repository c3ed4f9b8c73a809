"""SYSPRO dispatch notes: made by SORTBO and SORTDN, released by SORTDS, cancelled by SORTDC, read by SORQDN or COMFND.

Facts: syspro-objects.md section 9. No key of a note is ours: UserDefined2 holds the reference by which it is found. SORTBO
first moves what a note needs and the line has on back order to its ship quantity, so that the note dispatches ship quantity
alone, and every quantity is sent: a blank or zero one would dispatch all. Both are steps of one write. One that stopped between
them is made again: what is on ship quantity by then needs no SORTBO, and a note that exists is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import fields

from syncengine import clock
from syncengine.connectors import base
from syncengine.connectors.base import NameKind, Operation, Outcome, Page, Position, Ref, Safety, Verb
from syncengine.connectors.syspro import dispatch_lists
from syncengine.connectors.syspro.back_order_items import OpenLine, released
from syncengine.connectors.syspro.business import BusinessCall, BusinessObject
from syncengine.connectors.syspro.dispatch_lists import DispatchOptions, DispatchReader
from syncengine.connectors.syspro.documents import Filler, canonical_section, marked, replacements
from syncengine.connectors.syspro.elements import ADDRESS, DATE, Section, code, flag, lengths, number, text
from syncengine.connectors.syspro.find import After, Condition, page_after
from syncengine.connectors.syspro.order_balance import OrderReader, amount
from syncengine.connectors.syspro.order_options import OrderOptions
from syncengine.connectors.syspro.post_replies import posted
from syncengine.connectors.syspro.replies import Said
from syncengine.connectors.syspro.resources.outcomes import refusal, sent
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.resources.shipped_lines import line_number, open_line, open_lines, shipped_quantities
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings, SettingsReader
from syncengine.connectors.syspro.shipping_calls import SORTBO, SORTDC, SORTDN, SORTDS
from syncengine.connectors.syspro.values import day_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc
from syncengine.errors import Rejected, SyncError

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

_QUANTITY = number(12, 6)
HEADER: Section = {
    "SalesOrder": code(20),
    "ShippingInstrs": text(50),
    "ShippingInstrsCode": code(6),
    "CustomerName": text(50),
    **{f"ShipAddress{place}": ADDRESS for place in "12345"},
    "ShipPostalCode": text(10),
    "MultiShipCode": code(5),
    "SpecialInstrs": text(30),
    "PlannedDispatchDate": DATE,
    "UserDefined1": text(15),
    "UserDefined2": text(15),
    "DispatchNoteNumber": code(20),
    "DispatchComments": text(60, repeats=4),
    "DispatchStatusPrinted": flag(),
    "ActualDispatchDate": DATE,
}
SENT_LINE: Section = {
    "SalesOrderLine": code(4),
    "DispatchQty": _QUANTITY,
    "OverOrUnderDispatch": flag("N", "O", "U"),
    "Lot": text(50),
}
LINE: Section = {
    **SENT_LINE,
    "StockCode": code(30),
    "Warehouse": code(10),
    "StockingQty": _QUANTITY,
    "ShipQty": _QUANTITY,
    "BackOrderQty": _QUANTITY,
    "UnitFactor": _QUANTITY,
}
READ_ONLY: Section = {
    "DispatchNote": code(20), "DispatchNoteStatus": code(1), "Customer": code(15), "CustomerPoNumber": text(30),
    "Invoice": code(20), "InvoiceCreatedDate": DATE,
}  # fmt: skip
_CANCELLED, _INVOICED = "*", ("8", "9")
_EVER = date(1900, 1, 1)
_MOVEMENT = ("EntryDate", "DispatchNote", "TrnQty")
_OF_DISPATCHES = (Condition("MovementType", "EQ", "S"), Condition("DispatchNote", "NE", ""))
_ZERO = Decimal(0)


@dataclass(slots=True)
class _Wanted:
    """A note to be made: its document, and what of each line is dispatched."""

    operation: Operation
    order: str
    document: Doc
    quantities: dict[str, Decimal]
    warnings: list[str]


class DispatchNote(SysproSource, base.Resource):
    """The key is the note's number. The natural key is UserDefined2, behind the order's number and a slash: `001001/7001`."""

    name: ClassVar[str] = "syspro.dispatch_note"
    schema = schema_of(
        "DispatchNote",
        {**HEADER, **READ_ONLY},
        MerchandiseLine=fields.List(
            fields.Nested(schema_of("DispatchLine", LINE, Serials=fields.List(fields.String())))
        ),
    )
    searchable = {
        "DispatchNote": NameKind.REFERENCE,
        "UserDefined2": NameKind.REFERENCE,
        "UserDefined1": NameKind.REFERENCE,
        "SalesOrder": NameKind.REFERENCE,
        "Invoice": NameKind.REFERENCE,
    }
    feeds: ClassVar[tuple[str, ...]] = ("dispatched",)
    events: ClassVar[tuple[str, ...]] = ("dispatch_note",)
    uses: ClassVar[tuple[BusinessObject, ...]] = (SORTDN, SORTBO, SORTDS, SORTDC)
    settings = dispatch_lists.SETTINGS
    misses_changes = True  # its status and its invoice
    safety: ClassVar[Mapping[Verb, Safety]] = {
        Verb.CREATE: Safety.SEARCH,
        Verb.CHANGE: Safety.ABSOLUTE,
        Verb.CANCEL: Safety.ABSOLUTE,
    }
    identity: ClassVar[tuple[str, ...]] = ("SalesOrder", "UserDefined2")
    line_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "MerchandiseLine": ("StockCode", "Warehouse", "DispatchQty")
    }
    required_fields = ("SalesOrder", "UserDefined2", "MerchandiseLine.SalesOrderLine", "MerchandiseLine.DispatchQty")
    field_notes: ClassVar[Mapping[str, str]] = {
        "DispatchNote": "the note's number",
        "DispatchNoteStatus": "3 created, 5 printed, 7 to invoice, 9 invoiced, S and H held, * cancelled; a change releases it",
        "UserDefined1": "15 characters: a tracking number may be longer",
        "UserDefined2": "the reference by which the note is found again",
        "DispatchStatusPrinted": "Y: the note can be invoiced, or released; N: it is still to be printed",
        "MerchandiseLine.DispatchQty": "in the order unit, above 0: SYSPRO takes 0 for all",
        "MerchandiseLine.SalesOrderLine": "absent where the note was read by SORQDN, which does not give it",
        "MerchandiseLine.StockingQty": "read only: in the stocking unit",
        "MerchandiseLine.ShipQty": "written only: what the line has to ship, as read before; else it is read",
        "MerchandiseLine.BackOrderQty": "written only: what it has on back order, as read before",
        "MerchandiseLine.UnitFactor": "written only: stocking units in one order unit",
        "MerchandiseLine.Serials": "serial numbers, one for each unit",
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self._options: DispatchOptions = settings.options[self.name]
        orders: OrderOptions = settings.options[SalesOrder.name]
        self._orders = OrderReader(gateway, settings, orders.has_numeric_keys)
        self._reader = DispatchReader(self._orders, self._options)
        self.most_per_read = settings.most_per_read if self._options.by_tables else 1
        self.most_per_look = settings.find_at_once
        self.settle_s = settings.settle_s

    @classmethod
    def lengths(cls) -> Mapping[str, str]:
        """Widths of SORTDN's elements; see `Source.lengths`."""
        return {**lengths(HEADER), **lengths(SENT_LINE, "MerchandiseLine.")}

    @classmethod
    def options(cls, given: SettingsReader) -> DispatchOptions:
        """See `DispatchOptions`."""
        return DispatchOptions.of(given)

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole notes by number; see `DispatchReader.read`."""
        return self._reader.read(keys)

    def of_orders(self, numbers: Sequence[str]) -> dict[str, list[Doc]]:
        """The heads of the notes of some orders, by order; see `DispatchReader.of_orders`."""
        return self._reader.of_orders(numbers)

    def key_of(self, doc: Doc) -> str:
        """The note's number."""
        return text_of(doc, "DispatchNote")

    def version(self, doc: Doc) -> str:
        """What is dispatched, in stocking units, as the feed counts it; a status or an invoice does not change it."""
        return _version(sum((amount(line, "StockingQty") for line in doc.get("MerchandiseLine") or ()), _ZERO))

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Notes by the days on which their goods left or came back: InvMovements, which has no time, so that the last days are
        read again. It needs a site whose dispatch relieves stock. One COMFND for each page of movements of sales."""
        if feed not in self.feeds:
            raise LookupError(f"{self.name} has no feed {feed!r}")
        read_to = day_of(str(position["on"])) if position else None
        start = read_to or (since.date() if since is not None else _EVER)
        begin = start - timedelta(days=self._options.days_back if read_to else 0)
        after, latest, most = After("EntryDate", begin.isoformat(), "DispatchNote"), start, self._options.per_page
        totals: dict[str, Decimal] = defaultdict(Decimal)
        while True:
            now = clock.now()
            rows = page_after(self._gateway, "InvMovements", after, _MOVEMENT, most=most, also=_OF_DISPATCHES)
            is_last = len(rows) < most
            whole = rows if is_last else [row for row in rows if _group(row) != _group(rows[-1])]
            if rows and not whole:
                most *= 2  # a note with more movements of a day than a page holds
                continue
            for row in whole:
                totals[text_of(row, "DispatchNote")] -= amount(row, "TrnQty")
            days = [day for row in whole if (day := day_of(text_of(row, "EntryDate"))) is not None]
            latest = min(max([latest, *days]), max(now.date(), start))  # a wrong year must not stop the feed
            notes = dict.fromkeys(text_of(row, "DispatchNote") for row in whole)
            yield Page([Ref(note, _version(totals[note])) for note in notes], {"on": latest.isoformat()}, now)
            if is_last or not days:
                return
            after = After("EntryDate", days[-1].isoformat(), "DispatchNote", text_of(whole[-1], "DispatchNote"))

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """Notes by reference, cancelled ones included; see `DispatchReader.by_reference` for the calls."""
        parts = {key: key.rpartition("/") for key in natural_keys}
        wanted = {key: (self._orders.shown(order), reference) for key, (order, _, reference) in parts.items()}
        found = self._reader.by_reference(list(wanted.values()))
        return {
            key: docs
            for key, one in wanted.items()
            if (docs := [doc for doc in found if (doc["SalesOrder"], doc["UserDefined2"]) == one])
        }

    def is_cancelled(self, doc: Doc) -> bool:
        """By its status."""
        return str(doc.get("DispatchNoteStatus") or "") == _CANCELLED

    def is_closed(self, doc: Doc) -> bool:
        """Once it is invoiced or cancelled."""
        return text_of(doc, "DispatchNoteStatus") in (_CANCELLED, *_INVOICED)

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        """An invoiced note is neither changed nor cancelled."""
        status = str(doc.get("DispatchNoteStatus") or "")
        if status in _INVOICED or doc.get("Invoice"):
            return f"it is invoiced in SYSPRO (status {status}, invoice {doc.get('Invoice') or 'not known'})"
        return "it is cancelled in SYSPRO" if self.is_cancelled(doc) and verb is not Verb.CANCEL else None

    def canonical(self, doc: Doc) -> Doc:
        """Widths, decimals, case and characters."""
        filler = Filler(self._settings)
        head = {name: value for name, value in doc.items() if name != "MerchandiseLine"}
        result = canonical_section(filler, "DispatchHeader", HEADER, head)
        if result.get("SalesOrder"):
            result["SalesOrder"] = self._orders.shown(str(result["SalesOrder"]))
        result["MerchandiseLine"] = [
            canonical_section(filler, "MerchandiseLine", LINE, line, shown="MerchandiseLine.")
            for line in doc.get("MerchandiseLine") or ()
        ]
        return marked(result, filler)

    # -- writing -------------------------------------------------------------------------------------------------------

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """SORTBO where a line needs it, then SORTDN; SORTDC for a cancellation; SORTDS for another status."""
        return [self._written(operation) for operation in operations]

    def _written(self, operation: Operation) -> Outcome:
        try:
            if operation.verb is Verb.CREATE:
                return self._created(operation)
            if operation.verb is Verb.CANCEL:
                item = {"DispatchNote": operation.key or "", "DispatchLine": "0"}
                return self._posted(SORTDC, item, operation)
            return self._released(operation)
        except Rejected as error:
            return Outcome.rejected(error)

    def _created(self, operation: Operation) -> Outcome:
        wanted, lines = self._wanted(operation), self._believed(operation)
        outcome = self._dispatched(wanted, lines or self._read_lines(wanted.order))
        if outcome.result is base.Result.REJECTED and lines is not None:
            now = self._read_lines(wanted.order)
            if any(now.get(number) != lines[number] for number in wanted.quantities):
                return self._dispatched(wanted, now)  # it was planned from quantities that have changed since
        return outcome

    def _wanted(self, operation: Operation) -> _Wanted:
        filler, doc = Filler(self._settings), operation.doc
        head = {name: value for name, value in doc.items() if name in HEADER}
        header = filler.section("DispatchHeader", HEADER, head)
        quantities = shipped_quantities(doc)
        sent_lines = [_sent_line(filler, line, line_number(line)) for line in doc["MerchandiseLine"]]
        document = {"DispatchHeader": header, "DispatchDetails": {"MerchandiseLine": sent_lines}}
        warnings = [*filler.warnings, *replacements(operation, filler)]
        return _Wanted(operation, str(header.get("SalesOrder", "")), document, quantities, warnings)

    def _believed(self, operation: Operation) -> dict[str, OpenLine] | None:
        """What the lines had when the write was planned; None if the document does not say so of each."""
        found = {}
        for line in operation.doc.get("MerchandiseLine") or ():
            if line.get("ShipQty") is None or line.get("BackOrderQty") is None:
                return None
            found[line_number(line)] = open_line({**line, "SalesOrderLine": line_number(line)})
        return found

    def _read_lines(self, order: str) -> dict[str, OpenLine]:
        document = self._orders.read([order]).get(order) or {}
        return open_lines(document.get("Line") or ())

    def _dispatched(self, wanted: _Wanted, lines: Mapping[str, OpenLine]) -> Outcome:
        items = [
            released(wanted.order, line, missing)
            for number_, quantity in wanted.quantities.items()
            if (line := lines.get(number_)) is not None and (missing := min(quantity - line.ship, line.back)) > 0
        ]
        if items:
            outcome = self._posted(SORTBO, items, wanted.operation)
            if outcome.result is not base.Result.DONE:
                return outcome
        content = {"DispatchNote": [wanted.document]}
        try:
            return self._call(
                SORTDN, content, wanted.operation, "DispatchNote", "DispatchNoteNumber", warned=wanted.warnings
            )
        except SyncError as error:
            if not items:
                raise
            return Outcome.retry(error)  # the release is done, and does no harm when it is planned again

    def _released(self, operation: Operation) -> Outcome:
        change = operation.changes.get("DispatchNoteStatus")
        if change is None or len(operation.changes) > 1 or operation.lines:
            raise Rejected(
                field=next(iter(operation.changes), "MerchandiseLine"),
                value=operation.key or "",
                reason="SYSPRO changes nothing of a dispatch note but its status",
                remedy="Cancel the note in SYSPRO if it is not invoiced; it is then made as it should be",
            )
        status = {"DispatchStatus": str(change.old or ""), "NewDispatchStatus": str(change.new)}
        return self._posted(SORTDS, {"DispatchNote": operation.key or "", **status}, operation)

    def _posted(self, by: BusinessObject, items: Doc | list[Doc], operation: Operation) -> Outcome:
        return self._call(by, {"Item": items if isinstance(items, list) else [items]}, operation)

    def _call(
        self, by: BusinessObject, content: Doc, operation: Operation, *key: str, warned: Sequence[str] = ()
    ) -> Outcome:
        call = BusinessCall(by, "Post", content, self._settings.parameters_of(by), is_write=True)
        reply = sent(lambda: self._gateway.call(call), 1)
        if isinstance(reply, list):
            return reply[0]
        answer = posted(reply, *key)
        warnings = [*warned, *answer.warnings]
        if answer.said is Said.DONE:
            return Outcome.done(key=answer.key or operation.key, warnings=warnings)
        what = f"Dispatch note {operation.key or operation.natural_key}"
        return refusal(answer, self._settings, by, what=what, warnings=warnings)


def _group(movement: Doc) -> tuple[str, str]:
    return text_of(movement, "EntryDate"), text_of(movement, "DispatchNote")


def _sent_line(filler: Filler, line: Mapping[str, Any], number_: str) -> Doc:
    values = {"OverOrUnderDispatch": "N", **{name: line[name] for name in SENT_LINE if name in line}}
    filled = filler.section(
        "MerchandiseLine", SENT_LINE, {**values, "SalesOrderLine": number_}, shown="MerchandiseLine."
    )
    serials = [{"SerialNumber": str(serial), "SerialQuantity": "1"} for serial in line.get("Serials") or ()]
    return {**filled, "Serials": serials} if serials else filled


def _version(quantity: Decimal) -> str:
    return format(quantity.normalize(), "f")
