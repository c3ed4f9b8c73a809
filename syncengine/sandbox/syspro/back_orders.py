"""SORTBO: releases back orders and changes ship quantities. Source: syspro-transport.md 10.3, and the vendor's 7.0 schema.

An item changes one stocked line: Quantity (in the stocking unit) goes from back order to ship; with ReleaseFromShip Y it is
the new ship quantity, with ZeroShipQuantity Y that is 0, and what is less goes to back order. ReleaseFromMultipleLines Y
releases the lines of a stock code in a warehouse from the first on. ValidateOnly defaults to Y. Texts of refusals are not
public. Assumed: ReleaseFromShip cannot raise a ship quantity. Not simulated: ActualShipQty, units, pieces, lots, bins, serials.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.items import Checked, ItemOptions, process
from syncengine.sandbox.syspro.posts import find_line, find_order, refuse_status, replied, text
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.texts import problem
from syncengine.sandbox.syspro.xmlout import Node

_ZERO = Decimal(0)
_REFUSED = ("0", "9", "F", "S")


@dataclass(frozen=True, slots=True)
class _Wish:
    """One item: its options, and its quantity in the stocking unit."""

    status: str
    quantity: Decimal
    from_ship: bool
    to_zero: bool
    completes: bool
    adjusts: bool


def sortbo(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Transaction/Post SORTBO."""
    options = ItemOptions.of(params, apply="Y", validate="Y")
    done = process(document, options, lambda item: _check(company, item))
    return replied(company, session, "PostSorBackOrderRelease", done.items, done.invalid)


def _check(company: Company, item: Element) -> Checked:
    outcome = Checked()
    order = find_order(company, item, outcome)
    if order is None:
        return outcome
    if booking.is_cancelled(order) or order["OrderStatus"] in _REFUSED:
        refuse_status(outcome, company, order, "released")
        return outcome
    wish = _wish(item, outcome)
    if wish is None:
        return outcome
    _check_options(company, order, wish, outcome)
    lines = _lines(company, order, item, wish, outcome)
    if outcome.problems:
        return outcome
    first = lines[0][0]
    shown = company.shown(text_of(order, "SalesOrder"))
    outcome.key = [Node("Key", [Node("SalesOrder", shown), Node("SalesOrderLine", f"{first['SalesOrderLine']:0>4}")])]

    def apply() -> list[Node]:
        for line, quantity in lines:
            _change(company, line, quantity, wish)
        if wish.status == "8" or (wish.status == "3" and order["OrderStatus"] != "4"):
            booking.set_status(company, order, wish.status)
        return outcome.key

    outcome.apply = apply
    return outcome


def _wish(item: Element, outcome: Checked) -> _Wish | None:
    def is_on(name: str) -> bool:
        return text(item, name).upper() == "Y"

    given = text(item, "Quantity").replace(",", "")
    if not given.replace(".", "", 1).isdigit():
        outcome.problems.append(problem("100031", "Quantity", given, "Quantity"))
        return None
    return _Wish(
        text(item, "OrderStatus"),
        Decimal(given),
        is_on("ReleaseFromShip"),
        is_on("ZeroShipQuantity"),
        is_on("CompleteLine"),
        is_on("AdjustOrderQuantity"),
    )


def _check_options(company: Company, order: Row, wish: _Wish, outcome: Checked) -> None:
    """What goes with what; an option by itself is harmless."""

    def refuse(name: str, value: str) -> None:
        outcome.problems.append(problem("bad_value", name, value, value, name))

    if wish.status not in ("3", "8", "N") or (wish.from_ship and not wish.to_zero and wish.status != "8"):
        refuse("OrderStatus", wish.status)
    if wish.to_zero and not wish.from_ship:
        refuse("ReleaseFromShip", "N")
    if wish.to_zero and wish.quantity:
        refuse("Quantity", str(wish.quantity))
    may_change = wish.status == "8" and company.switches.on("syspro_warehouse_quantities")
    if order["OrderStatus"] == "4" and not may_change:
        refuse_status(outcome, company, order, "released")


def _lines(company: Company, order: Row, item: Element, wish: _Wish, outcome: Checked) -> list[tuple[Row, Decimal]]:
    """The lines to change, each with its quantity in the order unit."""
    if text(item, "ReleaseFromMultipleLines").upper() == "Y":
        return _all_lines(company, order, item, wish, outcome)
    line = find_line(company, order, text(item, "SalesOrderLine") or "0", outcome)
    if line is None:
        return []
    quantity, shown = wish.quantity / _units(company, line), company.shown(text_of(order, "SalesOrder"))
    if line["LineType"] != "1":
        outcome.problems.append(problem("line_type", "SalesOrderLine", "", line["SalesOrderLine"], shown))
    most = amount_of(line, "MShipQty" if wish.from_ship else "MBackOrderQty")
    if quantity > most and not (wish.adjusts and not wish.from_ship):
        given = str(wish.quantity)
        outcome.problems.append(problem("release", "Quantity", given, shown, line["SalesOrderLine"], given))
    return [(line, quantity)]


def _all_lines(company: Company, order: Row, item: Element, wish: _Wish, outcome: Checked) -> list[tuple[Row, Decimal]]:
    code, warehouse = text(item, "StockCode"), text(item, "Warehouse")
    found, left = [], wish.quantity
    for line in company.lines(order):
        if (line["MStockCode"], line["MWarehouse"]) == (code, warehouse):
            units = _units(company, line)
            taken = min(left, amount_of(line, "MBackOrderQty") * units)
            left -= taken
            found.append((line, taken / units))
    if left or not found or wish.from_ship:
        shown = company.shown(text_of(order, "SalesOrder"))
        outcome.problems.append(problem("release", "Quantity", str(wish.quantity), shown, code, wish.quantity))
    return found


def _change(company: Company, line: Row, quantity: Decimal, wish: _Wish) -> None:
    ship, back = amount_of(line, "MShipQty"), amount_of(line, "MBackOrderQty")
    ordered = amount_of(line, "MOrderQty") + max(
        _ZERO, quantity - back if wish.adjusts and not wish.from_ship else _ZERO
    )
    if wish.from_ship:
        ship, back = quantity, back + ship - quantity
    else:
        ship, back = ship + quantity, max(_ZERO, back - quantity)
    back = _ZERO if wish.completes else back
    booking.change_line(
        company,
        line,
        MOrderQty=ordered,
        MShipQty=ship,
        MBackOrderQty=back,
        MStockQtyToShp=ship * _units(company, line),
    )


def _units(company: Company, line: Row) -> Decimal:
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    found = booking.stocking_units(stock, text_of(line, "MOrderUom")) if stock is not None else None
    return found or Decimal(1)
