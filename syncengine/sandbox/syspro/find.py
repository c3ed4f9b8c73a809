"""COMFND (generic find over a table) and COMFCH (fetch one row). Source: syspro-objects.md section 10.

Names are SQL names and case-sensitive, key values must be in their stored form, there are no joins and no paging.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import islice
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import TIMESTAMP, Column, Row, Table, Value
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlin import children
from syncengine.sandbox.syspro.xmlout import Node, Style, plain

_CONDITIONS = ("EQ", "NE", "GT", "GE", "LT", "LE", "LIKE")
_MOST_BRACKETS = 3
#: A null date as COMFCH shows it.
_NULL_DATE = "0000-00-00"


@dataclass(slots=True)
class Term:
    """Part of a Where: its condition, and the candidates that an index gives (None: any row)."""

    holds: Callable[[Row], bool]
    rows: list[Row] | None = None


def comfnd(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """Rows of a table.

    Raises:
        EnetError: unknown table, column or condition. The texts are not public.
    """
    table = _table(company, document)
    columns = _columns(company, table, document)
    order = [_known(company, table, (child.text or "").strip()) for child in document.findall("OrderBy/Column")]
    where = document.find("Where")
    expressions = list(children(where, "Expression")) if where is not None else []
    term = _Parser(company, table, expressions).parse() if expressions else Term(lambda _: True)
    asked = (document.findtext("ReturnRows") or "").strip()
    limits = [int(asked) if asked.isdigit() else 0, company.switches.integer("syspro_find_most_rows")]
    limit = min(filter(None, limits), default=None)
    if term.rows is None and _is_key_order(table, order):
        found = (row for row in table.rows_from(_first_key(table, expressions)) if term.holds(row))
        return _reply(company.style(session), table, columns, order, list(islice(found, limit)))
    candidates = term.rows if term.rows is not None else table.rows()
    rows = _sorted([row for row in candidates if term.holds(row)], [(name, False) for name in order], table)
    if (sequence := document.find("Sequence")) is not None and not order:
        rows = _sorted(rows, _sequence(company, table, sequence), table)
    return _reply(company.style(session), table, columns, order, rows[:limit])


def _is_key_order(table: Table, order: list[str]) -> bool:
    return (
        bool(order)
        and order == list(table.key[: len(order)])
        and all(table.columns[name].kind == "text" for name in order)
    )


def _first_key(table: Table, expressions: list[Element]) -> str:
    """Where a page of a key begins: all conditions must hold, and one of them says which keys are too small."""
    if any(_text(each, "AndOr").lower() == "or" for each in expressions[1:]):
        return ""
    begins = [
        _text(each, "Value")
        for each in expressions
        if _text(each, "Column") == table.key[0] and _text(each, "Condition").upper() in ("GT", "GE")
    ]
    return max(begins, default="")


def _reply(style: Style, table: Table, columns: list[str], order: list[str], rows: list[Row]) -> str:
    details = [Node("TableName", table.name), Node("Columns", [Node("Column", name) for name in columns])]
    if order:
        details.append(Node("OrderBy", [Node("Column", name) for name in order]))
    nodes = [Node("HeaderDetails", details)]
    for row in rows:
        nodes.append(Node("Row", [Node(name, style.cell(row[name], table.columns[name])) for name in columns]))
    nodes.append(Node("RowsReturned", style.number(Decimal(len(rows)), 8, 0)))
    return style.document(table.name, nodes)


def comfch(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """One whole row by Key and OptionalKey1..12, flat under a root named after the table.

    Raises:
        EnetError: the row does not exist. The text is not public.
    """
    table = _table(company, document)
    given = [(document.findtext(name) or "").strip() for name in ("Key", *(f"OptionalKey{n}" for n in range(1, 13)))]
    parts = given[: len(table.key)]
    parts = [
        part.zfill(4) if table.columns[name].kind == "integer" else part
        for name, part in zip(table.key, parts, strict=True)
    ]
    row = table.get(*parts)
    if row is None:
        raise EnetError(f"Key '{given[0]}' not found in table '{table.name}'")
    style = company.style(session)
    nodes = []
    for name, column in table.columns.items():
        if _is_known(company, table, name):
            value = row[name]
            shown = replace(column, width=column.width - 1)  # as recorded: without a place for the sign
            text = _NULL_DATE if column.kind == "date" and value is None else style.cell(value, shown)
            nodes.append(Node(name, text))
    return style.document(table.name, nodes)


def _table(company: Company, document: Element) -> Table:
    name = (document.findtext("TableName") or "").strip()
    table = company.tables.get(name)
    is_hidden = name.startswith("Mdn") and not company.switches.on("syspro_find_dispatch_notes")
    if table is None or name.startswith("_") or is_hidden:
        raise EnetError(f"Table '{name}' not found")
    return table


def _is_known(company: Company, table: Table, name: str) -> bool:
    column = table.columns.get(name)
    if column is None or not column.public:
        return False
    return name != TIMESTAMP or company.switches.on("syspro_find_timestamp")


def _known(company: Company, table: Table, name: str) -> str:
    if not _is_known(company, table, name):
        raise EnetError(f"Column '{name}' not found in table '{table.name}'")
    return name


def _columns(company: Company, table: Table, document: Element) -> list[str]:
    named = [(child.text or "").strip() for child in document.findall("Columns/Column")]
    if not named and (document.findtext("AllColumns") or "").strip().upper() == "Y":
        return [name for name in table.columns if _is_known(company, table, name)]
    if not named:
        raise EnetError("XML element 'Column' not found")
    return [_known(company, table, name) for name in named]


def _sequence(company: Company, table: Table, sequence: Element) -> list[tuple[str, bool]]:
    """Version 8: columns with their direction as attributes."""
    return [
        (_known(company, table, child.get("Name", "")), child.get("Orderby", "A").upper() == "D")
        for child in children(sequence, "Column")
    ]


def _sorted(rows: list[Row], order: list[tuple[str, bool]], table: Table) -> list[Row]:
    for name, descending in reversed(order):
        kind = table.columns[name].kind
        rows = sorted(rows, key=lambda row, name=name, kind=kind: _comparable(row[name], kind), reverse=descending)  # type: ignore[misc]
    return rows


def _comparable(value: Value, kind: str) -> Decimal | str:
    if kind in ("decimal", "integer", "rowversion"):
        return Decimal(value) if isinstance(value, Decimal | int) else Decimal(0)
    return plain(value)


class _Parser:
    """Turns expressions, joined by And and Or and grouped by up to three brackets, into one term. And binds closer."""

    def __init__(self, company: Company, table: Table, expressions: list[Element]) -> None:
        self._company = company
        self._table = table
        self._tokens: list[str | Element] = []
        for number, expression in enumerate(expressions):
            if number:  # AndOr is ignored on the first expression
                self._tokens.append("or" if _text(expression, "AndOr").lower() == "or" else "and")
            self._tokens += ["("] * self._brackets(expression, "OpenBracket", "(")
            self._tokens.append(expression)
            self._tokens += [")"] * self._brackets(expression, "CloseBracket", ")")
        self._at = 0

    def parse(self) -> Term:
        """The whole Where.

        Raises:
            EnetError: unbalanced brackets, or an expression that cannot be parsed.
        """
        term = self._any()
        if self._at != len(self._tokens):
            raise EnetError("Brackets in the Where clause do not match")
        return term

    @staticmethod
    def _brackets(expression: Element, name: str, sign: str) -> int:
        text = _text(expression, name)
        if text.strip(sign) or len(text) > _MOST_BRACKETS:
            raise EnetError(f"Value '{text}' is invalid for XML element '{name}'")
        return len(text)

    def _next_is(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False

    def _any(self) -> Term:
        terms = [self._all()]
        while self._next_is("or"):
            terms.append(self._all())
        if len(terms) == 1:
            return terms[0]
        tests = [term.holds for term in terms]
        return Term(lambda row: any(test(row) for test in tests), self._union(terms))

    def _all(self) -> Term:
        terms = [self._one()]
        while self._next_is("and"):
            terms.append(self._one())
        if len(terms) == 1:
            return terms[0]
        tests = [term.holds for term in terms]
        found = [term.rows for term in terms if term.rows is not None]
        return Term(lambda row: all(test(row) for test in tests), min(found, key=len) if found else None)

    def _union(self, terms: list[Term]) -> list[Row] | None:
        found: dict[int, Row] = {}
        for term in terms:
            if term.rows is None:
                return None
            found.update((id(row), row) for row in term.rows)
        return list(found.values())

    def _one(self) -> Term:
        if self._next_is("("):
            term = self._any()
            if not self._next_is(")"):
                raise EnetError("Brackets in the Where clause do not match")
            return term
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if not isinstance(token, Element):
            raise EnetError("Brackets in the Where clause do not match")
        self._at += 1
        return self._comparison(token)

    def _comparison(self, expression: Element) -> Term:
        name = _known(self._company, self._table, _text(expression, "Column"))
        condition = _text(expression, "Condition").upper()
        if condition not in _CONDITIONS:  # SQL text is refused
            raise EnetError(f"Value '{condition}' is invalid for XML element 'Condition'")
        kind = self._table.columns[name].kind
        if other := _text(expression, "ColumnName"):
            other = _known(self._company, self._table, other)
            return Term(lambda row: _compare(row[name], condition, _comparable(row[other], kind), kind))
        value = _text(expression, "Value")
        if condition == "LIKE":
            pattern = _like(value)
            return Term(lambda row: pattern.fullmatch(plain(row[name])) is not None)
        wanted = _wanted(value, self._table.columns[name], name)
        rows = (
            self._table.by(name, value)
            if condition == "EQ" and kind == "text" and name in self._table.indexed
            else None
        )
        return Term(lambda row: _compare(row[name], condition, wanted, kind), rows)


def _text(expression: Element, name: str) -> str:
    return (expression.findtext(name) or "").strip()


def _like(value: str) -> re.Pattern[str]:
    """`*` matches any characters, `?` a single one."""
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in value))


def _wanted(value: str, column: Column, name: str) -> Decimal | str:
    if column.kind == "rowversion":
        return Decimal(int(value, 16)) if re.fullmatch(r"[0-9A-Fa-f]+", value) else Decimal(0)
    if column.kind in ("decimal", "integer"):
        try:
            return Decimal(value)
        except InvalidOperation:
            raise EnetError(f"XML element '{name}' must be numeric") from None
    return value


def _compare(value: Value, condition: str, wanted: Decimal | str, kind: str) -> bool:
    """Compare as SQL does: a null date is neither less nor greater than any date."""
    if kind == "date" and value is None:
        return condition == ("EQ" if wanted in ("", _NULL_DATE) else "NE")
    own = _comparable(value, kind)
    if isinstance(own, Decimal) and isinstance(wanted, Decimal):
        sign = own.compare(wanted)
    else:
        sign = Decimal((str(own) > str(wanted)) - (str(own) < str(wanted)))
    return {
        "EQ": sign == 0,
        "NE": sign != 0,
        "GT": sign > 0,
        "GE": sign >= 0,
        "LT": sign < 0,
        "LE": sign <= 0,
    }[condition]
