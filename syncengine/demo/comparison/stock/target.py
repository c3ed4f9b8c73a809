"""What Brightpearl's level of a SKU in one of its warehouses had to be, at any moment, by the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncengine.demo.comparison.stock.ledger import Ledger, Move

NEVER = (0,)
MARGIN_S = 2.0
"""Around the end of `within_s`: times of movements have whole seconds."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """The bottom of a range and its top, each between two figures."""

    least_low: int
    most_low: int
    least_high: int
    most_high: int

    @classmethod
    def of(cls, ends: Sequence[tuple[int, int]]) -> _Ends:
        """Of a range that is one of these."""
        lows, highs = [low for low, _ in ends], [high for _, high in ends]
        return cls(min(lows), max(lows), min(highs), max(highs))

    def plus(self, other: _Ends) -> _Ends:
        """The range with another term."""
        return _Ends(
            self.least_low + other.least_low,
            self.most_low + other.most_low,
            self.least_high + other.least_high,
            self.most_high + other.most_high,
        )


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
        ends = self._ends(erp_at, shop_at, shop_at)
        return max(0, ends.least_low), max(0, ends.most_high)

    def allowed(self, at: datetime, *, rises: bool) -> tuple[int, int]:
        """The lowest and highest level that a write may have left at this time, by reads that were not too old.

        A level rises to the bottom of its range and falls to its top, never beyond.
        """
        oldest = at - timedelta(seconds=self._rule.old_s)
        moments = [oldest, *(each for each in self.moments() if oldest < each < at), at]
        found = [self._ends(erp_at, shop_at, at) for index, erp_at in enumerate(moments) for shop_at in moments[index:]]
        least = min(each.least_low if rises else each.least_high for each in found)
        return max(0, least), max(0, *(each.most_low if rises else each.most_high for each in found))

    def _ends(self, erp_at: datetime, shop_at: datetime, at: datetime) -> _Ends:
        """The ends of the range, by figures that were read at these times and what may be known `at` a time."""
        found = _Ends.of([(self._opening, self._opening)])
        for move in self._moves:
            found = found.plus(_Ends.of(list(self._terms(move, erp_at, shop_at, at))))
        for demand in self._demands:
            found = found.plus(_Ends.of([(-demand.quantity * had,) * 2 for had in demand.erp.had(erp_at)]))
        late = timedelta(seconds=self._rule.old_s)
        for doubt in self._doubts:
            if doubt.since - late <= erp_at and (doubt.until is None or erp_at <= doubt.until):
                found = found.plus(_Ends.of([(0, 0), (-doubt.quantity, -doubt.quantity)]))
        return found

    def _terms(self, move: Move, erp_at: datetime, shop_at: datetime, at: datetime) -> Iterator[tuple[int, int]]:
        """What a movement may add to the bottom and to the top: q * (in Brightpearl + in SYSPRO - counted as in SYSPRO).

        What counts as in SYSPRO is unknown around the time that Brightpearl shows; until it shows the movement, nothing does.
        What came to Brightpearl's level after it was read comes on top.
        """
        quantity, in_erp = move.quantity, move.erp.had(erp_at) if move.erp is not None else NEVER
        if not move.is_mirrored:
            yield from ((quantity * there,) * 2 for there in in_erp)
            return
        here_then = [(0, 0)]
        if move.shop is not None:
            here_then = [(here, then) for here in move.shop.had(shop_at) for then in move.shop.had(at) if here <= then]
        for here, then in here_then:
            came = quantity * (then - here)
            yield from ((low + came, high + came) for low, high in self._counted(move, erp_at, at, here, in_erp))

    def _counted(
        self, move: Move, erp_at: datetime, at: datetime, here: int, in_erp: Sequence[int]
    ) -> Iterator[tuple[int, int]]:
        quantity = move.quantity
        if move.shop is None or at < move.shop.ended + timedelta(seconds=self._rule.old_s):
            yield from ((quantity * there,) * 2 for there in in_erp)
        if move.shop is None or at < move.shop.began:
            return
        apart = min(abs((erp_at - moment).total_seconds()) for moment in (move.shop.began, move.shop.ended))
        if apart <= self._rule.within_s + MARGIN_S + self._rule.lag_s:
            for there in in_erp:
                either = [quantity * (here + there - counted) for counted in (0, 1)]
                yield min(either), max(either)
        if apart >= self._rule.within_s - MARGIN_S:
            yield quantity * here, quantity * here

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
