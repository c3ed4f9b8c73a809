"""What open lines of sales orders have allocated, by stock code: SorDetail, and the orders' CustomerPoNumber from SorMaster.

Facts: syspro-objects.md sections 10 and 11: the ship quantity of a line allocates stock, its back order quantity does not, and
InvWarehouse shows but the sum. Assumed: only lines of type 1 allocate; MStockQtyToShp is MShipQty in stocking units, which is
taken where it is blank.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from syncengine import clock
from syncengine.connectors.syspro import order_numbers
from syncengine.connectors.syspro.find import Condition, groups_after, uncut_rows_where
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc

_COLUMNS = ("SalesOrder", "SalesOrderLine", "LineType", "MStockCode", "MWarehouse", "MShipQty", "MStockQtyToShp")
_OPTIONAL = ("MStockQtyToShp",)
_ORDER_COLUMNS = ("SalesOrder", "CustomerPoNumber", "OrderStatus", "CancelledFlag")
_HAS_SHIP_QUANTITY = Condition("MShipQty", "NE", "0")
_STOCKED = "1"
_NO_LONGER_OPEN = ("9", "*", "\\", "/")


@dataclass(frozen=True, slots=True)
class Allocations:
    """Allocating lines by stock code as documents show them, read at one moment. until: the last code that is covered, empty
    for all."""

    lines: Mapping[str, list[Doc]]
    until: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class AllocationReader:
    """Reads allocations. most: rows that one call returns. has_numeric_keys: orders are stored as 15 digits.

    names_orders: whether CustomerPoNumber is read, by a COMFND on SorMaster for `find_at_once` orders; lines of orders that
    are complete or cancelled are left out then.
    """

    gateway: Gateway
    settings: Settings
    most: int
    has_numeric_keys: bool
    names_orders: bool

    def of(self, codes: Sequence[str]) -> Allocations:
        """The allocations of these stock codes: a COMFND on SorDetail for each `find_at_once`."""
        read_at = clock.now()
        rows = uncut_rows_where(
            self.gateway, "SorDetail", "MStockCode", codes, self._columns(),
            at_once=self.settings.find_at_once, also=[_HAS_SHIP_QUANTITY],
        )  # fmt: skip
        return Allocations(self._documents(rows), "", read_at)

    def after(self, code: str) -> Allocations:
        """The allocations of the stock codes behind this one, as far as one COMFND on SorDetail shows them."""
        read_at = clock.now()
        conditions = [*([Condition("MStockCode", "GT", code)] if code else []), _HAS_SHIP_QUANTITY]
        rows, more = groups_after(
            self.gateway, "SorDetail", "MStockCode", conditions, self._columns(), then_by="SalesOrder", most=self.most
        )
        return Allocations(self._documents(rows), text_of(rows[-1], "MStockCode") if more else "", read_at)

    def _columns(self) -> list[str]:
        return [name for name in _COLUMNS if name not in _OPTIONAL or self.settings.asks_for("SorDetail", name)]

    def _documents(self, rows: Sequence[Doc]) -> dict[str, list[Doc]]:
        stocked = [row for row in rows if text_of(row, "LineType") == _STOCKED]
        orders = self._orders(dict.fromkeys(text_of(row, "SalesOrder") for row in stocked))
        found: dict[str, list[Doc]] = defaultdict(list)
        for row in stocked:
            order = orders.get(text_of(row, "SalesOrder"), {})
            if not _is_closed(order):
                found[text_of(row, "MStockCode")].append(self._document(row, order))
        return {code: sorted(lines, key=lambda line: str(line[LINE_NUMBER])) for code, lines in found.items()}

    def _orders(self, numbers: Collection[str]) -> dict[str, Doc]:
        if not (numbers and self.names_orders):
            return {}
        rows = uncut_rows_where(
            self.gateway, "SorMaster", "SalesOrder", list(numbers), _ORDER_COLUMNS, at_once=self.settings.find_at_once
        )
        return {text_of(row, "SalesOrder"): row for row in rows}

    def _document(self, line: Doc, order: Doc) -> Doc:
        number = order_numbers.shown(text_of(line, "SalesOrder"), is_numeric=self.has_numeric_keys)
        return {
            LINE_NUMBER: f"{number}/{text_of(line, 'SalesOrderLine')}",
            "SalesOrder": number,
            "SalesOrderLine": text_of(line, "SalesOrderLine"),
            "CustomerPoNumber": text_of(order, "CustomerPoNumber"),
            "Warehouse": text_of(line, "MWarehouse"),
            "Quantity": text_of(line, "MStockQtyToShp") or text_of(line, "MShipQty"),
        }


def _is_closed(order: Doc) -> bool:
    return text_of(order, "OrderStatus") in _NO_LONGER_OPEN or text_of(order, "CancelledFlag") == "Y"
