"""People who move goods at both systems, and what must be true of stock in the end; see `syncengine/demo/day`."""

from __future__ import annotations

from types import MappingProxyType

from scripts.crashes.installation import LAG_S, Shape
from syncengine.demo.comparison.stock import Rule, compare
from syncengine.demo.day.script import WEIGHTS, Day, begin
from syncengine.demo.day.systems import Systems
from syncengine.demo.plan import WAREHOUSES
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.shop.catalogue import GIFT

ITEMS = 8
KINDS = MappingProxyType({**WEIGHTS, "correct": 12, "count": 10})

OF_ORDERS = ("place", "ship", "ship in part", "cancel")


class Traders:
    """Acts on both systems and keeps the ledger. has_orders: whether Brightpearl's customers order goods too."""

    def __init__(self, sandbox: Sandbox, url: str, seed: int, *, has_orders: bool = True) -> None:
        self._sandbox, self._url = sandbox, url
        goods = [each.sku for each in sandbox.shop.products if each.stock_tracked and each.in_syspro]
        contacts = [each.id for each in sandbox.shop.contacts if each.currency == "GBP" and each.email]
        skus = [sku for sku in goods if sku and sku != GIFT][:ITEMS]
        kinds = {kind: weight for kind, weight in KINDS.items() if has_orders or kind not in OF_ORDERS}
        self.day: Day = begin(Systems(url, sandbox.now), skus, contacts, seed, weights=kinds)

    def act(self) -> None:
        """One person does one thing, and what is due is informed to the other system."""
        self.day.people.tend()
        self.day.act()

    @property
    def acts(self) -> int:
        """How often somebody did something."""
        return sum(self.day.done.values())

    def finish(self) -> bool:
        """Tell the other system what is due; whether both were informed of everything."""
        self.day.people.tend()
        return self.day.people.is_idle

    def problems(self, shape: Shape) -> list[str]:
        """Levels that are wrong, once nothing moves any more."""
        times = shape.times
        rule = Rule(WAREHOUSES, 0, times.within_s, LAG_S, times.every_s, times.sweep_s, slack_s=0.0)
        report = compare(self._url, self.day.people.ledger, rule, self._sandbox.now(), samples=False)
        return list(map(str, report.problems))
