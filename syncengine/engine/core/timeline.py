"""The append-only event log of records. Details contain no payload and no secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, literal, select
from sqlalchemy.orm import Session

from syncengine.redaction import redact
from syncengine.store.models import Event, Record


def note(
    session: Session,
    records: Iterable[Record],
    what: str,
    now: datetime,
    details: Mapping[int, Mapping[str, Any]] | None = None,
) -> None:
    """Add one event for each record in one statement; `details` are by record id."""
    note_each(session, [(record, (details or {}).get(record.id, {})) for record in records], what, now)


def note_each(session: Session, what_of: Iterable[tuple[Record, Mapping[str, Any]]], what: str, now: datetime) -> None:
    """Add one event for each pair of record and details in one statement; a record may occur twice."""
    rows = [_row(record, what, now, detail) for record, detail in what_of]
    if rows:
        session.execute(insert(Event), rows)


def note_one(session: Session, record: Record, what: str, now: datetime, **detail: Any) -> None:
    """Add one event for one record."""
    note(session, [record], what, now, {record.id: detail})


def note_where(session: Session, condition: ColumnElement[bool], what: str, now: datetime) -> None:
    """Add one event for each record that meets the condition, without loading them."""
    columns = (Record.id, Record.connection_id, Record.flow, Record.key)
    detail = literal({}, type_=Event.__table__.c.detail.type)
    chosen = select(literal(now, type_=Event.__table__.c.at.type), *columns, literal(what), detail).where(condition)
    names = ["at", "record_id", "connection_id", "flow", "key", "what", "detail"]
    session.execute(insert(Event).from_select(names, chosen))


def note_endpoint(session: Session, endpoint: str, what: str, now: datetime, **detail: Any) -> None:
    """Add one event about an endpoint; its name is the event's key."""
    session.execute(
        insert(Event),
        [{"at": now, "key": endpoint, "what": what, "detail": redact(detail), "flow": "", "record_id": None}],
    )


def note_installation(session: Session, what: str, now: datetime, **detail: Any) -> None:
    """Add one event about the installation."""
    note_endpoint(session, "", what, now, **detail)


def note_flow(session: Session, connection_id: int, flow: str, what: str, now: datetime, **detail: Any) -> None:
    """Add one event about a flow of a connection."""
    row = {"at": now, "connection_id": connection_id, "flow": flow, "what": what, "detail": redact(detail)}
    session.execute(insert(Event), [{**row, "key": "", "record_id": None}])


def last_by_hand(session: Session, what: str, *mine: ColumnElement[bool]) -> str:
    """Who did this last, as text to follow a sentence: ` (unlinked by hand: anna, 2026-03-02 09:00 UTC)`; may be empty.

    mine: conditions on Event; at least one must be selective by an index, such as the record or a time.
    """
    query = select(Event.at, Event.detail).where(Event.what == what, *mine).order_by(Event.id.desc()).limit(1)
    found = session.execute(query).first()
    return "" if found is None else f" ({what}: {found.detail.get('by', 'nobody')}, {found.at:%Y-%m-%d %H:%M} UTC)"


def _row(record: Record, what: str, now: datetime, detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": now,
        "record_id": record.id,
        "connection_id": record.connection_id,
        "flow": record.flow,
        "key": record.key,
        "what": what,
        "detail": redact(dict(detail)),
    }
