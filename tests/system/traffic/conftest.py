"""The benchmarks' own installation, in a small form: simulated systems in a process, the engine in this one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "benchmarks"))
