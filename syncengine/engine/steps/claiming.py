"""Which due records are claimed next, and in what batches: urgent lanes first, connections and flows in turn."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session

from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.traffic import endpoints
from syncengine.errors import Misconfigured
from syncengine.http.breaker_state import BreakerState
from syncengine.store.dialect import upsert
from syncengine.store.models import ConnectionRow, Endpoint, Record, Turn
from syncengine.store.states import Lane, Pause, Stage

log = logging.getLogger(__name__)

NEVER = datetime.min.replace(tzinfo=UTC)
TICK = timedelta(microseconds=1)
_ORDER = (Record.urgency.desc(), Record.not_before, Record.id)
LOW_LANES = (Lane.SCHEDULED, Lane.BACKFILL)


def claim(
    session: Session,
    engine: Engine,
    now: datetime,
    states: Mapping[str, BreakerState],
    crowded: Collection[int] = (),
    unserved: Collection[Lane] = (),
) -> list[Chain]:
    """Lease batches of due records, urgent lanes first, up to each lane's number of chains; connections and flows take turns.

    states: of the breakers, by endpoint name. If a breaker wants a probe, only the most urgent chain of its endpoint is sent.
    crowded: ids of endpoints for which the low lanes claim nothing (`quota.crowded`). unserved: lanes that claim nothing
    because their queue holds all the chains they may have already: each lease that ran out would add another message.
    """
    alive, turns = _alive(session), _turns(session)
    places = _places(session, engine, now, states)
    probing = _probing(session, states)
    _leave_to_probe(places, probing, [(connection_id, flow) for _, connection_id, flow in alive])
    chains: list[Chain] = []
    served: dict[tuple[Lane, int, str], datetime] = {}
    for lane in Lane:
        if lane in unserved:
            continue
        free = engine.limits.chains[lane] - sum(alive.get((lane, *place), 0) for place in places)
        while free > 0:
            found = _next(session, engine, lane, places, alive, turns, now, crowded)
            if found is None:
                break
            turns[lane, *found[0]] = served[lane, *found[0]] = max([now, *turns.values()]) + TICK
            chains.append(found[1])
            _leave_to_probe(places, probing, [found[0]])
            free -= 1
    _save_turns(session, served)
    return chains


Place = tuple[int, str]  # connection and flow


def _probing(session: Session, states: Mapping[str, BreakerState]) -> dict[int, set[int]]:
    """By connection id, the ids of its endpoints whose breaker is open and wants a probe."""
    if not any(state.wants_probe for state in states.values()):
        return {}
    wanting = {name for name, state in states.items() if state.wants_probe}
    ids = set(session.scalars(select(Endpoint.id).where(Endpoint.name.in_(wanting))))
    connections = session.execute(select(ConnectionRow.id, ConnectionRow.left_id, ConnectionRow.right_id))
    return {connection_id: {left_id, right_id} & ids for connection_id, left_id, right_id in connections}


def _leave_to_probe(places: dict[Place, int], probing: Mapping[int, set[int]], begun: Iterable[Place]) -> None:
    """Remove the places of endpoints to which a chain is on its way already: that chain is the probe."""
    taken = {endpoint_id for connection_id, _ in begun for endpoint_id in probing.get(connection_id, ())}
    for place in [place for place in places if probing.get(place[0], set()) & taken]:
        del places[place]


def _alive(session: Session) -> dict[tuple[Lane, int, str], int]:
    """Chains that are on their way, by lane, connection and flow."""
    lane = func.coalesce(Record.lease_lane, Record.lane)
    rows = session.execute(
        select(lane, Record.connection_id, Record.flow, func.count(func.distinct(Record.token)))
        .where(Record.token.is_not(None))
        .group_by(lane, Record.connection_id, Record.flow)
    )
    return {(Lane(int(label)), connection_id, flow): count for label, connection_id, flow, count in rows}


def _turns(session: Session) -> dict[tuple[Lane, int, str], datetime]:
    """When work was last claimed, by lane, connection and flow."""
    rows = session.execute(select(Turn.lane, Turn.connection_id, Turn.flow, Turn.at))
    return {(Lane(lane), connection_id, flow): at for lane, connection_id, flow, at in rows}


def _save_turns(session: Session, turns: Mapping[tuple[Lane, int, str], datetime]) -> None:
    rows = [
        {"lane": lane, "connection_id": connection_id, "flow": flow, "at": at}
        for (lane, connection_id, flow), at in turns.items()
    ]
    upsert(session, Turn, rows, keys=("connection_id", "flow", "lane"), update=("at",))


def _places(session: Session, engine: Engine, now: datetime, states: Mapping[str, BreakerState]) -> dict[Place, int]:
    """Where work may be claimed, because neither endpoint is paused, with the id of the endpoint that is written to."""
    ends = {endpoint.id: endpoint for endpoint in session.scalars(select(Endpoint))}
    places: dict[Place, int] = {}
    for connection in session.scalars(select(ConnectionRow).order_by(ConnectionRow.id)):
        both = [ends[connection.left_id], ends[connection.right_id]]
        if not all(endpoints.may_be_called(endpoint, states, now) for endpoint in both):
            continue
        try:
            engine.connection(connection.id)
        except Misconfigured as error:  # its records stay due; the other connections continue
            log.error("connection %s is left out: %s", connection.name, error)
            continue
        for name in connection.flows:
            flow = engine.flows.get(name)
            if flow is not None:
                target = flow.target.partition(".")[0]
                places[connection.id, name] = next((e.id for e in both if e.system == target), connection.right_id)
    return places


def _next(
    session: Session,
    engine: Engine,
    lane: Lane,
    places: dict[Place, int],
    alive: dict[tuple[Lane, int, str], int],
    turns: Mapping[tuple[Lane, int, str], datetime],
    now: datetime,
    crowded: Collection[int],
) -> tuple[Place, Chain] | None:
    """The next batch of a lane: the most urgent record's, or else from the connection with the fewest chains, then its flow
    with the fewest, then the one whose last turn was longest ago.

    So a flow with a hundred thousand records does not delay one with a single record.
    """
    best: tuple[tuple[int, int, int, datetime, datetime], Place, Record] | None = None
    for place, endpoint_id in places.items():
        if lane in LOW_LANES and _of_endpoint(alive, places, endpoint_id) > _concurrency(engine, place, endpoint_id):
            continue
        due = _HEAD
        if lane in LOW_LANES and crowded:
            if endpoint_id in crowded:
                continue
            if any(endpoint.id in crowded for endpoint in engine.connection(place[0]).endpoints.values()):
                due = due.where(Record.stage != Stage.FETCH, _is_fresh(engine, now))  # makes no call to the source
        head = session.scalars(due, _of(place, lane, now)).first()
        if head is not None:
            busy = sum(count for (_, connection_id, _), count in alive.items() if connection_id == place[0])
            key = (lane, *place)
            rank = (-head.urgency, busy, alive.get(key, 0), turns.get(key, NEVER), head.not_before)
            best = (rank, place, head) if best is None or rank < best[0] else best
    if best is None:
        return None
    _, place, head = best
    chain = _lease(session, engine, lane, place, head, now)
    alive[lane, *place] = alive.get((lane, *place), 0) + 1
    return place, chain


def _of_endpoint(alive: dict[tuple[Lane, int, str], int], places: dict[Place, int], endpoint_id: int) -> int:
    """How many chains of the low lanes write to an endpoint."""
    return sum(
        count
        for (lane, connection_id, flow), count in alive.items()
        if lane in LOW_LANES and places.get((connection_id, flow)) == endpoint_id
    )


def _concurrency(engine: Engine, place: Place, endpoint_id: int) -> int:
    connection = engine.connection(place[0])
    side = "left" if connection.endpoints["left"].id == endpoint_id else "right"
    return connection.connectors[side].concurrency


_DUE: Select[Record] = (
    select(Record)
    .where(
        Record.connection_id == bindparam("place_connection"),
        Record.flow == bindparam("place_flow"),
        Record.lane == bindparam("place_lane"),
        Record.not_before <= bindparam("due_at"),
        Record.wanted > Record.done,
        Record.token.is_(None),
    )
    .with_for_update(skip_locked=True)
)
"""The due records of a place and lane (`_of`). PostgreSQL locks them, and skips those that a `want` is about to change.

