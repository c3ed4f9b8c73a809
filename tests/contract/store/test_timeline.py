"""The timeline is append only: the database itself refuses to change it, or to remove what is young."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from syncengine.engine.core import timeline
from syncengine.errors import SyncError
from syncengine.store import Store
from syncengine.store.models import Event

NOW = datetime.now(UTC)


@pytest.fixture
def written(store: Store) -> Store:
    """A store with an event of today and one of 40 days ago."""
    with store.write() as session:
        timeline.note_endpoint(session, "erp", "today", NOW)
        timeline.note_endpoint(session, "erp", "long ago", NOW - timedelta(days=40))
    return store


@pytest.mark.parametrize(
    "statement",
    [
        update(Event).values(what="something else"),
        update(Event).where(Event.what == "long ago").values(detail={}),
        delete(Event).where(Event.what == "today"),
        delete(Event),
    ],
    ids=["changed", "old changed", "removed", "all removed"],
)
def test_nobody_changes_the_timeline(written: Store, statement: object) -> None:
    with pytest.raises((SQLAlchemyError, SyncError), match="append only"), written.write() as session:
        session.execute(statement)  # type: ignore[call-overload]

    with written.read() as session:
        assert set(session.scalars(select(Event.what))) == {"today", "long ago"}


def test_nobody_replaces_events_or_empties_the_timeline(written: Store) -> None:
    """SQLite's REPLACE fires no delete trigger, PostgreSQL's TRUNCATE no row trigger."""
    statements = (
        "REPLACE INTO event (id, at, what, detail) SELECT id, at, 'forged', detail FROM event",
        "INSERT OR REPLACE INTO event (id, at, what, detail) SELECT max(id), max(at), 'forged', '{}' FROM event",
        "UPDATE OR REPLACE event SET id = (SELECT max(id) FROM event), what = 'forged'",
    )
    for statement in statements if written.is_sqlite else ("TRUNCATE event", "TRUNCATE record, event CASCADE"):
        with pytest.raises((SQLAlchemyError, SyncError), match="append only"), written.write() as session:
            session.execute(text(statement))

    with written.write() as session:
        timeline.note_endpoint(session, "erp", "later", NOW)
    with written.read() as session:
        assert session.scalars(select(Event.what).order_by(Event.id)).all() == ["today", "long ago", "later"]


def test_what_is_old_may_be_removed(written: Store) -> None:
    with written.write() as session:
        session.execute(delete(Event).where(Event.at < NOW - timedelta(days=35)))

    with written.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1
