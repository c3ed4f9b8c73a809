"""What recordings of live accounts show and the sandbox must show too (brightpearl.md section 14.8)."""

from __future__ import annotations

from typing import Any

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client

ORDER = "order-service/order"
HOOK = "integration-service/webhook"


def new_order(client: Client, type_code: str = "SO", **more: Any) -> int:
    party = "customer" if type_code in ("SO", "SC") else "supplier"
    key: int = client.send("POST", ORDER, {"orderTypeCode": type_code, "parties": {party: {"contactId": 310}}, **more})[
        "response"
    ]
    return key


def order_of(client: Client, key: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{ORDER}/{key}")[0]
    return found


def add_row(client: Client, key: int, net: str = "100.00", **more: Any) -> int:
    body = {"quantity": {"magnitude": 5}, "rowValue": {"taxCode": "T20", "rowNet": {"value": net}}, **more}
    row_id: int = client.send("POST", f"{ORDER}/{key}/row", body)["response"]
    return row_id


def statuses(order: dict[str, Any]) -> tuple[str, ...]:
    names = ("orderPaymentStatus", "stockStatusCode", "allocationStatusCode", "shippingStatusCode")
    return tuple(order[name] for name in names)


# --- orders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("type_code", "status_id"), [("SO", 3), ("PO", 9), ("SC", 10), ("PC", 12)])
def test_a_fresh_order_is_shown_as_recorded(client: Client, type_code: str, status_id: int) -> None:
    order = order_of(client, new_order(client, type_code))

    assert (order["version"], "updatedOn" in order, order["orderRows"]) == (1, False, {})
    assert statuses(order) == ("NOT_APPLICABLE", "NON", "ANR", "NST")
    assert order["orderStatus"]["orderStatusId"] == status_id
    assert order["invoices"] == [{"invoiceReference": ""}]
    assert (order["currency"]["fixedExchangeRate"], order["costPriceListId"], order["isDropship"]) == (True, 0, False)
    assert ("deliveryDate" in order["delivery"]) is (type_code == "PO")
    status = client.get(f"order-service/order-status/{status_id}")[0]
    assert status["orderTypeCode"] == type_code


def test_rows_of_stock_and_rows_with_a_price_change_the_statuses(client: Client) -> None:
    key = new_order(client)
    add_row(client, key, net="0.00", productId=2010)
    assert statuses(order_of(client, key)) == ("NOT_APPLICABLE", "SON", "ANA", "SNS")
    add_row(client, key, productId=2011)
    assert statuses(order_of(client, key)) == ("UNPAID", "SON", "ANA", "SNS")


def test_a_free_text_row_has_no_product_price(client: Client) -> None:
    key = new_order(client)
    row_id = add_row(client, key, productName="Engraving")
    row = order_of(client, key)["orderRows"][str(row_id)]

    assert (row["productId"], row["productPrice"]["value"], row["rowValue"]["rowNet"]["value"]) == (
        1000,
        "0.0000",
        "100.0000",
    )
    assert statuses(order_of(client, key)) == ("UNPAID", "NON", "ANR", "NST")


def test_an_invoiced_order_exists_and_is_shown_as_recorded(client: Client, sandbox: Sandbox) -> None:
    order = order_of(client, sandbox.shop.awkward["invoiced"])

    assert order["state"] == {"tax": "INVOICED"}
    assert order["closedOn"] == order["updatedOn"]
    assert order["invoices"][0]["invoiceReference"] == "SI-1001"
    assert order["originalInvoiceDate"] == order["invoices"][0]["taxDate"]
    assert "isDropship" not in order


def test_an_order_can_be_invoiced_by_hand_and_is_not_changed_after_that(client: Client) -> None:
    key = new_order(client)
    row_id = add_row(client, key, productId=2010)
    done = client.control("POST", f"brightpearl/orders/{key}/close")
    order = order_of(client, key)

    assert done["invoiceReference"] == order["invoices"][0]["invoiceReference"] == "SI-1002"
    assert {"closedOn", "originalInvoiceDate"} <= order.keys()
    patch = [{"op": "replace", "path": "/quantity/magnitude", "value": 1}]
    assert client.refused("PATCH", f"{ORDER}/{key}/row/{row_id}", patch)[0] == 400


# --- contacts and addresses ----------------------------------------------------------------------------------------


def test_a_contact_that_was_never_edited_shows_the_time_of_the_read_and_its_row_that_of_its_creation(
    client: Client, sandbox: Sandbox
) -> None:
    key = next(each.id for each in sandbox.brightpearl.contacts.values() if each.updated_on is None)
    contact = client.get(f"contact-service/contact/{key}")[0]
    found = client.get(f"contact-service/contact-search?contactId={key}&columns=createdOn,updatedOn")["results"][0]

    assert contact["updatedOn"] > contact["createdOn"]
    assert found == [contact["createdOn"], contact["createdOn"]]


def test_an_address_needs_no_country_but_a_country_must_exist(client: Client) -> None:
    body = {"addressLine1": "1 Road"}
    assert client.send("POST", "contact-service/postal-address", body)["response"]
    assert client.refused("POST", "contact-service/postal-address", {**body, "countryIsoCode": "XYZ"})[0] == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [("allEmail={email}", 1), ("tagIds=7", None), ("companyIds=99", 0), ("contactId=310&lastResult=500", 1)],
)
def test_filters_that_live_clients_send_are_known(
    client: Client, sandbox: Sandbox, query: str, count: int | None
) -> None:
    contacts = sandbox.brightpearl.contacts
    tagged = sum("7" in each.tags.split(",") for each in contacts.values())
    answer = client.get(f"contact-service/contact-search?{query.format(email=contacts[310].email)}")

    assert answer["metaData"]["resultsAvailable"] == (tagged if count is None else count)
    assert tagged > 0


