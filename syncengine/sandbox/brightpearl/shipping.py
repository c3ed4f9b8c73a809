"""Allocating orders, and goods-out notes from their creation to their shipping and back (sections 14.3 and 14.4).

Assumed: a note takes from the reservation of its rows first; without goods for all of a note it is refused; a deleted note's
goods can be sold again; the same event twice is kept twice, and moves goods once. What undoes a shipment is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from syncengine.sandbox.brightpearl import locations, order_stock
from syncengine.sandbox.brightpearl.goods_out import (
    PLACED,
    SHIPPED,
    STEPS,
    Event,
    GoodsOutNote,
    Piece,
    Shipping,
)
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import Allocation, Movement, Note, NotEnough, NoteType, Place
from syncengine.sandbox.shop.model import Order

_OWNER = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A goods-out note that is to be made: quantities by order row, from one warehouse."""

    warehouse_id: int
    quantities: Mapping[int, int]
    release_on: datetime | None = None
    priority: bool = False
    label_uri: str = ""
    shipping: Shipping | None = None


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
    save_order(account, order, "allocation", by)
    return taken


# -- notes -------------------------------------------------------------------------------------------------------------


def create(account: Account, order: Order, wanted: Wanted, *, by: str = "api") -> GoodsOutNote:
    """Make a goods-out note, which holds its goods until they leave.

    Raises:
        NotEnough: before anything changes.
        ValueError: it has no goods, or more of a row than is neither on a note nor gone.
    """
    rows = {each.row_id: each for each in order_stock.rows_of(account.products, order)}
    claims = []
    for row_id, quantity in wanted.quantities.items():
        left = rows[row_id].quantity - account.stock.noted(row_id) if row_id in rows else 0
        if not 0 <= quantity <= left:
            raise ValueError(f"order {order.id} has {left} left of row {row_id}, {quantity} wanted")
        if quantity:
            claims.append(replace(rows[row_id], warehouse_id=wanted.warehouse_id, quantity=quantity))
    if not claims:
        raise ValueError(f"order {order.id} has nothing left to ship")
    note_id, pieces = account.new_id("goods-note"), {each.row_id: _pieces(account, each) for each in claims}
    account.stock.claim(note_id, claims)
    now = account.stamp()
    note = GoodsOutNote(
        note_id,
        order.id,
        wanted.warehouse_id,
        pieces,
        claims,
        now,
        wanted.release_on or now,
        1 + max((each.sequence for each in account.goods_out_of(order.id)), default=0),
        account.new_id("event-version"),
        priority=wanted.priority,
        label_uri=wanted.label_uri,
        shipping=wanted.shipping or Shipping(order.shipping_method_id),
        events=[Event(PLACED, now, _OWNER)],
    )
    account.add_goods_out(note, by=by)
    save_order(account, order, "goods-out", by)
    return note


def add_event(account: Account, note: GoodsOutNote, event: Event, *, by: str = "api") -> None:
    """Let something happen to a note. Shipping it fills in the steps before."""
    if event.code == SHIPPED:
        ship_note(account, note, event, by=by)
        return
    note.events.append(event)
    note.version = account.new_id("event-version")
    account.save_goods_out(note, event.code, by=by)


def ship_note(account: Account, note: GoodsOutNote, event: Event, *, by: str = "api") -> list[Movement]:
    """Let a note's goods leave; what left is returned. A note that is shipped gets the event alone."""
    missing = [code for code in STEPS if note.last(code) is None]
    for code in [*missing, SHIPPED]:
        note.events.append(replace(event, code=code))
        note.version = account.new_id("event-version")
    movements: list[Movement] = []
    if not note.movements:
        account.hide_movements(note.planned)
        entered_on = note.created_on if note.planned else None
        moved = Note(note.id, NoteType.GOODS_OUT, event.occurred_on, "", note.order_id, by, entered_on)
        movements = [movement for each in note.held for movement in account.stock.ship(moved, each)]
        note.movements, note.planned = movements, []
    account.save_goods_out(note, SHIPPED, by=by)
    if note.order_id:
        save_order(account, account.orders[note.order_id], "shipping", by, shipped=bool(movements))
    return movements


