"""The stock resource against the sandbox: levels, links by SKU, movements, and corrections in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.base import Change, LineChange, Operation, Result, SentWrite, Verb
from syncengine.connectors.brightpearl.resources.stock_level import StockLevel
from syncengine.document import from_json, to_json
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Step
from syncengine.errors import OutcomeUnknown, Rejected, Throttled
from syncengine.sandbox.brightpearl import shipping, stock_control
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from tests.contract.brightpearl.conftest import Connect

MAIN, STORE, BAY, QUARANTINE = 2, 3, 120, 121


def stock_of(shop: Connect, **settings: Any) -> StockLevel:
    found = shop(cost_currency="GBP", **settings).resources["brightpearl.stock_level"]
    assert isinstance(found, StockLevel)
    return found


def act(sandbox: Sandbox, action: str, **body: Any) -> None:
    with sandbox.brightpearl.lock:
        assert stock_control.act(sandbox.brightpearl, action, body) is not None


@pytest.fixture
def items(sandbox: Sandbox) -> list[int]:
    """Tracked products, of which the first has 40 in the main warehouse and 8 in the store."""
    found = [each.id for each in sandbox.shop.products if each.stock_tracked and each.sku]
    sandbox.switches.turn({"clock_offset_s": -600})
    act(sandbox, "correct", productId=found[0], warehouse=MAIN, to=40)
    act(sandbox, "correct", productId=found[0], warehouse=STORE, to=8)
    sandbox.switches.turn({"clock_offset_s": 0})
    return found


def level(sandbox: Sandbox, item: int, warehouse_id: int = MAIN) -> int:
    return sandbox.brightpearl.stock.level(item, warehouse_id).in_stock


def read(stock: StockLevel, *items: int) -> dict[int, Any]:
    return {int(key): stock.load(doc) for key, doc in stock.read([str(item) for item in items]).items()}


def operation(doc: Mapping[str, Any], new: Any, warehouse_id: int = MAIN, mark: str = "se-1", **line: Any) -> Operation:
    """The change of one warehouse's level from what was read to another."""
    old = next((row["inStock"] for row in doc["warehouses"] if row["id"] == str(warehouse_id)), 0)
    change = LineChange(
        "warehouses",
        "change",
        str(warehouse_id),
        str(warehouse_id),
        {"cost": Decimal("9.5"), **line},
        {"inStock": Change(old, new)},
    )
    key = str(doc["productId"])
    return Operation(Verb.CHANGE, key, {}, key=key, lines=(change,), current=dict(doc), token=mark)


def results(stock: StockLevel, *operations: Operation) -> list[Result]:
    return [outcome.result for outcome in stock.write(operations)]


def calls(sandbox: Sandbox) -> dict[str, int]:
    found = sandbox.calls.summary()["brightpearl"]
    return found["operations"]  # type: ignore[index,return-value]


# --- reading -------------------------------------------------------------------------------------------------------


def test_levels_are_read_in_bulk_without_quarantine_and_with_the_time_of_the_read(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    act(sandbox, "quarantine", productId=items[0], warehouse=MAIN, quantity=5)
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=3, location=BAY)
    stock, before = stock_of(shop), sandbox.now()
    sandbox.calls.reset()
    found = read(stock, *items)

    assert calls(sandbox) == {"product_availability.read": 1, "location.quarantine": 2}
    assert set(found) == set(items)
    main = next(row for row in found[items[0]]["warehouses"] if row["id"] == str(MAIN))
    assert (main["inStock"], main["onHand"], main["allocated"]) == (38, 38, 0)
    assert [(each["id"], each["inStock"]) for each in main["locations"]] == [(str(MAIN), 35), (str(BAY), 3)]
    read_from, read_by = found[items[0]]["readFrom"], found[items[0]]["readBy"]
    assert before - timedelta(seconds=2) < read_from <= sandbox.now()
    assert read_from <= read_by
    assert before <= read_by <= sandbox.now() + timedelta(seconds=1)


def test_an_availability_call_takes_as_many_products_as_the_setting_says(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop, stock_level_per_read=4, stock_by_location=False)
    sandbox.calls.reset()
    assert len(read(stock, *items[:10])) == 10
    assert calls(sandbox) == {"product_availability.read": 3}


