"""Flows from YAML files: the ones that ship, and those that a site drops into its own folder.

Every complaint is a Misconfigured of one line: file, line, what is wrong, the nearest valid name.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncengine.connectors.base import MAKE_IT_A_TARGET, Source, Target
from syncengine.document import fingerprint
from syncengine.errors import Misconfigured
from syncengine.flows.flow import CEILING, HIGHEST_CEILING, Flow
from syncengine.mapping import CompiledMapping, compile_mapping
from syncengine.mapping.compiler import ENTRIES as MAPPING_ENTRIES
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import FieldGroup, Policy
from syncengine.mapping.conversions import zone_named
from syncengine.mapping.runtime import Unfit, key_text, table_key
from syncengine.mapping.scope import Setting, checked_setting
from syncengine.mapping.shapes import Kind, nearest
from syncengine.mapping.yaml_lines import Table, display_path, read

SHIPPED = Path(__file__).parent
"""The folder of the flows that ship."""

ENTRIES = (
    "flow", "about", "entity", "source", "target", "direction", "feeds", "backward_feeds", "needs", "every", "quiet",
    "batch", "ceiling", "cut_over", "lookups", "settings", "groups", "backward", "writes", "unwanted_parts", "replaces",
    *MAPPING_ENTRIES,
)  # fmt: skip
SUFFIXES = (".yml", ".yaml")  # in capitals, too: some systems write them so
_DURATION = re.compile(r"(\d+)\s*(s|sec|seconds?|min|minutes?|h|hours?|d|days?)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WRITES = ("all", "linked")
UNWANTED_PARTS = ("cancel", "keep")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SETTING_KINDS = ("text", "integer", "decimal", "boolean", "list", "group", "zone")


Catalogue = Mapping[str, type[Source]]
"""Resource classes by name (`brightpearl.sales_order`)."""


@dataclass(frozen=True)
class _Loaded:
    """A flow with what is needed to hold it against the others."""

    flow: Flow
    line: int
    replaces: bool
    declared: Mapping[str, Setting]


def load_flows(folders: Sequence[Path], catalogue: Catalogue) -> dict[str, Flow]:
    """All flows of the folders' YAML files by name, compiled and held against one another.

    A file of a later folder takes the place of an earlier flow of its name if it says `replaces: true`; else two flows of
    one name are refused, as are two flows that write the same field of a target, and needs that no flow brings.

    Raises:
        Misconfigured: one line that says file, line and remedy.
    """
    loaded: dict[str, _Loaded] = {}
    for path in _files(folders):
        table, text = read(path)
        one = _FlowReader(table, text, path, catalogue).read()
        name, before = one.flow.name, loaded.get(one.flow.name)
        if before is not None and not one.replaces:
            told = f"the flow {name!r} is in {before.flow.file} already; rename it, or say replaces: true"
            raise Misconfigured(f"{one.flow.file}:{one.line}: {told}")
        loaded[name] = one
    _check_needs(loaded)
    _check_write_backs(loaded)
    _check_targets(loaded)
    _check_settings(loaded)
    return {name: loaded[name].flow for name in sorted(loaded)}


def load_flow(path: Path, catalogue: Catalogue) -> Flow:
    """One flow from its file, not held against others. Raises Misconfigured in one line."""
    table, text = read(path)
    return _FlowReader(table, text, path, catalogue).read().flow


def check_connection(flows: Iterable[Flow], settings: Mapping[str, Any], where: str) -> None:
    """Refuse settings of a connection that no flow declares, or that are not of the declared kind (Misconfigured)."""
    declared: dict[str, list[Setting]] = {}
    for flow in flows:
        for name, setting in flow.declared.items():
            declared.setdefault(name, []).append(setting)
    for name, value in settings.items():
        if name not in declared:
            raise Misconfigured(f"{where}: no flow has a setting {name!r}{nearest(name, declared)}")
        try:
            for setting in declared[name]:
                _check_setting(name, setting, value)
        except Unfit as error:
            raise Misconfigured(f"{where}: {error.reason}, not {value!r}") from None


def _check_setting(name: str, setting: Setting, value: Any) -> None:
    """Raises Unfit unless the value is of the setting's kind; a time zone may be left empty where its default is."""
    known = checked_setting(name, setting, value)
    if not setting.is_zone or (not known and not setting.default):
        return
    try:
        zone_named(known)
    except Unfit:
        raise Unfit(f"the setting {name} must be an IANA time zone such as Europe/London", value=value) from None


