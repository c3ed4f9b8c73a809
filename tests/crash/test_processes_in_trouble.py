"""Workers, beat and Redis as they run: what strikes while orders are created and edited leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.crashes.faults import Fault
from scripts.crashes.installation import Shape, Times
from scripts.crashes.ordeal import Pace, endure

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("processes")]

TIMES = Times(read_s=2.0, lease_s=6.0, settle_s=7.0, frozen_s=7.0, late_s=4.0, every_s=2.0, quiet_s=0.5)
STRIKES = (
    ("late-commit", "SORTOI.add"),
    ("flushall", "push begins"),
    ("stop-child", "write sent"),
    ("redis-restart", "after commit: claims"),
    ("kill-main", "fetch begins"),
    ("kill-beat", "any moment"),
)


def test_what_strikes_a_running_installation_leaves_both_systems_in_step(tmp_path: Path) -> None:
    faults = [Fault(number, kind, where) for number, (kind, where) in enumerate(STRIKES, 1)]
    pace = Pace(between_s=0.5, patience_s=60, calm_s=3)

    outcome = endure(tmp_path, Shape(seed=4, contacts=5, orders=12, times=TIMES), faults, pace, print)

    assert [(one.kind, one.where) for one in faults if one.fired_at is None] == []
    assert [(one.kind, one.where) for one in faults if one.recovered_at is None] == []
    assert outcome.verdict.problems == []
    assert (outcome.verdict.lost, outcome.verdict.duplicates) == (0, 0)
    assert outcome.restarts >= 2
