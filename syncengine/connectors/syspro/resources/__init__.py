"""The kinds of objects that the engine reads and writes in SYSPRO, over whichever gateway the endpoint has."""

from syncengine.connectors.syspro.resources.customer import Customer
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.resources.stock_code import StockCode

__all__ = ["Customer", "SalesOrder", "StockCode"]
