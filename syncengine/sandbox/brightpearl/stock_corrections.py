"""Stock corrections (section 14.2). Of the codes, WHSC-014 is documented, though of reservations; the others are invented."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from syncengine.sandbox.brightpearl import locations
from syncengine.sandbox.brightpearl.calls import Call, integer, number, part, read_uris, text
from syncengine.sandbox.brightpearl.errors import ApiError, invalid, missing
from syncengine.sandbox.brightpearl.responses import moment
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import Ledger, Movement, NoteType, Place
from syncengine.sandbox.brightpearl.warehouses import warehouse_of

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Wanted:
    place: Place
    quantity: int
    reason: str
    cost: Decimal
    batch_id: int
    order_id: int


def create(call: Call) -> Json:
    """`POST warehouse/{id}/stock-correction`: the ids of the new notes, in the order of the corrections.

    Whether one bad correction prevents the others is a switch; where it does not, the answer is 207 (section 4).
    """
    account, body = call.account, call.json_object()
    most = account.switches.integer("brightpearl_corrections_most")
    given = body.get("corrections")
    if not isinstance(given, list) or not given:
        raise invalid("WHSC-030", "You must supply the corrections to be made")
    if len(given) > most:
        raise invalid("WHSC-031", f"You must not supply more than {most} corrections")
    is_whole = account.switches.on("brightpearl_corrections_are_whole")
    done: list[int] = []
    errors: list[tuple[str, str]] = []
    with account.lock:
        warehouse_id = warehouse_of(call).id
        wanted = [_checked(account, warehouse_id, each, errors) for each in given]
        errors += _short(account.stock, [each for each in wanted if each])
        if errors and is_whole:
            raise ApiError(400, *errors)
        for each in wanted:
            if each and not _short(account.stock, [each]):
                done.append(_correct(account, each))
    if errors:
        raise ApiError(207 if done else 400, *errors)
    return {"response": done}


def read(call: Call) -> Json:
    """`GET warehouse/{id}/stock-correction/{ids}`: none is 404."""
    account = call.account
    with account.lock:
        warehouse_id = warehouse_of(call).id
        notes = account.stock.notes(NoteType.CORRECTION, warehouse_id)
        found = [_correction(account, notes[key]) for key in call.ids(notes)]
    if not found:
        raise missing("No Stock Corrections Found")
    return {"response": found}


def options(call: Call) -> Json:
    """`OPTIONS warehouse/{id}/stock-correction[/{ids}]`: where existing corrections can be read, 200 at a time."""
    account = call.account
    with account.lock:
        notes = account.stock.notes(NoteType.CORRECTION, warehouse_of(call).id)
        keys = call.ids(notes, most=10**9) if "ids" in call.path else sorted(notes)
    return read_uris("stock-correction", keys)


def _checked(account: Account, warehouse_id: int, given: Any, errors: list[tuple[str, str]]) -> _Wanted | None:
    """One correction of a body; None if it cannot be made, with the reason added to `errors`."""
    try:
        return _read(account, warehouse_id, given)
    except ApiError as problem:
        errors += problem.errors
        return None


def _read(account: Account, warehouse_id: int, given: Any) -> _Wanted:
    if not part(given, "productId"):
        raise invalid("WHSC-014", "Product ID must be set and greater than 0")
    product_id = integer(part(given, "productId"), "productId", "WHSC-014")
    product = account.products.get(product_id)
    if product is None or not product.stock_tracked:
        raise invalid("WHSC-032", f"Product {product_id} does not exist or is not stock tracked")
    quantity = integer(part(given, "quantity"), "quantity", "WHSC-033")
    if not quantity:
        raise invalid("WHSC-033", "quantity must not be 0")
    if not text(part(given, "reason")).strip():
        raise invalid("WHSC-034", "You must supply a reason")
    location_id = integer(part(given, "locationId"), "locationId", "WHSC-035")
    if location_id not in locations.of(warehouse_id):
        raise invalid("WHSC-035", f"Location {location_id} is not in warehouse {warehouse_id}")
    batch_id = integer(part(given, "batchId") or 0, "batchId", "WHSC-036")
    if batch_id and quantity > 0:
        raise invalid("WHSC-036", "batchId is only applicable when stock is removed")
    return _Wanted(
        Place(product_id, warehouse_id, location_id),
        quantity,
        text(part(given, "reason")),
        _cost(account, given) if quantity > 0 else Decimal(0),
        batch_id,
        integer(part(given, "orderId") or 0, "orderId", "WHSC-038"),
    )


def _cost(account: Account, given: Any) -> Decimal:
    """The cost of one unit, which stock that is added must have. That it must be in the account's currency is assumed."""
    if part(given, "cost", "value") is None or not part(given, "cost", "currency"):
        raise invalid("WHSC-037", "You must supply a cost when stock is added")
    cost = number(part(given, "cost", "value"), "cost.value", "WHSC-037")
    if cost < 0 or part(given, "cost", "currency") != account.shop.base_currency:
        raise invalid("WHSC-037", f"cost must be a positive amount in {account.shop.base_currency}")
    return cost


