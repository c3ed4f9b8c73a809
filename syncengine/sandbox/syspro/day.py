"""What SYSPRO's people do in a day: goods arrive, orders are shipped, whole or in part, and invoiced.

The demo, tests and the control API use it, so that invoiced and part-invoiced orders exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.dispatch import notes
from syncengine.sandbox.syspro.inventory.movements import Movement, move
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, integer_of, text_of

ZERO = Decimal(0)
_SHIPPED_FROM = ("1", "2", "3", "4", "8")
_DISPATCHED_FROM = ("1", "2", "3")


@dataclass(slots=True)
class Day:
    """What was done: the invoices, the dispatch notes, and the numbers of orders that still have back orders."""

    invoices: list[Row] = field(default_factory=list)
    notes: list[Row] = field(default_factory=list)
    in_part: list[str] = field(default_factory=list)


def work(company: Company, orders: list[Row], every_in_part: int = 0, *, dispatches: bool = False) -> Day:
    """Ship and invoice these orders; those that are cancelled, held or complete are left.

    Args:
        every_in_part: every n-th order, by position, ships about half of what is open and back-orders the rest; 0: none does.
            An order that has an invoice or a dispatch note already is shipped to its end.
        dispatches: whether they make dispatch notes, which are ready for an invoice, instead of invoices.
    """
    done = Day()
    with company.as_person():
        for position, order in enumerate(orders, start=1):
            if booking.is_cancelled(order) or order["OrderStatus"] not in _SHIPPED_FROM:
                continue
            is_first = not order["LastInvoice"] and not order["NumDispatches"]
            in_part = bool(every_in_part) and position % every_in_part == 0 and is_first
            quantities = _half(company, order) if in_part else _all(company, order)
            if not dispatches:
                done.invoices.append(ship(company, order, quantities))
            elif order["OrderStatus"] in _DISPATCHED_FROM and any(quantities.values()):
                done.notes.append(dispatch(company, order, quantities))
            if any(amount_of(line, "MBackOrderQty") for line in company.lines(order)):
                done.in_part.append(company.shown(text_of(order, "SalesOrder")))
    return done


def ship(company: Company, order: Row, quantities: Mapping[int, Decimal]) -> Row:
    """Ship these quantities by line number, back-order what else is open, and invoice; returns the invoice.

    Goods that are not on hand arrive first.
    """
    _pick(company, order, quantities)
    for status in ("4", "8"):
        if text_of(order, "OrderStatus") < status:
            booking.set_status(company, order, status)
    return invoicing.invoice(company, order)


def dispatch(company: Company, order: Row, quantities: Mapping[int, Decimal]) -> Row:
    """Dispatch these quantities by line number with the order's charges, and back-order what else is open; returns the note."""
    _pick(company, order, quantities)
    picked = [
        notes.Part(line, quantity) for line in _merchandise(company, order) if (quantity := amount_of(line, "MShipQty"))
    ]
    status = notes.PRINTED if company.switches.on("syspro_manual_release") else notes.TO_INVOICE
    return notes.create(
        company, notes.Draft(order, picked, status=status, values={"ActualDeliveryDate": company.today()})
    )


def _pick(company: Company, order: Row, quantities: Mapping[int, Decimal]) -> None:
    for line in _merchandise(company, order):
        is_open = _open(line)
        now = min(quantities.get(integer_of(line, "SalesOrderLine"), ZERO), is_open, key=abs)
        units = _units(company, line)
        booking.change_line(company, line, MShipQty=now, MBackOrderQty=is_open - now, MStockQtyToShp=now * units)
        _receive(company, line, now * units)


def _all(company: Company, order: Row) -> dict[int, Decimal]:
    return {integer_of(line, "SalesOrderLine"): _open(line) for line in _merchandise(company, order)}


def _half(company: Company, order: Row) -> dict[int, Decimal]:
    """Half of each line, rounded up to whole units; if no line can be split, the first line alone."""
    lines = _merchandise(company, order)
    halves = {integer_of(line, "SalesOrderLine"): _half_of(_open(line)) for line in lines}
    if halves == _all(company, order) and len(lines) > 1:
        first = integer_of(lines[0], "SalesOrderLine")
        return {first: halves[first]}
    return halves


def _half_of(quantity: Decimal) -> Decimal:
    return (quantity / 2).to_integral_value(ROUND_CEILING) if quantity > 0 else quantity


def _merchandise(company: Company, order: Row) -> list[Row]:
    return [line for line in company.lines(order) if line["LineType"] in ("1", "7") and line["MCompleteFlag"] != "Y"]


def _open(line: Row) -> Decimal:
    return amount_of(line, "MShipQty") + amount_of(line, "MBackOrderQty")


def _units(company: Company, line: Row) -> Decimal:
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    found = booking.stocking_units(stock, text_of(line, "MOrderUom")) if stock is not None else None
    return found or Decimal(1)


def _receive(company: Company, line: Row, needed: Decimal) -> None:
    code, place = text_of(line, "MStockCode"), text_of(line, "MWarehouse")
    row = company.table("InvWarehouse").get(code, place)
    if row is not None and amount_of(row, "QtyOnHand") < needed:
        move(company, Movement(code, place, needed - amount_of(row, "QtyOnHand"), "R"))
