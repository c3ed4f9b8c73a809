"""Which events of a system tell of the objects of which flows, and how often feeds are read while they do.

Feeds are the safety net of webhooks. While webhooks are heard, and no feed shows a change that none has reported, the feeds are
read at the relaxed interval; the first change that was missed brings the usual interval back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.connectors.hooks import is_about
from syncengine.engine.core.engine import Connection, Engine, Route
from syncengine.store.models import Hook, Schedule

PROBATION = timedelta(minutes=15)
"""How long feeds are read at the usual interval after a change that no webhook reported."""

UNCHECKED = timedelta(hours=26)
"""How old the daily check of subscriptions may be for webhooks to count as working."""


@dataclass(frozen=True, slots=True)
class Polling:
    """How often the feeds of a flow are read.

    usual_s, relaxed_s: both intervals in seconds; relaxed_s is None for a flow without events. interval_s: the present one.
    why: why it is not the relaxed one, for people; empty if it is, or the flow has no events. is_heard: whether a webhook
    about the flow's objects has ever been heard.
    """

    usual_s: float
    relaxed_s: float | None
    interval_s: float
    why: str = ""
    is_heard: bool = False


def declared_events(engine: Engine, connection_id: int, side: str) -> Iterator[tuple[Route, Collection[str]]]:
    """The flows of a connection that read a side, each with the events that its resources there declare.

    Raises Misconfigured, Transient.
    """
    connection = engine.connection(connection_id)
    for name in sorted(connection.row.flows):
        flow = engine.flows.get(name)
        if flow is None:  # disabled
            continue
        mine = [resource for resource in flow.listens if connection.side(resource) == side]
        events = [event for resource in mine for event in connection.resource(resource).events]
        if events:
            yield Route(engine, flow, connection), events


def listeners(engine: Engine, connection_id: int, side: str, event: str) -> list[Route]:
    """The flows of a connection that take an event of one of its sides. Raises Misconfigured, Transient."""
    return [route for route, declared in declared_events(engine, connection_id, side) if is_about(event, declared)]


def subscribable(connection: Connection, resource: str) -> list[str]:
    """The events of a resource that its system tells of. Raises Misconfigured."""
    connector = connection.connectors[connection.side(resource)]
    return [event for event in connection.resource(resource).events if connector.is_subscribable(event)]


def polling(session: Session, route: Route, now: datetime) -> Polling:
    """How often the feeds of a flow are read now. Raises Misconfigured."""
    usual_s, connection = route.flow.every_s, route.connection
    never_relaxes = route.flow.relaxed_s <= usual_s
    if (
        not usual_s
        or never_relaxes
        or not route.flow.listens
        or not all(subscribable(connection, name) for name in route.flow.listens)
    ):
        return Polling(usual_s, None, usual_s)
    own = connection.row.relaxed_s
    relaxed_s = max(usual_s, route.flow.relaxed_s if own is None else own)
    schedule = session.get(Schedule, (route.connection_id, route.flow.name), populate_existing=True)
    why = _why_unheard(schedule, now) or _why_unsubscribed(_hooks(session, route), route, now)
    is_heard = schedule is not None and schedule.heard_at is not None
    return Polling(usual_s, relaxed_s, usual_s if why else relaxed_s, why, is_heard)


def _why_unheard(schedule: Schedule | None, now: datetime) -> str:
    if schedule is None or schedule.heard_at is None:
        return "no webhook has been heard yet"
    if schedule.missed_at is None:
        return ""
    if schedule.heard_at <= schedule.missed_at:
        return f"none has been heard since {schedule.missed_at:%Y-%m-%d %H:%M} UTC, when a change was missed"
    if now - schedule.missed_at < PROBATION:
        return f"a change was missed at {schedule.missed_at:%H:%M} UTC"
    return ""


def _hooks(session: Session, route: Route) -> Mapping[str, Hook]:
    rows = session.scalars(select(Hook).where(Hook.connection_id == route.connection_id))
    return {row.side: row for row in rows}


def _why_unsubscribed(hooks: Mapping[str, Hook], route: Route, now: datetime) -> str:
    """Why the subscriptions of the sides that a flow reads do not count as working; sides without any are left out."""
    for side in sorted({route.connection.side(name) for name in route.flow.listens}):
        if route.connection.connectors[side].subscriptions is None:
            continue
        hook = hooks.get(side)
        if hook is None or hook.checked_at is None or now - hook.checked_at > UNCHECKED:
            return "its subscriptions have not been checked for a day"
        if hook.problem:
            return hook.problem
    return ""
