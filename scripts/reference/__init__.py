"""The reference pages in docs/reference/, made from the code. `PAGES` has the text of each by its file's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.reference import commands, environment, fields, flows, settings

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "environment.md": environment.page,
    "fields.md": fields.page,
    "flows.md": flows.page,
    "settings.md": settings.page,
}


def stale() -> list[str]:
    """Names of the pages whose file differs from what the code says now."""
    return [name for name, page in PAGES.items() if not (FOLDER / name).is_file() or _text(name) != page()]


def write() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
