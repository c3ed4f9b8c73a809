"""Reads `syncengine.yml`: endpoints, connections and secrets, checked by themselves.

`${NAME}` in a value is a variable of the environment or `.env`; `$${NAME}` is the literal text `${NAME}`. What depends on
the store, the flows or the systems is checked in `checks` and `continuity`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from syncengine import connectors
from syncengine.engine.core import observe_mode
from syncengine.engine.core.lookups import LONGEST_KEY, LONGEST_NAME
from syncengine.errors import Misconfigured
from syncengine.flows.flow import HIGHEST_CEILING
from syncengine.mapping.complaints import Place
from syncengine.mapping.runtime import table_key
from syncengine.mapping.shapes import nearest
from syncengine.mapping.yaml_lines import Items, Table, display_path, read
from syncengine.store.models import is_text

_VARIABLE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
MODES = (observe_mode.LIVE, observe_mode.MODE)
LONGEST_QUIET_S = 86_400
LONGEST_SWEEP_S = 7 * 86_400
CONNECTION_ENTRIES: Mapping[str, str] = {
    "left": "required: the endpoint that flows read from",
    "right": "required: the endpoint that they write to; a two-way flow reads and writes both",
    "mode": "required: `observe` plans and writes nothing, `live` writes",
    "cut_over": "objects created before it are left alone, in flows with `cut_over: true`; a time with its zone, or a UTC day",
    "verify_creates_until": "until this time the target is searched before each create, after a restore",
    "flows": "names of its flows; none: it is not synced",
    "quiet_s": "seconds without a change before an object is written, instead of each flow's `quiet:`",
    "sweep_s": "seconds between two sweeps for changes that no feed shows, instead of each flow's `sweep:`; 0: none",
    "relaxed_s": "seconds between two readings of feeds while webhooks work, instead of each flow's `relaxed:`",
    "ceilings": "writes an hour by flow, beyond which a person must decide; a flow's own `ceiling:` otherwise",
    "settings": "settings of its flows",
    "lookups": "entries of their lookup tables",
}
"""What a connection may have in the file, each with its meaning."""


@dataclass(frozen=True)
class EndpointPlan:
    """An endpoint as in the file. where: file and line. lines: file and line of each of its entries (`settings.url`)."""

    name: str
    system: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    where: str
    lines: Mapping[str, str] = field(default_factory=dict, repr=False)

    def at(self, entry: str) -> str:
        """File and line of an entry, or of the endpoint if it has no such entry."""
        return self.lines.get(entry, self.where)


@dataclass(frozen=True)
class ConnectionPlan:
    """A connection as in the file. left, right: names of endpoints. ceilings: writes per hour by flow. where: file and line.

    lines: file and line of each of its entries: `left`, `settings.branch`, `settings.eligible_statuses.1`, `flows.orders`.
    """

    name: str
    left: str
    right: str
    mode: str
    cut_over: datetime | None
    verify_creates_until: datetime | None
    flows: list[str]
    quiet_s: float | None
    settings: Mapping[str, Any]
    lookups: Mapping[str, Mapping[str, str]]
    where: str
    ceilings: Mapping[str, int] = field(default_factory=dict)
    sweep_s: float | None = None
    relaxed_s: float | None = None
    lines: Mapping[str, str] = field(default_factory=dict, repr=False)

    def at(self, entry: str) -> str:
        """File and line of an entry, or of the connection if it has no such entry."""
        return self.lines.get(entry, self.where)


@dataclass(frozen=True)
class Installation:
    """The whole configuration file."""

    endpoints: list[EndpointPlan]
    connections: list[ConnectionPlan]


def read_file(path: Path, env: Mapping[str, str]) -> Installation:
    """Read the file. env: values of its variables. Raises Misconfigured with file, line and remedy."""
    if not path.is_file():
        raise Misconfigured(
            f"{display_path(path)} does not exist",
            "Run `syncengine init`, copy docs/syncengine.example.yml to it, or set SYNCENGINE_CONFIG",
        )
    table, _ = read(path)
    return _Reader(Place(display_path(path)), env).read(table)


class _Reader:
    def __init__(self, place: Place, env: Mapping[str, str]) -> None:
        self.place, self.env = place, env

    def read(self, table: Table) -> Installation:
        self.place.only(table, ("endpoints", "connections"), "the configuration")
        endpoints = [self._endpoint(name, *entry) for name, entry in self._tables(table, "endpoints").items()]
        known = {endpoint.name for endpoint in endpoints}
        connections = [
            self._connection(name, *entry, known) for name, entry in self._tables(table, "connections").items()
        ]
        return Installation(endpoints, connections)

    def _tables(self, table: Table, name: str) -> dict[str, tuple[Table, int]]:
        if name not in table:
            self.place.refuse(table.line, f"the configuration needs {name}:")
        outer = self.place.table(table[name], table.line_of(name), name)
        for key in outer:
            self._check_name(key, outer.line_of(key), f"a name in {name}:")
        return {
            str(key): (self.place.table(inner, outer.line_of(key), f"{name}.{key}"), outer.line_of(key))
            for key, inner in outer.items()
        }

    def _check_name(self, name: str, line: int, what: str, longest: int = LONGEST_NAME) -> None:
        if not name.strip() or len(name) > longest or not is_text(name):
            self.place.refuse(line, f"{what} must have 1 to {longest} characters, not {name[:80]!r}")

    def _endpoint(self, name: str, table: Table, line: int) -> EndpointPlan:
        self.place.only(table, ("system", "settings", "secrets"), f"endpoint {name}")
        system = self.place.text(table, "system", f"endpoint {name}")
        if system not in connectors.systems():
            known = connectors.systems()
            self.place.refuse(table.line_of("system"), f"there is no system {system!r}{nearest(system, known)}")
        secrets = self._values(table, "secrets", f"endpoint {name}")
        kept = {key: str(value) for key, value in secrets.items() if value not in (None, "")}
        settings = self._values(table, "settings", f"endpoint {name}")
        where = f"{self.place.file}:{line}"
        return EndpointPlan(name, system, settings, kept, where, self._lines(table, "settings"))

    def _connection(self, name: str, table: Table, line: int, endpoints: set[str]) -> ConnectionPlan:
        what = f"connection {name}"
        self.place.only(table, CONNECTION_ENTRIES, what)
        sides = [self.place.text(table, side, what) for side in ("left", "right")]
        for side, endpoint in zip(("left", "right"), sides, strict=True):
            if endpoint not in endpoints:
                self.place.refuse(
                    table.line_of(side), f"there is no endpoint {endpoint!r}{nearest(endpoint, endpoints)}"
                )
        return ConnectionPlan(
            name=name,
            left=sides[0],
            right=sides[1],
            mode=self._mode(table, what),
            cut_over=self._time(table, "cut_over"),
            verify_creates_until=self._time(table, "verify_creates_until"),
            flows=self.place.names(table.get("flows", []), table.line_of("flows"), "flows"),
            quiet_s=self._seconds(table, "quiet_s", LONGEST_QUIET_S, 30),
            settings=self._values(table, "settings", what),
            lookups=self._lookups(table, what),
            where=f"{self.place.file}:{line}",
            ceilings=self._ceilings(table, what),
            sweep_s=self._seconds(table, "sweep_s", LONGEST_SWEEP_S, 3600),
            relaxed_s=self._seconds(table, "relaxed_s", LONGEST_SWEEP_S, 3600),
            lines=self._lines(table, "settings", "lookups", "ceilings", "flows"),
        )

    def _lines(self, table: Table, *groups: str) -> dict[str, str]:
        """File and line of the entries of a table, of those in its groups, and of the items of their lists."""
        lines = {name: table.line_of(name) for name in table}
        for group in groups:
            entry = table.get(group)
            if isinstance(entry, Table):
                lines |= {f"{group}.{name}": entry.line_of(name) for name in entry}
                lists = {f"{group}.{name}": value for name, value in entry.items() if isinstance(value, Items)}
                lines |= {
                    f"{name}.{index}": value.lines[index]
                    for name, value in lists.items()
                    for index in range(len(value))
                }
            elif isinstance(entry, Items):
                lines |= {f"{group}.{item}": entry.lines[index] for index, item in enumerate(entry)}
        return {name: f"{self.place.file}:{line}" for name, line in lines.items()}

    def _mode(self, table: Table, what: str) -> str:
        if "mode" not in table:
            remedy = f"Write mode: {observe_mode.MODE} (plans, writes nothing) or mode: {observe_mode.LIVE} (writes)"
            self.place.refuse(table.line, f"{what} needs mode:. {remedy}")
        return self.place.choice(table, "mode", MODES, "")

    def _seconds(self, table: Table, name: str, most: int, example: int) -> float | None:
        value = self._plain(table.get(name), table.line_of(name))
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= most:
            problem = f"{name}: {value!s:.60} is not a number of seconds from 0 to {most}"
            self.place.refuse(table.line_of(name), f"{problem}. Write {name}: {example}")
        return float(value)

    def _lookups(self, table: Table, what: str) -> dict[str, dict[str, str]]:
        if "lookups" not in table:
            return {}
        given = self.place.table(table["lookups"], table.line_of("lookups"), f"lookups of {what}")
        return {str(name): self._lookup(str(name), content, given.line_of(name)) for name, content in given.items()}

    def _lookup(self, name: str, content: Any, line: int) -> dict[str, str]:
        entries = self.place.table(content, line, f"lookup {name}")
        for key, value in entries.items():
            if value is None or isinstance(value, bool | list | dict):
                has = "no value" if value is None else json.dumps(value, default=str)
                self.place.refuse(
                    entries.line_of(key),
                    f"lookup {name}: {key!r} has {has} instead of a text or a number. Write KEY: VALUE, for example 1: GBP",
                )
        found: dict[str, str] = {}
        for key, value in entries.items():
            known = table_key(key)
            self._check_name(known, entries.line_of(key), f"lookup {name}: a key", LONGEST_KEY)
            if known in found:
                self.place.refuse(
                    entries.line_of(key), f"lookup {name}: {known!r} occurs twice, apart from blanks or Unicode forms"
                )
            found[known] = str(self._plain(value, entries.line_of(key)))
        return found

    def _ceilings(self, table: Table, what: str) -> dict[str, int]:
        if "ceilings" not in table:
            return {}
        given = self.place.table(table["ceilings"], table.line_of("ceilings"), f"ceilings of {what}")
        figures = {name: self.place.whole_number(given, name, 1, HIGHEST_CEILING) for name in given}
        return {name: figure for name, figure in figures.items() if figure is not None}

    def _time(self, table: Table, name: str) -> datetime | None:
        value = self._plain(table.get(name), table.line_of(name))
        try:
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
        except ValueError:
            self.place.refuse(table.line_of(name), f"{name}: {value!r} is not a time. Write 2026-01-31T00:00:00Z")
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if value is None:
            return None
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value
        return self.place.refuse(table.line_of(name), f"{name}: {value} has no time zone. Write 2026-01-31T00:00:00Z")

    def _values(self, table: Table, name: str, what: str) -> dict[str, Any]:
        if name not in table:
            return {}
        inner = self.place.table(table[name], table.line_of(name), f"{name} of {what}")
        return {str(key): self._plain(value, inner.line_of(key)) for key, value in inner.items()}

    def _plain(self, value: Any, line: int) -> Any:
        """The value without line numbers, with its variables replaced."""
        if isinstance(value, dict):
            return {str(key): self._plain(inner, line) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._plain(inner, line) for inner in value]
        return _VARIABLE.sub(lambda found: self._variable(found, line), value) if isinstance(value, str) else value

    def _variable(self, found: re.Match[str], line: int) -> str:
        is_escaped, name = bool(found[1]), found[2]
        if is_escaped:
            return f"${{{name}}}"
        if not self.env.get(name, "").strip():
            remedy = f"Set it in .env or the environment; for the literal text write $${{{name}}}"
            self.place.refuse(line, f"{name} is not set. {remedy}")
        return self.env[name].strip()
