"""First step: read the current state in bulk: sources, what they refer to, and linked targets. It decides nothing.

A step reads for `step_s` seconds at most: records whose documents have not all been read by then are given back, to be next.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Update, and_, bindparam, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.document import fingerprint
from syncengine.engine.core import failures, known_links, payloads, readings, records, search_names, timeline, versions
from syncengine.engine.core.engine import Engine, Route
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.lookups import lookups_of
from syncengine.engine.core.records import Completion
from syncengine.engine.core.want import want
from syncengine.engine.decide.plan import NOT_LINKED
from syncengine.engine.steps import corrections, early_hints, found_links, kept_docs
from syncengine.engine.steps.corrections import Correction
from syncengine.engine.steps.fetched import Fetched
from syncengine.engine.steps.kept_docs import Kept
from syncengine.engine.steps.page_sweep import refill
from syncengine.engine.writes import link_keys, links
from syncengine.engine.writes.unknown_writes import resolve
from syncengine.errors import SyncError
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Mapping as FlowMapping
from syncengine.store.models import Link, Record
from syncengine.store.states import Lane, Stage, Status, Why

log = logging.getLogger(__name__)


def fetch(engine: Engine, lease: Lease) -> None:
    """Read everything that the plans of the lease's records need, and store it with them."""
    route = engine.route_of(lease.records[0])
    resolve(route, lease)
    if not lease.records:
        return
    with engine.store.read() as session:
        linked = links.of_records(session, route, lease.records)
        setup = fingerprint(
            [route.flow.version, route.connection.row.settings, lookups_of(session, route.connection.row, route.flow)]
        )
        corrected = corrections.active(session, engine.vault, [record.id for record in lease.records])
        discarded = _discarded(session, engine, lease)
    if route.flow.write_back:
        _leave_unlinked(route, lease, linked)
    if lease.records:
        _read(route, lease, linked, setup, corrected, discarded)


def _read(
    route: Route,
    lease: Lease,
    linked: Mapping[int, Sequence[Link]],
    setup: str,
    corrected: Mapping[int, Correction],
    discarded: Mapping[int, Any],
) -> None:
    """Read the documents of the lease's records and store them; give back the records for which the time ran out.

    setup: fingerprint of what the mapping depends on. linked, corrected, discarded: by record id.
    """
    placed = corrections.by_place(route, {record.id: record.key for record in lease.records}, corrected)
    its_links = {record.key: linked[record.id] for record in lease.records}
    begun, step_s = clock.monotonic(), route.engine.limits.step_s
    if route.source.has_pages and lease.records[0].lane == Lane.BACKFILL:
        _read_on(route)
    kept = kept_docs.load(route, lease.records, linked) if route.flow.levels else None
    fetched = read_sources(
        route, its_links, placed, until=begun + step_s / 2, first=lease.records[0].key, kept=kept,
    )  # fmt: skip
    if route.flow.levels:
        read = found_links.ReadSources(fetched.typed(route.source), fetched.lookups, fetched.at)
        linked = found_links.link(route, lease, linked, read)
        if not lease.records:
            return
    late = _unread(route, lease.records, linked, fetched)
    in_time = [record for record in lease.records if record.id not in late]
    own = {record.id: own_docs(route, record.key, linked[record.id], fetched) for record in in_time}
    held = corrections.apply(corrected, own).held
    prints = {
        record.id: fingerprint([setup, record.parts, own[record.id], *_mark(held.get(record.id))]) for record in in_time
    }
    idle = [
        record
        for record in in_time
        if _is_idle(route.flow, record, prints[record.id]) and not _misses_a_link(record, linked[record.id])
    ]
    busy = [record for record in in_time if record not in idle]
    fetched.until, fetched.first = begun + step_s, next((record.key for record in busy), "")
    read_targets(route, {record.key: linked[record.id] for record in busy}, fetched)
    late |= _unread(route, busy, linked, fetched, targets=True)
    for record in in_time:
        if record.id in discarded and record.id not in late:
            docs = own_docs(route, record.key, linked[record.id], fetched)
            idle += [record] if _sides(route.flow, discarded[record.id]) == _sides(route.flow, docs) else []
    if late:
        with route.engine.store.write() as session:
            records.give_back(session, lease, late, clock.now())
        lease.records = [record for record in lease.records if record.id not in late]
    _store(route, lease, linked, fetched, prints, idle)


def _read_on(route: Route) -> None:
    """Read on in the sweep by pages that is under way. What fails is tried again by the next tick, which reports it."""
    try:
        refill(route)
    except SyncError as error:
        log.warning("%s: the sweep stops until the next tick: %s", route.flow.name, error)


