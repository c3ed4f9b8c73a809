"""Orders that failed on one mistake, tried again with one command once it is fixed.

The refusal of an unknown stock code: syspro-transport.md section 9.4. On SQLite and e.net, since many orders take a while;
on PostgreSQL and by Harmony by hand, as `conftest.py` says.
"""

from __future__ import annotations

import json
from decimal import Decimal

from syncengine.engine.decide import patches
from syncengine.engine.people import dead_letter_detail, dead_letters
from syncengine.sandbox.shop.model import Product
from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import World

D = Decimal
SHOP_SKU, STOCK_CODE = "MUG-ENAMEL-BLUE", "MUG"
ORDERS = 60


def sell_what_syspro_does_not_know(world: World, count: int) -> list[int]:
    """Orders of one customer whose product has another name in SYSPRO, and no entry in the table yet."""
    world.shop.account.products[3003] = Product(3003, SHOP_SKU, "Enamel Mug, blue", D("8.00"), "T20", {})
    contact = world.shop.contact()
    return [
        world.shop.order(contact, world.shop.row(SHOP_SKU, 2, "16.00"), world.shop.shipping("Post", "2.95")).id
        for _ in range(count)
    ]


def test_orders_that_failed_on_an_unknown_stock_code_all_arrive_once_the_table_is_corrected(
    world: World, cli: Cli
) -> None:
    orders = sell_what_syspro_does_not_know(world, ORDERS)
    world.sync()
    [group] = json.loads(cli("deadletters", "list", "--grouped", "--json")[1])
    assert (group["count"], group["example_value"], group["stage"]) == (ORDERS, SHOP_SKU, "push")

    world.configure(lookups={"stock_codes": {SHOP_SKU: STOCK_CODE}})
    chosen = ("deadletters", "retry", "--cause", "not found", "--field", "StockCode")
    assert cli(*chosen)[1].splitlines() == [  # nobody is there to say yes
        "60 records would be retried.",
        "  create orders: 60, worth 1,137.00 GBP net",
        "No changes made. Re-run with --yes to apply.",
    ]
    assert [world.erp.made(order) for order in orders] == [0] * ORDERS
    assert json.loads(cli(*chosen, "--yes", "--json")[1])["retried"] == ORDERS
    world.settle()

    assert [world.erp.made(order) for order in orders] == [1] * ORDERS
    assert {tuple(world.erp.stock_lines(order)) for order in orders} == {((STOCK_CODE, D(2), D(8)),)}
    assert {world.status(order)[0] for order in orders} == {"done"}
    assert world.letters() == []


def test_one_order_is_corrected_by_hand_and_the_shop_keeps_what_it_has(world: World) -> None:
    [order] = sell_what_syspro_does_not_know(world, 1)
    world.sync()
    with world.store.read() as session:
        [(one, _)] = dead_letters.listed(session)
    source = dead_letter_detail.source_of(world.engine, one.id)
    [row] = [key for key, row in source.original["orderRows"].items() if row.get("productSku") == SHOP_SKU]
    patch = patches.of_values(
        source.present, [f"orderRows.{row}.productSku=BOOK", f"orderRows.{row}.quantity.magnitude=4"]
    )
    dead_letter_detail.correct(world.engine, source, patch, because="the customer rang", by="anna")
    world.settle()

    assert world.erp.stock_lines(order) == [("BOOK", D(4), D(4))]
    found = dead_letter_detail.detail(world.engine, one.id)
    assert found.documents["source"][str(order)]["orderRows"][row]["productSku"] == SHOP_SKU
    assert found.documents["mapped"][""]["StockLine"][0]["StockCode"] == "BOOK"
    assert world.letters() == []
