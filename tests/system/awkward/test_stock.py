"""Stock levels from SYSPRO to Brightpearl, end to end."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from syncengine.sandbox.brightpearl import stock_control
from syncengine.sandbox.shop.model import Product
from tests.system.awkward.world import World

MAIN, STORE = 2, 3
LAG_S = 1.0  # of the account's searches


class Stock:
    """The world with the flow `inventory`. A mug and a book exist on both sides, 1,000 of each in SYSPRO."""

    def __init__(self, world: World) -> None:
        self.world, self.account, self.company = world, world.shop.account, world.erp.company
        for sku in ("MUG", "BOOK"):
            product = self.product(sku)
            product.stock_tracked = True
            self.account.save_product(product, is_new=True)
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Settings of the flow; movements are posted to SYSPRO by the test, within ten minutes."""
        self.world.configure(
            settings={"posted_elsewhere": "the test", "posted_within_minutes": 10, **settings},
            lookups={"stock_warehouses": {"MN": "2", "ST": "3"}},
            flows=["customers", "orders", "inventory"],
            shop={"cost_currency": "GBP"},
        )

    def product(self, sku: str) -> Product:
        return next(each for each in self.account.products.values() if each.sku == sku)

    def level(self, sku: str = "MUG", warehouse: int = MAIN) -> int:
        """Brightpearl's inStock."""
        with self.account.lock:
            return self.account.stock.level(self.product(sku).id, warehouse).in_stock

    def act(self, action: str, sku: str = "MUG", **body: Any) -> None:
        """Brightpearl's people move stock: correct, receive, transfer."""
        with self.account.lock:
            assert stock_control.act(self.account, action, {"productId": self.product(sku).id, **body}) is not None

    def count(self, quantity: int, code: str = "MUG", warehouse: str = "MN") -> None:
        """SYSPRO's people find this quantity."""
        self.world.erp.act(f"stock/{code}/count", warehouse=warehouse, quantity=quantity)

    def sync(self, patience_s: float = 5.0) -> None:
        """A poll, and all that it causes until levels that rise are written."""
        self.world.time.pass_(3)
        self.world.sync("inventory", patience_s=patience_s)

    def writes(self) -> int:
        return self.world.calls("stock_correction.create", "brightpearl")


@pytest.fixture
def stock(world: World) -> Stock:
    return Stock(world)


def test_the_first_load_sets_the_levels_of_all_warehouses(stock: Stock) -> None:
    stock.sync(20)
    print(stock.world.status("MUG", "inventory"), stock.world.timeline("MUG", "inventory"), stock.world.letters())
    assert (stock.level(), stock.level(warehouse=STORE)) == (1000, 1000)
    assert stock.world.status("MUG", "inventory")[0] == "done"
    before = stock.writes()
    for _ in range(3):
        stock.sync(20)
    assert stock.writes() == before
