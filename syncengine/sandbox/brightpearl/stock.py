"""The account's stock: quantities by location and batch, what orders have allocated, and every movement (section 14).

Nothing here knows HTTP or orders. Quantities are whole numbers. Hold the account's lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from syncengine.sandbox.brightpearl import locations

OPENING_NOTE = 7301
"""The goods-in note of all stock that was there at the start; its movements are older than any search."""


class NoteType(StrEnum):
    """The kind of note a movement belongs to: SC is documented, GO and IT are sent by clients, GI is assumed."""

    CORRECTION = "SC"
    GOODS_OUT = "GO"
    GOODS_IN = "GI"
    INTERNAL = "IT"


class NotEnough(ValueError):
    """There is less stock than a removal or an allocation asks for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a product is kept."""

    product_id: int
    warehouse_id: int
    location_id: int


@dataclass(frozen=True, slots=True)
class Note:
    """A goods note: what moved its goods, why, and when.

    moved_on: what people say when it happened (`shippedOn`, `receivedOn`); it may be long before the movement is entered.
    entered_on: the `updatedOn` of its movements where they were there before the goods moved; None for the time they move.
    is_searchable: whether searches find its movements.
    """

    id: int
    type: NoteType
    moved_on: datetime
    reason: str = ""
    order_id: int = 0
    by: str = "api"
    entered_on: datetime | None = None
    is_searchable: bool = True


@dataclass(frozen=True, slots=True)
class Movement:
    """One quantity of one batch that came to a place (positive) or left it (negative).

    at: when the level changed, to the microsecond. updated_on: the same as searches show it. level_after: the product's
    inStock in this warehouse after it, goods in quarantine excluded. value: of one unit, in the account's currency.
    """

    id: int
    note: Note
    place: Place
    quantity: int
    batch_id: int
    value: Decimal
    at: datetime
    updated_on: datetime
    level_after: int
    is_quarantine: bool = False
    sales_row_id: int = 0
    purchase_row_id: int = 0


@dataclass(slots=True)
class Batch:
    """What is left of one receipt at one place."""

    id: int
    quantity: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class Allocation:
    """What is held back in a warehouse for an order's row: by its reservation, or by a goods-out note."""

    order_id: int
    row_id: int
    product_id: int
    warehouse_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Level:
    """A product's figures in one warehouse, or in one location of it."""

    in_stock: int
    allocated: int

    @property
    def on_hand(self) -> int:
        """What can be sold."""
        return self.in_stock - self.allocated


@dataclass(frozen=True, slots=True)
class Clock:
    """How the ledger knows the time and numbers things: now, now as searches show it, the next id of a kind."""

    now: Callable[[], datetime]
    stamp: Callable[[], datetime]
    new_id: Callable[[str], int]


