"""Links of objects that exist on both sides and have one natural key: found, never created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
    """What was read of the source: typed documents by key, the lookups of the mapping, and when (UTC)."""

    docs: Mapping[str, Doc]
    lookups: Mapping[str, Mapping[str, str]]
    at: datetime


def link(
    route: Route, lease: Lease, linked: Mapping[int, Sequence[Link]], read: ReadSources
) -> Mapping[int, Sequence[Link]]:
    """Link the lease's records that have no link with the target's object of their natural key; returns the links of all.

    One search finds them all. A record whose key several objects have is held and leaves the lease.
    """
    asked = [record for record in lease.records if not linked[record.id]]
    keys = {record.id: key for record in asked if (key := key_to_find(route, read.docs.get(record.key), read.lookups))}
    if not keys:
        return linked
    with calling(route.connection.endpoint(route.target.name)):
        found = route.target.keys_of(sorted(set(keys.values())))
    named = {record.id: record for record in lease.records if record.id in keys}
    several = {natural: some for natural, some in found.items() if len(some) > 1}
    pairs, doubles = _pairs(route, named, keys, found)
    with route.engine.store.write() as session:
        mine = records.owned(session, lease)
        links.take_turns(session, route.connection_id)
        problems = links.meet(session, route, pairs, read.at)
        problems |= {
            natural: f"several objects of the target have the key {natural}: {', '.join(some)}. Give them different ones"
            for natural, some in several.items()
        }
        texts = {id_: doubles.get(id_) or problems.get(keys[id_], "") for id_ in named if id_ in mine}
        held = {id_: Completion(Status.HELD, text, Why.WRITE) for id_, text in texts.items() if text}
        records.complete(session, lease, held, read.at)
        timeline.note(
            session,
            [named[id_] for id_ in held],
            "held",
            read.at,
            {id_: {"reason": end.reason} for id_, end in held.items()},
        )
        target = route.target.name
        details = {
            id_: {"to": f"{target} {found[keys[id_]][0]}", "by": f"both have the key {keys[id_]}"}
            for id_ in named
            if keys[id_] in pairs
        }
        joined = [record for id_, record in named.items() if id_ in details and id_ not in held]
        timeline.note(session, joined, "linked", read.at, details)
    lease.records = [record for record in lease.records if record.id not in held]
    with route.engine.store.read() as session:
        return links.of_records(session, route, lease.records)


def assumed(
    route: Route, found: Sequence[Record], linked: Mapping[int, Sequence[Link]], read: ReadSources
) -> Mapping[int, Sequence[Link]]:
    """As `link`, for a dry run: the links that would be made are in the result and nowhere else, and nothing is held."""
    keys = {
        record.id: key
        for record in found
        if not linked[record.id] and (key := key_to_find(route, read.docs.get(record.key), read.lookups))
    }
    if not keys:
        return linked
    with calling(route.connection.endpoint(route.target.name)):
        there = route.target.keys_of(sorted(set(keys.values())))
    made = dict(linked)
    for record in found:
        natural = keys.get(record.id, "")
        if len(there.get(natural, ())) == 1:
            left, right = _ends(route, record.key, there[natural][0])
            made[record.id] = [
                Link(
                    connection_id=route.connection_id, entity=route.flow.entity, left_key=left, right_key=right, part="",
                    natural_key=natural, provisional=False, revision=0, lines={}, updated_at=read.at,
                )
            ]  # fmt: skip
    return made


def key_to_find(route: Route, doc: Doc | None, lookups: Mapping[str, Mapping[str, str]]) -> str:
    """The natural key of the target's object that belongs to a typed document; empty if there is none."""
    if doc is None:
        return ""
    try:
        return route.flow.mapping.key_to_find(doc, route.settings, lookups)
    except Rejected:
        return ""  # its plan fails with the same error


def _pairs(
    route: Route, named: Mapping[int, Record], keys: Mapping[int, str], found: Mapping[str, Sequence[str]]
) -> tuple[dict[str, tuple[str, str]], dict[int, str]]:
    """Left and right key by natural key, and why further records (by id) of the same natural key cannot be linked."""
    pairs: dict[str, tuple[str, str]] = {}
    doubles: dict[int, str] = {}
    for id_, record in named.items():
        natural = keys[id_]
        if len(found.get(natural, ())) == 1:
            ends = _ends(route, record.key, found[natural][0])
            if pairs.setdefault(natural, ends) != ends:
                doubles[id_] = f"another object of the source has the key {natural} too. Give them different ones"
    return pairs, doubles


def _ends(route: Route, source_key: str, target_key: str) -> tuple[str, str]:
    """Left and right key."""
    return (source_key, target_key) if route.source_side == "left" else (target_key, source_key)
