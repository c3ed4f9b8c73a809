"""SYSPRO's kinds of objects, one module each. A new one is registered by one line here."""

from syncengine.connectors.base import registered
from syncengine.connectors.syspro.resources.source import SysproSource

RESOURCES = registered(
    __name__,
    SysproSource,
    "sales_order.SalesOrder",
    "customer.Customer",
    "stock_code.StockCode",
    "booked_order.BookedOrder",
    "stock_level.StockLevel",
    "order_lines.OrderLines",
    "order_progress.OrderProgress",
    "dispatch_note.DispatchNote",
    "direct_shipment.DirectShipment",
)
