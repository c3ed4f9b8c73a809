"""`/_sandbox/brightpearl/stock/...`: act as the people in the warehouse, and see every movement.

A body names the product (`sku` or `productId`), the `warehouse` (its id or code) and a whole `quantity`.

correct     `quantity` signed, or `to`: the level that the warehouse then has; perhaps `reason`, `location`, `cost`
receive     perhaps `cost` (default: the product's), `receivedOn`, `location`, `purchaseOrderRowId`
transfer    `from` and `to` instead of `warehouse`; perhaps `shippedOn`, and `release` false: it stays in quarantine
release     out of quarantine, into the default location
quarantine  out of the default location, into quarantine
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from syncengine.sandbox.brightpearl import locations, shipping
from syncengine.sandbox.brightpearl.responses import read_decimal, read_moment
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import Movement, NoteType, Place
from syncengine.sandbox.shop.model import Product

Json = dict[str, object]


def shown(account: Account, what: str) -> object | None:
    """All movements, the levels before them, all products or reservations, or one product's figures.

    None for an unknown product.
    """
    if what == "movements":
        return [described(each) for each in account.stock.movements]
    if what == "opening":
        return [
            {"productId": product_id, "warehouseId": warehouse_id, "quantity": quantity}
            for (product_id, warehouse_id), quantity in account.stock.opening.items()
        ]
    if what == "products":
        return [
            {"id": each.id, "sku": each.sku, "stockTracked": each.stock_tracked} for each in account.products.values()
        ]
    if what == "reserved":
        return [
            {
                "orderId": each.order_id,
                "rowId": each.row_id,
                "productId": each.product_id,
                "warehouseId": each.warehouse_id,
                "quantity": each.quantity,
            }
            for each in account.stock.allocations.values()
        ]
    if int(what) not in account.products:
        return None
    found: Json = {}
    for warehouse_id in account.stock.warehouses_of(int(what)):
        level = account.stock.level(int(what), warehouse_id)
        found[str(warehouse_id)] = {
            "inStock": level.in_stock,
            "onHand": level.on_hand,
            "allocated": level.allocated,
            "locations": account.stock.by_location(int(what), warehouse_id),
        }
    return found


def act(account: Account, action: str, body: dict[str, Any]) -> list[Json] | None:
    """Carry out one action; its movements, or None for an unknown one.

    Raises:
        ValueError, KeyError: the body cannot be used, or there is too little stock.
    """
    product = _product(account, body)
    match action:
        case "correct":
            movements = _correct(account, product, body)
        case "receive":
            movements = [_receive(account, product, body)]
        case "transfer":
            movements = _transfer(account, product, body)
        case "release" | "quarantine":
            movements = _move_within(account, product, body, is_release=action == "release")
        case _:
            return None
    return [described(each) for each in movements]


def _correct(account: Account, product: Product, body: dict[str, Any]) -> list[Movement]:
    warehouse_id = warehouse_id_of(account, body["warehouse"])
    level = account.stock.level(product.id, warehouse_id)
    quantity = whole(body["to"]) - level.in_stock if "to" in body else whole(body["quantity"])
    if quantity < 0 and level.on_hand < -quantity:
        raise ValueError(f"product {product.id} has only {level.on_hand} on hand in warehouse {warehouse_id}")
    if not quantity:
        return []
    place = _place(product, warehouse_id, body)
    note = account.stock.new_note(NoteType.CORRECTION, reason=str(body.get("reason", "Stock take")), by="person")
    if quantity < 0:
        return account.stock.remove(note, place, -quantity)
    return [account.stock.add(note, place, quantity, _cost(product, body))]


def _receive(account: Account, product: Product, body: dict[str, Any]) -> Movement:
    place = _place(product, warehouse_id_of(account, body["warehouse"]), body)
    note = account.stock.new_note(NoteType.GOODS_IN, moved_on=_moment(body, "receivedOn"), by="person")
    row_id = int(body.get("purchaseOrderRowId", 0))
    return account.stock.add(note, place, _positive(body), _cost(product, body), purchase_row_id=row_id)


def _transfer(account: Account, product: Product, body: dict[str, Any]) -> list[Movement]:
    """Goods that are shipped to another warehouse are in its quarantine at once, until somebody releases them."""
    source, target = warehouse_id_of(account, body["from"]), warehouse_id_of(account, body["to"])
    quantity = _positive(body)
    if source == target or account.stock.level(product.id, source).on_hand < quantity:
        raise ValueError(f"{quantity} of product {product.id} cannot go from warehouse {source} to {target}")
    origin = _place(product, source, {})
    movements = shipping.transfer(account, origin, target, quantity, shipped_on=_moment(body, "shippedOn"))
    if not body.get("release", True):
        return movements
    released = {"warehouse": target, "quantity": quantity}
    return [*movements, *_move_within(account, product, released, is_release=True)]


def _move_within(account: Account, product: Product, body: dict[str, Any], *, is_release: bool) -> list[Movement]:
    warehouse_id, quantity = warehouse_id_of(account, body["warehouse"]), _positive(body)
    normal = _place(product, warehouse_id, {})
    quarantine = Place(product.id, warehouse_id, locations.quarantine(warehouse_id))
    on_hand = account.stock.level(product.id, warehouse_id).on_hand
    if not is_release and on_hand < quantity:
        raise ValueError(f"product {product.id} has only {on_hand} on hand in warehouse {warehouse_id}")
    note = account.stock.new_note(NoteType.INTERNAL, by="person")
    source, target = (quarantine, normal) if is_release else (normal, quarantine)
    return account.stock.move(note, source, target, quantity)


def _product(account: Account, body: dict[str, Any]) -> Product:
    found = [
        product
        for product in account.products.values()
        if (product.id == body["productId"] if "productId" in body else product.sku == body["sku"])
    ]
    if len(found) != 1 or not found[0].stock_tracked:
        raise ValueError(f"{body.get('sku', body.get('productId'))!r} is not one product whose stock is tracked")
    return found[0]


def warehouse_id_of(account: Account, given: Any) -> int:
    """The id of a warehouse that is given by its id or its code."""
    warehouse_id = account.warehouse_ids[given] if given in account.warehouse_ids else int(given)
    if warehouse_id not in account.warehouse_ids.values():
        raise ValueError(f"there is no warehouse {given!r}")
    return warehouse_id


def _place(product: Product, warehouse_id: int, body: dict[str, Any]) -> Place:
    location_id = int(body.get("location", locations.default(warehouse_id)))
    if location_id not in locations.of(warehouse_id):
        raise ValueError(f"location {location_id} is not in warehouse {warehouse_id}")
    return Place(product.id, warehouse_id, location_id)


def whole(value: Any) -> int:
    """A whole number, given as a number or a text. Raises ValueError for anything else."""
    number = read_decimal(value)
    if number != number.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number")
    return int(number)


def _positive(body: dict[str, Any]) -> int:
    quantity = whole(body["quantity"])
    if quantity <= 0:
        raise ValueError(f"quantity must be positive, not {quantity}")
    return quantity


def _cost(product: Product, body: dict[str, Any]) -> Decimal:
    return read_decimal(body["cost"]) if "cost" in body else product.cost


def _moment(body: dict[str, Any], name: str) -> datetime | None:
    return read_moment(str(body[name])) if name in body else None


def described(movement: Movement) -> Json:
    """A movement, as the control API shows it."""
    return {
        "id": movement.id,
        "type": movement.note.type,
        "noteId": movement.note.id,
        "productId": movement.place.product_id,
        "warehouseId": movement.place.warehouse_id,
        "locationId": movement.place.location_id,
        "isQuarantine": movement.is_quarantine,
        "quantity": movement.quantity,
        "levelAfter": movement.level_after,
        "at": movement.at.isoformat(),
        "updatedOn": movement.updated_on.isoformat(),
        "movedOn": movement.note.moved_on.isoformat(),
        "orderId": movement.note.order_id,
        "rowId": movement.sales_row_id or movement.purchase_row_id,
        "reason": movement.note.reason,
        "by": movement.note.by,
    }
