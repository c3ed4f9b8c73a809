"""Choosing records and summing them up, for every list that people see: held records, dead letters, the observe report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from syncengine.engine.core.engine import Engine
from syncengine.engine.decide.plan import Step
from syncengine.store.models import ConnectionRow, Failure, Record

MOST_KEYS = 3
"""Keys that a group names as examples."""

Column = InstrumentedAttribute[Any]
Row = TypeVar("Row", Record, Failure)


# -- choosing ----------------------------------------------------------------------------------------------------------


def conditions(
    *,
    equal: Iterable[tuple[Column, object]] = (),
    containing: Iterable[tuple[Column, str | None]] = (),
    among: Iterable[tuple[Column, Sequence[object]]] = (),
    since: tuple[Column, datetime | None] | None = None,
) -> list[ColumnElement[bool]]:
    """Conditions for a query, of those pairs that have a value; an empty one does not narrow.

    containing: the text is a part of the column's, in capitals or not. since: then (UTC) or later.
    """
    found: list[ColumnElement[bool]] = [column == value for column, value in equal if value]
    found += [func.lower(column).contains(text.lower(), autoescape=True) for column, text in containing if text]
    found += [column.in_(values) for column, values in among if values]
    if since is not None and since[1] is not None:
        found.append(since[0] >= since[1])
    return found


def named(model: type[Row], where: Sequence[ColumnElement[bool]]) -> Select[Row, str]:
    """A query for rows with the names of their connections. where: conditions over both."""
    query = select(model, ConnectionRow.name).join(ConnectionRow, ConnectionRow.id == model.connection_id)
    return query.where(*where)


def count(session: Session, model: type[Row], where: Sequence[ColumnElement[bool]]) -> int:
    """How many rows meet the conditions. Raises Transient."""
    return session.scalar(named(model, where).with_only_columns(func.count(model.id))) or 0


# -- summing up --------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Group:
    """Records of one cause: how many, and the times (UTC) of the first and the last one."""

    count: int = 0
    first: datetime
    last: datetime

    def add(self, at: datetime) -> None:
        """Count one more, of this time."""
        self.count += 1
        self.first, self.last = min(self.first, at), max(self.last, at)


@dataclass(slots=True, kw_only=True)
class WriteSum:
    """Writes of one kind: how many, and the net worth of the documents they write, by currency."""

    count: int = 0
    worth: dict[str, Decimal] = field(default_factory=dict)

    def add(self, engine: Engine, connection_id: int, step: Step) -> None:
        """Count one more. Raises Misconfigured if the connection cannot be opened."""
        self.count += 1
        net = engine.connection(connection_id).resource(step.resource).worth(step.operation.doc)
        if net is not None:
            currency, value = net
            self.worth[currency] = self.worth.get(currency, Decimal(0)) + value


@dataclass(slots=True, kw_only=True)
class UnwrittenSum:
    """Records that would not be written, for one reason: how many, and the keys of the first few."""

    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str, count: int = 1) -> None:
        """Count some more, of which `key` is one."""
        self.count += count
        if len(self.keys) < MOST_KEYS:
            self.keys.append(key)
