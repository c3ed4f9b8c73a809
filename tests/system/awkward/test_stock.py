"""Stock levels from SYSPRO to Brightpearl, end to end."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from syncengine.sandbox.brightpearl import goods_out_control, shipping, stock_control
from syncengine.sandbox.brightpearl.stock import Allocation
from syncengine.sandbox.shop.model import Product
from syncengine.store import models as m
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
            for warehouse in ("MN", "ST"):
                self.company.table("InvWarehouse").get(sku, warehouse)["UnitCost"] = Decimal("2.50")
        self.configure()

    def configure(self, mode: str = "live", places: Mapping[str, str] | None = None, **settings: Any) -> None:
        """Settings of the flow; movements are posted to SYSPRO by the test, within ten minutes."""
        self.world.configure(
            settings={"posted_elsewhere": "the test", "posted_within_minutes": 10, **settings},
            lookups={"stock_warehouses": places or {"MN": "2", "ST": "3"}},
            flows=["customers", "orders", "inventory"],
            shop={"cost_currency": "GBP"},
            mode=mode,
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
        self.world.erp.act(f"stock/{code}/{warehouse}", on_hand=quantity)

    def shop_act(self, path: str, **body: Any) -> None:
        """Brightpearl's people do something with an order: ship, goods-out, allocate."""
        with self.account.lock:
            assert goods_out_control.act(self.account, path.split("/"), body) is not None

    def sync(self, patience_s: float = 5.0) -> None:
        """A poll, and all that it causes until levels that rise are written."""
        self.world.time.pass_(3)
        self.world.sync("inventory", patience_s=patience_s)

    def full_look(self) -> None:
        """The next sweep, which is a full one."""
        with self.world.store.write() as session:
            session.execute(update(m.Schedule).values(next_sweep=None, full_at=None))
        self.sync(30)

    def writes(self) -> int:
        return self.world.calls("stock_correction.create", "brightpearl")


@pytest.fixture
def stock(world: World) -> Stock:
    return Stock(world)


def test_the_first_load_sets_the_levels_of_all_warehouses(stock: Stock) -> None:
    stock.sync(20)
    assert (stock.level(), stock.level(warehouse=STORE)) == (1000, 1000)
    assert stock.world.status("MUG", "inventory")[0] == "done"
    before = stock.writes()
    for _ in range(3):
        stock.sync(20)
    assert stock.writes() == before


def test_a_fall_is_written_at_once_and_a_rise_when_the_movements_until_the_reading_are_known(stock: Stock) -> None:
    stock.sync(20)
    stock.count(997)
    stock.sync(0)
    assert stock.level() == 997
    stock.count(1002)
    stock.sync(0)
    assert stock.level() == 997
    assert stock.world.timeline("MUG", "inventory")[-1] == "rise waits"
    stock.world.settle(10)
    assert stock.level() == 1002


def test_what_brightpearls_people_correct_is_undone(stock: Stock) -> None:
    stock.sync(20)
    stock.act("correct", warehouse=MAIN, to=900)
    stock.sync(20)
    assert stock.level() == 1000


def test_goods_that_are_shipped_and_not_posted_yet_are_not_given_back(stock: Stock) -> None:
    stock.sync(20)
    order = stock.world.shop.order(stock.world.shop.contact(), stock.world.shop.row("MUG", 4, "32.00"))
    stock.shop_act(f"orders/{order.id}/ship")
    assert stock.level() == 996
    stock.sync(20)
    assert stock.level() == 996  # SYSPRO still has 1,000
    stock.count(996)
    stock.sync(20)
    assert stock.level() == 996


def test_what_an_order_holds_back_in_both_systems_is_subtracted_once(stock: Stock) -> None:
    stock.sync(20)
    world = stock.world
    order = world.shop.order(world.shop.contact(), world.shop.row("MUG", 4, "32.00"))
    world.sync("orders")
    world.settle(10)
    world.erp.act("orders", customer="WEBGBP", po="EDI-1", lines=[{"stock_code": "MUG", "qty": 7}])
    stock.shop_act(f"orders/{order.id}/goods-out")
    stock.sync(20)
    stock.full_look()
    assert stock.level() == 1000 - 7


def test_a_correction_between_the_reading_of_the_feed_and_a_rise_is_not_made_twice(stock: Stock) -> None:
    stock.sync(20)
    stock.count(1007)
    stock.sync(0)
    assert stock.world.timeline("MUG", "inventory")[-1] == "rise waits"
    happened: list[str] = []

    def between() -> None:
        if stock.world.timeline("MUG", "inventory")[-1] == "planned" and not happened:
            happened.append("corrected")
            stock.act("correct", warehouse=MAIN, quantity=7)  # Brightpearl's people have found them too
            stock.world.time.pass_(30)

    stock.world.between = between
    stock.world.settle(10)
    assert happened
    assert stock.level() == 1007


def test_what_an_order_has_reserved_in_another_warehouse_is_not_free_in_this_one(stock: Stock) -> None:
    stock.sync(20)
    order = stock.world.shop.order(stock.world.shop.contact(), stock.world.shop.row("MUG", 4, "32.00"))
    stock.world.sync("customers")
    stock.world.sync("orders")
    with stock.account.lock:  # SYSPRO has allocated it in the main warehouse, Brightpearl takes it from the store
        row_id = next(iter(order.rows))
        product_id = stock.product("MUG").id
        stock.account.stock.allocate(Allocation(order.id, row_id, product_id, STORE, 4))
    stock.world.time.pass_(7 * 3600)  # a sweep sees allocations
    stock.sync(20)
    assert (stock.level(), stock.level(warehouse=STORE)) == (996, 1000)


def test_a_level_that_rose_to_the_least_it_may_be_rises_on_when_what_was_in_transit_must_be_posted(
    stock: Stock,
) -> None:
    stock.sync(20)
    world = stock.world
    order = world.shop.order(world.shop.contact(), world.shop.row("MUG", 5, "40.00"))
    stock.shop_act(f"orders/{order.id}/ship")  # SYSPRO is told within ten minutes
    stock.sync(20)
    stock.count(1020)  # with the five that have left, or without
    stock.sync(20)
    assert stock.level() == 1015
    for _ in range(8):  # polls, while nothing moves
        world.time.pass_(120)
        stock.sync(20)
    assert stock.level() == 1020


def test_what_is_free_is_taken_where_orders_have_reserved_the_rest(stock: Stock) -> None:
    stock.sync(20)
    order = stock.world.shop.order(stock.world.shop.contact(), stock.world.shop.row("MUG", 4, "32.00"))
    with stock.account.lock:
        shipping.allocate(stock.account, order, by="person")
    stock.count(0)
    stock.sync(20)
    assert stock.level() == 4  # Brightpearl refuses to take what is reserved; nothing is left to sell