def test_quarantine_is_subtracted_where_brightpearl_counts_it(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    sandbox.switches.turn({"brightpearl_quarantine_in_stock": True})
    act(sandbox, "quarantine", productId=items[0], warehouse=MAIN, quantity=5)
    found = {
        counts: read(stock_of(shop, quarantine_in_stock=counts), items[0])[items[0]]["warehouses"][0]["inStock"]
        for counts in (False, True)
    }
    assert found == {False: 40, True: 35}


def test_untracked_products_bundles_and_unknown_ids_have_no_level(sandbox: Sandbox, shop: Connect) -> None:
    untracked = [each.id for each in sandbox.shop.products if not each.stock_tracked]
    assert read(stock_of(shop), *untracked, 999_999) == {}


def test_unchanged_compares_the_figures_not_the_time(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    stock = stock_of(shop)
    pictures = {str(key): doc for key, doc in read(stock, *items[:3]).items()}
    sandbox.switches.turn({"clock_offset_s": 5})
    assert stock.unchanged(pictures) == set(pictures)
    act(sandbox, "receive", productId=items[1], warehouse=STORE, quantity=1)
    assert stock.unchanged(pictures) == {str(items[0]), str(items[2])}


# --- products by SKU -----------------------------------------------------------------------------------------------


def test_few_skus_are_searched_one_by_one_and_many_by_a_list_of_all_products(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    products = sandbox.brightpearl.products
    skus = {products[item].sku: [str(item)] for item in items}
    stock = stock_of(shop, sku_searches=2, page_size=10)
    sandbox.calls.reset()
    few = list(skus)[:2]
    assert stock.keys_of([*few]) == {sku: skus[sku] for sku in few}
    assert calls(sandbox) == {"product.search": 2}

    sandbox.calls.reset()
    assert stock.keys_of([*skus, "NO-SUCH-SKU", ""]) == skus
    assert stock.keys_of(list(skus)) == skus
    pages = -(-len(products) // 10)
    assert calls(sandbox) == {"product.search": pages + 1}  # the list, once, and the SKU that it does not have


def test_all_products_of_a_sku_are_found_and_each_says_what_it_is(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    account = sandbox.brightpearl
    account.products[items[1]].sku = account.products[items[0]].sku
    account.save_product(account.products[items[1]])
    bundle = next(each for each in sandbox.shop.products if each.bundle_components)
    sku = account.products[items[0]].sku
    found = stock_of(shop).find([sku, bundle.sku, "NO-SUCH-SKU"])

    assert {key: [doc["productId"] for doc in docs] for key, docs in found.items()} == {
        sku: items[:2],
        bundle.sku: [bundle.id],
    }
    assert found[bundle.sku][0] == {
        "productId": bundle.id,
        "warehouses": {},
        "product": {
            "sku": bundle.sku,
            "stockTracked": False,
            "bundle": True,
            "defaultLocations": {"2": MAIN, "3": STORE},
        },
    }
    assert found[sku][0]["warehouses"]["2"]["inStock"] == 40


def test_products_are_linked_in_the_fewest_calls(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    skus = [sandbox.brightpearl.products[item].sku for item in items]
    stock = stock_of(shop, sku_searches=2, product_per_read=8, stock_level_per_read=8, stock_by_location=False)
    sandbox.calls.reset()
    assert len(stock.find(skus)) == len(skus)
    reads = -(-len(items) // 8)
    assert calls(sandbox) == {"product.search": 1, "product.read": reads, "product_availability.read": reads}


# --- movements -----------------------------------------------------------------------------------------------------


def moved(stock: StockLevel, position: Mapping[str, Any]) -> tuple[list[str], Mapping[str, Any]]:
    pages = list(stock.changes("moved", position))
    return [ref.key for page in pages for ref in page.refs], pages[-1].position


def test_the_feed_gives_each_product_that_moved_in_one_call(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    stock = stock_of(shop)
    found, position = moved(stock, {})
    assert found == [str(items[0])]
    act(sandbox, "correct", productId=items[4], warehouse=MAIN, quantity=1)
    act(sandbox, "correct", productId=items[3], warehouse=MAIN, quantity=1)
    act(sandbox, "correct", productId=items[4], warehouse=STORE, quantity=1)
    sandbox.calls.reset()
    assert sorted(moved(stock, position)[0]) == sorted([str(items[3]), str(items[4])])
    assert calls(sandbox) == {"goods_movement.search": 1}


def test_two_movements_of_a_product_in_one_second_differ_in_their_version(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    act(sandbox, "correct", productId=items[4], warehouse=MAIN, quantity=1)
    versions = {ref.version for page in stock.changes("moved", {}) for ref in page.refs if ref.key == str(items[4])}
    act(sandbox, "correct", productId=items[4], warehouse=MAIN, quantity=-1)
    again = {ref.version for page in stock.changes("moved", {}) for ref in page.refs if ref.key == str(items[4])}
    assert versions != again


def test_movements_are_read_by_pages_and_a_back_dated_shipment_is_among_them(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop, page_size=2)
    sandbox.switches.turn({"clock_offset_s": 3600})
    since = sandbox.brightpearl.stamp()
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=5, receivedOn="2019-01-01")
    act(sandbox, "transfer", productId=items[0], **{"from": MAIN, "to": STORE}, quantity=2, shippedOn="2019-01-01")
    found = [
        (each.type_code, each.warehouse_id, each.quantity, each.is_quarantine) for each in stock.movements_since(since)
    ]
    assert found == [
        ("GI", MAIN, 5, False),
        ("GO", MAIN, -2, False),
        ("GO", STORE, 2, True),
        ("IT", STORE, -2, True),
        ("IT", STORE, 2, False),
    ]


# --- corrections ---------------------------------------------------------------------------------------------------


def test_many_levels_are_written_in_one_call_a_warehouse(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    stock = stock_of(shop)
    docs = read(stock, *items[:6])
    wanted = {(key, warehouse_id): 100 + key % 7 for key in docs for warehouse_id in (MAIN, STORE)}
    writes = [operation(docs[key], new, warehouse_id, f"se-{key}") for (key, warehouse_id), new in wanted.items()]
    sandbox.calls.reset()
    assert results(stock, *writes) == [Result.DONE] * 12
    assert {(key, warehouse_id): level(sandbox, key, warehouse_id) for key, warehouse_id in wanted} == wanted
    assert calls(sandbox) == {"stock_correction.create": 2}


def test_a_call_takes_as_many_corrections_as_the_setting_says(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    sandbox.switches.turn({"brightpearl_corrections_most": 4})
    stock = stock_of(shop, corrections_per_call=4)
    assert stock.most_per_write == 4
    docs = read(stock, *items[:10])
    sandbox.calls.reset()
    assert results(stock, *[operation(doc, 500) for doc in docs.values()]) == [Result.DONE] * 10
    assert calls(sandbox)["stock_correction.create"] == 3


def test_the_difference_of_the_one_read_is_sent_whatever_the_level_is_now(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=10)
    assert results(stock, operation(doc, 35)) == [Result.DONE]
    assert level(sandbox, items[0]) == 45


def test_a_correction_carries_cost_and_token_and_goes_to_the_location_asked_for(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop, correction_reason="Count of SYSPRO")
    doc = read(stock, items[0])[items[0]]
    assert results(stock, operation(doc, 43, mark="se-7", locationId=BAY)) == [Result.DONE]
    movement = sandbox.brightpearl.stock.movements[-1]
    assert (movement.quantity, movement.place.location_id, movement.value) == (3, BAY, Decimal("9.5"))
    assert movement.note.reason == "Count of SYSPRO [se-7]"


def test_a_removal_is_divided_by_location_and_never_takes_from_quarantine(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=6, location=BAY)
    act(sandbox, "quarantine", productId=items[0], warehouse=MAIN, quantity=38)
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    assert results(stock, operation(doc, 3)) == [Result.DONE]
    assert sandbox.brightpearl.stock.by_location(items[0], MAIN) == {BAY: 3, QUARANTINE: 38}


def test_a_write_of_several_warehouses_is_one_call_for_each(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    both = [operation(doc, 41), operation(doc, 9, STORE)]
    whole = Operation(Verb.CHANGE, "", {}, key=str(items[0]), lines=[each.lines[0] for each in both], current=doc)
    assert [call.lines for call in stock.calls(whole)] == [each.lines for each in both]
    with pytest.raises(ValueError, match="one line"):
        stock.write([whole])


@pytest.mark.parametrize(
    ("new", "line", "field"),
    [
        (Decimal("40.5"), {}, "warehouses.2.inStock"),
        (41, {"cost": None}, "warehouses.2.cost"),
        (-1, {}, "warehouses.2.inStock"),
    ],
)
def test_what_cannot_be_sent_is_rejected_alone(
    sandbox: Sandbox, shop: Connect, items: list[int], new: Any, line: Mapping[str, Any], field: str
) -> None:
    stock = stock_of(shop)
    docs = read(stock, *items[:2])
    found = stock.write([operation(docs[items[0]], new, **line), operation(docs[items[1]], 777)])
    assert [outcome.result for outcome in found] == [Result.REJECTED, Result.DONE]
    assert isinstance(found[0].error, Rejected)
    assert found[0].error.field == field
    assert (level(sandbox, items[0]), level(sandbox, items[1])) == (40, 777)


def test_without_a_currency_nothing_is_added_and_a_create_is_never_sent(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    found = stock_of(shop).write([Operation(Verb.CREATE, "SKU", {})])
    assert found[0].result is Result.REJECTED
    without = shop().resources["brightpearl.stock_level"].write([operation(doc, 41)])
    assert isinstance(without[0].error, Rejected)
    assert without[0].error.field == "warehouses.2.currency"
    assert results(stock, operation(doc, 40)) == [Result.DONE]
    assert level(sandbox, items[0]) == 40


def test_one_bad_correction_does_not_stop_the_others_of_its_call(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    docs = read(stock, *items[:8])
    sandbox.brightpearl.products[items[5]].stock_tracked = False
    sandbox.calls.reset()
    found = stock.write([operation(docs[key], 300) for key in items[:8]])
    assert [outcome.result for outcome in found] == [
        Result.REJECTED if key == items[5] else Result.DONE for key in items[:8]
    ]
    assert "WHSC-032" in str(found[5].error)
    assert [level(sandbox, key) for key in items[:8] if key != items[5]] == [300] * 7
    assert calls(sandbox)["stock_correction.create"] == 7  # 8, 4+4, 2+2, 1+1


def test_a_refused_call_is_unknown_where_the_setting_says_that_parts_may_be_done(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop, refused_corrections="unknown")
    docs = read(stock, *items[:2])
    sandbox.brightpearl.products[items[1]].stock_tracked = False
    assert results(stock, *[operation(doc, 300) for doc in docs.values()]) == [Result.UNKNOWN] * 2
    assert results(stock, operation(docs[items[1]], 300)) == [Result.REJECTED]


def test_a_call_that_was_done_in_part_is_unknown_for_all_of_it(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    sandbox.switches.turn({"brightpearl_corrections_are_whole": False})
    stock = stock_of(shop)
    docs = read(stock, *items[:2])
    sandbox.brightpearl.products[items[1]].stock_tracked = False
    found = stock.write([operation(docs[key], 300, mark=f"se-{key}") for key in items[:2]])
    assert [outcome.result for outcome in found] == [Result.UNKNOWN] * 2
    posted = stock.corrections_since(sandbox.now() - timedelta(minutes=1), [str(key) for key in items[:2]])
    assert [each.product_id for each in posted if f"[se-{items[0]}]" in each.reason] == [items[0]]
    assert [each for each in posted if f"[se-{items[1]}]" in each.reason] == []


def test_an_unanswered_correction_is_found_by_its_token(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    stock = stock_of(shop)
    docs = read(stock, *items[:2])
    sent_at = sandbox.brightpearl.stamp()
    sandbox.faults.add(Fault("brightpearl", "stock_correction.create", kind="drop", after="commit"))
    found = stock.write([operation(docs[items[0]], 37, mark="se-lost")])
    assert isinstance(found[0].error, OutcomeUnknown)
    act(sandbox, "correct", productId=items[0], warehouse=MAIN, quantity=1, reason="by hand")

    sandbox.calls.reset()
    keys = [str(key) for key in items[:2]]
    posted = [
        (each.product_id, each.warehouse_id, each.quantity, each.reason) for each in _latest(stock, sent_at, keys)
    ]
    assert posted[-2:] == [(items[0], MAIN, -3, "Synced level [se-lost]"), (items[0], MAIN, 1, "by hand")]
    assert calls(sandbox) == {"goods_movement.search": 1, "stock_correction.read": len({each[1] for each in posted})}
    assert stock.corrections_since(sent_at, [str(items[1])]) == []


def _sent(sandbox: Sandbox, stock: StockLevel, mark: str, doc: Mapping[str, Any], new: int, fault: str) -> SentWrite:
    """A write of unknown outcome. fault: `commit` if it is done nevertheless, else `nothing`."""
    sent_at, asked = sandbox.now(), operation(doc, new, mark=mark)
    if fault == "commit":
        sandbox.faults.add(Fault("brightpearl", "stock_correction.create", kind="drop", after="commit"))
        assert results(stock, asked) == [Result.UNKNOWN]
    return SentWrite(asked, sent_at)


def test_each_unanswered_correction_is_judged_from_its_own_read(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    first = _sent(sandbox, stock, "se-1", read(stock, items[0])[items[0]], 37, "commit")
    sandbox.switches.turn({"clock_offset_s": 60})
    act(sandbox, "receive", productId=items[1], warehouse=MAIN, quantity=6)
    sandbox.switches.turn({"clock_offset_s": 120})
    docs = read(stock, *items[:3])  # these have what was received
    second = _sent(sandbox, stock, "se-2", docs[items[1]], 2, "nothing")
    third = _sent(sandbox, stock, "se-3", docs[items[2]], 4, "commit")
    sandbox.switches.turn({"clock_offset_s": 300})
    assert stock.took_effect([first, second, third]) == {"se-1": True, "se-2": False, "se-3": True}

    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=2)
    act(sandbox, "correct", productId=items[1], warehouse=MAIN, quantity=1, reason="by hand")
    sandbox.switches.turn({"clock_offset_s": 400})
    assert stock.took_effect([first, second, third]) == {"se-1": True, "se-2": False, "se-3": True}


def test_a_movement_in_the_second_of_a_read_is_no_contradiction(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=2)
    second = read(stock, items[0])[items[0]]
    lost = [_sent(sandbox, stock, f"se-{number}", found, 9, "nothing") for number, found in enumerate((doc, second))]
    sandbox.switches.turn({"clock_offset_s": 300})
    assert stock.took_effect(lost) == {"se-0": False, "se-1": False}


def test_a_level_that_its_movements_do_not_explain_is_a_contradiction(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    lost = _sent(sandbox, stock, "se-1", read(stock, items[0])[items[0]], 37, "commit")
    sandbox.switches.turn({"clock_offset_s": 300})
    level_before = lost.operation.lines[0].changes["inStock"]
    wrong = replace(lost.operation.lines[0], changes={"inStock": Change(level_before.old + 1, 38)})
    doubtful = SentWrite(replace(lost.operation, lines=(wrong,)), lost.sent_at)
    assert stock.took_effect([doubtful]) == {"se-1": None}


def test_what_was_stored_of_a_write_is_judged_as_the_write_itself(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    lost = _sent(sandbox, stock, "se-1", doc, 37, "commit")
    stored = from_json(to_json(plan_codec.step_to_doc(Step("", stock.name, lost.operation, {}))))
    again = replace(plan_codec.step_from_doc(stored).operation, token="se-1")
    sandbox.switches.turn({"clock_offset_s": 300})
    assert stock.read_between(again.current or {}) == stock.read_between(doc) is not None
    assert stock.took_effect([SentWrite(again, lost.sent_at)]) == {"se-1": True}


def test_the_level_after_a_correction_is_as_it_would_be_read(sandbox: Sandbox, shop: Connect, items: list[int]) -> None:
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=3, location=BAY)
    stock = stock_of(shop)
    raw = stock.read([str(items[0])])[str(items[0])]
    asked = operation(stock.load(raw), 2)  # of 40 and 3 in two locations
    assert results(stock, asked) == [Result.DONE]
    found, expected = stock.after(raw, asked), stock.read([str(items[0])])[str(items[0])]
    for doc in (found, expected):  # a location that holds nothing may be there or not
        locations = doc["warehouses"][str(MAIN)]["locations"]
        doc["warehouses"][str(MAIN)]["locations"] = {key: row for key, row in locations.items() if row["inStock"]}
    assert found["warehouses"] == expected["warehouses"]


def test_the_answer_names_the_note_of_each_correction_as_movements_do(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    act(sandbox, "receive", productId=items[2], warehouse=MAIN, quantity=3, location=BAY)
    stock = stock_of(shop)
    docs = read(stock, *items[:3])
    asked = [operation(docs[items[0]], 41), operation(docs[items[1]], 7), operation(docs[items[2]], 0)]
    notes = [outcome.note for outcome in stock.write(asked)]
    moved = {
        f"{each.type_code}{each.note_id}": each for each in stock.movements_since(sandbox.now() - timedelta(days=1))
    }
    assert [moved[note].product_id for note in notes if note][:2] == items[:2]


def _latest(stock: StockLevel, time: datetime, keys: list[str]) -> list[Any]:
    return sorted(stock.corrections_since(time, keys), key=lambda posted: posted.note_id)


def test_a_later_call_that_was_certainly_not_done_is_sent_later(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    throttled = Fault("brightpearl", "stock_correction.create", kind="throttle", match=f"warehouse/{STORE}/")
    sandbox.faults.add(throttled)
    assert results(stock, operation(doc, 39), operation(doc, 7, STORE)) == [Result.DONE, Result.RETRY]
    assert (level(sandbox, items[0]), level(sandbox, items[0], STORE)) == (39, 8)
    sandbox.faults.add(Fault("brightpearl", "stock_correction.create", kind="throttle"))
    with pytest.raises(Throttled):
        stock.write([operation(doc, 7, STORE)])


def test_goods_are_added_where_the_product_is_or_else_where_its_warehouse_puts_them(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    for item in items[:2]:
        act(sandbox, "correct", productId=item, warehouse=MAIN, to=0)
    act(sandbox, "receive", productId=items[0], warehouse=MAIN, quantity=1, location=BAY)
    stock = stock_of(shop)
    docs = read(stock, *items[:2])
    sandbox.calls.reset()
    assert results(stock, *[operation(docs[key], 9) for key in items[:2]]) == [Result.DONE] * 2
    assert sandbox.brightpearl.stock.by_location(items[0], MAIN) == {BAY: 9}
    assert sandbox.brightpearl.stock.by_location(items[1], MAIN) == {MAIN: 9}
    assert calls(sandbox) == {"product.read": 1, "stock_correction.create": 1}
    linked = stock.find([sandbox.brightpearl.products[items[0]].sku])
    current = stock.load(next(iter(linked.values()))[0])
    assert results(stock, operation(current, 12)) == [Result.DONE]
    assert sandbox.brightpearl.stock.by_location(items[0], MAIN) == {MAIN: 3, BAY: 9}


def test_an_unknown_warehouse_is_rejected_before_anything_is_sent(
    sandbox: Sandbox, shop: Connect, items: list[int]
) -> None:
    stock = stock_of(shop)
    doc = read(stock, items[0])[items[0]]
    sandbox.calls.reset()
    found = stock.write([operation(doc, 5, 99), operation(doc, 6, 99)])
    assert [outcome.result for outcome in found] == [Result.REJECTED] * 2
    assert calls(sandbox) == {"product.read": 1, "location.default": 1}


def test_what_an_order_has_reserved_is_read_by_row(sandbox: Sandbox, shop: Connect) -> None:
    account = sandbox.brightpearl
    order = next(each for each in account.orders.values() if account.statuses[each.status_id].fate == "eligible")
    row = next(row for row in order.rows.values() if account.products[row.product_id].stock_tracked)
    act(sandbox, "correct", productId=row.product_id, warehouse=order.warehouse_id, to=int(row.quantity) + 5)
    with account.lock:
        shipping.allocate(account, order)
    reservations = shop().resources["brightpearl.reservation"]
    found = reservations.read([str(order.id), "999999"])
    assert list(found) == [str(order.id)]
    rows = {each["id"]: each["quantity"] for each in reservations.load(found[str(order.id)])["orderRows"]}
    assert rows[str(row.id)] == int(row.quantity)
    level = read(stock_of(shop, stock_level_optional=["allocatedOrders"]), row.product_id)[row.product_id]
    main = next(each for each in level["warehouses"] if each["id"] == str(order.warehouse_id))
    assert main["allocated"] >= int(row.quantity)
    assert main["inStock"] == main["onHand"] + main["allocated"]
    assert str(order.id) in level["allocatedOrders"]
