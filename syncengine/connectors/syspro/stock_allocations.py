"""What open lines of sales orders have allocated, by stock code: SorDetail, and the orders' CustomerPoNumber from SorMaster.

Facts: syspro-objects.md sections 10 and 11: the ship quantity of a line allocates stock, its back order quantity does not, and
InvWarehouse shows but the sum. Assumed: only lines of type 1 allocate; MStockQtyToShp is MShipQty in stocking units, which is
taken where it is blank.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from syncengine import clock
from syncengine.connectors.syspro import order_numbers
from syncengine.connectors.syspro.find import Condition, groups_after, rows_where, uncut_rows_where
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
    """Allocating rows of SorDetail by stock code, read at one moment. until: the last code that is covered, empty for all."""

    lines: Mapping[str, Sequence[Doc]]
    until: str
    read_at: datetime


@dataclass(slots=True)
class AllocationReader:
    """Reads allocations. most: rows that one call returns. has_numeric_keys: orders are stored as 15 digits.

    names_orders: whether CustomerPoNumber is read; lines of orders that are complete or cancelled are left out then.
    """

    gateway: Gateway
    settings: Settings
    most: int
    has_numeric_keys: bool
    names_orders: bool
    _orders: dict[str, Doc] = field(default_factory=dict)

    def of(self, codes: Sequence[str]) -> Allocations:
        """The allocations of these stock codes: a COMFND on SorDetail for each `find_at_once`."""
        rows = uncut_rows_where(
            self.gateway, "SorDetail", "MStockCode", codes, self._columns(),
            at_once=self.settings.find_at_once, also=[_HAS_SHIP_QUANTITY],
        )  # fmt: skip
        return Allocations(_by_code(rows), "", clock.now())

    def after(self, code: str) -> Allocations:
        """The allocations of the stock codes behind this one, as far as one COMFND on SorDetail shows them."""
        conditions = [*([Condition("MStockCode", "GT", code)] if code else []), _HAS_SHIP_QUANTITY]
        rows, more = groups_after(
            self.gateway, "SorDetail", "MStockCode", conditions, self._columns(), then_by="SalesOrder", most=self.most
        )
        return Allocations(_by_code(rows), text_of(rows[-1], "MStockCode") if more else "", clock.now())

    def documents(self, allocations: Allocations, codes: Collection[str]) -> dict[str, list[Doc]]:
        """What documents of these stock codes say of their allocations, by code; a COMFND on SorMaster for `find_at_once`
        orders that this reader has not read before."""
        wanted = {code: allocations.lines.get(code, ()) for code in codes}
        orders = self._named({text_of(line, "SalesOrder") for lines in wanted.values() for line in lines})
        return {
            code: sorted(
                (
                    self._document(line, orders.get(text_of(line, "SalesOrder"), {}))
                    for line in lines
                    if not _is_closed(orders.get(text_of(line, "SalesOrder"), {}))
                ),
                key=lambda document: str(document[LINE_NUMBER]),
            )
            for code, lines in wanted.items()
        }

    def _columns(self) -> list[str]:
        return [name for name in _COLUMNS if name not in _OPTIONAL or self.settings.asks_for("SorDetail", name)]

    def _named(self, orders: Collection[str]) -> Mapping[str, Doc]:
        unread = sorted(order for order in orders if order not in self._orders) if self.names_orders else []
        if unread:
            rows = rows_where(
                self.gateway, "SorMaster", "SalesOrder", unread, _ORDER_COLUMNS, at_once=self.settings.find_at_once
            )
            self._orders |= {text_of(row, "SalesOrder"): row for row in rows}
        return self._orders

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


def _by_code(rows: Iterable[Doc]) -> dict[str, list[Doc]]:
    found: dict[str, list[Doc]] = defaultdict(list)
    for row in rows:
        if text_of(row, "LineType") == _STOCKED:
            found[text_of(row, "MStockCode")].append(row)
    return dict(found)
