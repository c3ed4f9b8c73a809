"""The write ceiling: how many writes a flow of a connection may make in an hour before a person must review them.

A wiped or mis-mapped system must not overwrite the other. Writes are counted in the transaction that marks them as sent, with
the ceiling's row locked, so the count is exact however many workers write. A write that is sent again counts again. Beyond
the ceiling the flow is shut: all its further writes are held, and not counted, until a person opens it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import records, timeline
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.want import want
from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.store.dialect import changed, upsert
from syncengine.store.models import Ceiling, ConnectionRow, Record, Sent
from syncengine.store.states import Lane, Status, Why

HOUR = timedelta(hours=1)
VANISHED = "vanished"
"""The kind of a sent write that has set a level to nothing."""

CHECK_VANISHED = "Check whether the source was wiped, restored or replaced by another"

LONGEST_UNCOUNTED = timedelta(days=7)
"""The longest time without a count that a person may ask for. A first load takes days; more needs a higher ceiling."""

A_MOMENT = timedelta(minutes=1)
"""How far the clocks of hosts may differ, and how long a worker may wait for the ceiling's row."""

AT_ONCE = 500
OPENED = "ceiling opened"


@dataclass(frozen=True, slots=True)
class Admission:
    """How many of the requested writes may be made now (`most`), and why the others may not."""

    most: int
    reason: str = ""


def limit_of(connection: ConnectionRow, flow: Flow) -> int:
    """Writes per hour: the connection's setting, or else the flow file's."""
    return int(connection.ceilings.get(flow.name, flow.ceiling))


def admit(session: Session, connection: ConnectionRow, flow: Flow, count: int, now: datetime) -> Admission:
    """How many of `count` writes may be sent in this transaction, which must be the one that marks them as sent.

    If that is not all of them, this shuts the flow.
    """
    row = _locked(session, connection, flow)
    if row.shut_at is not None:
        return Admission(0, _reason(connection, flow, row))
    limit, since = limit_of(connection, flow), _since(row, now)
    free = limit - _sent(session, connection.id, flow, since)
    if free >= count or since > now:
        return Admission(count)
    row.stops_all = False
    row.shut_at, row.shut_because = now, f"{limit:,} writes within an hour, the maximum that its ceiling allows"
    timeline.note_flow(session, connection.id, flow.name, "ceiling reached", now, because=row.shut_because)
    return Admission(max(0, free), _reason(connection, flow, row))


def admit_level(
    session: Session, connection: ConnectionRow, flow: Flow, *, rises: int, vanishing: int, most: float, now: datetime
) -> tuple[Admission, str]:
    """How many of the rises of levels may be written, and why no level at all may be; empty if they may.

    Falls are not counted, since a late one sells what is not there. Only the guard against vanishing stops them: if more than
    `most` levels would become nothing within an hour, this shuts the flow for all its writes. vanishing: those of this batch.
    """
    row = _locked(session, connection, flow)
    if row.shut_at is not None and row.stops_all:
        return Admission(0), _reason(connection, flow, row)
    since = _since(row, now)
    gone = _sent(session, connection.id, flow, since, VANISHED) + vanishing
    if vanishing and gone > most and since <= now:
        row.shut_at, row.stops_all = now, True
        row.shut_because = f"{gone:,} levels would become 0 within an hour, more than the {most:,.0f} that are believed"
        timeline.note_flow(session, connection.id, flow.name, "ceiling reached", now, because=row.shut_because)
        return Admission(0), _reason(connection, flow, row)
    return (admit(session, connection, flow, rises, now) if rises else Admission(0)), ""


