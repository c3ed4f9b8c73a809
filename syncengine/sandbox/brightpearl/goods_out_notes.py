"""Goods-out notes of the API (section 14.4).

Assumed: codes and texts of all refusals; that a note needs goods for all of it; that a transfer shows `targetWarehouseId` and
`transferRows`, and order 0; that PUT and DELETE are refused once the note is shipped, and so are the events that take a step
back; that If-Match of an event answers 412 where it names another version, and PUT ignores it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from syncengine.sandbox.brightpearl import shipping
from syncengine.sandbox.brightpearl.calls import Call, integer, moment, number, part, text
from syncengine.sandbox.brightpearl.errors import ApiError, invalid, missing
from syncengine.sandbox.brightpearl.goods_out import SHIPPED, STEPS, UNDONE, Event, GoodsOutNote, Piece, Shipping
from syncengine.sandbox.brightpearl.order_parts import order_of
from syncengine.sandbox.brightpearl.responses import moment as written
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import NotEnough
from syncengine.sandbox.shop.model import Order

Json = dict[str, object]

MOST_IDS = 500
_LONGEST_REFERENCE = 64
_LONGEST_LABEL = 512


def read(call: Call) -> Json:
    """`GET order/{ids|*}/goods-note/goods-out[/{ids}]`: an object keyed by note."""
    account = call.account
    with account.lock:
        notes = account.goods_out
        if call.path["orders"] != "*":
            order_ids = call.ids(account.orders, "orders", MOST_IDS)
            notes = {note.id: note for order_id in order_ids for note in account.goods_out_of(order_id)}
        keys = call.ids(notes, most=MOST_IDS) if "ids" in call.path else sorted(notes)
        if not keys and account.switches.on("brightpearl_missing_goods_out_404"):
            raise missing("No goods out notes found within range of order IDs and goods out note IDs")
        return {"response": {str(key): shown(account, notes[key]) for key in keys}}


def create(call: Call) -> Json:
    """`POST order/{id}/goods-note/goods-out`: a note for each warehouse; one that is refused refuses all."""
    body, account = call.json_object(), call.account
    with account.lock:
        order = order_of(account, call.key())
        given = body.get("warehouses")
        if not isinstance(given, list) or not given:
            raise invalid("WHSC-050", "You must supply the warehouses")
        common = Shipping(integer(body.get("shippingMethodId") or 0, "shippingMethodId", "WHSC-051"))
        wanted = [_wanted(account, order, each, body, common) for each in given]
        _refuse_more_than_left(account, order, wanted)
        notes = []
        for each in wanted:
            try:
                notes.append(shipping.create(account, order, each))
            except (NotEnough, ValueError) as problem:
                for note in notes:
                    shipping.delete(account, note)
                raise invalid("WHSC-052", str(problem)) from None
    keys = [note.id for note in notes]
    return {"response": keys if account.switches.on("brightpearl_goods_out_ids_are_listed") else keys[0]}


def change(call: Call) -> Json:
    """`PUT goods-note/goods-out/{id}`: priority, carrier's reference, method, boxes, weight and label."""
    body, account = call.json_object(), call.account
    with account.lock:
        note = _note_of(account, call.key())
        if note.movements:
            raise invalid("WHSC-053", f"Goods-out note {note.id} is shipped and cannot be changed")
        given, label = body.get("shipping") or {}, text(body.get("labelUri"))
        reference = text(part(given, "reference"))
        if len(reference) > _LONGEST_REFERENCE or len(label) > _LONGEST_LABEL:
            raise invalid("WHSC-054", f"reference must not have more than {_LONGEST_REFERENCE} characters")
        boxes, weight = part(given, "boxes"), part(given, "weight")
        note.shipping = Shipping(
            integer(part(given, "shippingMethodId") or note.shipping.method_id, "shippingMethodId", "WHSC-051"),
            reference if part(given, "reference") is not None else note.shipping.reference,
            note.shipping.boxes if boxes is None else integer(boxes, "boxes", "WHSC-054"),
            note.shipping.weight if weight is None else str(number(weight, "weight", "WHSC-054")),
        )
        note.priority = bool(body.get("priority", note.priority))
        note.label_uri = label or note.label_uri
        account.save_goods_out(note, "")
    return {}


def delete(call: Call) -> Json:
    """`DELETE order/{id}/goods-note/goods-out/{note}`."""
    account = call.account
    with account.lock:
        note = _note_of(account, call.key("note"))
        if note.order_id != call.key():
            raise missing(f"Cannot find goods-out note: {note.id}")
        try:
            shipping.delete(account, note)
        except ValueError as problem:
            raise invalid("WHSC-053", str(problem)) from None
    return {}


def add_events(call: Call) -> Json:
    """`POST goods-note/goods-out/{id}/event`; what is sent without If-Match may come twice."""
    body, account = call.json_object(), call.account
    with account.lock:
        note = _note_of(account, call.key())
        wanted = call.request.headers.get("If-Match")
        if wanted and wanted.strip('"') != str(note.version):
            raise ApiError(412, ("WHSC-055", f"The goods-out note has been changed since version {wanted}"))
        given = body.get("events")
        if not isinstance(given, list) or not given:
            raise invalid("WHSC-056", "You must supply the events")
        for event in [_event(each, note) for each in given]:
            shipping.add_event(account, note, event)
    return {}


