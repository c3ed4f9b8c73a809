"""INVQRY: one stock code with all its warehouses. Source: syspro-objects.md section 4.2, `invqry_xmlout.xml`.

Dates among LastActivityDates are written yyyy/MM/dd, all others yyyy-MM-dd; quantities have an `Edited_` twin. Widths are those
of the recording: 20 for each quantity, 17 for costs and prices (the example file has some of them one short).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, amount_of, integer_of, text_of
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlout import Node, Style, Writer

_ZERO = Decimal(0)
_DESCRIPTIONS = {
    "PartCategory": {"B": "Bought-out", "M": "Made-in", "K": "Kit"},
    "TraceableType": {"N": "Not traceable", "T": "Traceable", "I": "Traceable with inspection"},
    "SerialMethod": {"N": "None", "M": "Manual", "B": "Batch"},
    "KitType": {"N": "Not applicable", "K": "Kit"},
}


def invqry(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """A stock code; an unknown one fails the call (its text there is not public)."""
    code = (document.findtext("Key/StockCode") or "").strip()
    stock = company.table("InvMaster").get(code)
    if stock is None:
        raise EnetError(f"Stock code '{code}' not found")
    style = company.style(session)
    rows = [row for row in company.table("InvWarehouse").by("StockCode", code) if _is_wanted(row, document)]
    nodes = [_item(company, style, stock), *(_warehouse(company, style, row) for row in rows), _totals(style, rows)]
    return style.document("InvQuery", nodes)


def _is_wanted(row: Row, document: Element) -> bool:
    wanted = document.find("Filter/Warehouse")
    if wanted is None or wanted.get("FilterType", "A").upper() == "A":
        return True
    return row["Warehouse"] in [code.strip() for code in wanted.get("FilterValue", "").split(",")]


def _item(company: Company, style: Style, stock: Row) -> Node:
    writer = Writer(style)
    for name in ("StockCode", "Description", "LongDesc"):
        writer.put(name, stock[name])
    writer.number("Decimals", integer_of(stock, "Decimals"), 16, 0)
    for name in ("AlternateKey1", "AlternateKey2"):
        writer.put(name, stock[name])
    writer.put("Version")
    writer.put("Release")
    writer.put("StockUom", stock["StockUom"])
    for unit, factor, direction in (
        ("AlternateUom", "ConvFactAltUom", "ConvMulDiv"),
        ("OtherUom", "ConvFactOthUom", "MulDiv"),
    ):
        writer.put(unit, stock[unit])
        writer.number(factor, amount_of(stock, factor), 13, 6)
        writer.put(direction, stock[direction])
    _coded(writer, stock, "PartCategory")
    for name in ("Supplier", "ProductClass"):
        writer.put(name, stock[name])
    writer.put("ProductClassDesc", text_of(stock, "ProductClass"))
    _coded(writer, stock, "TraceableType")
    writer.put("WarehouseToUse", stock["WarehouseToUse"])
    control = company.table("InvWhControl").get(text_of(stock, "WarehouseToUse"))
    writer.put("WarehouseToUseDesc", control["Description"] if control else "")
    writer.put("DateStockAdded", stock["DateStkAdded"])
    writer.number("Mass", amount_of(stock, "Mass"), 20, 6)
    writer.number("Volume", amount_of(stock, "Volume"), 20, 6)
    writer.put("TaxCode", stock["TaxCode"])
    writer.put("TaxCodeDesc", text_of(stock, "TaxCode"))
    writer.put("ListPriceCode", stock["ListPriceCode"])
    _coded(writer, stock, "SerialMethod")
    _coded(writer, stock, "KitType")
    writer.put("ClearingFlag", "N")
    writer.put("CostUom", stock["StockUom"])
    _price(company, writer, stock)
    for name in ("StockOnHold", "StockOnHoldDesc", "StockOnHoldReason", "StockOnHoldReasonDesc"):
        writer.put(name, stock["StockOnHold"] if name == "StockOnHold" else "")
    return Node("StockItem", writer.nodes)


def _coded(writer: Writer, stock: Row, name: str) -> None:
    writer.put(name, stock[name])
    writer.put(f"{name}Desc", _DESCRIPTIONS[name].get(text_of(stock, name), ""))


def _price(company: Company, writer: Writer, stock: Row) -> None:
    row = company.table("InvPrice").get(text_of(stock, "StockCode"), text_of(stock, "ListPriceCode"))
    price = amount_of(row, "SellingPrice") if row is not None else _ZERO
    writer.number("SellingPrice", price, 17, 5)
    writer.put("PriceBasis", row["PriceBasis"] if row is not None else "")
    writer.put("Edited_SellingPrice", writer.style.edited(price))
    writer.put("SellingPriceCurrency", company.switches.text("syspro_local_currency"))


def _quantity(writer: Writer, name: str, value: Decimal) -> None:
    """A quantity with its twin; 20 places as recorded."""
    writer.quantity(name, value, 20, twin=True)


def _free(row: Row) -> Decimal:
    """AvailableQty: on hand less allocations (likely; not recorded with allocations)."""
    return amount_of(row, "QtyOnHand") - amount_of(row, "QtyAllocated") - amount_of(row, "QtyAllocatedWip")


def _figures(row: Row) -> dict[str, Decimal]:
    names = ("QtyOnOrder", "QtyInInspection", "QtyOnBackOrder", "QtyAllocated", "QtyInTransit", "QtyAllocatedWip")
    return {
        "QtyOnHand": amount_of(row, "QtyOnHand"),
        "AvailableQty": _free(row),
        **{n: amount_of(row, n) for n in names},
    }


def _warehouse(company: Company, style: Style, row: Row) -> Node:
    writer = Writer(style)
    control = company.table("InvWhControl").get(text_of(row, "Warehouse"))
    writer.put("Warehouse", row["Warehouse"])
    writer.put("Description", control["Description"] if control else "")
    for name, value in _figures(row).items():
        if name == "QtyOnBackOrder":
            _quantity(writer, "MinimumQty", _ZERO)
            _quantity(writer, "MaximumQty", _ZERO)
        _quantity(writer, name, value)
    writer.put("DateLastSale", row["DateLastSale"])
    writer.put("DateLastCostChange", row["DateLastCostChange"])
    for name in ("DateLastCostEntered", "UserField1", "UserField2", "UserField3"):
        writer.put(name)
    writer.put("DefaultBin", row["DefaultBin"])
    writer.number("UnitCost", amount_of(row, "UnitCost"), 17, 5)
    future = _free(row) + amount_of(row, "QtyOnOrder") - amount_of(row, "QtyOnBackOrder")
    _quantity(writer, "FutureFree", future)
    _quantity(writer, "QuantityDispatchNotInvoiced", amount_of(row, "QtyDispatched"))
    writer.group("Parameters", _reorder(style, row))
    costs = Writer(style)
    costs.put("Method", "Average")
    costs.number("LastCostEntered", amount_of(row, "UnitCost"), 17, 5)
    writer.group("Costs", costs.nodes)
    writer.group("LastActivityDates", _activity(row))
    return Node("WarehouseItem", writer.nodes)


def _reorder(style: Style, row: Row) -> list[Node]:
    writer = Writer(style)
    _quantity(writer, "SafetyStockLevel", _ZERO)
    _quantity(writer, "ReOrderQuantity", _ZERO)
    writer.put("DefaultBinLocation", row["DefaultBin"])
    writer.put("ABCclassification")
    return writer.nodes


def _activity(row: Row) -> list[Node]:
    return [
        Node("DateLastStockMovement", _slashed(row["DateLastStockMove"])),
        Node("DateOfLastPurchase", _slashed(row["DateLastPurchase"])),
        Node("DateOfLastCount", _slashed(row["DateLastStockCnt"])),
        Node("DateWarehouseAdded", _slashed(row["DateWhAdded"])),
    ]


def _slashed(day: Value) -> str:
    return day.strftime("%Y/%m/%d") if isinstance(day, date) else ""


def _totals(style: Style, rows: list[Row]) -> Node:
    writer = Writer(style)
    sums: dict[str, Decimal] = {}
    for row in rows:
        for name, value in _figures(row).items():
            sums[name] = sums.get(name, _ZERO) + value
    for name, value in sums.items():
        _quantity(writer, name, value)
    return Node("WarehouseTotals", writer.nodes)
