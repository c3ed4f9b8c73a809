"""Orders, rows, statuses, notes and sales orders (brightpearl.md sections 3, 6, 9 and 11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client

ORDER = "order-service/order"
EXAMPLES = Path(__file__).parents[2] / "payloads" / "brightpearl"


def new_order(client: Client, **more: Any) -> int:
    body = {"orderTypeCode": "SO", "parties": {"customer": {"contactId": 310}}, **more}
    key: int = client.send("POST", ORDER, body)["response"]
    return key


def row(**more: Any) -> dict[str, Any]:
    value = {"taxCode": "T20", "rowNet": {"value": "100.00"}, "rowTax": {"value": "13.00"}}
    return {"productId": 2010, "quantity": {"magnitude": 2}, "rowValue": value, **more}


# --- reading -------------------------------------------------------------------------------------------------------


def test_unknown_ids_are_skipped_and_none_at_all_is_an_empty_list(client: Client) -> None:
    assert client.get(f"{ORDER}/1,5002,99999")[0]["id"] == 5002
    answer = client.call("GET", f"{ORDER}/99999")
    assert (answer.status_code, answer.text) == (200, '{"response":[]}')


def test_orders_come_in_no_promised_order(client: Client) -> None:
    ids = [order["id"] for order in client.get(f"{ORDER}/5001-5010")]
    assert sorted(ids) == list(range(5001, 5011))
    assert ids != sorted(ids)


@pytest.mark.parametrize("id_set", ["5010-5001", "5002,5001", "5001-", "abc", "5001,,5003", "5001-5005,5004"])
def test_id_set_that_is_not_ascending_is_refused(client: Client, id_set: str) -> None:
    assert client.call("GET", f"{ORDER}/{id_set}").status_code == 400


def test_at_most_200_ids_a_call(client: Client) -> None:
    assert client.call("GET", f"{ORDER}/5001-5200").status_code == 200
    assert client.call("GET", f"{ORDER}/5001-5201").status_code == 400


def test_list_too_long_for_a_uri_is_a_414(client: Client) -> None:
    ids = ",".join(str(number) for number in range(5001, 7000))
    assert client.call("GET", f"{ORDER}/{ids}").status_code == 414


def test_options_gives_existing_ids_compacted_and_in_batches(client: Client) -> None:
    assert client.call("OPTIONS", f"{ORDER}/1-5003,5005,5007-5008,9999").json() == {
        "response": {"getUris": ["/order/5001-5003,5005,5007-5008"]}
    }
    assert client.call("OPTIONS", f"{ORDER}/1-10").json() == {"response": {"getUris": []}}


def test_doubled_and_trailing_slashes_and_the_old_version_segment(client: Client) -> None:
    for path in ("public-api/sandbox//order-service/order/5002/", "2.0.0/sandbox/order-service/order/5002"):
        answer = client.http.get(f"{client.url}/{path}", timeout=10)
        assert answer.json()["response"][0]["id"] == 5002


def test_unknown_path_is_a_404_that_names_it(client: Client) -> None:
    answer = client.call("GET", "order-service/nonsense")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "CMNC-404")
    assert answer.json()["errors"][0]["message"].startswith("Cannot find the resource ")


def test_order_has_the_fields_of_the_reference_and_no_others(client: Client, sandbox: Sandbox) -> None:
    """The keys are those of brightpearl.md 11.1 and its example payload."""
    order = client.get(f"{ORDER}/{sandbox.shop.awkward['updated']}")[0]

    assert set(order) == {
        *(
            [
                "id",
                "parentOrderId",
                "orderTypeCode",
                "reference",
                "version",
                "state",
                "orderStatus",
                "tax",
                "orderPaymentStatus",
            ]
        ),
        *(
            [
                "stockStatusCode",
                "allocationStatusCode",
                "shippingStatusCode",
                "placedOn",
                "createdOn",
                "updatedOn",
                "createdById",
            ]
        ),
        *(
            [
                "priceListId",
                "priceModeCode",
                "delivery",
                "invoices",
                "currency",
                "totalValue",
                "assignment",
                "parties",
                "orderRows",
            ]
        ),
        *(["warehouseId", "acknowledged", "costPriceListId", "historicalOrder", "isDropship", "orderWeighting"]),
    }
    line = next(iter(order["orderRows"].values()))
    assert set(line) == {
        *(["orderRowSequence", "productId", "productName", "productSku", "quantity", "itemCost", "productPrice"]),
        *(["discountPercentage", "rowValue", "nominalCode", "composition", "clonedFromId"]),
    }
    assert "contactId" in order["parties"]["customer"]
    assert "contactId" not in order["parties"]["delivery"]


def test_money_is_text_with_fixed_decimals(client: Client, sandbox: Sandbox) -> None:
    order = client.get(f"{ORDER}/{sandbox.shop.awkward['euro']}")[0]
    line = next(iter(order["orderRows"].values()))

    assert order["currency"]["exchangeRate"] == "1.172400"
    for text, places in (
        (order["totalValue"]["net"], 2),
        (line["quantity"]["magnitude"], 4),
        (line["rowValue"]["rowNet"]["value"], 4),
        (line["rowValue"]["rowTax"]["value"], 2),
        (line["rowValue"]["taxRate"], 4),
        (line["productPrice"]["value"], 4),
        (line["discountPercentage"], 2),
    ):
        assert isinstance(text, str)
        assert len(text.rpartition(".")[2]) == places


def test_row_net_is_for_the_whole_quantity(client: Client) -> None:
    key = new_order(client)
    client.send(
        "POST",
        f"{ORDER}/{key}/row",
        row(quantity={"magnitude": 4}, rowValue={"taxCode": "T20", "rowNet": {"value": 400}}),
    )
    order = client.get(f"{ORDER}/{key}")[0]

    assert next(iter(order["orderRows"].values()))["rowValue"]["rowNet"]["value"] == "400.0000"
    assert order["totalValue"]["taxAmount"] == "80.00"


def test_order_never_changed_has_no_updated_on(client: Client, sandbox: Sandbox) -> None:
    order = client.get(f"{ORDER}/{sandbox.shop.awkward['plain']}")[0]
    assert "updatedOn" not in order


def test_times_are_in_the_accounts_time_zone(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_time_zone": "America/Chicago"})
    order = client.get(f"{ORDER}/{sandbox.shop.awkward['plain']}")[0]
    assert order["placedOn"] == "2025-03-03T02:06:00.000-06:00"


def test_markup_is_escaped(client: Client, sandbox: Sandbox) -> None:
    answer = client.call("GET", f"{ORDER}/{sandbox.shop.awkward['reference_with_markup']}")
    assert r'"reference":"A&B \u003c42\u003e \u003d \"x\" ' in answer.text
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"


def test_party_without_country_has_no_country_texts(client: Client, sandbox: Sandbox) -> None:
    party = client.get(f"{ORDER}/{sandbox.shop.awkward['no_country']}")[0]["parties"]["customer"]
    assert party["countryId"] == 0
    assert not {"country", "countryIsoCode", "countryIsoCode3"} & set(party)


def test_free_text_row_reports_product_1000(client: Client, sandbox: Sandbox) -> None:
    rows = client.get(f"{ORDER}/{sandbox.shop.awkward['free_text_row']}")[0]["orderRows"].values()
    assert [line["productId"] for line in rows][-1] == 1000


def test_order_without_rows_has_an_empty_map(client: Client) -> None:
    assert client.get(f"{ORDER}/{new_order(client)}")[0]["orderRows"] == {}


def test_headers_of_every_answer(client: Client) -> None:
    headers = client.call("GET", f"{ORDER}/5002").headers
    assert headers["Message-Type"] == "get-order"
    assert headers["Brightpearl-Installed-Integration-Instance-Id"] == "11"
    assert headers["Cache-Control"] == "no-cache, must-revalidate"
    assert len(headers["Ruid"]) == 36


# --- writing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "ORDC-005"),
        ({"orderTypeCode": "XX"}, "ORDC-006"),
        ({"orderTypeCode": "PO", "parties": {}}, "ORDC-022"),
        ({"orderTypeCode": "SO", "reference": "x" * 65, "parties": {"customer": {"contactId": 310}}}, "ORDC-035"),
    ],
)
def test_order_that_lacks_something_is_refused(client: Client, body: dict[str, Any], code: str) -> None:
    assert client.refused("POST", ORDER, body) == (400, [code])


def test_supplier_is_missed_in_brightpearls_spelling(client: Client) -> None:
    answer = client.call("POST", ORDER, json={"orderTypeCode": "PO"})
    assert answer.json()["errors"][0]["message"] == "Suppllier ID Required."


def test_body_that_is_no_json_is_cmnc_010(client: Client) -> None:
    answer = client.call("POST", ORDER, data=b"<xml/>")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "CMNC-010")


def test_sales_order_is_made_whole(client: Client) -> None:
    """The reference's example body, with ids of this shop."""
    body = json.loads((EXAMPLES / "sales_order_post_request.json").read_text())
    body["customer"]["id"] = body["billing"]["contactId"] = 310
    for line in body["rows"]:
        line["taxCode"] = "T20"
    key = client.send("POST", "order-service/sales-order", body)["response"]
    order = client.get(f"{ORDER}/{key}")[0]

    assert order["reference"] == "WEB-10001"
    assert order["totalValue"]["total"] == "75.06"
    assert order["parties"]["delivery"]["addressLine3"] == "Springfield"
    assert order["delivery"]["deliveryDate"].startswith("2024-03-08T05:00:00.000")
    shown = client.get(f"order-service/sales-order/{key}")[0]
    assert [line["sequence"] for line in shown["rows"]] == [10, 20]
    assert shown["total"]["gross"] == "75.06"


