"""Payloads of recorded shape, held against the connector and the sandbox alike.

The connector must keep every leaf; the sandbox must answer with the same keys, kinds, null or absent, and forms of numbers
and times (brightpearl.md sections 3.1 and 14.8). Values are invented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
import responses

from syncengine.connectors.base import Resource
from syncengine.connectors.brightpearl.connector import Brightpearl, connect
from syncengine.connectors.services import Services
from syncengine.sandbox.server import Running, Sandbox
from tests.contract.brightpearl.conftest import APP, FIRST_TOKENS, Connect, endpoint_in
from tests.unit.brightpearl.recorded import FOLDER

URL = "https://use1.brightpearlconnect.com/public-api/sandbox"
HEADERS = {
    "Authorization": "Bearer sandbox-access-token=",
    "brightpearl-app-ref": "sandbox_app",
    "brightpearl-dev-ref": "sandbox",
}

OF_RESOURCES = {
    "order_get": ("sales_order", "order-service/order", "id"),
    "contact_get": ("contact", "contact-service/contact", "contactId"),
    "postal_address_get": ("postal_address", "contact-service/postal-address", "addressId"),
    "product_get": ("product", "product-service/product", "id"),
}
"""Payload -> resource, path, and field of the id."""

#: Keys that the reference calls optional, or that depend on the object; they may be on either side only.
OPTIONAL = frozenset(
    {"updatedOn", "isDropship", "deliveryDate", "name", "SEC", "MOB", "rate", "warehouses", "ean", "bundleComponents"}
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d")
DECIMALS = re.compile(r"-?\d+\.(\d+)")


def read_json(text: str) -> Any:
    """JSON whose numbers keep their decimals."""
    return json.loads(text, parse_float=Decimal)


def recorded(name: str) -> Any:
    return read_json((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def form(value: Any) -> Any:
    """Keys and forms; a map that is keyed by ids or quantities is known by its first value, a list by its first entry."""
    if isinstance(value, dict):
        if value and all(key.isdecimal() for key in value):
            return {"<id>": form(next(iter(value.values())))}
        return {key: form(each) for key, each in value.items() if key not in OPTIONAL}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    if isinstance(value, str):
        decimals = DECIMALS.fullmatch(value)
        return "time" if TIME.fullmatch(value) else f"text, {len(decimals[1])} decimals" if decimals else "text"
    if isinstance(value, Decimal):
        return f"number, {-int(value.as_tuple().exponent)} decimals"
    return type(value).__name__


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path; a number with its decimals."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, str(value) if isinstance(value, Decimal) else value
        return
    for key, item in items:
        yield from leaves(item, f"{path}.{key}")


class Client:
    """Calls to the sandbox's Brightpearl, as an OAuth app."""

    def __init__(self, running: Running) -> None:
        self.base = f"{running.url}/public-api/sandbox/"
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update(HEADERS)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, self.base + path, json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return read_json(answer.text)


@pytest.fixture
def client(running: Running, sandbox: Sandbox) -> Iterator[Client]:
    made = Client(running)
    yield made
    made.http.close()


@pytest.fixture
def offline(local: Services) -> Brightpearl:
    """A connector whose answers `responses` gives."""
    settings = {**APP, "url": "https://use1.brightpearlconnect.com"}
    return connect(endpoint_in(local.store, local.vault, settings, FIRST_TOKENS), local)


# -- the connector -------------------------------------------------------------------------------------------------------


@responses.activate
@pytest.mark.parametrize("name", OF_RESOURCES)
def test_the_connector_keeps_every_leaf_of_an_object_and_can_load_it(offline: Brightpearl, name: str) -> None:
    kind, path, id_field = OF_RESOURCES[name]
    expected = recorded(name)["response"][0]
    key = str(expected[id_field])
    responses.get(re.compile(f"{URL}/{path}/.*"), body=(FOLDER / f"{name}.json").read_bytes())
    resource = offline.resources[f"brightpearl.{kind}"]

    doc = resource.read([key])[key]

    assert list(leaves(doc)) == list(leaves(expected))
    typed = resource.load(doc)
    assert typed[id_field] == expected[id_field]
    assert doc.keys() <= typed.keys()


@responses.activate
@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("order_search", "sales_order", "order-service/order-search"),
        ("order_search_first_of_two_pages", "sales_order", "order-service/order-search"),
        ("order_search_empty", "sales_order", "order-service/order-search"),
        ("contact_search", "contact", "contact-service/contact-search"),
        ("product_search", "product", "product-service/product-search"),
    ],
)
def test_the_connector_gives_every_row_of_a_search_also_those_without_a_time(
    offline: Brightpearl, name: str, kind: str, path: str
) -> None:
    body = (FOLDER / f"{name}.json").read_bytes()
    responses.get(f"{URL}/{path}", body=body)
    expected = {str(row[0]) for row in recorded(name)["response"]["results"]}
    pages = offline.resources[f"brightpearl.{kind}"].changes("updated", {})

    assert {ref.key for ref in next(pages).refs} == expected


