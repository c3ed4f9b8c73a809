"""COMFND, the generic find: rows of one table whose column has one of many values, in as few calls as fit.

Facts: syspro-transport.md section 8, syspro-objects.md section 10. Names are SQL names and case-sensitive, keys must be in
their stored form, and there is no paging; the number of values bounds the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncengine.connectors.syspro.business import BusinessCall, find_in
from syncengine.connectors.syspro.values import count
from syncengine.connectors.syspro.xml import all_of, content_of, text_of
from syncengine.document import Doc

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway


@dataclass(frozen=True, slots=True)
class Find:
    """One call's result: the values that it asked for, and the rows.

    `is_whole` is False if the reply may be cut: it does not hold as many rows as it says, or a whole number of hundreds. No
    source names a limit of rows (syspro-objects.md section 14, item 5); if a site has one, it will be a round number.
    """

    values: Sequence[str]
    rows: list[Doc]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """What a row must fulfil. sign: EQ, NE, GT, GE, LT or LE. value: in its stored form."""

    column: str
    sign: str
    value: str

    @property
    def expression(self) -> Doc:
        """As COMFND takes it."""
        return {"Column": self.column, "Condition": self.sign, "Value": self.value}


def rows_where(
    gateway: Gateway, table: str, column: str, values: Sequence[str], columns: Sequence[str], *,
    at_once: int, also: Sequence[Condition] = (),
) -> list[Doc]:  # fmt: skip
    """The rows of `table` whose `column` equals one of `values`, each with `columns`; in no promised order.

    A find that would be too large for a call is split in halves until it fits. also: what the rows must fulfil as well.
    """
    finds = finds_where(gateway, table, column, values, columns, at_once=at_once, also=also)
    return [row for find in finds for row in find.rows]


def uncut_rows_where(
    gateway: Gateway, table: str, column: str, values: Sequence[str], columns: Sequence[str], *,
    at_once: int, also: Sequence[Condition] = (),
) -> list[Doc]:  # fmt: skip
    """As `rows_where`, but a reply that may be cut is read again in halves, down to a single value: for rows whose absence
    means something."""
    rows: list[Doc] = []
    for find in finds_where(gateway, table, column, values, columns, at_once=at_once, also=also):
        if find.is_whole or len(find.values) == 1:
            rows += find.rows
        else:
            half = (len(find.values) + 1) // 2
            rows += uncut_rows_where(gateway, table, column, find.values, columns, at_once=half, also=also)
    return rows


def finds_where(
    gateway: Gateway, table: str, column: str, values: Sequence[str], columns: Sequence[str], *,
    at_once: int, also: Sequence[Condition] = (),
) -> Iterator[Find]:  # fmt: skip
    """As `rows_where`, call by call: each value is in one of them."""

    def call(part: Sequence[str]) -> BusinessCall:
        return _call(table, column, part, columns, also)

    for part in _parts(gateway, call, list(dict.fromkeys(values)), at_once):
        rows, is_whole = _answer(gateway, call(part))
        yield Find(part, rows, is_whole)


def _answer(gateway: Gateway, call: BusinessCall) -> tuple[list[Doc], bool]:
    """The rows of a reply, and whether it is certain that none is cut off (see `Find`)."""
    content = content_of(gateway.call(call))
    rows = [row for row in all_of(content, "Row") if isinstance(row, dict)]
    says_all = count(text_of(content, "RowsReturned")) == len(rows)
    return rows, says_all and (not rows or len(rows) % 100 != 0)


@dataclass(frozen=True, slots=True)
class After:
    """Where a page of a table begins: behind the row with this value and, among rows of that value, behind this key.

    value: in its stored form. key: empty for the first row of that value.
    """

    column: str
    value: str
    key_column: str
    key: str = ""


def page_after(
    gateway: Gateway, table: str, after: After, columns: Sequence[str], *, most: int, also: Sequence[Condition] = (),
) -> list[Doc]:  # fmt: skip
    """At most `most` rows of `table` behind `after`, in the order of its two columns. also: what they must fulfil as well.

    COMFND has no paging, so a page begins behind the last row of the one before (syspro-objects.md section 10).
    """
    there = {"Column": after.column, "Value": after.value}
    if after.key:
        where: list[Doc] = [
            {"OpenBracket": "(", **there, "Condition": "GT"},
            {"AndOr": "Or", "OpenBracket": "(", **there, "Condition": "EQ"},
            {"AndOr": "And", "Column": after.key_column, "Condition": "GT", "Value": after.key, "CloseBracket": "))"},
        ]
    else:
        where = [{**there, "Condition": "GE"}]
    where += [{"AndOr": "And", **condition.expression} for condition in also]
    content = {
        "TableName": table,
        "ReturnRows": str(most),
        "Columns": {"Column": list(columns)},
        "Where": {"Expression": where},
        "OrderBy": {"Column": [after.column, after.key_column]},
    }
    found = content_of(gateway.call(BusinessCall(find_in(table), "Query", content)))
    return [row for row in all_of(found, "Row") if isinstance(row, dict)]


def first_where(gateway: Gateway, table: str, equal: Mapping[str, str], columns: Sequence[str]) -> Doc | None:
    """One row of `table` whose columns have these values, the first by the first of `columns`; None if there is none."""
    expressions: list[Doc] = [
        {**({"AndOr": "And"} if position else {}), "Column": column, "Condition": "EQ", "Value": value}
        for position, (column, value) in enumerate(equal.items())
    ]
    content = {
        "TableName": table,
        "ReturnRows": "1",
        "Columns": {"Column": list(columns)},
        "Where": {"Expression": expressions},
        "OrderBy": {"Column": [columns[0]]},
    }
    found = content_of(gateway.call(BusinessCall(find_in(table), "Query", content)))
    return next((row for row in all_of(found, "Row") if isinstance(row, dict)), None)


def groups_after(
    gateway: Gateway, table: str, key: str, conditions: Sequence[Condition], columns: Sequence[str], *,
    then_by: str, most: int,
) -> tuple[list[Doc], bool]:  # fmt: skip
    """The first rows that fulfil all `conditions`, in the order of `key` and `then_by`, and whether more may follow.

    Rows with the same `key` come all or not at all: what a full page may have cut is left to the next one, which begins
    behind the last key of this one. most: rows that one call returns; a key with more rows than that is asked for again.
    """
    before = -1
    while True:
        content = {
            "TableName": table,
            "ReturnRows": str(most),
            "Columns": {"Column": list(columns)},
            **_where([condition.expression for condition in conditions]),
            "OrderBy": {"Column": [key, then_by]},
        }
        rows, is_whole = _answer(gateway, BusinessCall(find_in(table), "Query", content))
        if (is_whole and len(rows) < most) or len(rows) == before:
            return rows, False
        last = text_of(rows[-1], key) if rows else ""
        whole = [row for row in rows if text_of(row, key) != last]
        if whole:
            return whole, True
        before, most = len(rows), most * 2


def _where(expressions: Sequence[Doc]) -> Doc:
    """All of them must hold."""
    if not expressions:
        return {}
    first, *others = expressions
    return {"Where": {"Expression": [first, *({"AndOr": "And", **other} for other in others)]}}


def _parts(
    gateway: Gateway, call: Callable[[Sequence[str]], BusinessCall], values: Sequence[str], at_once: int
) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), at_once):
        yield from _fitting(gateway, call, values[start : start + at_once])


def _fitting(
    gateway: Gateway, call: Callable[[Sequence[str]], BusinessCall], values: Sequence[str]
) -> Iterator[Sequence[str]]:
    if len(values) == 1 or gateway.fits(call(values)):
        yield values
        return
    half = (len(values) + 1) // 2
    yield from _fitting(gateway, call, values[:half])
    yield from _fitting(gateway, call, values[half:])


def _call(
    table: str, column: str, values: Sequence[str], columns: Sequence[str], also: Sequence[Condition]
) -> BusinessCall:
    """One pair of brackets around all values: each further pair would cost 50 bytes of the address."""
    expressions: list[Doc] = []
    for position, value in enumerate(values):
        expression: Doc = {"AndOr": "Or"} if position else {}
        if position == 0:
            expression["OpenBracket"] = "("
        expression |= {"Column": column, "Condition": "EQ", "Value": value}
        if position == len(values) - 1:
            expression["CloseBracket"] = ")"
        expressions.append(expression)
    content = {
        "TableName": table,
        "Columns": {"Column": list(columns)},
        "Where": {"Expression": [*expressions, *({"AndOr": "And", **condition.expression} for condition in also)]},
        "OrderBy": {"Column": [column]},
    }
    return BusinessCall(find_in(table), "Query", content)
