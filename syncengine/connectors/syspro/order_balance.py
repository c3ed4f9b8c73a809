"""What is open of sales orders, by line: SorMaster and SorDetail, read by COMFND for many orders at once.

Facts: syspro-transport.md section 10, syspro-objects.md section 11: ordered is invoiced + to ship + on back order + dispatched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from syncengine.connectors.syspro import order_numbers
from syncengine.connectors.syspro.find import uncut_rows_where
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.values import decimal_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

MASTER = (
    "SalesOrder", "CustomerPoNumber", "Customer", "OrderStatus", "CancelledFlag", "Warehouse", "DeliveryNote",
    "LastInvoice", "NumDispatches",
)  # fmt: skip
DETAIL = (
    "SalesOrder", "SalesOrderLine", "LineType", "MStockCode", "MStockDes", "MWarehouse", "MOrderUom", "MStockingUom",
    "MOrderQty", "MShipQty", "MBackOrderQty", "MQtyDispatched", "MStockQtyToShp",
)  # fmt: skip
STOCKED, NON_STOCKED = "1", "7"
MERCHANDISE = (STOCKED, NON_STOCKED)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderReader:
    """Reads orders and their lines. has_numeric_keys: orders are stored as 15 digits."""

    gateway: Gateway
    settings: Settings
    has_numeric_keys: bool

    def read(self, keys: Sequence[str], more: Sequence[str] = ()) -> dict[str, Doc]:
        """Orders with their lines by number as SYSPRO shows it; one that does not exist is absent.

        Two COMFND for `find_at_once` orders. more: further columns of SorMaster.
        """
        stored = {self.stored(key): key for key in keys}
        masters = self.rows("SorMaster", "SalesOrder", list(stored), (*MASTER, *more))
        if not masters:
            return {}
        lines: dict[str, list[Doc]] = defaultdict(list)
        for row in self.rows(
            "SorDetail", "SalesOrder", [self.stored(text_of(row, "SalesOrder")) for row in masters], DETAIL
        ):
            lines[self.stored(text_of(row, "SalesOrder"))].append(row)
        found = {self.stored(text_of(row, "SalesOrder")): row for row in masters}
        return {
            stored[order]: self._document(row, lines[order], more) for order, row in found.items() if order in stored
        }

    def rows(self, table: str, column: str, values: Sequence[str], columns: Sequence[str]) -> list[Doc]:
        """Rows whose column has one of these values, in their stored form; columns that the site lacks are left out."""
        asked = [name for name in columns if self.settings.asks_for(table, name)]
        return uncut_rows_where(self.gateway, table, column, list(values), asked, at_once=self.settings.find_at_once)

    def stored(self, order: str) -> str:
        """The form in which tables store an order's number."""
        return order_numbers.stored(order.strip(), is_numeric=self.has_numeric_keys)

    def shown(self, order: str) -> str:
        """The form in which SYSPRO shows it, which is our key."""
        return order_numbers.shown(order, is_numeric=self.has_numeric_keys)

    def _document(self, order: Doc, lines: Sequence[Doc], more: Sequence[str]) -> Doc:
        numbered = sorted((_line(row) for row in lines), key=lambda line: int(line[LINE_NUMBER]))
        return {
            **{name: text_of(order, name) for name in (*MASTER, *more)},
            "SalesOrder": self.shown(text_of(order, "SalesOrder")),
            "Line": numbered,
        }


def _line(row: Doc) -> Doc:
    number = str(int(text_of(row, "SalesOrderLine") or 0))
    ordered, ship, back, dispatched = (
        amount(row, name) for name in ("MOrderQty", "MShipQty", "MBackOrderQty", "MQtyDispatched")
    )
    return {
        LINE_NUMBER: number,
        "SalesOrderLine": number,
        "LineType": text_of(row, "LineType"),
        "StockCode": text_of(row, "MStockCode"),
        "StockDescription": text_of(row, "MStockDes"),
        "Warehouse": text_of(row, "MWarehouse"),
        "OrderUom": text_of(row, "MOrderUom"),
        "OrderQty": str(ordered),
        "ShipQty": str(ship),
        "BackOrderQty": str(back),
        "DispatchedQty": str(dispatched),
        "OpenQty": str(ship + back),
        "InvoicedQty": str(ordered - ship - back - dispatched),
        "UnitFactor": _unit_factor(row, ship),
    }


def _unit_factor(row: Doc, ship: Decimal) -> str:
    """Stocking units in one order unit; empty where nothing shows it: the units differ and nothing is to be shipped."""
    if text_of(row, "MOrderUom") == text_of(row, "MStockingUom"):
        return "1"
    in_stocking_units = amount(row, "MStockQtyToShp")
    return str(in_stocking_units / ship) if ship and in_stocking_units else ""


def amount(row: Mapping[str, object], column: str) -> Decimal:
    """A quantity or value; 0 where it is blank."""
    given = text_of(row, column)
    return decimal_of(given) if given.strip() else _ZERO
