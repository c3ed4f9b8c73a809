"""The write ceiling: how many writes a flow of a connection makes in an hour before a person must look.

A wiped or mis-mapped system must not flow into the other. What is sent is counted in the transaction that takes it as sent,
with the ceiling's row locked: exact, however many workers write. A write that is sent again counts again. Beyond the ceiling
the flow is shut: every further write of it is held, without a count, until a person opens it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import timeline
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.want import want
from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.store.dialect import changed, upsert
from syncengine.store.models import Ceiling, ConnectionRow, Record, Sent
from syncengine.store.states import Lane, Status, Why

HOUR = timedelta(hours=1)
HELD = "write ceiling: "
"""How the reason of a record begins that is held for this."""

LONGEST_UNCOUNTED = timedelta(days=7)
"""For how long a person may have nothing counted: a first load takes days, and what takes longer needs a higher ceiling."""

A_MOMENT = timedelta(minutes=1)
"""By which the clocks of hosts may differ, and for which a worker may wait for the ceiling's row."""

AT_ONCE = 500
OPENED = "ceiling opened"


@dataclass(frozen=True, slots=True)
class Admission:
    """How many of the writes that were asked for may be made now, and why the others may not."""

    most: int
    reason: str = ""


def limit_of(connection: ConnectionRow, flow: Flow) -> int:
    """Writes an hour: the connection's figure, else that of the flow's file."""
    return int(connection.ceilings.get(flow.name, flow.ceiling))


def admit(session: Session, connection: ConnectionRow, flow: Flow, count: int, now: datetime) -> Admission:
    """How many of `count` writes may be sent in this transaction, which must be the one that takes them as sent.

    If not all of them may, the flow is shut from here on.
    """
    row = _locked(session, connection, flow)
    if row.shut_at is not None:
        return Admission(0, _reason(connection, flow, row))
    limit, since = limit_of(connection, flow), _since(row, now)
    free = limit - _sent(session, connection.id, flow, since)
    if free >= count or since > now:
        return Admission(count)
    row.shut_at, row.shut_because = now, f"{limit:,} writes within an hour, as many as its ceiling admits"
    timeline.note_flow(session, connection.id, flow.name, "ceiling reached", now, because=row.shut_because)
    return Admission(max(0, free), _reason(connection, flow, row))


def note_sent(session: Session, connection_id: int, flow: Flow, count: int, at: datetime) -> datetime:
    """Writes have left at this time, in the transaction that admitted them; or, below zero, have not left after all.

    Returns the time that was noted: what was begun just before somebody opened the flow counts from the opening on.
    """
    opened = select(Ceiling.counted_from).where(Ceiling.connection_id == connection_id, Ceiling.flow == flow.name)
    counted_from = session.scalar(opened)
    at = max(at, counted_from) if counted_from is not None and counted_from - at < A_MOMENT else at
    if count:
        old = delete(Sent).where(*_of(connection_id, flow), Sent.at <= at - HOUR)
        changed(session, old)
        session.execute(insert(Sent), [{"connection_id": connection_id, "flow": flow.name, "at": at, "count": count}])
    return at


def _of(connection_id: int, flow: Flow) -> tuple[ColumnElement[bool], ...]:
    return Sent.connection_id == connection_id, Sent.flow == flow.name


def _locked(session: Session, connection: ConnectionRow, flow: Flow) -> Ceiling:
    """The flow's row, for this transaction alone. On SQLite a writer is alone anyway."""
    mine = select(Ceiling).where(Ceiling.connection_id == connection.id, Ceiling.flow == flow.name)
    mine = mine.with_for_update().execution_options(populate_existing=True)
    row = session.scalars(mine).first()
    if row is None:
        fresh = {"connection_id": connection.id, "flow": flow.name}
        upsert(session, Ceiling, [fresh], keys=("connection_id", "flow"), update=("flow",))
        row = session.scalars(mine).one()
    return row


def _since(row: Ceiling | None, now: datetime) -> datetime:
    """From when on writes count; in the future while the flow is open without a count."""
    hour_ago = now - HOUR
    counted_from = row.counted_from if row is not None else None
    return hour_ago if counted_from is None else max(hour_ago, counted_from)


def _sent(session: Session, connection_id: int, flow: Flow, since: datetime) -> int:
    """Writes that the flow has sent since then."""
    total = select(func.sum(Sent.count)).where(*_of(connection_id, flow), Sent.at >= since)
    return session.scalar(total) or 0


def _reason(connection: ConnectionRow, flow: Flow, row: Ceiling) -> str:
    return (
        f"{HELD}{flow.name} of {connection.name} is shut since {row.shut_at:%Y-%m-%d %H:%M} UTC: {row.shut_because}. "
        f"Look why there are so many, then `syncengine ceilings open {connection.name} {flow.name} --because TEXT`"
    )


def holds() -> ColumnElement[bool]:
    """For a query over Record: it is held for its flow's ceiling, and the flow is still shut."""
    shut = select(Ceiling.id).where(
        Ceiling.connection_id == Record.connection_id, Ceiling.flow == Record.flow, Ceiling.shut_at.is_not(None)
    )
    return and_(_is_held(), shut.exists())


def _is_held() -> ColumnElement[bool]:
    return and_(Record.status == Status.HELD, Record.why == Why.CEILING)


