"""Sales orders between SYSPRO's two shapes, pure: SORQRY's reply read as a document, SORTOI's document made of one.

Facts: syspro-transport.md sections 9.2, 9.3 and 9.6 (SORTOI), 10.2 (SORQRY).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from syncengine.connectors.base import LineChange, Operation
from syncengine.connectors.syspro.documents import Filler
from syncengine.connectors.syspro.elements import Section
from syncengine.connectors.syspro.order_elements import ORDER_HEADER, ORDER_LINES, ORDER_SOURCE, SHIP_ADDRESS
from syncengine.connectors.syspro.xml import all_of, content_of, text_of
from syncengine.document import LINE_NUMBER, Doc, without_marks
from syncengine.errors import Rejected

_HEADER_NAMES: Mapping[str, str] = {
    "shippinginstrscod": "ShippingInstrsCode",
    "reqshipdate": "RequestedShipDate",
    "discpct1": "OrderDiscPercent1",
    "discpct2": "OrderDiscPercent2",
    "discpct3": "OrderDiscPercent3",
    "alternatekey": "AlternateReference",
    "invtermsoverride": "InvoiceTerms",
    "gstexemptnum": "GstExemptNumber",
    "taxstatuscode": "TaxExemptionStatus",
    "gsttaxstatuscode": "GstExemptionStatus",
    "multshipcode": "MultiShipCode",
    "companytaxno": "CompanyTaxNumber",
    "entinvoice": "InvoiceNumberEntered",
    "entinvoicedate": "InvoiceDateEntered",
} | {name.lower(): name for name in ORDER_HEADER}
"""SORTOI's names of what SORQRY calls otherwise; keys in lower case, since the case of replies is not stable."""

_GROUPS = {
    "merchandise": "StockLine",
    "commentline": "CommentLine",
    "misccharge": "MiscChargeLine",
    "freight": "FreightLine",
}

_LINE_NAMES: Mapping[str, Mapping[str, str]] = {
    "StockLine": {
        "mstockcode": "StockCode",
        "mstockdes": "StockDescription",
        "mproductclass": "ProductClass",
        "mwarehouse": "Warehouse",
        "morderqty": "OrderQty",
        "morderuom": "OrderUom",
        "mprice": "Price",
        "mpriceuom": "PriceUom",
        "mpricecode": "PriceCode",
        "mtaxcode": "StockTaxCode",
        "mdiscpct1": "LineDiscPercent1",
        "mdiscpct2": "LineDiscPercent2",
        "mdiscpct3": "LineDiscPercent3",
        "mlineshipdate": "LineShipDate",
        "mcustrequestdat": "CustRequestDate",
        "mcussupstkcode": "CustomersPartNumber",
        "muserdef": "UserDefined",
        "mdiscvalue": "LineDiscValue",
        "mdiscvalflag": "LineDiscValFlag",
        "mfsttaxcode": "StockFstCode",
        "mcommissioncode": "CommissionCode",
    },
    "CommentLine": {"ncomment": "Comment"},
    "MiscChargeLine": {
        "ncomment": "MiscDescription",
        "nmscchargevalue": "MiscChargeValue",
        "nmsctaxcode": "MiscTaxCode",
        "nmscproductcls": "MiscProductClass",
        "nmscchargecode": "MiscChargeCode",
        "nmscfstcode": "MiscFstCode",
    },
    "FreightLine": {
        "nmscchargevalue": "FreightValue",
        "nmsctaxcode": "FreightTaxCode",
        "nmscfstcode": "FreightFstCode",
    },
}

_SORTOI_LINE_NAMES = {kind: {name.lower(): name for name in section} for kind, section in ORDER_LINES.items()}

_KEPT_BY_NAME = {
    "StockLine": ("OrderQty", "OrderUom", "Price", "PriceUom"),
    "CommentLine": ("Comment",),
    "MiscChargeLine": ("MiscChargeValue", "MiscProductClass", "MiscTaxCode", "MiscDescription", "MiscChargeCode"),
    "FreightLine": ("FreightValue", "FreightTaxCode"),
}
"""What a changed line repeats although it stays: SYSPRO would reprice a line that comes without its price."""

