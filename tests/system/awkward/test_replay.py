"""Orders that failed on one mistake, tried again with one command once it is mended.

The refusal of an unknown stock code: syspro-transport.md section 9.4.
"""

from __future__ import annotations

from decimal import Decimal

from syncengine.engine import causes, deadletters, letter, patches, replay
from syncengine.engine.deadletters import Filter
from syncengine.store.states import Lane
from tests.system.awkward.world import World

D = Decimal
SHOP_SKU, STOCK_CODE = "MUG-ENAMEL-BLUE", "MUG"
ORDERS = 200


def sell_what_syspro_does_not_know(world: World, count: int) -> list[int]:
    """Orders of one customer whose product has another name in SYSPRO, and no entry in the table yet."""
    from syncengine.sandbox.shop import Product

    world.shop.account.products[3003] = Product(3003, SHOP_SKU, "Enamel Mug, blue", D("8.00"), "T20", {})
    contact = world.shop.contact()
    return [
        world.shop.order(contact, world.shop.row(SHOP_SKU, 2, "16.00"), world.shop.shipping("Post", "2.95")).id
        for _ in range(count)
    ]


def test_orders_that_failed_on_an_unknown_stock_code_all_arrive_once_the_table_is_corrected(world: World) -> None:
    orders = sell_what_syspro_does_not_know(world, ORDERS)
    world.sync()
    chosen = Filter(cause="not found", field="StockCode")
    with world.store.read() as session:
        [group] = causes.groups(session, world.engine, chosen)
        choice = replay.choose(session, chosen, most=500)
    assert (group.count, group.example_value, group.stage) == (ORDERS, SHOP_SKU, "push")
    assert "stock" in group.remedy.lower()

    before = replay.foresee(world.engine, choice.letters)  # SYSPRO alone can tell that it will refuse again
    world.configure(lookups={"stock_codes": {SHOP_SKU: STOCK_CODE}})
    outlook = replay.foresee(world.engine, choice.letters)
    assert [(one.entity, one.verb, one.count) for one in outlook.writes] == [("orders", "create", ORDERS)]
    assert outlook.writes[0].worth == before.writes[0].worth == {"GBP": ORDERS * D("18.95")}
    assert outlook.stays == []
    assert [world.erp.made(order) for order in orders] == [0] * ORDERS

    ids = [one.id for one in choice.letters]
    assert deadletters.retry(world.engine, ids, lane=Lane.BACKFILL, by="anna") == ORDERS
    world.settle()

    assert [world.erp.made(order) for order in orders] == [1] * ORDERS
    assert {tuple(world.erp.stock_lines(order)) for order in orders} == {((STOCK_CODE, D(2), D(8)),)}
    assert {world.status(order)[0] for order in orders} == {"done"}
    assert world.letters() == []


def test_one_order_is_corrected_by_hand_and_the_shop_keeps_what_it_has(world: World) -> None:
    [order] = sell_what_syspro_does_not_know(world, 1)
    world.sync()
    with world.store.read() as session:
        [(one, _)] = deadletters.listed(session)
    source = letter.source_of(world.engine, one.id)
    [row] = [key for key, row in source.original["orderRows"].items() if row.get("productSku") == SHOP_SKU]
    patch = patches.of_values(
        source.present, [f"orderRows.{row}.productSku=BOOK", f"orderRows.{row}.quantity.magnitude=4"]
    )
    letter.correct(world.engine, source, patch, because="the customer rang", by="anna")
    world.settle()

    assert world.erp.stock_lines(order) == [("BOOK", D(4), D(4))]
    found = letter.whole(world.engine, one.id)
    assert found.documents["source"][str(order)]["orderRows"][row]["productSku"] == SHOP_SKU
    assert found.documents["mapped"][""]["StockLine"][0]["StockCode"] == "BOOK"
    assert world.letters() == []
