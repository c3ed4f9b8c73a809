"""The compiled fields of a target document or of one of its lines: single fields, and texts spread over several fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from syncengine.document import Doc
from syncengine.mapping import texts
from syncengine.mapping.functions import text_of
from syncengine.mapping.order import is_empty, truth
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit, number, rejected
from syncengine.mapping.scope import Expr
from syncengine.mapping.shapes import FIELDS_HINT, Shape, ValueKind, nearest
from syncengine.mapping.value_steps import LinkProbe
from syncengine.mapping.values import Value, ValueCompiler
from syncengine.mapping.yaml_lines import Items, Table


@dataclass(frozen=True)
class Spread:
    """Several texts spread over several target fields. Text that does not fit goes into `overflow`, or is refused.

    fields: the target fields, in order. longest: characters that one field takes. text: the sources, for error texts.
    sources, shorter: the texts, and the texts to use instead if those do not fit. before: a text for the first fields.
    condition: fill the fields only if this holds. overflow: the field for the rest, empty for none.
    overflow_longest: characters that the overflow field takes; None if it is not limited.
    """

    fields: tuple[str, ...]
    sources: tuple[Run, ...]
    longest: int
    overflow: str
    text: str
    shorter: tuple[Run, ...] = ()
    before: Run | None = None
    condition: Run | None = None
    overflow_longest: int | None = None

    def write(self, frame: Frame, into: Doc, prefix: str) -> None:
        """Fill the fields of the document `into`. Raises Rejected."""
        try:
            if self.condition is not None and not truth(self.condition(frame)):
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
        into.update((name, line) for name, line in zip(self.fields, lines, strict=True) if line)
        if rest:
            self._overflow(into, rest, prefix)

    def _lines(self, frame: Frame) -> tuple[list[str], str, str]:
        """The lines, the text that does not fit, and the full text; the shorter texts if the full ones do not fit."""
        before = text_of(self.before(frame)) if self.before else ""
        found = [text_of(run(frame)) for run in self.sources]
        lines, rest = texts.spread(found, len(self.fields), self.longest, before)
        if rest and self.shorter:
            found = [text_of(run(frame)) for run in self.shorter]
            lines, rest = texts.spread(found, len(self.fields), self.longest, before)
        return lines, rest, ", ".join(part for part in (before, *found) if part)

    def _overflow(self, into: Doc, rest: str, prefix: str) -> None:
        text = f"{into[self.overflow]} {rest}" if into.get(self.overflow) else rest
        if self.overflow_longest is not None and len(text) > self.overflow_longest:
            too_long = Unfit(
                f"with the text that does not fit into {self.fields[0]} it has {len(text)} characters, "
                f"but the target takes {self.overflow_longest}",
                value=text,
                remedy="Shorten it at the source, or name another overflow: field in the mapping",
            )
            raise rejected(prefix + self.overflow, too_long, self.text)
        into[self.overflow] = text


@dataclass(frozen=True)
class FieldSet:
    """The compiled fields of one document or one line. prefix: put before field names in error texts."""

    values: Mapping[str, Value]
    spreads: Sequence[Spread]
    prefix: str = ""

    @property
    def fields(self) -> set[str]:
        """All target fields that can be filled."""
        return {*self.values, *(name for spread in self.spreads for name in (*spread.fields, spread.overflow) if name)}

    @property
    def links(self) -> list[LinkProbe]:
        """The links that these fields use."""
        return [value.link for value in self.values.values() if value.link]

    def apply(self, frame: Frame) -> Doc:
        """The fields that have a value, by name. Raises Rejected, which names the field, or MissingLookup."""
        made: Doc = {}
        for name, value in self.values.items():
            try:
                found = _exact(value.run(frame), value.text)
            except (Unfit, *FAILURES) as error:
                raise rejected(self.prefix + name, error, _source(value, frame)) from None
            if not is_empty(found):
                made[name] = found
        for spread in self.spreads:
            spread.write(frame, made, self.prefix)
        return made


def _exact(value: Any, what: str) -> Any:
    """The value with exact numbers, none of them minus zero, also if the target's schema does not declare its kind.

    Raises Unfit for a number that is not finite, or out of range.
    """
    if isinstance(value, Decimal | float):
        return number(value, what)
    if isinstance(value, int) and not isinstance(value, bool):
        number(value, what)
    if isinstance(value, list | tuple):
        return [_exact(item, what) for item in value]
    if isinstance(value, dict):
        return {name: _exact(item, what) for name, item in value.items()}
    return value


def _source(value: Value, frame: Frame) -> str:
    row = frame.row.get("id") if isinstance(frame.row, dict) else None
    return f"{value.text} of row {str(row)[:40]}" if row is not None else value.text


class FieldSetCompiler:
    """Compiles the entries that fill the fields of one target shape."""

    def __init__(self, values: ValueCompiler, shape: Shape, prefix: str = "") -> None:
        self.values, self.place, self.shape, self.prefix = values, values.place, shape, prefix

    def compile(self, table: Table, skip: Sequence[str] = ()) -> FieldSet:
        """Compile all entries of the table except those named in `skip`. Raises Misconfigured."""
        names = [name for name in table if name not in skip]
        values = {name: self._value(name, table) for name in names if "," not in name}
        spreads = [self._spread(name, table[name], table.line_of(name), values) for name in names if "," in name]
        field_set = FieldSet(values, spreads, self.prefix)
        self._refuse_twice(field_set, table)
        return field_set

    def _value(self, name: str, table: Table) -> Value:
        line = table.line_of(name)
        return self.values.value(
            table[name], line, self.prefix + name, self.field(name, line), in_line=bool(self.prefix)
        )

    def field(self, name: str, line: int) -> Shape:
        """The shape of a target field. Raises Misconfigured if the target does not have it."""
        if name not in self.shape.fields and not self.shape.is_open:
            hint = f"{nearest(name, self.shape.fields)}{FIELDS_HINT}"
            self.place.refuse(line, f"the target has no field {(self.prefix + name)!r}{hint}")
        return self.shape.fields.get(name, Shape(is_open=True))

    def _spread(self, names: str, entry: Any, line: int, values: Mapping[str, Value]) -> Spread:
        fields = tuple(name.strip() for name in names.split(","))
        what = f"{self.prefix}{fields[0]}…"
        shapes = [self.field(name, line) for name in fields]
        if any(shape.kind not in (ValueKind.TEXT, ValueKind.ANY) for shape in shapes):
            self.place.refuse(line, f"{what}: only text can be spread over several fields")
        table = self.place.table(entry, line, what)
        self.place.only(table, ("spread", "shorter", "before", "max", "overflow", "when"), what)
        parts = self._expressions(table, "spread", line, what)
        shorter = self._expressions(table, "shorter", line, what) if "shorter" in table else []
        longest = self.place.whole_number(table, "max", 1, 100_000) or min(
            (shape.longest for shape in shapes if shape.longest), default=0
        )
        if not longest:
            self.place.refuse(line, f"{what}: spread: needs max:, the length of one field")
        overflow, overflow_longest = self._overflow(table, values, what)
        return Spread(
            fields,
            tuple(part.run for part in parts),
            longest,
            overflow,
            ", ".join(part.text for part in parts),
            shorter=tuple(part.run for part in shorter),
            before=self.values.expression(table, "before", what).run if "before" in table else None,
            condition=self.values.expression(table, "when", what).run if "when" in table else None,
            overflow_longest=overflow_longest,
        )

    def _expressions(self, table: Table, name: str, line: int, what: str) -> list[Expr]:
        sources = table.get(name)
        if not isinstance(sources, Items) or not sources:
            self.place.refuse(line, f"{what}: several fields need {name}:, a list of expressions")
        parts = [self.values.expression(sources, index, what) for index in range(len(sources))]
        for index, part in enumerate(parts):
            if part.kind in (ValueKind.GROUP, ValueKind.LIST):
                self.place.refuse(sources.line_of(index), f"{what}: {part.text} is a {part.kind} and cannot be spread")
        return parts

    def _overflow(self, table: Table, values: Mapping[str, Value], what: str) -> tuple[str, int | None]:
        """The field for text that does not fit, and its length: from its own entry, otherwise from the schema."""
        if "overflow" not in table:
            return "", None
        name, line = self.place.text(table, "overflow", what), table.line_of("overflow")
        shape = self.field(name, line)
        if shape.kind not in (ValueKind.TEXT, ValueKind.ANY):
            self.place.refuse(line, f"{what}: overflow: {name} is {shape.kind}, but a text field is needed")
        return name, values[name].longest if name in values else shape.longest

    def _refuse_twice(self, field_set: FieldSet, table: Table) -> None:
        seen: set[str] = set(field_set.values)
        for spread in field_set.spreads:
            for name in spread.fields:
                if name in seen:
                    self.place.refuse(table.line, f"{self.prefix}{name} is filled twice")
                seen.add(name)
        for spread in field_set.spreads:
            if spread.overflow in seen - set(field_set.values):
                problem = f"overflow: must not be a field of a spread, but {spread.overflow} is one"
                self.place.refuse(table.line, f"{self.prefix}{spread.fields[0]}…: {problem}")