_NEVER_READ = {"MiscChargeLine": ("MiscProductClass", "MiscChargeCode")}
"""What a changed line must repeat and SORQRY does not give (syspro-objects.md section 14 item 7): the wanted line has it."""

_IDENTITY = {"StockLine": ("StockCode",)}
_NAMED_IN_REMOVAL = {**_IDENTITY, "CommentLine": ("Comment",)}
"""What a removal repeats: the code proves that it is the right line, and the schema wants a comment's text."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "StockLine": ("StockCode", "OrderQty", "OrderUom"),
    "CommentLine": ("Comment",),
    "MiscChargeLine": ("MiscChargeValue",),
    "FreightLine": ("FreightValue",),
}
"""What a new line must have, beside what depends on its other elements."""

_FIXED_ON_CHANGE = ("Currency", "Customer", "OrderStatus")


def query(sales_order: str) -> Doc:
    """SORQRY's content for one order with all its lines, and nothing that costs more."""
    wanted = ("StockedLines", "NonStockedLines", "FreightLines", "MiscLines", "CommentLines", "CompletedLines")
    left_out = ("Serials", "Lots", "Bins", "AttachedItems", "CustomForms", "DetailLineCustomForms", "Values")
    option = {f"Include{name}": "Y" for name in wanted} | {f"Include{name}": "N" for name in left_out}
    option["ReturnLineShipDate"] = "N"
    return {"Key": {"SalesOrder": sales_order, "Invoice": ""}, "Option": option}


def from_sorqry(reply: Mapping[str, Any], order_source_element: str) -> Doc:
    """The order in SORTOI's names, values as SYSPRO wrote them; what the reply does not carry is absent.

    Lines have SYSPRO's own number; other fields of SORQRY keep their names. All four line lists are there, perhaps empty.
    """
    content = content_of(reply)
    content = content if isinstance(content, Mapping) else {}
    document: Doc = {}
    for name, value in content.items():
        if isinstance(value, str) and _is_plain(name):
            document[header_name(str(name))] = value
    source = document.get(order_source_element)
    if source is not None:
        document.setdefault("OrderSourceCode", source)
    for kind in ORDER_LINES:
        document[kind] = []
    for holder in all_of(content, "SalesOrderLine"):
        for group, value in holder.items() if isinstance(holder, Mapping) else ():
            if line_kind := _GROUPS.get(group.lower()):
                document[line_kind] += [_line(line_kind, line) for line in all_of({group: value}, group)]
    return document


def header_name(element: str) -> str:
    """SORTOI's name of a header element of SORQRY; the same where SORTOI has none for it."""
    return _HEADER_NAMES.get(element.lower(), element)


def line_name(kind: str, element: str) -> str:
    """SORTOI's name of an element of SORQRY in a line of this kind; the same where SORTOI has none for it."""
    return _LINE_NAMES[kind].get(element.lower()) or _SORTOI_LINE_NAMES[kind].get(element.lower(), element)


def _is_plain(name: str) -> bool:
    return not name.startswith(("@", "#", "Edited_", "Unedited_")) and ":" not in name


def _line(kind: str, line: Mapping[str, Any]) -> Doc:
    document: Doc = {LINE_NUMBER: text_of(line, "SalesOrderLine")}
    for name, value in line.items():
        if isinstance(value, str) and _is_plain(name) and name.lower() != "salesorderline":
            document[line_name(kind, name)] = value
    return document


def create(operation: Operation, filler: Filler, order_source_element: str) -> Doc:
    """One `Orders` that adds the operation's order. Raises Rejected for what SYSPRO would drop or cut."""
    doc = operation.doc
    header = _header(doc, filler, order_source_element)
    header |= {"CustomerPoNumber": doc.get("CustomerPoNumber") or operation.natural_key, "OrderActionType": "A"}
    filled = filler.section("OrderHeader", header_elements(order_source_element), header)
    _must(filled, "Customer")
    details: dict[str, list[Doc]] = {}
    number = 0
    for kind, section in ORDER_LINES.items():
        for line in doc.get(kind) or ():
            number += 1
            values = {**without_marks(line), "LineActionType": "A", "CustomerPoLine": number}
            details.setdefault(kind, []).append(
                _new_line(kind, filler.section(kind, section, values, shown=f"{kind}."))
            )
    _must_have_lines(details, doc)
    return {"OrderHeader": filled, "OrderDetails": details}


