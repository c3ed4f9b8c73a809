"""Health means progress, not a live process: is due work done, does the pump run, do the lanes' canaries arrive?

Beat sends a canary through each lane's queue; the worker that takes it notes a pulse in SQL, so it has passed through
everything: beat, broker, worker, store. The pump notes one whenever beat has it sweep. A late canary alone proves nothing,
since all processes of a worker may be busy: a lane is stalled only if no step of it is running either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.traffic import endpoints
from syncengine.errors import Misconfigured
from syncengine.http.breaker_state import BreakerState
from syncengine.store.dialect import upsert
from syncengine.store.models import ConnectionRow, Cursor, Endpoint, Event, Pulse, Record
from syncengine.store.session import Store
from syncengine.store.states import Lane

PUMP = "pump"
REDIS = "redis"
CONNECTIONS = "connections"
START = "start"
"""The sign of life of a worker or beat that has just started."""

STARTING_S = 30.0
"""How long after a start a missing sign of life means nothing: the processes load, and the first canary is on its way."""

STARTS_APART = timedelta(minutes=10)
"""A start within this time of the previous one is not noted, so that a process that keeps ending does not look well."""

IN_VAIN = ("message lost", "step died")
"""Events of records that were claimed in vain."""

NO_PROGRESS = (*IN_VAIN, "put off")


class Pace(StrEnum):
    """Whether a part of the installation makes progress."""

    MOVES = "moves"  # or has nothing to do
    RESTS = "rests"  # rightly: its endpoint is paused or down, or something more urgent goes first
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Vital:
    """The health of one part: Redis, the pump, a lane, or a flow of a connection.

    says: what was observed, in a line. remedy: what to do; empty unless the part is stalled.
    """

    name: str
    pace: Pace
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Backlog:
    """The records of a flow that are due now.

    oldest: since when the oldest record is due. in_vain: recent claims that ended without a result. moved: the latest
    progress within the time that counts as stalled.
    """

    due: int = 0
    oldest: datetime | None = None
    is_claimed: bool = False
    in_vain: int = 0
    moved: datetime | None = None


@dataclass(frozen=True, slots=True)
class _FlowState:
    """A flow of a connection, by name.

    unknown: why no process syncs it, empty if they do, with a remedy. closed: why its records rest; open_since: when that
    ended, if recently.
    """

    name: str
    connection: str
    unknown: str
    remedy: str
    closed: str
    open_since: datetime | None


Place = tuple[int, str]  # connection and flow


def note(session: Session, name: str, now: datetime) -> None:
    """Store a sign of life, such as that of the pump or of a lane whose canary arrived."""
    upsert(session, Pulse, [{"name": name, "at": now}], keys=("name",), update=("at",))


def last(engine: Engine, name: str) -> datetime | None:
    """When this sign of life was last noted (UTC); None if never. Raises Transient."""
    with engine.store.read() as session:
        return session.scalar(select(Pulse.at).where(Pulse.name == name))


def was_within(engine: Engine, name: str, seconds: float) -> bool:
    """Whether this sign of life was noted less than `seconds` ago; never with 0. Raises Transient.

    One in the future was noted by a host whose clock is ahead, and does not count.
    """
    before = last(engine, name) if seconds else None
    return before is not None and timedelta(0) <= clock.now() - before < timedelta(seconds=seconds)


def arrived(engine: Engine, lane: Lane) -> None:
    """Note that a canary of this lane reached a worker through the broker. Raises Transient."""
    with engine.store.write() as session:
        note(session, lane.label, clock.now())


def started(store: Store, now: datetime) -> None:
    """Note that a worker or beat has started. Raises Transient."""
    with store.write() as session:
        before = session.scalar(select(Pulse.at).where(Pulse.name == START))
        if before is None or now - before >= STARTS_APART:
            note(session, START, now)


def vitals(engine: Engine, *, stalled_s: float, redis_complaint: Misconfigured | None = None) -> list[Vital]:
    """Every part of the installation, and whether it makes progress. Raises Transient if the database is away.

    stalled_s: seconds without progress from which a part is stalled. redis_complaint: why Redis cannot be used, None if it
    can.
    """
    now = clock.now()
    states = {} if redis_complaint else endpoints.breakers(engine)
    with engine.store.read() as session:
        pulses = {row.name: row.at for row in session.execute(select(Pulse.name, Pulse.at))}
        busy = _at_work(session, now)
        backlogs = _backlogs(session, now, stalled_s)
        places = _places(session, engine, states, now, stalled_s)
    judge = _Judge(now, stalled_s, pulses, busy, redis_complaint)
    are_moving = any(backlog.moved is not None for backlog in backlogs.values())
    flows = [judge.flow(state, backlogs.get(place, _Backlog()), are_moving) for place, state in places.items()]
    connected = sorted({state.connection for state in places.values()})
    parts = [judge.redis(), judge.connections(connected), judge.pump(), *(judge.lane(lane) for lane in Lane)]
    return [*parts, *flows]


def is_well(found: Sequence[Vital]) -> bool:
    """True if nothing is stalled."""
    return all(vital.pace is not Pace.STALLED for vital in found)


# -- judging -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges what was read. Pure."""

    now: datetime
    stalled_s: float
    pulses: Mapping[str, datetime]
    at_work: frozenset[Lane]
    redis_complaint: Misconfigured | None

    def redis(self) -> Vital:
        if self.redis_complaint is not None:
            return Vital(REDIS, Pace.STALLED, self.redis_complaint.says, self._redis_remedy())
        return Vital(REDIS, Pace.MOVES, "answers")

    def _redis_remedy(self) -> str:
        given = self.redis_complaint.remedy if self.redis_complaint is not None else ""
        return given or "Start Redis, or restore the connection to it; everything then continues automatically"

    def connections(self, names: Sequence[str]) -> Vital:
        """names: connections that have flows."""
        if names:
            return Vital(CONNECTIONS, Pace.MOVES, ", ".join(names))
        remedy = "Write syncengine.yml and run `syncengine configure`"
        return Vital(CONNECTIONS, Pace.STALLED, "none is configured, so nothing is synced", remedy)

    def pump(self) -> Vital:
        says = f"last ran {clock.spell(self._age(self.pulses[PUMP]))} ago" if PUMP in self.pulses else "has not run yet"
        if self._is_fresh(PUMP):
            return Vital(PUMP, Pace.MOVES, says)
        if Lane.REALTIME in self.at_work:
            return Vital(PUMP, Pace.MOVES, f"{says}; its worker is busy with records")
        if self._is_starting():
            return Vital(PUMP, Pace.RESTS, self._just_started(says))
        alone = "Check the logs of beat, which schedules it, and of the realtime worker, which runs it"
        return Vital(PUMP, Pace.STALLED, says, self._remedy(alone))

    def lane(self, lane: Lane) -> Vital:
        last = self.pulses.get(lane.label)
        says = f"canary arrived {clock.spell(self._age(last))} ago" if last else "no canary has arrived yet"
        if self._is_fresh(lane.label):
            return Vital(lane.label, Pace.MOVES, says)
        if lane in self.at_work:
            return Vital(lane.label, Pace.MOVES, f"{says}; its worker is busy with records")
        if lane is Lane.BACKFILL and Lane.SCHEDULED in self.at_work:
            return Vital(lane.label, Pace.RESTS, f"{says}; scheduled work goes first")
        if self._is_starting():
            return Vital(lane.label, Pace.RESTS, self._just_started(says))
        alone = f"Check that a worker with --queues={lane.label} is running, read its log, and restart it"
        return Vital(lane.label, Pace.STALLED, f"{says}, and no step of the lane is running", self._remedy(alone))

    def flow(self, state: _FlowState, backlog: _Backlog, are_others_moving: bool) -> Vital:
        if backlog.oldest is None:
            if state.unknown:
                return Vital(state.name, Pace.STALLED, state.unknown, state.remedy)
            return Vital(state.name, Pace.MOVES, "nothing is due")
        says = f"{backlog.due} due, the oldest for {clock.spell(self._age(backlog.oldest))}"
        if state.unknown:
            return Vital(state.name, Pace.STALLED, f"{says}; {state.unknown}", state.remedy)
        if state.closed:
            return Vital(state.name, Pace.RESTS, f"{says}; {state.closed}")
        if backlog.moved is not None:
            return Vital(state.name, Pace.MOVES, f"{says}; progress {clock.spell(self._age(backlog.moved))} ago")
        if self._age(max(backlog.oldest, state.open_since or backlog.oldest)) <= self.stalled_s:
            return Vital(state.name, Pace.MOVES, says)
        if backlog.in_vain:
            says += f"; recent attempts that came to nothing: {backlog.in_vain}"
            alone = "Check the workers' logs. All workers must have the same flows and run the same version"
            return Vital(state.name, Pace.STALLED, says, self._remedy(alone))
        if are_others_moving and not backlog.is_claimed:
            return Vital(state.name, Pace.RESTS, f"{says}; waiting behind other flows")
        return Vital(state.name, Pace.STALLED, f"{says}; no progress", self._remedy("Check the workers' logs"))

    def _remedy(self, alone: str) -> str:
        """What to do about the deepest cause; `alone` if only this part is affected."""
        if self.redis_complaint is not None:
            return self._redis_remedy()
        if any(self._is_fresh(name) for name in (PUMP, *(lane.label for lane in Lane))):
            return alone
        if not self.pulses.keys() - {START}:
            return "Start the processes with `syncengine up`, or as described in docs/processes.md"
        return "Nothing that beat sends arrives. Check that beat and the workers are running, read their logs, and restart them"

    def _is_starting(self) -> bool:
        is_new = START in self.pulses and self._age(self.pulses[START]) <= STARTING_S
        return is_new and self.redis_complaint is None

    def _just_started(self, says: str) -> str:
        return f"the processes started {clock.spell(self._age(self.pulses[START]))} ago; {says}"

    def _is_fresh(self, name: str) -> bool:
        return name in self.pulses and self._age(self.pulses[name]) <= self.stalled_s

    def _age(self, at: datetime) -> float:
        return max(0.0, (self.now - at).total_seconds())


