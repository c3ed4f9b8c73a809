"""What happens to stock and orders when they are booked: allocation, values, status, cancellation, invoicing.

Ship quantity allocates stock, back order quantity does not; ship + back order + dispatched is what is still open of a
line (syspro-transport.md section 10.3, syspro-objects.md section 11).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, amount_of, integer_of, text_of
from syncengine.sandbox.syspro.xmlout import rounded

ZERO = Decimal(0)

STATUS_TEXTS = {
    "0": "In process",
    "1": "Open order",
    "2": "Open back order",
    "3": "Released back order",
    "4": "In warehouse",
    "8": "To invoice",
    "9": "Complete",
    "F": "Forward order",
    "S": "In suspense",
    "*": "Cancelled during entry",
    "\\": "Cancelled",
}
CANCELLED = ("*", "\\", "/")
OPEN = ("1", "2", "3", "F", "S")


def is_cancelled(order: Row) -> bool:
    """Whether the order is cancelled."""
    return order["OrderStatus"] in CANCELLED or order["CancelledFlag"] == "Y"


def may_change(company: Company, order: Row) -> bool:
    """Whether lines may be changed or the order cancelled; in status 4 only if the switch allows it."""
    if is_cancelled(order):
        return False
    if order["OrderStatus"] == "4":
        return company.switches.text("syspro_warehouse_orders") == "allow"
    return order["OrderStatus"] in OPEN


def stocking_units(stock: Row, uom: str) -> Decimal | None:
    """How many stocking units this unit holds; None if the stock code does not have it.

    Write-ups differ on the direction of the factor; here `D` means that one alternate unit holds `factor` stocking units.
    """
    if uom == stock["StockUom"]:
        return Decimal(1)
    for unit, factor, direction in (
        ("AlternateUom", "ConvFactAltUom", "ConvMulDiv"),
        ("OtherUom", "ConvFactOthUom", "MulDiv"),
    ):
        if uom == stock[unit]:
            amount = amount_of(stock, factor) or Decimal(1)
            return amount if stock[direction] == "D" else 1 / amount
    return None


def goes_to_back_order(stock: Row) -> bool:
    """Kits, lot-traced and serialised items are back-ordered whatever the stock (section 9.3)."""
    return stock["KitType"] == "K" or stock["TraceableType"] in ("T", "I") or stock["SerialMethod"] in ("M", "B")


def available(company: Company, stock_code: str, warehouse: str) -> Decimal:
    """On hand less what is allocated, in stocking units; never below zero."""
    row = company.table("InvWarehouse").get(stock_code, warehouse)
    if row is None:
        return ZERO
    return max(ZERO, amount_of(row, "QtyOnHand") - amount_of(row, "QtyAllocated") - amount_of(row, "QtyAllocatedWip"))


def split(ordered: Decimal, free: Decimal, action: str) -> tuple[Decimal, Decimal]:
    """Ship and back order quantity of a line: F all or nothing, A what is available, B nothing (section 9.1)."""
    ship = {"F": ordered if free >= ordered else ZERO, "A": min(ordered, free), "B": ZERO}[action]
    return ship, ordered - ship


def line_value(line: Row, share: Decimal = Decimal(1)) -> Decimal:
    """A line's value in the order's currency: quantity x price, less the percentages in turn, less the discount value.

    `share`: the part of the ordered quantity that counts; a charge always counts as a whole.
    """
    if line["LineType"] in ("4", "5"):
        return amount_of(line, "NMscChargeValue")
    if line["LineType"] == "6":
        return ZERO
    quantity = amount_of(line, "MOrderQty")
    value = quantity * amount_of(line, "MPrice") * units_ratio(line)
    for percent in ("MDiscPct1", "MDiscPct2", "MDiscPct3"):
        value *= 1 - amount_of(line, percent) / 100
    discount = amount_of(line, "MDiscValue") * (quantity if line["MDiscValFlag"] == "U" else 1)
    return rounded((value - discount) * share, 2)


def units_ratio(line: Row) -> Decimal:
    """How many price units one order unit is; the sandbox keeps it with the line."""
    ratio = line.get("_price_ratio")
    return ratio if isinstance(ratio, Decimal) else Decimal(1)


def order_value(company: Company, order: Row) -> Decimal:
    """Value of all lines, before the order's own discounts and tax."""
    return sum((line_value(line) for line in company.lines(order)), ZERO)


def outstanding(company: Company, customer: str) -> Decimal:
    """Value of a customer's open orders (`OutstOrdVal`)."""
    orders = company.table("SorMaster").by("Customer", customer)
    return sum((order_value(company, o) for o in orders if not is_cancelled(o) and o["OrderStatus"] != "9"), ZERO)