def _files(folders: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise Misconfigured(f"the flows' folder {folder} does not exist; create it or correct the setting")
        found += sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return found


class _FlowReader:
    """Reads one file."""

    def __init__(self, table: Table, text: str, path: Path, catalogue: Catalogue) -> None:
        self.table, self.text, self.path, self.catalogue = table, text, path, catalogue
        self.place = Place(display_path(path))

    def read(self) -> _Loaded:
        table, place = self.table, self.place
        place.only(table, ENTRIES, "a flow")
        name = self._name()
        source, target = self._resource("source"), self._resource("target")
        two_way = place.choice(table, "direction", ("one-way", "two-way"), "one-way") == "two-way"
        self._check_written("target", target)
        if two_way != ("backward" in table):
            place.refuse(table.line, "direction: two-way and backward: go together")
        tables, declared, needs = self._lookups(), self._settings(), self._needs()
        if two_way and needs:
            told = "needs: a two-way flow never gets the links that it would wait for; use one-way flows"
            place.refuse(table.line_of("needs"), told)
        forward = self._mapping(table, source, target, tables, declared, needs)
        backward = self._backward(source, target, tables, declared, needs)
        write_back = place.choice(table, "writes", WRITES, WRITES[0]) == "linked"
        if write_back:
            self._check_write_back(forward, two_way)
        flow = Flow(
            name=name,
            entity=place.word(table, "entity", "the flow") if "entity" in table else name,
            source=source,
            target=target,
            mapping=forward,
            version=fingerprint([self.text, tables]),
            two_way=two_way,
            write_back=write_back,
            keeps_parts=place.choice(table, "unwanted_parts", UNWANTED_PARTS, UNWANTED_PARTS[0]) == "keep",
            backward=backward,
            groups=self._groups(forward, backward),
            feeds=self._feeds("feeds", source),
            backward_feeds=self._feeds("backward_feeds", target) if two_way else (),
            needs=needs,
            every_s=self._duration("every", 300),
            quiet_s=self._duration("quiet", 0),
            batch=place.whole_number(table, "batch", 1, 1000) or 200,
            ceiling=place.whole_number(table, "ceiling", 1, HIGHEST_CEILING) or CEILING,
            cut_over=self._flag("cut_over"),
            lookups=tables,
            settings={key: setting.default for key, setting in declared.items()},
            file=place.file,
            is_own=self.path.parent != SHIPPED,
            declared=declared,
        )
        return _Loaded(flow, table.line_of("flow"), self._flag("replaces"), declared)

    def _check_write_back(self, forward: CompiledMapping, two_way: bool) -> None:
        """A write-back changes what another flow has linked, and nothing else."""
        line = self.table.line_of("writes")
        if two_way:
            self.place.refuse(line, "writes: linked is for one-way flows")
        if "entity" not in self.table:
            self.place.refuse(line, "writes: linked needs entity:, the entity of the flow whose links it uses")
        if forward.part_runs:
            self.place.refuse(
                self.table.line_of("parts"), "parts: a flow with writes: linked makes no objects, so no parts"
            )
        for rule in forward.rules:
            if rule.kind == "cancel":
                self.place.refuse(self.table.line_of("rules"), "rules: a flow with writes: linked cancels nothing")

    def _name(self) -> str:
        name = self.place.word(self.table, "flow", "the file")
        if not _NAME.fullmatch(name):
            self.place.refuse(self.table.line_of("flow"), f"{name!r} is no flow's name: small letters, digits and _")
        return name

    def _resource(self, entry: str) -> str:
        name = self.place.word(self.table, entry, "the flow")
        if name not in self.catalogue:
            hint = nearest(name, self.catalogue)
            self.place.refuse(self.table.line_of(entry), f"{entry}: there is no resource {name!r}{hint}")
        return name

    def _check_written(self, entry: str, name: str) -> None:
        """Refuse to write a resource that is a Source alone."""
        if not issubclass(self.catalogue[name], Target):
            self.place.refuse(self.table.line_of(entry), f"{entry}: {name} is read-only. {MAKE_IT_A_TARGET}")

    def _mapping(
        self,
        spec: Table,
        source: str,
        target: str,
        tables: Mapping[str, Mapping[str, str]],
        declared: Mapping[str, Setting],
        needs: Mapping[str, str],
    ) -> CompiledMapping:
        system = source.partition(".")[0]
        resources = {name: one.schema for name, one in self.catalogue.items() if name.partition(".")[0] == system}
        return compile_mapping(
            spec,
            source_schema=self.catalogue[source].schema,
            target_schema=self.catalogue[target].schema,
            file=self.place.file,
            lookups=tables,
            needs=needs,
            settings=declared,
            resources=resources,
        )

    def _backward(
        self,
        source: str,
        target: str,
        tables: Mapping[str, Mapping[str, str]],
        declared: Mapping[str, Setting],
        needs: Mapping[str, str],
    ) -> CompiledMapping | None:
        if "backward" not in self.table:
            return None
        spec = self.place.table(self.table["backward"], self.table.line_of("backward"), "backward")
        self.place.only(spec, MAPPING_ENTRIES, "backward")
        self._check_written("source", source)
        return self._mapping(spec, target, source, tables, declared, needs)

    def _groups(self, forward: CompiledMapping, backward: CompiledMapping | None) -> tuple[FieldGroup, ...]:
        groups = []
        for table in self.place.tables(self.table.get("groups"), self.table.line_of("groups"), "groups"):
            self.place.only(table, ("name", "left", "right", "policy"), "a group")
            if backward is None:
                self.place.refuse(table.line, "groups: are for two-way flows")
            sides = {"right": forward.fields, "left": backward.fields}
            names = {side: tuple(self._group_fields(table, side, known)) for side, known in sides.items()}
            policy = Policy(self.place.choice(table, "policy", [one.value for one in Policy], Policy.HOLD))
            groups.append(FieldGroup(self.place.word(table, "name", "a group"), names["right"], names["left"], policy))
        return tuple(groups)

    def _group_fields(self, table: Table, side: str, known: Iterable[str]) -> list[str]:
        fields = self.place.words(table.get(side), table.line_of(side), f"{side} of a group")
        for field in fields:
            if field not in known:
                self.place.refuse(table.line_of(side), f"{side}: {field!r} is not mapped{nearest(field, known)}")
        return fields

    def _feeds(self, entry: str, resource: str) -> tuple[str, ...]:
        there = tuple(self.catalogue[resource].feeds)
        if entry not in self.table:
            return there
        feeds = self.place.words(self.table[entry], self.table.line_of(entry), entry)
        for feed in feeds:
            if feed not in there:
                line, hint = self.table.line_of(entry), nearest(feed, there)
                self.place.refuse(line, f"{entry}: {resource} has no feed {feed!r}{hint}")
        return tuple(feeds)

    def _needs(self) -> dict[str, str]:
        """`[customers]`, where flow and entity have one name, or `{customers: contacts}`: entity and flow."""
        given, line = self.table.get("needs"), self.table.line_of("needs")
        if isinstance(given, Table):
            return {entity: self.place.word(given, entity, "needs") for entity in given}
        return {name: name for name in self.place.words(given, line, "needs")}

    def _duration(self, entry: str, default: int) -> float:
        given = self.table.get(entry, default)
        found = _DURATION.fullmatch(str(given).strip().lower())
        if not found or isinstance(given, bool):
            self.place.refuse(self.table.line_of(entry), f"{entry}: {given!r} is no duration such as 30 s or 5 min")
        return float(int(found[1]) * _SECONDS[(found[2] or "s")[0]])

    def _flag(self, entry: str) -> bool:
        given = self.table.get(entry, False)
        if not isinstance(given, bool):
            self.place.refuse(self.table.line_of(entry), f"{entry}: is true or false")
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
                told = "occurs twice; white space at its ends and its Unicode form do not count"
                self.place.refuse(entries.line_of(key), f"lookup {name}: the key {table_key(key)!r} {told}")
            table[table_key(key)] = key_text(value)
        return table

    def _csv(self, name: str, file: str, line: int) -> dict[str, str]:
        """A table from a CSV beside the flow's file: two columns, key and value, under a line of headings."""
        path = self.path.parent / file
        if path.suffix != ".csv" or path.parent != self.path.parent:
            self.place.refuse(line, f"lookup {name}: {file!r} must be a table or a .csv file beside the flow's file")
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
                Place(display_path(path)).refuse(number, "a line is a key that stands here once, a comma, and a value")
            table[key] = row[1].strip()
        return table

    def _settings(self) -> dict[str, Setting]:
        if "settings" not in self.table:
            return {}
        given = self.place.table(self.table["settings"], self.table.line_of("settings"), "settings")
        return {name: self._setting(name, entry, given.line_of(name)) for name, entry in given.items()}

    def _setting(self, name: str, entry: Any, line: int) -> Setting:
        table = self.place.table(entry, line, f"setting {name}")
        self.place.only(table, ("type", "default", "about"), f"setting {name}")
        said = self.place.choice(table, "type", _SETTING_KINDS, "text")
        kind = Kind.TEXT if said == "zone" else Kind(said)
        empty: dict[Kind, Any] = {Kind.TEXT: "", Kind.LIST: [], Kind.GROUP: {}, Kind.BOOLEAN: False}
        default = table.get("default", empty.get(kind))
        setting = Setting(kind, default, str(table.get("about", "")), is_zone=said == "zone")
        try:
            _check_setting(name, setting, default)
        except Unfit as error:
            self.place.refuse(line, f"setting {name}: its default: {error.reason}")
        return setting


def _check_needs(loaded: Mapping[str, _Loaded]) -> None:
    for one in loaded.values():
        for entity, name in one.flow.needs.items():
            if name not in loaded:
                hint = nearest(name, loaded)
                raise Misconfigured(f"{one.flow.file}:{one.line}: needs: there is no flow {name!r}{hint}")
            if loaded[name].flow.write_back:
                told = f"needs: the flow {name!r} makes no links; name the flow that does"
                raise Misconfigured(f"{one.flow.file}:{one.line}: {told}")
            brought = loaded[name].flow.entity
            if brought != entity:
                told = f"needs: the flow {name!r} brings {brought!r}, not {entity!r}"
                raise Misconfigured(f"{one.flow.file}:{one.line}: {told}")


def _check_write_backs(loaded: Mapping[str, _Loaded]) -> None:
    """A write-back has a flow that makes the links which it uses, between the same resources."""
    flows = [one.flow for one in loaded.values()]
    for flow in [flow for flow in flows if flow.write_back]:
        makers = [maker for maker in flows if maker.entity == flow.entity and not maker.write_back]
        if {flow.source, flow.target} not in [{maker.source, maker.target} for maker in makers]:
            told = f"writes: linked: no flow links {flow.source} and {flow.target} as {flow.entity!r}"
            hint = nearest(flow.entity, {maker.entity for maker in flows if not maker.write_back})
            raise Misconfigured(f"{flow.file}:{loaded[flow.name].line}: {told}{hint}")


def _written(flow: Flow) -> Iterable[tuple[str, frozenset[str], str]]:
    """What a flow writes: the resource, its fields, and the field that is its key."""
    mappings = [(flow.target, flow.mapping), (flow.source, flow.backward)]
    for resource, mapping in mappings:
        if isinstance(mapping, CompiledMapping):
            yield resource, mapping.fields, mapping.natural_key_field


def _check_targets(loaded: Mapping[str, _Loaded]) -> None:
    """Flows that write one resource own disjoint fields; the key is shared, since both must name the object."""
    for one, other in itertools.combinations(loaded.values(), 2):
        for resource, fields, key in _written(one.flow):
            for other_resource, other_fields, other_key in _written(other.flow):
                both = sorted((fields & other_fields) - {key, other_key})
                if resource == other_resource and both:
                    told = f"writes {both[0]} of {resource}, as {one.flow.file} does; a field belongs to one flow"
                    raise Misconfigured(f"{other.flow.file}:{other.line}: the flow {other.flow.name!r} {told}")


def _check_settings(loaded: Mapping[str, _Loaded]) -> None:
    """Flows of one connection share its settings, so a name means the same kind everywhere."""
    seen: dict[str, tuple[Kind, str]] = {}
    for one in loaded.values():
        for name, setting in one.declared.items():
            kind, file = seen.setdefault(name, (setting.kind, one.flow.file))
            if kind != setting.kind:
                told = f"the setting {name} is {setting.kind} here and {kind} in {file}"
                raise Misconfigured(f"{one.flow.file}:{one.line}: {told}")