# -- reading -----------------------------------------------------------------------------------------------------------


def _at_work(session: Session, now: datetime) -> frozenset[Lane]:
    """Lanes with a step that is running now: its lease is short and is renewed. The scheduled lane reads the feeds."""
    lane = func.coalesce(Record.lease_lane, Record.lane)
    running = session.scalars(
        select(lane).where(Record.token.is_not(None), Record.runner.is_not(None), Record.lease_until > now).distinct()
    )
    found = {Lane(int(label)) for label in running}
    if session.scalar(select(Cursor.id).where(Cursor.holder != "", Cursor.held_until > now).limit(1)):
        found.add(Lane.SCHEDULED)
    return frozenset(found)


def _backlogs(session: Session, now: datetime, stalled_s: float) -> dict[Place, _Backlog]:
    """What is due and what happened to records recently, by connection and flow. Each query has its index."""
    place = (Record.connection_id, Record.flow)
    counted = (*place, func.count(), func.min(Record.not_before))
    is_due = (Record.wanted > Record.done, Record.not_before <= now)
    free = session.execute(select(*counted).where(*is_due, Record.token.is_(None)).group_by(*place)).all()
    claimed = session.execute(select(*counted).where(*is_due, Record.token.is_not(None)).group_by(*place)).all()
    found: dict[Place, _Backlog] = {}
    for rows, is_claimed in ((free, False), (claimed, True)):
        for connection_id, flow, count, since in rows:
            key = (connection_id, flow)
            before = found.get(key, _Backlog())
            oldest = since if before.oldest is None else min(before.oldest, since)
            found[key] = _Backlog(before.due + count, oldest, before.is_claimed or is_claimed)
    recent = session.execute(
        select(
            Event.connection_id,
            Event.flow,
            func.count(case((Event.what.in_(IN_VAIN), Event.id))),
            func.max(case((Event.what.not_in(NO_PROGRESS), Event.at))),
        )
        .where(Event.at > now - timedelta(seconds=stalled_s), Event.record_id.is_not(None))
        .group_by(Event.connection_id, Event.flow)
    )
    for connection_id, flow, in_vain, moved in recent:
        before = found.get((connection_id, flow), _Backlog())
        found[connection_id, flow] = _Backlog(before.due, before.oldest, before.is_claimed, in_vain, moved)
    return found