def _short(stock: Ledger, wanted: list[_Wanted]) -> list[tuple[str, str]]:
    """An error for each batch, place or warehouse of which more is removed than there is, or is not allocated (assumed).

    What the same call adds does not count, so that the sequence of its corrections does not matter.
    """
    of_batch: Counter[tuple[Place, int]] = Counter()
    at_place: Counter[Place] = Counter()
    in_warehouse: Counter[tuple[int, int]] = Counter()
    for each in wanted:
        removed = max(0, -each.quantity)
        at_place[each.place] += removed
        if each.batch_id:
            of_batch[each.place, each.batch_id] += removed
        if each.place.location_id != locations.quarantine(each.place.warehouse_id):
            in_warehouse[each.place.product_id, each.place.warehouse_id] += removed
    free: list[tuple[str, int, int]] = []
    for (place, batch_id), removed in of_batch.items():
        held = sum(batch.quantity for batch in stock.batches(place) if batch.id == batch_id)
        free.append((f"product {place.product_id} of batch {batch_id}", held, removed))
    for place, removed in at_place.items():
        held = stock.by_location(place.product_id, place.warehouse_id).get(place.location_id, 0)
        free.append((f"product {place.product_id} at location {place.location_id}", held, removed))
    for (product_id, warehouse_id), removed in in_warehouse.items():
        on_hand = stock.level(product_id, warehouse_id).on_hand
        free.append((f"product {product_id} on hand in warehouse {warehouse_id}", on_hand, removed))
    return [("WHSC-039", f"There are only {held} of {what}") for what, held, removed in free if 0 < removed > held]


def _correct(account: Account, wanted: _Wanted) -> int:
    note = account.stock.new_note(NoteType.CORRECTION, reason=wanted.reason, order_id=wanted.order_id)
    if wanted.quantity > 0:
        account.stock.add(note, wanted.place, wanted.quantity, wanted.cost)
        return note.id
    account.stock.remove(note, wanted.place, -wanted.quantity, batch_id=wanted.batch_id)
    return note.id


def _correction(account: Account, movements: list[Movement]) -> Json:
    note = movements[0].note
    return {
        "goodsNoteId": note.id,
        "warehouseId": movements[0].place.warehouse_id,
        **({"orderId": note.order_id} if note.order_id else {}),
        "reason": note.reason,
        "goodsMoved": [
            {
                "productId": movement.place.product_id,
                "quantity": movement.quantity,
                "destinationLocationId": movement.place.location_id,
                "batchGoodsNoteId": movement.batch_id,
                "productValue": {"currency": account.shop.base_currency, "value": movement.value},
                "createdOn": moment(movement.updated_on, account.zone),
                "createdBy": 4,
            }
            for movement in movements
        ],
    }