def test_patch_answers_with_the_whole_order_and_stamps_nothing(client: Client, sandbox: Sandbox) -> None:
    key = new_order(client, reference="A")
    operations = [
        {"op": "replace", "path": "/reference", "value": "B"},
        {"op": "replace", "path": "/delivery/deliveryDate", "value": "2022-01-20"},
    ]
    order = client.send("PATCH", f"{ORDER}/{key}", operations)["response"]

    assert (order["reference"], order["delivery"]["deliveryDate"]) == ("B", "2022-01-20T00:00:00.000+00:00")
    assert (order["version"], "updatedOn" in order) == (1, False)
    sandbox.switches.turn({"brightpearl_patch_updates": True})
    removed = client.send("PATCH", f"{ORDER}/{key}", [{"op": "remove", "path": "/reference"}])
    assert removed["response"]["reference"] == ""
    assert (removed["response"]["version"], "updatedOn" in removed["response"]) == (2, True)


def test_disallowed_patch_is_a_500_and_changes_nothing(client: Client) -> None:
    key = new_order(client, reference="A")
    operations = [
        {"op": "replace", "path": "/reference", "value": "B"},
        {"op": "add", "path": "/reference", "value": "C"},
    ]
    answer = client.call("PATCH", f"{ORDER}/{key}", json=operations)

    assert answer.status_code == 500
    assert answer.json() == {
        "errors": [{"code": "CMNC-044", "message": "Invalid patch operation (add) for given path (/reference)"}]
    }
    assert client.get(f"{ORDER}/{key}")[0]["reference"] == "A"


