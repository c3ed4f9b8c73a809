"""The few statements that SQLite and PostgreSQL write in their own ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from syncengine.store.models import Base


def lock_names(session: Session, names: Sequence[str]) -> None:
    """Have one transaction at a time go on from here for each of these names. SQLite's writers are alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        for name in sorted(names):
            session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7302015))"), {"name": name})


def insert_into(session: Session, model: type[Base]) -> Any:
    """An INSERT that knows `on_conflict_do_update`, for the dialect of the session."""
    postgres = session.get_bind().dialect.name == "postgresql"
    table = cast("Table", model.__table__)
    return postgresql.insert(table) if postgres else sqlite.insert(table)


def changed(session: Session, statement: Any) -> int:
    """Run an UPDATE or DELETE past the session's objects; how many rows it changed."""
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
    """Insert rows, one after the other; where one of the same `keys` is there, set the columns `update` to the new values.

    `update` may be a function that is given the new values (`excluded`) and returns the expressions to set. These must
    hold no IN, which cannot be sent for many rows at once.
    """
    if not rows:
        return
    statement = insert_into(session, model)
    new = statement.excluded
    changes = update(new) if callable(update) else {name: new[name] for name in update}
    statement = statement.on_conflict_do_update(index_elements=list(keys), set_=dict(changes))
    session.connection().execute(statement, [dict(row) for row in rows])  # compiled once, and then kept
