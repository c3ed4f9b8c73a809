"""SYSPRO sales orders: written by SORTOI and SORTOX, read by SORQRY, found and compared by COMFND on SorMaster and SorDetail.

Facts: syspro-transport.md sections 8 to 10. A reply without numbers cannot tell which of several orders was refused, so one
order a call is the default; numbers that replies leave out are fetched for many orders by `keys_of`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, ClassVar

from syncengine.connectors import base
from syncengine.connectors.base import NameKind, Operation, Outcome, Safety, Verb
from syncengine.connectors.syspro import comparison, order_notes, order_numbers, order_replies, orders
from syncengine.connectors.syspro.business import BusinessCall
from syncengine.connectors.syspro.documents import (
    Filler,
    canonical_section,
    marked,
    replacements,
    without_blank_groups,
)
from syncengine.connectors.syspro.elements import Section
from syncengine.connectors.syspro.errors import Absent, OddAnswer
from syncengine.connectors.syspro.find import finds_where, rows_where
from syncengine.connectors.syspro.order_calls import ALLOW_NEGATIVE, SORQRY, SORTOI, SORTOX, in_order
from syncengine.connectors.syspro.order_elements import ORDER_HEADER, ORDER_LINES, SHIP_ADDRESS
from syncengine.connectors.syspro.order_options import SETTINGS, OrderOptions
from syncengine.connectors.syspro.order_schema import SalesOrderSchema
from syncengine.connectors.syspro.replies import Answer, Said
from syncengine.connectors.syspro.resources.outcomes import refusal, sent
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.settings import Settings, SettingsReader
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_KEY, Doc
from syncengine.errors import Rejected, SyncError

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

_CENT = Decimal("0.01")
_CANCELLED = ("*", "\\", "/")
_OPEN = ("1", "2", "3", "F", "S")
_REFUSALS = {
    "0": "it is being entered in SYSPRO at this moment (status 0)",
    "4": "it is in the warehouse, its papers are printed (status 4): a person must decide",
    "8": "it is ready to be invoiced (status 8)",
    "9": "it is complete (status 9)",
}
log = logging.getLogger(__name__)

_FOUND_COLUMNS = ("SalesOrder", "CustomerPoNumber", "Customer", "OrderStatus", "CancelledFlag")


class SalesOrder(SysproSource, base.Resource):
    """Field names are SORTOI's: a flat header and the lists StockLine, CommentLine, MiscChargeLine, FreightLine."""

    name: ClassVar[str] = "syspro.sales_order"
    schema = SalesOrderSchema
    searchable = {
        "CustomerPoNumber": NameKind.REFERENCE,
        "SpecialInstrs": NameKind.REFERENCE,  # where the flow of orders puts the shop's reference
        "Email": NameKind.EMAIL,
        "StockLine.*.StockCode": NameKind.SKU,
        "StockLine.*.CustomersPartNumber": NameKind.SKU,
    }
    uses = (SORTOI, SORTOX)
    settings = SETTINGS
    required_fields = order_notes.REQUIRED
    field_notes = order_notes.NOTES
    safety: ClassVar[Mapping[Verb, Safety]] = {
        Verb.CREATE: Safety.SEARCH,  # CustomerPoNumber can be found; it is unique by a site's option only (section 9.5)
        Verb.CHANGE: Safety.ABSOLUTE,  # quantities are replaced; an added line shows in the next fetch
        Verb.CANCEL: Safety.ABSOLUTE,
    }
    identity: ClassVar[tuple[str, ...]] = ("Customer",)
    line_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "StockLine": ("StockCode", "OrderQty", "Price"),
        "CommentLine": ("Comment",),
        "MiscChargeLine": ("MiscDescription", "MiscChargeValue"),
        "FreightLine": ("FreightValue",),
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self._options: OrderOptions = settings.options[self.name]
        self.most_per_read = 1  # a SORQRY each, so that a step can stop between two of them
        self.most_per_write = self._options.most_per_write
        self.most_per_look = settings.find_at_once
        self.settle_s = settings.settle_s
        self._logged: set[str] = set()  # what made a comparison by COMFND useless, logged once in each process

    @classmethod
    def lengths(cls) -> Mapping[str, str]:
        """Widths of SORTOI's elements; see `Source.lengths`."""
        return order_notes.LENGTHS

    @classmethod
    def options(cls, given: SettingsReader) -> OrderOptions:
        """See `OrderOptions`."""
        return OrderOptions.of(given)

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole orders by number, one SORQRY each; an unknown number is absent."""
        found = {}
        for key in keys:
            try:
                reply = self._gateway.call(BusinessCall(SORQRY, "Query", orders.query(key)))
            except Absent:
                continue
            document = orders.from_sorqry(reply, self._options.source_element)
            if document.get("SalesOrder"):
                document["Customer"] = Filler(self._settings).key("Customer", document.get("Customer", ""))
                found[key] = document
        return found

    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        """See `Resource.unchanged`: two COMFND for `find_at_once` orders, and one SORQRY for each that seems changed.

        SORQRY decides, so what the tables show in another form costs a call and never stops a change. What they do not
        hold is not compared (`comparison.py` lists it): an edit of that alone stays unseen.
        """
        differing = self._differences(pictures)
        same = pictures.keys() - differing.keys()
        for key, columns in differing.items():
            if self._reads_the_same(key, pictures[key]):
                same.add(key)
                self._log_two_forms(columns)
        return same

    def _differences(self, shown: Mapping[str, Doc]) -> dict[str, list[str]]:
        """The orders that seem changed by COMFND, each with the columns that differ; all of them if it cannot be asked."""
        filler = Filler(self._settings)
        try:
            masters, details = (self._rows_of(table, shown) for table in (comparison.MASTER, comparison.DETAIL))
        except (Rejected, OddAnswer) as error:
            self._log_once(
                f"COMFND on SorMaster or SorDetail is refused ({error}), so each order is read by SORQRY before it is changed. "
                "Name a column that this site does not have in the setting unread_columns, as SorMaster.Column"
            )
            return {key: [] for key in shown}
        differing: dict[str, list[str]] = {}
        for key, picture in shown.items():
            rows, lines = masters.get(self._stored(key)), details.get(self._stored(key))
            if rows is None or lines is None:  # a reply that may be cut
                differing[key] = []
            elif len(rows) != 1:
                differing[key] = [f"{comparison.MASTER}.SalesOrder"]
            elif found := comparison.differences(
                picture, rows[0], lines, filler, is_cancelled=self.is_cancelled(picture)
            ):
                differing[key] = found
        return differing

    def _rows_of(self, table: str, shown: Mapping[str, Doc]) -> dict[str, list[Doc]]:
        """Rows by stored order number; an order whose find's reply may be cut is absent."""
        columns = comparison.columns_of(table, shown.values(), self._settings)
        keys = [self._stored(key) for key in shown]
        rows: dict[str, list[Doc]] = {}
        for find in finds_where(self._gateway, table, "SalesOrder", keys, columns, at_once=self._settings.find_at_once):
            if find.is_whole:
                rows |= {key: [] for key in find.values}
                for row in find.rows:
                    rows.setdefault(self._stored(text_of(row, "SalesOrder")), []).append(row)
        return rows

    def _reads_the_same(self, key: str, picture: Doc) -> bool:
        """By SORQRY. It does not give the cancelled flag, which `find` adds to its documents."""
        document = self.read([key]).get(key)
        if document is None:
            return False
        try:
            return self.load(document) == {name: value for name, value in picture.items() if name != "CancelledFlag"}
        except Rejected:
            return False  # it is not valid as an order any more; the fetch that follows says why

    def _log_two_forms(self, columns: Sequence[str]) -> None:
        for column in columns:
            self._log_once(
                f"COMFND shows {column} in another form than SORQRY, which costs a SORQRY for each order that has it. "
                "The setting unread_columns leaves out any column but the keys"
            )

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            log.warning("%s: %s", self._settings.endpoint.name, text)

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """Orders by CustomerPoNumber, cancelled ones included: one COMFND for many, then one SORQRY for each hit."""
        found: dict[str, list[Doc]] = {}
        for po_number, row in self._rows(natural_keys):
            key = self._shown(text_of(row, "SalesOrder"))
            if document := self.read([key]).get(key):
                document.setdefault("CancelledFlag", text_of(row, "CancelledFlag"))
                found.setdefault(po_number, []).append(document)
        return found

    def keys_of(self, natural_keys: Sequence[str]) -> dict[str, list[str]]:
        """Numbers of the orders that have a CustomerPoNumber and are not cancelled: one COMFND for many."""
        found: dict[str, list[str]] = {}
        for po_number, row in self._rows(natural_keys):
            if text_of(row, "CancelledFlag") != "Y" and text_of(row, "OrderStatus") not in _CANCELLED:
                found.setdefault(po_number, []).append(self._shown(text_of(row, "SalesOrder")))
        return found

    def _rows(self, natural_keys: Sequence[str]) -> Iterator[tuple[str, Doc]]:
        """Hits with the natural key that they were asked by."""
        filler = Filler(self._settings)
        element = ORDER_HEADER["CustomerPoNumber"]
        asked = {str(filler.typed("", element, key, "CustomerPoNumber")): key for key in natural_keys}
        rows = rows_where(
            self._gateway,
            "SorMaster",
            "CustomerPoNumber",
            list(asked),
            _FOUND_COLUMNS,
            at_once=self._settings.find_at_once,
        )
        for row in rows:
            po_number = text_of(row, "CustomerPoNumber")
            if po_number in asked:
                yield asked[po_number], row

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """SORTOI IMPORT, or SORTOX for a cancellation; what SYSPRO would drop or cut is refused before it is sent."""
        outcomes: dict[int, Outcome] = {}
        calls: dict[str, list[_Ready]] = {}
        for position, operation in enumerate(operations):
            filler = Filler(self._settings)
            try:
                call, document = self._document(operation, filler)
            except Rejected as error:
                outcomes[position] = Outcome.rejected(error)
                continue
            if document is None:
                outcomes[position] = Outcome.done(key=operation.key)
            else:
                warnings = [*filler.warnings, *replacements(operation, filler)]
                calls.setdefault(call, []).append(_Ready(position, operation, document, warnings))
        for number, batch in enumerate(calls.values()):
            for ready, outcome in zip(batch, self._called(batch, is_first=number == 0), strict=True):
                outcomes[ready.position] = outcome
        return [outcomes[position] for position in range(len(operations))]

    def _document(self, operation: Operation, filler: Filler) -> tuple[str, Doc | None]:
        """Which call an operation goes with, and its document; None if there is nothing to write.

        An order's status is a parameter of SORTOI, so orders of different status go in calls of their own; SORTOX is
        called for each order alone.
        """
        chosen, source = self._options, self._options.source_element
        status = self._usual_status()
        if operation.verb is Verb.CANCEL:
            if chosen.cancel_by == SORTOX.name:
                return f"{SORTOX.name} {operation.key}", orders.cancel_by_sortox(operation, chosen.cancel_reason)
            return status, orders.cancel(operation, filler, chosen.cancel_reason)
        if operation.verb is Verb.CHANGE:
            if not any(not name.startswith("@") for name in operation.changes) and not operation.lines:
                return "", None
            return status, orders.change(
                operation,
                filler,
                source,
                line_cancel_code=chosen.line_cancel_code,
                blank=chosen.blank_marker,
            )
        return str(operation.doc.get("OrderStatus") or status), orders.create(operation, filler, source)

    def _usual_status(self) -> str:
        return self._settings.parameters_of(SORTOI).get("OrderStatus", "")

    def _called(self, batch: Sequence[_Ready], *, is_first: bool) -> list[Outcome]:
        """The outcomes of one call; an error that stops a later call says `retry` for it, since others are done."""
        try:
            if batch[0].operation.verb is Verb.CANCEL and self._options.cancel_by == SORTOX.name:
                return [self._cancelled(ready) for ready in batch]
            return self._imported(batch)
        except SyncError as error:
            if is_first:
                raise
            return [Outcome.retry(error)] * len(batch)

    def _imported(self, batch: Sequence[_Ready]) -> list[Outcome]:
        first = batch[0].operation
        status = str(first.doc.get("OrderStatus") or "") if first.verb is Verb.CREATE else ""
        status = status or self._usual_status()
        documents = [ready.document for ready in batch]
        reply = sent(lambda: self._sortoi("IMPORT", status, documents, is_write=True), len(documents))
        if isinstance(reply, list):
            return reply
        po_numbers = [document["OrderHeader"]["CustomerPoNumber"] for document in documents]
        return [
            self._outcome(ready, self._with_reasons(answer, status, ready.document))
            for ready, answer in zip(batch, order_replies.sales_orders(reply, po_numbers), strict=True)
        ]

    def _sortoi(self, process: str, status: str, documents: Sequence[Doc], *, is_write: bool) -> Doc:
        more = {ALLOW_NEGATIVE: "Y"} if any(map(orders.has_negative_line, documents)) else {}
        chosen = in_order(self._settings.parameters_of(SORTOI, Process=process, OrderStatus=status, **more))
        return self._gateway.call(BusinessCall(SORTOI, "Post", {"Orders": list(documents)}, chosen, is_write=is_write))

    def _with_reasons(self, answer: Answer, status: str, document: Doc) -> Answer:
        """A refusal without a reason is validated once to learn its reasons (section 9.4)."""
        if answer.said is not Said.REFUSED or answer.errors:
            return answer
        try:
            validated = order_replies.validation(self._sortoi("VALIDATE", status, [document], is_write=False))
        except SyncError:
            return answer  # it is refused all the same; its reasons stay unknown
        return Answer(Said.REFUSED, errors=validated.errors, warnings=[*answer.warnings, *validated.warnings])

    def _outcome(self, ready: _Ready, answer: Answer) -> Outcome:
        warnings = [*ready.warnings, *answer.warnings]
        if answer.said is Said.DONE:
            key = self._shown(answer.key) if answer.key else ready.operation.key
            return Outcome.done(key=key, warnings=warnings)
        what = f"Sales order {ready.operation.natural_key}"
        return refusal(answer, self._settings, SORTOI, what=what, warnings=warnings)

    def _cancelled(self, ready: _Ready) -> Outcome:
        chosen = self._settings.parameters_of(SORTOX)
        call = BusinessCall(SORTOX, "Post", {"Item": [ready.document]}, chosen, is_write=True)
        reply = sent(lambda: self._gateway.call(call), 1)
        if isinstance(reply, list):
            return reply[0]
        answer = order_replies.cancellation(reply)
        key = ready.operation.key
        if answer.said is Said.DONE:
            return Outcome.done(key=key, warnings=answer.warnings)
        return refusal(answer, self._settings, SORTOX, what=f"Sales order {key}", warnings=answer.warnings)

    def key_of(self, doc: Doc) -> str:
        """The sales order number, in the form in which SYSPRO shows it."""
        return self._shown(text_of(doc, "SalesOrder"))

    def _shown(self, number: str) -> str:
        """SorMaster stores 15 digits, SORTOI and SORQRY show fewer; both are accepted, one of them is kept (section 6)."""
        return order_numbers.shown(number, is_numeric=self._options.has_numeric_keys)

    def _stored(self, number: str) -> str:
        """The form in which SorMaster and SorDetail store a number, and by which COMFND finds it."""
        return order_numbers.stored(number, is_numeric=self._options.has_numeric_keys)

    def canonical(self, doc: Doc) -> Doc:
        """Widths, decimals, case and characters of SorMaster and SorDetail; what SYSPRO fills in by itself is absent."""
        filler = Filler(self._settings)
        source = self._options.source_element
        section = orders.header_elements(source)
        if source:
            section = {**section, "OrderSourceCode": section[source]}
        header = {name: value for name, value in doc.items() if name not in ORDER_LINES}
        result = canonical_section(filler, "OrderHeader", section, header)
        result = without_blank_groups(result, SHIP_ADDRESS)
        for kind, lines in ORDER_LINES.items():
            if kind in doc:
                result[kind] = [_canonical_line(filler, kind, lines, line) for line in doc[kind] or ()]
        return marked(result, filler)

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        """By the status codes of section 10.1; a code that nobody knows refuses."""
        status = str(doc.get("OrderStatus") or "")
        if self.is_cancelled(doc):
            return None if verb is Verb.CANCEL else f"it is cancelled in SYSPRO (status {status})"
        if status in _OPEN:
            return None
        return _REFUSALS.get(status, f"its status {status!r} is not known")

    def worth(self, doc: Doc) -> tuple[str, Decimal] | None:
        """Net, each stock line to two places, as SYSPRO extends it; charges and freight with it."""
        lines = [
            (line["Price"] * line["OrderQty"]).quantize(_CENT, ROUND_HALF_UP) for line in doc.get("StockLine") or ()
        ]
        charges = [line["MiscChargeValue"] for line in doc.get("MiscChargeLine") or ()]
        freight = [line["FreightValue"] for line in doc.get("FreightLine") or ()]
        return str(doc.get("Currency") or ""), sum([*lines, *charges, *freight], Decimal(0))

    def is_cancelled(self, doc: Doc) -> bool:
        """True by status or by flag."""
        return str(doc.get("OrderStatus") or "") in _CANCELLED or str(doc.get("CancelledFlag") or "").upper() == "Y"


@dataclass(frozen=True, slots=True)
class _Ready:
    """One operation with its checked document; `position` is its place in the batch."""

    position: int
    operation: Operation
    document: Doc
    warnings: Sequence[str]


def _canonical_line(filler: Filler, kind: str, section: Section, line: Doc) -> Doc:
    key = line.get(LINE_KEY)
    return canonical_section(filler, kind, section, line, shown=f"{kind}[{key}]." if key else f"{kind}.")
