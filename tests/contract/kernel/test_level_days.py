"""Days of stock by chance: whatever happens in between, the levels agree in the end and then nothing is written."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from syncengine.store.states import Stage
from tests.contract.kernel.level_world import EVERY_S, Levelled, levelled
from tests.contract.kernel.world import World

SEEDS = (1, 53, 88)
"""The last two once left a level at the end of a range that had been exact for long."""

CODES = ("A", "B", "C")
FAULTS = ("lost", "unheard", "late", "busy", "down", "throttled")
SETTLED_S = 5400


class Day:
    """What happens, and what the warehouse must have in the end."""

    def __init__(self, world: Levelled, seed: int) -> None:
        self.world, self.chance = world, random.Random(seed)
        self.on_hand = dict.fromkeys(CODES, 50)

    def happen(self) -> None:
        """One event."""
        events = [self.sell, self.receive, self.count, self.correct, self.fail, self.crash, self.poll, self.poll]
        self.chance.choice(events)()

    def sell(self) -> None:
        code, quantity = self.chance.choice(CODES), self.chance.randint(1, 6)
        self.world.shop.move(f"P{code}", -quantity)
        self._post(code, -quantity)

    def receive(self) -> None:
        code, quantity = self.chance.choice(CODES), self.chance.randint(1, 9)
        self.world.shop.move(f"P{code}", quantity, kind="GI")
        self._post(code, quantity)

    def _post(self, code: str, quantity: int) -> None:
        """The warehouse is informed within ten minutes, sometimes at once."""
        delay = self.chance.choice((0, 20, 200, 550))
        self.world.time.later.append(
            (self.world.time.at + timedelta(seconds=delay), lambda: self._change(code, quantity))
        )

    def count(self) -> None:
        self._change(self.chance.choice(CODES), self.chance.randint(-7, 9))

    def _change(self, code: str, quantity: int) -> None:
        self.on_hand[code] += quantity
        self.world.put(code, main=self.on_hand[code])

    def correct(self) -> None:
        """By the shop's people; nothing brings it to the warehouse."""
        self.world.shop.move(f"P{self.chance.choice(CODES)}", self.chance.choice((-3, 2)), kind="SC")

    def fail(self) -> None:
        self.world.right.faults.append(self.chance.choice(FAULTS))

    def crash(self) -> None:
        """A worker takes some steps and is gone."""
        self.world.want("stock", self.chance.choice(CODES))
        self.world.pump()
        if self.world.messages:
            message = self.world.messages.pop(0)
            for stage in [*Stage][: self.chance.randint(0, 2)]:
                try:
                    self.world.step(message, stage)
                except Exception:  # the step is tried again, as of a worker that is there
                    break
        self.world.messages.clear()

    def poll(self) -> None:
        self.world.tick(self.chance.choice((0, 10, 40)))


@pytest.mark.one_database
@pytest.mark.parametrize("seed", SEEDS)
def test_levels_agree_in_the_end(make_world: Callable[..., World], seed: int) -> None:
    world = levelled(make_world)
    for code in CODES:
        world.pair(code, 50, 50)
    world.load()
    day = Day(world, seed)
    for _ in range(40):
        day.happen()
        world.time.pass_(day.chance.choice((0, 1, 7, 60)))
    world.right.faults.clear()
    for _ in range(int(SETTLED_S / EVERY_S)):
        world.tick(60)
    expected = {code: max(0, quantity) for code, quantity in day.on_hand.items()}
    states = {code: world.state(code) for code in CODES}
    assert ({code: world.shop.level(f"P{code}") for code in CODES}, states) == (
        expected,
        {code: ("done", states[code][1]) for code in CODES},
    )
    world.forget_calls()
    for _ in range(3):
        world.tick(60)
    assert world.changes() == []
