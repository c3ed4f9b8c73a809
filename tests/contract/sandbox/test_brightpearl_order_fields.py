"""Custom fields of sales orders in the simulated Brightpearl: none, or the texts that a switch names."""

from __future__ import annotations

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client
from tests.contract.sandbox.stock_calls import order_of

ASKED = "includeOptional=customFields,nullCustomFields"


@pytest.fixture
def order(client: Client, sandbox: Sandbox, item: int) -> int:
    """An order in an account with two fields."""
    sandbox.switches.turn({"brightpearl_order_fields": "PCF_SYSPRO, PCF_INV"})
    return order_of(client, sandbox, item, 1)


def test_fields_are_set_and_removed_and_shown_on_request(client: Client, order: int) -> None:
    path = f"order-service/order/{order}"
    codes = [field["code"] for field in client.get("order-service/sale/custom-field-meta-data")]
    assert codes == ["PCF_SYSPRO", "PCF_INV"]
    version = client.get(path)[0]["version"]
    changes = [{"op": "add", "path": f"/{code}", "value": "001001"} for code in codes]
    assert client.send("PATCH", f"{path}/custom-field", changes) == {"response": dict.fromkeys(codes, "001001")}
    assert client.send("PATCH", f"{path}/custom-field", [{"op": "remove", "path": "/PCF_INV"}]) == {
        "response": {"PCF_SYSPRO": "001001"}
    }
    found = client.get(f"{path}?{ASKED}")[0]
    assert (found["customFields"], found["nullCustomFields"]) == ({"PCF_SYSPRO": "001001"}, ["PCF_INV"])
    plain = client.get(path)[0]
    assert "customFields" not in plain
    assert plain["version"] >= version


def test_an_unknown_field_is_refused(client: Client, order: int) -> None:
    changes = [{"op": "add", "path": "/PCF_OTHER", "value": "x"}]
    assert client.refused("PATCH", f"order-service/order/{order}/custom-field", changes) == (500, ["CMNC-044"])


def test_an_account_has_no_fields_by_default(client: Client, sandbox: Sandbox, item: int) -> None:
    sandbox.switches.turn({"brightpearl_order_fields": ""})
    found = client.get(f"order-service/order/{order_of(client, sandbox, item, 1)}?{ASKED}")[0]
    assert (found["customFields"], found["nullCustomFields"]) == ({}, [])
