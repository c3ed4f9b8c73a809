"""What the calls of the last hour went on, and how long a backfill would take at the pace that they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from sqlalchemy import func, select

from syncengine import clock
from syncengine.connectors.base import Connector
from syncengine.engine.core.engine import Connection, Engine
from syncengine.flows.flow import Flow
from syncengine.http.meter import Spent
from syncengine.store.models import Record

ENOUGH = 20
"""Objects dealt with in the last hour from which calls per object are taken as measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a backfill asks of one endpoint. `minutes` is None as long as nothing tells the endpoint's pace."""

    endpoint: str
    calls: int
    calls_a_minute: float | None
    minutes: float | None
    paced_by: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """How long `objects` of a flow would take; `basis` says what the estimate rests on."""

    connection: str
    flow: str
    objects: int
    basis: str
    loads: Sequence[Load]

    @property
    def minutes(self) -> float | None:
        """The slower endpoint decides, since both are at work at the same time."""
        told = [load.minutes for load in self.loads]
        return None if any(one is None for one in told) else max((one for one in told if one is not None), default=0.0)


def spent(engine: Engine) -> list[Spent]:
    """The calls of the last hour, the most frequent first; none if nobody counts. Raises redis' errors."""
    return engine.meter.last_hour() if engine.meter is not None else []


def backfills(engine: Engine, calls: Sequence[Spent], *, objects: int | None = None) -> list[Backfill]:
    """One estimate for every flow of every connection: for so many objects, else for what is due. Raises Transient."""
    return [
        _backfill(engine, engine.connection(connection.id), engine.flow(name), calls, objects)
        for connection in engine.connections()
        for name in connection.flows
    ]


def _backfill(
    engine: Engine, connection: Connection, flow: Flow, calls: Sequence[Spent], objects: int | None
) -> Backfill:
    count = _due(engine, connection, flow) if objects is None else objects
    dealt = {name: _dealt_with(engine, connection, name) for name in (flow.name, *flow.needs.values())}
    is_measured = dealt[flow.name] >= ENOUGH
    loads = []
    for side, endpoint in connection.endpoints.items():
        if is_measured:
            number = ceil(count * _an_object(calls, endpoint.name, dealt))
        else:
            number = _fewest(connection, flow, side, count)
        loads.append(_load(connection.connectors[side], endpoint.name, number, calls))
    basis = f"calls of the last hour for {dealt[flow.name]} objects" if is_measured else "the fewest calls possible"
    return Backfill(connection.row.name, flow.name, count, basis, loads)


def _an_object(calls: Iterable[Spent], endpoint: str, dealt: dict[str, int]) -> float:
    """Calls for one object, those for what it needs included."""
    totals = dict.fromkeys(dealt, 0)
    for one in calls:
        if one.endpoint == endpoint and one.flow in totals:
            totals[one.flow] += one.calls
    objects = next(iter(dealt.values()))
    return sum(totals.values()) / objects


def _fewest(connection: Connection, flow: Flow, side: str, count: int) -> int:
    """Reads of the source, writes of the target; what references and needs cost is not known yet."""
    number = 0
    if connection.side(flow.source) == side:
        number += ceil(count / connection.resource(flow.source).most_per_read)
    if connection.side(flow.target) == side:
        number += ceil(count / connection.resource(flow.target).most_per_write)
    return number


def _load(connector: Connector, endpoint: str, number: int, calls: Sequence[Spent]) -> Load:
    """The pace is that of the quota or that of the endpoint's own answers, whichever is slower."""
    quota = connector.calls_a_minute()
    made = [one for one in calls if one.endpoint == endpoint]
    took_s, count = sum(one.took_s for one in made), sum(one.calls for one in made)
    own = connector.concurrency * 60 * count / took_s if took_s > 0 else None
    paces = [(pace, by) for pace, by in ((quota, "its quota"), (own, "its answers")) if pace is not None]
    if not paces:
        return Load(endpoint, number, None, None, "not known before its first calls")
    pace, by = min(paces)
    return Load(endpoint, number, round(pace, 1), number / pace, by)


def _due(engine: Engine, connection: Connection, flow: Flow) -> int:
    mine = (Record.connection_id == connection.row.id, Record.flow == flow.name)
    with engine.store.read() as session:
        return session.scalar(select(func.count()).select_from(Record).where(*mine, Record.wanted > Record.done)) or 0


def _dealt_with(engine: Engine, connection: Connection, flow: str) -> int:
    """Objects that the last hour's calls of a flow were for."""
    since = clock.now() - timedelta(hours=1)
    query = (
        select(func.count())
        .select_from(Record)
        .where(Record.connection_id == connection.row.id, Record.flow == flow)
        .where(Record.wanted == Record.done, Record.updated_at >= since)
    )
    with engine.store.read() as session:
        return session.scalar(query) or 0
