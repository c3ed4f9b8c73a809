"""What moved in Brightpearl's warehouses, and the corrections behind it. Facts: brightpearl.md sections 14.2 and 14.5."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from syncengine.connectors.base import Moved
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.answers import NothingFound
from syncengine.connectors.brightpearl.id_sets import id_sets
from syncengine.errors import Transient

SEARCH = "warehouse-service/goods-movement-search"
CORRECTION = "SC"
"""The type code of a correction's movements (section 14.5)."""

MOST_CORRECTIONS_PER_READ = 200
COLUMNS = (
    "goodsMovementId",
    "productId",
    "warehouseId",
    "destinationLocationId",
    "quantity",
    "goodsNoteId",
    "goodsNoteTypeCode",
    "orderId",
    "isQuarantine",
    "updatedOn",
)

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement. quantity: signed, of whole units. order_id: 0 if it belongs to none. updated_on: UTC."""

    id: int
    product_id: int
    warehouse_id: int
    location_id: int
    quantity: int
    note_id: int
    type_code: str
    order_id: int
    is_quarantine: bool
    updated_on: datetime


@dataclass(frozen=True, slots=True)
class Posted:
    """A correction that Brightpearl has, per product: `quantity` is the sum of its movements, quarantine included."""

    note_id: int
    product_id: int
    warehouse_id: int
    quantity: int
    reason: str
    updated_on: datetime


def since(gateway: Gateway, time: datetime, *, type_code: str = "") -> list[Movement]:
    """The movements of which searches say that they were updated at `time` or later, by id; of one type, if one is given.

    Sorted by id, a movement that is updated meanwhile moves no other out of a page. It ends at what searches show now: what
    happened within the lag may be absent.

    Raises as `Gateway.call`; Transient for a row that cannot be read.
    """
    filters = {
        "updatedOn": f"{times.text(time - timedelta(milliseconds=1))}/"
    }  # whether the start belongs is not known
    if type_code:
        filters["goodsNoteTypeCode"] = type_code
    found = {movement.id: movement for movement in _rows(gateway, filters)}
    return [found[key] for key in sorted(found) if found[key].updated_on >= time]


def corrections_since(gateway: Gateway, time: datetime, product_ids: Collection[int]) -> list[Posted]:
    """The corrections of some products, with their reasons, as far as searches show them; by note and product.

    Costs one search for 500 movements of type SC since `time`, and for each warehouse a read for 200 corrections.

    Raises as `since`.
    """
    movements = [each for each in since(gateway, time, type_code=CORRECTION) if each.product_id in set(product_ids)]
    grouped: dict[tuple[int, int, int], list[Movement]] = {}
    for each in movements:
        grouped.setdefault((each.warehouse_id, each.note_id, each.product_id), []).append(each)
    reasons = {
        warehouse_id: _reasons(
            gateway, warehouse_id, {note for warehouse, note, _ in grouped if warehouse == warehouse_id}
        )
        for warehouse_id in {key[0] for key in grouped}
    }
    return [
        Posted(
            note_id,
            product_id,
            warehouse_id,
            sum(each.quantity for each in moved),
            reasons[warehouse_id].get(note_id, ""),
            max(each.updated_on for each in moved),
        )
        for (warehouse_id, note_id, product_id), moved in sorted(grouped.items(), key=lambda item: item[0][1:])
    ]


def _reasons(gateway: Gateway, warehouse_id: int, note_ids: Collection[int]) -> dict[int, str]:
    """The reasons of a warehouse's corrections by id; one that does not exist is absent."""
    path = f"warehouse-service/warehouse/{warehouse_id}/stock-correction"
    found: dict[int, str] = {}
    for text, count in id_sets(note_ids, MOST_CORRECTIONS_PER_READ):
        try:
            answer = gateway.call("GET", f"{path}/{text}", show_path=f"{path}/({count} ids)")
        except NothingFound:
            continue
        try:
            found |= {int(each["goodsNoteId"]): str(each.get("reason") or "") for each in answer.body["response"]}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Transient(f"{path}: the answer is not a list of corrections ({type(error).__name__})") from None
    return found


def _rows(gateway: Gateway, filters: Mapping[str, str]) -> Iterator[Movement]:
    first, is_more = 1, True
    while is_more:
        page = gateway.search(
            SEARCH,
            columns=COLUMNS,
            sort=("goodsMovementId.ASC",),
            page_size=gateway.account.page_size,
            filters=filters,
            first_result=first,
        )
        if page.is_more and not page.rows:
            raise Transient(f"{SEARCH}: the page is empty, but the answer says that there are more")
        yield from (_movement(row) for row in page.rows)
        first, is_more = first + len(page.rows), page.is_more


def moved(row: Mapping[str, Any]) -> Moved:
    """What a row of the search says, for tallies. Goods in quarantine do not count. Raises Transient."""
    found = _movement(row)
    return Moved(
        str(found.id),
        f"{found.type_code}{found.note_id}",
        found.type_code,
        str(found.product_id),
        str(found.warehouse_id),
        Decimal(0 if found.is_quarantine else found.quantity),
        found.updated_on,
        correction=found.type_code == CORRECTION,
    )


def _movement(row: Mapping[str, Any]) -> Movement:
    try:
        updated_on = times.parse(row["updatedOn"])
        if updated_on is None:
            raise ValueError("it has no updatedOn")
        return Movement(
            int(row["goodsMovementId"]),
            int(row["productId"]),
            int(row["warehouseId"]),
            int(row["destinationLocationId"]),
            int(row["quantity"]),
            int(row["goodsNoteId"]),
            str(row["goodsNoteTypeCode"]),
            int(row["orderId"] or 0),
            bool(row["isQuarantine"]),
            updated_on,
        )
    except (KeyError, TypeError, ValueError) as error:
        shown = row.get("goodsMovementId")
        raise Transient(f"{SEARCH}: movement {shown!r:.20} cannot be read: {error}") from None
