"""Settings and lookup tables of a connection as YAML: an example to copy, which the demo uses."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from syncengine.mapping.complaints import Place
from syncengine.mapping.yaml_lines import Table, display_path, read

Template = tuple[dict[str, Any], dict[str, dict[str, str]]]
"""Settings, and lookup tables by name."""


def connection_template(flows: Collection[str], name: str = "sandbox") -> Template:
    """Settings and lookup tables of the template with this name, for a connection with these flows.

    Raises Misconfigured if there is none.
    """
    return read_connection(Path(__file__).parent / f"{name}.yml", flows)


def read_connection(path: Path, flows: Collection[str] = ()) -> Template:
    """Settings and lookup tables from a YAML file with the entries `settings:` and `lookups:`.

    The entry `flows:` has the same two for each flow that needs more; those of the flows named are added.

    Raises:
        Misconfigured: one line with file and line.
    """
    table, _ = read(path)
    place = Place(display_path(path))
    place.only(table, ("settings", "lookups", "flows"), "a connection")
    settings, lookups = _of(place, table)
    of_flows = place.table(table.get("flows", Table()), table.line_of("flows"), "flows")
    for flow, given in of_flows.items():
        of_flow = place.table(given, of_flows.line_of(flow), flow)
        place.only(of_flow, ("settings", "lookups"), f"the flow {flow}")
        if flow in flows:
            more_settings, more_lookups = _of(place, of_flow)
            settings, lookups = settings | more_settings, lookups | more_lookups
    return settings, lookups


def _of(place: Place, table: Table) -> Template:
    settings = place.table(table.get("settings", Table()), table.line_of("settings"), "settings")
    tables = place.table(table.get("lookups", Table()), table.line_of("lookups"), "lookups")
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
