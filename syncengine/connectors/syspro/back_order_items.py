"""Items of SORTBO: what moves a line's quantities between back order and ship. Facts: SORTBO's 7.0 schema. Nothing here calls.

Quantities of SORTBO are in the stocking unit, those of lines and shipments in the order unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from syncengine.document import Doc
from syncengine.errors import Rejected

KEEP_STATUS, TO_INVOICE = "N", "8"


@dataclass(frozen=True, slots=True)
class OpenLine:
    """What can be shipped of a line, in its order unit. factor: stocking units in one order unit; None if it is not known."""

    number: str
    ship: Decimal
    back: Decimal
    factor: Decimal | None
    is_stocked: bool = True


def zeroed(order: str, line: OpenLine, status: str = KEEP_STATUS) -> Doc:
    """All that can be shipped goes to back order."""
    more = {"ReleaseFromShip": "Y", "ZeroShipQuantity": "Y"}
    return _item(order, line, Decimal(0), status, more)


def lowered(order: str, line: OpenLine, quantity: Decimal) -> Doc:
    """The ship quantity becomes this lower one; SORTBO takes that only with status 8."""
    return _item(order, line, quantity, TO_INVOICE, {"ReleaseFromShip": "Y", "ZeroShipQuantity": "N"})


def released(order: str, line: OpenLine, quantity: Decimal, status: str = KEEP_STATUS) -> Doc:
    """This much goes from back order to ship."""
    return _item(order, line, quantity, status, {"ReleaseFromShip": "N", "ZeroShipQuantity": "N"})


def _item(order: str, line: OpenLine, quantity: Decimal, status: str, more: Doc) -> Doc:
    if not line.is_stocked:
        raise Rejected(
            field="MerchandiseLine.SalesOrderLine",
            value=line.number,
            reason="SYSPRO releases back orders of stocked lines alone, and this line is not stocked",
            remedy="Set its ship quantity by hand in SYSPRO, then retry",
        )
    if line.factor is None and quantity:
        raise Rejected(
            field="MerchandiseLine.UnitFactor",
            value=line.number,
            reason="the line's order unit is not its stocking unit, and nothing shows how many of one are in the other",
            remedy="Release the quantity by hand in SYSPRO, or give UnitFactor in the mapping, then retry",
        )
    return {
        "SalesOrder": order,
        "Quantity": format((quantity * (line.factor or 1)).normalize(), "f"),
        "ReleaseFromMultipleLines": "N",
        "SalesOrderLine": line.number,
        "CompleteLine": "N",
        "AdjustOrderQuantity": "N",
        "OrderStatus": status,
        **more,
        "AllocateSerialNumbers": "N",
    }
