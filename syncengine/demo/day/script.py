"""What happens in a day: every kind of act several times, in an order that the seed draws."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from syncengine.demo.comparison.stock import Ledger
from syncengine.demo.day.people import Order, People
from syncengine.demo.day.systems import Refused, Systems
from syncengine.demo.plan import MAIN, SECOND, STORE

#: how often each kind of act is drawn.
WEIGHTS = {
    "count": 5,
    "late count": 2,
    "receive": 5,
    "late receive": 3,
    "scrap": 4,
    "late scrap": 2,
    "produce": 4,
    "move in erp": 3,
    "move to second": 3,
    "send": 2,
    "arrive": 2,
    "inspect": 2,
    "accept": 2,
    "need": 4,
    "issue": 3,
    "give up job": 1,
    "own order": 4,
    "ship own order": 3,
    "cancel own order": 1,
    "correct": 6,
    "receive in shop": 4,
    "return": 3,
    "move in shop": 3,
    "place": 12,
    "ship": 10,
    "ship in part": 4,
    "cancel": 2,
    "sell out": 3,
    "come back": 3,
    "oversell": 2,
}
SCARCE = 3
"""Of the SKUs, those that are sold out now and then; nobody orders them."""


class Day:
    """Draws what happens next and lets the people do it. done, refused: how often, by kind."""

    def __init__(self, people: People, seed: int, weights: Mapping[str, int]) -> None:
        self.people, self._chance, self.weights = people, random.Random(seed), weights
        self._kinds: Iterator[str] = iter(())
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._scarce, self._plenty = people.skus[:SCARCE], people.skus[SCARCE:]
        self._sold_out: list[tuple[str, str]] = []
        self._acts = self._known()

    def act(self) -> None:
        """The next act; one that a system refuses, or for which nothing is there, leaves all as it was."""
        kind = next(self._kinds, None)
        if kind is None:
            turn = [name for name, weight in self.weights.items() for _ in range(weight)]
            self._chance.shuffle(turn)
            self._kinds = iter(turn)
            kind = next(self._kinds)
        try:
            self._acts[kind]()
            self.done[kind] += 1
        except (Refused, IndexError):
            self.refused[kind] += 1

    def _known(self) -> dict[str, Callable[[], None]]:
        people = self.people
        return {
            "count": lambda: self._count(is_late=False),
            "late count": lambda: self._count(is_late=True),
            "receive": lambda: people.receive(*self._any(), self._some()),
            "late receive": lambda: people.receive(*self._any(), self._some(), is_late=True),
            "scrap": lambda: people.scrap(*self._taken()),
            "late scrap": lambda: people.scrap(*self._taken(), is_late=True),
            "produce": lambda: people.produce(*self._any(), self._some()),
            "move in erp": lambda: self._move_in_erp(STORE),
            "move to second": lambda: self._move_in_erp(SECOND),
            "send": self._send,
            "arrive": people.arrive,
            "inspect": lambda: people.inspect(*self._any(), self._some()),
            "accept": people.accept,
            "need": lambda: people.need(*self._taken()),
            "issue": lambda: people.end_job(is_issued=True),
            "give up job": lambda: people.end_job(is_issued=False),
            "own order": lambda: people.own_order(*self._taken()),
            "ship own order": lambda: people.end_own_order(is_shipped=True),
            "cancel own order": lambda: people.end_own_order(is_shipped=False),
            "correct": self._correct,
            "receive in shop": lambda: people.come_in(*self._any(), self._some(), "shop's receipt"),
            "return": lambda: people.come_in(*self._any(), 1, "return"),
            "move in shop": self._move_in_shop,
            "place": self._place,
            "ship": lambda: people.ship(self._order()),
            "ship in part": lambda: people.ship(self._order(), is_partial=True),
            "cancel": lambda: people.cancel(self._order()),
            "sell out": self._sell_out,
            "come back": self._come_back,
            "oversell": self._oversell,
        }

    # -- what and where ------------------------------------------------------------------------------------------------

    def _some(self) -> int:
        return self._chance.randint(1, 9)

    def _any(self) -> tuple[str, str]:
        return self._chance.choice(self._plenty), self._chance.choice((MAIN, STORE))

    def _taken(self, warehouse: str = "") -> tuple[str, str, int]:
        """An item that is there, with a quantity of it that nobody has asked for."""
        sku, place = self._any()
        place = warehouse or place
        most = self.people.free(sku, place)
        if most < 1:
            raise Refused(f"nothing of {sku} is free")
        return sku, place, self._chance.randint(1, min(9, most))

    def _order(self) -> Order:
        known = [order for order in self.people.orders if order.number and not order.is_closed]
        if not known:
            raise Refused("no order is open")
        return self._chance.choice(known)

    # -- acts ----------------------------------------------------------------------------------------------------------

    def _count(self, *, is_late: bool) -> None:
        sku, warehouse, quantity = self._taken()
        found = self.people.ledger.booked(sku, warehouse) + self._chance.choice((-1, 1)) * quantity
        self.people.count(sku, warehouse, found, is_late=is_late)

    def _move_in_erp(self, target: str) -> None:
        sku, _, quantity = self._taken(MAIN)
        self.people.move_in_erp(sku, MAIN, target, quantity)

    def _send(self) -> None:
        sku, _, quantity = self._taken(MAIN)
        self.people.send(sku, MAIN, STORE, quantity)

    def _correct(self) -> None:
        sku, warehouse, quantity = self._taken()
        self.people.correct(sku, warehouse, self._chance.choice((-1, 1)) * quantity)

    def _move_in_shop(self) -> None:
        sku, _, quantity = self._taken(MAIN)
        self.people.move_in_shop(sku, MAIN, STORE, quantity)

    def _place(self) -> None:
        some = self._chance.sample(list(self._plenty), self._chance.randint(1, 3))
        self.people.place({sku: self._chance.randint(1, 4) for sku in some})

    def _sell_out(self) -> None:
        sku, warehouse = self._chance.choice(self._scarce), self._chance.choice((MAIN, STORE))
        if warehouse == MAIN and self.people.ledger.booked(sku, SECOND):
            self.people.count(sku, SECOND, 0)
        self.people.count(sku, warehouse, 0)
        self._sold_out.append((sku, warehouse))

    def _come_back(self) -> None:
        sku, warehouse = self._sold_out.pop()
        missing = max(0, -self.people.ledger.physical(sku, warehouse))
        self.people.receive(sku, warehouse, missing + self._some())

    def _oversell(self) -> None:
        sku, warehouse = self._chance.choice(self._scarce), self._chance.choice((MAIN, STORE))
        self.people.oversell(sku, warehouse, self._some())
        self._sold_out.append((sku, warehouse))


def begin(
    systems: Systems, skus: Sequence[str], contacts: Sequence[int], seed: int,
    *, weights: Mapping[str, int] = MappingProxyType(WEIGHTS),
) -> Day:  # fmt: skip
    """A day at both systems, whose ledger begins now. weights: see `WEIGHTS`."""
    people = People(systems, Ledger(), skus, contacts, random.Random(seed + 1))
    people.open()
    return Day(people, seed, weights)