# --- products ------------------------------------------------------------------------------------------------------


def test_products_of_a_group_show_the_codes_that_they_lack_and_others_leave_them_out(
    client: Client, sandbox: Sandbox
) -> None:
    products = sandbox.brightpearl.products.values()
    grouped = client.get(f"product-service/product/{next(each.id for each in products if each.variant)}")[0]
    other = client.get(f"product-service/product/{next(each.id for each in products if not each.group_id)}")[0]

    assert list(grouped["identity"]) == ["sku", "isbn", "ean", "upc", "mpn", "barcode"]
    assert (grouped["identity"]["isbn"], grouped["productGroupId"] > 0) == ("", True)
    assert grouped["variations"][0].keys() == {"optionId", "optionName", "optionValueId", "optionValue"}
    assert {"isbn", "upc", "mpn"}.isdisjoint(other["identity"])
    assert {"productGroupId", "variations"}.isdisjoint(other)


def test_custom_fields_are_those_of_the_meta_data(client: Client) -> None:
    fields = client.get("product-service/product/custom-field-meta-data")
    assert [(each["code"], each["customFieldType"]) for each in fields] == [
        ("PCF_SERIALIS", "BOOLEAN"),
        ("PCF_RANGE", "SELECT"),
    ]
    assert client.get(f"product-service/product/custom-field-meta-data/{fields[1]['id']}") == [fields[1]]
    asked = "includeOptional=customFields,nullCustomFields"
    for product in client.get(f"product-service/product/2006-2025?{asked}"):
        assert {*product["customFields"], *product["nullCustomFields"]} == {"PCF_SERIALIS", "PCF_RANGE"}
        chosen = product["customFields"].get("PCF_RANGE")
        assert chosen is None or fields[1]["options"][str(chosen["id"])] == chosen
    assert client.get("order-service/sale/custom-field-meta-data") == []


def test_a_warehouse_has_locations_of_which_one_is_for_quarantine(client: Client) -> None:
    base = "warehouse-service/warehouse/2/location"
    locations = {each["id"]: each for each in client.get(base)}

    assert {each["warehouseId"] for each in locations.values()} == {2}
    assert locations[client.get(f"{base}/quarantine")]["groupingA"] == "QUARANTINE"
    default = client.get(f"{base}/default")
    assert client.get(f"{base}/{default}") == [locations[default]]
    assert client.get("product-service/product/2010")[0]["warehouses"]["2"]["defaultLocationId"] == default


# --- texts, headers, webhooks --------------------------------------------------------------------------------------


def test_texts_are_as_recorded(client: Client) -> None:
    names = {each["code"]: each["description"] for each in client.get("order-service/order-shipping-status")}
    assert names == {
        "NST": "No stock tracked products on order",
        "SNS": "Stock not shipped",
        "SPS": "Stock part shipped",
        "ASS": "All stock shipped",
    }
    for path, body, code, text in (
        (ORDER, {"orderTypeCode": "UK"}, "ORDC-006", "You have supplied an invalid order type code"),
        ("product-service/product", {}, "PRDC-014", "You must supply a brand ID."),
    ):
        assert client.call("POST", path, json=body).json()["errors"] == [{"code": code, "message": text}]


def test_a_webhook_without_variables_is_refused_for_each_of_them_and_for_its_event_as_recorded(
    client: Client, sandbox: Sandbox
) -> None:
    hook = {
        "subscribeTo": "product.destroyed",
        "httpMethod": "DELETE",
        "uriTemplate": "http://shop.example/products/${resource-id}",
        "bodyTemplate": "",
        "contentType": "application/json",
        "idSetAccepted": True,
    }
    text = "templateUri OR templateBody (for POST/PUT) must contatin the template variable"
    assert client.call("POST", HOOK, json=hook).json()["errors"] == [
        {"code": "INTC-057", "message": f"{text} ${{lifecycle-event}}"},
        {"code": "INTC-057", "message": f"{text} ${{account-code}}"},
        {"code": "INTC-057", "message": f"{text} ${{resource-type}}"},
        {"code": "INTC-062", "message": "destroyed is not a valid lifecycle"},
    ]
    sandbox.switches.turn({"brightpearl_product_destroyed": True})
    assert {each["code"] for each in client.call("POST", HOOK, json=hook).json()["errors"]} == {"INTC-057"}


def test_a_webhooks_quality_is_shown_where_it_was_sent(client: Client) -> None:
    template = "http://shop.example/${account-code}/${resource-type}/${lifecycle-event}/${resource-id}"
    hook = {"subscribeTo": "order.modified", "httpMethod": "GET", "uriTemplate": template}
    keys = [client.send("POST", HOOK, body)["response"] for body in (hook, {**hook, "qualityOfService": 1})]
    shown = {each["id"]: each for each in client.get(HOOK)}

    assert [shown[key].get("qualityOfService") for key in keys] == [None, 1]


def test_headers_are_as_recorded(client: Client) -> None:
    assert client.call("OPTIONS", "product-service/product/2010").headers["Message-Type"] == "product-options"
    token = client.http.post(f"{client.url}/token/sandbox", data={"client_id": "nobody"}, timeout=10)
    assert (token.status_code, token.headers["Cache-Control"]) == (400, "no-cache, private")


def test_id_lists_out_of_order_are_a_switch(client: Client, sandbox: Sandbox) -> None:
    assert client.refused("GET", f"{ORDER}/5003,5002")[0] == 400
    sandbox.switches.turn({"brightpearl_id_lists_ascend": False})
    assert {each["id"] for each in client.get(f"{ORDER}/5003,5002")} == {5002, 5003}
