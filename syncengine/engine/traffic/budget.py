"""What the calls of the last hour were spent on, and how long a backfill would take at that pace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from sqlalchemy import func, select

from syncengine import clock
from syncengine.connectors.base import Connector
from syncengine.engine.core.engine import Connection, Engine, Route
from syncengine.http.meter import Spent
from syncengine.store.models import Record

ENOUGH = 20
"""Objects handled in the last hour from which on the calls per object count as measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a backfill needs of one endpoint. paced_by: what limits the pace. minutes: None while the pace is unknown."""

    endpoint: str
    calls: int
    calls_a_minute: float | None
    minutes: float | None
    paced_by: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """How long `objects` of a flow would take; `basis` says what the estimate is based on."""

    connection: str
    flow: str
    objects: int
    basis: str
    loads: Sequence[Load]

    @property
    def minutes(self) -> float | None:
        """That of the slower endpoint, since both work at the same time; None if the pace of one is unknown."""
        known = [load.minutes for load in self.loads if load.minutes is not None]
        return max(known, default=0.0) if len(known) == len(self.loads) else None


def spent(engine: Engine) -> list[Spent]:
    """The calls of the last hour, the most frequent first; empty without a meter. Raises redis.RedisError."""
    return engine.meter.last_hour() if engine.meter is not None else []


def backfills(engine: Engine, calls: Sequence[Spent], *, objects: int | None = None) -> list[Backfill]:
    """One estimate per flow of every connection. objects: for how many; None for what is due. Raises Transient."""
    return [
        _backfill(engine.route(connection.id, name), calls, objects)
        for connection in engine.connections()
        for name in connection.flows
        if name in engine.flows
    ]


def _backfill(route: Route, calls: Sequence[Spent], objects: int | None) -> Backfill:
    count = _due(route) if objects is None else objects
    handled = {
        name: _handled(route.engine, route.connection, name) for name in (route.flow.name, *route.flow.needs.values())
    }
    is_measured = handled[route.flow.name] >= ENOUGH
    loads = []
    for side, endpoint in route.connection.endpoints.items():
        if is_measured:
            number = ceil(count * _calls_per_object(calls, endpoint.name, handled))
        else:
            number = _minimum(route, side, count)
        loads.append(_load(route.connection.connectors[side], endpoint.name, number, calls))
    basis = (
        f"calls of the last hour for {handled[route.flow.name]} objects" if is_measured else "the fewest calls possible"
    )
    return Backfill(route.connection.row.name, route.flow.name, count, basis, loads)


def _calls_per_object(calls: Iterable[Spent], endpoint: str, handled: dict[str, int]) -> float:
    """Calls for one object, including those for the objects it needs."""
    totals = dict.fromkeys(handled, 0)
    for entry in calls:
        if entry.endpoint == endpoint and entry.flow in totals:
            totals[entry.flow] += entry.calls
    objects = next(iter(handled.values()))
    return sum(totals.values()) / objects


def _minimum(route: Route, side: str, count: int) -> int:
    """Reads of the source and writes of the target; the cost of references and needs is not known yet."""
    number = 0
    if route.source_side == side:
        number += ceil(count / route.source.most_per_read)
    if route.target_side == side:
        number += ceil(count / route.target.most_per_write)
    return number


def _load(connector: Connector, endpoint: str, number: int, calls: Sequence[Spent]) -> Load:
    """The pace is set by the quota or by the endpoint's response times, whichever is slower."""
    quota = connector.calls_a_minute()
    made = [entry for entry in calls if entry.endpoint == endpoint]
    took_s, count = sum(entry.took_s for entry in made), sum(entry.calls for entry in made)
    own = connector.concurrency * 60 * count / took_s if took_s > 0 else None
    paces = [
        (pace, by)
        for pace, by in ((quota, "limited by its quota"), (own, "limited by its response time"))
        if pace is not None
    ]
    if not paces:
        return Load(endpoint, number, None, None, "pace not known before its first calls")
    pace, by = min(paces)
    return Load(endpoint, number, round(pace, 1), number / pace, by)


def _due(route: Route) -> int:
    mine = (Record.connection_id == route.connection_id, Record.flow == route.flow.name)
    with route.engine.store.read() as session:
        return session.scalar(select(func.count()).select_from(Record).where(*mine, Record.wanted > Record.done)) or 0


def _handled(engine: Engine, connection: Connection, flow: str) -> int:
    """Objects of a flow that were handled in the last hour."""
    since = clock.now() - timedelta(hours=1)
    query = (
        select(func.count())
        .select_from(Record)
        .where(Record.connection_id == connection.row.id, Record.flow == flow)
        .where(Record.wanted == Record.done, Record.updated_at >= since)
    )
    with engine.store.read() as session:
        return session.scalar(query) or 0
