"""SORTOI: the checks of an order's lines, their prices and their allocation."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro import sortoi_fields as fields
from syncengine.sandbox.syspro.sortoi import Draft, Line, Options
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of, whole_of
from syncengine.sandbox.syspro.texts import problem
from syncengine.sandbox.syspro.xmlin import BLANK, Section, read
from syncengine.sandbox.syspro.xmlout import rounded

if TYPE_CHECKING:
    from syncengine.sandbox.syspro.state import Company

ZERO = Decimal(0)
_PERCENTS = {"LineDiscPercent1": "MDiscPct1", "LineDiscPercent2": "MDiscPct2", "LineDiscPercent3": "MDiscPct3"}


def check_all(company: Company, options: Options, draft: Draft) -> None:
    """Read and check the lines in document order; lines that are added are numbered by SYSPRO in that order."""
    details = draft.element.find("OrderDetails")
    number = whole_of(draft.order, "NextDetailLine") if draft.order is not None else 1
    for element in details if details is not None else ():
        kind = str(element.tag)
        if kind not in fields.LINES:
            continue
        section = read(element, fields.LINES[kind], company.reading())
        line = Line(section, kind, _action(draft, section))
        draft.lines.append(line)
        if line.action == "A":
            _check_added(company, options, draft, line, number)
            number += 1
        elif line.action in ("C", "D"):
            _check_existing(company, options, draft, line)


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
        {"CommentLine": _comment, "MiscChargeLine": _misc, "FreightLine": _freight}[line.kind](line)
    if line.row.get("MBackOrderQty"):
        draft.has_back_orders = True
        code = line.section.text("StockCode")
        draft.warnings.append((line.section, f"Line {number:04d} for stock code '{code}' was placed on back order"))


# -- lines that are added ----------------------------------------------------------------------------------------------


def _stock(company: Company, options: Options, draft: Draft, line: Line) -> None:
    section = line.section
    code = section.text("StockCode")
    if not code:
        _needed(section, "StockCode")
        return
    stock = company.table("InvMaster").get(code)
    is_flagged = section.flag("NonStockedLine") == "Y"
    allowed = options["AllowNonStockItems"] == "Y" or (options["AllowNonStockItems"] == "S" and is_flagged)
    if is_flagged and not allowed:
        section.refuse("non_stocked", "NonStockedLine", code)
    elif stock is not None and not is_flagged:
        _stocked(company, options, draft, line, stock)
    elif allowed:
        _non_stocked(options, line)
    else:
        section.refuse("240004", "StockCode", code)


def _stocked(company: Company, options: Options, draft: Draft, line: Line, stock: Row) -> None:
    section, code = line.section, text_of(stock, "StockCode")
    warehouse = _warehouse(company, options, draft, section, stock)
    if stock["StockOnHold"] in ("P", "F"):
        section.refuse("stock_on_hold", "StockCode", code)
    ordered = _quantity(section, stock)
    uom = section.text("OrderUom")
    if not uom:
        _needed(section, "OrderUom")
    elif booking.stocking_units(stock, uom) is None:
        section.refuse("uom", "OrderUom", uom, code)
    line.row = {
        "LineType": "1",
        "MStockCode": code,
        "MStockDes": _description(options, section, stock),
        "MWarehouse": warehouse,
        "MOrderUom": uom,
        "MStockingUom": stock["StockUom"],
        "MProductClass": section.text("ProductClass") or stock["ProductClass"],
        "MPriceCode": section.text("PriceCode"),
        **_common(section),
        **_tax(company, section, stock),
    }
    row = company.table("InvWarehouse").get(code, warehouse)
    line.row["MBin"] = row["DefaultBin"] if row is not None else ""
    _price(company, options, draft, line, stock)
    if not section.problems and ordered is not None:
        line.row |= _allocate(company, options, draft, section, stock, warehouse, uom, ordered)


def _non_stocked(options: Options, line: Line) -> None:
    section = line.section
    product_class = section.text("NsProductClass") or section.text("ProductClass")
    if not product_class:
        _needed(section, "NsProductClass")
    ordered, price = _quantity(section, None), section.amount("Price")
    for name in ("OrderUom", "Price"):
        if name not in section.values:
            _needed(section, name)
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
        "MTaxCode": section.text("StockTaxCode"),
        "MOrderQty": ordered or ZERO,
        "MShipQty": ordered or ZERO,
        "MStockQtyToShp": ordered or ZERO,
        **_common(section),
    }


def _comment(line: Line) -> None:
    section = line.section
    if not section.text("Comment"):
        _needed(section, "Comment")
    line.row = {
        "LineType": "6",
        "NComment": section.text("Comment"),
        "NCommentFromLin": int(section.amount("AttachedLineNumber") or 0),
        "NCommentType": section.flag("CommentType", "I"),
    }


def _misc(line: Line) -> None:
    section = line.section
    if section.amount("MiscChargeValue") is None:
        _needed(section, "MiscChargeValue")
    if not section.text("MiscProductClass") and not section.text("MiscChargeCode"):
        _needed(section, "MiscProductClass")
    line.row = {
        "LineType": "5",
        "NComment": section.text("MiscDescription"),
        "NMscChargeValue": section.amount("MiscChargeValue") or ZERO,
        "NMscChargeCost": section.amount("MiscChargeCost") or ZERO,
        "NMscChargeQty": section.amount("MiscQuantity") or ZERO,
        "NMscProductCls": section.text("MiscProductClass"),
        "NMscTaxCode": section.text("MiscTaxCode"),
        "NChargeCode": section.text("MiscChargeCode"),
    }


def _freight(line: Line) -> None:
    section = line.section
    if section.amount("FreightValue") is None:
        _needed(section, "FreightValue")
    line.row = {
        "LineType": "4",
        "NMscChargeValue": section.amount("FreightValue") or ZERO,
        "NMscChargeCost": section.amount("FreightCost") or ZERO,
        "NMscTaxCode": section.text("FreightTaxCode"),
    }


# -- parts of a stock line ---------------------------------------------------------------------------------------------


def _needed(section: Section, name: str) -> None:
    """A mandatory element is missing; not said twice where its value was refused."""
    if not any(found.field == name for found in section.problems):
        section.refuse("100030", name, "{" + section.name + "}{" + name + "}")


def _common(section: Section) -> Row:
    return {
        "MLineShipDate": section.day("LineShipDate"),
        "MCustRequestDat": section.day("CustRequestDate"),
        "MCusSupStkCode": section.text("CustomersPartNumber"),
        "MUserDef": section.text("UserDefined"),
        **_discounts(section),
    }


def _discounts(section: Section) -> Row:
    values: Row = {}
    for name, column in _PERCENTS.items():
        percent = section.amount(name)
        if percent is not None and percent > 100:
            section.refuse("bad_value", name, percent, name)
        elif percent is not None:
            values[column] = percent
    if (discount := section.amount("LineDiscValue")) is not None:
        values |= {"MDiscValue": discount, "MDiscValFlag": section.flag("LineDiscValFlag", "V")}
    return values


def _warehouse(company: Company, options: Options, draft: Draft, section: Section, stock: Row) -> str:
    """Line, header, WarehouseListToUse, (customer's,) the stock item's default: the first that is given (section 9.3)."""
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


def _quantity(section: Section, stock: Row | None) -> Decimal | None:
    ordered = section.amount("OrderQty")
    if ordered is None:
        _needed(section, "OrderQty")
        return None
    if ordered <= 0:
        section.refuse("bad_value", "OrderQty", ordered, "OrderQty")
        return None
    if stock is not None:
        places = whole_of(stock, "Decimals")
        if ordered != rounded(ordered, places):
            section.refuse("decimals", "OrderQty", ordered, places, stock["StockCode"])
            return None
    return ordered


def _description(options: Options, section: Section, stock: Row) -> str:
    own = text_of(stock, "Description")
    return section.text("StockDescription") or own if options.on("UseStockDescSupplied") else own


def _tax(company: Company, section: Section, stock: Row) -> Row:
    """The stock code's tax code; an override is ignored, rejected or accepted by site (section 9.3)."""
    given = section.text("StockTaxCode")
    rule = company.switches.text("syspro_tax_override")
    if given and given != stock["TaxCode"] and rule == "rejected":
        section.refuse("tax_override", "StockTaxCode", stock["StockCode"])
    taken = given if given and rule == "accepted" else stock["TaxCode"]
    return {"MTaxCode": taken, "_StockTaxCode": given}


def _price(company: Company, options: Options, draft: Draft, line: Line, stock: Row) -> None:
    section = line.section
    entered = section.amount("Price")
    uom = section.text("PriceUom")
    if entered is not None and not uom:
        _needed(section, "PriceUom")
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


def uses_entered_price(options: Options, section: Section) -> bool:
    """Whether the document's price is used: the line's flag, else the parameter."""
    return (section.text("AlwaysUsePriceEntered") or options["AlwaysUsePriceEntered"]) == "Y"


def own_price(company: Company, draft: Draft, stock: Row, price_code: str) -> Decimal:
    """SYSPRO's own price of a stocking unit in the customer's currency: by price code, else the list price."""
    customer = draft.customer or {}
    for code in (price_code, str(customer.get("PriceCode") or ""), text_of(stock, "ListPriceCode")):
        row = company.table("InvPrice").get(text_of(stock, "StockCode"), code) if code else None
        if row is not None:
            rate = exchange_rate(company, str(customer.get("Currency") or ""))
            return rounded(amount_of(row, "SellingPrice") * rate, 5)
    return ZERO


def exchange_rate(company: Company, currency: str) -> Decimal:
    """Units of a currency for one of the company's; 1 for its own."""
    row = company.table("TblCurrency").get(currency)
    return amount_of(row, "SellExchangeRate") if row is not None else Decimal(1)


def _allocate(
    company: Company,
    options: Options,
    draft: Draft,
    section: Section,
    stock: Row,
    warehouse: str,
    uom: str,
    ordered: Decimal,
) -> Row:
    """Ship and back order quantity, with what earlier lines of the same order took."""
    action = section.text("AllocationAction") or options.allocation
    if options["TypeOfOrder"] == "FWD" or booking.goes_to_back_order(stock):
        action = "B"
    place = (text_of(stock, "StockCode"), warehouse)
    units = booking.stocking_units(stock, uom) or Decimal(1)
    free = max(ZERO, booking.available(company, *place) - draft.taken.get(place, ZERO)) / units
    if whole_of(stock, "Decimals") == 0:
        free = Decimal(int(free))
    ship, back = booking.split(ordered, free, action)
    draft.taken[place] = draft.taken.get(place, ZERO) + ship * units
    return {"MOrderQty": ordered, "MShipQty": ship, "MBackOrderQty": back, "MStockQtyToShp": ship * units}


# -- lines that are there already --------------------------------------------------------------------------------------


def _check_existing(company: Company, options: Options, draft: Draft, line: Line) -> None:
    """C and D name the real SYSPRO line (section 9.3)."""
    section, order = line.section, draft.order
    if order is None:
        return
    number = section.amount("CustomerPoLine")
    if number is None:
        _needed(section, "CustomerPoLine")
        return
    shown = company.shown(text_of(order, "SalesOrder"))
    line.existing = company.table("SorDetail").get(text_of(order, "SalesOrder"), f"{int(number):04d}")
    if line.existing is None:
        section.refuse("line", "CustomerPoLine", int(number), shown)
    elif text_of(line.existing, "LineType") not in fields.LINE_TYPES[line.kind]:
        section.refuse("line_type", "CustomerPoLine", int(number), shown)
    elif (code := section.text("StockCode")) and code != line.existing["MStockCode"]:
        section.refuse("line_stock", "StockCode", code, int(number), shown)
    elif line.existing["MCompleteFlag"] == "Y":
        section.refuse("status", "CustomerPoLine", shown, "line complete", "changed")
    elif line.action == "C":
        _changes(company, options, line, line.existing)


def _changes(company: Company, options: Options, line: Line, existing: Row) -> None:
    section = line.section
    stock = company.table("InvMaster").get(text_of(existing, "MStockCode"))
    if line.kind == "StockLine":
        _changed_stock(options, line, existing, stock)
        return
    renamed = {
        "Comment": "NComment",
        "CommentType": "NCommentType",
        "MiscDescription": "NComment",
        "MiscChargeValue": "NMscChargeValue",
        "MiscChargeCost": "NMscChargeCost",
        "MiscQuantity": "NMscChargeQty",
        "MiscProductClass": "NMscProductCls",
        "MiscTaxCode": "NMscTaxCode",
        "FreightValue": "NMscChargeValue",
        "FreightCost": "NMscChargeCost",
        "FreightTaxCode": "NMscTaxCode",
    }
    for name, column in renamed.items():
        if name in section.values:
            line.row[column] = "" if section.values[name] == BLANK else section.values[name]


def _changed_stock(options: Options, line: Line, existing: Row, stock: Row | None) -> None:
    section = line.section
    uom = section.text("OrderUom")
    if uom and stock is not None and booking.stocking_units(stock, uom) is None:
        section.refuse("uom", "OrderUom", uom, stock["StockCode"])
    elif uom:
        line.row["MOrderUom"] = uom
    if "OrderQty" in section.values or any(found.field == "OrderQty" for found in section.problems):
        ordered = _quantity(section, stock)
        if ordered is not None:
            line.row["MOrderQty"] = ordered
    price = section.amount("Price")
    if price is not None and not section.text("PriceUom"):
        _needed(section, "PriceUom")
    if price is not None and uses_entered_price(options, section):
        if price == 0 and not options.on("AllowChangeToZeroPrice"):
            section.refuse("zero_price", "Price", existing["MStockCode"])
        line.row |= {"MPrice": price, "MPriceUom": section.text("PriceUom")}
    if options.on("UseStockDescSupplied") and section.text("StockDescription"):
        line.row["MStockDes"] = section.text("StockDescription")
    line.row |= {column: value for column, value in _common(section).items() if value not in (None, "")}
