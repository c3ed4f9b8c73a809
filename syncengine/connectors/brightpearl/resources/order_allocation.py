"""What an order has allocated in Brightpearl, by row: its reservation, and its goods-out notes that are not shipped yet.

Both hold stock back (onHand is inStock less allocated). Facts: brightpearl.md sections 14.3 and 14.4.
"""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from syncengine.connectors.brightpearl.resources.goods_out_note import GoodsOutNote
from syncengine.connectors.brightpearl.resources.reservation import Reservation
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Rows, Whole
from syncengine.document import Doc

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway


class AllocatedRow(Document):
    """What is allocated to a row of the order in one warehouse."""

    productId = Whole()
    warehouseId = Whole()
    quantity = Whole()


class OrderAllocationSchema(Document):
    """What one order has allocated."""

    orderId = Whole(required=True, allow_none=False)
    rows = Rows(AllocatedRow, "id")


class OrderAllocation(BrightpearlSource):
    """By order id; an order that has allocated nothing is absent. There is no feed."""

    name = "brightpearl.order_allocation"
    schema = OrderAllocationSchema
    path = "warehouse-service/order"
    id_field = "orderId"
    required_fields = ("orderId",)
    field_notes = {"rows": "by order row id and warehouse; reserved, or on a goods-out note that is not shipped"}

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._reservations, self._notes = Reservation(gateway), GoodsOutNote(gateway)
        self.most_per_read = self._reservations.most_per_read

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Allocations by order id: a read of the reservations, and one of the notes of 500 orders."""
        reserved = self._reservations.read(keys)
        notes = self._notes.of_orders(keys)
        found: dict[str, Doc] = {}
        for key in keys:
            rows: dict[str, Doc] = {}
            _add(rows, reserved.get(key, {}))
            for note in notes.get(key, ()):
                if not (note.get("status") or {}).get("shipped"):
                    _add(rows, note)
            if rows:
                found[key] = {"orderId": int(key), "rows": rows}
        return found


def _add(rows: dict[str, Doc], given: Doc) -> None:
    """Add the quantities of a reservation or a note, whose rows are one piece or several, to those by row id and warehouse."""
    warehouse_id, by_row = given.get("warehouseId"), given.get("orderRows") or {}
    for row_id, pieces in by_row.items():
        for piece in pieces if isinstance(pieces, list) else [pieces]:
            name = f"{row_id}/{warehouse_id}"
            before = rows.get(name, {"quantity": 0})["quantity"]
            rows[name] = {
                "productId": piece.get("productId"),
                "warehouseId": warehouse_id,
                "quantity": before + int(piece.get("quantity") or 0),
            }
