"""Reservations: what an order has allocated (section 14.3). Codes and texts other than those of the 404 are invented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncengine.sandbox.brightpearl import order_stock, shipping
from syncengine.sandbox.brightpearl.calls import Call, integer, part
from syncengine.sandbox.brightpearl.errors import invalid, missing
from syncengine.sandbox.brightpearl.order_parts import order_of
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import Allocation, NotEnough
from syncengine.sandbox.shop.model import Order

Json = dict[str, object]


def create(call: Call) -> Json:
    """`POST order/{id}/reservation/warehouse/{warehouse}`: reserves what is on hand; an order has one reservation."""
    account, body = call.account, call.json_object()
    with account.lock:
        order = order_of(account, call.key())
        if any(each.order_id == order.id for each in account.stock.allocations.values()):
            raise invalid("WHSC-040", f"Order {order.id} has a reservation")
        if call.key("warehouse") not in account.warehouse_ids.values():
            raise invalid("WHSC-041", f"There is no warehouse {call.key('warehouse')}")
        wanted = _wanted(account, order, body.get("products"), call.key("warehouse"))
        try:
            shipping.allocate(account, order, wanted)
        except NotEnough as problem:
            raise invalid("WHSC-042", str(problem)) from None
    return {}


def read(call: Call) -> Json:
    """`GET order/{ids}/reservation`: one entry for each order that has a reservation; none is 404."""
    account = call.account
    with account.lock:
        keys = call.ids(account.orders)
        rows: dict[int, list[Allocation]] = {}
        for each in account.stock.allocations.values():
            if each.order_id in keys:
                rows.setdefault(each.order_id, []).append(each)
    if not rows:
        raise missing(f"No reservation exists for order {call.path['ids']}")
    return {
        "response": [
            {
                "orderId": order_id,
                "warehouseId": held[0].warehouse_id,
                "orderRows": {
                    str(each.row_id): {"productId": each.product_id, "quantity": each.quantity} for each in held
                },
            }
            for order_id, held in rows.items()
        ]
    }


def _wanted(account: Account, order: Order, given: Any, warehouse_id: int) -> list[Allocation]:
    """The rows of a body; what it asks for twice is added together."""
    if not isinstance(given, list) or not given:
        raise invalid("WHSC-043", "You must supply the products to be reserved")
    rows = {each.row_id: each for each in order_stock.rows_of(account.products, order)}
    found: dict[int, int] = {}
    for each in given:
        if not part(each, "productId"):
            raise invalid("WHSC-014", "Product ID must be set and greater than 0")
        row_id = integer(part(each, "salesOrderRowId"), "salesOrderRowId", "WHSC-044")
        if row_id not in rows or rows[row_id].product_id != each["productId"]:
            raise invalid("WHSC-044", f"Order {order.id} has no row {row_id} of product {each['productId']}")
        found[row_id] = found.get(row_id, 0) + integer(part(each, "quantity"), "quantity", "WHSC-045")
        if not 0 < found[row_id] <= rows[row_id].quantity:
            raise invalid("WHSC-045", f"quantity must be from 1 to {rows[row_id].quantity}")
    return [replace(rows[key], quantity=quantity, warehouse_id=warehouse_id) for key, quantity in found.items()]
