"""A target document, or one line of it, from compiled entries: single fields and texts spread over several fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.document import Doc
from syncengine.mapping import texts
from syncengine.mapping.functions import text_of
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit, number, rejected
from syncengine.mapping.scope import Expr
from syncengine.mapping.shapes import Kind, Shape, nearest
from syncengine.mapping.values import LinkProbe, Value, ValueCompiler, is_empty
from syncengine.mapping.yaml_lines import Items, Table


@dataclass(frozen=True)
class Spread:
    """Several texts laid over several target fields; what does not fit goes into `overflow`, or is refused."""

    fields: tuple[str, ...]
    sources: tuple[Run, ...]
    longest: int
    overflow: str
    text: str
    shorter: tuple[Run, ...] = ()
    before: Run | None = None
    condition: Run | None = None

    def write(self, frame: Frame, into: Doc, prefix: str) -> None:
        """Fill the fields of this document. Raises Rejected."""
        try:
            if self.condition is not None and not self.condition(frame):
                return
            lines, rest, found = self._lines(frame)
            if rest and not self.overflow:
                raise Unfit(
                    f"the text does not fit into {len(self.fields)} lines of {self.longest}",
                    value=found,
                    remedy="Shorten it at the source, or name an overflow: field in the mapping",
                )
        except (Unfit, *FAILURES) as error:
            raise rejected(prefix + self.fields[0], error, self.text) from None
        self._fill(into, lines, rest)

    def _lines(self, frame: Frame) -> tuple[list[str], str, str]:
        """The lines, what does not fit, and the whole text; with the shorter texts where the full ones do not fit."""
        before = text_of(self.before(frame)) if self.before else ""
        found = [text_of(run(frame)) for run in self.sources]
        lines, rest = texts.spread(found, len(self.fields), self.longest, before)
        if rest and self.shorter:
            found = [text_of(run(frame)) for run in self.shorter]
            lines, rest = texts.spread(found, len(self.fields), self.longest, before)
        return lines, rest, ", ".join(one for one in (before, *found) if one)

    def _fill(self, into: Doc, lines: Sequence[str], rest: str) -> None:
        into.update((name, line) for name, line in zip(self.fields, lines, strict=True) if line)
        if rest:
            into[self.overflow] = f"{into[self.overflow]} {rest}" if into.get(self.overflow) else rest


@dataclass(frozen=True)
class Group:
    """The compiled entries of one document or one line."""

    values: Mapping[str, Value]
    spreads: Sequence[Spread]
    prefix: str = ""

    @property
    def fields(self) -> set[str]:
        """All target fields that these entries can fill."""
        return {*self.values, *(name for spread in self.spreads for name in (*spread.fields, spread.overflow) if name)}

    @property
    def links(self) -> list[LinkProbe]:
        return [value.link for value in self.values.values() if value.link]

    def apply(self, frame: Frame) -> Doc:
        """The fields that have a value. Raises Rejected naming the field, or MissingLookup."""
        made: Doc = {}
        for name, value in self.values.items():
            try:
                found = value.run(frame)
                if isinstance(found, float):  # from a field whose schema does not say what it is
                    found = number(found, value.text)
            except (Unfit, *FAILURES) as error:
                raise rejected(self.prefix + name, error, _source(value, frame)) from None
            if not is_empty(found):
                made[name] = found
        for spread in self.spreads:
            spread.write(frame, made, self.prefix)
        return made


def _source(value: Value, frame: Frame) -> str:
    row = frame.row.get("id") if isinstance(frame.row, dict) else None
    return f"{value.text} of row {str(row)[:40]}" if row is not None else value.text


class GroupCompiler:
    """Compiles the entries that fill the fields of one shape."""

    def __init__(self, values: ValueCompiler, shape: Shape, prefix: str = "") -> None:
        self.values, self.place, self.shape, self.prefix = values, values.place, shape, prefix

    def compile(self, table: Table, skip: Sequence[str] = ()) -> Group:
        """All entries of the table but those named in `skip`. Raises Misconfigured."""
        values: dict[str, Value] = {}
        spreads: list[Spread] = []
        for name, entry in table.items():
            if name in skip:
                continue
            line = table.line_of(name)
            if "," in name:
                spreads.append(self._spread(name, entry, line))
            else:
                values[name] = self.values.value(entry, line, self.prefix + name, self.field(name, line))
        group = Group(values, spreads, self.prefix)
        self._refuse_twice(group, table)
        return group

    def field(self, name: str, line: int) -> Shape:
        """The shape of a target field. Refuses one that the target does not have."""
        if name not in self.shape.fields and not self.shape.is_open:
            hint = nearest(name, self.shape.fields)
            self.place.refuse(line, f"the target has no field {(self.prefix + name)!r}{hint}")
        return self.shape.fields.get(name, Shape(is_open=True))

    def _spread(self, names: str, entry: Any, line: int) -> Spread:
        fields = tuple(name.strip() for name in names.split(","))
        what = f"{self.prefix}{fields[0]}…"
        shapes = [self.field(name, line) for name in fields]
        if any(shape.kind not in (Kind.TEXT, Kind.ANY) for shape in shapes):
            self.place.refuse(line, f"{what}: only text can be spread over several fields")
        table = self.place.table(entry, line, what)
        self.place.only(table, ("spread", "shorter", "before", "max", "overflow", "when"), what)
        parts = self._expressions(table, "spread", line, what)
        shorter = self._expressions(table, "shorter", line, what) if "shorter" in table else []
        longest = self.place.whole(table, "max", 1, 100_000) or min(
            (shape.longest for shape in shapes if shape.longest), default=0
        )
        if not longest:
            self.place.refuse(line, f"{what}: spread: needs max:, the length of one field")
        return Spread(
            fields,
            tuple(part.run for part in parts),
            longest,
            self._overflow(table, fields, what),
            ", ".join(part.text for part in parts),
            shorter=tuple(part.run for part in shorter),
            before=self.values.expression(table, "before", what).run if "before" in table else None,
            condition=self.values.expression(table, "when", what).run if "when" in table else None,
        )

    def _expressions(self, table: Table, name: str, line: int, what: str) -> list[Expr]:
        sources = table.get(name)
        if not isinstance(sources, Items) or not sources:
            self.place.refuse(line, f"{what}: several fields need {name}:, a list of expressions")
        parts = [self.values.expression(sources, index, what) for index in range(len(sources))]
        for index, part in enumerate(parts):
            if part.kind in (Kind.GROUP, Kind.LIST):
                self.place.refuse(sources.line_of(index), f"{what}: {part.text} is a {part.kind} and cannot be spread")
        return parts

    def _overflow(self, table: Table, fields: Sequence[str], what: str) -> str:
        if "overflow" not in table:
            return ""
        name = self.place.word(table, "overflow", what)
        self.field(name, table.line_of("overflow"))
        if name in fields:
            self.place.refuse(table.line_of("overflow"), f"{what}: overflow: must be another field")
        return name

    def _refuse_twice(self, group: Group, table: Table) -> None:
        seen: set[str] = set(group.values)
        for spread in group.spreads:
            for name in spread.fields:
                if name in seen:
                    self.place.refuse(table.line, f"{self.prefix}{name} is filled twice")
                seen.add(name)
