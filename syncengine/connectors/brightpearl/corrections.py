"""Stock corrections: from the write of one product in one warehouse to what is sent. Facts: brightpearl.md section 14.2.

Nothing here makes a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from syncengine.connectors.base import Change, LineChange, Operation
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.movements import Movement, Posted
from syncengine.document import Doc
from syncengine.errors import Rejected

LINES, LEVEL = "warehouses", "inStock"
A_SECOND = timedelta(seconds=1)
"""The resolution of the times of movements: one in the second of a read may belong to it or not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One product's level in one warehouse, as a write asks for it.

    quantity: what is added (positive) or removed. location_id: where; None: the warehouse's default location.
    locations: where the removed may be taken from, with the quantity there; None if it is not known. cost: of one unit
    that is added.
    """

    product_id: int
    warehouse_id: int
    quantity: int
    location_id: int | None
    locations: Mapping[int, int] | None
    cost: Decimal | None
    currency: str
    token: str


def wanted_of(operation: Operation, currency: str) -> Wanted:
    """What a write of one line asks for: `changes["inStock"]` of the line, unchanged.

    Args:
        currency: of the cost where the line names none.

    Raises:
        Rejected: a quantity is not whole, or goods are added without a cost.
        ValueError: it has another number of lines than one (see `StockLevel.calls`).
    """
    if len(operation.lines) != 1 or operation.key is None:
        raise ValueError(f"a write of stock has one line, this one has {len(operation.lines)}")
    line = operation.lines[0]
    warehouse_id = line.number or line.key
    field = f"{LINES}.{warehouse_id}.{LEVEL}"
    change = line.changes.get(LEVEL, Change(0, 0))
    locations = _locations(operation, warehouse_id)
    found = Wanted(
        int(operation.key),
        int(warehouse_id),
        _whole(field, change.new) - _whole(field, change.old or 0),
        _location(operation, warehouse_id, locations or {}),
        locations,
        _cost(line),
        str(line.line.get("currency") or currency),
        operation.token,
    )
    if found.quantity > 0 and (found.cost is None or not found.currency):
        raise Rejected(
            field=f"{LINES}.{warehouse_id}.{'cost' if found.cost is None else 'currency'}",
            value=None,
            reason=f"{found.quantity} units are added, and Brightpearl needs the cost of one",
            remedy="Give the item a unit cost at the source, and the endpoint's setting cost_currency its currency",
        )
    return found


def lacks_location(operation: Operation) -> bool:
    """Whether a write adds goods to a product of which neither the write nor the level says where they go."""
    line = operation.lines[0] if operation.lines else None
    if line is None or LEVEL not in line.changes:
        return False
    warehouse_id = line.number or line.key
    return _rises(line) and _location(operation, warehouse_id, _locations(operation, warehouse_id) or {}) is None


def read_between(doc: Doc) -> tuple[datetime, datetime] | None:
    """When a level, typed or not, was as it is (UTC); None if it does not say."""
    began, ended = (
        found if isinstance(found, datetime) else times.lenient(found)
        for found in (doc.get("readFrom"), doc.get("readBy"))
    )
    return None if began is None or ended is None else (began, ended)


def took_effect(
    operation: Operation,
    levels: Mapping[str, Doc],
    moved: Sequence[Movement],
    posted: Sequence[Posted],
) -> bool | None:
    """Whether the correction of an operation is there; None where its token and the level contradict each other.

    levels: by product id, untyped, as they are now. moved, posted: all movements and corrections since the level was read that
    the operation came from, or longer, as far as searches show them.
    """
    line, doc = operation.lines[0], levels.get(operation.key or "", {})
    warehouse_id, change = int(line.number or line.key), line.changes[LEVEL]
    began, ended = read_between(operation.current or {}) or (None, None)
    again = read_between(doc)
    here = [
        each
        for each in moved
        if str(each.product_id) == operation.key and each.warehouse_id == warehouse_id and not each.is_quarantine
        and (began is None or each.updated_on + A_SECOND > began)
    ]  # fmt: skip
    mine = {
        each.note_id
        for each in posted
        if operation.token in each.reason and str(each.product_id) == operation.key and each.warehouse_id == warehouse_id
        and (began is None or each.updated_on + A_SECOND > began)
    }  # fmt: skip
    found = sum(each.quantity for each in here if each.note_id in mine)
    asked = _whole(LEVEL, change.new or 0) - _whole(LEVEL, change.old or 0)
    row = (doc.get(LINES) or {}).get(str(warehouse_id), {})
    rest = _whole(LEVEL, row.get(LEVEL) or 0) - _whole(LEVEL, change.old or 0) - found
    others = [each for each in here if each.note_id not in mine]
    is_as_moved = rest in _sums(others, ended, again[0] if again else None)
    return bool(mine) if found in (0, asked) and is_as_moved else None


def _sums(moved: Sequence[Movement], since: datetime | None, until: datetime | None) -> set[int]:
    """What movements may have added between two reads. Those at the time of a read may belong to it or not."""
    sums = {0}
    for each in moved:
        is_between = (since is None or each.updated_on > since) and (until is None or each.updated_on < until)
        sums = {found + each.quantity for found in sums} | (set() if is_between else sums)
    return sums


def worth(line: LineChange, currency: str) -> tuple[str, Decimal] | None:
    """Currency and cost of what a change of a line adds (below 0: removes); None where the cost is not known."""
    change, cost = line.changes.get(LEVEL), _cost(line)
    if change is None or cost is None:
        return None
    units = Decimal(change.new or 0) - Decimal(change.old or 0)
    return str(line.line.get("currency") or currency), units * cost


def bodies(wanted: Wanted, default_location_id: int, reason: str) -> list[Doc]:
    """The entries of `corrections` for one write: one for what is added, one for each location that goods are taken from.

    A removal begins at the default location, then takes from the one that has most.

    Raises:
        Rejected: the locations together hold less than is removed.
    """
    first = wanted.location_id or default_location_id
    if wanted.quantity > 0:
        cost = {"currency": wanted.currency, "value": float(wanted.cost or 0)}
        return [{**_body(wanted, first, wanted.quantity, reason), "cost": cost}]
    if wanted.locations is None:
        return [_body(wanted, first, wanted.quantity, reason)]
    return [_body(wanted, location_id, -taken, reason) for location_id, taken in _taken(wanted, first)]


def objection(operation: Operation, currency: str) -> str | None:
    """Why a person must decide about a write of levels: goods are added whose cost, or its currency, is not known."""
    for line in operation.lines:
        if (
            LEVEL in line.changes
            and _rises(line)
            and (_cost(line) is None or not (line.line.get("currency") or currency))
        ):
            lacks = "cost" if _cost(line) is None else "currency"
            return (
                f"{LINES}.{line.number or line.key}.{lacks} is empty, and Brightpearl needs it for goods that are added: "
                "give the item a unit cost at the source, and the endpoint's setting cost_currency its currency"
            )
    return None


def _rises(line: LineChange) -> bool:
    change = line.changes[LEVEL]
    return Decimal(str(change.new or 0)) > Decimal(str(change.old or 0))


def after(doc: Doc, warehouse_id: str, entries: Sequence[Doc]) -> Doc:
    """An untyped level after corrections of one of its warehouses."""
    warehouses = dict(doc.get(LINES) or {})
    row = _added(warehouses.get(warehouse_id) or {}, sum(entry["quantity"] for entry in entries))
    locations = dict(row.get("locations") or {})
    if "locations" in row:
        for entry in entries:
            key = str(entry["locationId"])
            locations[key] = _added(locations.get(key) or {}, entry["quantity"])
        row["locations"] = locations
    return {**doc, LINES: {**warehouses, warehouse_id: row}}


def _added(row: Doc, quantity: int) -> Doc:
    return {**row, **{name: int(row.get(name) or 0) + quantity for name in (LEVEL, "onHand")}}


def in_calls(items: Sequence[tuple[int, list[Doc]]], most: int) -> Iterator[Sequence[tuple[int, list[Doc]]]]:
    """Writes in the order given, in groups of at most `most` corrections together; one write is never divided."""
    group: list[tuple[int, list[Doc]]] = []
    count = 0
    for item in items:
        if group and count + len(item[1]) > most:
            yield group
            group, count = [], 0
        group.append(item)
        count += len(item[1])
    if group:
        yield group


def _taken(wanted: Wanted, first: int) -> list[tuple[int, int]]:
    locations = wanted.locations or {}
    order = sorted(locations, key=lambda location_id: (location_id != first, -locations[location_id], location_id))
    found, left = [], -wanted.quantity
    for location_id in order:
        if taken := min(left, max(0, locations[location_id])):
            found.append((location_id, taken))
            left -= taken
    if left:
        raise Rejected(
            field=f"{LINES}.{wanted.warehouse_id}.{LEVEL}",
            value=wanted.quantity,
            reason=f"{-wanted.quantity} units are removed, and the locations hold {-wanted.quantity - left}",
            remedy="Correct the locations of the product in Brightpearl; it is then read again",
        )
    return found


def _body(wanted: Wanted, location_id: int, quantity: int, reason: str) -> Doc:
    return {
        "quantity": quantity,
        "productId": wanted.product_id,
        "reason": f"{reason} [{wanted.token}]",
        "locationId": location_id,
    }


def _whole(field: str, value: Any) -> int:
    number = Decimal(str(value))
    if number != number.to_integral_value():
        raise Rejected(
            field=field,
            value=value,
            reason="Brightpearl keeps whole units",
            remedy="Round it down in the mapping",
        )
    return int(number)


def _cost(line: LineChange) -> Decimal | None:
    cost = line.line.get("cost")
    return None if cost is None or cost == "" else Decimal(str(cost))


def _location(operation: Operation, warehouse_id: str, locations: Mapping[int, int]) -> int | None:
    """What the write says, or else the product's own default (which `StockLevel.find` has read), or its only location."""
    product = (operation.current or {}).get("product") or {}
    default = (product.get("defaultLocations") or {}).get(warehouse_id)
    found = operation.lines[0].line.get("locationId") or default
    if not found and len(locations) == 1:
        found = next(iter(locations))
    return int(found) if found else None


def _locations(operation: Operation, warehouse_id: str) -> dict[int, int] | None:
    """What the one level that was read says of the warehouse's locations; None if it does not name them."""
    rows = (operation.current or {}).get(LINES) or []
    row = next((each for each in rows if str(each.get("id")) == warehouse_id), None)
    locations = None if row is None else row.get("locations")
    return None if locations is None else {int(each["id"]): int(each[LEVEL] or 0) for each in locations}
