"""Brightpearl's kinds of objects, one module each. A new one is registered by one line here."""

from syncengine.connectors.base import registered
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource

RESOURCES = registered(
    __name__,
    BrightpearlSource,
    "sales_order.SalesOrder",
    "contact.Contact",
    "postal_address.PostalAddress",
    "product.Product",
    "stock_level.StockLevel",
    "reservation.Reservation",
    "order_allocation.OrderAllocation",
    "goods_out_note.GoodsOutNote",
    "drop_ship_note.DropShipNote",
)
