"""The mapping of a flow: compiled once from YAML, applied by the engine to every document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from marshmallow import Schema

from syncengine.document import LINE_KEY, Doc, fingerprint
from syncengine.errors import Rejected
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import Context, MissingLookup, Need, Policy, Reference, RuleDecision
from syncengine.mapping.field_sets import FieldSet, FieldSetCompiler
from syncengine.mapping.lines import Block, LineCompiler, named
from syncengine.mapping.rules import Rule, RuleCompiler
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit, key_text, presentable, rejected
from syncengine.mapping.scope import Scope, Setting
from syncengine.mapping.shapes import Shape, ValueKind, nearest, shape_of
from syncengine.mapping.value_steps import LinkProbe
from syncengine.mapping.values import ValueCompiler
from syncengine.mapping.yaml_lines import Items, Table

ENTRIES = ("natural_key", "references", "values", "rules", "parts", "mapping", "policies", "checks")
"""The entries of a flow's file (or of its `backward:`) that belong to the mapping."""


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping as closures; implements `contract.Mapping`. Pure, and safe to share between threads."""

    version: str
    header: FieldSet
    blocks: Mapping[str, Sequence[Block]]
    rules: Sequence[Rule]
    checks: Sequence[Rule]
    reference_keys: Sequence[tuple[str, Run, str]]
    part_runs: Sequence[tuple[Run, str]]
    policies: Mapping[str, Policy]
    default_policy: Policy
    natural_key_field: str
    fields: frozenset[str] = frozenset()

    def references(self, doc: Doc, settings: Mapping[str, Any] | None = None) -> list[Reference]:
        """The documents that must be read along with this one, without duplicates.

        settings: the connection's settings by name; a setting that is absent has its default. Raises Rejected.
        """
        found: dict[Reference, None] = {}
        frame = Frame(doc, Context(settings=settings or {}))
        for resource, run, text in self.reference_keys:
            try:
                given = run(frame)
                for item in given if isinstance(given, list | tuple) else [given]:
                    key = key_text(item)
                    if key and key != "0":  # both systems write 0 for "none" (brightpearl.md section 3.1)
                        found[Reference(resource, key)] = None
            except MissingLookup:
                continue  # `needs` reports the same entry, and the record waits for it
            except (Unfit, *FAILURES) as error:
                raise rejected(f"references: {resource}", error, text) from None
        return list(found)

    def decide(self, doc: Doc, context: Context) -> RuleDecision:
        """The decision of the first rule that applies. Raises Rejected.

        A rule that lacks a lookup entry decides nothing here: `needs` reports the entry, and the record waits for it.
        """
        try:
            return self._decide(Frame(doc, context))
        except MissingLookup:
            return RuleDecision()  # `needs` reports the same entry

    def _decide(self, frame: Frame) -> RuleDecision:
        for rule in self.rules:
            if rule.applies(frame):
                if rule.kind != "route":
                    return rule.decision(frame)
                _route(frame, rule)
        return RuleDecision()

    def _frame(self, doc: Doc, context: Context) -> Frame:
        """A frame with the named values of the routes that apply."""
        frame = Frame(doc, context)
        for rule in self.rules:
            if rule.kind == "route" and rule.applies(frame):
                _route(frame, rule)
        return frame

    def _frames(self, doc: Doc, context: Context) -> Iterator[Frame]:
        """One frame per part of the document."""
        base = self._frame(doc, context)
        if not self.part_runs:
            yield base
            return
        for part in self._parts(base):
            frame = Frame(doc, context)
            frame.part, frame.routed = part, base.routed
            yield frame

    @property
    def has_parts(self) -> bool:
        """Whether a document is mapped to several named parts."""
        return bool(self.part_runs)

    def parts_of(self, doc: Doc, context: Context) -> list[str]:
        """The parts that `apply` would yield. Raises Rejected or MissingLookup."""
        return self._parts(self._frame(doc, context)) if self.part_runs else [""]

    def _parts(self, frame: Frame) -> list[str]:
        found: dict[str, None] = {}
        for run, text in self.part_runs:
            try:
                given = run(frame)
                for item in given if isinstance(given, list | tuple) else [given]:
                    if part := key_text(item):
                        found[part] = None
            except (Unfit, *FAILURES) as error:
                raise rejected("parts", error, text) from None
        if not found:
            text = ", ".join(text for _, text in self.part_runs)
            raise rejected("parts", Unfit("the mapping yields no part for this document"), text)
        return list(found)

    def needs(self, doc: Doc, context: Context) -> list[Need]:
        """Links that the mapping uses (whether they exist or not) and lookup entries that it waits for, without duplicates.

        Raises Rejected.
        """
        found: dict[Need, None] = {}
        try:
            self._decide(Frame(doc, context))
            for frame in self._frames(doc, context):
                for need in self._needs(frame):
                    found[need] = None
        except MissingLookup as missing:
            found[missing.need] = None
        return list(found)

    def _needs(self, frame: Frame) -> Iterator[Need]:
        yield from _probed(self.header.links, frame, self.header.prefix)
        for name, blocks in self.blocks.items():
            for block in blocks:
                if block.links:
                    yield from self._row_needs(name, block, frame)

    def _row_needs(self, name: str, block: Block, frame: Frame) -> Iterator[Need]:
        frames = block.frames(frame)
        while True:
            try:
                chosen = next(frames, None)
            except (Unfit, *FAILURES) as error:
                raise rejected(name, error, block.rows_text) from None
            if chosen is None:
                return
            yield from _probed(block.links, chosen, block.field_set.prefix)

    def apply(self, doc: Doc, context: Context) -> dict[str, Doc]:
        """The mapped documents by part. Raises Rejected, or MissingLookup for a link or a lookup entry that is missing."""
        return {frame.part: self._document(frame) for frame in self._frames(doc, context)}

    def _document(self, frame: Frame) -> Doc:
        mapped = self.header.apply(frame)
        for name, blocks in self.blocks.items():
            lines = [line for block in blocks for line in block.lines(frame)]
            _refuse_double_keys(name, lines)
            if lines:
                mapped[name] = lines
        if self.checks:
            frame.enter_row(None, 0)
            frame.mapped = mapped
            for check in self.checks:
                if check.applies(frame):
                    raise check.refusal(frame)
        return mapped

    def policy(self, field: str) -> Policy:
        """The policy of a field. A field of a line that has no policy of its own has the policy of its list."""
        found = self.policies.get(field)
        if found is None and "." in field:
            found = self.policies.get(field.partition(".")[0])
        return found or self.default_policy

    def natural_key(self, mapped: Doc) -> str:
        """The value that identifies the mapped document in the target. Raises Rejected if it is empty."""
        key = key_text(mapped.get(self.natural_key_field)) if self.natural_key_field else ""
        if not key and self.natural_key_field:
            raise rejected(self.natural_key_field, Unfit("the document has no natural key"), "natural_key")
        return key


def _route(frame: Frame, rule: Rule) -> None:
    """Apply the named values of a route. If two routes set the same name, the first one wins."""
    frame.routed, frame.cache = {**(rule.sets or {}), **frame.routed}, {}


def _probed(links: Sequence[LinkProbe], frame: Frame, prefix: str) -> Iterator[Need]:
    for probe in links:
        try:
            need = probe.need(frame)
        except (Unfit, *FAILURES) as error:
            raise rejected(f"{prefix}link to {probe.entity}", error, "") from None
        if need is not None:
            yield need


def _refuse_double_keys(name: str, lines: Sequence[Doc]) -> None:
    keys: set[str] = set()
    for line in lines:
        key = line[LINE_KEY]
        if not key or key in keys:
            raise Rejected(
                field=f"{name}.{LINE_KEY}",
                value=presentable(key),
                reason="two lines have the same key" if key else "a line has no key",
                remedy="Give each row of the source a unique id",
            )
        keys.add(key)


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
) -> CompiledMapping:
    """Compile the mapping entries of a flow (`ENTRIES`). Other entries are ignored.

    Args:
        spec: the table that holds the entries, with line numbers (`yaml_lines.parse`).
        source_schema, target_schema: marshmallow schemas of the typed documents.
        file: the file's name in error texts.
        lookups: lookup tables of the file by name. needs: entity -> flow. settings: the flow's declared settings.
        resources: schemas of the source system's other resources, for `references:` and `ref()`.

    Raises:
        Misconfigured: one line with file, line and, for an unknown name, the closest valid name.
    """
    scope = Scope(
        doc=shape_of(source_schema),
        settings=settings or {},
        tables=lookups or {},
        needs=needs or {},
        resources={name: shape_of(schema) for name, schema in (resources or {}).items()},
    )
    return _MappingCompiler(spec, Place(file), scope, shape_of(target_schema)).compile()


class _MappingCompiler:
    """The steps of `compile_mapping`."""

    def __init__(self, spec: Table, place: Place, scope: Scope, target: Shape) -> None:
        self.spec, self.place, self.scope, self.target = spec, place, scope, target

    def compile(self) -> CompiledMapping:
        references = self._references()
        self._values()
        spec, rules = self.spec, RuleCompiler(self.place, self.scope)
        ruled = rules.rules(spec.get("rules"), spec.line_of("rules"))
        header, blocks = self._mapping()
        policies, default = self._policies(header, blocks)
        checks = RuleCompiler(self.place, _with_target(self.scope, self.target))
        return CompiledMapping(
            version=self._version(),
            header=header,
            blocks=blocks,
            rules=ruled,
            checks=checks.checks(spec.get("checks"), spec.line_of("checks")),
            reference_keys=references,
            part_runs=self._parts(),
            policies=policies,
            default_policy=default,
            natural_key_field=self._natural_key(header),
            fields=frozenset(header.fields | set(blocks)),
        )

    def _version(self) -> str:
        settings = {name: [str(setting.kind), setting.default] for name, setting in self.scope.settings.items()}
        entries = {name: self.spec[name] for name in ENTRIES if name in self.spec}
        return fingerprint([entries, dict(self.scope.tables), settings, dict(self.scope.needs)])

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
        lines = LineCompiler(self.place, self.scope)
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
        inner = {
            f"{name}.{field}" for name, found in blocks.items() for block in found for field in block.field_set.fields
        }
        known = header.fields | set(blocks) | inner
        policies: dict[str, Policy] = {}
        for kind in kinds:
            for name in self.place.names(table.get(kind), table.line_of(kind), kind):
                if name not in known:
                    self.place.refuse(table.line_of(kind), f"policies: {name!r} is not mapped{nearest(name, known)}")
                if name in policies:
                    self.place.refuse(table.line_of(kind), f"policies: {name} has two policies")
                policies[name] = Policy(kind)
        return policies, default

    def _natural_key(self, header: FieldSet) -> str:
        if "natural_key" not in self.spec:
            return ""
        name = self.place.text(self.spec, "natural_key", "the flow")
        if name not in header.fields:
            line, hint = self.spec.line_of("natural_key"), nearest(name, header.fields)
            self.place.refuse(line, f"natural_key: {name!r} is not mapped{hint}")
        return name


def _with_target(scope: Scope, target: Shape) -> Scope:
    return replace(scope, target=target)


def _with_references(scope: Scope, shapes: Mapping[str, Shape]) -> Scope:
    return replace(scope, references=shapes)
