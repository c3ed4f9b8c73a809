"""Lines of a target document: rows of the source split over line lists, chosen, ordered, keyed, and continued."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.document import LINE_KEY, Doc
from syncengine.mapping import texts
from syncengine.mapping.complaints import Place
from syncengine.mapping.groups import Group, GroupCompiler
from syncengine.mapping.order import rank, truth
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit, key_text, rejected
from syncengine.mapping.scope import Expr, Scope
from syncengine.mapping.shapes import ANY, Kind, Shape
from syncengine.mapping.values import LinkProbe, Value, ValueCompiler
from syncengine.mapping.yaml_lines import Items, Table

BLOCK_ENTRIES = ("each", "where", "key", "sort", "let")
MOST_LINES = 10_000
"""Rows that a block takes, and lines that it makes."""
REPEATED = (Kind.TEXT, Kind.DATE, Kind.DATETIME, Kind.BOOLEAN)
"""What the further lines of a text that runs over may repeat: nobody adds these up."""


@dataclass(frozen=True)
class Block:
    """One way in which lines of a list come about: from each row of a source list, or once from the document itself."""

    field: str
    rows: Run | None
    rows_text: str
    where: Run | None
    key: Run
    sort: Run | None
    group: Group
    runs_over: tuple[str, int] | None
    let: int = 0  # the same for blocks that share one `let:` by a YAML anchor; 0 for none

    @property
    def links(self) -> list[LinkProbe]:
        return self.group.links

    def frames(self, frame: Frame) -> Iterator[Frame]:
        """The frame, once for each row that is chosen. Raises Unfit or what FAILURES names."""
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

    def lines(self, frame: Frame) -> list[Doc]:
        """The lines of this block, each with its key. Raises Rejected or MissingLookup."""
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
            made += self._continued(self.group.apply(chosen), key)
            if len(made) > MOST_LINES:
                many = Unfit(f"it would have more than {MOST_LINES} lines", value=key)
                raise rejected(self.field, many, self.rows_text)

    def _continued(self, line: Doc, key: str) -> list[Doc]:
        """The line; several, if its text runs over: the further ones bear `key/2`, `key/3` and so on."""
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
        """The blocks of one line list: one table, or a list of them. Raises Misconfigured."""
        item = shape.item or ANY
        if isinstance(given, Table):
            return [self._block(field, given, item)]
        if not isinstance(given, Items):
            self.place.refuse(line, f"{field} is a list of lines: it needs each:, or a list of such tables")
        return [self._block(field, table, item) for table in self.place.tables(given, line, field)]

    def _block(self, field: str, table: Table, item: Shape) -> Block:
        outer = ValueCompiler(self.place, self.scope)
        rows = outer.expression(table, "each", field) if "each" in table else None
        scope = self.scope
        if rows is not None:
            if rows.kind not in (Kind.LIST, Kind.ANY):
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
        if sort is not None and sort.kind in (Kind.GROUP, Kind.LIST):
            self.place.refuse(table.line_of("sort"), f"{field}: sort: must be a single value, not a {sort.kind}")
        key = inner.expression(table, "key", field)
        if key.kind in (Kind.GROUP, Kind.LIST):
            self.place.refuse(table.line_of("key"), f"{field}: key: must be a single value, not a {key.kind}")
        group = GroupCompiler(inner, item, f"{field}.").compile(table, skip=BLOCK_ENTRIES)
        return Block(
            field,
            rows.run if rows else None,
            rows.text if rows else "",
            where,
            key.run,
            sort.run if sort else None,
            group,
            self._runs_over(group, table, field),
            id(table["let"]) if "let" in table and rows else 0,
        )

    def _let(self, table: Table, scope: Scope, field: str) -> Scope:
        """Named values of a row, computed at most once for each."""
        if "let" not in table:
            return scope
        given = self.place.table(table["let"], table.line_of("let"), f"let of {field}")
        for name, entry in given.items():
            compiler = ValueCompiler(self.place, scope)
            value = compiler.value(entry, given.line_of(name), name)
            with self.place.at(given.line_of(name), name):
                scope = scope.with_value(name, named(name, value, in_row=True))
        return scope

    def _runs_over(self, group: Group, table: Table, field: str) -> tuple[str, int] | None:
        found = [(name, value.lines_of) for name, value in group.values.items() if value.lines_of]
        if len(found) > 1:
            self.place.refuse(table.line, f"{field}: only one field of a line can run over several lines")
        if not found:
            return None
        name, longest = found[0][0], found[0][1] or 0
        for other, value in group.values.items():
            if value.shape.kind not in REPEATED:
                told = f"{field}.{other} ({value.shape.kind}) would be repeated in each line that {name} runs over"
                remedy = "give the text a block of its own, with a key such as id + '/text'"
                self.place.refuse(table.line_of(other), f"{told}, and counted twice: {remedy}")
        return name, longest


_UNSET = object()


def named(name: str, value: Value, *, in_row: bool) -> Expr:
    """A named value as an expression: computed when it is first asked for, then remembered for the row or document."""
    run = value.run

    def remembered(frame: Frame) -> Any:
        cache = frame.row_cache if in_row else frame.cache
        found = cache.get(name, _UNSET)
        if found is _UNSET:
            found = frame.routed[name](frame) if not in_row and name in frame.routed else run(frame)
            cache[name] = found
        return found

    base = remembered if value.shape.kind in (Kind.GROUP, Kind.ANY) else None
    return Expr(remembered, value.shape, name, base)
