"""The state of each flow: when it was last read, how many records are due, waiting, held and dead, and how old they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.events import Polling, polling
from syncengine.engine.people import nothing_found
from syncengine.errors import Misconfigured
from syncengine.store.models import Ceiling, ConnectionRow, Cursor, Endpoint, Failure, Record, Run, Schedule
from syncengine.store.states import Pause, Status


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """The state of a flow of a connection.

    follows: of a flow that was never synced, the flows whose writes start its records, if it reads no source of its own.
    lag_s: age of the oldest due record in seconds. read_at: until when its feeds were read (UTC, the source's clock), None if
    never. moving: due records that wait until more is known of what moves, most of them to rise, the first until
    `moving_until` (UTC). is_shut: whether its write
    ceiling has closed it; stops_all: falls of levels included. polling: how often its feeds are read; None if
    that is unknown.
    """

    connection: str
    mode: str
    flow: str
    last_sync: datetime | None
    follows: list[str]
    last_error: str
    read_at: datetime | None
    lag_s: float
    records: int
    due: int
    done: int
    skipped: int
    waiting: int
    held: int
    dead: int
    attention: int
    moving: int
    moving_until: datetime | None
    is_shut: bool
    stops_all: bool
    polling: Polling | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is left to do, for those who wait for it.

    statuses: of all of them, due or not. at_rest: of those that are not due. next_at: when the first that is due may be taken
    up (UTC), None if none is.
    """

    total: int
    due: int
    statuses: dict[str, int]
    at_rest: dict[str, int]
    next_at: datetime | None


def flows(engine: Engine) -> list[FlowStatus]:
    """The state of every flow of every connection. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        connections = session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)).all()
        return [
            _flow(session, engine, connection, name, now) for connection in connections for name in connection.flows
        ]


def _polling(session: Session, engine: Engine, connection_id: int, name: str, now: datetime) -> Polling | None:
    """Of a flow without webhooks the usual interval alone, so that the flow need not be compiled."""
    if name not in engine.flows:
        return None
    heard = select(Schedule.heard_at).where(Schedule.connection_id == connection_id, Schedule.flow == name)
    if session.scalar(heard) is None:
        every_s = engine.head(name).every_s
        return Polling(every_s, None, every_s)
    try:
        return polling(session, engine.route(connection_id, name), now)
    except Misconfigured:  # an endpoint's settings are wrong, which doctor says
        return None


def _flow(session: Session, engine: Engine, connection: ConnectionRow, name: str, now: datetime) -> FlowStatus:
    mine = (Record.connection_id == connection.id, Record.flow == name)
    counts = _counts(session, *mine)
    due = session.execute(
        select(func.count(), func.min(Record.updated_at)).where(*mine, Record.wanted > Record.done)
    ).one()
    run = session.scalars(
        select(Run).where(Run.connection_id == connection.id, Run.flow == name).order_by(Run.started_at.desc()).limit(1)
    ).first()
    read_at = session.scalar(
        select(func.min(Cursor.read_at)).where(Cursor.connection_id == connection.id, Cursor.flow == name)
    )
    attention = session.scalar(
        select(func.count())
        .select_from(Failure)
        .where(Failure.connection_id == connection.id, Failure.flow == name)
        .where(Failure.kind == "attention", Failure.closed_at.is_(None))
    )
    moving, moving_until = session.execute(
        select(func.count(), func.min(Record.not_before)).where(
            *mine, Record.pause == Pause.RISE, Record.wanted > Record.done
        )
    ).one()
    shut = select(Ceiling.stops_all).where(
        Ceiling.connection_id == connection.id, Ceiling.flow == name, Ceiling.shut_at.is_not(None)
    )
    return FlowStatus(
        connection=connection.name,
        mode=connection.mode,
        flow=name,
        last_sync=run.started_at if run else None,
        follows=[] if run or name not in engine.flows else nothing_found.drivers(engine, name, connection),
        last_error=run.error if run else "",
        read_at=read_at,
        lag_s=(now - due[1]).total_seconds() if due[1] else 0.0,
        records=sum(counts.values()),
        due=due[0],
        done=counts.get(Status.DONE, 0),
        skipped=counts.get(Status.SKIPPED, 0),
        waiting=counts.get(Status.WAITING, 0),
        held=counts.get(Status.HELD, 0),
        dead=counts.get(Status.DEAD, 0),
        attention=attention or 0,
        moving=moving,
        moving_until=moving_until,
        is_shut=(stops_all := session.scalar(shut)) is not None,
        stops_all=bool(stops_all),
        polling=_polling(session, engine, connection.id, name, now),
    )


def _counts(session: Session, *where: Any) -> dict[str, int]:
    query = select(Record.status, func.count()).where(*where).group_by(Record.status)
    return {row[0]: row[1] for row in session.execute(query)}


def backlog(
    engine: Engine, flow: str, *, connections: Sequence[int] | None = None, keys: Sequence[str] = ()
) -> Backlog:
    """How much of a flow is left to do, in all connections or in these (ids), of all keys or of these. Raises Transient."""
    where = [Record.flow == flow]
    where += [Record.connection_id.in_(connections)] if connections is not None else []
    where += [Record.key.in_(keys)] if keys else []
    is_due = Record.wanted > Record.done
    with engine.store.read() as session:
        due, next_at = session.execute(select(func.count(), func.min(Record.not_before)).where(*where, is_due)).one()
        counts, at_rest = _counts(session, *where), _counts(session, *where, ~is_due)
    return Backlog(sum(counts.values()), due, counts, at_rest, next_at)


def paused(engine: Engine) -> list[dict[str, Any]]:
    """Paused endpoints, until when (UTC) and why. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        found = session.scalars(select(Endpoint).where(Endpoint.paused_until > now).order_by(Endpoint.name))
        return [
            {"endpoint": endpoint.name, "until": endpoint.paused_until, "because": endpoint.paused_because}
            for endpoint in found
        ]


def as_rows(found: list[FlowStatus]) -> list[dict[str, Any]]:
    """The states as JSON."""
    return [asdict(status) for status in found]
