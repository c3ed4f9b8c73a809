"""A trading day: people at both systems move goods while the engine works, and a ledger says what each level must be."""

from __future__ import annotations

from dataclasses import replace

from syncengine.demo.comparison.stock import Report, Rule, compare
from syncengine.demo.day.script import WEIGHTS as KINDS
from syncengine.demo.day.script import Day, begin
from syncengine.demo.day.systems import Systems
from syncengine.demo.plan import WAREHOUSES
from syncengine.engine.steps import sync
from syncengine.flows import Flows
from syncengine.sandbox.shop.catalogue import BUNDLE, GIFT
from tests import shipped
from tests.system.awkward.world import World

SIZES = {"contacts": 6, "products": 12, "orders": 0, "awkward": False, "tax_mix": 0}
FLOWS = ("customers", "orders", "inventory")
RULE = Rule(WAREHOUSES, safety=1, within_s=6.0, lag_s=1.0, poll_s=3.0, sweep_s=12.0, slack_s=40.0)
TICK_S = 0.5
WEIGHTS = {**dict.fromkeys(KINDS, 1), "place": 4, "ship": 2, "correct": 3}
CYCLES = 3


class Trading:
    """A day in the world. The people act between any two steps of the engine."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        world.start_over(seed=seed, **SIZES)
        world.sandbox.switches.turn({"brightpearl_limit": 60_000})
        world.configure(
            flows=list(FLOWS),
            settings={"posted_within_minutes": RULE.within_s / 60, "safety_stock": RULE.safety},
            lookups={"stock_warehouses": {code: str(number) for code, number in WAREHOUSES.items()}},
            shop={"cost_currency": "GBP", "correction_settle_s": 3},
            sweep_s=RULE.sweep_s,
        )
        flows = {**shipped.flows()}
        flows |= {name: replace(flows[name], every_s=RULE.poll_s) for name in FLOWS}
        world.engine.flows = Flows(flows, {})
        skus = [product.sku for product in world.sandbox.shop.products if product.stock_tracked and product.in_syspro]
        skus = [sku for sku in skus if sku not in (BUNDLE, GIFT, "") and len(sku) <= 30]
        contacts = [each.id for each in world.sandbox.shop.contacts if each.currency == "GBP" and each.email]
        self.day: Day = begin(
            Systems(world.sandbox.base_url, world.time.now), skus[:8], contacts, seed, weights=WEIGHTS
        )
        self._polled_at = world.time.now()

    def play(self) -> None:
        """Acts between the steps of the engine, until each kind was possible."""
        self.world.between = self._step
        while set(self.day.done) < set(WEIGHTS):
            self._step()
            self.work()
        self.world.between = lambda: None

    def _step(self) -> None:
        self.world.time.pass_(TICK_S)
        self.day.people.tend()
        self.day.act()

    def work(self, patience_s: float = 0.0) -> None:
        """What the engine has to do by now; it reads the feeds once a poll."""
        if (self.world.time.now() - self._polled_at).total_seconds() >= RULE.poll_s:
            self._polled_at = self.world.time.now()
            for flow in FLOWS:
                sync.start(self.world.engine, sync.Request(flow))
        self.world.settle(patience_s)

    def settle(self) -> None:
        """Nobody acts any more, until sweeps have read all that was informed, and nothing is in transit."""
        while not self.day.people.is_idle:
            self.world.time.pass_(TICK_S)
            self.day.people.tend()
        for _ in range(CYCLES):
            self.cycle()
            self.day.people.tend()

    def cycle(self) -> None:
        """All feeds and all of SYSPRO's stock are read once, and what follows is done."""
        self.world.time.pass_(RULE.sweep_s)
        self.work(patience_s=RULE.sweep_s)

    def writes(self) -> int:
        return self.world.calls("stock_correction.create", "brightpearl")

    def report(self) -> Report:
        people = self.day.people
        return compare(self.world.sandbox.base_url, people.ledger, RULE, self.world.time.now())


def test_after_a_day_of_trading_every_level_is_right_to_the_unit(world: World) -> None:
    trading = Trading(world, seed=3)
    trading.cycle()
    trading.play()
    trading.settle()

    report = trading.report()
    assert [str(problem) for problem in report.problems] == []
    assert report.levels == 2 * len({sku for sku, _ in trading.day.people.ledger.opening})
    assert report.writes > 10

    before = trading.writes()
    for _ in range(CYCLES):
        trading.cycle()
    assert trading.writes() == before
