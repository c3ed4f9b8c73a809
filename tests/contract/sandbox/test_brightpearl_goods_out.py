"""Goods-out and drop-ship notes of the simulated Brightpearl, against brightpearl.md sections 11.4, 14.4 and 14.5."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client, Receiver
from tests.contract.sandbox.stock_calls import MAIN, STORE, act, in_main, levels, movements, order_of

SHW = {"eventCode": "SHW", "occured": "2024-03-06T15:00:00-05:00", "eventOwnerId": 4}
NOTES = "warehouse-service/goods-note/goods-out"
SEARCH = f"{NOTES}-search"


@pytest.fixture
def order(client: Client, sandbox: Sandbox, item: int) -> int:
    """An order of 5 of the item."""
    return order_of(client, sandbox, item, 5)


@pytest.fixture
def row(sandbox: Sandbox, order: int) -> int:
    return next(iter(sandbox.brightpearl.orders[order].rows))


def note_of(item: int, row: int, quantity: int, warehouse: int = MAIN) -> dict[str, Any]:
    products = [{"productId": item, "salesOrderRowId": row, "quantity": quantity}]
    return {
        "releaseDate": "2024-03-05T16:00:00-05:00",
        "warehouseId": warehouse,
        "transfer": False,
        "products": products,
    }


def create(client: Client, order: int, *warehouses: dict[str, Any]) -> list[int]:
    body = {"warehouses": list(warehouses), "priority": False, "shippingMethodId": 3}
    return client.send("POST", f"warehouse-service/order/{order}/goods-note/goods-out", body)["response"]


def refused(client: Client, order: int, *warehouses: dict[str, Any]) -> tuple[int, list[str]]:
    path = f"warehouse-service/order/{order}/goods-note/goods-out"
    return client.refused("POST", path, {"warehouses": list(warehouses)})


def read(client: Client, note: int) -> dict[str, Any]:
    return client.get(f"warehouse-service/order/*/goods-note/goods-out/{note}")[str(note)]


def ship(client: Client, note: int, **headers: str) -> Any:
    return client.call("POST", f"{NOTES}/{note}/event", json={"events": [SHW]}, headers=headers)


def order_codes(client: Client, order: int) -> list[str]:
    shown = client.get(f"order-service/order/{order}")[0]
    return [shown[name] for name in ("stockStatusCode", "allocationStatusCode", "shippingStatusCode")]


def searched(client: Client, **filters: str) -> list[int]:
    return [found[0] for found in client.get(SEARCH, params=filters)["results"]]


# --- the form ------------------------------------------------------------------------------------------------------


def keys(value: Any) -> Any:
    """The names of a document, without what ids and numbers they hold."""
    if isinstance(value, dict):
        return {name if not name.isdigit() else "id": keys(part) for name, part in value.items()}
    return [keys(part) for part in value[:1]] if isinstance(value, list) else None


def test_a_shipped_note_has_the_form_of_the_example(client: Client, order: int, item: int, row: int) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    body = {"shipping": {"reference": "TRACK-0001", "shippingMethodId": 3, "boxes": 1, "weight": "1.05"}}
    assert client.send("PUT", f"{NOTES}/{note}", body) == {}
    assert ship(client, note).json() == {}

    path = Path(__file__).parents[2] / "payloads" / "brightpearl" / "goods_out_note_get.json"
    example = json.loads(path.read_text())["response"]["7001"]
    found = read(client, note)
    assert keys(found) == keys(example)
    assert list(found) == list(example)
    assert found["shipping"] == example["shipping"]
    assert found["orderRows"] == {str(row): [{"productId": item, "quantity": 2, "locationId": MAIN}]}
    assert [event["eventCode"] for event in found["events"]] == ["PLA", "PRI", "PIC", "PAC", "SHW"]
    assert found["status"]["shippedOn"] == "2024-03-06T20:00:00.000+00:00"


def test_an_open_note_has_the_form_of_the_example(client: Client, order: int, item: int, row: int) -> None:
    path = Path(__file__).parents[2] / "payloads" / "brightpearl" / "goods_out_note_get.json"
    example = json.loads(path.read_text())["response"]["7002"]
    note = read(client, create(client, order, note_of(item, row, 2))[0])
    assert keys(note) == keys(example)
    assert note["status"] == example["status"]


def test_the_search_has_the_columns_of_the_example(client: Client, order: int, item: int, row: int) -> None:
    path = Path(__file__).parents[2] / "payloads" / "brightpearl" / "goods_out_note_search.json"
    example = json.loads(path.read_text())["response"]["metaData"]
    create(client, order, note_of(item, row, 2))
    found = client.get(SEARCH)
    assert found["metaData"]["columns"] == example["columns"]
    assert found["metaData"]["sorting"] == example["sorting"]
    assert found["results"][0][1:7] == [False, False, False, False, None, order]


# --- stock and orders ----------------------------------------------------------------------------------------------


def test_a_note_holds_its_goods_until_they_leave(client: Client, order: int, item: int, row: int) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    assert in_main(client, item) == (40, 38, 2)
    assert order_codes(client, order) == ["SON", "APA", "SNS"]
    assert movements(client, orderId=order) == []

    assert ship(client, note).status_code == 200
    assert in_main(client, item) == (38, 38, 0)
    assert order_codes(client, order) == ["SOP", "APA", "SPS"]
    moved = movements(client, orderId=order)
    assert [(each["goodsNoteId"], each["quantity"], each["salesOrderRowId"]) for each in moved] == [(note, -2, row)]


def test_an_order_ships_by_several_notes_from_several_warehouses(
    client: Client, order: int, item: int, row: int
) -> None:
    first, second = create(client, order, note_of(item, row, 2), note_of(item, row, 1, STORE))
    third = create(client, order, note_of(item, row, 2))[0]
    assert refused(client, order, note_of(item, row, 1)) == (400, ["WHSC-045"])
    for note in (first, second, third):
        ship(client, note)
    assert order_codes(client, order) == ["SOA", "AAA", "ASS"]
    found = client.get(f"warehouse-service/order/{order}/goods-note/goods-out")
    assert [(key, note["sequence"]) for key, note in found.items()] == [
        (str(first), 1), (str(second), 2), (str(third), 3)
    ]  # fmt: skip
    assert levels(client, item)["warehouses"][str(STORE)] == {"inStock": 7, "onHand": 7, "allocated": 0, "inTransit": 0}


def test_a_note_takes_from_the_reservation_of_its_rows(
    client: Client, sandbox: Sandbox, order: int, item: int, row: int
) -> None:
    client.control("POST", f"brightpearl/orders/{order}/allocate")
    assert in_main(client, item) == (40, 35, 5)
    note = create(client, order, note_of(item, row, 3))[0]
    assert in_main(client, item) == (40, 35, 5)
    held = client.get(f"warehouse-service/order/{order}/reservation")[0]["orderRows"]
    assert held == {str(row): {"productId": item, "quantity": 2}}
    allocated = levels(client, item, includeOptional="allocatedOrders")["allocatedOrders"]
    assert allocated == {str(order): {"goodsNotes": [note]}}
    ship(client, note)
    assert in_main(client, item) == (37, 35, 2)


def test_a_note_without_enough_goods_is_refused_whole(client: Client, order: int, item: int, row: int) -> None:
    act(client, "correct", productId=item, warehouse=STORE, to=0)
    assert refused(client, order, note_of(item, row, 2), note_of(item, row, 1, STORE)) == (400, ["WHSC-052"])
    assert in_main(client, item) == (40, 40, 0)
    assert searched(client, orderId=str(order)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"warehouseId": 99}, "WHSC-041"),
        ({"products": []}, "WHSC-043"),
        ({"transfer": True}, "WHSC-057"),
        ({"releaseDate": "soon"}, "WHSC-058"),
    ],
)
def test_a_note_that_cannot_be_made_is_refused(
    client: Client, order: int, item: int, row: int, change: dict[str, Any], code: str
) -> None:
    assert refused(client, order, {**note_of(item, row, 1), **change}) == (400, [code])


def test_notes_of_wrong_rows_quantities_and_orders_are_refused(client: Client, order: int, item: int, row: int) -> None:
    assert refused(client, order, note_of(item, row + 9, 1)) == (400, ["WHSC-044"])
    assert refused(client, order, note_of(item, row, 0)) == (400, ["WHSC-045"])
    assert refused(client, order, note_of(0, row, 1)) == (400, ["WHSC-014"])
    assert refused(client, order) == (400, ["WHSC-050"])
    assert refused(client, 999_999, note_of(item, row, 1)) == (400, ["ORDC-003"])


def test_an_order_with_a_note_is_not_cancelled_until_the_note_is_deleted(
    client: Client, order: int, item: int, row: int
) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    status = f"order-service/order/{order}/status"
    assert client.refused("PUT", status, {"orderStatusId": 5}) == (400, ["ORDC-031"])
    assert client.send("DELETE", f"warehouse-service/order/{order}/goods-note/goods-out/{note}", None) == {}
    assert in_main(client, item) == (40, 40, 0)
    assert client.refused("GET", f"warehouse-service/order/*/goods-note/goods-out/{note}") == (404, ["CMNC-404"])
    assert searched(client, orderId=str(order)) == []
    client.send("PUT", status, {"orderStatusId": 5})


# --- reading -------------------------------------------------------------------------------------------------------


def test_notes_are_read_by_orders_and_by_ids(client: Client, sandbox: Sandbox, order: int, item: int, row: int) -> None:
    other = order_of(client, sandbox, item, 1)
    other_row = next(iter(sandbox.brightpearl.orders[other].rows))
    mine = create(client, order, note_of(item, row, 1))[0]
    theirs = create(client, other, note_of(item, other_row, 1))[0]

    base = "warehouse-service/order"
    assert set(client.get(f"{base}/{order},{other}/goods-note/goods-out/")) == {str(mine), str(theirs)}
    assert set(client.get(f"{base}/*/goods-note/goods-out/{mine}-{theirs},999999")) == {str(mine), str(theirs)}
    assert set(client.get(f"{base}/{order}/goods-note/goods-out/{mine}-{theirs}")) == {str(mine)}
    assert client.refused("GET", f"{base}/*/goods-note/goods-out/1-501") == (400, ["CMNC-012"])
    assert client.refused("GET", f"{base}/{order}/goods-note/goods-out/999999") == (404, ["CMNC-404"])
    sandbox.switches.turn({"brightpearl_missing_goods_out_404": False})
    assert client.get(f"{base}/{order}/goods-note/goods-out/999999") == {}


def test_notes_are_searched_by_shipping_and_creation(
    client: Client, sandbox: Sandbox, order: int, item: int, row: int
) -> None:
    first, second = (create(client, order, note_of(item, row, 1))[0] for _ in range(2))
    ship(client, first)
    assert searched(client, shippedOn="2024-03-06T00:00:00Z/2024-03-07T00:00:00Z") == [first]
    assert searched(client, shipped="false") == [second]
    assert searched(client, orderId=str(order), sort="goodsOutNoteId.DESC") == [second, first]
    begin = (sandbox.now() - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    assert searched(client, createdOn=f"{begin}/", columns="goodsOutNoteId") == [first, second]
    assert client.refused("GET", f"{SEARCH}?updatedOn={begin}/") == (500, ["CMNC-018"])


# --- events and changes --------------------------------------------------------------------------------------------


def test_if_match_lets_a_note_ship_once(client: Client, order: int, item: int, row: int) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    version = str(read(client, note)["lastEventVersion"])
    assert ship(client, note, **{"If-Match": version}).status_code == 200
    again = ship(client, note, **{"If-Match": version})
    assert (again.status_code, again.json()["errors"][0]["code"]) == (412, "WHSC-055")

    assert ship(client, note).status_code == 200
    assert [event["eventCode"] for event in read(client, note)["events"]].count("SHW") == 2
    assert in_main(client, item)[0] == 38


def test_steps_are_taken_and_taken_back_before_shipping(client: Client, order: int, item: int, row: int) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    versions = [read(client, note)["lastEventVersion"]]
    for code, done in (("PRI", True), ("UPR", False), ("PRI", True)):
        client.send("POST", f"{NOTES}/{note}/event", {"events": [{**SHW, "eventCode": code}]})
        assert read(client, note)["status"]["printed"] is done
        versions.append(read(client, note)["lastEventVersion"])
    assert sorted(set(versions)) == versions

    ship(client, note)
    codes = [event["eventCode"] for event in read(client, note)["events"]]
    assert codes == ["PLA", "PRI", "UPR", "PRI", "PIC", "PAC", "SHW"]
    back = {"events": [{**SHW, "eventCode": "UPR"}]}
    assert client.refused("POST", f"{NOTES}/{note}/event", back) == (400, ["WHSC-053"])


@pytest.mark.parametrize("wrong", [{"eventCode": "XXX"}, {"occured": "now"}, {"eventOwnerId": None}])
def test_an_event_needs_all_three_fields(
    client: Client, order: int, item: int, row: int, wrong: dict[str, object]
) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    assert client.refused("POST", f"{NOTES}/{note}/event", {"events": [{**SHW, **wrong}]}) == (400, ["WHSC-056"])
    assert read(client, note)["status"]["shipped"] is False


def test_a_shipped_note_is_neither_changed_nor_deleted(client: Client, order: int, item: int, row: int) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    long = {"shipping": {"reference": "x" * 65}}
    assert client.refused("PUT", f"{NOTES}/{note}", long) == (400, ["WHSC-054"])
    ship(client, note)
    late = {"shipping": {"reference": "TRACK-0001"}}
    assert client.refused("PUT", f"{NOTES}/{note}", late) == (400, ["WHSC-053"])
    path = f"warehouse-service/order/{order}/goods-note/goods-out/{note}"
    assert client.refused("DELETE", path) == (400, ["WHSC-053"])


def test_webhooks_tell_of_creation_steps_and_shipping(
    client: Client, sandbox: Sandbox, receiver: Receiver, order: int, item: int, row: int
) -> None:
    template = '{"account":"${account-code}","type":"${resource-type}","cycle":"${lifecycle-event}",'
    template += '"id":"${resource-id}","event":"${full-event}"}'
    body = {"subscribeTo": "goods-out-note", "httpMethod": "POST", "uriTemplate": f"{receiver.url}/hook"}
    more = {"bodyTemplate": template, "contentType": "application/json", "idSetAccepted": False}
    client.send("POST", "integration-service/webhook", body | more)
    note = create(client, order, note_of(item, row, 2))[0]
    client.control("POST", "brightpearl/webhooks/wait")
    ship(client, note)
    client.control("POST", "brightpearl/webhooks/wait")
    assert [(each["id"], each["event"]) for each in receiver.bodies] == [
        (str(note), "goods-out-note.created"),
        (str(note), "goods-out-note.modified.shipped"),
    ]


def test_a_creation_may_answer_one_id(client: Client, sandbox: Sandbox, order: int, item: int, row: int) -> None:
    sandbox.switches.turn({"brightpearl_goods_out_ids_are_listed": False})
    assert isinstance(create(client, order, note_of(item, row, 2)), int)


# --- movements and undone shipments ---------------------------------------------------------------------------------


def test_movements_may_be_there_before_shipping_with_the_time_of_the_creation(
    client: Client, sandbox: Sandbox, order: int, item: int, row: int
) -> None:
    sandbox.switches.turn({"brightpearl_movements_before_shipping": True})
    note = create(client, order, note_of(item, row, 2))[0]
    before = movements(client, goodsNoteId=note)
    assert [each["quantity"] for each in before] == [-2]
    assert in_main(client, item)[0] == 40

    sandbox.switches.turn({"clock_offset_s": 7200})
    ship(client, note)
    after = movements(client, goodsNoteId=note)
    assert [(each["quantity"], each["updatedOn"]) for each in after] == [(-2, before[0]["updatedOn"])]
    assert in_main(client, item)[0] == 38


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_shipment_is_undone_by_a_person(
    client: Client, sandbox: Sandbox, order: int, item: int, row: int, is_shown: bool
) -> None:
    sandbox.switches.turn({"brightpearl_unshipping_moves": is_shown})
    note = create(client, order, note_of(item, row, 2))[0]
    ship(client, note)
    version = read(client, note)["lastEventVersion"]
    client.control("POST", f"brightpearl/goods-out/{note}/unship")

    found = read(client, note)
    assert (found["status"]["shipped"], "shippedOn" in found["status"]) == (False, False)
    assert found["lastEventVersion"] > version
    assert in_main(client, item) == (40, 38, 2)
    assert order_codes(client, order) == ["SON", "APA", "SNS"]
    assert [each["quantity"] for each in movements(client, goodsNoteId=note)] == ([-2, 2] if is_shown else [])
    assert [each["quantity"] for each in client.control("GET", "brightpearl/stock/movements")][-2:] == [-2, 2]

    ship(client, note)
    assert in_main(client, item) == (38, 38, 0)


def test_an_undone_note_may_be_deleted(client: Client, order: int, item: int, row: int) -> None:
    note = create(client, order, note_of(item, row, 2))[0]
    ship(client, note)
    client.control("POST", f"brightpearl/goods-out/{note}/unship", {"delete": True})
    assert client.refused("GET", f"warehouse-service/order/*/goods-note/goods-out/{note}") == (404, ["CMNC-404"])
    assert in_main(client, item) == (40, 40, 0)


def test_people_ship_with_a_reference_from_a_warehouse_and_in_two_steps(
    client: Client, order: int, item: int, row: int
) -> None:
    body = {"rows": {str(row): 2}, "warehouse": "ST", "reference": "3PL-77", "boxes": 2, "weight": 1.5}
    moved = client.control("POST", f"brightpearl/orders/{order}/ship", body)
    found = client.control("GET", f"brightpearl/goods-out/{moved[0]['noteId']}")
    assert (found["warehouseId"], found["shipping"]["reference"], found["shipping"]["boxes"]) == (STORE, "3PL-77", 2)

    note = client.control("POST", f"brightpearl/orders/{order}/goods-out")["ids"][0]
    assert read(client, note)["status"]["shipped"] is False
    client.control("POST", f"brightpearl/goods-out/{note}/ship", {"shippedOn": "2020-01-01T10:00:00Z"})
    assert read(client, note)["status"]["shippedOn"] == "2020-01-01T10:00:00.000+00:00"
    assert order_codes(client, order)[2] == "ASS"


def test_a_transfer_is_a_note_without_an_order(client: Client, item: int) -> None:
    moved = act(client, "transfer", productId=item, **{"from": "MN", "to": "ST"}, quantity=4, release=False)
    note = moved[0]["noteId"]
    found = read(client, note)
    assert (found["orderId"], found["transfer"], found["targetWarehouseId"], found["orderRows"]) == (0, True, STORE, {})
    assert found["transferRows"] == [{"productId": item, "quantity": 4, "locationId": MAIN}]
    assert searched(client, transfer="true") == [note]


# --- drop-ship notes and invoicing ----------------------------------------------------------------------------------


def test_a_supplier_ships_without_moving_stock(client: Client, order: int, item: int, row: int) -> None:
    path = f"warehouse-service/order/{order}/goods-note/drop-ship"
    product = {"productId": item, "purchaseOrderRowId": 391, "salesOrderRowId": row, "quantity": 5}
    suppliers = [{"supplierId": 8, "purchaseOrderId": 76, "products": [product]}]
    note = client.send("POST", path, {"suppliers": suppliers})["response"][0]
    assert refused(client, order, note_of(item, row, 1)) == (400, ["WHSC-045"])

    event = {"eventCode": "SHS", "occured": "2011-08-23T16:10:45.555Z", "eventOwnerId": 1}
    body = {"trackingReference": "22", "shippingMethodId": 1, "events": [event]}
    assert client.send("POST", f"warehouse-service/goods-note/drop-ship/{note}/event", body) == {}
    found = client.get(path)[str(note)]
    assert (found["orderId"], found["purchaseOrderId"], found["supplierId"]) == (order, 76, 8)
    assert found["orderRows"] == {str(row): [{"productId": item, "quantity": 5, "locationId": 0}]}
    assert (found["status"]["shipped"], found["shipping"]["reference"]) == (True, "22")
    assert order_codes(client, order) == ["SOA", "AAA", "ASS"]
    assert in_main(client, item) == (40, 40, 0)
    assert client.refused("GET", "warehouse-service/order/*/goods-note/drop-ship") == (400, ["WHSC-061"])
    assert set(client.get(f"warehouse-service/order/*/goods-note/drop-ship/{note}")) == {str(note)}


def test_people_have_a_supplier_ship_part_of_an_order(client: Client, order: int, item: int, row: int) -> None:
    note = client.control("POST", f"brightpearl/orders/{order}/drop-ship", {"rows": {str(row): 2}})["id"]
    client.control("POST", f"brightpearl/drop-ship/{note}/ship", {"reference": "SUP-1"})
    assert order_codes(client, order)[2] == "SPS"
    assert client.control("GET", "brightpearl/drop-ship")[0]["shipping"]["reference"] == "SUP-1"


def test_closing_an_order_takes_a_while_and_happens_once(client: Client, sandbox: Sandbox, order: int) -> None:
    sandbox.switches.turn({"brightpearl_close_delay_s": 60})
    path = f"order-service/sales-order/{order}/close"
    for _ in range(2):
        assert client.send("POST", path, {"taxDate": "2026-03-05"}) == {}
    assert client.get(f"order-service/order/{order}")[0]["state"]["tax"] == "READY"

    sandbox.switches.turn({"clock_offset_s": 90})
    closed = client.get(f"order-service/order/{order}")[0]
    assert (closed["state"]["tax"], closed["invoices"][0]["taxDate"]) == ("INVOICED", "2026-03-05T00:00:00.000+00:00")
    assert closed["invoices"][0]["invoiceReference"].startswith("SI-")
    assert client.refused("POST", path, {}) == (400, ["ORDC-040"])
