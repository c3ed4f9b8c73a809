"""Direct invoicing, planned step by step from what the order shows. Facts: syspro-objects.md section 9, SORTBO's and SORTOS's
7.0 schemas. Nothing here calls.

SORTIC invoices all that can be shipped, so a shipment's quantities are set first, never added to what may be there. Where all
of them are on ship quantity, SORTBO lowers the lines once the order is marked; otherwise it zeroes all lines before, and
releases the shipment after. The mark, SORTOS's DeliveryNoteNumber, tells an interrupted shipment from somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from syncengine.connectors.syspro.back_order_items import TO_INVOICE, OpenLine, lowered, released, zeroed
from syncengine.document import Doc
from syncengine.errors import Rejected

IN_WAREHOUSE = "4"
"""The order's delivery note is printed, or entered."""


class Step(StrEnum):
    """The business object of a step."""

    RELEASE = "SORTBO"
    MARK = "SORTOS"
    INVOICE = "SORTIC"


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as it was read. is_fresh: a moment ago, by this write; else lines may have changed since."""

    order: str
    status: str
    delivery_note: str
    lines: Mapping[str, OpenLine]
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Shipment:
    """What leaves. mark: the delivery note's number. on: its date. quantities: by line of the order, in its unit."""

    mark: str
    on: str
    quantities: Mapping[str, Decimal]


def steps(state: OrderState, shipment: Shipment, marks_with: str) -> list[tuple[Step, list[Doc]]]:
    """What is still to be done, each step with its items. marks_with: the status with which SORTOS takes the number.

    Raises:
        Rejected: the order cannot be shipped so.
    """
    _check(state, shipment)
    invoice = (Step.INVOICE, [{"SalesOrder": state.order}])
    if state.delivery_note == shipment.mark and state.status in (IN_WAREHOUSE, TO_INVOICE):
        return [*_prepared(state, shipment, state.status), invoice]
    if state.status in (IN_WAREHOUSE, TO_INVOICE):
        raise Rejected(
            field="OrderStatus",
            value=state.status,
            reason=f"order {state.order} is about to be invoiced, with delivery note {state.delivery_note or 'none'}",
            remedy="Invoice it in SYSPRO, or set it back to status 1 or 2, then retry",
        )
    if all(state.lines[number].ship >= quantity for number, quantity in shipment.quantities.items()):
        mark = (Step.MARK, [_mark(state, shipment, marks_with, expected=state.status)])
        return [mark, *_prepared(state, shipment, marks_with), invoice]
    zero = [zeroed(state.order, line) for line in state.lines.values() if _may_ship(state, line)]
    picked = [
        released(state.order, state.lines[number], quantity, TO_INVOICE)
        for number, quantity in shipment.quantities.items()
    ]
    mark = (Step.MARK, [_mark(state, shipment, marks_with)])
    return [*([(Step.RELEASE, zero)] if zero else []), mark, (Step.RELEASE, picked), invoice]


def _check(state: OrderState, shipment: Shipment) -> None:
    for number, quantity in shipment.quantities.items():
        line = state.lines.get(number)
        most = Decimal(0) if line is None else line.ship + line.back
        if quantity > most:
            raise Rejected(
                field="MerchandiseLine.DispatchQty",
                value=str(quantity),
                reason=f"line {number} of order {state.order} has {most:f} left to ship",
                remedy="Correct the order in SYSPRO, or the shipment, then retry",
            )


def _may_ship(state: OrderState, line: OpenLine) -> bool:
    """Whether a line has a ship quantity, or may have got one from its back order since it was read."""
    return line.ship > 0 or (not state.is_fresh and line.back > 0)


def _prepared(state: OrderState, shipment: Shipment, status: str) -> list[tuple[Step, list[Doc]]]:
    """What gives a marked order of this status its quantities and the status to invoice; nothing if it has both."""
    if items := _items(state, shipment, with_equal=status != TO_INVOICE or not state.is_fresh):
        return [(Step.RELEASE, items)]
    change = {"SalesOrder": state.order, "OrderStatus": status, "NewOrderStatus": TO_INVOICE}
    return [] if status == TO_INVOICE else [(Step.MARK, [change])]


def _items(state: OrderState, shipment: Shipment, *, with_equal: bool) -> list[Doc]:
    """What gives lines their quantities for the invoice. with_equal: also lines that have them."""
    items = []
    for number, line in state.lines.items():
        quantity = shipment.quantities.get(number)
        if quantity is None:
            if _may_ship(state, line):
                items.append(zeroed(state.order, line, TO_INVOICE))
        elif quantity > line.ship:
            items.append(released(state.order, line, quantity - line.ship, TO_INVOICE))
        elif quantity < line.ship or (with_equal and line.is_stocked):
            items.append(lowered(state.order, line, quantity))
    return items


def _mark(state: OrderState, shipment: Shipment, status: str, expected: str = "") -> Doc:
    """expected: the status that SYSPRO must find, else it refuses; empty where a step before may have changed it."""
    printed = {"DateDeliveryNotePrinted": shipment.on} if shipment.on else {}
    return {
        "SalesOrder": state.order,
        "OrderStatus": expected,
        "NewOrderStatus": status,
        "DeliveryNoteNumber": shipment.mark,
        **printed,
    }
