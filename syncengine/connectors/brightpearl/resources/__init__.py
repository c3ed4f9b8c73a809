"""Brightpearl's kinds of objects, one module each. A new one is registered by one line here."""

from syncengine.connectors.base import registered

RESOURCES = registered(
    __name__,
    "sales_order.SalesOrder",
    "contact.Contact",
    "postal_address.PostalAddress",
    "product.Product",
)
