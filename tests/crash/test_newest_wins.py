"""Orders are edited at random while three processes sync them: each arrives as it was edited last."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.crashes.edits import run
from scripts.crashes.installation import Shape

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("processes")]


def test_the_newest_version_wins_however_often_it_was_edited_meanwhile(tmp_path: Path) -> None:
    found = run(tmp_path, Shape(seed=2, contacts=6, orders=30, workers=3), 90, print, a_second=20)

    assert found.problems == []
    assert (found.lost, found.duplicates) == (0, 0)
    assert found.edited == 30
    assert found.newest == found.edited