# -- the sandbox ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("order_get", "order-service/order/{order}"),
        ("contact_get", "contact-service/contact/{company}"),
        ("product_get", "product-service/product/2010"),
        ("postal_address_get", "contact-service/postal-address/9001"),
        ("price_list_get", "product-service/price-list/2"),
        ("product_price_get", "product-service/product-price/2010"),
        ("product_availability_get", "warehouse-service/product-availability/2010"),
        ("tax_code_get", "accounting-service/tax-code"),
        ("order_status_get", "order-service/order-status/2"),
        ("order_get_unknown_id", "order-service/order/999999"),
        ("order_search_empty", "order-service/order-search?orderId=999999"),
    ],
)
def test_the_sandbox_answers_in_the_recorded_form(client: Client, sandbox: Sandbox, name: str, path: str) -> None:
    contacts = sandbox.brightpearl.contacts.values()
    company = next(each.id for each in contacts if each.company and not each.mobile)
    answer = client.call("GET", path.format(order=sandbox.shop.awkward["plain"], company=company))

    assert form(answer) == form(recorded(name))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("order_search_first_of_two_pages", "order-service/order-search?pageSize=2"),
        ("contact_search", "contact-service/contact-search?pageSize=1"),
        ("product_search", "product-service/product-search?pageSize=2"),
    ],
)
def test_the_sandboxs_searches_have_the_recorded_columns(client: Client, name: str, path: str) -> None:
    answer, expected = client.call("GET", path), recorded(name)
    meta, expected_meta = answer["response"]["metaData"], expected["response"]["metaData"]

    assert meta["columns"] == expected_meta["columns"]
    assert meta["sorting"] == expected_meta["sorting"]
    assert set(meta) == set(expected_meta)
    assert set(answer["reference"]) == set(expected["reference"])
    assert len(answer["response"]["results"][0]) == len(expected["response"]["results"][0])


def test_the_sandbox_takes_the_recorded_writes_and_answers_in_their_form(client: Client) -> None:
    supplier = {"parties": {"supplier": {"contactId": 310}}, "currency": {"orderCurrencyCode": "GBP"}}
    made = client.call("POST", "order-service/order", recorded("order_post_request") | supplier)
    assert form(made) == form(recorded("create_response"))
    row = recorded("order_row_post_request")
    row["rowValue"] = {"taxCode": "T0", "rowNet": {"value": 475}, "rowTax": {"value": 0}}
    assert form(client.call("POST", f"order-service/order/{made['response']}/row", row)) == form(made)
    patched = client.call("PATCH", f"order-service/order/{made['response']}", recorded("order_patch_request"))
    assert patched["response"]["reference"] == "WEB-10001-A"
    expected = recorded("purchase_order_get")["response"][0]
    for shown in (expected, patched["response"]):
        del shown["invoices"], shown["orderRows"], shown["parties"]["delivery"], shown["parties"]["billing"]
    assert form(patched["response"]) == form(expected)
    status = {"orderStatusId": 9}
    assert client.call("PUT", f"order-service/order/{made['response']}/status", status) == recorded(
        "empty_success_response"
    )


def test_the_sandbox_lists_and_takes_webhooks_in_the_recorded_form(client: Client) -> None:
    hook = recorded("webhook_post_request")
    made = client.call("POST", "integration-service/webhook", hook)
    assert form(made) == form(recorded("create_response"))
    listed = client.call("GET", "integration-service/webhook")
    assert form(listed) == form(recorded("webhook_list"))
    assert listed["response"][0] == {"id": made["response"], **hook}
    assert client.call("DELETE", f"integration-service/webhook/{made['response']}") == {}


def test_the_sandboxs_options_name_service_relative_uris(client: Client) -> None:
    for resource in ("order-service/order", "order-service/sales-order", "contact-service/contact"):
        answer = client.call("OPTIONS", f"{resource}/1-99999")
        assert form(answer) == form(recorded("order_options"))
        assert answer["response"]["getUris"][0].startswith(f"/{resource.split('/')[1]}/")
    assert client.call("OPTIONS", "order-service/sales-credit") == {"response": {"getUris": []}}
    assert client.call("OPTIONS", "warehouse-service/warehouse/2/stock-correction") == {"response": {"getUris": []}}


# -- both together -------------------------------------------------------------------------------------------------------


def test_a_contact_that_was_never_edited_is_read_as_the_same_and_with_its_rows_version(
    sandbox: Sandbox, shop: Connect, client: Client
) -> None:
    account = sandbox.brightpearl
    unedited = next(each.id for each in account.contacts.values() if each.updated_on is None)
    shown = [client.call("GET", f"contact-service/contact/{unedited}")["response"][0]["updatedOn"] for _ in range(2)]
    assert shown[0] != shown[1]  # the time of the read (14.8)

    contacts: Resource = shop().resources["brightpearl.contact"]
    first = contacts.read([str(unedited)])[str(unedited)]
    sandbox.switches.turn({"clock_offset_s": 100.0})
    again = contacts.read([str(unedited)])[str(unedited)]

    assert first == again
    assert first["updatedOn"] == first["createdOn"]
    rows = {ref.key: ref.version for page in contacts.changes("updated", {}) for ref in page.refs}
    assert contacts.version(first) == rows[str(unedited)]


def test_an_edit_just_before_the_read_is_seen(sandbox: Sandbox, shop: Connect) -> None:
    account = sandbox.brightpearl
    with account.lock:
        account.save_contact(account.contacts[310], by="person")
        edited = account.contacts[310].updated_on
    contacts = shop().resources["brightpearl.contact"]

    assert contacts.touched_at(contacts.read(["310"])["310"]) == edited


def test_a_contact_keeps_the_time_of_its_edit(sandbox: Sandbox, shop: Connect) -> None:
    account = sandbox.brightpearl
    with account.lock:
        account.save_contact(account.contacts[310], by="person")
        edited = account.contacts[310].updated_on
    contacts = shop().resources["brightpearl.contact"]
    sandbox.switches.turn({"clock_offset_s": 100.0})

    assert contacts.touched_at(contacts.read(["310"])["310"]) == edited
