"""The pump: frees dead leases, wakes what can go on, claims what is due, and sends chains. Nothing else starts work.

A dead worker, a lost message, an emptied Redis are all the same to it: a lease that ran out.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select, update
from sqlalchemy.orm import Session, aliased

from syncengine import clock
from syncengine.engine.core import failures, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.core.records import FREE
from syncengine.engine.core.want import MOST_WOKEN, RESTING, wake, want
from syncengine.engine.traffic import endpoints, quota
from syncengine.engine.watch import health
from syncengine.engine.writes import ceiling, effects, links
from syncengine.errors import Misconfigured
from syncengine.http.breaker import State
from syncengine.store.dialect import upsert
from syncengine.store.models import ConnectionRow, Endpoint, Link, Lookup, Record, Turn
from syncengine.store.session import lock_pump
from syncengine.store.states import Lane, Pause, Stage, Status, Why

log = logging.getLogger(__name__)

RESTS_AFTER_CRASH_S = (1.0, 10.0, 60.0)
CRASHES_COUNT_ONCE_WITHIN_S = 60.0
SHORTAGES = 16
"""How often a record may meet a process that lacks memory or file handles: with their back-off, for 20 minutes at least."""

NEVER = datetime.min.replace(tzinfo=UTC)
TICK = timedelta(microseconds=1)

LOW_LANES = (Lane.SCHEDULED, Lane.BACKFILL)


def pump(engine: Engine, *, sweep: bool = False) -> int:
    """Claim what is due and send it; returns how many chains were sent. With `sweep`, wake and look again first.

    It runs after every `want`, at the end of every chain, and (with `sweep`) every few seconds from beat. A process that
    has been told to end leaves it to others: what it claimed would wait for its own return.
    """
    if engine.is_ending():
        return 0
    now = clock.now()
    states, crowded = endpoints.breakers(engine), quota.crowded(engine)
    unserved = {lane for lane in Lane if (engine.queued(lane) or 0) >= engine.limits.chains[lane]}
    with engine.store.write(durable=False) as session:
        lock_pump(session)
        free_dead_leases(session, engine, now)
        if sweep:
            health.note(session, health.PUMP, now)
            wake_waiting(session, engine, now)
            recheck(session, engine, now)
        chains = claim(session, engine, now, states, crowded, unserved)
    for chain in chains:
        engine.send(chain)
    return len(chains)


# -- dead leases -------------------------------------------------------------------------------------------------------


def free_dead_leases(session: Session, engine: Engine, now: datetime) -> None:
    """Records whose lease ran out go on: at once if their message was lost, with care if their worker went away."""
    ended = select(Record).where(Record.token.is_not(None), Record.lease_until < now).order_by(Record.id)
    dead = session.scalars(ended.with_for_update(skip_locked=True)).all()  # a late runner may be ending some just now
    lost = [record for record in dead if record.runner is None]
    crashed = [record for record in dead if record.runner is not None]
    if lost:
        _free(session, lost)
        timeline.note(session, lost, "message lost", now)
    if crashed:
        recover_crashed(session, engine, crashed, now, because="its worker went away")


def recover_crashed(
    session: Session,
    engine: Engine,
    crashed: Sequence[Record],
    now: datetime,
    *,
    because: str,
    at_once: bool = False,
    counts: bool = True,
) -> None:
    """A step died with these records. What it had sent is in doubt; what it was about is tried again one by one, and counted.

    That is the record that was being written; if none was, all of the batch. A record that alone brings its worker down
    `crashes` times is set aside as poison; crashes within a minute count once, so that a bad moment of the machine makes none.

    at_once: it died just now and not a lease ago, so that its records rest first, longer each time. `counts=False`: it is no
    record's fault, as it seems; one that brings it about alone, again and again, is counted all the same.
    """
    lost = effects.lost_runner(session, [record.id for record in crashed], now)
    counted = [record for record in crashed if (counts or _is_alone_in_it(record)) and _counts_as_crash(record, now)]
    crashes = {record.id: record.crashes + 1 for record in counted}
    poison = [(record, Stage(record.stage)) for record in crashed if crashes.get(record.id, 0) >= engine.limits.crashes]
    _free(session, crashed)
    for record in crashed:
        suspect = record.batch <= 1 or not lost.in_the_call or record.id in lost.in_the_call
        rest_s = _rest_after_crash_s(record) if suspect and at_once else 0.0
        values: dict[str, Any] = {"pause": Pause.BACKOFF}
        if counts:
            values |= {"run_alone": suspect}
        else:  # in a batch once may be chance
            values |= {
                "run_alone": record.run_alone or (suspect and record.attempts > 0),
                "attempts": record.attempts + 1,
            }
            rest_s = (
                max(rest_s, backoff(record.attempts, most_s=engine.limits.backoff_s)) if record.run_alone else rest_s
            )
        values["not_before"] = now + timedelta(seconds=rest_s)
        if record.id in crashes:
            values |= {"crashes": crashes[record.id], "crashed_at": now}
        if record.id in lost.rest:
            values |= {"stage": Stage.FETCH, "not_before": lost.rest[record.id], "pause": Pause.SETTLE}
        session.execute(update(Record).where(Record.id == record.id).values(**values))
    timeline.note(session, crashed, "step died", now, {record.id: {"because": because} for record in crashed})
    for record, stage in poison:
        failures.open_crashed(
            session, record, stage, crashes[record.id], because, now, in_doubt=record.id in lost.rest
        )  # fmt: skip
        _set_aside(session, record, because, now)


def _is_alone_in_it(record: Record) -> bool:
    """Whether what the process lacks is lacking with this record alone, for longer than a machine's bad quarter of an hour."""
    return record.batch <= 1 and record.attempts >= SHORTAGES


