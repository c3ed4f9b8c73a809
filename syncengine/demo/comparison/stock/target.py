"""What Brightpearl's level of a SKU in one of its warehouses had to be, at any moment, by the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncengine.demo.comparison.stock.ledger import Ledger, Move, Span

NEVER = (0,)


@dataclass(frozen=True, slots=True)
class Rule:
    """How the connection is configured, and how late it may be.

    warehouses: Brightpearl's by SYSPRO's. safety: units kept back in each. within_s: how far apart the two systems may have a
    movement. lag_s: of Brightpearl's searches. poll_s, sweep_s: of the flow. slack_s: what the work itself may take. blind_s:
    how long before a rise its level may be corrected by people without that it is left out; no call prevents that, and a fall
    goes at once.
    """

    warehouses: Mapping[str, int]
    safety: int
    within_s: float
    lag_s: float
    poll_s: float
    sweep_s: float
    slack_s: float
    blind_s: float = 7.0

    @property
    def old_s(self) -> float:
        """How old the reads behind a write may be."""
        return self.poll_s + self.lag_s + self.slack_s

    def of(self, shop_warehouse: int) -> set[str]:
        """The warehouses of SYSPRO that are this one."""
        return {code for code, number in self.warehouses.items() if number == shop_warehouse}


class Target:
    """The target of one SKU in one warehouse of Brightpearl. `ledger` has this SKU alone."""

    def __init__(self, ledger: Ledger, sku: str, shop_warehouse: int, rule: Rule) -> None:
        self._rule, codes = rule, rule.of(shop_warehouse)
        self._moves = [move for move in ledger.moves if move.warehouse in codes]
        self._demands = [each for each in ledger.demands if each.warehouse in codes]
        self._doubts = [each for each in ledger.doubts if each.warehouse in codes]
        self._opening = sum(ledger.opening.get((sku, code), 0) for code in codes) - rule.safety * bool(codes)

    def final(self) -> int:
        """Once all is informed: what is there, less SYSPRO's own demand and the safety stock, and never below 0."""
        moved = sum(move.quantity for move in self._moves)
        return max(0, self._opening + moved - sum(each.quantity for each in self._demands))

    def between(self, erp_at: datetime, shop_at: datetime) -> tuple[int, int]:
        """The lowest and highest target by figures that were read at these times."""
        low = high = self._opening
        for move in self._moves:
            terms = list(self._terms(move, erp_at, shop_at))
            low, high = low + min(terms), high + max(terms)
        for demand in self._demands:
            taken = [demand.quantity * had for had in demand.erp.had(erp_at)]
            low, high = low - max(taken), high - min(taken)
        late = timedelta(seconds=self._rule.old_s)
        for doubt in self._doubts:
            if doubt.since - late <= erp_at and (doubt.until is None or erp_at <= doubt.until):
                low -= doubt.quantity
        return max(0, low), max(0, high)

    def _terms(self, move: Move, erp_at: datetime, shop_at: datetime) -> Iterable[int]:
        """q * (in Brightpearl + in SYSPRO - counted as in SYSPRO); the last is uncertain around Brightpearl's time of it."""
        in_erp = move.erp.had(erp_at) if move.erp is not None else NEVER
        if not move.is_mirrored:
            return [move.quantity * had for had in in_erp]
        in_shop = move.shop.had(shop_at) if move.shop is not None else NEVER
        if not self._is_uncertain(move.shop, erp_at):
            return [move.quantity * had for had in in_shop]
        return [move.quantity * (here + there - counted) for here in in_shop for there in in_erp for counted in (0, 1)]

    def _is_uncertain(self, shop: Span | None, at: datetime) -> bool:
        if shop is None:
            return True
        within = timedelta(seconds=self._rule.within_s + 1)
        return shop.began - within - timedelta(seconds=self._rule.lag_s) <= at <= shop.ended + within

    def allowed(self, at: datetime) -> tuple[int, int]:
        """The lowest and highest level that a write may have left at this time, by reads that were not too old."""
        oldest = at - timedelta(seconds=self._rule.old_s)
        moments = [oldest, *(each for each in self.moments() if oldest < each < at), at]
        found = [
            self.between(erp_at, shop_at)
            for index, erp_at in enumerate(moments)
            for shop_at in moments[index:]
        ]  # fmt: skip
        return min(low for low, _ in found), max(high for _, high in found)

    def moments(self) -> list[datetime]:
        """When anything changed, or became certain, sorted."""
        found: set[datetime] = set()
        within = timedelta(seconds=self._rule.within_s + 1.001)
        for span in [span for move in self._moves for span in (move.shop, move.erp) if span is not None]:
            found |= {span.began, span.ended}
        for move in self._moves:
            if move.is_mirrored and move.shop is not None:
                found |= {move.shop.ended + within}
        for demand in self._demands:
            found |= {demand.erp.began, demand.erp.ended}
        for doubt in self._doubts:
            found |= {moment for moment in (doubt.since, doubt.until) if moment is not None}
        return sorted(found)

    def is_dated(self, since: datetime, until: datetime) -> bool:
        """Whether all that raised the target in a period shows in DateLastStockMove; if not, a sweep alone finds it."""
        raised = [
            move for move in self._moves if move.erp is not None and since <= move.erp.ended and move.erp.began <= until
        ]
        given_back = [each for each in self._demands if since <= each.erp.ended and each.erp.began <= until]
        doubted = [each for each in self._doubts if each.until is not None and since <= each.until <= until]
        return not given_back and not doubted and all(move.is_dated for move in raised)
