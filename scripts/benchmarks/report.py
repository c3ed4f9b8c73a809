"""How a benchmark tells its figures: a table for people, JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 180


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the same columns as a table."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="bold", pad_edge=False)
    for name in rows[0] if rows else ():
        is_number = isinstance(rows[0][name], int | float) or str(rows[0][name])[:1].isdigit()
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    table.min_width = len(title)
    Console(width=WIDTH).print(table)


def save(path: str | None, benchmark: str, figures: Mapping[str, Any]) -> None:
    """Write the figures with where and when they were taken, if a file was asked for."""
    if path is None:
        return
    about = {
        "benchmark": benchmark,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    Path(path).write_text(json.dumps({**about, **figures}, indent=2, default=str) + "\n", encoding="utf-8")
