"""Hints: somebody tells that objects of a system may have changed, and the records of all flows that read them are wanted.

The one way in for webhooks. A hint is never the truth: the objects are read, and what has not changed is written to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, true, update
from sqlalchemy.orm import Session

from syncengine.engine.core.engine import Engine, Route, chunks
from syncengine.engine.core.events import listeners
from syncengine.engine.core.want import MOST_WOKEN, is_key, want_hinted
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
    hinted_at: when it happened (UTC, the system's clock), None if unknown. once: a digest of a message that must not be
    accepted a second time, else empty. is_test: it is about no object; only that it was heard is noted.
    """

    connection_id: int
    side: str
    event: str
    keys: tuple[str, ...]
    hinted_at: datetime | None = None
    once: str = ""
    is_test: bool = False

    @property
    def names_too_many(self) -> bool:
        """Whether it is about more objects than it names, so that feeds are read."""
        return not self.keys and not self.is_test


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a hint. flows: those that it concerns. is_repeated: it was accepted before, so nothing was done.

    reads_feeds: the feeds of these flows are due now, since the hint names no objects.
    """

    flows: tuple[str, ...]
    is_repeated: bool = False
    reads_feeds: bool = False


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
        results.append(
            Taken(tuple(route.flow.name for route in heard), reads_feeds=bool(heard) and hint.names_too_many)
        )
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
    reported: dict[str, datetime | None] = {}
    for hint in hints:
        at = (
            hint.hinted_at
            if hint.hinted_at is not None and hint.hinted_at <= now + timedelta(seconds=LATEST_S)
            else None
        )
        for key in filter(is_key, hint.keys):
            before = reported.get(key, at)
            reported[key] = max(at, before) if at is not None and before is not None else None
    for chunk in chunks(sorted(reported), MOST_WOKEN):
        named = _records(session, route, side, chunk)
        by_record: dict[str, datetime | None] = {}
        for key, records in named.items():
            for record in records:
                at, before = reported[key], by_record.get(record, reported[key])
                by_record[record] = max(at, before) if at is not None and before is not None else None
        want_hinted(session, route.connection_id, route.flow.name, by_record, lane=Lane.REALTIME, now=now)
    _note_heard(
        session, route, now,
        at_once=any(hint.is_test for hint in hints), reads_feeds=any(hint.names_too_many for hint in hints),
    )  # fmt: skip


def _records(session: Session, route: Route, side: str, keys: Sequence[str]) -> dict[str, list[str]]:
    """The records of objects of one side, by object key; of a flow that compares, those of linked objects alone."""
    if route.flow.compares:  # there is nothing to compare with what no flow has linked
        linked = linked_among(session, route, side, keys)
        keys = [key for key in keys if key in linked]
    return record_keys(session, route, side, keys) if keys else {}


def _note_heard(session: Session, route: Route, now: datetime, *, at_once: bool, reads_feeds: bool) -> None:
    mine = {"connection_id": route.connection_id, "flow": route.flow.name}
    fresh = insert_into(session, Schedule).values(**mine, next_due=now, heard_at=now)
    session.execute(fresh.on_conflict_do_nothing(index_elements=["connection_id", "flow"]))
    row = update(Schedule).where(Schedule.connection_id == route.connection_id, Schedule.flow == route.flow.name)
    long_ago = or_(Schedule.heard_at.is_(None), Schedule.heard_at < now - timedelta(seconds=HEARD_EVERY_S))
    session.execute(row.where(true() if at_once else long_ago).values(heard_at=now))
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
