"""SORTOI: the checks of an order's lines, their prices and their allocation."""

from __future__ import annotations

from decimal import Decimal

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sortoi import changes, fields, tax
from syncengine.sandbox.syspro.sortoi.draft import Draft, Line, Options
from syncengine.sandbox.syspro.sortoi.parts import (
    common,
    description,
    needed,
    needed_class,
    own_price,
    quantity,
    uses_entered_price,
)
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, integer_of, text_of
from syncengine.sandbox.syspro.texts import problem
from syncengine.sandbox.syspro.xmlin import BLANK, Section, read

ZERO = Decimal(0)


def check_all(company: Company, options: Options, draft: Draft) -> None:
    """Read and check the lines in document order; SYSPRO numbers added lines in that order."""
    details = draft.element.find("OrderDetails")
    number = integer_of(draft.order, "NextDetailLine") if draft.order is not None else 1
    for element in details if details is not None else ():
        kind = str(element.tag)
        if kind not in fields.LINES:
            continue
        section = read(element, fields.LINES[kind], company.reading())
        allocation = "B" if options["TypeOfOrder"] == "FWD" else section.text("AllocationAction") or options.allocation
        line = Line(section, kind, _action(draft, section), allocation)
        draft.lines.append(line)
        if line.action == "A":
            _check_added(company, options, draft, line, number)
            number += 1
        elif line.action in ("C", "D"):
            changes.check(company, options, draft, line)


def _action(draft: Draft, section: Section) -> str:
    given = section.text("LineActionType")
    if any(found.field == "LineActionType" for found in section.problems):
        return ""
    if draft.action == "A":
        if given in ("", "A"):  # a live client omits it on freight
            return "A"
        section.refuse("line_action", "LineActionType")
        return ""
    if not given:
        section.refuse("100030", "LineActionType", "{" + section.name + "}{LineActionType}")
    return given


def _check_added(company: Company, options: Options, draft: Draft, line: Line, number: int) -> None:
    if line.kind == "StockLine":
        _stock(company, options, draft, line)
    else:
        {"CommentLine": _comment, "MiscChargeLine": _misc, "FreightLine": _freight}[line.kind](company, line)
    if line.row.get("MBackOrderQty"):
        draft.has_back_orders = True
        code = line.section.text("StockCode")
        draft.warnings.append((line.section, f"Line {number:04d} for stock code '{code}' was placed on back order"))


# -- lines that are added ----------------------------------------------------------------------------------------------


def _stock(company: Company, options: Options, draft: Draft, line: Line) -> None:
    section = line.section
    code = section.text("StockCode")
    if not code:
        needed(section, "StockCode")
        return
    stock = company.table("InvMaster").get(code)
    is_flagged = section.flag("NonStockedLine") == "Y"
    allowed = options["AllowNonStockItems"] == "Y" or (options["AllowNonStockItems"] == "S" and is_flagged)
    if is_flagged and not allowed:
        section.refuse("non_stocked", "NonStockedLine", code)
    elif stock is not None and not is_flagged:
        _stocked(company, options, draft, line, stock)
    elif allowed:
        _non_stocked(company, options, line)
    else:
        section.refuse("240004", "StockCode", code)


def _stocked(company: Company, options: Options, draft: Draft, line: Line, stock: Row) -> None:
    section, code = line.section, text_of(stock, "StockCode")
    warehouse = _warehouse(company, options, draft, section, stock)
    if stock["StockOnHold"] in ("P", "F"):
        section.refuse("stock_on_hold", "StockCode", code)
    ordered = quantity(company, options, section, stock)
    uom = section.text("OrderUom")
    if not uom:
        needed(section, "OrderUom")
    elif booking.stocking_units(stock, uom) is None:
        section.refuse("uom", "OrderUom", uom, code)
    line.row = {
        "LineType": "1",
        "MStockCode": code,
        "MStockDes": description(options, section, stock),
        "MWarehouse": warehouse,
        "MOrderUom": uom,
        "MStockingUom": stock["StockUom"],
        "MProductClass": section.text("ProductClass") or stock["ProductClass"],
        "MPriceCode": section.text("PriceCode"),
        **common(section),
        **tax.stocked(company, draft, section, stock),
    }
    row = company.table("InvWarehouse").get(code, warehouse)
    line.row["MBin"] = row["DefaultBin"] if row is not None else ""
    _price(company, options, draft, line, stock)
    if not section.problems and ordered is not None:
        line.row |= _allocate(company, draft, line, stock, ordered)


def _non_stocked(company: Company, options: Options, line: Line) -> None:
    section = line.section
    product_class = section.text("NsProductClass") or section.text("ProductClass")
    if not product_class:
        needed(section, "NsProductClass")
    ordered, price = quantity(company, options, section, None), section.amount("Price")
    for name in ("OrderUom", "Price"):
        if name not in section.values:
            needed(section, name)
    if price == ZERO and not options.on("AllowZeroPrice"):
        section.refuse("zero_price", "Price", section.text("StockCode"))
    uom = section.text("OrderUom")
    line.row = {
        "LineType": "7",
        "MStockCode": section.text("StockCode"),
        "MStockDes": section.text("StockDescription"),
        "MWarehouse": section.text("Warehouse"),
        "MOrderUom": uom,
        "MStockingUom": uom,
        "MPriceUom": section.text("PriceUom") or uom,
        "MProductClass": product_class,
        "MPrice": price or ZERO,
        **tax.non_stocked(company, section),
        "MOrderQty": ordered or ZERO,
        "MShipQty": ordered or ZERO,
        "MStockQtyToShp": ordered or ZERO,
        **common(section),
    }


