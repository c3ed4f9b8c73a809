"""SORQSO (list of orders) and COMQER (text of an error number). Source: syspro-transport.md sections 7.4 and 10.2."""

from __future__ import annotations

from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, text_of
from syncengine.sandbox.syspro.texts import EnetError, translate
from syncengine.sandbox.syspro.xmlout import Node, Writer, plain

#: SORQSO filter to SorMaster column.
_FILTERS = {
    "Salesperson": "Salesperson",
    "Branch": "Branch",
    "Customer": "Customer",
    "OrderType": "OrderType",
    "CustomerPo": "CustomerPoNumber",
    "SalesOrder": "SalesOrder",
    "OrderDate": "OrderDate",
    "OrderStatus": "OrderStatus",
    "AlternateKey": "AlternateKey",
    "GeographicArea": "Area",
    "RequestedShipDate": "ReqShipDate",
}
_COLUMNS = {
    "Customer": "Customer",
    "CustomerName": "CustomerName",
    "OrderStatus": "OrderStatus",
    "Branch": "Branch",
    "OrderType": "OrderType",
    "Area": "Area",
    "AlternateKey": "AlternateKey",
    "NextDetailLine": "NextDetailLine",
    "DocumentType": "DocumentType",
    "Salesperson": "Salesperson",
    "Currency": "Currency",
    "CustomerPoNumber": "CustomerPoNumber",
    "ShipViaCode": "ShippingInstrsCod",
    "ShippingInstrs": "ShippingInstrs",
    "SpecialInstrs": "SpecialInstrs",
    "OrderDate": "OrderDate",
    "ReqShipDate": "ReqShipDate",
}


def sorqso(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """Header rows of the orders that pass all filters, by order number, from StartAtOrder."""
    options, filters = document.find("Option"), document.find("Filter")
    start = _option(options, "StartAtOrder")
    most = _option(options, "ReturnOrders")
    first = company.order_key(start) if start else ""
    candidates = _candidates(company, filters)
    orders = [
        order
        for order in candidates
        if text_of(order, "SalesOrder") >= first and _is_included(order, options) and _passes(company, order, filters)
    ]
    limit = int(most) if most.isdigit() and int(most) else None
    style = company.style(session)
    nodes = []
    for order in orders[:limit]:
        writer = Writer(style)
        writer.put("SalesOrder", company.shown(text_of(order, "SalesOrder")))
        for name, column in _COLUMNS.items():
            writer.put(name, order[column])
        nodes.append(Node("SalesOrderItem", writer.nodes))
    return style.document("SorQuery", nodes)


def _candidates(company: Company, filters: Element | None) -> list[Row]:
    """All orders, or those of a single customer PO number by index."""
    wanted = filters.find("CustomerPo") if filters is not None else None
    if wanted is not None and wanted.get("FilterType", "A").upper() == "S":
        return company.table("SorMaster").by("CustomerPoNumber", wanted.get("FilterValue", ""))
    return company.table("SorMaster").rows()


def _option(options: Element | None, name: str) -> str:
    return (options.findtext(name) or "").strip() if options is not None else ""


def _is_included(order: Row, options: Element | None) -> bool:
    if booking.is_cancelled(order):
        return _option(options, "IncludeCancelledOrders").upper() == "Y"
    if order["OrderStatus"] == "9":
        return _option(options, "IncludeCompletedOrders").upper() == "Y"
    return order["OrderStatus"] != "F" or _option(options, "IncludeForwardOrders").upper() == "Y"


def _passes(company: Company, order: Row, filters: Element | None) -> bool:
    for element in filters if filters is not None else ():
        column = _FILTERS.get(str(element.tag))
        if column is None:
            continue
        kind, wanted = element.get("FilterType", "A").upper(), element.get("FilterValue", "")
        if not _fits(company, column, plain(order[column]), kind, wanted):
            return False
    return True


def _fits(company: Company, column: str, value: str, kind: str, wanted: str) -> bool:
    """A all, S single, R range `from,to`, L list; order numbers and customers in short or stored form."""

    def stored(text: str) -> str:
        if column == "SalesOrder":
            return company.order_key(text)
        return (company.customer_key(text) or text) if column == "Customer" else text.strip()

    parts = [stored(part) for part in wanted.split(",")]
    if kind == "A":
        return True
    if kind == "S":
        return value == stored(wanted)
    if kind == "L":
        return value in parts
    if kind == "R":
        return parts[0] <= value <= parts[-1]
    raise EnetError(f"Value '{kind}' is invalid for XML attribute 'FilterType'")


def comqer(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """The text of an error number with parameters (syspro-objects.md section 14 item 7)."""
    number = (document.findtext("ErrorMessage/ErrorCode") or "").strip()
    given = [(document.findtext(f"ErrorMessage/Parameter{place}") or "").strip() for place in (1, 2, 3)]
    text = translate(number, given)
    if text is None:
        raise EnetError(f"Error number '{number}' not found")
    parameters = [Node(f"Parameter{place}", value) for place, value in enumerate(given, start=1)]
    details = Node("MessageDetails", [Node("ErrorCode", number), Node("TranslatedMessage", text), *parameters])
    return company.style(session).document("TranslatedErrorMessages", [details])
