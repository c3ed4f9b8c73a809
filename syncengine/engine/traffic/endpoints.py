"""Endpoints that must not be called: paused by a person, resting after refused credentials, or down (breaker open).

A pause is kept in SQL, with an end, and survives an emptied Redis. The breaker's state is automatic and lives in Redis.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Connector
from syncengine.engine.core import records, timeline
from syncengine.engine.core.engine import Engine
from syncengine.errors import Misconfigured, Transient
from syncengine.http.breaker_state import BreakerState, Change, Hook
from syncengine.store import Store
from syncengine.store.models import ConnectionRow, Endpoint, Event

log = logging.getLogger(__name__)

RESUMED = "resumed"
MORE_THAN_A_YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The present state of one endpoint.

    breaker: None if Redis does not answer. paused_until: UTC; None if it is not paused. paused_by: who paused it, empty if
    it rests by itself. quota: one line, empty where nothing is counted. connections: names of those that use it.
    """

    name: str
    system: str
    breaker: BreakerState | None
    paused_until: datetime | None
    paused_because: str
    paused_by: str
    quota: str
    connections: tuple[str, ...]


def breakers(engine: Engine) -> dict[str, BreakerState]:
    """All breakers by endpoint name. Call it before a transaction begins, since it asks Redis. Raises Transient."""
    if engine.breakers is None:
        return {}
    with engine.store.read() as session:
        names = list(session.scalars(select(Endpoint.name)))
    return engine.breakers.states(names)


def is_paused(endpoint: Endpoint, now: datetime) -> bool:
    """Whether the endpoint is paused by a person, or rests after refused credentials."""
    return endpoint.paused_until is not None and endpoint.paused_until > now


def may_be_called(endpoint: Endpoint, states: Mapping[str, BreakerState], now: datetime) -> bool:
    """Whether the endpoint may be called: not paused, and its breaker closed or due for a probe."""
    state = states.get(endpoint.name, BreakerState())
    return not is_paused(endpoint, now) and (not state.is_open or state.wants_probe)


def at_rest(engine: Engine) -> dict[int, str]:
    """Connections that must not be read now, by id, each with the reason in a line. Raises Transient."""
    states, now = breakers(engine), clock.now()
    with engine.store.read() as session:
        ends = {endpoint.id: endpoint for endpoint in session.scalars(select(Endpoint))}
        connections = session.scalars(select(ConnectionRow)).all()
    found: dict[int, str] = {}
    for connection in connections:
        for endpoint in (ends[connection.left_id], ends[connection.right_id]):
            if not may_be_called(endpoint, states, now):
                found[connection.id] = why(endpoint, states.get(endpoint.name, BreakerState()), now)
    return found


def why(endpoint: Endpoint, state: BreakerState, now: datetime) -> str:
    """Why an endpoint must not be called, in a line; empty if it may be."""
    if not is_paused(endpoint, now) and state.is_open:
        return f"{endpoint.name} is down and will be retried in {state.retry_in_s:.0f} s: {state.why}"
    return why_paused(endpoint, now)


def why_paused(endpoint: Endpoint, now: datetime) -> str:
    """Until when, by whom and why an endpoint is paused, in a line; empty if it is not."""
    if not is_paused(endpoint, now):
        return ""
    who = f" by {endpoint.paused_by}" if endpoint.paused_by else ""
    because = f": {endpoint.paused_because}" if endpoint.paused_because else ""
    return f"{endpoint.name} is paused until {endpoint.paused_until:%Y-%m-%d %H:%M:%S} UTC{who}{because}"