# -- people ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opening:
    """What came of opening a flow: how many records were let go, and who had opened it already, empty if it was not open."""

    let_go: int
    opened_before_by: str = ""


@dataclass(frozen=True, slots=True)
class CeilingState:
    """The ceiling of a flow of a connection as it stands.

    limit: writes an hour. sent: writes of the last hour that count. held: records held for it. open_until: until then
    nothing is counted. opened_by: who opened it last.
    """

    connection: str
    flow: str
    limit: int
    sent: int
    held: int
    shut_at: datetime | None
    shut_because: str
    open_until: datetime | None
    opened_by: str


def listed(engine: Engine) -> list[CeilingState]:
    """The ceilings of all connections' flows that there are. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        connections = session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)).all()
        known = [(one, engine.flows[name]) for one in connections for name in one.flows if name in engine.flows]
        return [_state(session, one, flow, now) for one, flow in known]


def remedy(connection: str, flow: str) -> str:
    """What to do about a flow that is shut."""
    return (
        f"See why there is so much to write: `syncengine held list --flow {flow}`, and `syncengine sync {flow} --id KEY "
        f"--dry-run` for some of them. If it is right, `syncengine ceilings open {connection} {flow} --because TEXT`"
    )


def _state(session: Session, connection: ConnectionRow, flow: Flow, now: datetime) -> CeilingState:
    mine = select(Ceiling).where(Ceiling.connection_id == connection.id, Ceiling.flow == flow.name)
    row = session.scalars(mine).first()
    held = select(func.count()).select_from(Record)
    held = held.where(Record.connection_id == connection.id, Record.flow == flow.name, _is_held())
    since = _since(row, now)
    return CeilingState(
        connection=connection.name,
        flow=flow.name,
        limit=limit_of(connection, flow),
        sent=_sent(session, connection.id, flow, since),
        held=session.scalar(held) or 0,
        shut_at=row.shut_at if row else None,
        shut_because=row.shut_because if row else "",
        open_until=since if since > now else None,
        opened_by=row.opened_by if row else "",
    )


def open_(
    engine: Engine,
    connection_name: str,
    flow_name: str,
    *,
    by: str,
    because: str = "",
    uncounted: timedelta | None = None,
) -> Opening:
    """A person has looked: the flow writes again, and what was held is wanted again.

    uncounted: for so long nothing is counted, for a first load or a change that is meant to reach everything; without it the
    count begins at zero, after the time for which somebody else has had nothing counted. Of a flow that a person has opened
    already and that has not been shut since, the count continues: two openings admit no more than one. Records are let go some
    hundred at a time, each batch in its own transaction, so that other writers are not shut out. If this is interrupted,
    calling it again does the rest. Raises Misconfigured if the connection does not have the flow, or `uncounted` is longer
    than a week.
    """
    if uncounted is not None and uncounted > LONGEST_UNCOUNTED:
        raise Misconfigured(
            f"nothing would be counted for {uncounted.days} days",
            "Name a week at most, or raise the ceiling in syncengine.yml",
        )
    flow = engine.flow(flow_name)
    found = engine.connections(flow_name, connection_name)
    if not found:
        raise Misconfigured(f"connection {connection_name!r} does not have the flow {flow_name!r}")
    connection, now = found[0], clock.now()
    with engine.store.write() as session:  # first: what is let go while the flow is shut would be held again
        row = _locked(session, connection, flow)
        before = row.opened_by if row.shut_at is None and uncounted is None else ""
        by = before or by
        until = max(now + (uncounted or timedelta()), row.counted_from or now)
        detail = {"by": by, "because": because, "uncounted until": until if until > now else None}
        detail = {name: value for name, value in detail.items() if value}
        if not before:
            if row.shut_at is not None or until != row.counted_from:
                row.opened_by = by
            row.shut_at, row.shut_because, row.counted_from = None, "", until
            changed(session, delete(Sent).where(*_of(connection.id, flow)))
            timeline.note_flow(session, connection.id, flow.name, OPENED, now, **detail)
    with engine.store.read() as session:
        held = session.scalars(select(Record.id).where(*_at_rest(connection.id, flow)).order_by(Record.id)).all()
    return Opening(sum(_let_go(engine, connection.id, flow, some, detail) for some in chunks(held, AT_ONCE)), before)


def _at_rest(connection_id: int, flow: Flow) -> tuple[ColumnElement[bool], ...]:
    """Held for the ceiling, and nothing else is wanted of it: what is due is looked at anyway."""
    return (Record.connection_id == connection_id, Record.flow == flow.name, _is_held(), Record.wanted == Record.done)


def _let_go(engine: Engine, connection_id: int, flow: Flow, ids: Sequence[int], detail: Mapping[str, object]) -> int:
    now = clock.now()
    with engine.store.write() as session:
        still = select(Record).where(Record.id.in_(ids), *_at_rest(connection_id, flow))
        some = session.scalars(still.order_by(Record.id).with_for_update()).all()  # as another opening may do
        want(session, connection_id, flow.name, [record.key for record in some], lane=Lane.BACKFILL, now=now)
        timeline.note(session, some, OPENED, now, {record.id: detail for record in some})
    return len(some)