def note_sent(
    session: Session, connection_id: int, flow: Flow, count: int, at: datetime, *, kind: str = ""
) -> datetime:
    """Count writes as sent at this time, in the transaction that admitted them; a negative count takes them back.

    kind: empty, or `VANISHED`. Returns the time they count from: writes that began just before somebody opened the flow count
    from the opening.
    """
    opened = select(Ceiling.counted_from).where(Ceiling.connection_id == connection_id, Ceiling.flow == flow.name)
    counted_from = session.scalar(opened)
    at = max(at, counted_from) if counted_from is not None and counted_from - at < A_MOMENT else at
    if count:
        old = delete(Sent).where(*_of(connection_id, flow), Sent.at <= at - HOUR)
        changed(session, old)
        session.execute(
            insert(Sent), [{"connection_id": connection_id, "flow": flow.name, "at": at, "count": count, "kind": kind}]
        )
    return at


def _of(connection_id: int, flow: Flow) -> tuple[ColumnElement[bool], ...]:
    return Sent.connection_id == connection_id, Sent.flow == flow.name


def _locked(session: Session, connection: ConnectionRow, flow: Flow) -> Ceiling:
    """The flow's row, locked by this transaction. SQLite has only one writer at a time anyway."""
    mine = select(Ceiling).where(Ceiling.connection_id == connection.id, Ceiling.flow == flow.name)
    mine = mine.with_for_update().execution_options(populate_existing=True)
    row = session.scalars(mine).first()
    if row is None:
        fresh = {"connection_id": connection.id, "flow": flow.name}
        upsert(session, Ceiling, [fresh], keys=("connection_id", "flow"), update=("flow",))
        row = session.scalars(mine).one()
    return row


def _since(row: Ceiling | None, now: datetime) -> datetime:
    """The time from which writes count; in the future while the flow is open without a count."""
    hour_ago = now - HOUR
    counted_from = row.counted_from if row is not None else None
    return hour_ago if counted_from is None else max(hour_ago, counted_from)


def _sent(session: Session, connection_id: int, flow: Flow, since: datetime, kind: str = "") -> int:
    """How many writes of a kind the flow has sent since then."""
    total = select(func.sum(Sent.count)).where(*_of(connection_id, flow), Sent.at >= since, Sent.kind == kind)
    return session.scalar(total) or 0


def _reason(connection: ConnectionRow, flow: Flow, row: Ceiling) -> str:
    first = CHECK_VANISHED if row.stops_all else "Find out what causes the writes"
    return (
        f"write ceiling: {flow.name} of {connection.name} has been shut since {row.shut_at:%Y-%m-%d %H:%M} UTC: "
        f"{row.shut_because}. {first}, then run `syncengine ceilings open {connection.name} {flow.name} --because TEXT`"
    )


def holds() -> ColumnElement[bool]:
    """The condition, in a query over Record, that it is held for its flow's ceiling and the flow is still shut."""
    shut = select(Ceiling.id).where(
        Ceiling.connection_id == Record.connection_id, Ceiling.flow == Record.flow, Ceiling.shut_at.is_not(None)
    )
    return and_(_is_held(), shut.exists())


def _is_held() -> ColumnElement[bool]:
    return and_(Record.status == Status.HELD, Record.why == Why.CEILING)


# -- people ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opening:
    """The result of opening a flow: how many records were released, and who had opened it already, if anybody."""

    let_go: int
    opened_before_by: str = ""


@dataclass(frozen=True, slots=True)
class CeilingState:
    """The current ceiling of a flow of a connection.

    limit: writes per hour. sent: writes of the last hour that count. held: records held for it. shut_at: None if it is open.
    stops_all: it is shut since too many levels would become 0, so falls of levels are held too. vanished: levels that became 0
    in the last hour.
    open_until: until then nothing is counted. opened_by: who opened it last.
    """

    connection: str
    flow: str
    limit: int
    sent: int
    held: int
    shut_at: datetime | None
    shut_because: str
    stops_all: bool
    vanished: int
    open_until: datetime | None
    opened_by: str