def listed(engine: Engine) -> list[EndpointState]:
    """All endpoints, sorted by name. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        endpoints = session.scalars(select(Endpoint).order_by(Endpoint.name)).all()
        connections = session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)).all()
    quotas = _quotas(engine, connections)
    return [
        EndpointState(
            name=endpoint.name,
            system=endpoint.system,
            breaker=engine.breakers.state(endpoint.name) if engine.breakers is not None else None,
            paused_until=endpoint.paused_until if is_paused(endpoint, now) else None,
            paused_because=endpoint.paused_because if is_paused(endpoint, now) else "",
            paused_by=endpoint.paused_by if is_paused(endpoint, now) else "",
            quota=quotas.get(endpoint.id, ""),
            connections=tuple(c.name for c in connections if endpoint.id in (c.left_id, c.right_id)),
        )
        for endpoint in endpoints
    ]


def _quotas(engine: Engine, connections: Sequence[ConnectionRow]) -> dict[int, str]:
    found: dict[int, str] = {}
    for row in connections:
        try:
            connection = engine.connection(row.id)
        except Misconfigured as error:
            found |= {row.left_id: str(error), row.right_id: str(error)}
            continue
        for side, endpoint in connection.endpoints.items():
            found[endpoint.id] = connection.connectors[side].quota()
    return found


def pause(engine: Engine, name: str, *, until: datetime, because: str, by: str) -> str:
    """Pause an endpoint for a person: no new work with it until then (UTC); running calls end within a minute.

    Returns the pause or rest that it replaces, in a line; empty if there was none. Raises Misconfigured for an unknown
    endpoint, an end that is not in the coming year, or one that would shorten somebody else's pause.
    """
    now = clock.now()
    if not now < until < now + MORE_THAN_A_YEAR:
        raise Misconfigured(f"the pause would end at {until:%Y-%m-%d %H:%M} UTC", "Name a time within the coming year")
    with engine.store.write() as session:
        endpoint = _row(session, name, locked=True)
        if (
            is_paused(endpoint, now)
            and endpoint.is_paused_by_person
            and endpoint.paused_by != by
            and until < (endpoint.paused_until or now)
        ):
            raise Misconfigured(
                f"{why_paused(endpoint, now)}",
                f"To end that earlier, `syncengine endpoints resume {name}`, then pause it",
            )
        before = why_paused(endpoint, now)
        endpoint.paused_until, endpoint.paused_because = until, because
        endpoint.paused_by, endpoint.is_paused_by_person = by or "a person", True
        timeline.note_endpoint(session, name, "paused", now, until=until.isoformat(), because=because, by=by)
    return before


def resumed_last(engine: Engine, name: str) -> str:
    """Who resumed an endpoint within the last day, in the form of `timeline.last_by_hand`. Raises Transient."""
    recent = Event.at > clock.now() - timedelta(days=1)
    with engine.store.read() as session:
        return timeline.last_by_hand(session, RESUMED, recent, Event.key == name, Event.record_id.is_(None))


def resume(engine: Engine, name: str, *, by: str = "") -> bool:
    """End a pause or a rest, whoever began it, and let an open breaker probe at once.

    Records that were put off meanwhile are due at once. Returns False if the endpoint was neither paused nor down. Raises
    Misconfigured for an unknown endpoint, Transient.
    """
    with engine.store.write() as session:
        was_paused = end_pause(session, _row(session, name, locked=True), clock.now(), by=by)
    was_down = engine.breakers is not None and engine.breakers.probe_now(name)
    return was_paused or was_down


def end_pause(session: Session, endpoint: Endpoint, now: datetime, *, by: str) -> bool:
    """End an endpoint's pause or rest, and the back-off of its records. Returns whether it was paused."""
    was_paused, was = is_paused(endpoint, now), why_paused(endpoint, now)
    endpoint.paused_until, endpoint.paused_because = None, ""
    endpoint.paused_by, endpoint.is_paused_by_person = "", False
    if was_paused:
        timeline.note_endpoint(session, endpoint.name, RESUMED, now, by=by, was=was)
    its = or_(ConnectionRow.left_id == endpoint.id, ConnectionRow.right_id == endpoint.id)
    records.resume(session, session.scalars(select(ConnectionRow.id).where(its)).all(), now)
    return was_paused


def authorise(engine: Engine, name: str, code: str, *, by: str) -> None:
    """Exchange the code of a person's consent for credentials; an endpoint that rested without them is called again.

    A person's pause remains. Raises AuthenticationFailed if the code is refused, Misconfigured, Transient, EndpointDown.
    """
    _connector(engine, name).trade(code)
    with engine.store.write() as session:
        timeline.note_endpoint(session, name, "authorised", clock.now(), by=by)
        endpoint = _row(session, name)
        by_person = endpoint.is_paused_by_person and is_paused(endpoint, clock.now())
    if not by_person:
        resume(engine, name, by=by)


def consent_url(engine: Engine, name: str, state: str) -> str:
    """Where a person gives consent; see `Connector.consent_url`. Raises Misconfigured, also for an unknown endpoint."""
    return _connector(engine, name).consent_url(state)


def _connector(engine: Engine, name: str) -> Connector:
    with engine.store.read() as session:
        return engine.connector(_row(session, name))


def _row(session: Session, name: str, *, locked: bool = False) -> Endpoint:
    """The endpoint of this name. locked: nobody else pauses or resumes it before the transaction ends. Raises Misconfigured."""
    query = select(Endpoint).where(Endpoint.name == name)
    found = session.scalars(query.with_for_update() if locked else query).one_or_none()
    if found is None:
        known = session.scalars(select(Endpoint.name).order_by(Endpoint.name)).all()
        raise Misconfigured(f"there is no endpoint {name!r}", f"Known endpoints: {', '.join(known) or 'none'}")
    return found


def noting(store: Store) -> Hook:
    """A hook for the breakers that adds an event when an endpoint goes down or comes back. It raises nothing."""

    def note(change: Change) -> None:
        what = "down" if change.opened else "back"
        detail = {"because": change.why} if change.opened else {"after_s": round(change.open_s, 1)}
        try:
            with store.write() as session:
                timeline.note_endpoint(session, change.endpoint, what, clock.now(), **detail)
        except Transient as error:  # must not fail the call that opened or closed the breaker
            log.warning("the timeline lacks that %s is %s: %s", change.endpoint, what, error)

    return note
