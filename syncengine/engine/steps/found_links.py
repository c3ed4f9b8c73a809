"""Links of objects that exist on both sides and have one natural key: found, never created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine.core import records, timeline
from syncengine.engine.core.engine import Route, calling
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.records import Completion
from syncengine.engine.writes import links
from syncengine.errors import Rejected
from syncengine.store.models import Link, Record
from syncengine.store.states import Status, Why


@dataclass(frozen=True, slots=True)
class ReadSources:
    """What was read of the source: untyped documents by key, the lookups of the mapping, and when (UTC)."""

    docs: Mapping[str, Doc]
    lookups: Mapping[str, Mapping[str, str]]
    at: datetime


def link(
    route: Route, lease: Lease, linked: Mapping[int, Sequence[Link]], read: ReadSources
) -> Mapping[int, Sequence[Link]]:
    """Link the lease's records that have no link with the target's object of their natural key; returns the links of all.

    One search finds them all. A record whose key several objects have is held and leaves the lease.
    """
    keys = {record.id: key for record in lease.records if not linked[record.id] and (key := _key(route, record, read))}
    if not keys:
        return linked
    with calling(route.connection.endpoint(route.target.name)):
        found = route.target.keys_of(sorted(set(keys.values())))
    held: dict[int, Completion] = {}
    with route.engine.store.write() as session:
        mine = records.owned(session, lease)
        links.take_turns(session, route.connection_id)
        for record in [record for record in lease.records if record.id in keys and record.id in mine]:
            natural = keys[record.id]
            if problem := _joined(session, route, record, natural, found.get(natural, ()), read):
                held[record.id] = Completion(Status.HELD, problem, Why.WRITE)
        records.complete(session, lease, held, read.at)
        left = [record for record in lease.records if record.id in held]
        timeline.note(session, left, "held", read.at, {id_: {"reason": end.reason} for id_, end in held.items()})
    lease.records = [record for record in lease.records if record.id not in held]
    with route.engine.store.read() as session:
        return links.of_records(session, route, lease.records)


def _key(route: Route, record: Record, read: ReadSources) -> str:
    doc = read.docs.get(record.key)
    if doc is None:
        return ""
    try:
        return route.flow.mapping.key_to_find(route.source.load(doc), route.settings, read.lookups)
    except Rejected:
        return ""  # its plan fails with the same error


def _joined(
    session: Session, route: Route, record: Record, natural: str, keys: Sequence[str], read: ReadSources
) -> str:
    """Link a record with the one object found; returns why that is impossible, empty if it is done or nothing was found."""
    if not keys:
        return ""
    if len(keys) > 1:
        return f"several objects of the target have the key {natural}: {', '.join(keys)}. Give them different ones"
    ends = (record.key, keys[0]) if route.source_side == "left" else (keys[0], record.key)
    if problem := links.taken(session, route.connection_id, route.flow.entity, *ends, "", side=route.source_side):
        return problem
    links.meet(session, route, *ends, natural, read.at)
    timeline.note_one(session, record, "linked", read.at, key=keys[0], reference=natural)
    return ""
