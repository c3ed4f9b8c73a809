"""Stock levels as people see them: compared, shown before the first run, approved."""

from __future__ import annotations

from decimal import Decimal

import pytest

from syncengine.cli import _stock
from syncengine.engine.people import level_comparison
from syncengine.engine.people.level_comparison import ComparedItem
from tests.system.awkward.test_stock import MAIN, STORE, Stock
from tests.system.awkward.world import World


@pytest.fixture
def stock(world: World) -> Stock:
    return Stock(world)


def compared(stock: Stock, *skus: str) -> dict[str, ComparedItem]:
    """The items by key, after a moment in which searches have caught up."""
    stock.world.time.pass_(3)
    (route,) = level_comparison.routes(stock.world.engine)
    return {item.key: item for item in level_comparison.compare(route, skus)}


def test_nothing_is_linked_or_written_by_a_comparison_before_the_first_sync(stock: Stock) -> None:
    found = compared(stock)
    mug = next(place for place in found["MUG"].places if place.place == str(MAIN))
    assert (mug.current, mug.low, mug.high, mug.difference) == (0, 1000, 1000, -1000)
    assert mug.values["on_hand"] == 1000
    assert stock.writes() == 0
    assert stock.world.timeline("MUG", "inventory") == []


def test_a_comparison_shows_the_movement_that_keeps_the_systems_apart(stock: Stock) -> None:
    stock.sync(20)
    order = stock.world.shop.order(stock.world.shop.contact(), stock.world.shop.row("MUG", 4, "32.00"))
    stock.ship(order)
    (item,) = compared(stock, "MUG").values()  # before any poll has seen the note
    place = next(each for each in item.places if each.place == str(MAIN))
    assert (place.current, place.low, place.high) == (996, 996, 1000)
    assert not item.differs
    shipped = [moved for moved in place.movements if not moved.is_correction]
    assert [(moved.quantity, moved.low, moved.high) for moved in shipped] == [(-4, -4, 0)]


def test_a_comparison_shows_syspros_own_demand_and_the_orders_behind_it(
    stock: Stock, capsys: pytest.CaptureFixture[str]
) -> None:
    stock.sync(20)
    company = stock.company
    company.table("InvWarehouse").get("MUG", "MN")["QtyAllocatedWip"] = Decimal(7)
    (item,) = compared(stock, "MUG").values()
    place = next(each for each in item.places if each.place == str(MAIN))
    assert (place.values["own_demand"], place.target, place.difference) == (7, 993, 7)
    _stock.show(item)
    shown = capsys.readouterr().out
    assert "less SYSPRO's own demand" in shown
    assert "falls to 993" in shown
    assert _stock.as_doc(item)["differs"] is True


def test_a_code_that_nobody_has_is_missing(stock: Stock) -> None:
    stock.sync(20)
    found = compared(stock, "NOTHING")
    assert found["NOTHING"].source is None
    assert found["NOTHING"].differs