Built once: the pump asks it for every flow and lane, and building it takes longer than SQLite's answer.
"""
_HEAD = _DUE.order_by(*_ORDER).limit(1).execution_options(populate_existing=True)


def _of(place: Place, lane: Lane, now: datetime) -> dict[str, Any]:
    """The parameters of `_DUE`."""
    return {"place_connection": place[0], "place_flow": place[1], "place_lane": lane, "due_at": now}


def _is_fresh(engine: Engine, now: datetime) -> ColumnElement[bool]:
    """Condition: the record was fetched recently, and nothing new has been wanted since."""
    return (Record.wanted == Record.claimed) & (Record.fetched_at >= now - timedelta(seconds=engine.limits.fresh_s))


def _batches(lane: Lane, head: Record, due: Select[int], most: int) -> list[Select[int]]:
    """Queries for the due records that are claimed together with `head`, at most `most` in all.

    Where some are urgent, every fourth place is left to those that have waited longest: urgent ones may never end. In the
    backfill lane, where batches are large, levels that wait to rise are claimed apart, since mixed with others they would
    make half-empty bulk calls.
    """
    if head.run_alone:
        return [due.where(Record.id == head.id)]
    due = due.where(Record.run_alone.is_(False))
    if lane == Lane.BACKFILL:
        due = due.where(Record.pause == Pause.RISE if head.pause == Pause.RISE else Record.pause != Pause.RISE)
    if not head.urgency:
        return [due.order_by(*_ORDER).limit(most)]
    oldest = max(1, most // 4)
    return [
        due.order_by(*_ORDER).limit(max(1, most - oldest)),
        due.order_by(Record.not_before, Record.id).limit(oldest),
    ]


def _lease(session: Session, engine: Engine, lane: Lane, place: Place, head: Record, now: datetime) -> Chain:
    flow = engine.flow(place[1])
    stage = case(((Record.stage != Stage.FETCH) & _is_fresh(engine, now), Record.stage), else_=Stage.FETCH)
    begins = Stage(session.scalar(select(stage).where(Record.id == head.id)) or Stage.FETCH)
    batches = _batches(lane, head, _DUE.with_only_columns(Record.id).where(stage == begins), flow.batch)
    due = [batch.cte(f"due{number}") for number, batch in enumerate(batches)]  # evaluated once, not for every row
    token = uuid.uuid4().hex
    claimed = session.scalars(
        update(Record)
        .where(or_(*(Record.id.in_(select(each.c.id)) for each in due)))
        .values(
            token=token,
            lease_lane=int(lane),
            runner=None,
            lease_until=now + timedelta(seconds=engine.limits.lease_s),
            stage=begins,
            claimed=Record.wanted,
            updated_at=now,
        )
        .returning(Record.id)
        .execution_options(synchronize_session=False),
        _of(place, lane, now),
    ).all()
    session.execute(
        update(Record)
        .where(Record.token == token)
        .values(batch=len(claimed))
        .execution_options(synchronize_session=False)
    )
    name = engine.connection(place[0]).row.name
    records = "1 record" if len(claimed) == 1 else f"{len(claimed)} records"
    return Chain(token, flow.name, begins, lane, f"{name}, {records}, {lane.label}")
