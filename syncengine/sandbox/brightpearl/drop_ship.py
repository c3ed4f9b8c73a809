"""Drop-ship notes: what suppliers send to an order's customer (section 10).

The paths and bodies are those of the vendor's pages "Drop-Ship Note" and "Drop-Ship Note Event": at most 200 ids, all orders
(`*`) only with ids of notes, the one event SHS. Assumed: 404 for none, the codes of refusals, that no search finds them.
"""

from __future__ import annotations

from typing import Any

from syncengine.sandbox.brightpearl import order_stock, shipping
from syncengine.sandbox.brightpearl.calls import Call, integer, moment, part, text
from syncengine.sandbox.brightpearl.errors import invalid, missing
from syncengine.sandbox.brightpearl.goods_out import SENT_BY_SUPPLIER, DropShipNote, Event, Piece
from syncengine.sandbox.brightpearl.order_parts import order_of
from syncengine.sandbox.brightpearl.responses import moment as written
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import Order

Json = dict[str, object]


def create(call: Call) -> Json:
    """`POST order/{id}/goods-note/drop-ship`: a note for each supplier."""
    body, account = call.json_object(), call.account
    with account.lock:
        order = order_of(account, call.key())
        given = body.get("suppliers")
        if not isinstance(given, list) or not given:
            raise invalid("WHSC-060", "You must supply the suppliers")
        rows = [_quantities(account, order, each) for each in given]
        notes = [
            add(account, order, quantities, int(part(each, "supplierId") or 0), int(part(each, "purchaseOrderId") or 0))
            for each, quantities in zip(given, rows, strict=True)
        ]
    return {"response": [note.id for note in notes]}


def read(call: Call) -> Json:
    """`GET order/{ids}/goods-note/drop-ship[/{ids}]`: keyed by note."""
    account = call.account
    with account.lock:
        notes = account.drop_ships
        if call.path["orders"] == "*":
            if "ids" not in call.path:
                raise invalid("WHSC-061", "You must supply the ids of the notes with *")
        else:
            orders = set(call.ids(account.orders, "orders"))
            notes = {key: note for key, note in notes.items() if {note.order_id, note.purchase_order_id} & orders}
        keys = call.ids(notes) if "ids" in call.path else sorted(notes)
        if not keys:
            raise missing("No drop-ship notes found")
        return {"response": {str(key): shown(account, notes[key]) for key in keys}}


def add_events(call: Call) -> Json:
    """`POST goods-note/drop-ship/{id}/event`."""
    body, account = call.json_object(), call.account
    with account.lock:
        note = account.drop_ships.get(call.key())
        if note is None:
            raise missing("No drop-ship notes found")
        for each in body.get("events") or []:
            if part(each, "eventCode") != SENT_BY_SUPPLIER or not part(each, "eventOwnerId"):
                raise invalid("WHSC-062", f"The event {each} is invalid")
            occurred_on = moment(part(each, "occured"), "occured", "WHSC-062")
            note.shipping.reference = text(body.get("trackingReference")) or note.shipping.reference
            note.shipping.method_id = int(body.get("shippingMethodId") or note.shipping.method_id)
            send(account, note, Event(SENT_BY_SUPPLIER, occurred_on, int(each["eventOwnerId"])))
    return {}


def add(
    account: Account,
    order: Order,
    quantities: dict[int, int],
    supplier_id: int,
    purchase_order_id: int,
    *,
    by: str = "api",
) -> DropShipNote:
    """Add a note: quantities by order row that this supplier is to send."""
    products = {each.row_id: each.product_id for each in order_stock.rows_of(account.products, order)}
    rows = {row_id: [Piece(products[row_id], quantity, 0)] for row_id, quantity in quantities.items()}
    note = DropShipNote(account.new_id("goods-note"), order.id, purchase_order_id, supplier_id, rows, account.stamp())
    account.stock.from_suppliers.update(quantities)
    account.drop_ships[note.id] = note
    account.note_effect("drop-ship-note", "created", note.id, by, order=order.id)
    account.webhooks.raise_event("drop-ship-note", note.id, "created")
    shipping.save_order(account, order, "drop-ship", by)
    return note


def send(account: Account, note: DropShipNote, event: Event, *, by: str = "api") -> None:
    """The supplier has sent a note's goods; once is enough."""
    note.events.append(event)
    if len(note.events) > 1:
        return
    for row_id, pieces in note.rows.items():
        quantity = sum(piece.quantity for piece in pieces)
        account.stock.from_suppliers[row_id] -= quantity
        account.stock.shipped[row_id] = account.stock.shipped.get(row_id, 0) + quantity
    account.note_effect("drop-ship-note", "shipped", note.id, by, order=note.order_id)
    account.webhooks.raise_event("drop-ship-note", note.id, "modified", "shipped")
    shipping.save_order(account, account.orders[note.order_id], "shipping", by, shipped=True)


def _quantities(account: Account, order: Order, supplier: Any) -> dict[int, int]:
    rows = {each.row_id: each for each in order_stock.rows_of(account.products, order)}
    found: dict[int, int] = {}
    for each in part(supplier, "products") or []:
        row_id = integer(part(each, "salesOrderRowId"), "salesOrderRowId", "WHSC-063")
        if row_id not in rows or rows[row_id].product_id != part(each, "productId"):
            raise invalid("WHSC-063", f"Order {order.id} has no row {row_id} of product {part(each, 'productId')}")
        found[row_id] = found.get(row_id, 0) + integer(part(each, "quantity"), "quantity", "WHSC-064")
        if not 0 < found[row_id] <= rows[row_id].quantity - account.stock.noted(row_id):
            raise invalid("WHSC-064", f"There is not as much left of row {row_id}")
    if not found:
        raise invalid("WHSC-060", "You must supply the products of each supplier")
    return found


def shown(account: Account, note: DropShipNote) -> Json:
    """One value of the answer to GET."""
    sent, zone = note.sent, account.zone
    status: Json = {"shipped": sent is not None}
    if sent is not None:
        status |= {"shippedOn": written(sent.occurred_on, zone), "shippedById": sent.owner_id}
    return {
        "orderId": note.order_id,
        "purchaseOrderId": note.purchase_order_id,
        "supplierId": note.supplier_id,
        "status": status,
        "shipping": {"reference": note.shipping.reference, "shippingMethodId": note.shipping.method_id},
        "orderRows": {
            str(row_id): [
                {"productId": piece.product_id, "quantity": piece.quantity, "locationId": piece.location_id}
                for piece in pieces
            ]
            for row_id, pieces in note.rows.items()
        },
        "createdOn": written(note.created_on, zone),
        "events": [
            {"occured": written(event.occurred_on, zone), "eventOwnerId": event.owner_id, "eventCode": event.code}
            for event in note.events
        ],
    }
