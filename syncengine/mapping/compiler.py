"""The mapping of a flow: compiled once from YAML, applied by the engine to every document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from marshmallow import Schema

from syncengine.document import fingerprint
from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import TARGET_LINES, DifferenceText, Policy
from syncengine.mapping.field_sets import FieldSet, FieldSetCompiler
from syncengine.mapping.lines import Block, LineCompiler, named
from syncengine.mapping.rules import RuleCompiler
from syncengine.mapping.runtime import Run
from syncengine.mapping.scope import Scope, Setting
from syncengine.mapping.shapes import Shape, ValueKind, nearest, shape_of
from syncengine.mapping.values import ValueCompiler
from syncengine.mapping.yaml_lines import Items, Table

ENTRIES = (
    "natural_key", "found_by", "known_links", "references", "values", "rules", "parts", "mapping", "policies", "checks",
    "differences",
)  # fmt: skip
"""The entries of a flow's file (or of its `backward:`) that belong to the mapping."""

_SETTING = re.compile(r"\bsettings\.(\w+)")


def compile_mapping(
    spec: Table,
    *,
    source_schema: type[Schema],
    target_schema: type[Schema],
    file: str,
    lookups: Mapping[str, Mapping[str, str]] | None = None,
    needs: Mapping[str, str] | None = None,
    settings: Mapping[str, Setting] | None = None,
    resources: Mapping[str, type[Schema]] | None = None,
    compares: bool = False,
    sets_levels: bool = False,
) -> CompiledMapping:
    """Compile the mapping entries of a flow (`ENTRIES`). Other entries are ignored.

    Args:
        spec: the table that holds the entries, with line numbers (`yaml_lines.parse`).
        source_schema, target_schema: marshmallow schemas of the typed documents.
        file: the file's name in error texts.
        lookups: lookup tables of the file by name. needs: entity -> flow. settings: the flow's declared settings.
        resources: schemas of other resources of either system, for `references:` and `ref()`.
        compares: whether expressions may name `in_target`, the target's document, and `differences:` is allowed.
        sets_levels: whether expressions may name `in_target` and call `tallied()`.

    Raises:
        Misconfigured: one line with file, line and, for an unknown name, the closest valid name.
    """
    scope = Scope(
        doc=shape_of(source_schema),
        found=shape_of(target_schema) if compares or sets_levels else None,
        has_tallies=sets_levels,
        settings=settings or {},
        tables={**(lookups or {}), **({TARGET_LINES: {}} if compares else {})},
        needs=needs or {},
        resources={name: shape_of(schema) for name, schema in (resources or {}).items()},
    )
    return _MappingCompiler(spec, Place(file), scope, shape_of(target_schema), compares=compares).compile()