def _counts_as_crash(record: Record, now: datetime) -> bool:
    """Of a record that was alone, unless another death was counted a moment ago."""
    since = None if record.crashed_at is None else (now - record.crashed_at).total_seconds()
    return record.batch <= 1 and (since is None or record.crashes == 0 or since >= CRASHES_COUNT_ONCE_WITHIN_S)


def _rest_after_crash_s(record: Record) -> float:
    """Seconds until a record is tried again after its step died: a second in a batch, then ten, then a minute."""
    if record.batch > 1:
        return RESTS_AFTER_CRASH_S[0]
    return RESTS_AFTER_CRASH_S[1 if record.crashes == 0 else 2]


def _free(session: Session, found: Iterable[Record]) -> None:
    ids = [record.id for record in found]
    session.execute(
        update(Record).where(Record.id.in_(ids)).values(**FREE).execution_options(synchronize_session=False)
    )


def _set_aside(session: Session, record: Record, because: str, now: datetime) -> None:
    reason = f"poison: {because}"
    session.execute(
        update(Record)
        .where(Record.id == record.id)
        .values(
            done=Record.claimed,
            done_version=Record.seen_version,  # a feed that tells the same version again does not bring it back
            done_source_time=Record.source_time,
            status=Status.DEAD,
            reason=reason,
            why=Why.CRASHED,
            stage=Stage.FETCH,
            crashes=0,
            run_alone=False,
        )
        .execution_options(synchronize_session=False)
    )
    timeline.note_one(session, record, "dead", now, reason=reason)


# -- waking ------------------------------------------------------------------------------------------------------------


def wake_waiting(session: Session, engine: Engine, now: datetime) -> None:
    """Records whose need is met by now. A query, so that no wake-up can be lost."""
    lookup = aliased(Lookup)
    met_by_link = (
        select(Link.id)
        .where(Link.connection_id == Record.connection_id, Link.entity == Record.need_entity)
        .where(links.meets(Record.need_side, Record.need_key, Record.need_part))
        .exists()
    )
    met_by_lookup = (
        select(lookup.id)
        .where(lookup.connection_id == Record.connection_id, "lookup:" + lookup.name == Record.need_entity)
        .where(lookup.key == Record.need_key)
        .exists()
    )
    ready = session.scalars(select(Record.id).where(*RESTING, met_by_link | met_by_lookup).limit(MOST_WOKEN)).all()
    if ready:
        wake(session, ready, now, fresh_after=now - timedelta(seconds=engine.limits.fresh_s))


