"""The physical ledger: what the actor has done to goods, and when each system was informed. Warehouses are SYSPRO's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

Place = tuple[str, str]
"""A SKU, and a warehouse of SYSPRO."""


@dataclass(frozen=True, slots=True)
class Span:
    """The bounds of a moment: before and after the call that informed a system (UTC)."""

    began: datetime
    ended: datetime

    def had(self, at: datetime) -> tuple[int, ...]:
        """Whether the system had it at a time: (0,), (1,), or (0, 1) during the call."""
        if at >= self.ended:
            return (1,)
        return (0,) if at < self.began else (0, 1)


@dataclass(slots=True)
class Move:
    """Goods that came to a warehouse (positive) or left it.

    shop, erp: when Brightpearl and SYSPRO were informed; None: not yet, or never. is_mirrored: both must be informed. is_dated:
    SYSPRO's DateLastStockMove shows it.
    """

    sku: str
    warehouse: str
    quantity: int
    what: str
    is_mirrored: bool = False
    is_dated: bool = True
    shop: Span | None = None
    erp: Span | None = None

    def __str__(self) -> str:
        informed = ", ".join(
            f"{name} {span.began:%H:%M:%S.%f}"[:-3]
            for name, span in (("Brightpearl", self.shop), ("SYSPRO", self.erp))
            if span is not None
        )
        return f"{self.what} {self.quantity:+d} in {self.warehouse} ({informed or 'nobody was informed'})"


@dataclass(frozen=True, slots=True)
class Demand:
    """What SYSPRO's own jobs and orders have allocated (positive) or given back, without any order of Brightpearl's."""

    sku: str
    warehouse: str
    quantity: int
    what: str
    erp: Span

    def __str__(self) -> str:
        return f"{self.what} {self.quantity:+d} in {self.warehouse} ({self.erp.began:%H:%M:%S})"


@dataclass(slots=True)
class Doubt:
    """A quantity that SYSPRO has allocated to an order of Brightpearl's, and that may count as its own demand for a time.

    The goods have left or the order was cancelled, so that Brightpearl has reserved nothing for it; or the order is being
    entered (`order`: its id), so that a read of SYSPRO's figures may see its quantity and not itself. Both err low.
    """

    sku: str
    warehouse: str
    quantity: int
    since: datetime
    until: datetime | None = None
    order: int = 0


@dataclass(slots=True)
class Ledger:
    """All of it. opening: what was there, and in SYSPRO's figures, when the day began."""

    opening: dict[Place, int] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def physical(self, sku: str, warehouse: str) -> int:
        """What is there."""
        return self.opening.get((sku, warehouse), 0) + sum(
            move.quantity for move in self.moves if (move.sku, move.warehouse) == (sku, warehouse)
        )

    def booked(self, sku: str, warehouse: str) -> int:
        """What SYSPRO was informed of that there is."""
        return self.opening.get((sku, warehouse), 0) + sum(
            move.quantity
            for move in self.moves
            if (move.sku, move.warehouse) == (sku, warehouse) and move.erp is not None
        )

    def demanded(self, sku: str, warehouse: str) -> int:
        """What SYSPRO's own jobs and orders have allocated."""
        return sum(each.quantity for each in self.demands if (each.sku, each.warehouse) == (sku, warehouse))

    def skus(self) -> list[str]:
        """All SKUs, sorted."""
        return sorted({sku for sku, _ in self.opening} | {move.sku for move in self.moves})

    def story(self, sku: str, warehouses: set[str]) -> Iterator[str]:
        """What happened to a SKU in some warehouses."""
        found: list[Move | Demand] = [*self.moves, *self.demands]
        for each in found:
            if each.sku == sku and each.warehouse in warehouses:
                yield str(each)


def by_sku(ledger: Ledger) -> dict[str, Ledger]:
    """The ledger in parts, one for each SKU, so that each is quick to search."""
    parts: dict[str, Ledger] = defaultdict(Ledger)
    for place, quantity in ledger.opening.items():
        parts[place[0]].opening[place] = quantity
    for move in ledger.moves:
        parts[move.sku].moves.append(move)
    for demand in ledger.demands:
        parts[demand.sku].demands.append(demand)
    for doubt in ledger.doubts:
        parts[doubt.sku].doubts.append(doubt)
    return dict(parts)
