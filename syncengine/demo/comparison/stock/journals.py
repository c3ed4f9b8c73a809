"""What both simulated systems hold of stock, and every change of it, read through the sandbox's control API."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests

TIMEOUT_S = 60
CLOSED = ("9", "*", "\\", "/")


@dataclass(frozen=True, slots=True)
class Level:
    """A level of Brightpearl's after a note has changed it. by: `api` or `person`. kind: SC, GO, GI or IT."""

    at: datetime
    after: int
    change: int
    kind: str
    by: str
    note: int

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S.%f}"[:-3] + f" {self.kind} {self.change:+d} by {self.by}: {self.after}"


class Journals:
    """Levels now and through the day by SKU and warehouse, and what SYSPRO's orders have allocated."""

    def __init__(self, url: str) -> None:
        self._session, self._url = requests.Session(), f"{url.rstrip('/')}/_sandbox"
        products = self._get("brightpearl/stock/products")
        self.sku_of: dict[int, str] = {each["id"]: each["sku"] for each in products if each["stockTracked"]}
        self.opening: dict[tuple[str, int], int] = {}
        for each in self._get("brightpearl/stock/opening"):
            self.opening[self.sku_of[each["productId"]], each["warehouseId"]] = each["quantity"]
        self.levels: dict[tuple[str, int], list[Level]] = defaultdict(list)
        for each in self._get("brightpearl/stock/movements"):
            if not each["isQuarantine"]:
                _add(self.levels[self.sku_of[each["productId"]], each["warehouseId"]], _level(each))
        self.erp: dict[tuple[str, str], dict[str, Any]] = {
            (row["StockCode"], row["Warehouse"]): row for row in self._get("syspro/InvWarehouse")
        }
        self._reserved = self._get("brightpearl/stock/reserved")
        self._orders = {row["SalesOrder"]: row for row in self._get("syspro/SorMaster")}
        self._lines = self._get("syspro/SorDetail")

    def shown(self, sku: str, warehouse: int) -> int:
        """Brightpearl's inStock."""
        found = self.levels.get((sku, warehouse))
        return found[-1].after if found else self.opening.get((sku, warehouse), 0)

    def moved(self, sku: str, warehouse: int) -> int:
        """The sum of all that moved in Brightpearl but corrections."""
        return sum(each.change for each in self.levels.get((sku, warehouse), ()) if each.kind != "SC")

    def on_hand(self, sku: str, warehouse: str) -> int:
        """SYSPRO's QtyOnHand; 0 where it has no row."""
        return int(Decimal(self.erp.get((sku, warehouse), {}).get("QtyOnHand", 0)))

    def own_demand(self, sku: str, warehouses: set[str], shop_warehouse: int, shipped: dict[str, int]) -> int:
        """What SYSPRO has allocated, less what Brightpearl has reserved of the same orders or has shipped already.

        shipped: units by the id of an order that have left and are not posted in SYSPRO yet.
        """
        rows = [row for place, row in self.erp.items() if place[0] == sku and place[1] in warehouses]
        total = sum(int(Decimal(row["QtyAllocated"]) + Decimal(row["QtyAllocatedWip"])) for row in rows)
        reserved: dict[str, int] = defaultdict(int)
        for each in self._reserved:
            if self.sku_of.get(each["productId"]) == sku and each["warehouseId"] == shop_warehouse:
                reserved[str(each["orderId"])] += each["quantity"]
        allocated: dict[str, int] = defaultdict(int)
        for line in self._lines:
            if (line["MStockCode"], line["LineType"]) == (sku, "1") and line["MWarehouse"] in warehouses:
                order = self._orders[line["SalesOrder"]]
                if order["OrderStatus"] not in CLOSED:
                    allocated[order["CustomerPoNumber"]] += int(Decimal(line["MStockQtyToShp"]))
        return total - sum(
            min(units, reserved[order] + shipped.get(order, 0)) for order, units in allocated.items()
        )  # fmt: skip

    def _get(self, path: str) -> Any:
        answer = self._session.get(f"{self._url}/{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()


def _add(levels: list[Level], level: Level) -> None:
    """Several movements of one note are one change."""
    if levels and levels[-1].note == level.note:
        level = replace(level, change=level.change + levels.pop().change)
    levels.append(level)


def _level(movement: dict[str, Any]) -> Level:
    return Level(
        datetime.fromisoformat(movement["at"]),
        movement["levelAfter"],
        movement["quantity"],
        movement["type"],
        movement["by"],
        movement["noteId"],
    )