class Ledger:
    """Levels that only movements change, and the journal of all movements.

    Attributes:
        opening: the quantities at the start, by product and warehouse; they plus the movements are the levels.
        movements: all movements, oldest first.
        allocations: the reservations, by order row.
        on_notes: what goods-out notes that are not shipped hold, by order row and note.
        from_suppliers: quantities that suppliers are to send to the customer, by order row.
        shipped: quantities that have left by order row, from a warehouse or from a supplier.
    """

    def __init__(self, clock: Clock, moved: Callable[[Movement], None], allocated: Callable[[int], None]) -> None:
        self._clock, self._moved, self._allocated = clock, moved, allocated
        self._batches: dict[int, dict[tuple[int, int], list[Batch]]] = {}
        self._reserved: dict[tuple[int, int], int] = {}
        self._notes: dict[tuple[NoteType, int], dict[int, list[Movement]]] = {}
        self.opening: dict[tuple[int, int], int] = {}
        self.movements: list[Movement] = []
        self.allocations: dict[int, Allocation] = {}
        self.on_notes: dict[int, dict[int, Allocation]] = {}
        self.from_suppliers: Counter[int] = Counter()
        self.shipped: dict[int, int] = {}

    # --- reading -----------------------------------------------------------------------------------------------

    def warehouses_of(self, product_id: int) -> list[int]:
        """The warehouses that the product has ever been in, ascending."""
        return sorted({warehouse_id for warehouse_id, _ in self._batches.get(product_id, ())})

    def level(self, product_id: int, warehouse_id: int) -> Level:
        """The figures in a warehouse, without goods in quarantine."""
        found = self.by_location(product_id, warehouse_id)
        quarantine = locations.quarantine(warehouse_id)
        in_stock = sum(quantity for location_id, quantity in found.items() if location_id != quarantine)
        return Level(in_stock, self._reserved.get((product_id, warehouse_id), 0))

    def by_location(self, product_id: int, warehouse_id: int) -> dict[int, int]:
        """Quantities by location, ascending; locations that were emptied are left out."""
        found = {
            location_id: sum(batch.quantity for batch in batches)
            for (its_warehouse_id, location_id), batches in self._batches.get(product_id, {}).items()
            if its_warehouse_id == warehouse_id
        }
        return {location_id: found[location_id] for location_id in sorted(found) if found[location_id]}

    def batches(self, place: Place) -> list[Batch]:
        """The batches at a place, the oldest first."""
        return self._batches.get(place.product_id, {}).get((place.warehouse_id, place.location_id), [])

    def notes(self, type_: NoteType, warehouse_id: int) -> dict[int, list[Movement]]:
        """The movements of a warehouse's notes of one type, by note."""
        return self._notes.get((type_, warehouse_id), {})

    def noted(self, row_id: int) -> int:
        """What of an order row is on notes, goods-out or drop-ship, or has left."""
        on_notes = sum(each.quantity for each in self.on_notes.get(row_id, {}).values())
        return on_notes + self.from_suppliers[row_id] + self.shipped.get(row_id, 0)

    def committed(self, row_id: int) -> int:
        """What an order row has reserved, has on notes, or has shipped."""
        held = self.allocations.get(row_id)
        return (held.quantity if held else 0) + self.noted(row_id)

    def picked(self, product_id: int, warehouse_id: int, quantity: int) -> dict[int, int]:
        """From which locations a quantity would be taken: the default location first, never from quarantine."""
        found, left = {}, quantity
        for location_id, there in self.by_location(product_id, warehouse_id).items():
            taken = 0 if location_id == locations.quarantine(warehouse_id) else min(left, there)
            if taken:
                found[location_id] = taken
                left -= taken
        return found

    # --- changing ----------------------------------------------------------------------------------------------

    def open(self, product_id: int, warehouse_id: int, quantity: int, value: Decimal) -> None:
        """Put stock into the default location without a movement, as it was there before."""
        self.opening[product_id, warehouse_id] = quantity
        place = Place(product_id, warehouse_id, locations.default(warehouse_id))
        self._put(place, Batch(OPENING_NOTE, quantity, value))

    def new_note(
        self, type_: NoteType, *, moved_on: datetime | None = None, reason: str = "", order_id: int = 0, by: str = "api"
    ) -> Note:
        """A note for movements, with an id of its own; without `moved_on` it is of now."""
        return Note(
            self._clock.new_id("goods-note"), type_, moved_on or self._clock.stamp(), reason, order_id=order_id, by=by
        )

    def add(self, note: Note, place: Place, quantity: int, value: Decimal, *, purchase_row_id: int = 0) -> Movement:
        """Add a new batch at a place, at a value for one unit."""
        self._put(place, Batch(note.id, quantity, value))
        return self._record(note, place, quantity, note.id, value, purchase_row_id=purchase_row_id)

    def remove(
        self, note: Note, place: Place, quantity: int, *, batch_id: int = 0, sales_row_id: int = 0
    ) -> list[Movement]:
        """Take a positive quantity from a place, from one batch or else the oldest first; one movement a batch.

        Raises NotEnough, before anything changes.
        """
        batches = [batch for batch in self.batches(place) if batch.quantity and batch_id in (0, batch.id)]
        if (held := sum(batch.quantity for batch in batches)) < quantity:
            raise NotEnough(f"product {place.product_id}: {held} at location {place.location_id}, {quantity} wanted")
        movements, left = [], quantity
        for batch in batches:
            taken = min(left, batch.quantity)
            if taken:
                batch.quantity -= taken
                left -= taken
                movements.append(self._record(note, place, -taken, batch.id, batch.value, sales_row_id=sales_row_id))
        return movements

    def move(self, note: Note, place: Place, to: Place, quantity: int) -> list[Movement]:
        """Move a quantity from one place to another; its batches keep their ids and values. Raises NotEnough."""
        movements = self.remove(note, place, quantity)
        for left in list(movements):
            self._put(to, Batch(left.batch_id, -left.quantity, left.value))
            movements.append(self._record(note, to, -left.quantity, left.batch_id, left.value))
        return movements

    def allocate(self, wanted: Allocation) -> int:
        """Reserve for an order row as much of its quantity as can be sold, on top of what it has; how much that was."""
        taken = max(0, min(wanted.quantity, self.level(wanted.product_id, wanted.warehouse_id).on_hand))
        if taken:
            held = self.allocations.get(wanted.row_id)
            self._reserve(replace(wanted, quantity=taken + (held.quantity if held else 0)))
        return taken

    def release(self, row_id: int, quantity: int | None = None) -> None:
        """Give back what an order row has reserved, or that much of it."""
        if held := self.allocations.get(row_id):
            self._reserve(
                replace(held, quantity=max(0, held.quantity - (held.quantity if quantity is None else quantity)))
            )

    def claim(self, note_id: int, wanted: Sequence[Allocation]) -> None:
        """Hold quantities for a goods-out note: from the rows' reservations in the same warehouse, or what can be sold.

        Raises NotEnough, before anything changes.
        """
        self._refuse_short(wanted)
        for each in wanted:
            held = self.allocations.get(each.row_id)
            if held and held.warehouse_id == each.warehouse_id:
                self.release(each.row_id, min(held.quantity, each.quantity))
            self._hold(note_id, each)

    def unclaim(self, note_id: int, row_ids: Iterable[int]) -> None:
        """Give back what a goods-out note holds; it can be sold again."""
        for row_id in row_ids:
            self._hold(note_id, replace(self.on_notes[row_id][note_id], quantity=0))

    def planned(self, note_id: int, held: Sequence[Allocation], entered_on: datetime, order_id: int) -> list[Movement]:
        """The movements by which goods of a note would leave now; nothing moves. entered_on: their `updatedOn`."""
        note = Note(note_id, NoteType.GOODS_OUT, entered_on, order_id=order_id, entered_on=entered_on)
        found = []
        for each in held:
            for location_id, taken in self.picked(each.product_id, each.warehouse_id, each.quantity).items():
                place = Place(each.product_id, each.warehouse_id, location_id)
                oldest = next(batch for batch in self.batches(place) if batch.quantity)
                found.append(self._movement(note, place, -taken, oldest.id, oldest.value, sales_row_id=each.row_id))
        return found

    def ship(self, note: Note, allocation: Allocation) -> list[Movement]:
        """Let what a goods-out note holds of a row leave its warehouse."""
        product_id, warehouse_id, quantity = allocation.product_id, allocation.warehouse_id, allocation.quantity
        self.unclaim(note.id, [allocation.row_id])
        movements: list[Movement] = []
        for location_id, taken in self.picked(product_id, warehouse_id, quantity).items():
            place = Place(product_id, warehouse_id, location_id)
            movements += self.remove(note, place, taken, sales_row_id=allocation.row_id)
        self.shipped[allocation.row_id] = self.shipped.get(allocation.row_id, 0) + quantity
        return movements

    def unship(self, note: Note, left: Sequence[Movement], held: Sequence[Allocation]) -> None:
        """Bring back what a goods-out note let leave, to where it was; the note holds it again."""
        for each in left:
            self._put(each.place, Batch(each.batch_id, -each.quantity, each.value))
            self._record(note, each.place, -each.quantity, each.batch_id, each.value, sales_row_id=each.sales_row_id)
        for allocation in held:
            self.shipped[allocation.row_id] -= allocation.quantity
            self._hold(note.id, allocation)

    def trim(self, order_id: int, quantities: Iterable[tuple[int, int]]) -> None:
        """Give back what an order has reserved beyond the quantities of the rows that it still has."""
        kept = dict(quantities)
        for held in [each for each in self.allocations.values() if each.order_id == order_id]:
            excess = held.quantity - max(0, kept.get(held.row_id, 0) - self.noted(held.row_id))
            if excess > 0:
                self.release(held.row_id, excess)

    def _refuse_short(self, wanted: Sequence[Allocation]) -> None:
        """Raise NotEnough if the rows together need more than is reserved for them and free."""
        needed: Counter[tuple[int, int]] = Counter()
        for each in wanted:
            held = self.allocations.get(each.row_id)
            reserved = held.quantity if held and held.warehouse_id == each.warehouse_id else 0
            needed[each.product_id, each.warehouse_id] += max(0, each.quantity - reserved)
        for (product_id, warehouse_id), quantity in needed.items():
            if (free := self.level(product_id, warehouse_id).on_hand) < quantity:
                raise NotEnough(f"product {product_id}: {free} free in warehouse {warehouse_id}, {quantity} wanted")

    def _hold(self, note_id: int, allocation: Allocation) -> None:
        of_row = self.on_notes.setdefault(allocation.row_id, {})
        before = of_row.pop(note_id, None)
        key = allocation.product_id, allocation.warehouse_id
        self._reserved[key] = self._reserved.get(key, 0) + allocation.quantity - (before.quantity if before else 0)
        if allocation.quantity:
            of_row[note_id] = allocation
        self._allocated(allocation.product_id)

    def _reserve(self, allocation: Allocation) -> None:
        key = allocation.product_id, allocation.warehouse_id
        before = self.allocations.pop(allocation.row_id, None)
        self._reserved[key] = self._reserved.get(key, 0) + allocation.quantity - (before.quantity if before else 0)
        if allocation.quantity:
            self.allocations[allocation.row_id] = allocation
        self._allocated(allocation.product_id)

    def _put(self, place: Place, batch: Batch) -> None:
        of_product = self._batches.setdefault(place.product_id, {})
        of_product.setdefault((place.warehouse_id, place.location_id), []).append(batch)

    def _record(
        self,
        note: Note,
        place: Place,
        quantity: int,
        batch_id: int,
        value: Decimal,
        *,
        sales_row_id: int = 0,
        purchase_row_id: int = 0,
    ) -> Movement:
        movement = self._movement(
            note, place, quantity, batch_id, value, sales_row_id=sales_row_id, purchase_row_id=purchase_row_id
        )
        self.movements.append(movement)
        self._notes.setdefault((note.type, place.warehouse_id), {}).setdefault(note.id, []).append(movement)
        self._moved(movement)
        return movement

    def _movement(
        self,
        note: Note,
        place: Place,
        quantity: int,
        batch_id: int,
        value: Decimal,
        *,
        sales_row_id: int = 0,
        purchase_row_id: int = 0,
    ) -> Movement:
        return Movement(
            self._clock.new_id("goods-movement"),
            note,
            place,
            quantity,
            batch_id,
            value,
            self._clock.now(),
            note.entered_on or self._clock.stamp(),
            self.level(place.product_id, place.warehouse_id).in_stock,
            is_quarantine=place.location_id == locations.quarantine(place.warehouse_id),
            sales_row_id=sales_row_id,
            purchase_row_id=purchase_row_id,
        )
