"""Real processes are killed at every place that `scripts/chaos` knows, and frozen; afterwards all is as if nothing happened."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.crashes import points
from tests.crash.lab import DEATHS, Lab
from tests.services import fast_folder

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("crash")]
SEED = 11
#: Not within a transaction: on SQLite nobody can continue while a frozen process keeps the write lock (`scripts/chaos` waits).
FROZEN = ("transform ends", "write before check", "write sent", "after commit: claims")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as home:  # each death costs a hundred commits
        lab = Lab(Path(home), SEED)
        yield lab
        lab.close()


@pytest.mark.parametrize("place", points.ALL)
def test_a_process_that_is_killed_there_leaves_nothing_behind(lab: Lab, place: str) -> None:
    lab.trouble()
    if place in points.RARE:
        lab.lose_an_answer()
    lab.arm(place, "kill")

    assert lab.run()["killed"]
    lab.settle()

    assert lab.problems() == []


@pytest.mark.parametrize("place", FROZEN)
def test_a_process_that_is_frozen_there_and_wakes_late_does_no_harm(lab: Lab, place: str) -> None:
    lab.trouble()
    if place in points.RARE:
        lab.lose_an_answer()
    lab.arm(place, "stop")

    frozen = lab.run()
    assert frozen["frozen"]
    lab.settle()  # its lease runs out, others continue its work
    lab.trouble()
    lab.settle()
    lab.wake(frozen["pid"])
    lab.settle()

    assert lab.problems() == []


def test_a_record_that_kills_its_worker_is_set_aside_and_its_batch_goes_on(lab: Lab) -> None:
    keys = [lab.people.new_order() for _ in range(4)]
    poison = str(keys[1])
    lab.pass_(3)
    lab.poison("transform begins", poison)

    while lab.run(patience_s=600)["killed"]:
        assert len(lab.deaths()) < 10
    lab.poison("transform begins", None)

    first, *others = lab.deaths()
    assert first > 1
    assert others == [1] * (2 * DEATHS - 1)  # a lease of 45 s apart: of two within a minute one counts
    assert [lab.status(key) for key in map(str, keys) if key != poison] == ["done"] * 3
    assert lab.status(poison) == "dead"
    assert "its step died 3 times in transform while it was alone in its batch" in lab.cause(poison)
    lab.retry(poison)
    assert lab.status(poison) == "done"
    assert lab.problems() == []
