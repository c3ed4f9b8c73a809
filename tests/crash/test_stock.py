"""Real processes are killed at every place that a level passes, and corrections are lost or carried out late."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from scripts.crashes import points
from scripts.crashes.faults import CORRECTION
from scripts.crashes.traders import Traders
from syncengine.sandbox.faults import Fault
from syncengine.store.models import Effect
from syncengine.store.states import EffectState
from tests.crash.lab import TIMES, Lab
from tests.services import fast_folder

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("crash")]
SEED = 5
ACTS = 3
A_SWEEP_S = 7 * 3600
PLACES = (
    "fetch ends", "before commit: page", "after commit: plans", "before commit: intentions", "after commit: intentions",
    "before commit: sending", "write leaving", "write sent", "write answered", "before commit: outcome",
    "after commit: outcome", "push ends", "before commit: sweep page", "after commit: sweep page",
    "before commit: correction found", "after commit: correction found",
)  # fmt: skip
FATES = {
    "lost": Fault(system="brightpearl", operation=CORRECTION, kind="drop", after="commit"),
    "cut": Fault(system="brightpearl", operation=CORRECTION, kind="drop"),
    "late": Fault(system="brightpearl", operation=CORRECTION, kind="late", seconds=0.3),
}


class Trade(Lab):
    """A lab where goods move at both systems."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, SEED, orders=0, trades=True)
        self.traders = Traders(self.sandbox, self.url, SEED, has_orders=False)
        self.end()

    def trouble(self) -> None:
        """Levels that must fall and rise."""
        for _ in range(ACTS):
            self.traders.act()
        people = self.traders.day.people
        people.receive(people.skus[-1], "ST", 3)
        people.correct(people.skus[-2], "ST", 2)
        self.pass_(3)

    def lose_a_correction(self) -> None:
        """One is made and its answer is lost; its settle time is over, and a sweep is due."""
        fault = self.sandbox.faults.add(replace(FATES["lost"]))
        assert self.run(patience_s=20)["code"] == 0
        assert fault.hits == 1
        self.pass_(A_SWEEP_S)

    def end(self) -> None:
        """Everybody was informed of everything, and all of it was read."""
        while not self.traders.finish():
            self.pass_(1)
        self.settle()
        self.pass_(A_SWEEP_S)
        self.settle()

    def unknown(self) -> int:
        """Corrections whose outcome nobody has found out about."""
        with self.store.read() as session:
            found = session.scalars(select(Effect.id).where(Effect.state.in_((EffectState.SENT, EffectState.UNKNOWN))))
            return len(found.all())


@pytest.fixture(scope="module")
def lab() -> Iterator[Trade]:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as home:
        lab = Trade(Path(home))
        yield lab
        lab.close()


@pytest.mark.parametrize("place", PLACES)
def test_a_process_that_is_killed_there_leaves_every_level_right(lab: Trade, place: str) -> None:
    lab.trouble()
    if place in points.STOCK_COMMITS:
        lab.lose_a_correction()
    lab.arm(place, "kill")

    assert lab.run(patience_s=20)["killed"]
    lab.end()

    assert (lab.unknown(), lab.traders.problems(lab.shape)) == (0, [])


@pytest.mark.parametrize("fate", FATES)
def test_a_correction_without_an_answer_is_made_once(lab: Trade, fate: str) -> None:
    lab.trouble()
    fault = lab.sandbox.faults.add(replace(FATES[fate]))
    lab.run(patience_s=20)
    lab.sandbox.faults.wait_for_late_writes()
    lab.pass_(TIMES.settle_s + 1)
    lab.end()

    assert fault.hits == 1
    assert (lab.unknown(), lab.traders.problems(lab.shape)) == (0, [])
