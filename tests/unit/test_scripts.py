"""Scripts explain themselves without installing anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_lint_explains_itself_and_refuses_what_it_does_not_know_before_it_installs(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()  # without scripts/setup: calling it would fail
    lint = tmp_path / "scripts" / "lint"
    lint.write_bytes((SCRIPTS / "lint").read_bytes())

    shown = subprocess.run(["bash", lint, "--help"], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, "usage: scripts/lint [--fix]")
    refused = subprocess.run(["bash", lint, "--fxi"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (
        2,
        "scripts/lint: unknown argument --fxi; see scripts/lint --help\n",
    )