def _comment(_company: Company, line: Line) -> None:
    section = line.section
    if not section.text("Comment"):
        needed(section, "Comment")
    line.row = {
        "LineType": "6",
        "NComment": section.text("Comment"),
        "NCommentFromLin": int(section.amount("AttachedLineNumber") or 0),
        "NCommentType": section.flag("CommentType", "I"),
    }


def _misc(company: Company, line: Line) -> None:
    section = line.section
    if section.amount("MiscChargeValue") is None:
        needed(section, "MiscChargeValue")
    needed_class(section)
    line.row = {
        "LineType": "5",
        "NComment": section.text("MiscDescription"),
        "NMscChargeValue": section.amount("MiscChargeValue") or ZERO,
        "NMscChargeCost": section.amount("MiscChargeCost") or ZERO,
        "NMscChargeQty": section.amount("MiscQuantity") or ZERO,
        "NMscProductCls": section.text("MiscProductClass"),
        "NChargeCode": section.text("MiscChargeCode"),
        **tax.charge(company, section),
    }


def _freight(company: Company, line: Line) -> None:
    section = line.section
    if section.amount("FreightValue") is None:
        needed(section, "FreightValue")
    line.row = {
        "LineType": "4",
        "NMscChargeValue": section.amount("FreightValue") or ZERO,
        "NMscChargeCost": section.amount("FreightCost") or ZERO,
        **tax.charge(company, section),
    }


# -- parts of a stock line ---------------------------------------------------------------------------------------------


def _warehouse(company: Company, options: Options, draft: Draft, section: Section, stock: Row) -> str:
    """Line, header, WarehouseListToUse, (customer's,) the stock item's default: the first that is set (section 9.3)."""
    header = draft.header.text("Warehouse")
    if draft.order is not None and not header:
        header = text_of(draft.order, "Warehouse")
    listed = [code.strip() for code in options["WarehouseListToUse"].split(",") if code.strip()]
    customers = (
        text_of(draft.customer, "SalesWarehouse") if draft.customer and options.on("UseCustomerSalesWarehouse") else ""
    )
    candidates = [section.text("Warehouse"), header, *listed[:1], customers, text_of(stock, "WarehouseToUse")]
    warehouse = next((code for code in candidates if code and code != BLANK), "")
    code = text_of(stock, "StockCode")
    if not warehouse:
        section.refuse("no_warehouse", "Warehouse", code)
    elif warehouse in company.listed("syspro_denied_warehouses"):
        section.problems.append(problem("240096", "Warehouse", warehouse, warehouse))
    elif company.table("InvWarehouse").get(code, warehouse) is None:
        section.problems.append(problem("240008", "Warehouse", warehouse, code, warehouse))
    return warehouse


def _price(company: Company, options: Options, draft: Draft, line: Line, stock: Row) -> None:
    section = line.section
    entered = section.amount("Price")
    uom = section.text("PriceUom")
    if entered is not None and not uom:
        needed(section, "PriceUom")
    units = booking.stocking_units(stock, uom) if uom else None
    if uom and units is None:
        section.refuse("uom", "PriceUom", uom, stock["StockCode"])
        return
    order_units = booking.stocking_units(stock, section.text("OrderUom")) or Decimal(1)
    if entered is not None and uses_entered_price(options, section):
        if entered == 0 and not options.on("AllowZeroPrice"):
            section.refuse("zero_price", "Price", stock["StockCode"])
        line.row |= {"MPrice": entered, "MPriceUom": uom, "_price_ratio": order_units / (units or Decimal(1))}
        return
    own = own_price(company, draft, stock, section.text("PriceCode"))
    if own == 0:
        section.refuse("zero_price", "Price", stock["StockCode"])
    line.row |= {"MPrice": own, "MPriceUom": stock["StockUom"], "_price_ratio": order_units}


def _allocate(company: Company, draft: Draft, line: Line, stock: Row, ordered: Decimal) -> Row:
    """Ship and back order quantity, less what earlier lines of the same order took."""
    action = "B" if ordered < 0 or booking.goes_to_back_order(stock) else line.allocation
    place = (text_of(stock, "StockCode"), text_of(line.row, "MWarehouse"))
    units = booking.stocking_units(stock, text_of(line.row, "MOrderUom")) or Decimal(1)
    free = max(ZERO, booking.available(company, *place) - draft.taken.get(place, ZERO)) / units
    if integer_of(stock, "Decimals") == 0:
        free = Decimal(int(free))
    ship, back = booking.split(ordered, free, action)
    draft.taken[place] = draft.taken.get(place, ZERO) + ship * units
    return {"MOrderQty": ordered, "MShipQty": ship, "MBackOrderQty": back, "MStockQtyToShp": ship * units}
