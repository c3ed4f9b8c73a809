"""Brightpearl reservations: what an order has allocated, by row. Facts: reference/brightpearl.md section 14.3."""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Rows, Whole


class ReservedRow(Document):
    """A row's part of the reservation."""

    productId = Whole()
    quantity = Whole()


class ReservationSchema(Document):
    """The reservation of one order."""

    orderId = Whole(required=True, allow_none=False)
    warehouseId = Whole()
    orderRows = Rows(ReservedRow, "id")


class Reservation(BrightpearlSource):
    """Reservations by order id; an order without one is absent. There is no feed: a reservation has no time."""

    name = "brightpearl.reservation"
    schema = ReservationSchema
    path = "warehouse-service/order"
    id_field = "orderId"
    required_fields = ("orderId",)
    field_notes = {
        "warehouseId": "where it is reserved; an order has one reservation",
        "orderRows": "by order row id; goods on goods-out notes are not among them",
    }

    def query(self) -> str:
        """What follows the ids: the reservation is a part of its order."""
        return "/reservation"