class _MappingCompiler:
    """The steps of `compile_mapping`."""

    def __init__(self, spec: Table, place: Place, scope: Scope, target: Shape, *, compares: bool) -> None:
        self.spec, self.place, self.scope, self.target, self.compares = spec, place, scope, target, compares

    def compile(self) -> CompiledMapping:
        known = self._known_links()
        references = self._references()
        self._values()
        spec, rules = self.spec, RuleCompiler(self.place, self.scope)
        ruled = rules.rules(spec.get("rules"), spec.line_of("rules"))
        header, blocks = self._mapping()
        policies, default = self._policies(header, blocks)
        checks = RuleCompiler(self.place, _with_mapped(self.scope, self.target))
        return CompiledMapping(
            version=self._version(),
            header=header,
            blocks=blocks,
            rules=ruled,
            checks=checks.checks(spec.get("checks"), spec.line_of("checks")),
            reference_keys=references,
            link_keys=known,
            part_runs=self._parts(),
            policies=policies,
            default_policy=default,
            natural_key_field=self._natural_key(header),
            differences=self._differences(header, blocks),
            found_by=self._found_by(),
            values={name: self.scope.values[name].run for name in self.spec.get("values") or ()},
            fields=frozenset(header.fields | set(blocks)),
            rule_settings=frozenset(_settings_in([spec.get("rules"), spec.get("values")])),
        )

    def _version(self) -> str:
        settings = {name: [str(setting.kind), setting.default] for name, setting in self.scope.settings.items()}
        entries = {name: self.spec[name] for name in ENTRIES if name in self.spec}
        return fingerprint([entries, dict(self.scope.tables), settings, dict(self.scope.needs)])

    def _known_links(self) -> list[tuple[str, str, Run, str]]:
        """Compile `known_links:`, and make its tables available to `lookup()`."""
        spec, found = self.spec, []
        if "known_links" not in spec:
            return []
        given = self.place.table(spec["known_links"], spec.line_of("known_links"), "known_links")
        values = ValueCompiler(self.place, self.scope)
        for name, entry in given.items():
            if name in self.scope.tables:
                self.place.refuse(given.line_of(name), f"known_links: {name!r} is the name of a lookup table")
            table = self.place.table(entry, given.line_of(name), name)
            self.place.only(table, ("entity", "keys"), f"known_links: {name}")
            keys = values.expression(table, "keys", name)
            found.append((name, self.place.text(table, "entity", name), keys.run, keys.text))
        self.scope = replace(self.scope, tables={**self.scope.tables, **{name: {} for name, *_ in found}})
        return found

    def _references(self) -> list[tuple[str, Run, str]]:
        """Compile `references:`, and make the documents available to `ref()`."""
        found: list[tuple[str, Run, str]] = []
        shapes: dict[str, Shape] = {}
        values = ValueCompiler(self.place, self.scope)
        spec = self.spec
        for table in self.place.tables(spec.get("references"), spec.line_of("references"), "references"):
            self.place.only(table, ("resource", "keys"), "a reference")
            resource = self.place.text(table, "resource", "a reference")
            if resource not in self.scope.resources:
                hint = nearest(resource, self.scope.resources)
                self.place.refuse(table.line_of("resource"), f"there is no resource {resource!r}{hint}")
            shapes[resource] = self.scope.resources[resource]
            keys = table.get("keys")
            if not isinstance(keys, Items) or not keys:
                self.place.refuse(table.line, f"the reference {resource} needs keys:, a list of expressions")
            for index in range(len(keys)):
                expression = values.expression(keys, index, resource)
                found.append((resource, expression.run, expression.text))
        self.scope = _with_references(self.scope, shapes)
        return found

    def _values(self) -> None:
        if "values" not in self.spec:
            return
        given = self.place.table(self.spec["values"], self.spec.line_of("values"), "values")
        for name, entry in given.items():
            line = given.line_of(name)
            value = ValueCompiler(self.place, self.scope).value(entry, line, name)
            with self.place.at(line, "values"):
                self.scope = self.scope.with_value(name, named(name, value, in_row=False))

    def _mapping(self) -> tuple[FieldSet, dict[str, list[Block]]]:
        table = self.spec.get("mapping")
        line = self.spec.line_of("mapping")
        if not isinstance(table, Table) or not table:
            self.place.refuse(line, "mapping: is required: a table of the target's fields")
        lists = [name for name in table if self._is_line_list(name, table[name])]
        compiler = FieldSetCompiler(ValueCompiler(self.place, self.scope), self.target)
        header = compiler.compile(table, skip=lists)
        lines = LineCompiler(self.place, _with_mapped(self.scope, self.target))
        blocks = {
            name: lines.blocks(name, table[name], table.line_of(name), compiler.field(name, table.line_of(name)))
            for name in lists
        }
        return header, blocks

    def _is_line_list(self, name: str, entry: Any) -> bool:
        shape = self.target.fields.get(name)
        if shape is not None and shape.kind is ValueKind.LIST and shape.item and shape.item.kind is ValueKind.GROUP:
            return True
        return isinstance(entry, Items) or (isinstance(entry, Table) and "key" in entry)

    def _parts(self) -> list[tuple[Run, str]]:
        if "parts" not in self.spec:
            return []
        values, given = ValueCompiler(self.place, self.scope), self.spec["parts"]
        if isinstance(given, Items):
            expressions = [values.expression(given, index, "parts") for index in range(len(given))]
        else:
            expressions = [values.expression(self.spec, "parts", "parts")]
        return [(expression.run, expression.text) for expression in expressions]

    def _policies(self, header: FieldSet, blocks: Mapping[str, list[Block]]) -> tuple[dict[str, Policy], Policy]:
        if "policies" not in self.spec:
            return {}, Policy.SOURCE
        line = self.spec.line_of("policies")
        table = self.place.table(self.spec["policies"], line, "policies")
        kinds = [policy.value for policy in Policy]
        self.place.only(table, ("default", *kinds), "policies")
        default = Policy(self.place.choice(table, "default", kinds, Policy.SOURCE))
        known = _fields(header, blocks)
        policies: dict[str, Policy] = {}
        for kind in kinds:
            for name in self.place.names(table.get(kind), table.line_of(kind), kind):
                if name not in known:
                    self.place.refuse(table.line_of(kind), f"policies: {name!r} is not mapped{nearest(name, known)}")
                if name in policies:
                    self.place.refuse(table.line_of(kind), f"policies: {name} has two policies")
                policies[name] = Policy(kind)
        return policies, default

    def _differences(self, header: FieldSet, blocks: Mapping[str, list[Block]]) -> dict[str, DifferenceText]:
        if "differences" not in self.spec:
            return {}
        line = self.spec.line_of("differences")
        if not self.compares:
            self.place.refuse(line, "differences: is for flows with writes: nothing")
        given = self.place.table(self.spec["differences"], line, "differences")
        known = _fields(header, blocks)
        texts: dict[str, DifferenceText] = {}
        for name, entry in given.items():
            if name not in known:
                self.place.refuse(given.line_of(name), f"differences: {name!r} is not mapped{nearest(name, known)}")
            table = self.place.table(entry, given.line_of(name), name)
            self.place.only(table, ("reason", "remedy"), f"differences: {name}")
            texts[name] = DifferenceText(self.place.text(table, "reason", name), self.place.text(table, "remedy", name))
        return texts

    def _found_by(self) -> tuple[Run, str] | None:
        if "found_by" not in self.spec:
            return None
        key = ValueCompiler(self.place, self.scope).expression(self.spec, "found_by", "found_by")
        return key.run, key.text

    def _natural_key(self, header: FieldSet) -> str:
        if "natural_key" not in self.spec:
            return ""
        name = self.place.text(self.spec, "natural_key", "the flow")
        if name not in header.fields:
            line, hint = self.spec.line_of("natural_key"), nearest(name, header.fields)
            self.place.refuse(line, f"natural_key: {name!r} is not mapped{hint}")
        return name


def _fields(header: FieldSet, blocks: Mapping[str, list[Block]]) -> set[str]:
    """The mapped fields, those of lines with the name of their list (`StockLine.Price`)."""
    inner = {f"{name}.{field}" for name, found in blocks.items() for block in found for field in block.field_set.fields}
    return set(header.fields) | set(blocks) | inner


def _settings_in(entry: Any) -> Iterator[str]:
    """Names of the settings that expressions in an entry use."""
    if isinstance(entry, str):
        yield from _SETTING.findall(entry)
    elif isinstance(entry, dict | list):
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from _settings_in(inner)


def _with_mapped(scope: Scope, target: Shape) -> Scope:
    return replace(scope, target=target)


def _with_references(scope: Scope, shapes: Mapping[str, Shape]) -> Scope:
    return replace(scope, references=shapes)