def test_row_without_order_and_name_has_both_errors(client: Client) -> None:
    body = {"quantity": {"magnitude": 1}, "rowValue": {"taxCode": "T20", "rowNet": {"value": 1}}}
    assert client.refused("POST", f"{ORDER}/999999/row", body) == (400, ["ORDC-003", "ORDC-026"])


def test_row_net_takes_two_decimals_at_most(client: Client) -> None:
    body = row(rowValue={"taxCode": "T20", "rowNet": {"value": "1.001"}})
    assert client.refused("POST", f"{ORDER}/{new_order(client)}/row", body) == (400, ["ORDC-028"])


def test_replacing_only_row_net_recalculates_the_tax(client: Client) -> None:
    key = new_order(client)
    row_id = client.send("POST", f"{ORDER}/{key}/row", row())["response"]
    patched = client.send(
        "PATCH", f"{ORDER}/{key}/row/{row_id}", [{"op": "replace", "path": "/rowValue/rowNet/value", "value": "200"}]
    )
    assert patched["response"]["rowValue"]["rowTax"]["value"] == "40.00"


def test_row_is_deleted_with_an_empty_answer(client: Client) -> None:
    key = new_order(client)
    row_id = client.send("POST", f"{ORDER}/{key}/row", row())["response"]
    assert client.send("DELETE", f"{ORDER}/{key}/row/{row_id}", None) == {}
    assert client.get(f"{ORDER}/{key}")[0]["orderRows"] == {}


