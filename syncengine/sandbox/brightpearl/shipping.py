"""Allocating and shipping whole orders (sections 14.3 and 14.4).

Goods-out notes as objects of the API do not exist yet: shipping makes their movements alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from syncengine.sandbox.brightpearl import order_stock
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import Allocation, Movement, NotEnough, NoteType
from syncengine.sandbox.shop.model import Order


def allocate(account: Account, order: Order, wanted: Sequence[Allocation] | None = None, *, by: str = "api") -> int:
    """Reserve what is on hand for an order; how many units that was.

    Args:
        wanted: the rows with the most to reserve of each. Default: all rows, from the order's warehouse.

    Raises NotEnough if nothing could be reserved although something is missing.
    """
    stock = account.stock
    rows = list(order_stock.rows_of(account.products, order)) if wanted is None else wanted
    taken = sum(order_stock.allocate_row(stock, each) for each in rows)
    if not taken and any(order_stock.missing(stock, each) > 0 for each in rows):
        raise NotEnough(f"nothing of order {order.id} is on hand")
    _save(account, order, "allocation", by)
    return taken


def ship(
    account: Account,
    order: Order,
    quantities: Mapping[int, int] | None = None,
    *,
    shipped_on: datetime | None = None,
    by: str = "api",
) -> list[Movement]:
    """Let an order's goods leave, reserved or not: all that has not left yet, or the quantities given by row id.

    Args:
        shipped_on: when people say that it left; the movements' `updatedOn` is now nevertheless.

    Raises:
        NotEnough: before anything changes.
        ValueError: there is nothing to ship, or less is left of a row than was given.
    """
    stock, left = account.stock, _left(account, order)
    given = {key: each.quantity for key, each in left.items()} if quantities is None else dict(quantities)
    if wrong := [key for key, quantity in given.items() if key not in left or not 0 <= quantity <= left[key].quantity]:
        raise ValueError(f"order {order.id} cannot ship that many of its rows {wrong}")
    rows = [replace(left[key], quantity=quantity) for key, quantity in given.items() if quantity]
    if not rows:
        raise ValueError(f"order {order.id} has nothing left to ship")
    _refuse_short(account, rows)
    note = stock.new_note(NoteType.GOODS_OUT, moved_on=shipped_on, order_id=order.id, by=by)
    movements = [movement for each in rows for movement in stock.ship(note, each)]
    _save(account, order, "shipping", by, shipped=bool(movements))
    return movements


def _left(account: Account, order: Order) -> dict[int, Allocation]:
    """What of each row has not left yet, and from where: where it is reserved, or else the order's warehouse."""
    found = {}
    for each in order_stock.rows_of(account.products, order):
        held = account.stock.allocations.get(each.row_id)
        warehouse_id = held.warehouse_id if held else each.warehouse_id
        quantity = each.quantity - account.stock.shipped.get(each.row_id, 0)
        found[each.row_id] = replace(each, warehouse_id=warehouse_id, quantity=quantity)
    return found


def _refuse_short(account: Account, rows: Sequence[Allocation]) -> None:
    """Raise NotEnough if the rows together need more than is reserved for them and free."""
    needed: Counter[tuple[int, int]] = Counter()
    for each in rows:
        held = account.stock.allocations.get(each.row_id)
        needed[each.product_id, each.warehouse_id] += max(0, each.quantity - (held.quantity if held else 0))
    for (product_id, warehouse_id), quantity in needed.items():
        if (free := account.stock.level(product_id, warehouse_id).on_hand) < quantity:
            raise NotEnough(f"product {product_id}: {free} free in warehouse {warehouse_id}, {quantity} wanted")


def _save(account: Account, order: Order, what: str, by: str, *, shipped: bool = False) -> None:
    """Save the order; with the event for it where its last goods have left."""
    is_complete = shipped and all(
        account.stock.shipped.get(each.row_id, 0) >= each.quantity
        for each in order_stock.rows_of(account.products, order)
    )
    updates = account.switches.on("brightpearl_goods_notes_update")
    account.save_order(order, what, by=by, updates=updates, event="fully-shipped" if is_complete else "")
