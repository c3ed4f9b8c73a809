"""The few statements that differ between SQLite and PostgreSQL."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from syncengine.store.models import Base


def lock_names(session: Session, names: Sequence[str]) -> None:
    """Let only one transaction at a time continue for each of these names. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        for name in sorted(names):
            session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7302015))"), {"name": name})


def insert_into(session: Session, model: type[Base]) -> Any:
    """An INSERT with `on_conflict_do_update`, for the dialect of the session."""
    return _insert(model, session.get_bind().dialect.name)


def _insert(model: type[Base], dialect: str) -> Any:
    table = cast("Table", model.__table__)
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def changed(session: Session, statement: Any) -> int:
    """Run an UPDATE or DELETE without updating the session's objects. Returns the number of changed rows."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


def upsert(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    update: Sequence[str] | Callable[[Any], Mapping[str, Any]],
) -> None:
    """Insert rows; if a row with the same `keys` exists, set its columns `update` to the new values.

    `update` may be a function of a module that takes the new values (`excluded`) and returns the expressions to set, always
    the same. They must not contain IN, which cannot be sent for several rows at once.
    """
    if not rows:
        return
    how = update if callable(update) else tuple(update)
    statement = _upsert(model, session.get_bind().dialect.name, tuple(keys), how)
    session.connection().execute(statement, [dict(row) for row in rows])  # compiled once, then cached


@functools.cache
def _upsert(
    model: type[Base], dialect: str, keys: tuple[str, ...], update: tuple[str, ...] | Callable[[Any], Mapping[str, Any]]
) -> Any:
    """The statement, built once: that takes longer than SQLite takes to run it."""
    statement = _insert(model, dialect)
    new = statement.excluded
    changes = update(new) if callable(update) else {name: new[name] for name in update}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=dict(changes))