def change(
    operation: Operation, filler: Filler, order_source_element: str, *, line_cancel_code: str, blank: str
) -> Doc:
    """One `Orders` that changes header fields and lines of an order that exists, lines by SYSPRO's own numbers."""
    changes = {name: item.new for name, item in operation.changes.items() if name not in ORDER_LINES}
    _refuse_fixed(changes)
    elements = header_elements(order_source_element)
    header = _header(changes, filler, order_source_element)
    current = operation.current or {}
    number = current.get("CustomerPoNumber") or operation.natural_key
    renamed = header.pop("CustomerPoNumber", None)
    if renamed is not None and renamed != number:
        header["NewCustomerPoNumber"] = renamed
    header |= {
        "CustomerPoNumber": number,
        "OrderActionType": "C",
        "Customer": current.get("Customer") or operation.doc.get("Customer"),
        "SalesOrder": operation.key,
    }
    filled = filler.section("OrderHeader", elements, header)
    emptied = [name for name, value in changes.items() if value in (None, "") and name in ORDER_HEADER]
    filled |= {name: blank for name in emptied if name in SHIP_ADDRESS}
    filler.warnings += [
        f"{name}: SORTOI cannot empty it on an order that exists; it stays"
        for name in emptied
        if name not in SHIP_ADDRESS
    ]
    orders: Doc = {"OrderHeader": {name: filled[name] for name in elements if name in filled}}
    if details := _changed_lines(operation, filler, line_cancel_code):
        orders["OrderDetails"] = details
    return orders


def has_negative_line(document: Mapping[str, Any]) -> bool:
    """True if an `Orders` adds or changes a stock line of a negative quantity, which SORTOI takes by a parameter of its own."""
    lines = document.get("OrderDetails", {}).get("StockLine", ())
    return any(str(line.get("OrderQty", "")).startswith("-") for line in lines)


def cancel(operation: Operation, filler: Filler, reason: str) -> Doc:
    """One `Orders` that cancels an order by SORTOI (section 9.6); SORTOX is the usual way."""
    current = operation.current or operation.doc
    header = {
        "CustomerPoNumber": current.get("CustomerPoNumber") or operation.natural_key,
        "OrderActionType": "D",
        "Customer": current.get("Customer"),
        "SalesOrder": operation.key,
        "CancelReasonCode": reason,
    }
    return {"OrderHeader": filler.section("OrderHeader", ORDER_HEADER, header)}


def cancel_by_sortox(operation: Operation, reason: str) -> Doc:
    """SORTOX's item for a whole order."""
    return {
        "SalesOrder": operation.key or "",
        "SalesOrderLine": "",
        "MarkLineComplete": "N",
        "CancelReasonCode": reason,
    }


def header_elements(order_source_element: str) -> Section:
    """The header's elements, with `OrderSourceCode` where the gateway takes it under its own name."""
    if order_source_element in ORDER_HEADER or not order_source_element:
        return ORDER_HEADER
    return {**ORDER_HEADER, order_source_element: ORDER_SOURCE}


def _header(values: Mapping[str, Any], filler: Filler, order_source_element: str) -> Doc:
    """Header fields of a mapped document: without its lines and its status, the source code under its element's name."""
    header = {
        name: value
        for name, value in values.items()
        if name not in ORDER_LINES and name != "OrderStatus" and name[0] != "@"
    }
    name = "OrderSourceCode"
    source = header.pop(name, None)
    if source in (None, "") or not order_source_element:
        return header
    if header.get(order_source_element) not in (None, "", source):
        raise Rejected(
            field=name,
            value=source,
            reason=f"it goes into {order_source_element}, which the mapping sets to {header[order_source_element]!r}",
            remedy="Drop one of the two from the mapping, or choose another order_source_field for the endpoint",
        )
    element = header_elements(order_source_element)[order_source_element]
    return {**header, order_source_element: filler.typed(f"OrderHeader.{order_source_element}", element, source, name)}