def listed(engine: Engine) -> list[CeilingState]:
    """The ceilings of all flows of all connections. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        connections = session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)).all()
        return [
            _state(session, connection, engine.flows[name], now)
            for connection in connections
            for name in connection.flows
            if name in engine.flows
        ]


def remedy(connection: str, flow: str, *, stops_all: bool = False) -> str:
    """What to do about a flow that is shut. stops_all: because too many levels would vanish, so that falls are held too."""
    if stops_all:
        return (
            f"{CHECK_VANISHED}: run `syncengine stock compare --connection {connection} --differences`. If the levels are "
            f"right, run `syncengine ceilings open {connection} {flow} --because TEXT`"
        )
    return (
        f"Find out what causes the writes: run `syncengine held list --flow {flow}`, and `syncengine sync {flow} --id KEY "
        f"--dry-run` for some of the records. If the writes are right, run `syncengine ceilings open {connection} {flow} "
        "--because TEXT`"
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
        stops_all=bool(row and row.shut_at and row.stops_all),
        vanished=_sent(session, connection.id, flow, since, VANISHED),
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
    """Let a flow write again after a person has reviewed it, and want the records that were held for its ceiling.

    uncounted: how long nothing is counted, for a first load or a change that is meant to reach everything; an hour if the
    guard against vanishing has shut the flow, since it would stop the same levels again. Without it the count starts at
    zero, after any uncounted time that somebody else has asked for. If a person has opened the flow already
    and it has not been shut since, the count continues: two openings allow no more writes than one. Records are released some
    hundred at a time, each batch in its own transaction, so that other writers are not blocked. If this is interrupted, call
    it again to release the rest. Raises Misconfigured if the connection does not have the flow, or `uncounted` is longer than
    a week.
    """
    if uncounted is not None and uncounted > LONGEST_UNCOUNTED:
        raise Misconfigured(
            f"nothing would be counted for {uncounted.days} days",
            "Ask for a week at most, or raise the ceiling in syncengine.yml",
        )
    flow = engine.flow(flow_name)
    found = engine.connections(flow_name, connection_name)
    if not found:
        raise Misconfigured(f"connection {connection_name!r} does not have the flow {flow_name!r}")
    connection, now = found[0], clock.now()
    with engine.store.write() as session:  # first: records released while the flow is shut would be held again
        row = _locked(session, connection, flow)
        before = row.opened_by if row.shut_at is None and uncounted is None else ""
        by = before or by
        uncounted = uncounted or (HOUR if row.stops_all else timedelta())
        until = max(now + uncounted, row.counted_from or now)
        detail = {"by": by, "because": because, "uncounted until": until if until > now else None}
        detail = {name: value for name, value in detail.items() if value}
        if not before:
            if row.shut_at is not None or until != row.counted_from:
                row.opened_by = by
            row.shut_at, row.shut_because, row.stops_all, row.counted_from = None, "", False, until
            changed(session, delete(Sent).where(*_of(connection.id, flow)))
            timeline.note_flow(session, connection.id, flow.name, OPENED, now, **detail)
    with engine.store.read() as session:
        held = session.scalars(select(Record.id).where(*_at_rest(connection.id, flow)).order_by(Record.id)).all()
    return Opening(sum(_let_go(engine, connection.id, flow, some, detail) for some in chunks(held, AT_ONCE)), before)


def _at_rest(connection_id: int, flow: Flow) -> tuple[ColumnElement[bool], ...]:
    """Records held for the ceiling that are not due: those that are due are synced anyway."""
    return (Record.connection_id == connection_id, Record.flow == flow.name, _is_held(), Record.wanted == Record.done)


def _let_go(engine: Engine, connection_id: int, flow: Flow, ids: Sequence[int], detail: Mapping[str, object]) -> int:
    now = clock.now()
    with engine.store.write() as session:
        still = select(Record).where(Record.id.in_(ids), *_at_rest(connection_id, flow))
        some = session.scalars(still.order_by(Record.id).with_for_update()).all()  # another opening may do the same
        want(session, connection_id, flow.name, [record.key for record in some], lane=Lane.BACKFILL, now=now)
        records.release(session, [record.id for record in some], now)  # they may rest for a quiet period
        timeline.note(session, some, OPENED, now, {record.id: detail for record in some})
    return len(some)