def unship(account: Account, note: GoodsOutNote, *, by: str = "person") -> None:
    """Undo a shipment: the goods are back where they were, held by the note.

    Raises:
        ValueError: the note is not shipped, or is a transfer.
    """
    if not note.movements or note.is_transfer:
        raise ValueError(f"goods-out note {note.id} is not shipped, or is a transfer")
    is_shown = account.switches.on("brightpearl_unshipping_moves")
    back = Note(note.id, NoteType.GOODS_OUT, account.stamp(), "undone", note.order_id, by, is_searchable=is_shown)
    if not is_shown:
        account.hide_movements([movement.id for movement in note.movements])
    account.stock.unship(back, note.movements, note.held)
    note.movements = []
    note.events = [event for event in note.events if event.code != SHIPPED]
    note.version = account.new_id("event-version")
    account.save_goods_out(note, "", by=by)
    save_order(account, account.orders[note.order_id], "shipping", by)


def delete(account: Account, note: GoodsOutNote, *, by: str = "api") -> None:
    """Delete a note that is not shipped; its goods can be sold again.

    Raises:
        ValueError: it is shipped.
    """
    if note.movements:
        raise ValueError(f"goods-out note {note.id} is shipped")
    account.stock.unclaim(note.id, [each.row_id for each in note.held])
    account.remove_goods_out(note, by=by)
    save_order(account, account.orders[note.order_id], "goods-out", by)


# -- whole orders and transfers, as people ship them -------------------------------------------------------------------


def notes_for(
    account: Account, order: Order, quantities: Mapping[int, int] | None = None, warehouse_id: int | None = None
) -> list[Wanted]:
    """The notes, one a warehouse, by which an order's goods leave: all that is left, or the quantities by row id.

    A row leaves where it is reserved, or else the order's warehouse, unless one is given.

    Raises:
        ValueError: an unknown row, or more of one than is left.
    """
    found: dict[int, dict[int, int]] = {}
    left = {each.row_id: each for each in order_stock.rows_of(account.products, order)}
    given = {key: each.quantity - account.stock.noted(key) for key, each in left.items()}
    wrong = [key for key, quantity in (quantities or {}).items() if not 0 <= quantity <= given.get(key, -1)]
    if wrong:
        raise ValueError(f"order {order.id} cannot ship that many of its rows {wrong}")
    for row_id, quantity in (given if quantities is None else quantities).items():
        reserved = account.stock.allocations.get(row_id)
        origin = warehouse_id or (reserved.warehouse_id if reserved else order.warehouse_id)
        if quantity:
            found.setdefault(origin, {})[row_id] = quantity
    if not found:
        raise ValueError(f"order {order.id} has nothing left to ship")
    return [Wanted(key, rows) for key, rows in found.items()]


def transfer(
    account: Account, source: Place, target_warehouse_id: int, quantity: int, *, shipped_on: datetime | None
) -> list[Movement]:
    """Ship goods to another warehouse, where they lie in quarantine. Raises NotEnough."""
    arrival = Place(source.product_id, target_warehouse_id, locations.quarantine(target_warehouse_id))
    moved = account.stock.new_note(NoteType.GOODS_OUT, moved_on=shipped_on, by="person")
    movements = account.stock.move(moved, source, arrival, quantity)
    now = account.stamp()
    note = GoodsOutNote(
        moved.id,
        0,
        source.warehouse_id,
        {},
        [],
        now,
        now,
        1,
        account.new_id("event-version"),
        target_warehouse_id=target_warehouse_id,
        products=[Piece(source.product_id, quantity, source.location_id)],
        events=[Event(code, moved.moved_on, _OWNER) for code in (PLACED, *STEPS, SHIPPED)],
        movements=movements,
    )
    account.add_goods_out(note, by="person")
    return movements


def _pieces(account: Account, claim: Allocation) -> list[Piece]:
    picked = account.stock.picked(claim.product_id, claim.warehouse_id, claim.quantity)
    return [Piece(claim.product_id, quantity, location_id) for location_id, quantity in picked.items()]


def save_order(account: Account, order: Order, what: str, by: str, *, shipped: bool = False) -> None:
    """Save the order; with the event for it where its last goods have left."""
    is_complete = shipped and all(
        account.stock.shipped.get(each.row_id, 0) >= each.quantity
        for each in order_stock.rows_of(account.products, order)
    )
    updates = account.switches.on("brightpearl_goods_notes_update")
    account.save_order(order, what, by=by, updates=updates, event="fully-shipped" if is_complete else "")
