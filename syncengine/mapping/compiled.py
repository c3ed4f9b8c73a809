"""A compiled mapping: what a flow makes of one document, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncengine.document import LINE_KEY, Doc
from syncengine.errors import Rejected
from syncengine.mapping.contract import (
    Context,
    DifferenceText,
    KnownLinks,
    MissingLookup,
    Need,
    Policy,
    Reference,
    Remark,
    RuleDecision,
)
from syncengine.mapping.field_sets import FieldSet
from syncengine.mapping.lines import Block, computed
from syncengine.mapping.rules import Rule
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit, key_text, presentable, rejected
from syncengine.mapping.value_steps import LinkProbe


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping as closures; implements `contract.Mapping`. Pure, and safe to share between threads."""

    version: str
    header: FieldSet
    blocks: Mapping[str, Sequence[Block]]
    rules: Sequence[Rule]
    checks: Sequence[Rule]
    reference_keys: Sequence[tuple[str, Run, str]]
    link_keys: Sequence[tuple[str, str, Run, str]]
    part_runs: Sequence[tuple[Run, str]]
    policies: Mapping[str, Policy]
    default_policy: Policy
    natural_key_field: str
    fields: frozenset[str] = frozenset()
    differences: Mapping[str, DifferenceText] = field(default_factory=dict)
    found_by: tuple[Run, str] | None = None
    values: Mapping[str, Run] = field(default_factory=dict)
    rule_settings: frozenset[str] = frozenset()  # settings on which rules may depend, directly or by a named value

    def references(
        self,
        doc: Doc,
        settings: Mapping[str, Any] | None = None,
        lookups: Mapping[str, Mapping[str, str]] | None = None,
    ) -> list[Reference]:
        """The documents that must be read along with this one, without duplicates.

        settings: the connection's settings by name; a setting that is absent has its default. lookups: its tables by name.
        Raises Rejected.
        """
        frame = Frame(doc, Context(settings=settings or {}, lookups=lookups or {}))
        found = {
            Reference(resource, key): None
            for resource, run, text in self.reference_keys
            for key in _keys(run, frame, f"references: {resource}", text)
        }
        return list(found)

    @property
    def has_known_links(self) -> bool:
        """Whether the mapping has `known_links:`."""
        return bool(self.link_keys)

    def known_links(
        self,
        doc: Doc,
        settings: Mapping[str, Any] | None = None,
        lookups: Mapping[str, Mapping[str, str]] | None = None,
    ) -> list[KnownLinks]:
        """The objects whose links the mapping looks up where they exist. Arguments and errors: as `references`."""
        frame = Frame(doc, Context(settings=settings or {}, lookups=lookups or {}))
        return [
            KnownLinks(table, entity, _keys(run, frame, f"known_links: {table}", text))
            for table, entity, run, text in self.link_keys
        ]

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
            lines: list[Doc] = []
            for block in blocks:
                frame.mapped = {**mapped, name: lines}
                lines = [*lines, *block.lines(frame)]
            _refuse_double_keys(name, lines)
            if lines:
                mapped[name] = lines
        for check in self._checks_of(frame, mapped, ("reject",)):
            raise check.refusal(frame)
        return mapped

    def _checks_of(self, frame: Frame, mapped: Doc, kinds: Sequence[str]) -> Iterator[Rule]:
        """The checks of these kinds that apply to a mapped document."""
        checks = [check for check in self.checks if check.kind in kinds]
        if checks:
            frame.enter_row(None, 0)
            frame.mapped = mapped
        return (check for check in checks if check.applies(frame))

    def remarks(self, doc: Doc, context: Context, mapped: Mapping[str, Doc]) -> list[Remark]:
        """What the checks of the kinds `hold` and `attention` have found. Raises Rejected."""
        if all(check.kind == "reject" for check in self.checks):
            return []
        return [
            check.remark(frame)
            for frame in self._frames(doc, context)
            for check in self._checks_of(frame, mapped[frame.part], ("hold", "attention"))
        ]

    def named_values(self, doc: Doc, context: Context) -> dict[str, dict[str, Any]]:
        """The named values for people who ask how a figure comes about: of the document under "", else by the key of a line.

        Lines are those of all lists. What cannot be computed is left out. Raises Rejected if lines have equal keys.
        """
        frame = self._frame(doc, context)
        found = {"": computed(self.values, frame)}
        for name, blocks in self.blocks.items():
            for block in blocks:
                try:
                    found |= block.named_values(frame)
                except (Unfit, *FAILURES) as error:
                    raise rejected(name, error, block.rows_text) from None
        return found

    def policy(self, field: str) -> Policy:
        """The policy of a field. A field of a line that has no policy of its own has the policy of its list."""
        found = self.policies.get(field)
        if found is None and "." in field:
            found = self.policies.get(field.partition(".")[0])
        return found or self.default_policy

    def difference_text(self, name: str) -> DifferenceText:
        """What to say of a field that differs. A field of a line may have the text of its list."""
        return self.differences.get(name) or self.differences.get(name.partition(".")[0]) or DifferenceText()

    @property
    def has_key(self) -> bool:
        """Whether the mapping says by which natural key an existing object is found (`found_by:`)."""
        return self.found_by is not None

    def key_to_find(
        self,
        doc: Doc,
        settings: Mapping[str, Any] | None = None,
        lookups: Mapping[str, Mapping[str, str]] | None = None,
    ) -> str:
        """The natural key of the target's object for a document; empty if it has none. Arguments, errors: as `references`."""
        if self.found_by is None:
            return ""
        run, text = self.found_by
        keys = _keys(run, Frame(doc, Context(settings=settings or {}, lookups=lookups or {})), "found_by", text)
        return keys[0] if keys else ""

    def natural_key(self, mapped: Doc) -> str:
        """The value that identifies the mapped document in the target. Raises Rejected if it is empty."""
        key = key_text(mapped.get(self.natural_key_field)) if self.natural_key_field else ""
        if not key and self.natural_key_field:
            raise rejected(self.natural_key_field, Unfit("the document has no natural key"), "natural_key")
        return key


def _keys(run: Run, frame: Frame, field: str, text: str) -> list[str]:
    """The keys that an expression yields: one, or a list of them. Raises Rejected."""
    try:
        given = run(frame)
        keys = [key_text(item) for item in (given if isinstance(given, list | tuple) else [given])]
    except MissingLookup:
        return []  # `needs` reports the same entry, and the record waits for it
    except (Unfit, *FAILURES) as error:
        raise rejected(field, error, text) from None
    return [key for key in keys if key and key != "0"]  # both systems write 0 for "none" (brightpearl.md section 3.1)


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