def _leave_unlinked(route: Route, lease: Lease, linked: Mapping[int, Sequence[Link]]) -> None:
    """End the records of a write-back whose objects are not linked, without a call; a link will want them again.

    If a record has the key of a source object that has been linked since, the record of the linked target is wanted instead.
    """
    own, now = route.target_side, clock.now()
    ends: dict[int, Completion] = {}
    passed_on: dict[str, list[Record]] = {}
    for record in lease.records:
        named = link_keys.by_part(route, linked[record.id])
        if not named:
            ends[record.id] = Completion(Status.SKIPPED, NOT_LINKED, Why.NOT_LINKED)
        elif route.keys.ends(record.key).side != own:
            keys = [link_keys.target_key(route, link) for link in linked[record.id] if not link.provisional]
            ends[record.id] = Completion(
                Status.SKIPPED, f"it is written by the record of {', '.join(filter(None, keys))}", Why.NOT_LINKED
            )
            for key in filter(None, keys):
                passed_on.setdefault(route.keys.of(own, key), []).append(record)
    if not ends:
        return
    with route.engine.store.write() as session:
        mine = records.owned(session, lease)
        ends = {record_id: end for record_id, end in ends.items() if record_id in mine}
        for key, some in passed_on.items():
            want(
                session, route.connection_id, route.flow.name, [key], lane=min(record.lane for record in some), now=now
            )
        records.complete(session, lease, ends, now)
        gone = [record for record in lease.records if record.id in ends]
        timeline.note(session, gone, "skipped", now, {record.id: {"reason": ends[record.id].reason} for record in gone})
    lease.records = [record for record in lease.records if record.id not in ends]


def _unread(
    route: Route,
    found: Sequence[Record],
    linked: Mapping[int, Sequence[Link]],
    fetched: Fetched,
    *,
    targets: bool = False,
) -> set[int]:
    """Ids of records of which something was not read in time: on the source's side, or with `targets` on the target's."""
    resource = route.target if targets else route.source
    mapping = route.flow.backward if targets else route.flow.mapping
    settings = route.settings
    late: set[int] = set()
    for record in found:
        keys = _both_ends(route, record.key, linked[record.id])[route.connection.side(resource.name)]
        referred = [
            reference
            for key in keys
            if mapping is not None and fetched.get(resource.name, key) is not None
            for reference in fetched.references(mapping, resource, key, settings)
        ]
        if fetched.lacks(resource.name, keys) or any(fetched.lacks(other.resource, [other.key]) for other in referred):
            late.add(record.id)
    return late


def _mark(held: Correction | None) -> list[int]:
    """What makes the fingerprint of a corrected document differ, so that the start or end of a correction is a change."""
    return [held.id] if held else []


def _is_idle(flow: Flow, record: Record, source_fingerprint: str) -> bool:
    """Whether nothing mapped has changed at the source since this record was done, so that the target need not be read.

    Never in a flow whose target can change on its own.
    """
    return (
        len(flow.sources) == 1
        and not flow.levels
        and record.status == Status.DONE
        and record.done_fingerprint == source_fingerprint
    )


def _misses_a_link(record: Record, its_links: Sequence[Link]) -> bool:
    """Whether other records need a part that is not in the target: then the record is planned, to say why."""
    parts = set(record.parts) or {""}
    return record.needed and not parts <= {link.part for link in its_links}


def _discarded(session: Session, engine: Engine, lease: Lease) -> dict[int, Any]:
    """What was last read of records that a person has discarded; they are skipped while it is unchanged."""
    ids = failures.discarded(session, [record.id for record in lease.records if record.status == Status.SKIPPED])
    return payloads.load(session, engine.vault, "context", ids) if ids else {}


def _sides(flow: Flow, docs: Mapping[str, Any]) -> str:
    """The fingerprint of an object as it is: of its source, and in a two-way flow of both sides."""
    return fingerprint(
        [{key: readings.print_of(doc) for key, doc in docs.get(name, {}).items()} for name in flow.sources]
    )


def read_sources(
    route: Route,
    linked: Mapping[str, Sequence[Link]],
    placed: Mapping[tuple[str, str], Correction] | None = None,
    *,
    until: float = math.inf,
    first: str = "",
    kept: Kept | None = None,
) -> Fetched:
    """Read the sources of records (links by record key), and what these refer to.

    placed: corrections to be applied, by resource and key. until, first: see `Fetched`. kept: what is not read again.
    """
    source = route.source
    with route.engine.store.read() as session:
        tables = lookups_of(session, route.connection.row, route.flow)
    fetched = Fetched(
        at=clock.now(),
        source_time=_source_time(route),
        corrections=placed or {},
        until=until,
        first=first,
        lookups=tables,
    )
    if kept is not None:
        fetched.take(kept)
    fetched.read(route.connection, source, _ends_on(route.source_side, route, linked))
    if route.flow.levels:
        fetched.mark(source, kept.revisions if kept is not None else {})
    _find_known_links(route, fetched)
    _read_references(route, route.flow.mapping, source, linked, fetched)
    return fetched


def _find_known_links(route: Route, fetched: Fetched) -> None:
    """Give the mapping's references the tables of links that it may look up."""
    if route.flow.mapping.has_known_links:
        with route.engine.store.read() as session:
            typed = fetched.typed(route.source).values()
            fetched.lookups = {**fetched.lookups, **known_links.tables(session, route, typed, fetched.lookups)}


def _source_time(route: Route) -> datetime:
    """The source's clock; in a two-way flow the earlier of both clocks, since both sides have feeds."""
    return min(route.connection.resource(name).now() for name in route.flow.sources)


