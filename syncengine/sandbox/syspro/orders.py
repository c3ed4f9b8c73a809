"""SORQRY: one whole sales order.

The header has the 109 elements of a recording of SYSPRO 7.0, in its order; lines follow the vendor's 7.0 schema of the reply.
Source: syspro-transport.md section 10.2, syspro-objects.md section 14 item 7.
"""

from __future__ import annotations

from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, integer_of, text_of
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlout import Node, Style, Writer

_NAMESPACES = (
    '   xmlns:SALARE="SALARE" xmlns:SALSLS="SALSLS" xmlns:TBLART="TBLART" xmlns:SALBRN="SALBRN" xmlns:TBLCUR="TBLCUR" '
)
#: Only the first text was recorded; the others are the sandbox's own wording.
_TAX_STATUSES = {"E": "Exempt from tax", "N": "Taxable", "O": "Other tax code"}
_DOCUMENT_TYPES = {"O": "Order", "B": "Billing", "C": "Credit note", "D": "Debit note", "S": "Scheduled"}
#: Line type to the option that includes it; each is Y unless the query says N.
_LINE_OPTIONS = {
    "1": "IncludeStockedLines",
    "7": "IncludeNonStockedLines",
    "4": "IncludeFreightLines",
    "5": "IncludeMiscLines",
    "6": "IncludeCommentLines",
}