def test_bundle_brings_its_components(client: Client, sandbox: Sandbox) -> None:
    bundle = next(product for product in sandbox.shop.products if product.bundle_components)
    key = new_order(client)
    parent = client.send("POST", f"{ORDER}/{key}/row", row(productId=bundle.id))["response"]
    rows = client.get(f"{ORDER}/{key}")[0]["orderRows"]

    assert rows[str(parent)]["composition"]["bundleParent"] is True
    children = [line for line in rows.values() if line["composition"]["parentOrderRowId"] == parent]
    assert [line["quantity"]["magnitude"] for line in children] == ["2.0000", "4.0000"]


def test_status_change_always_writes_a_note(client: Client) -> None:
    key = new_order(client)
    assert client.send("PUT", f"{ORDER}/{key}/status", {"orderStatusId": 3}) == {}
    assert client.get(f"{ORDER}/{key}")[0]["orderStatus"] == {"orderStatusId": 3, "name": "New phone order"}
    assert [note["orderStatusId"] for note in client.get(f"{ORDER}/{key}/note")] == [3]
    client.send("POST", f"{ORDER}/{key}/note", {"text": "Exported"})
    assert client.get(f"{ORDER}/{key}/note")[-1]["text"] == "Exported"


def test_paid_order_is_not_cancelled(client: Client) -> None:
    key = new_order(client)
    client.control("POST", f"brightpearl/orders/{key}/edit", {"paymentStatus": "PAID"})
    assert client.refused("PUT", f"{ORDER}/{key}/status", {"orderStatusId": 5})[0] == 400


def test_row_change_may_leave_updated_on_alone_by_switch(client: Client, sandbox: Sandbox) -> None:
    key = new_order(client)
    sandbox.switches.turn({"brightpearl_row_change_updates": False})
    client.send("POST", f"{ORDER}/{key}/row", row())
    assert "updatedOn" not in client.get(f"{ORDER}/{key}")[0]
    sandbox.switches.turn({"brightpearl_row_change_updates": True})
    client.send("POST", f"{ORDER}/{key}/row", row())
    assert client.get(f"{ORDER}/{key}")[0]["updatedOn"].split("+")[0].endswith(".000")


def test_order_statuses_and_shipping_statuses(client: Client) -> None:
    status = client.get("order-service/order-status/2")[0]
    assert (status["name"], status["orderTypeCode"], status["alertEmails"]) == ("New web order", "SO", [])
    made = client.send(
        "POST", "order-service/order-status", {"name": "In ERP", "orderTypeCode": "SO", "color": "#FF0000"}
    )
    assert client.get(f"order-service/order-status/{made['response']}")[0]["color"] == "#FF0000"
    assert [entry["code"] for entry in client.get("order-service/order-shipping-status")] == [
        "NST",
        "SNS",
        "SPS",
        "ASS",
    ]


def test_people_of_the_shop_edit_through_the_control_api(client: Client) -> None:
    sku = client.get("product-service/product/2010")[0]["identity"]["sku"]
    made = client.control(
        "POST", "brightpearl/orders", {"contactId": 311, "rows": [{"sku": sku, "quantity": 2, "net": "20"}]}
    )
    key = made["id"]
    added = client.control("POST", f"brightpearl/orders/{key}/rows", {"name": "Card", "net": "1.50"})
    first = min(client.get(f"{ORDER}/{key}")[0]["orderRows"])
    client.control("POST", f"brightpearl/orders/{key}/rows/{first}", {"quantity": 3})
    client.control("DELETE", f"brightpearl/orders/{key}/rows/{added['id']}")

    order = client.get(f"{ORDER}/{key}")[0]
    assert order["totalValue"]["net"] == "30.00"
    assert list(order["orderRows"]) == [first]
