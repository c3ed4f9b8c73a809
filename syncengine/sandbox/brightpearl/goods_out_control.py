"""`/_sandbox/brightpearl/...`: act as the people, or the 3PL, who ship orders.

POST orders/<id>/ship            {"rows"?: {row id: quantity}, "warehouse"?, "shippedOn"?, "reference"?,
                                 "shippingMethodId"?, "boxes"?, "weight"?}: by default all that has not left yet;
                                 gives the movements
POST orders/<id>/goods-out       the same without shipping; gives the ids of the notes
POST orders/<id>/drop-ship       {"rows"?, "supplierId"?, "purchaseOrderId"?}: gives the id of the note
POST goods-out/<id>/ship         {"shippedOn"?}
POST goods-out/<id>/unship       {"delete"?}: its goods are back; then perhaps the note is deleted
POST goods-out/<id>/delete       a note that is not shipped
POST drop-ship/<id>/ship         {"shippedOn"?, "reference"?}
GET  goods-out[/<id>], drop-ship as the API shows them, with their ids
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from syncengine.sandbox.brightpearl import drop_ship, goods_out_notes, order_stock, shipping
from syncengine.sandbox.brightpearl.goods_out import SENT_BY_SUPPLIER, SHIPPED, Event, GoodsOutNote, Shipping
from syncengine.sandbox.brightpearl.responses import read_moment
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock_control import described, warehouse_id_of, whole
from syncengine.sandbox.shop.model import Order

Json = dict[str, object]

_OWNER = 4


def shown(account: Account, parts: list[str]) -> object | None:
    """What a GET shows; None for another path."""
    match parts:
        case ["goods-out"]:
            return [{"id": key, **goods_out_notes.shown(account, note)} for key, note in account.goods_out.items()]
        case ["goods-out", key] if int(key) in account.goods_out:
            return {"id": int(key), **goods_out_notes.shown(account, account.goods_out[int(key)])}
        case ["drop-ship"]:
            return [{"id": key, **drop_ship.shown(account, note)} for key, note in account.drop_ships.items()]
    return None


def act(account: Account, parts: list[str], body: dict[str, Any]) -> object | None:
    """Do what a POST asks for; None for another path.

    Raises:
        ValueError, KeyError: the body cannot be used, or there is too little stock.
    """
    match parts:
        case ["orders", key, "ship"]:
            return _ship_order(account, account.orders[int(key)], body)
        case ["orders", key, "goods-out"]:
            return {"ids": [note.id for note in _create(account, account.orders[int(key)], body)]}
        case ["orders", key, "drop-ship"]:
            return _drop_ship(account, account.orders[int(key)], body)
        case ["goods-out", key, action]:
            return _act_on_note(account, account.goods_out[int(key)], action, body)
        case ["drop-ship", key, "ship"]:
            note = account.drop_ships[int(key)]
            note.shipping.reference = str(body.get("reference", note.shipping.reference))
            drop_ship.send(account, note, Event(SENT_BY_SUPPLIER, _when(account, body), _OWNER), by="person")
            return {"id": note.id}
    return None


def _create(account: Account, order: Order, body: dict[str, Any]) -> list[GoodsOutNote]:
    rows = body.get("rows")
    quantities = None if rows is None else {int(key): whole(value) for key, value in rows.items()}
    origin = warehouse_id_of(account, body["warehouse"]) if "warehouse" in body else None
    sent = Shipping(
        int(body.get("shippingMethodId", order.shipping_method_id)),
        str(body.get("reference", "")),
        body.get("boxes"),
        str(body["weight"]) if "weight" in body else None,
    )
    wanted = shipping.notes_for(account, order, quantities, origin)
    made: list[GoodsOutNote] = []
    try:
        for each in wanted:
            own = Shipping(sent.method_id, sent.reference, sent.boxes, sent.weight)
            note = shipping.Wanted(each.warehouse_id, each.quantities, shipping=own)
            made.append(shipping.create(account, order, note, by="person"))
    except ValueError:
        for note_made in made:
            shipping.delete(account, note_made, by="person")
        raise
    return made


def _ship_order(account: Account, order: Order, body: dict[str, Any]) -> list[Json]:
    event = Event(SHIPPED, _when(account, body), _OWNER)
    movements = [
        movement
        for note in _create(account, order, body)
        for movement in shipping.ship_note(account, note, event, by="person")
    ]
    return [described(movement) for movement in movements]


def _drop_ship(account: Account, order: Order, body: dict[str, Any]) -> Json:
    left = {
        each.row_id: each.quantity - account.stock.noted(each.row_id)
        for each in order_stock.rows_of(account.products, order)
    }
    given = body.get("rows")
    quantities = left if given is None else {int(key): whole(value) for key, value in given.items()}
    if not quantities or any(not 0 < quantity <= left.get(key, 0) for key, quantity in quantities.items()):
        raise ValueError(f"order {order.id} has not as much left: {left}")
    supplier_id, purchase_order_id = int(body.get("supplierId", 0)), int(body.get("purchaseOrderId", 0))
    return {"id": drop_ship.add(account, order, quantities, supplier_id, purchase_order_id, by="person").id}


def _act_on_note(account: Account, note: GoodsOutNote, action: str, body: dict[str, Any]) -> Json | None:
    match action:
        case "ship":
            shipping.ship_note(account, note, Event(SHIPPED, _when(account, body), _OWNER), by="person")
        case "unship":
            shipping.unship(account, note)
            if body.get("delete"):
                shipping.delete(account, note, by="person")
        case "delete":
            shipping.delete(account, note, by="person")
        case _:
            return None
    return {"id": note.id}


def _when(account: Account, body: dict[str, Any]) -> datetime:
    return read_moment(str(body["shippedOn"])) if "shippedOn" in body else account.stamp()