def shown(account: Account, note: GoodsOutNote) -> Json:
    """One value of the answer to GET."""
    zone = account.zone

    def when(value: datetime) -> str:
        return written(value, zone)

    done = {word: note.last(code) for code, word in {SHIPPED: "shipped", **_BACKWARDS}.items()}
    rows = {str(row_id): [_piece(piece) for piece in pieces] for row_id, pieces in note.rows.items()}
    transfer = {"targetWarehouseId": note.target_warehouse_id, "transferRows": [_piece(each) for each in note.products]}
    return {
        "orderId": note.order_id,
        "warehouseId": note.warehouse_id,
        "transfer": note.is_transfer,
        "priority": note.priority,
        "status": {
            **{word: event is not None for word, event in done.items()},
            **{f"{word}On": when(event.occurred_on) for word, event in done.items() if event},
            **{f"{word}ById": event.owner_id for word, event in done.items() if event},
        },
        "shipping": {
            "reference": note.shipping.reference,
            "shippingMethodId": note.shipping.method_id,
            **({} if note.shipping.boxes is None else {"boxes": note.shipping.boxes}),
            **({} if note.shipping.weight is None else {"weight": note.shipping.weight}),
        },
        "releaseDate": when(note.release_on),
        "createdOn": when(note.created_on),
        "createdBy": note.created_by,
        "orderRows": rows,
        **(transfer if note.is_transfer else {}),
        "sequence": note.sequence,
        "events": [
            {"occured": when(event.occurred_on), "eventOwnerId": event.owner_id, "eventCode": event.code}
            for event in note.events
        ],
        **({"labelUri": note.label_uri} if note.label_uri else {}),
        "lastEventVersion": note.version,
    }


_BACKWARDS = dict(reversed(STEPS.items()))


def _piece(piece: Piece) -> Json:
    return {"productId": piece.product_id, "quantity": piece.quantity, "locationId": piece.location_id}


def _note_of(account: Account, note_id: int) -> GoodsOutNote:
    if note_id not in account.goods_out:
        raise missing(f"Cannot find goods-out note: {note_id}")
    return account.goods_out[note_id]


def _wanted(account: Account, order: Order, given: Any, body: dict[str, Any], common: Shipping) -> shipping.Wanted:
    warehouse_id = integer(part(given, "warehouseId"), "warehouseId", "WHSC-041")
    if warehouse_id not in account.warehouse_ids.values():
        raise invalid("WHSC-041", f"There is no warehouse {warehouse_id}")
    if part(given, "transfer"):
        raise invalid("WHSC-057", "A goods-out note of an order cannot be a transfer")
    release_date = part(given, "releaseDate")
    return shipping.Wanted(
        warehouse_id,
        _quantities(order, part(given, "products")),
        moment(release_date, "releaseDate", "WHSC-058") if release_date else None,
        bool(body.get("priority")),
        text(body.get("labelUri")),
        Shipping(common.method_id or order.shipping_method_id),
    )


def _quantities(order: Order, products: Any) -> dict[int, int]:
    """By order row; what is given twice is added together."""
    found: dict[int, int] = {}
    for each in products if isinstance(products, list) else ():
        if not part(each, "productId"):
            raise invalid("WHSC-014", "Product ID must be set and greater than 0")
        row_id = integer(part(each, "salesOrderRowId"), "salesOrderRowId", "WHSC-044")
        if row_id not in order.rows or order.rows[row_id].product_id != each["productId"]:
            raise invalid("WHSC-044", f"Order {order.id} has no row {row_id} of product {each['productId']}")
        quantity = integer(part(each, "quantity"), "quantity", "WHSC-045")
        if quantity <= 0:
            raise invalid("WHSC-045", "quantity must be positive")
        found[row_id] = found.get(row_id, 0) + quantity
    if not found:
        raise invalid("WHSC-043", "You must supply the products of each warehouse")
    return found


def _refuse_more_than_left(account: Account, order: Order, wanted: list[shipping.Wanted]) -> None:
    for row_id in {row_id for each in wanted for row_id in each.quantities}:
        asked = sum(each.quantities.get(row_id, 0) for each in wanted)
        left = int(order.rows[row_id].quantity) - account.stock.noted(row_id)
        if asked > left:
            raise invalid("WHSC-045", f"Only {left} of row {row_id} are not on a note yet")


def _event(given: Any, note: GoodsOutNote) -> Event:
    code, owner = part(given, "eventCode"), part(given, "eventOwnerId")
    if code not in (*STEPS, *UNDONE, SHIPPED) or not owner:
        raise invalid("WHSC-056", f"The event {given} is invalid")
    if code in UNDONE and note.movements:
        raise invalid("WHSC-053", f"Goods-out note {note.id} is shipped")
    return Event(code, moment(part(given, "occured"), "occured", "WHSC-056"), integer(owner, "owner", "WHSC-056"))
