"""Markdown of the reference pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

MADE = "<!-- Made from the code by scripts/docs; edit the code, not this page. -->\n"


def heading(title: str, about: str) -> str:
    """The beginning of a page; a paragraph becomes one line."""
    paragraphs = "\n\n".join(" ".join(paragraph.split()) for paragraph in about.split("\n\n"))
    return f"# {title}\n\n{MADE}\n{paragraphs}\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; `|` in a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def code(value: str) -> str:
    """A text as code, empty for an empty one; safe if it has backticks."""
    text = " ".join(value.split())
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def shown(value: Any) -> str:
    """A default as one writes it in YAML, as code; empty for none and for an empty text, list or table."""
    if value is None or value == "" or (isinstance(value, list | tuple | dict) and not value):
        return ""
    if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
        return code(f"{value:g}" if isinstance(value, float) else str(value))
    return code(json.dumps(value, default=str))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
