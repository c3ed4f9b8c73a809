"""Settings and lookup tables of a connection as YAML: an example to copy, which the demo uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from syncengine.mapping.complaints import Place
from syncengine.mapping.yaml_lines import display_path, read


def connection_template(name: str = "sandbox") -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Settings and lookup tables of the template with this name. Raises Misconfigured if there is none."""
    return read_connection(Path(__file__).parent / f"{name}.yml")


def read_connection(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Settings and lookup tables from a YAML file with the entries `settings:` and `lookups:`.

    Raises:
        Misconfigured: one line with file and line.
    """
    table, _ = read(path)
    place = Place(display_path(path))
    place.only(table, ("settings", "lookups"), "a connection")
    settings = place.table(table.get("settings", table), table.line_of("settings"), "settings")
    tables = place.table(table.get("lookups", table), table.line_of("lookups"), "lookups")
    lookups: dict[str, dict[str, str]] = {}
    for name, given in tables.items():
        entries = place.table(given, tables.line_of(name), f"lookup {name}")
        lookups[name] = {key: str(value) for key, value in entries.items()}
    return {name: _plain(value) for name, value in settings.items()}, lookups


def _plain(value: Any) -> Any:
    """Plain lists and dicts without line numbers."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
