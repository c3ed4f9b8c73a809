"""The timeline is append only: the database itself refuses to change it, or to remove what is young."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from syncengine.engine import timeline
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


def test_what_is_old_may_be_removed(written: Store) -> None:
    with written.write() as session:
        session.execute(delete(Event).where(Event.at < NOW - timedelta(days=35)))

    with written.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1
