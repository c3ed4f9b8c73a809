"""The mode `observe`: plan everything and write nothing; and how a connection goes live from there."""

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
GOING_LIVE = "going live"  # it writes, but not all observed records are wanted again yet
LIVE = "live"

AT_ONCE = 500  # maximum number of rows changed in one transaction


def is_observed(session: Session, connection_id: int, *, stays: bool = False) -> bool:
    """True if nothing may be written for a connection. Reads its current row, since a process may hold an older one.

    stays: lock the row, so that the connection cannot go live before this transaction ends and going live finds the records
    that it notes as observed.
    """
    mode = select(ConnectionRow.mode).where(ConnectionRow.id == connection_id)
    return session.scalar(mode.with_for_update(read=True) if stays else mode) == MODE


def observed() -> ColumnElement[bool]:
    """A condition on Record: it would have been written if the connection had been live."""
    return and_(Record.status == Status.SKIPPED, Record.why == Why.OBSERVED)


def too_old() -> ColumnElement[bool]:
    """A condition on Record: it was skipped because it is older than the connection's cut-over date."""
    return and_(Record.status == Status.SKIPPED, Record.why == Why.TOO_OLD)


def go_live(store: Store, connection_id: int) -> int:
    """Want all records again that would have been written while the connection was observed; returns their number.

    The connection's mode is `GOING_LIVE` already, so no more records are noted as observed; it becomes `LIVE` at the end.
    Transactions are short, so that workers can write in between. After an interruption, a second call does the rest.
    Provisional links are removed, so that records that need such an object wait for the real one. Records that were skipped
    for another reason (a rule, the cut-over date) stay skipped. Raises Transient.
    """
    _forget_planned(store, connection_id)
    with store.read() as session:
        ids = session.scalars(select(Record.id).where(*_at_rest(connection_id)).order_by(Record.id)).all()
    count = sum(_want_again(store, connection_id, chunk) for chunk in chunks(ids, AT_ONCE))
    with store.write() as session:
        going_live = update(ConnectionRow).where(ConnectionRow.id == connection_id, ConnectionRow.mode == GOING_LIVE)
        changed(session, going_live.values(mode=LIVE))
    return count


def reconsider_too_old(session: Session, connection_id: int, flows: Sequence[str], now: datetime) -> int:
    """Want the records that were too old, after a connection's cut-over date became earlier; returns their number.

    flows: those that use the date. Records that a worker holds are wanted too, since it may still plan them by the former
    date. The feeds lose their positions, so that they are read from the new date on.
    """
    changed(
        session,
        delete(Cursor).where(Cursor.connection_id == connection_id, Cursor.flow.in_(flows)),
    )
    count = 0
    for flow in flows:
        mine = (Record.connection_id == connection_id, Record.flow == flow)
        keys = session.scalars(select(Record.key).where(*mine, or_(too_old(), Record.token.is_not(None)))).all()
        for chunk in chunks(sorted(keys), AT_ONCE):  # all writers use this order, so that no deadlock can occur
            count += want(session, connection_id, flow, chunk, lane=Lane.BACKFILL, now=now)
    return count


def _forget_planned(store: Store, connection_id: int) -> None:
    batch = select(Link.id).where(Link.connection_id == connection_id, Link.provisional).limit(AT_ONCE)
    removed = AT_ONCE
    while removed == AT_ONCE:
        with store.write() as session:
            removed = changed(session, delete(Link).where(Link.id.in_(batch), Link.provisional))


def _at_rest(connection_id: int) -> tuple[ColumnElement[bool], ...]:
    """Observed and not due: a due record is processed anyway."""
    return (Record.connection_id == connection_id, observed(), Record.wanted == Record.done)


def _want_again(store: Store, connection_id: int, ids: Sequence[int]) -> int:
    keys: dict[str, list[str]] = {}
    with store.write() as session:
        still = select(Record.flow, Record.key).where(Record.id.in_(ids), *_at_rest(connection_id))
        for flow, key in session.execute(still.order_by(Record.id)):
            keys.setdefault(flow, []).append(key)
        for flow, flow_keys in keys.items():
            want(session, connection_id, flow, flow_keys, lane=Lane.BACKFILL, now=clock.now())
    return sum(map(len, keys.values()))
