"""Calls about stock that several tests of the simulated Brightpearl make."""

from __future__ import annotations

from typing import Any

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client

MAIN, STORE = 2, 3  # the default locations have the same ids
BAY, QUARANTINE, QUARANTINE_OF_STORE = 120, 121, 131
CORRECTIONS = f"warehouse-service/warehouse/{MAIN}/stock-correction"
GBP = {"currency": "GBP", "value": 9.5}


def act(client: Client, action: str, **body: Any) -> list[dict[str, Any]]:
    return client.control("POST", f"brightpearl/stock/{action}", body)


def levels(client: Client, item: int, **arguments: str) -> Any:
    return client.get(f"warehouse-service/product-availability/{item}", params=arguments)[str(item)]


def in_main(client: Client, item: int) -> tuple[int, int, int]:
    """inStock, onHand and allocated in the main warehouse."""
    found = levels(client, item)["warehouses"][str(MAIN)]
    return found["inStock"], found["onHand"], found["allocated"]


def order_of(client: Client, sandbox: Sandbox, item: int, quantity: int) -> int:
    sku = sandbox.brightpearl.products[item].sku
    rows = [{"sku": sku, "quantity": quantity}]
    return client.control("POST", "brightpearl/orders", {"contactId": 310, "rows": rows})["id"]


def correct(client: Client, *corrections: dict[str, Any], **common: Any) -> list[int]:
    body = {"corrections": [{"reason": "Cycle count", "locationId": MAIN, **common, **each} for each in corrections]}
    return client.send("POST", CORRECTIONS, body)["response"]


def movements(client: Client, **filters: Any) -> list[dict[str, Any]]:
    found = client.get("warehouse-service/goods-movement-search", params=filters)
    names = [column["name"] for column in found["metaData"]["columns"]]
    return [dict(zip(names, row, strict=True)) for row in found["results"]]
