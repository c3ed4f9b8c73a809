"""Hints: somebody tells that objects of a system may have changed, and the records of all flows that read them are wanted.

The one way in for webhooks. A hint is never the truth: the objects are read, and what has not changed is written to nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from syncengine.connectors.hooks import is_about
from syncengine.engine.core.engine import Engine, Route, chunks
from syncengine.engine.core.want import MOST_WOKEN, is_key, want_told
from syncengine.engine.writes.link_keys import linked_among, record_keys
from syncengine.store.dialect import insert_into, upsert
from syncengine.store.models import AcceptedOnce, Hook, Schedule
from syncengine.store.states import Lane

LATEST_S = 60.0
"""How far ahead of our clock, in seconds, a change may have happened. The time of one that is further ahead is not used."""

HEARD_EVERY_S = 10.0
"""How often it is stored that a flow's webhooks are heard: every message would change the same row."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What somebody tells of the objects of one side of a connection.

    event: the system's name of what happened. keys: of the objects; empty if they are too many, so that feeds are read.
    told_at: when it happened (UTC, the system's clock), None if unknown. once: a digest of a message that must not be
    accepted a second time, else empty.
    """

    connection_id: int
    side: str
    event: str
    keys: tuple[str, ...]
    told_at: datetime | None = None
    once: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a hint. flows: those that it concerns. is_repeated: it was accepted before, so nothing was done.

    reads_feeds: the feeds of these flows are due now, since the hint names no objects.
    """

    flows: tuple[str, ...]
    is_repeated: bool = False
    reads_feeds: bool = False


def listeners(engine: Engine, connection_id: int, side: str, event: str) -> list[Route]:
    """The flows of a connection that take an event of one of its sides. Raises Misconfigured, Transient."""
    return [route for route, declared in declared_events(engine, connection_id, side) if is_about(event, declared)]


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


def take(session: Session, engine: Engine, hints: Sequence[Hint], now: datetime) -> list[Taken]:
    """Want what some hints are about, in the caller's transaction; returns what became of each.

    Call `prepare` for their connections before the transaction begins. Raises Misconfigured, Transient.
    """
    repeated = _repeated(session, hints, now)
    results: list[Taken] = []
    groups: dict[tuple[int, str, str], list[Hint]] = {}
    for position, hint in enumerate(hints):
        if position in repeated:
            results.append(Taken((), is_repeated=True))
            continue
        heard = listeners(engine, hint.connection_id, hint.side, hint.event)
        results.append(Taken(tuple(route.flow.name for route in heard), reads_feeds=bool(heard) and not hint.keys))
        for route in heard:
            groups.setdefault((hint.connection_id, route.flow.name, hint.side), []).append(hint)
        if not heard:
            _ask_for_check(session, hint)
    for (connection_id, flow, side), some in sorted(groups.items()):
        _want(session, engine.route(connection_id, flow), side, some, now)
    return results


def prepare(engine: Engine, hints: Iterable[Hint]) -> None:
    """Load the connections of hints, so that `take` reads nothing else within its transaction. Raises as `take`."""
    for connection_id in {hint.connection_id for hint in hints}:
        engine.connection(connection_id)


def _want(session: Session, route: Route, side: str, hints: Sequence[Hint], now: datetime) -> None:
    told: dict[str, datetime | None] = {}
    for hint in hints:
        at = hint.told_at if hint.told_at is not None and hint.told_at <= now + timedelta(seconds=LATEST_S) else None
        for key in filter(is_key, hint.keys):
            before = told.get(key, at)
            told[key] = max(at, before) if at is not None and before is not None else None
    for chunk in chunks(sorted(told), MOST_WOKEN):
        named = _records(session, route, side, chunk)
        by_record: dict[str, datetime | None] = {}
        for key, records in named.items():
            for record in records:
                at, before = told[key], by_record.get(record, told[key])
                by_record[record] = max(at, before) if at is not None and before is not None else None
        want_told(session, route.connection_id, route.flow.name, by_record, lane=Lane.REALTIME, now=now)
    _note_heard(session, route, now, reads_feeds=any(not hint.keys for hint in hints))


def _records(session: Session, route: Route, side: str, keys: Sequence[str]) -> dict[str, list[str]]:
    """The records of objects of one side, by object key; of a flow that compares, those of linked objects alone."""
    if route.flow.compares:  # there is nothing to compare with what no flow has linked
        linked = linked_among(session, route, side, keys)
        keys = [key for key in keys if key in linked]
    return record_keys(session, route, side, keys) if keys else {}


def _note_heard(session: Session, route: Route, now: datetime, *, reads_feeds: bool) -> None:
    mine = {"connection_id": route.connection_id, "flow": route.flow.name}
    fresh = insert_into(session, Schedule).values(**mine, next_due=now, heard_at=now)
    session.execute(fresh.on_conflict_do_nothing(index_elements=["connection_id", "flow"]))
    row = update(Schedule).where(Schedule.connection_id == route.connection_id, Schedule.flow == route.flow.name)
    long_ago = or_(Schedule.heard_at.is_(None), Schedule.heard_at < now - timedelta(seconds=HEARD_EVERY_S))
    session.execute(row.where(long_ago).values(heard_at=now))
    if reads_feeds:
        session.execute(row.where(Schedule.next_due > now).values(next_due=now))


def _repeated(session: Session, hints: Sequence[Hint], now: datetime) -> set[int]:
    """Positions of hints that were accepted before, or are in this sequence twice. Notes the others as accepted."""
    repeated: set[int] = set()
    for position, hint in enumerate(hints):
        if hint.once:
            row = insert_into(session, AcceptedOnce).values(digest=hint.once, at=now)
            fresh: Any = row.on_conflict_do_nothing(index_elements=["digest"]).returning(AcceptedOnce.digest)
            if session.scalar(fresh) is None:
                repeated.add(position)
    return repeated


def _ask_for_check(session: Session, hint: Hint) -> None:
    """No flow takes this event any more: have the subscriptions of the side checked."""
    row = {"connection_id": hint.connection_id, "side": hint.side, "ids": [], "check_due": True}
    upsert(session, Hook, [row], keys=("connection_id", "side"), update=("check_due",))
