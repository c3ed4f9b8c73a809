"""The short form of `scripts/bench limiter`: a window of 2 s, real processes, real calls to the simulated Brightpearl."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "benchmarks" / "limiter.py"
LIMIT = 20


@pytest.mark.process
def test_no_window_is_exceeded_no_call_refused_and_none_lost(tmp_path: Path) -> None:
    figures = tmp_path / "limiter.json"
    # The guard is wide, so that a busy machine's delays stay within it.
    options = ["--seconds", "6", "--window", "2", "--limit", str(LIMIT), "--guard", "1", "--delay", "0.3"]
    command = [sys.executable, str(SCRIPT), *options, "--alone", "--no-cost", "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    traffic = json.loads(figures.read_text(encoding="utf-8"))["traffic"]
    assert [(one["mode"], one["most_delay_s"]) for one in traffic] == [
        ("calendar", 0.3),
        ("rolling", 0.3),
        ("calendar", 3.0),
        ("rolling", 3.0),
    ]
    for one in traffic[:2]:
        assert one["worst_at_admission"] <= LIMIT
        assert one["worst_at_arrival"] <= LIMIT
        assert one["refused"] == 0
    for one in traffic:
        assert one["lost"] == 0
        assert one["lanes"]["realtime"] > 0
        assert one["lanes"]["backfill"] > 0