def _changed_lines(operation: Operation, filler: Filler, line_cancel_code: str) -> dict[str, list[Doc]]:
    """Lines in the order of the schema; what is added is numbered behind what is there (section 9.3)."""
    details: dict[str, list[Doc]] = {}
    free = _highest_number(operation) + 1
    for kind, section in ORDER_LINES.items():
        for line in operation.lines:
            if line.field != kind:
                continue
            if line.action == "add":
                values = {**without_marks(line.line), "LineActionType": "A", "CustomerPoLine": free}
                filled = _new_line(kind, filler.section(kind, section, values, shown=f"{kind}."))
                free += 1
            else:
                values = _existing_line(line, operation, line_cancel_code)
                filled = filler.section(kind, section, values, shown=f"{kind}.")
            details.setdefault(kind, []).append(filled)
    return details


def _existing_line(line: LineChange, operation: Operation, line_cancel_code: str) -> Doc:
    """A line to change or remove. What it repeats is SYSPRO's present value, never one of ours that did not change."""
    present = _present_line(line, operation)
    if line.action == "remove":
        return _removed_line(line, present, line_cancel_code)
    named = _filled_of(present, _IDENTITY.get(line.field, ()))
    for name in named:
        if name in line.changes:
            raise Rejected(
                field=f"{line.field}.{name}",
                value=line.changes[name].new,
                reason="SYSPRO does not let a line take another stock code",
                remedy="Remove the line and add a new one",
            )
    unread = _filled_of(line.line, _NEVER_READ.get(line.field, ()))
    kept = _filled_of(present, _KEPT_BY_NAME[line.field])
    changed = {name: item.new for name, item in line.changes.items()}
    return {"CustomerPoLine": line.number, "LineActionType": "C", **named, **unread, **kept, **changed}


def _removed_line(line: LineChange, present: Doc, line_cancel_code: str) -> Doc:
    removed = {"CustomerPoLine": line.number, "LineActionType": "D"}
    if "LineCancelCode" in ORDER_LINES[line.field]:
        removed["LineCancelCode"] = line_cancel_code
    return {**removed, **_filled_of(present, _NAMED_IN_REMOVAL.get(line.field, ()))}


def _filled_of(line: Mapping[str, Any], names: Sequence[str]) -> Doc:
    return {name: line[name] for name in names if line.get(name) not in (None, "")}


def _present_line(line: LineChange, operation: Operation) -> Doc:
    """The line as SYSPRO has it now, else as it is wanted."""
    for candidate in (operation.current or {}).get(line.field) or ():
        if str(candidate.get(LINE_NUMBER)) == str(line.number):
            return without_marks(candidate)
    return without_marks(line.line)


def _highest_number(operation: Operation) -> int:
    numbers = [
        str(line.get(LINE_NUMBER) or "") for kind in ORDER_LINES for line in (operation.current or {}).get(kind) or ()
    ]
    return max((int(number) for number in numbers if number.isdecimal()), default=len(operation.lines))


def _refuse_fixed(changes: Mapping[str, Any]) -> None:
    for name in _FIXED_ON_CHANGE:
        if name in changes:
            raise Rejected(
                field=name,
                value=changes[name],
                reason="SORTOI does not change it on an order that exists",
                remedy="Change it in SYSPRO, or give the field the policy on_create in the flow",
            )


def _must(header: Mapping[str, Any], name: str) -> None:
    if not header.get(name):
        raise Rejected(field=name, value="", reason="SORTOI needs it", remedy="Correct the mapping or its source")


def _must_have_lines(details: Mapping[str, Sequence[Doc]], doc: Doc) -> None:
    if not details:
        raise Rejected(
            field="StockLine",
            value=doc.get("StockLine"),
            reason="an order without any line would be created empty",
            remedy="Add rows to the order at the source",
        )


def _new_line(kind: str, line: Doc) -> Doc:
    """The line of an add. Raises Rejected if it lacks what SORTOI needs of one (section 9.3)."""
    needed = _NEEDED[kind]
    if "Price" in line:
        needed = (*needed, "PriceUom")
    if kind == "MiscChargeLine" and "MiscChargeCode" not in line:
        needed = (*needed, "MiscProductClass")
    for name in needed:
        if name not in line:
            raise Rejected(
                field=f"{kind}.{name}",
                value="",
                reason=f"SORTOI needs it on a new line (line {line['CustomerPoLine']})",
                remedy="Correct the mapping or its source",
            )
    return line
