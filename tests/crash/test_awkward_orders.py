"""One order is always refused with 403, one always times out, one always kills its worker: the others are on time."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scripts.crashes import arrivals, awkward
from scripts.crashes.awkward import DEADLY, FORBIDDEN, SILENT, WRITES, Awkward, Three
from tests.crash.lab import DEATHS, TIMES, Lab
from tests.services import fast_folder

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("crash")]
SEED = 12
PLACE = "before commit: plans"
IMPATIENT = replace(TIMES, read_s=0.5)  # the only time that really passes


def test_awkward_orders_end_with_a_person_and_all_others_are_on_time() -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as home:
        lab = Lab(Path(home), SEED, IMPATIENT)
        try:
            _end_with_a_person(lab)
        finally:
            lab.close()


def _end_with_a_person(lab: Lab) -> None:
    keys = [lab.people.new_order() for _ in range(8)]
    three = Three([
        Awkward(str(keys[1]), FORBIDDEN, awkward.ERP),
        Awkward(str(keys[3]), SILENT, WRITES[1]),
        Awkward(str(keys[5]), DEADLY, PLACE),
    ])  # fmt: skip
    others = [key for key in keys if key not in three.keys]
    lab.people.leave_alone(three.keys)
    for one in three.orders:
        awkward.begin(one, lab.sandbox, lab.shape.times)
    lab.poison(PLACE, str(keys[5]))
    lab.pass_(3)
    placed = lab.sandbox.now()

    while lab.run(patience_s=3600)["killed"]:
        assert len(lab.deaths()) < 10

    fates = {one.kind: one for one in awkward.fates(three, lab.store, lab.sandbox, len(lab.deaths()))}
    assert [problem for fate in fates.values() for problem in fate.problems] == []
    assert {kind: (fate.became, fate.copies) for kind, fate in fates.items()} == {
        FORBIDDEN: ("dead", 0),
        SILENT: ("dead", 1),  # its one write took effect, and nobody could find out
        DEADLY: ("dead", 0),
    }
    assert fates[FORBIDDEN].cause.endswith("other calls are accepted")
    assert fates[SILENT].cause.endswith("no answer in time; other calls are accepted")
    assert f"its step died {DEATHS} times in transform" in fates[DEADLY].cause
    kept_s = three.seat_s(lab.shape.times, len(lab.deaths()))
    assert kept_s <= awkward.longest_seat_s(lab.shape.times)
    assert lab.problems(three.keys) == []
    within = timedelta(seconds=arrivals.most_s(replace(lab.shape, awkward=0), len(keys), kept_s))
    arrived = arrivals.arrivals(lab.sandbox)
    assert [key for key in others if arrived[key] - placed > within] == []
