"""Why a sync, a dry run or `syncengine status` shows nothing, and what to do about it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.flows.flow import FlowHead
from syncengine.redaction import safe_text
from syncengine.store.models import ConnectionRow, Cursor, Record
from syncengine.store.states import Status, Why

MOST_REASONS = 3
MISSED = 3  # turns of the schedule after which something must be wrong


def explain(engine: Engine, flow_name: str, connection: str | None = None) -> list[str]:
    """A line for each connection, or one if none has the flow. Raises Misconfigured for unknown names, Transient."""
    flow = engine.head(flow_name)
    rows = engine.connections(flow_name, connection)
    if not rows:
        return [
            f"No connection has the flow {flow_name}. Add it to flows: in syncengine.yml and run `syncengine configure`"
        ]
    with engine.store.read() as session:
        return [f"{row.name}: {'. '.join(_sentences(session, engine, flow, row))}" for row in rows]


def drivers(engine: Engine, flow_name: str, connection: ConnectionRow) -> list[str]:
    """The flows of a connection whose writes start the records of one that only compares; none if it reads its source.

    Raises Misconfigured if there is no such flow.
    """
    flow = engine.head(flow_name)
    others = [engine.head(name) for name in connection.flows if flow.is_driven and name in engine.flows]
    return [other.name for other in others if other.entity == flow.entity and not other.write_back]


def _sentences(session: Session, engine: Engine, flow: FlowHead, connection: ConnectionRow) -> list[str]:
    read = select(func.min(Cursor.read_at)).where(Cursor.connection_id == connection.id, Cursor.flow == flow.name)
    read_at = session.scalar(read)
    if makers := drivers(engine, flow.name, connection):
        written = (
            f"{flow.name} compares what {' and '.join(makers)} writes, so it has records once something is written"
        )
        return [f"{written}: `syncengine sync {makers[0]}`", *_skipped(session, flow, connection)]
    if read_at is None:
        found = [
            f"{flow.name} were never read. `syncengine up` reads them by schedule, `syncengine sync {flow.name}` now"
        ]
    else:
        found = [f"No change of {flow.name} since they were read at {read_at:%Y-%m-%d %H:%M} UTC"]
        if flow.every_s and clock.now() - read_at > timedelta(seconds=MISSED * flow.every_s):
            found.append("They are due to be read again: `syncengine health` shows what keeps them")
    if flow.cut_over and connection.cut_over is not None:
        found.append(
            f"Those created before the cut-over date {connection.cut_over:%Y-%m-%d} are left out: to sync them, set an earlier "
            "cut_over: in syncengine.yml and run `syncengine configure`"
        )
    found += _skipped(session, flow, connection)
    if read_at is not None:
        found.append(f"To read further back: `syncengine sync {flow.name} --since DATE`")
    return found


def _skipped(session: Session, flow: FlowHead, connection: ConnectionRow) -> list[str]:
    """The most common rules by which records were skipped, with a count of each."""
    mine = (Record.connection_id == connection.id, Record.flow == flow.name)
    ruled = (Record.status == Status.SKIPPED, Record.why == Why.RULE)
    query = select(Record.reason, func.count()).where(*mine, *ruled).group_by(Record.reason)
    rows = session.execute(query.order_by(func.count().desc(), Record.reason).limit(MOST_REASONS)).all()
    reasons = "; ".join(f"{count:,} because {safe_text(reason)}" for reason, count in rows)
    return [f"Skipped by rules: {reasons}"] if reasons else []
