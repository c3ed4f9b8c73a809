"""Brightpearl's kinds of objects, one module each: schema, feeds, bulk reads."""

from syncengine.connectors.brightpearl.resources.contact import Contact
from syncengine.connectors.brightpearl.resources.postal_address import PostalAddress
from syncengine.connectors.brightpearl.resources.product import Product
from syncengine.connectors.brightpearl.resources.sales_order import SalesOrder

__all__ = ["Contact", "PostalAddress", "Product", "SalesOrder"]
