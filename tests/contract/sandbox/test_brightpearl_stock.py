"""The stock of the simulated Brightpearl, against figures written by hand from brightpearl.md section 14."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client
from tests.contract.sandbox.stock_calls import (
    BAY,
    CORRECTIONS,
    GBP,
    MAIN,
    QUARANTINE,
    QUARANTINE_OF_STORE,
    STORE,
    act,
    correct,
    in_main,
    levels,
    movements,
    order_of,
)

# --- availability --------------------------------------------------------------------------------------------------


def test_availability_has_the_form_and_the_sums_of_the_example(client: Client, sandbox: Sandbox, item: int) -> None:
    order = order_of(client, sandbox, item, 2)
    assert client.control("POST", f"brightpearl/orders/{order}/allocate") == {"allocated": 2}

    path = Path(__file__).parents[2] / "payloads" / "brightpearl" / "product_availability_get.json"
    assert levels(client, item) == json.loads(path.read_text())["response"]["2001"]


def test_untracked_products_bundles_and_unknown_ids_are_left_out(client: Client, sandbox: Sandbox, item: int) -> None:
    untracked = [each.id for each in sandbox.shop.products if not each.stock_tracked]
    assert any(sandbox.brightpearl.products[key].bundle_components for key in untracked)
    ids = ",".join(map(str, sorted({item, *untracked, 999_999})))
    assert set(client.get(f"warehouse-service/product-availability/{ids}")) == {str(item)}
    assert client.get("warehouse-service/product-availability/999999") == {}


def test_availability_by_location_and_of_one_warehouse(client: Client, item: int) -> None:
    correct(client, {"productId": item, "quantity": 3, "locationId": BAY, "cost": GBP})
    act(client, "quarantine", productId=item, warehouse="MN", quantity=5)

    found = levels(client, item, includeOptional="breakDownByLocation")["warehouses"][str(MAIN)]
    assert (found["inStock"], found["onHand"]) == (38, 38)
    in_stock = {key: each["inStock"] for key, each in found["locations"].items()}
    assert in_stock == {str(MAIN): 35, str(BAY): 3, str(QUARANTINE): 5}

    of_main = client.get(f"warehouse-service/warehouse/{MAIN}/product-availability/{item}")[str(item)]
    assert (list(of_main["warehouses"]), of_main["total"]["inStock"]) == ([str(MAIN)], 38)


def test_goods_in_quarantine_may_be_in_stock_but_can_never_be_sold(client: Client, sandbox: Sandbox, item: int) -> None:
    act(client, "quarantine", productId=item, warehouse="MN", quantity=40)
    order = order_of(client, sandbox, item, 1)
    refused = client.http.post(f"{client.url}/_sandbox/brightpearl/orders/{order}/ship", json={}, timeout=10)
    assert refused.status_code == 400
    assert in_main(client, item) == (0, 0, 0)
    sandbox.switches.turn({"brightpearl_quarantine_in_stock": True})
    assert levels(client, item)["warehouses"][str(MAIN)]["inStock"] == 40


# --- corrections ---------------------------------------------------------------------------------------------------


def test_corrections_change_the_level_and_are_read_back_by_their_ids(client: Client, item: int) -> None:
    added, removed = correct(
        client, {"productId": item, "quantity": 5, "cost": GBP}, {"productId": item, "quantity": -2, "reason": "broken"}
    )
    assert in_main(client, item) == (43, 43, 0)

    found = {each["goodsNoteId"]: each for each in client.get(f"{CORRECTIONS}/{added}-{removed}")}
    first = found[added]
    created_on = first["goodsMoved"][0].pop("createdOn")
    assert first == {
        "goodsNoteId": added,
        "warehouseId": MAIN,
        "reason": "Cycle count",
        "goodsMoved": [
            {
                "productId": item,
                "quantity": 5,
                "destinationLocationId": MAIN,
                "batchGoodsNoteId": added,
                "productValue": {"currency": "GBP", "value": 9.5},
                "createdBy": 4,
            }
        ],
    }
    assert len(created_on) == len("2024-03-10T18:00:00.000-05:00")
    assert (found[removed]["reason"], found[removed]["goodsMoved"][0]["quantity"]) == ("broken", -2)
    elsewhere = client.refused("GET", f"warehouse-service/warehouse/{STORE}/stock-correction/{added}-{removed}")
    assert elsewhere == (404, ["CMNC-404"])
    uris = client.send("OPTIONS", f"{CORRECTIONS}/{added}-{removed}", None)["response"]["getUris"]
    assert uris == [f"/stock-correction/{added}-{removed}"]


def test_a_removal_takes_the_oldest_batches_first_and_a_movement_from_each(client: Client, item: int) -> None:
    act(client, "correct", productId=item, warehouse="MN", to=0)
    old = correct(client, {"productId": item, "quantity": 3, "cost": {"currency": "GBP", "value": 1}})[0]
    new = correct(client, {"productId": item, "quantity": 4, "cost": {"currency": "GBP", "value": 2}})[0]
    note = correct(client, {"productId": item, "quantity": -5})[0]

    moved = client.get(f"{CORRECTIONS}/{note}")[0]["goodsMoved"]
    assert [(each["batchGoodsNoteId"], each["quantity"], each["productValue"]["value"]) for each in moved] == [
        (old, -3, 1),
        (new, -2, 2),
    ]
    named = correct(client, {"productId": item, "quantity": -1, "batchId": new})[0]
    assert client.get(f"{CORRECTIONS}/{named}")[0]["goodsMoved"][0]["batchGoodsNoteId"] == new


@pytest.mark.parametrize(
    ("correction", "code"),
    [
        ({"productId": None}, "WHSC-014"),
        ({"productId": 999_999}, "WHSC-032"),
        ({"quantity": 0}, "WHSC-033"),
        ({"quantity": 1.5}, "WHSC-033"),
        ({"reason": " "}, "WHSC-034"),
        ({"locationId": STORE}, "WHSC-035"),
        ({"batchId": 7301}, "WHSC-036"),
        ({"cost": None}, "WHSC-037"),
        ({"cost": {"currency": "USD", "value": 1}}, "WHSC-037"),
        ({"quantity": -41}, "WHSC-039"),
        ({"quantity": -1, "locationId": BAY}, "WHSC-039"),
        ({"quantity": -1, "batchId": 7400}, "WHSC-039"),
    ],
)
def test_a_correction_that_cannot_be_made_is_refused_with_all_of_its_call(
    client: Client, item: int, correction: dict[str, Any], code: str
) -> None:
    right = {"productId": item, "quantity": 1, "reason": "count", "locationId": MAIN, "cost": GBP}
    status, codes = client.refused("POST", CORRECTIONS, {"corrections": [right, {**right, **correction}]})
    assert (status, set(codes)) == (400, {code})
    assert in_main(client, item) == (40, 40, 0)


def test_what_orders_have_allocated_cannot_be_corrected_away(client: Client, sandbox: Sandbox, item: int) -> None:
    client.control("POST", f"brightpearl/orders/{order_of(client, sandbox, item, 38)}/allocate")
    assert in_main(client, item) == (40, 2, 38)
    body = {"corrections": [{"productId": item, "quantity": -3, "reason": "count", "locationId": MAIN}]}
    assert client.refused("POST", CORRECTIONS, body) == (400, ["WHSC-039"])


def test_a_call_of_several_corrections_may_be_done_in_part(client: Client, sandbox: Sandbox, item: int) -> None:
    sandbox.switches.turn({"brightpearl_corrections_are_whole": False})
    right = {"productId": item, "quantity": 1, "reason": "count", "locationId": MAIN, "cost": GBP}
    body = {"corrections": [right, {**right, "cost": None}, right]}
    assert client.refused("POST", CORRECTIONS, body) == (207, ["WHSC-037"])
    assert in_main(client, item) == (42, 42, 0)


def test_corrections_have_a_limit_a_call_and_need_at_least_one(client: Client, sandbox: Sandbox, item: int) -> None:
    sandbox.switches.turn({"brightpearl_corrections_most": 2})
    right = {"productId": item, "quantity": 1, "reason": "count", "locationId": MAIN, "cost": GBP}
    assert client.refused("POST", CORRECTIONS, {"corrections": [right] * 3}) == (400, ["WHSC-031"])
    assert client.refused("POST", CORRECTIONS, {"corrections": []}) == (400, ["WHSC-030"])
    nowhere = "warehouse-service/warehouse/99/stock-correction"
    assert client.refused("POST", nowhere, {"corrections": [right]}) == (404, ["CMNC-404"])


# --- movements -----------------------------------------------------------------------------------------------------


def test_a_movement_has_the_columns_of_the_documents_in_their_order(client: Client, item: int) -> None:
    note = correct(client, {"productId": item, "quantity": 5, "cost": GBP})[0]
    found = movements(client, goodsNoteId=note)
    assert [(each.pop("goodsMovementId") > 0, len(each.pop("updatedOn"))) for each in found] == [(True, 29)]
    assert found == [
        {
            "productId": item,
            "salesOrderRowId": None,
            "purchaseOrderRowId": None,
            "quantity": 5,
            "destinationLocationId": MAIN,
            "warehouseId": MAIN,
            "goodsNoteId": note,
            "productValue": "9.5000",
            "currencyCode": "GBP",
            "orderId": None,
            "isCleared": False,
            "isQuarantine": False,
            "batchId": note,
            "goodsNoteTypeCode": "SC",
        }
    ]
    assert movements(client, goodsNoteId=note, goodsNoteTypeCode="GO") == []


def test_movements_are_searched_by_updated_on_page_by_page(client: Client, sandbox: Sandbox, item: int) -> None:
    sandbox.switches.turn({"clock_offset_s": 3600})
    begin = sandbox.brightpearl.stamp().isoformat().replace("+00:00", "Z")
    notes = correct(client, *[{"productId": item, "quantity": 1, "cost": GBP}] * 5)
    asked = {
        "updatedOn": f"{begin}/",
        "sort": "updatedOn.ASC,goodsMovementId.ASC",
        "columns": "goodsNoteId",
        "pageSize": 2,
    }
    pages = [
        client.get("warehouse-service/goods-movement-search", params=asked | {"firstResult": at}) for at in (1, 3, 5)
    ]
    assert [row[0] for page in pages for row in page["results"]] == notes
    assert [page["metaData"]["morePagesAvailable"] for page in pages] == [True, True, False]
    sandbox.switches.turn({"brightpearl_period_inclusive": "none"})
    assert movements(client, updatedOn="2020-01-01/2020-02-01") == []
    assert movements(client, updatedOn=f"{begin}/", goodsNoteId=notes[0] - 1) == []


def test_a_shipment_that_is_dated_back_moves_now(client: Client, sandbox: Sandbox, item: int) -> None:
    order = order_of(client, sandbox, item, 3)
    shipped = client.control("POST", f"brightpearl/orders/{order}/ship", {"shippedOn": "2020-01-01T10:00:00Z"})
    assert [(each["type"], each["quantity"], each["levelAfter"]) for each in shipped] == [("GO", -3, 37)]
    assert shipped[0]["movedOn"] == "2020-01-01T10:00:00+00:00"
    assert abs(datetime.fromisoformat(shipped[0]["updatedOn"]) - sandbox.now()) < timedelta(seconds=10)
    row = movements(client, orderId=order)[0]
    assert (row["goodsNoteTypeCode"], row["quantity"], row["warehouseId"]) == ("GO", -3, MAIN)
    assert row["salesOrderRowId"] in sandbox.brightpearl.orders[order].rows
    assert in_main(client, item) == (37, 37, 0)
    assert client.get(f"order-service/order/{order}")[0]["shippingStatusCode"] == "ASS"


def test_a_transfer_lies_in_quarantine_until_it_is_released(client: Client, item: int) -> None:
    moved = act(client, "transfer", productId=item, **{"from": MAIN, "to": "ST"}, quantity=10, release=False)
    assert [(each["type"], each["warehouseId"], each["quantity"], each["isQuarantine"]) for each in moved] == [
        ("GO", MAIN, -10, False),
        ("GO", STORE, 10, True),
    ]
    found = levels(client, item, includeOptional="breakDownByLocation")["warehouses"]
    assert (found["2"]["inStock"], found["3"]["inStock"]) == (30, 8)
    assert found["3"]["locations"][str(QUARANTINE_OF_STORE)]["inStock"] == 10

    act(client, "release", productId=item, warehouse=STORE, quantity=10)
    assert [(each["quantity"], each["isQuarantine"]) for each in movements(client, goodsNoteTypeCode="IT")] == [
        (-10, True),
        (10, False),
    ]
    assert levels(client, item)["warehouses"]["3"]["inStock"] == 18


def test_the_opening_levels_and_all_movements_are_the_levels(client: Client, sandbox: Sandbox, item: int) -> None:
    act(client, "receive", productId=item, warehouse="MN", quantity=30, receivedOn="2021-01-01", location=BAY)
    act(client, "transfer", productId=item, **{"from": "MN", "to": "ST"}, quantity=4)
    client.control("POST", f"brightpearl/orders/{order_of(client, sandbox, item, 50)}/ship", {})
    expected = {(each["productId"], each["warehouseId"]): each["quantity"] for each in _control(client, "opening")}
    for each in _control(client, "movements"):
        if not each["isQuarantine"]:
            expected[each["productId"], each["warehouseId"]] += each["quantity"]
            assert each["levelAfter"] == expected[each["productId"], each["warehouseId"]]
    assert (expected[item, MAIN], expected[item, STORE]) == (16, 12)
    ids = sorted({product_id for product_id, _ in expected})
    shown = client.get(f"warehouse-service/product-availability/{','.join(map(str, ids))}")
    assert expected == {
        (int(key), int(warehouse)): each["inStock"]
        for key, found in shown.items()
        for warehouse, each in found["warehouses"].items()
    }


def _control(client: Client, what: str) -> list[dict[str, Any]]:
    return client.control("GET", f"brightpearl/stock/{what}")


# --- orders --------------------------------------------------------------------------------------------------------


def test_a_reservation_takes_what_is_on_hand_and_is_dropped_with_its_order(
    client: Client, sandbox: Sandbox, item: int
) -> None:
    order = order_of(client, sandbox, item, 50)
    row = next(iter(sandbox.brightpearl.orders[order].rows))
    path = f"warehouse-service/order/{order}/reservation"
    assert client.refused("GET", path) == (404, ["CMNC-404"])

    body = {"products": [{"productId": item, "salesOrderRowId": row, "quantity": 50}]}
    assert client.send("POST", f"{path}/warehouse/{MAIN}", body) == {}
    assert client.get(path) == [
        {"orderId": order, "warehouseId": MAIN, "orderRows": {str(row): {"productId": item, "quantity": 40}}}
    ]
    assert client.get(f"order-service/order/{order}")[0]["allocationStatusCode"] == "APA"
    assert list(levels(client, item, includeOptional="allocatedOrders")["allocatedOrders"]) == [str(order)]
    assert client.refused("POST", f"{path}/warehouse/{MAIN}", body) == (400, ["WHSC-040"])

    patch = [{"op": "replace", "path": "/quantity/magnitude", "value": 39}]
    assert client.refused("PATCH", f"order-service/order/{order}/row/{row}", patch) == (400, ["ORDC-027"])
    client.send("PUT", f"order-service/order/{order}/status", {"orderStatusId": 5})
    assert in_main(client, item) == (40, 40, 0)
    assert client.refused("GET", path) == (404, ["CMNC-404"])


def test_a_reservation_needs_the_row_and_something_on_hand(client: Client, sandbox: Sandbox, item: int) -> None:
    order = order_of(client, sandbox, item, 5)
    row = next(iter(sandbox.brightpearl.orders[order].rows))
    path = f"warehouse-service/order/{order}/reservation/warehouse/{MAIN}"
    wrong = {"products": [{"productId": item, "salesOrderRowId": row + 1, "quantity": 1}]}
    assert client.refused("POST", path, wrong) == (400, ["WHSC-044"])
    act(client, "correct", productId=item, warehouse=MAIN, to=0)
    right = {"products": [{"productId": item, "salesOrderRowId": row, "quantity": 1}]}
    assert client.refused("POST", path, right) == (400, ["WHSC-042"])


def test_an_order_is_shipped_in_part_and_then_no_longer_cancelled(client: Client, sandbox: Sandbox, item: int) -> None:
    order = order_of(client, sandbox, item, 5)
    row = next(iter(sandbox.brightpearl.orders[order].rows))
    client.control("POST", f"brightpearl/orders/{order}/allocate")
    client.control("POST", f"brightpearl/orders/{order}/ship", {"rows": {str(row): 2}})
    shown = client.get(f"order-service/order/{order}")[0]
    codes = ("stockStatusCode", "allocationStatusCode", "shippingStatusCode")
    assert [shown[code] for code in codes] == ["SOP", "AAA", "SPS"]
    assert in_main(client, item) == (38, 35, 3)
    cancelled = client.refused("PUT", f"order-service/order/{order}/status", {"orderStatusId": 5})
    assert cancelled == (400, ["ORDC-031"])


def test_orders_allocate_by_themselves_where_the_account_does(client: Client, sandbox: Sandbox, item: int) -> None:
    sandbox.switches.turn({"brightpearl_orders_allocate": True})
    order = order_of(client, sandbox, item, 7)
    assert in_main(client, item) == (40, 33, 7)
    row = next(iter(sandbox.brightpearl.orders[order].rows))
    client.control("POST", f"brightpearl/orders/{order}/rows/{row}", {"quantity": 4})
    assert in_main(client, item) == (40, 36, 4)
    client.control("DELETE", f"brightpearl/orders/{order}/rows/{row}")
    assert in_main(client, item) == (40, 40, 0)


def test_a_bundle_ships_its_components(client: Client, sandbox: Sandbox) -> None:
    bundle = next(each for each in sandbox.shop.products if each.bundle_components)
    components = dict(bundle.bundle_components)
    for product_id in components:
        act(client, "correct", productId=product_id, warehouse=MAIN, to=20)
    rows = [{"sku": bundle.sku, "quantity": 3}]
    order = client.control("POST", "brightpearl/orders", {"contactId": 310, "rows": rows})["id"]
    shipped = client.control("POST", f"brightpearl/orders/{order}/ship", {})
    assert {each["productId"]: each["quantity"] for each in shipped} == {
        product_id: -3 * number for product_id, number in components.items()
    }
