"""Lines of a target document: rows of the source, filtered, sorted, keyed, and split into several lines if too long."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from syncengine.document import LINE_KEY, Doc
from syncengine.mapping import texts
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import MissingLookup
from syncengine.mapping.field_sets import FieldSet, FieldSetCompiler
from syncengine.mapping.order import rank, truth
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit, key_text, rejected
from syncengine.mapping.scope import Expr, Scope
from syncengine.mapping.shapes import ANY, Shape, ValueKind
from syncengine.mapping.value_steps import LinkProbe
from syncengine.mapping.values import Value, ValueCompiler
from syncengine.mapping.yaml_lines import Items, Table

BLOCK_ENTRIES = ("each", "where", "key", "sort", "let")
MOST_LINES = 10_000
"""Maximum number of rows that a block reads, and of lines that it makes."""
REPEATED = (ValueKind.TEXT, ValueKind.DATE, ValueKind.DATETIME, ValueKind.BOOLEAN)
"""Kinds that the continuation lines of a long text may repeat, because nobody adds them up."""


@dataclass(frozen=True)
class Block:
    """Makes lines of one target list: from each row of a source list, or one line from the document itself.

    rows: the source rows; None for the document itself. where: which rows. key: the key of a line. sort: the order.
    runs_over: the text field that may continue on further lines, with the length of one line; None if there is none.
    let: identifies the `let:` table that blocks share by a YAML anchor; 0 for none. values: its named values.
    """

    field: str
    rows: Run | None
    rows_text: str
    where: Run | None
    key: Run
    sort: Run | None
    field_set: FieldSet
    runs_over: tuple[str, int] | None
    let: int = 0
    values: Mapping[str, Run] = dataclasses.field(default_factory=dict)

    @property
    def links(self) -> list[LinkProbe]:
        """The links that the fields of a line use."""
        return self.field_set.links

    def frames(self, frame: Frame) -> Iterator[Frame]:
        """Yield the frame once for each row that is chosen. Raises Unfit or an error of FAILURES."""
        if self.rows is None:
            frame.enter_row(None, 1)
            if self.where is None or truth(self.where(frame)):
                yield frame
            return
        rows = self.rows(frame)
        if rows is None:
            return
        if not isinstance(rows, list | tuple) or len(rows) > MOST_LINES:
            raise Unfit(f"{self.rows_text} is not a list of at most {MOST_LINES} rows", value=rows)
        for number, row in enumerate(self._sorted(rows, frame), start=1):
            if not isinstance(row, dict):
                raise Unfit(f"a row of {self.rows_text} is not a group of fields", value=row)
            frame.enter_row(row, number, self.let)
            if self.where is None or truth(self.where(frame)):
                yield frame

    def _sorted(self, rows: Sequence[Any], frame: Frame) -> Sequence[Any]:
        if self.sort is None:
            return rows
        keyed = []
        for number, row in enumerate(rows):
            frame.enter_row(row if isinstance(row, dict) else {}, number)
            keyed.append((rank(self.sort(frame), self.rows_text), number))
        return [rows[number] for _, number in sorted(keyed)]

    def named_values(self, frame: Frame) -> dict[str, dict[str, Any]]:
        """The named values of each row, by the key of its line. Raises Unfit or an error of FAILURES."""
        return {key_text(self.key(chosen)): computed(self.values, chosen) for chosen in self.frames(frame)}

    def lines(self, frame: Frame) -> list[Doc]:
        """The lines of this block, each with its `LINE_KEY`. Raises Rejected or MissingLookup."""
        made: list[Doc] = []
        frames = self.frames(frame)
        while True:
            try:
                chosen = next(frames, None)
                key = key_text(self.key(chosen)) if chosen else ""
            except (Unfit, *FAILURES) as error:
                raise rejected(self.field, error, self.rows_text or "its condition") from None
            if chosen is None:
                return made
            made += self._continued(self.field_set.apply(chosen), key)
            if len(made) > MOST_LINES:
                too_many = Unfit(f"it would have more than {MOST_LINES} lines", value=key)
                raise rejected(self.field, too_many, self.rows_text)

    def _continued(self, line: Doc, key: str) -> list[Doc]:
        """The line; several if its text is too long. The continuation lines have the keys `key/2`, `key/3` and so on."""
        if self.runs_over is None:
            return [{LINE_KEY: key, **line}]
        name, longest = self.runs_over
        pieces = texts.wrap(str(line.get(name) or ""), longest) or [""]
        lines = []
        for index, piece in enumerate(pieces, start=1):
            marked = {LINE_KEY: key if index == 1 else f"{key}/{index}", **line}
            if piece:
                marked[name] = piece
            lines.append(marked)
        return lines


class LineCompiler:
    """Compiles the blocks of line lists."""

    def __init__(self, place: Place, scope: Scope) -> None:
        self.place, self.scope = place, scope

    def blocks(self, field: str, given: Any, line: int, shape: Shape) -> list[Block]:
        """The blocks of one line list, given as one table or as a list of tables. Raises Misconfigured."""
        item = shape.item or ANY
        if isinstance(given, Table):
            return [self._block(field, given, item)]
        if not isinstance(given, Items):
            self.place.refuse(line, f"{field} is a list of lines: give it each:, or a list of tables with each:")
        return [self._block(field, table, item) for table in self.place.tables(given, line, field)]

    def _block(self, field: str, table: Table, item: Shape) -> Block:
        outer = ValueCompiler(self.place, self.scope)
        rows = outer.expression(table, "each", field) if "each" in table else None
        scope = self.scope
        if rows is not None:
            if rows.kind not in (ValueKind.LIST, ValueKind.ANY):
                self.place.refuse(table.line_of("each"), f"{field}: {rows.text} is not a list")
            scope = scope.with_row(rows.shape.item)
        scope = self._let(table, scope, field)
        inner = ValueCompiler(self.place, scope)
        if "key" not in table:
            self.place.refuse(table.line, f"{field}: each line needs key:, such as key: id")
        where = inner.expression(table, "where", field).run if "where" in table else None
        sort = inner.expression(table, "sort", field) if "sort" in table else None
        if sort is not None and rows is None:
            self.place.refuse(table.line_of("sort"), f"{field}: sort: without each:")
        if sort is not None and sort.kind in (ValueKind.GROUP, ValueKind.LIST):
            self.place.refuse(table.line_of("sort"), f"{field}: sort: must be a single value, not a {sort.kind}")
        key = inner.expression(table, "key", field)
        if key.kind in (ValueKind.GROUP, ValueKind.LIST):
            self.place.refuse(table.line_of("key"), f"{field}: key: must be a single value, not a {key.kind}")
        field_set = FieldSetCompiler(inner, item, f"{field}.").compile(table, skip=BLOCK_ENTRIES)
        return Block(
            field,
            rows.run if rows else None,
            rows.text if rows else "",
            where,
            key.run,
            sort.run if sort else None,
            field_set,
            self._runs_over(field_set, table, field),
            id(table["let"]) if "let" in table and rows else 0,
            {name: scope.values[name].run for name in table.get("let") or ()},
        )

    def _let(self, table: Table, scope: Scope, field: str) -> Scope:
        """The scope with the named values of a row."""
        if "let" not in table:
            return scope
        given = self.place.table(table["let"], table.line_of("let"), f"let of {field}")
        for name, entry in given.items():
            compiler = ValueCompiler(self.place, scope)
            value = compiler.value(entry, given.line_of(name), name)
            with self.place.at(given.line_of(name), name):
                scope = scope.with_value(name, named(name, value, in_row=True))
        return scope

    def _runs_over(self, field_set: FieldSet, table: Table, field: str) -> tuple[str, int] | None:
        found = [(name, value.lines_of) for name, value in field_set.values.items() if value.lines_of]
        if len(found) > 1:
            self.place.refuse(table.line, f"{field}: only one field of a line can run over several lines")
        if not found:
            return None
        name, longest = found[0][0], found[0][1] or 0
        for other, value in field_set.values.items():
            if value.shape.kind not in REPEATED:
                problem = (
                    f"{field}.{other} ({value.shape.kind}) would be repeated on each line that {name} continues on"
                )
                remedy = "put the text into its own block, with a key such as id + '/text'"
                self.place.refuse(table.line_of(other), f"{problem}, and counted twice: {remedy}")
        return name, longest


def computed(values: Mapping[str, Run], frame: Frame) -> dict[str, Any]:
    """Named values, without those that cannot be computed: the mapping may not use them for this document."""
    found: dict[str, Any] = {}
    for name, run in values.items():
        with suppress(MissingLookup, Unfit, *FAILURES):
            found[name] = run(frame)
    return found


_UNSET = object()


def named(name: str, value: Value, *, in_row: bool) -> Expr:
    """A named value as an expression: computed at its first use, then cached for the row or the document."""
    run = value.run

    def cached(frame: Frame) -> Any:
        cache = frame.row_cache if in_row else frame.cache
        found = cache.get(name, _UNSET)
        if found is _UNSET:
            found = frame.routed[name](frame) if not in_row and name in frame.routed else run(frame)
            cache[name] = found
        return found

    base = cached if value.shape.kind in (ValueKind.GROUP, ValueKind.ANY) else None
    return Expr(cached, value.shape, name, base)
