"""Reads the YAML file of one flow into a `Flow`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncengine.connectors.base import MAKE_IT_A_TARGET, Source, Target
from syncengine.document import fingerprint
from syncengine.flows import durations
from syncengine.flows.flow import (
    CEILING,
    EVERY_S,
    HIGHEST_CEILING,
    RELAXED_S,
    SWEEP_S,
    WRITE_BACKS,
    Flow,
    Levels,
)
from syncengine.flows.known import SHIPPED
from syncengine.flows.settings import check_setting
from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.compiler import ENTRIES as MAPPING_ENTRIES
from syncengine.mapping.compiler import compile_mapping
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import FieldGroup, Policy
from syncengine.mapping.runtime import Unfit, key_text, table_key
from syncengine.mapping.scope import Setting
from syncengine.mapping.shapes import ValueKind, nearest
from syncengine.mapping.yaml_lines import Table, display_path, read

ENTRIES = (
    "flow", "about", "entity", "source", "target", "direction", "feeds", "backward_feeds", "needs", "every", "relaxed", "sweep",
    "quiet", "batch", "ceiling", "cut_over", "lookups", "settings", "groups", "backward", "writes", "levels", "unwanted_parts",
    "replaces",
    *MAPPING_ENTRIES,
)  # fmt: skip
WRITES = ("all", "linked", "levels", "nothing")
_BOTH_FEEDS = ("levels", "nothing")
UNWANTED_PARTS = ("cancel", "keep")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SETTING_KINDS = ("text", "integer", "decimal", "boolean", "list", "ids", "group", "zone")
_KINDS = {"zone": ValueKind.TEXT, "ids": ValueKind.LIST}

Catalogue = Mapping[str, type[Source]]
"""Resource classes by name (`brightpearl.sales_order`)."""


@dataclass(frozen=True)
class LoadedFlow:
    """A flow with what is needed to check it against other flows.

    line: where the file names the flow. replaces: it may replace an earlier flow of the same name.
    """

    flow: Flow
    line: int
    replaces: bool


def read_flow(path: Path, catalogue: Catalogue) -> LoadedFlow:
    """Read one flow from its file. Raises Misconfigured with one line."""
    table, text = read(path)
    return _FlowReader(table, text, path, catalogue).read()


class _FlowReader:
    """Reads one file."""

    def __init__(self, table: Table, text: str, path: Path, catalogue: Catalogue) -> None:
        self.table, self.text, self.path, self.catalogue = table, text, path, catalogue
        self.place = Place(display_path(path))
        self.tables: Mapping[str, Mapping[str, str]] = {}
        self.declared: Mapping[str, Setting] = {}
        self.needs: Mapping[str, str] = {}

    def read(self) -> LoadedFlow:
        """Read and compile the flow. Raises Misconfigured."""
        table, place = self.table, self.place
        place.only(table, ENTRIES, "a flow")
        name, two_way = self._name(), self._is_two_way()
        source, target = self._resource("source"), self._resource("target")
        writes = place.choice(table, "writes", WRITES, WRITES[0])
        if writes != "nothing":
            self._check_written("target", target)
        self.tables, self.declared, self.needs = self._lookups(), self._settings(), self._needs(two_way)
        forward, backward = self._mapping(table, source, target), self._backward(source, target)
        feeds = self._feeds("feeds", source)
        flow = Flow(
            name=name,
            entity=place.text(table, "entity", "the flow") if "entity" in table else name,
            source=source,
            target=target,
            mapping=forward,
            version=fingerprint([self.text, self.tables]),
            two_way=two_way,
            write_back=self._is_write_back(writes, forward, two_way),
            compares=writes == "nothing",
            levels=self._levels(forward) if writes == "levels" else None,
            keeps_parts=place.choice(table, "unwanted_parts", UNWANTED_PARTS, UNWANTED_PARTS[0]) == "keep",
            backward=backward,
            groups=self._groups(forward, backward),
            is_driven=writes == "nothing" and not feeds,
            feeds=feeds,
            backward_feeds=self._feeds("backward_feeds", target) if two_way or writes in _BOTH_FEEDS else (),
            needs=self.needs,
            every_s=self._duration("every", EVERY_S),
            relaxed_s=self._duration("relaxed", int(RELAXED_S)),
            sweep_s=self._duration("sweep", self._usual_sweep_s(source, target, two_way)),
            quiet_s=self._duration("quiet", 0),
            batch=place.whole_number(table, "batch", 1, 1000) or 200,
            ceiling=place.whole_number(table, "ceiling", 1, HIGHEST_CEILING) or CEILING,
            cut_over=self._flag("cut_over"),
            lookups=self.tables,
            settings={key: setting.default for key, setting in self.declared.items()},
            file=place.file,
            is_own=self.path.parent != SHIPPED,
            declared=self.declared,
        )
        return LoadedFlow(flow, table.line_of("flow"), self._flag("replaces"))

    def _is_two_way(self) -> bool:
        two_way = self.place.choice(self.table, "direction", ("one-way", "two-way"), "one-way") == "two-way"
        if two_way != ("backward" in self.table):
            self.place.refuse(self.table.line, "direction: two-way and backward: require each other")
        return two_way

    def _is_write_back(self, writes: str, forward: CompiledMapping, two_way: bool) -> bool:
        if writes == "all":
            return False
        self._check_write_back(forward, two_way)
        return writes in WRITE_BACKS

    def _levels(self, forward: CompiledMapping) -> Levels:
        """Which numbers of the target the flow sets, and the settings that guard them."""
        if "levels" not in self.table or not forward.has_key:
            self.place.refuse(self.table.line_of("writes"), "writes: levels needs levels: and found_by:")
        table = self.place.table(self.table["levels"], self.table.line_of("levels"), "levels")
        self.place.only(table, ("field", "jump", "vanish", "within", "posted", "places"), "levels")
        lines, _, level = self.place.text(table, "field", "levels").partition(".")
        if list(forward.blocks) != [lines] or not level:
            self.place.refuse(
                table.line_of("field"), "field: name the one list of lines that is mapped, and its number"
            )
        jump, vanish, within = (self._setting_named(table, entry) for entry in ("jump", "vanish", "within"))
        posted = self._setting_named(table, "posted") if "posted" in table else ""
        places = self.place.text(table, "places", "levels") if "places" in table else ""
        if places and places not in self.tables:
            hint = nearest(places, self.tables)
            self.place.refuse(table.line_of("places"), f"places: there is no lookup table {places!r}{hint}")
        return Levels(lines, level, jump, vanish, within, posted, places)

    def _setting_named(self, table: Table, entry: str) -> str:
        name = self.place.text(table, entry, "levels")
        if name not in self.declared:
            hint = nearest(name, self.declared)
            self.place.refuse(table.line_of(entry), f"{entry}: the flow declares no setting {name!r}{hint}")
        return name

    def _check_write_back(self, forward: CompiledMapping, two_way: bool) -> None:
        """Refuse entries that make no sense for a flow that only changes objects that another flow has linked."""
        line, this = self.table.line_of("writes"), f"writes: {self.table['writes']}"
        if two_way:
            self.place.refuse(line, f"{this} is for one-way flows")
        if "entity" not in self.table:
            self.place.refuse(line, f"{this} needs entity:, the entity of the flow whose links it uses")
        if forward.part_runs:
            self.place.refuse(self.table.line_of("parts"), f"parts: a flow with {this} makes no objects, so no parts")
        for rule in forward.rules:
            if rule.kind == "cancel":
                self.place.refuse(self.table.line_of("rules"), f"rules: a flow with {this} cancels nothing")

    def _name(self) -> str:
        name = self.place.text(self.table, "flow", "the file")
        if not _NAME.fullmatch(name):
            self.place.refuse(
                self.table.line_of("flow"), f"{name!r} is not a valid flow name: use small letters, digits and _"
            )
        return name

    def _resource(self, entry: str) -> str:
        name = self.place.text(self.table, entry, "the flow")
        if name not in self.catalogue:
            hint = nearest(name, self.catalogue)
            self.place.refuse(self.table.line_of(entry), f"{entry}: there is no resource {name!r}{hint}")
        return name

    def _check_written(self, entry: str, name: str) -> None:
        """Refuse to write a resource that is a Source alone."""
        if not issubclass(self.catalogue[name], Target):
            self.place.refuse(self.table.line_of(entry), f"{entry}: {name} is read-only. {MAKE_IT_A_TARGET}")

    def _mapping(self, spec: Table, source: str, target: str) -> CompiledMapping:
        resources = {name: each.schema for name, each in self.catalogue.items() if name != target}
        return compile_mapping(
            spec,
            source_schema=self.catalogue[source].schema,
            target_schema=self.catalogue[target].schema,
            file=self.place.file,
            lookups=self.tables,
            needs=self.needs,
            settings=self.declared,
            resources=resources,
            compares=self.table.get("writes") == "nothing",
            sets_levels=self.table.get("writes") == "levels",
        )

    def _backward(self, source: str, target: str) -> CompiledMapping | None:
        if "backward" not in self.table:
            return None
        spec = self.place.table(self.table["backward"], self.table.line_of("backward"), "backward")
        self.place.only(spec, MAPPING_ENTRIES, "backward")
        self._check_written("source", source)
        return self._mapping(spec, target, source)

    def _groups(self, forward: CompiledMapping, backward: CompiledMapping | None) -> tuple[FieldGroup, ...]:
        groups = []
        for table in self.place.tables(self.table.get("groups"), self.table.line_of("groups"), "groups"):
            self.place.only(table, ("name", "left", "right", "policy"), "a group")
            if backward is None:
                self.place.refuse(table.line, "groups: is for two-way flows")
            sides = {"right": forward.fields, "left": backward.fields}
            names = {side: tuple(self._group_fields(table, side, known)) for side, known in sides.items()}
            policy = Policy(self.place.choice(table, "policy", [value.value for value in Policy], Policy.HOLD))
            groups.append(FieldGroup(self.place.text(table, "name", "a group"), names["right"], names["left"], policy))
        return tuple(groups)

    def _group_fields(self, table: Table, side: str, known: Iterable[str]) -> list[str]:
        fields = self.place.names(table.get(side), table.line_of(side), f"{side} of a group")
        for field in fields:
            if field not in known:
                self.place.refuse(table.line_of(side), f"{side}: {field!r} is not mapped{nearest(field, known)}")
        return fields

    def _feeds(self, entry: str, resource: str) -> tuple[str, ...]:
        there = tuple(self.catalogue[resource].feeds)
        if entry not in self.table:
            return there
        feeds = self.place.names(self.table[entry], self.table.line_of(entry), entry)
        for feed in feeds:
            if feed not in there:
                line, hint = self.table.line_of(entry), nearest(feed, there)
                self.place.refuse(line, f"{entry}: {resource} has no feed {feed!r}{hint}")
        return tuple(feeds)

    def _usual_sweep_s(self, source: str, target: str, two_way: bool) -> int:
        """How often to sweep where the file does not say: a flow that compares leaves it to the flow that writes."""
        read = (source, target) if two_way else (source,)
        is_swept = any(self.catalogue[name].misses_changes for name in read) and self.table.get("writes") != "nothing"
        return SWEEP_S if is_swept else 0

    def _needs(self, two_way: bool) -> dict[str, str]:
        """Entity -> flow, from `[customers]` if both have the same name, or from `{customers: contacts}`."""
        given, line = self.table.get("needs"), self.table.line_of("needs")
        if isinstance(given, Table):
            needs = {entity: self.place.text(given, entity, "needs") for entity in given}
        else:
            needs = {name: name for name in self.place.names(given, line, "needs")}
        if two_way and needs:
            self.place.refuse(line, "needs: a two-way flow cannot wait for links; use one-way flows")
        return needs

    def _duration(self, entry: str, default: int) -> float:
        given = self.table.get(entry, default)
        found = durations.seconds(given)
        if found is None:
            self.place.refuse(self.table.line_of(entry), f"{entry}: {given!r} is not a duration such as 30 s or 5 min")
        return found

    def _flag(self, entry: str) -> bool:
        given = self.table.get(entry, False)
        if not isinstance(given, bool):
            self.place.refuse(self.table.line_of(entry), f"{entry}: must be true or false")
        return given

    def _lookups(self) -> dict[str, dict[str, str]]:
        if "lookups" not in self.table:
            return {}
        given = self.place.table(self.table["lookups"], self.table.line_of("lookups"), "lookups")
        return {name: self._lookup(name, content, given.line_of(name)) for name, content in given.items()}

    def _lookup(self, name: str, content: Any, line: int) -> dict[str, str]:
        if isinstance(content, str):
            return self._csv(name, content, line)
        if content is None:
            return {}
        entries = self.place.table(content, line, name)
        table: dict[str, str] = {}
        for key, value in entries.items():
            if value is None or isinstance(value, list | dict):
                self.place.refuse(entries.line_of(key), f"lookup {name}: {key} needs a single value")
            if table_key(key) in table:
                problem = "occurs twice; surrounding white space and the Unicode form do not count"
                self.place.refuse(entries.line_of(key), f"lookup {name}: the key {table_key(key)!r} {problem}")
            table[table_key(key)] = key_text(value)
        return table

    def _csv(self, name: str, file: str, line: int) -> dict[str, str]:
        """A lookup table from a CSV file in the flow's folder: a heading line, then a key and a value per line."""
        path = self.path.parent / file
        if path.suffix != ".csv" or path.parent != self.path.parent:
            self.place.refuse(
                line, f"lookup {name}: {file!r} must be a table or a .csv file in the folder of the flow's file"
            )
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = list(csv.reader(stream))
        except (OSError, UnicodeDecodeError, csv.Error):
            self.place.refuse(line, f"lookup {name}: {file} cannot be read as a UTF-8 CSV file")
        table: dict[str, str] = {}
        for number, row in enumerate(rows[1:], start=2):
            if not row:
                continue
            key = table_key(row[0])
            if len(row) != 2 or not key or key in table:
                Place(display_path(path)).refuse(number, "a line must be a unique key, a comma and a value")
            table[key] = row[1].strip()
        return table

    def _settings(self) -> dict[str, Setting]:
        if "settings" not in self.table:
            return {}
        given = self.place.table(self.table["settings"], self.table.line_of("settings"), "settings")
        return {name: self._setting(name, entry, given.line_of(name)) for name, entry in given.items()}

    def _choices(self, table: Table, name: str, declared: str) -> tuple[str, ...]:
        line = table.line_of("choices")
        if "choices" in table and declared != "text":
            self.place.refuse(line, f"setting {name}: choices: is for the type text, not {declared}")
        return tuple(self.place.names(table.get("choices"), line, f"choices of the setting {name}"))

    def _setting(self, name: str, entry: Any, line: int) -> Setting:
        table = self.place.table(entry, line, f"setting {name}")
        self.place.only(table, ("type", "choices", "default", "about"), f"setting {name}")
        declared = self.place.choice(table, "type", _SETTING_KINDS, "text")
        kind = _KINDS.get(declared) or ValueKind(declared)
        empty: dict[ValueKind, Any] = {
            ValueKind.TEXT: "",
            ValueKind.LIST: [],
            ValueKind.GROUP: {},
            ValueKind.BOOLEAN: False,
        }
        default = table.get("default", empty.get(kind))
        setting = Setting(
            kind,
            default,
            str(table.get("about", "")),
            is_zone=declared == "zone",
            is_ids=declared == "ids",
            choices=self._choices(table, name, declared),
        )
        try:
            check_setting(name, setting, default)
        except Unfit as error:
            self.place.refuse(line, f"setting {name}: its default: {error.reason}")
        return setting
