"""Goods-out and drop-ship notes as objects (section 14.4): what is on them, and how far they have come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from syncengine.sandbox.brightpearl.stock import Allocation, Movement

PLACED, SHIPPED, SENT_BY_SUPPLIER = "PLA", "SHW", "SHS"
#: Codes of the steps before shipping, in their order, with the word that the status and the events of webhooks use.
STEPS = {"PRI": "printed", "PIC": "picked", "PAC": "packed"}
#: Codes that take a step back.
UNDONE = {"UPR": "PRI", "UPI": "PIC", "UPA": "PAC"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a note, and when people say it did."""

    code: str
    occurred_on: datetime
    owner_id: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A quantity of a product on a note, and the location that it is taken from; 0 where a supplier sends it."""

    product_id: int
    quantity: int
    location_id: int


@dataclass(slots=True)
class Shipping:
    """How a note is sent. reference: of the carrier, at most 64 characters. weight: as it was given."""

    method_id: int = 0
    reference: str = ""
    boxes: int | None = None
    weight: str | None = None


@dataclass(slots=True)
class GoodsOutNote:
    """Goods of one warehouse for one order, or for another warehouse.

    rows: by order row; empty for a transfer. held: what it holds of each row. products: of a transfer. planned: ids of
    movements that searches show before the goods move. movements: by which its goods have left.
    """

    id: int
    order_id: int
    warehouse_id: int
    rows: dict[int, list[Piece]]
    held: list[Allocation]
    created_on: datetime
    release_on: datetime
    sequence: int
    version: int
    created_by: int = 4
    priority: bool = False
    target_warehouse_id: int = 0
    products: list[Piece] = field(default_factory=list)
    label_uri: str = ""
    shipping: Shipping = field(default_factory=Shipping)
    events: list[Event] = field(default_factory=list)
    planned: list[int] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)

    @property
    def is_transfer(self) -> bool:
        """Whether the goods go to another warehouse."""
        return bool(self.target_warehouse_id)

    @property
    def shipped_on(self) -> datetime | None:
        """When people say that the goods left; None if they have not."""
        found = self.last(SHIPPED)
        return found.occurred_on if found else None

    def last(self, code: str) -> Event | None:
        """The event by which a step is done; None if it is not, or was taken back."""
        undone = {step: back for back, step in UNDONE.items()}.get(code)
        for event in reversed(self.events):
            if event.code in (code, undone):
                return event if event.code == code else None
        return None


@dataclass(slots=True)
class DropShipNote:
    """Goods that a supplier sends to the customer of an order; no stock of the account moves."""

    id: int
    order_id: int
    purchase_order_id: int
    supplier_id: int
    rows: dict[int, list[Piece]]
    created_on: datetime
    shipping: Shipping = field(default_factory=Shipping)
    events: list[Event] = field(default_factory=list)

    @property
    def sent(self) -> Event | None:
        """The event by which the supplier has sent it."""
        return next((event for event in reversed(self.events) if event.code == SENT_BY_SUPPLIER), None)
