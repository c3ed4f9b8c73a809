"""The sandbox's answers have the shape of the reference's example payloads: same keys, same kinds of values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client

EXAMPLES = Path(__file__).parent / "examples"

#: Keys that the reference calls optional, or that depend on the object; they may be on either side only.
OPTIONAL = frozenset(
    {"updatedOn", "isDropship", "deliveryDate", "name", "SEC", "MOB", "rate", "warehouses", "ean", "bundleComponents"}
)


def shape(value: Any) -> Any:
    """Keys and kinds; a map that is keyed by ids or quantities is known by its first value, a list by its first entry."""
    if isinstance(value, dict):
        if value and all(key.isdecimal() for key in value):
            return {"<id>": shape(next(iter(value.values())))}
        return {key: shape(each) for key, each in value.items() if key not in OPTIONAL}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize(
    ("example", "path"),
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
    ],
)
def test_answer_has_the_shape_of_the_example(client: Client, sandbox: Sandbox, example: str, path: str) -> None:
    contacts = sandbox.brightpearl.contacts.values()
    company = next(each.id for each in contacts if each.company and not each.mobile)
    answer = client.call("GET", path.format(order=sandbox.shop.awkward["plain"], company=company)).json()
    expected = json.loads((EXAMPLES / f"{example}.json").read_text(encoding="utf-8"))

    assert shape(answer) == shape(expected)


@pytest.mark.parametrize(
    ("example", "path"),
    [
        ("order_search_first_of_two_pages", "order-service/order-search?pageSize=2"),
        ("contact_search", "contact-service/contact-search?pageSize=1"),
        ("product_search", "product-service/product-search?pageSize=2"),
    ],
)
def test_search_has_the_columns_of_the_example(client: Client, example: str, path: str) -> None:
    answer = client.call("GET", path).json()
    expected = json.loads((EXAMPLES / f"{example}.json").read_text(encoding="utf-8"))
    meta, expected_meta = answer["response"]["metaData"], expected["response"]["metaData"]

    assert meta["columns"] == expected_meta["columns"]
    assert meta["sorting"] == expected_meta["sorting"]
    assert set(meta) == set(expected_meta)
    assert set(answer["reference"]) == set(expected["reference"])
    assert len(answer["response"]["results"][0]) == len(expected["response"]["results"][0])