def _places(
    session: Session, engine: Engine, states: Mapping[str, BreakerState], now: datetime, stalled_s: float
) -> dict[Place, _FlowState]:
    """All flows of all connections, and whether their records rest with an endpoint."""
    ends = {endpoint.id: endpoint for endpoint in session.scalars(select(Endpoint))}
    freed = _freed(session, now - timedelta(seconds=stalled_s))
    found: dict[Place, _FlowState] = {}
    for connection in session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)):
        both = (ends[connection.left_id], ends[connection.right_id])
        reasons = [endpoints.why(end, states.get(end.name, BreakerState()), now) for end in both]
        pauses = [end.paused_until for end in both if end.paused_until is not None and end.paused_until <= now]
        opened = [*pauses, *(freed[end.name] for end in both if end.name in freed)]
        for flow in connection.flows:
            found[connection.id, flow] = _FlowState(
                f"{connection.name}: {flow}",
                connection.name,
                *_unknown(engine, flow),
                "; ".join(filter(None, reasons)),
                max(opened, default=None),
            )
    return found


def _unknown(engine: Engine, flow: str) -> tuple[str, str]:
    """Why no process syncs a flow, and what to do; both empty if they do."""
    if flow in engine.broken:
        return str(engine.broken[flow]), engine.broken[flow].remedy
    if flow in engine.flows:
        return "", ""
    return (
        "no flow of this process has this name",
        "Restart the processes if the flow is new; otherwise restore its file, or remove it from the connection",
    )


def _freed(session: Session, since: datetime) -> dict[str, datetime]:
    """When endpoints became available again since then, by name: a pause was ended, or their breaker closed."""
    rows = session.execute(
        select(Event.key, func.max(Event.at))
        .where(Event.at > since, Event.record_id.is_(None), Event.what.in_(("resumed", "back")))
        .group_by(Event.key)
    )
    return dict(rows.tuples().all())
