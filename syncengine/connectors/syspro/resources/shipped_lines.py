"""What a shipment's document says of order lines: of which, how much, and what they had to ship when they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from syncengine.connectors.syspro.back_order_items import OpenLine
from syncengine.connectors.syspro.order_balance import MERCHANDISE, STOCKED
from syncengine.connectors.syspro.values import decimal_of
from syncengine.document import LINE_KEY, Doc
from syncengine.errors import Rejected


def shipped_quantities(doc: Doc) -> dict[str, Decimal]:
    """What a document ships, by line of the order.

    Raises:
        Rejected: it ships nothing, 0 of a line, or a line without a number.
    """
    found: dict[str, Decimal] = {}
    for line in doc.get("MerchandiseLine") or ():
        number, quantity = line_number(line), decimal_of(str(line.get("DispatchQty") or 0))
        if quantity <= 0:
            raise Rejected(
                field="MerchandiseLine.DispatchQty",
                value=str(quantity),
                reason="SYSPRO takes 0 for the full quantity",
                remedy="Leave out lines of which nothing is shipped",
            )
        found[number] = found.get(number, Decimal(0)) + quantity
    if not found:
        raise Rejected(field="MerchandiseLine", value="", reason="it has no lines", remedy="Ship something, or skip it")
    return found


def line_number(line: Mapping[str, Any]) -> str:
    """The number of a shipment's order line. Raises Rejected if it has none."""
    given = str(line.get("SalesOrderLine") or "").strip()
    if not given.isdecimal():
        raise Rejected(
            field="MerchandiseLine.SalesOrderLine",
            value=given,
            reason=f"it is not the number of an order line ({line.get(LINE_KEY, 'no key')})",
            remedy="Wait until the line is linked, or link it",
        )
    return str(int(given))


def open_line(line: Mapping[str, Any]) -> OpenLine:
    """A line of `order_lines` as what can be shipped of it."""
    factor = line.get("UnitFactor")
    return OpenLine(
        str(line["SalesOrderLine"]),
        decimal_of(str(line["ShipQty"])),
        decimal_of(str(line["BackOrderQty"])),
        decimal_of(str(factor)) if factor else None,
        line.get("LineType", STOCKED) == STOCKED,
    )


def open_lines(lines: Iterable[Mapping[str, Any]]) -> dict[str, OpenLine]:
    """The lines with goods of an order as `order_lines` reads it, by number."""
    return {str(line["SalesOrderLine"]): open_line(line) for line in lines if line.get("LineType") in MERCHANDISE}
