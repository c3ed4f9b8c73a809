"""The mode `observe`: everything is planned and nothing is written; and how a connection goes live from there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import chunks
from syncengine.engine.core.want import want
from syncengine.store import Store
from syncengine.store.dialect import changed
from syncengine.store.models import ConnectionRow, Cursor, Link, Record
from syncengine.store.states import Lane, Status, Why

MODE = "observe"
GOING_LIVE = "going live"  # it writes, and what was observed is not all wanted again yet
LIVE = "live"
"""The reason of a record that would have been written. Going live looks at just these again."""

AT_ONCE = 500  # rows changed in one transaction


def is_observed(session: Session, connection_id: int, *, stays: bool = False) -> bool:
    """Whether nothing may be written for a connection, as its row says now (a process may know it from before).

    stays: it does not go live before this transaction ends, so that going live finds what is noted in it as observed.
    """
    mode = select(ConnectionRow.mode).where(ConnectionRow.id == connection_id)
    return session.scalar(mode.with_for_update(read=True) if stays else mode) == MODE


def observed() -> ColumnElement[bool]:
    """For a query over Record: it would have been written, had the connection been live."""
    return and_(Record.status == Status.SKIPPED, Record.why == Why.OBSERVED)


def go_live(store: Store, connection_id: int) -> int:
    """What would have been written while the connection was observed is wanted again; returns how many records.

    The connection's mode is `GOING_LIVE` already, so nothing more is noted as observed, and becomes `LIVE` at the end. Each
    transaction is short, so that workers write in between; if this is interrupted, calling it again does the rest.
    Provisional links are removed, so that who needs such an object waits for the real one. What was left alone for another
    reason (a rule, the cut-over date) stays so. Raises Transient.
    """
    _forget_planned(store, connection_id)
    with store.read() as session:
        ids = session.scalars(select(Record.id).where(*_at_rest(connection_id)).order_by(Record.id)).all()
    count = sum(_want_again(store, connection_id, some) for some in chunks(ids, AT_ONCE))
    with store.write() as session:
        arrived = update(ConnectionRow).where(ConnectionRow.id == connection_id, ConnectionRow.mode == GOING_LIVE)
        changed(session, arrived.values(mode=LIVE))
    return count


def reconsider_too_old(session: Session, connection_id: int, flows: Sequence[str], now: datetime) -> int:
    """The cut-over date of a connection is earlier from this transaction on: want what was too old; returns how many records.

    flows: those that heed the date. What a worker has in hand is wanted too, since it may still be planned by the former
    date. The feeds forget where they were, so that they are read from the new date on.
    """
    changed(
        session,
        delete(Cursor).where(Cursor.connection_id == connection_id, Cursor.flow.in_(flows)),
    )
    too_old = and_(Record.status == Status.SKIPPED, Record.why == Why.TOO_OLD)
    count = 0
    for flow in flows:
        mine = (Record.connection_id == connection_id, Record.flow == flow)
        keys = session.scalars(select(Record.key).where(*mine, or_(too_old, Record.token.is_not(None)))).all()
        for some in chunks(sorted(keys), AT_ONCE):  # in the order of all writers, so that none waits in a ring
            count += want(session, connection_id, flow, some, lane=Lane.BACKFILL, now=now)
    return count


def _forget_planned(store: Store, connection_id: int) -> None:
    some = select(Link.id).where(Link.connection_id == connection_id, Link.provisional).limit(AT_ONCE)
    removed = AT_ONCE
    while removed == AT_ONCE:
        with store.write() as session:
            removed = changed(session, delete(Link).where(Link.id.in_(some), Link.provisional))


def _at_rest(connection_id: int) -> tuple[ColumnElement[bool], ...]:
    """Observed, and nothing else is wanted of it: what is due is looked at anyway."""
    return (Record.connection_id == connection_id, observed(), Record.wanted == Record.done)


def _want_again(store: Store, connection_id: int, ids: Sequence[int]) -> int:
    keys: dict[str, list[str]] = {}
    with store.write() as session:
        still = select(Record.flow, Record.key).where(Record.id.in_(ids), *_at_rest(connection_id))
        for flow, key in session.execute(still.order_by(Record.id)):
            keys.setdefault(flow, []).append(key)
        for flow, some in keys.items():
            want(session, connection_id, flow, some, lane=Lane.BACKFILL, now=clock.now())
    return sum(map(len, keys.values()))