def read_targets(route: Route, linked: Mapping[str, Sequence[Link]], fetched: Fetched) -> None:
    """Read the linked targets of records into `fetched`, and in a two-way flow what these refer to."""
    target = route.target
    fetched.read(route.connection, target, _ends_on(route.target_side, route, linked))
    if route.flow.backward is not None:
        _read_references(route, route.flow.backward, target, linked, fetched)


def _ends_on(side: str, route: Route, linked: Mapping[str, Sequence[Link]]) -> dict[str, set[str]]:
    return {key: _both_ends(route, key, its_links)[side] for key, its_links in linked.items()}


def _both_ends(route: Route, key: str, its_links: Sequence[Link]) -> dict[str, set[str]]:
    ends = route.keys.ends(key)
    has_left = [link for link in its_links if not link.left_key.startswith(link_keys.UNTOLD)]
    return {
        "left": {end for end in (ends.left, *(link.left_key for link in has_left)) if end},
        "right": {end for end in (ends.right, *(link.right_key for link in its_links)) if end},
    }


def _read_references(
    route: Route,
    mapping: FlowMapping,
    resource: Resource,
    linked: Mapping[str, Sequence[Link]],
    fetched: Fetched,
) -> None:
    settings = route.settings
    wanted: dict[str, dict[str, set[str]]] = {}
    for record_key, ends in _ends_on(route.connection.side(resource.name), route, linked).items():
        for key in ends & set(fetched.docs.get(resource.name, {})):
            for reference in fetched.references(mapping, resource, key, settings):
                wanted.setdefault(reference.resource, {}).setdefault(record_key, set()).add(reference.key)
    for name, by_record in wanted.items():
        fetched.read(route.connection, route.connection.resource(name), by_record)


def _store(
    route: Route,
    lease: Lease,
    linked: Mapping[int, Sequence[Link]],
    fetched: Fetched,
    prints: Mapping[int, str],
    idle: Sequence[Record],
) -> None:
    now = clock.now()
    bodies: dict[int, bytes] = {}
    rows: list[dict[str, Any]] = []
    names, absent = dict[int, search_names.Names](), set[int]()
    for record in lease.records:
        docs = own_docs(route, record.key, linked[record.id], fetched)
        absent |= set() if docs[route.source.name] else {record.id}
        bodies[record.id] = payloads.seal(route.engine.vault, docs)
        if record not in idle:  # what is unchanged has its names
            names[record.id] = search_names.of_docs(route, docs)
        rows.append({"record_id": record.id, "version": versions.of(route, docs), "print": prints[record.id]})
    with route.engine.store.write(durable=False) as session:
        mine = records.owned(session, lease)
        bodies = {record_id: body for record_id, body in bodies.items() if record_id in mine}
        payloads.save(session, "context", bodies, now)
        search_names.save(session, {record_id: some for record_id, some in names.items() if record_id in mine})
        session.connection().execute(_fetched(lease, fetched, now), rows)
        details = {row["record_id"]: {"version": row["version"]} for row in rows}
        timeline.note(session, [record for record in lease.records if record not in idle], "fetched", now, details)
        timeline.note(session, idle, "unchanged", now, details)
        records.complete(
            session,
            lease,
            {record.id: Completion(Status(record.status), record.reason, Why(record.why)) for record in idle},
            now,
        )
        early_hints.fetch_again(session, lease.records, prints, absent, now)
        records.leave(session, lease, now)


def _fetched(lease: Lease, fetched: Fetched, now: datetime) -> Update:
    """The statement that marks a record of the lease as fetched, with `record_id`, `version` and `print` as parameters."""
    table = Record.__table__
    return (
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("record_id"), table.c.token == lease.token, table.c.runner == lease.runner)
        .values(
            stage=Stage.TRANSFORM,
            fetched_at=fetched.at,
            source_time=fetched.source_time,
            seen_version=bindparam("version"),
            seen_fingerprint=bindparam("print"),
            is_hinted=and_(
                table.c.is_hinted, table.c.wanted > table.c.claimed
            ),  # reported again since: for the next fetch
            updated_at=now,
        )
    )


def own_docs(route: Route, key: str, its_links: Sequence[Link], fetched: Fetched) -> dict[str, dict[str, Any]]:
    """What was read for one record, by resource and key: its source, its targets, and what they refer to."""
    ends = _both_ends(route, key, its_links)
    source, target = route.source, route.target
    own: dict[str, dict[str, Any]] = {source.name: {}, target.name: {}}
    for resource in (source, target):
        for end in ends[route.connection.side(resource.name)]:
            doc = fetched.get(resource.name, end)
            if doc is not None:
                own[resource.name][end] = doc
    settings = route.settings
    for mapping, resource in ((route.flow.mapping, source), (route.flow.backward, target)):
        if mapping is None:
            continue
        for end in list(own[resource.name]):
            for reference in fetched.references(mapping, resource, end, settings):
                found = fetched.get(reference.resource, reference.key)
                if found is not None:
                    own.setdefault(reference.resource, {})[reference.key] = found
    return own
