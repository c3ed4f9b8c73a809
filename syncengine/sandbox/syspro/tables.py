"""SYSPRO's SQL tables in memory: names and columns as COMFND shows them (syspro-objects.md section 10).

Columns whose name begins with an underscore belong to the sandbox and are shown only by its control API.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

Value = str | int | Decimal | date | None
Row = dict[str, Value]
Key = tuple[str, ...]

#: The column that every table ends with: a rowversion, raised by each write to any row.
TIMESTAMP = "TimeStamp"
_rowversion = itertools.count(2001)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `kind` is text, decimal, integer, date or rowversion; `width` that of its text in replies.

    `initial` is the value of a row where nothing was given. A column that is not `public` is the sandbox's own: SYSPRO does
    not have it, so finds refuse it.
    """

    kind: str = "text"
    width: int = 0
    places: int = 0
    initial: Value = None
    public: bool = True

    def blank(self) -> Value:
        """The value of a row where nothing was given."""
        if self.initial is not None:
            return self.initial
        if self.kind == "decimal":
            return Decimal(0)
        return {"integer": 0, "date": None}.get(self.kind, "")


def text(length: int) -> Column:
    """A char column of this length."""
    return Column("text", length)


def decimal(digits: int, places: int) -> Column:
    """A decimal column; replies show it right aligned in `digits` + 2 characters, as recorded."""
    return Column("decimal", digits + 2, places)


INTEGER = Column("integer", 6)
DATE = Column("date", 10)
FLAG = text(1)


def own(column: Column) -> Column:
    """The column, marked as the sandbox's own."""
    return replace(column, public=False)


class Table:
    """Rows by key, with indexes over named columns. Not thread-safe by itself: the company's lock protects it."""

    def __init__(self, name: str, key: Key, columns: Mapping[str, Column], indexes: Iterable[str] = ()) -> None:
        self.name = name
        self.key = key
        self.columns: dict[str, Column] = {**columns, TIMESTAMP: Column("rowversion", 16)}
        self._rows: dict[Key, Row] = {}
        self._indexes: dict[str, dict[Value, dict[Key, None]]] = {name: {} for name in (key[0], *indexes)}
        self._order: list[Key] | None = None  # all keys in order; None after a row came or went

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def indexed(self) -> frozenset[str]:
        """The columns by which `by` can find rows."""
        return frozenset(self._indexes)

    def get(self, *key: str) -> Row | None:
        """The row of this key; None if it does not exist. Do not change it in place: use `update`."""
        return self._rows.get(key)

    def rows(self) -> list[Row]:
        """All rows in the order of their keys."""
        return list(self.rows_from(""))

    def rows_from(self, first: str) -> Iterator[Row]:
        """The rows in the order of their keys, from the first whose leading part is not less than `first`."""
        if self._order is None:
            self._order = sorted(self._rows)
        order = self._order
        return (self._rows[order[at]] for at in range(bisect_left(order, (first,)), len(order)))

    def by(self, column: str, value: Value) -> list[Row]:
        """The rows whose indexed `column` has this value, in the order of their keys."""
        return [self._rows[key] for key in sorted(self._indexes[column].get(value, ()))]

    def insert(self, **values: Value) -> Row:
        """Add a row; columns that are not given are blank.

        Raises:
            KeyError: the key is taken, or a column is unknown.
        """
        row: Row = {name: column.blank() for name, column in self.columns.items()}
        self._check(values)
        row.update(values)
        key = self._key_of(row)
        if key in self._rows:
            raise KeyError(f"{self.name} has {key} already")
        row[TIMESTAMP] = next(_rowversion)
        self._rows[key] = row
        self._order = None
        for column, index in self._indexes.items():
            index.setdefault(row[column], {})[key] = None
        return row

    def update(self, row: Row, **values: Value) -> None:
        """Change columns of a row that is in the table; its key stays."""
        self._check(values)
        key = self._key_of(row)
        for column, index in self._indexes.items():
            if column in values and values[column] != row[column]:
                index[row[column]].pop(key, None)
                index.setdefault(values[column], {})[key] = None
        row.update(values)
        row[TIMESTAMP] = next(_rowversion)

    def delete(self, row: Row) -> None:
        """Remove a row."""
        key = self._key_of(row)
        del self._rows[key]
        self._order = None
        for column, index in self._indexes.items():
            index[row[column]].pop(key, None)

    def _key_of(self, row: Row) -> Key:
        return tuple(key_text(row[name]) for name in self.key)

    def _check(self, values: Mapping[str, Value]) -> None:
        unknown = [name for name in values if name not in self.columns and not name.startswith("_")]
        if unknown:
            raise KeyError(f"{self.name} has no column {unknown[0]}")


def key_text(value: Value) -> str:
    """A key part as text that sorts as SYSPRO does: integers are padded."""
    return f"{value:04d}" if isinstance(value, int) else str(value)


def text_of(row: Row, column: str) -> str:
    """A text column; blank for None."""
    value = row.get(column)
    return "" if value is None else str(value)


def amount_of(row: Row, column: str) -> Decimal:
    """A decimal column."""
    value = row[column]
    if not isinstance(value, Decimal):
        raise TypeError(f"{column} is not a decimal: {value!r}")
    return value


def integer_of(row: Row, column: str) -> int:
    """An integer column."""
    value = row[column]
    if not isinstance(value, int):
        raise TypeError(f"{column} is not an integer: {value!r}")
    return value