def recheck(session: Session, engine: Engine, now: datetime) -> None:
    """What is held or waits is looked at again every hour: what held it may be gone, what it waited for not be needed.

    A shut flow's held records wait for a person.
    """
    before = now - timedelta(seconds=engine.limits.hold_again_s)
    rests = ((Record.status == Status.HELD) & ~ceiling.holds()) | (Record.status == Status.WAITING)
    found = session.execute(
        select(Record.connection_id, Record.flow, Record.key)
        .where(rests, Record.wanted == Record.done, Record.updated_at < before)
        .order_by(Record.updated_at, Record.id)
        .limit(MOST_WOKEN)
    ).all()
    groups: dict[tuple[int, str], list[str]] = {}
    for connection_id, flow, key in found:
        groups.setdefault((connection_id, flow), []).append(key)
    for (connection_id, flow), keys in groups.items():
        want(session, connection_id, flow, keys, lane=Lane.BACKFILL, now=now)


# -- claiming ----------------------------------------------------------------------------------------------------------


def claim(
    session: Session,
    engine: Engine,
    now: datetime,
    states: Mapping[str, State],
    crowded: Collection[int] = (),
    unserved: Collection[Lane] = (),
) -> list[Chain]:
    """Lease batches of due records, the urgent lane first, as many as there are workers; connections and flows take turns.

    Of the records of an endpoint whose breaker wants a probe one chain is sent, the most urgent one. What the low lanes
    have for a `crowded` endpoint (`quota.crowded`) stays where it is, and so does a lane that is `unserved`: as many chains
    as it may have wait in its queue, and their messages would be one more with every lease that runs out.
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


def _probing(session: Session, states: Mapping[str, State]) -> dict[int, set[int]]:
    """By connection, those of its endpoints whose breaker is open and wants a probe."""
    if not any(state.wants_probe for state in states.values()):
        return {}
    wanting = {name for name, state in states.items() if state.wants_probe}
    ids = set(session.scalars(select(Endpoint.id).where(Endpoint.name.in_(wanting))))
    connections = session.execute(select(ConnectionRow.id, ConnectionRow.left_id, ConnectionRow.right_id))
    return {one.id: {one.left_id, one.right_id} & ids for one in connections}


def _leave_to_probe(places: dict[Place, int], probing: Mapping[int, set[int]], begun: Iterable[Place]) -> None:
    """Take away the places of endpoints that a chain is on its way to already: that chain is the probe."""
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
    """When work of each connection and flow was claimed last, by lane."""
    rows = session.execute(select(Turn.lane, Turn.connection_id, Turn.flow, Turn.at))
    return {(Lane(lane), connection_id, flow): at for lane, connection_id, flow, at in rows}


def _save_turns(session: Session, turns: Mapping[tuple[Lane, int, str], datetime]) -> None:
    rows = [
        {"lane": lane, "connection_id": connection_id, "flow": flow, "at": at}
        for (lane, connection_id, flow), at in turns.items()
    ]
    upsert(session, Turn, rows, keys=("connection_id", "flow", "lane"), update=("at",))


def _places(session: Session, engine: Engine, now: datetime, states: Mapping[str, State]) -> dict[Place, int]:
    """Where work may be claimed (no endpoint of it rests), each with the id of the endpoint that it writes to."""
    ends = {endpoint.id: endpoint for endpoint in session.scalars(select(Endpoint))}
    places: dict[Place, int] = {}
    for connection in session.scalars(select(ConnectionRow).order_by(ConnectionRow.id)):
        both = [ends[connection.left_id], ends[connection.right_id]]
        if not all(endpoints.may_be_called(endpoint, states, now) for endpoint in both):
            continue
        try:
            engine.connection(connection.id)
        except Misconfigured as error:  # its records stay due; the other connections go on
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
    """The next batch of a lane: of the connection, then of the flow with the fewest chains alive, then of the one whose
    last turn is longest ago.

    So a flow with a hundred thousand records does not stand before one with a single record.
    """
    best: tuple[tuple[int, int, datetime, datetime], Place, Record] | None = None
    for place, endpoint_id in places.items():
        if lane in LOW_LANES and _of_endpoint(alive, places, endpoint_id) > _concurrency(engine, place, endpoint_id):
            continue
        due = _due(place, lane, now)
        if lane in LOW_LANES and crowded:
            if endpoint_id in crowded:
                continue
            if any(endpoint.id in crowded for endpoint in engine.connection(place[0]).endpoints.values()):
                due = due.where(Record.stage != Stage.FETCH, _is_fresh(engine, now))  # makes no call to the source
        head = session.scalars(
            due.order_by(Record.not_before, Record.id).limit(1).execution_options(populate_existing=True)
        ).first()
        if head is not None:
            busy = sum(count for (_, connection_id, _), count in alive.items() if connection_id == place[0])
            key = (lane, *place)
            rank = (busy, alive.get(key, 0), turns.get(key, NEVER), head.not_before)
            best = (rank, place, head) if best is None or rank < best[0] else best
    if best is None:
        return None
    _, place, head = best
    chain = _lease(session, engine, lane, place, head, now)
    alive[lane, *place] = alive.get((lane, *place), 0) + 1
    return place, chain


def _of_endpoint(alive: dict[tuple[Lane, int, str], int], places: dict[Place, int], endpoint_id: int) -> int:
    """Chains of the low lanes that write to an endpoint."""
    return sum(
        count
        for (lane, connection_id, flow), count in alive.items()
        if lane in LOW_LANES and places.get((connection_id, flow)) == endpoint_id
    )


def _concurrency(engine: Engine, place: Place, endpoint_id: int) -> int:
    connection = engine.connection(place[0])
    side = "left" if connection.endpoints["left"].id == endpoint_id else "right"
    return connection.connectors[side].concurrency


def _due(place: Place, lane: Lane, now: datetime) -> Select[Record]:
    """On PostgreSQL locked as they are seen, and passed over while a `want` is about to change them."""
    due = select(Record).where(
        Record.connection_id == place[0],
        Record.flow == place[1],
        Record.lane == lane,
        Record.not_before <= now,
        Record.wanted > Record.done,
        Record.token.is_(None),
    )
    return due.with_for_update(skip_locked=True)


def _is_fresh(engine: Engine, now: datetime) -> ColumnElement[bool]:
    """Nothing new is wanted since the fetch, and that was not long ago."""
    return (Record.wanted == Record.claimed) & (Record.fetched_at >= now - timedelta(seconds=engine.limits.fresh_s))


def _lease(session: Session, engine: Engine, lane: Lane, place: Place, head: Record, now: datetime) -> Chain:
    flow = engine.flow(place[1])
    stage = case(((Record.stage != Stage.FETCH) & _is_fresh(engine, now), Record.stage), else_=Stage.FETCH)
    begins = Stage(session.scalar(select(stage).where(Record.id == head.id)) or Stage.FETCH)
    batch = _due(place, lane, now).with_only_columns(Record.id).where(stage == begins)
    if head.run_alone:
        batch = batch.where(Record.id == head.id)
    else:
        batch = batch.where(Record.run_alone.is_(False)).order_by(Record.not_before, Record.id).limit(flow.batch)
    due = batch.cte("due")  # read once, whatever the planner likes: a subquery may be run for every row
    token = uuid.uuid4().hex
    claimed = session.scalars(
        update(Record)
        .where(Record.id.in_(select(due.c.id)))
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
        .execution_options(synchronize_session=False)
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
