"""SORQDN (one dispatch note) and SORQDL (a list of them), with the elements of the vendor's 7.0 schemas in their order.

SORQDN does not say of which order line a line is. Elements that the sandbox has no value for are blank. Assumed: that an
unknown note fails the call, and that a range is two values with a comma between them.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.dispatch import notes
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlout import Node, Style, Writer, plain

_HEADER = (
    "ShippingInstrs", "SpecialInstrs", "DispatchComments1", "DispatchComments2", "DispatchComments3",
    "DispatchComments4", "UserField1", "UserField2", "Salesperson", "Branch", "Area", "FixExchangeRate",
    "ExchangeRate", "MulDiv", "Currency", "DiscPct1", "DiscPct2", "DiscPct3", "OrderType", "InvTermsOverride",
    "ReprintFormat", "TaxExemptFlag", "TaxExemptOverride", "DispatchName", "PlannedDeliverDate", "ActualDeliveryDate",
    "ShipAddressFlag", "CustomerPoNumber", "CompanyTaxNo", "Invoice", "InvoiceCreatedDate", "ConsolidateInvFlag",
    "TaxExemptNumber", "DispatchNoteStatus", "PrevStatus", "Reason", "StatusWhenHeld", "Nationality", "DeliveryTerms",
    "TransactionNature", "TransportMode", "ProcessFlag", "DispatchCustName", "DispatchAddress1", "DispatchAddress2",
    "DispatchAddress3", "DispatchAddress4", "DispatchAddress5", "DispatchPostalCode", "State", "CountyZip",
    "ExtendedTaxCode", "MultiShipCode", "Quote", "GtrReference", "LastOperator", "CreditAuthority",
)  # fmt: skip
#: Option of SORQDL to the status that it includes; each is Y unless the query says N.
_OPTIONS = {
    "IncludeDispatchInProgress": "0",
    "IncludeDispatchReadyToPrint": "3",
    "IncludeDispatchPrinted": "5",
    "IncludeDispatchInSuspense": "S",
    "IncludeDispatchReadyToInvoice": "7",
    "IncludeDispatchCompleted": "9",
    "IncludeDispatchCancelled": "*",
    "IncludeDispatchOnHold": "H",
    "IncludeDispatchConsolidated": "8",
}
_FILTERS = {"Dispatch": "DispatchNote", "SalesOrder": "SalesOrder", "Customer": "Customer", "Branch": "Branch"}
_KINDS = {"1": "Merchandise", "7": "Merchandise", "4": "Freight", "5": "MiscCharge", "6": "CommentLine"}
_LINE_OPTIONS = {
    "1": "IncludeStockedLines",
    "7": "IncludeNonStockedLines",
    "4": "IncludeFreightLines",
    "5": "IncludeMiscellaneousLines",
    "6": "IncludeCommentLines",
}


def sorqdn(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """A dispatch note with its lines. An unknown one fails the call (its text is not public)."""
    number = (document.findtext("Key/DispatchNote") or "").strip()
    note = company.table("MdnMaster").get(number)
    if note is None:
        raise EnetError(f"Dispatch note '{number}' not found")
    style = company.style(session)
    writer = Writer(style)
    _head(writer, note)
    for line in notes.lines_of(company, note):
        if _option(document, _LINE_OPTIONS[text_of(line, "LineType")]) != "N":
            writer.group("DispatchNoteLine", [_line(style, line)])
    return style.document("DispatchNoteDetail", writer.nodes)


def sorqdl(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """The heads of the dispatch notes that pass all filters, by number."""
    style = company.style(session)
    nodes = []
    for note in _candidates(company, document):
        included = {status for name, status in _OPTIONS.items() if _option(document, name) != "N"}
        if note["DispatchNoteStatus"] in included and _passes(company, note, document.find("Filter")):
            writer = Writer(style)
            _head(writer, note)
            for name in ("SourceWarehouse", "Description", "TargetWarehouse"):
                writer.put(name)
            nodes.append(Node("DispatchNoteItem", writer.nodes))
    return style.document("DispatchNoteList", nodes)


def _head(writer: Writer, note: Row) -> None:
    for name in ("DispatchNote", "NextDetailLine", "SalesOrder", "Customer", "CustomerName"):
        writer.put(name, note[name])
    for name in _HEADER:
        writer.put(name, note.get(name, ""))


def _line(style: Style, line: Row) -> Node:
    writer = Writer(style)
    kind = _KINDS[text_of(line, "LineType")]
    writer.put("DispatchNoteLine", f"{line['DispatchNoteLine']:0>4}")
    if kind != "Merchandise":
        writer.put("NComment", line["NComment"])
        writer.put("NCommentFromLin")
        writer.number("NMscChargeValue", amount_of(line, "NMscChargeValue"), 14, 2)
        return Node(kind, writer.nodes)
    for name in ("MStockCode", "MStockDes", "MWarehouse"):
        writer.put(name, line[name])
    for name in ("MBin", "MCusSupStkCode"):
        writer.put(name)
    for name in ("MOrderQty", "MShipQty", "MStockQtyToShp", "MBackOrderQty"):
        writer.quantity(name, amount_of(line, name))
    for name in ("MOrderUom", "MStockingUom"):
        writer.put(name, line[name])
    writer.number("MPrice", amount_of(line, "MPrice"), 15, 5)
    writer.put("MPriceUom", line["MPriceUom"])
    for serial in filter(None, text_of(line, "Serials").split(",")):
        writer.group("Serial", [Node("Serial", serial), Node("Lot", text_of(line, "Lot"))])
    return Node(kind, writer.nodes)


def _candidates(company: Company, document: Element) -> list[Row]:
    """All notes, or those of a single order by index."""
    wanted = document.find("Filter/SalesOrder")
    if wanted is not None and wanted.get("FilterType", "A").upper() == "S":
        return company.table("MdnMaster").by("SalesOrder", company.order_key(wanted.get("FilterValue", "")))
    return company.table("MdnMaster").rows()


def _option(document: Element, name: str) -> str:
    return (document.findtext(f"Option/{name}") or "").strip().upper()


def _passes(company: Company, note: Row, filters: Element | None) -> bool:
    for element in filters if filters is not None else ():
        column = _FILTERS.get(str(element.tag))
        kind, wanted = element.get("FilterType", "A").upper(), element.get("FilterValue", "")
        if column is None or kind == "A":
            continue
        parts = [company.order_key(part) if column == "SalesOrder" else part.strip() for part in wanted.split(",")]
        if not parts[0] <= plain(note[column]) <= parts[-1] or (kind == "S" and plain(note[column]) != parts[0]):
            return False
    return True