def reserve(company: Company, line: Row, sign: int) -> None:
    """Add a line's ship and back order quantity to the warehouse's figures (`sign` 1), or take them off (-1)."""
    row = company.table("InvWarehouse").get(text_of(line, "MStockCode"), text_of(line, "MWarehouse"))
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    if row is None or stock is None or line["LineType"] != "1":
        return
    units = stocking_units(stock, text_of(line, "MOrderUom")) or Decimal(1)
    company.table("InvWarehouse").update(
        row,
        QtyAllocated=amount_of(row, "QtyAllocated") + sign * amount_of(line, "MShipQty") * units,
        QtyOnBackOrder=amount_of(row, "QtyOnBackOrder") + sign * amount_of(line, "MBackOrderQty") * units,
    )


def add_line(company: Company, order: Row, **values: Value) -> Row:
    """Add a line under SYSPRO's next line number, which is never reused, and reserve its stock."""
    number = integer_of(order, "NextDetailLine")
    row: Row = {**values, "SalesOrder": order["SalesOrder"], "SalesOrderLine": number, "SalesOrderInitLine": number}
    line = company.table("SorDetail").insert(**row)
    company.table("SorMaster").update(order, NextDetailLine=number + 1)
    reserve(company, line, 1)
    return line


def change_line(company: Company, line: Row, **values: Value) -> None:
    """Change a line; its stock is released and reserved again."""
    reserve(company, line, -1)
    company.table("SorDetail").update(line, **values)
    reserve(company, line, 1)


def remove_line(company: Company, line: Row, *, complete: bool = False) -> None:
    """Cancel a line: it leaves the order, or stays, marked complete."""
    reserve(company, line, -1)
    if complete:
        company.table("SorDetail").update(
            line, MShipQty=ZERO, MBackOrderQty=ZERO, MStockQtyToShp=ZERO, MCompleteFlag="Y"
        )
    else:
        company.table("SorDetail").delete(line)


def quantities(company: Company, line: Row, ordered: Decimal, action: str) -> Row:
    """The quantities of a line if it ordered this much; its own allocation counts as free. Nothing is changed.

    What is already invoiced or dispatched is no longer open.
    """
    no_longer_open = amount_of(line, "MOrderQty") - amount_of(line, "MShipQty") - amount_of(line, "MBackOrderQty")
    still_open = max(ZERO, ordered - no_longer_open) if ordered > 0 else ordered
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    if stock is None or line["LineType"] != "1":
        return {"MOrderQty": ordered, "MShipQty": still_open, "MBackOrderQty": ZERO, "MStockQtyToShp": still_open}
    units = stocking_units(stock, text_of(line, "MOrderUom")) or Decimal(1)
    free = available(company, text_of(line, "MStockCode"), text_of(line, "MWarehouse")) / units
    free += amount_of(line, "MShipQty")
    ship, back = split(still_open, free, "B" if ordered < 0 or goes_to_back_order(stock) else action)
    return {"MOrderQty": ordered, "MShipQty": ship, "MBackOrderQty": back, "MStockQtyToShp": ship * units}


def cancel_order(company: Company, order: Row, reason: str = "") -> None:
    """Cancel a whole order: its stock is released, its lines stay readable."""
    for line in company.lines(order):
        reserve(company, line, -1)
        company.table("SorDetail").update(line, MShipQty=ZERO, MBackOrderQty=ZERO, MStockQtyToShp=ZERO)
    company.table("SorMaster").update(order, OrderStatus="\\", CancelledFlag="Y", ActiveFlag="N", ReasonCode=reason)
    company.order_effect("cancelled", order)


def set_status(
    company: Company, order: Row, status: str, *, delivery_note: str = "", delivered_on: date | None = None
) -> None:
    """Set an order's status; in the warehouse it gets its delivery note, with the order's number if none is given."""
    values: Row = {"OrderStatus": status, "ActiveFlag": "N" if status == "9" else "Y"}
    if status == "4" or delivery_note:
        note, day = delivery_note or company.shown(text_of(order, "SalesOrder")), delivered_on or company.today()
        values |= {"DeliveryNote": note, "LastDelNote": day, "DateLastDocPrt": company.today()}
    company.table("SorMaster").update(order, **values)
    company.order_effect("changed", order, status=status)


def update_back_order_status(company: Company, order: Row) -> None:
    """Set an open order to status 1 or 2, depending on whether anything can be shipped now."""
    if order["OrderStatus"] in ("1", "2"):
        status = opening_status(company, company.lines(order))
        if status != order["OrderStatus"]:
            company.table("SorMaster").update(order, OrderStatus=status)


def opening_status(company: Company, lines: list[Row]) -> str:
    """1, or the status of an order that is entirely on back order (2; inferred, a switch)."""
    stocked = [line for line in lines if line["LineType"] in ("1", "7")]
    all_back = bool(stocked) and all(not line.get("MShipQty") and line.get("MBackOrderQty") for line in stocked)
    return company.switches.text("syspro_back_order_status") if all_back else "1"