def sorqry(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """An order by SalesOrder or by Invoice. An unknown one fails the call (its text is not public)."""
    order = _find(company, document)
    options = document.find("Option")
    style = company.style(session)
    writer = Writer(style)
    _header(company, writer, order)
    for line in company.lines(order):
        if _is_wanted(line, options):
            writer.group("SalesOrderLine", [_line(company, style, line)])
    return style.document("SorDetail", writer.nodes, more_attributes=_NAMESPACES)


def _find(company: Company, document: Element) -> Row:
    number = (document.findtext("Key/SalesOrder") or "").strip()
    invoice = (document.findtext("Key/Invoice") or "").strip()
    order = company.order(number) if number else None
    if not number and invoice:
        order = next((row for row in company.table("SorMaster").rows() if row["LastInvoice"] == invoice), None)
    if order is None:
        what, key = ("Sales order", number) if number or not invoice else ("Invoice", invoice)
        raise EnetError(f"{what} '{key}' not found")
    return order


def _is_wanted(line: Row, options: Element | None) -> bool:
    if options is None:
        return True
    name = _LINE_OPTIONS[text_of(line, "LineType")]
    if line["MCompleteFlag"] == "Y" and _option(options, "IncludeCompletedLines") == "N":
        return False
    return _option(options, name) != "N"


def _option(options: Element, name: str) -> str:
    return (options.findtext(name) or "").strip().upper()


def _header(company: Company, writer: Writer, order: Row) -> None:
    customer = company.table("ArCustomer").get(text_of(order, "Customer")) or {}
    _identity(company, writer, order)
    _sold_to(writer, order, customer)
    _terms(company, writer, order)
    _delivery(writer, order)
    _flags(writer, order)
    comments = company.notes.get(text_of(order, "SalesOrder"), [])
    writer.nodes.append(Node("HeaderText", "\n" + "".join(f"{text}\n" for text in comments)))
    writer.nodes.append(Node("HeaderNotes", "\n"))


def _identity(company: Company, writer: Writer, order: Row) -> None:
    writer.put("SalesOrder", company.shown(text_of(order, "SalesOrder")))
    writer.put("DocumentType", order["DocumentType"])
    writer.put("DocumentTypeDesc", _DOCUMENT_TYPES.get(text_of(order, "DocumentType"), ""))
    writer.put("InterBranchTransfer")
    writer.put("InterWhSale", order["InterWhSale"])
    _blank(writer, "SourceWarehouse", "TargetWarehouse", "GtrReference")
    writer.put("Customer", order["Customer"])
    writer.put("CustomerName", order["CustomerName"])
    for name, code in (("TaxStatus", order["TaxStatus"]), ("GSTTaxStatus", order["GstExemptFlag"])):
        writer.put(f"{name}Code", code)
        writer.put(name, _TAX_STATUSES.get(str(code), ""))
    writer.put("EUFlag", "N")
    writer.put("EUFlagDesc", "EU")


def _sold_to(writer: Writer, order: Row, customer: Row) -> None:
    writer.put("SoldToName", customer.get("Name"))
    for number in ("1", "2", "3"):
        writer.put(f"SoldAddr{number}", customer.get(f"SoldToAddr{number}"))
    writer.put("SoldAddr3Locality", customer.get("SoldToAddr3Loc"))
    for number in ("4", "5"):
        writer.put(f"SoldAddr{number}", customer.get(f"SoldToAddr{number}"))
    writer.put("SoldPostalCode", customer.get("SoldPostalCode"))
    writer.number("SoldGpsLat", 0, 10, 6)
    writer.number("SoldGpsLong", 0, 11, 6)
    writer.put("Salesperson", order["Salesperson"])
    writer.put("ScheduledOrdFlag", order["ScheduledOrdFlag"])
    for number in ("1", "2", "3"):
        writer.number(f"DiscPct{number}", amount_of(order, f"DiscPct{number}"), 0, 2)
    writer.group("Commissions", _commissions(writer.style, order))


def _commissions(style: Style, order: Row) -> list[Node]:
    writer = Writer(style)
    for number in ("1", "2", "3", "4"):
        writer.put(
            "Salesperson" if number == "1" else f"Salesperson{number}", order["Salesperson"] if number == "1" else ""
        )
        writer.number(f"CommissionSales{number}", 0, 0, 2)
        writer.put(f"Edited_CommissionSales{number}", "0.00")
    return writer.nodes


def _terms(company: Company, writer: Writer, order: Row) -> None:
    separator = "_" if writer.style.system_information else ":"
    writer.put(f"SALSLS{separator}Name", _described(company, "SalSalesperson", order["Salesperson"], "Name"))
    status = text_of(order, "OrderStatus")
    writer.put("OrderStatus", status)
    writer.put("OrderStatusDesc", booking.STATUS_TEXTS.get(status, ""))
    writer.put("CustomerPoNumber", order["CustomerPoNumber"])
    writer.put("OrderDate", order["OrderDate"])
    writer.put("GITReference")
    for name in ("ReqShipDate", "ShippingInstrs", "ShippingInstrsCod", "SpecialInstrs", "InvTermsOverride"):
        writer.put(name, order[name])
    writer.put("DeliveryNote", order["DeliveryNote"])
    writer.put("LastDelNote", order["LastDelNote"])
    writer.put("TimeDelPrtedHh", "00")
    writer.put("TimeDelPrtedMm", "00")
    writer.put("LastInvoice", order["LastInvoice"])
    writer.put("DateLastInvPrt", order["DateLastInvPrt"])
    writer.put("TimeInvPrtedHh", "00")
    writer.put("TimeInvPrtedMm", "00")
    writer.put(f"TBLART{separator}Description", _described(company, "TblArTerms", order["InvTermsOverride"]))
    writer.put("Branch", order["Branch"])
    writer.put(f"SALBRN{separator}Description", _described(company, "SalBranch", order["Branch"]))
    for name in ("EntInvoice", "OrderType", "Area"):
        writer.put(name, order[name])
    writer.put(f"SALARE{separator}Description", _described(company, "SalArea", order["Area"]))
    for name in ("TaxExemptNumber", "GstExemptNum", "Currency"):
        writer.put(name, order[name])
    writer.put(f"TBLCUR{separator}Description", _described(company, "TblCurrency", order["Currency"]))


def _described(company: Company, table: str, code: object, column: str = "Description") -> str:
    row = company.table(table).get(str(code))
    return text_of(row, column) if row is not None else ""


def _delivery(writer: Writer, order: Row) -> None:
    for number in ("1", "2", "3"):
        writer.put(f"ShipAddress{number}", order[f"ShipAddress{number}"])
    writer.put("ShipAddress3Locality", order["ShipAddress3Loc"])
    for name in ("ShipAddress4", "ShipAddress5", "ShipPostalCode"):
        writer.put(name, order[name])
    writer.number("ShipGpsLat", 0, 10, 6)
    writer.number("ShipGpsLong", 0, 11, 6)
    writer.put("ShipComplete", "N")
    writer.put("Email", order["Email"])
    writer.put("FixExchangeRate", order["FixExchangeRate"])
    rate = amount_of(order, "ExchangeRate")
    writer.number("ExchangeRate", rate, 13, 6)
    writer.put("Edited_ExchangeRate", f"{rate:.6f}")
    writer.put("MulDiv", order["MulDiv"])
    writer.put("ConsolidatedOrder")
    writer.put("GstDeduction", "I")
    _blank(writer, "CreditedInvDate", "Job", "SerialisedFlag", "CounterSalesFlag")


def _flags(writer: Writer, order: Row) -> None:
    for name in ("Nationality", "DeliveryTerms", "ShippingLocation"):
        writer.put(name, order[name])
    writer.put("TransactionNature", order["TransactionNature"] or "000")
    writer.put("TransportMode", order["TransportMode"] or "00")
    writer.put("ProcessFlag", order["ProcessFlag"] or "0")
    writer.put("JobsExistFlag")
    writer.put("AlternateKey", order["AlternateKey"])
    _blank(writer, "HierarchyFlag", "DepositFlag", "EdiSource")
    writer.put("MultShipCode", order["MultiShipCode"])
    for name in ("CompanyTaxNo", "LastOperator", "Operator", "State", "CountyZip", "ExtendedTaxCode", "WebCreated"):
        writer.put(name, order[name])
    writer.put("Quote")
    for name in ("DispatchesMade", "LiveDispExist", "NumDispatches", "IncludeInMrp"):
        writer.put(name, order[name])


def _blank(writer: Writer, *names: str) -> None:
    for name in names:
        writer.put(name)


def _line(company: Company, style: Style, line: Row) -> Node:
    writer = Writer(style)
    kind = {"6": "CommentLine", "5": "MiscCharge", "4": "Freight"}.get(text_of(line, "LineType"), "Merchandise")
    writer.put("SalesOrderLine", line["SalesOrderLine"])
    if kind == "Merchandise":
        item = company.table("InvMaster").get(text_of(line, "MStockCode")) or {}
        units = booking.stocking_units(item, text_of(line, "MOrderUom")) if item else None
        _goods(company, writer, line, item)
        _quantities(writer, line, units or Decimal(1))
        _prices(writer, line)
        _dates(writer, line)
    else:
        writer.put("NComment", line["NComment"])
        writer.put("NCommentFromLin", integer_of(line, "NCommentFromLin"))
    if kind in ("MiscCharge", "Freight"):
        writer.number("NMscChargeValue", amount_of(line, "NMscChargeValue"), 14, 2)
        writer.put("NMscTaxCode", line["NMscTaxCode"])
        writer.put("NMscFstCode", line["NMscFstCode"])
    return Node(kind, writer.nodes)


def _goods(company: Company, writer: Writer, line: Row, item: Row) -> None:
    warehouse = company.table("InvWhControl").get(text_of(line, "MWarehouse")) or {}
    writer.put("SalesOrderInitLine", line["SalesOrderInitLine"])
    for name in ("MStockCode", "MStockDes"):
        writer.put(name, line[name])
    writer.put("LongDesc", item.get("LongDesc"))
    writer.put("MProductClass", line["MProductClass"])
    writer.put("Description", line["MProductClass"])
    writer.put("MWarehouse", line["MWarehouse"])
    writer.put("MWarehouseDesc", warehouse.get("Description"))
    for name in ("MBin", "MCusSupStkCode"):
        writer.put(name, line[name])


def _quantities(writer: Writer, line: Row, units: Decimal) -> None:
    writer.quantity("MOrderQty", amount_of(line, "MOrderQty"))
    writer.quantity("MOrderQtyInStockingUm", amount_of(line, "MOrderQty") * units)
    for name in ("MShipQty", "MStockQtyToShp", "QtyReserved", "QtyReservedShip", "MBackOrderQty"):
        writer.quantity(name, amount_of(line, name))
    writer.quantity("MBackOrderQtyInStockingUm", amount_of(line, "MBackOrderQty") * units)
    writer.quantity("MQtyDispatched", amount_of(line, "MQtyDispatched"))
    writer.put("MMulDivQtyFct", "M")
    writer.number("MConvFactAlloc", units, 13, 6)
    writer.put("MOrderUom", line["MOrderUom"])
    writer.put("MStockingUom", line["MStockingUom"])
    writer.quantity("MStockUnitMass", Decimal(0))
    writer.quantity("MStockUnitVol", Decimal(0))


def _prices(writer: Writer, line: Row) -> None:
    writer.number("MPrice", amount_of(line, "MPrice"), 15, 5)
    writer.number("MUnitCost", 0, 15, 5)
    writer.put("MPriceUom", line["MPriceUom"])
    writer.put("MMulDivPrcFct", "M")
    writer.number("MConvFactOrdUm", 1, 13, 6)
    writer.put("MPriceCode", line["MPriceCode"])
    _blank(writer, "MContract", "MBuyingGroup")
    writer.put("MTaxCode", line["MTaxCode"])
    writer.put("CreditReason")
    writer.put("MDiscValFlag", line["MDiscValFlag"])
    for name in ("MDiscPct1", "MDiscPct2", "MDiscPct3"):
        writer.number(name, amount_of(line, name), 5, 2)
    writer.number("OrderLineValue", booking.line_value(line), 14, 2)


def _dates(writer: Writer, line: Row) -> None:
    writer.put("MLineShipDate", line["MLineShipDate"])
    writer.put("MCustRequestDat", line["MCustRequestDat"])
    _blank(writer, "MBomType", "MParentKitType")
    writer.quantity("MQtyPer", Decimal(0))
    writer.number("MScrapPercentage", 0, 5, 2)
    writer.put("MQtyChangesFlag")
    writer.put("MUserDef", line["MUserDef"])
    writer.put("MTariff")
