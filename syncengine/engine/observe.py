"""The mode `observe`: everything is planned and nothing is written; and how a connection goes live from there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from syncengine.engine.want import want
from syncengine.store.models import Connection, Link, Record
from syncengine.store.states import Lane, Status

MODE = "observe"
OBSERVED = "observed, not written"
"""The reason of a record that would have been written. Going live looks at just these again."""


def is_observed(session: Session, connection_id: int, *, stays: bool = False) -> bool:
    """Whether nothing may be written for a connection, as its row says now (a process may know it from before).

    stays: it does not go live before this transaction ends, so that going live finds what is noted in it as observed.
    """
    mode = select(Connection.mode).where(Connection.id == connection_id)
    return session.scalar(mode.with_for_update(read=True) if stays else mode) == MODE


def observed() -> ColumnElement[bool]:
    """For a query over Record: it would have been written, had the connection been live."""
    return and_(Record.status == Status.SKIPPED, Record.reason == OBSERVED)


def go_live(session: Session, connection_id: int, now: datetime) -> int:
    """What would have been written while the connection was observed is wanted again; returns how many records.

    Provisional links are removed, so that who needs such an object waits for the real one. What was left alone for another
    reason (a rule, the cut-over date) stays so.
    """
    session.execute(delete(Link).where(Link.connection_id == connection_id, Link.provisional))
    keys: dict[str, list[str]] = {}
    for flow, key in session.execute(
        select(Record.flow, Record.key).where(Record.connection_id == connection_id, observed()).order_by(Record.id)
    ):
        keys.setdefault(flow, []).append(key)
    for flow, some in keys.items():
        want(session, connection_id, flow, some, lane=Lane.BACKFILL, now=now)
    return sum(map(len, keys.values()))
