"""First step: read the present. Source, what it refers to, and the linked targets, in bulk; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.document import Doc, fingerprint
from syncengine.engine import corrections, deadletters, links, payloads, records, timeline
from syncengine.engine.corrections import Correction
from syncengine.engine.doubts import settle_doubts
from syncengine.engine.engine import Engine, Site, calling, chunks
from syncengine.engine.lease import Lease
from syncengine.engine.lookups import lookups_of
from syncengine.engine.records import End
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Mapping as FlowMapping
from syncengine.mapping.contract import Reference
from syncengine.store.models import Link, Record
from syncengine.store.states import Stage, Status


@dataclass
class Fetched:
    """What was read, as the systems gave it: documents by resource name and key."""

    at: datetime  # our clock, before the first read
    source_time: datetime  # the source's clock then
    docs: dict[str, dict[str, Doc]] = field(default_factory=dict)
    corrections: Mapping[tuple[str, str], Correction] = field(default_factory=dict)  # by resource and key
    _references: dict[tuple[str, str], Sequence[Reference]] = field(default_factory=dict)

    def references(
        self, mapping: FlowMapping, resource: Resource, key: str, settings: Mapping[str, Any]
    ) -> Sequence[Reference]:
        """What a document that was read (and perhaps corrected) refers to, worked out once; nothing if it is not valid.

        Transform meets the same complaint and makes it this record's dead letter.
        """
        place = (resource.name, key)
        if place not in self._references:
            try:
                doc = corrections.tried(self.corrections.get(place), self.docs[resource.name][key])
                found = mapping.references(resource.load(doc), settings)
            except Rejected:
                found = ()
            self._references[place] = tuple(found)
        return self._references[place]

    def get(self, resource: str, key: str | None) -> Doc | None:
        return self.docs.get(resource, {}).get(key) if key is not None else None

    def read(self, site: Site, resource: Resource, keys: Iterable[str]) -> None:
        """Read what has not been read yet, in as few calls as the resource admits."""
        known = self.docs.setdefault(resource.name, {})
        missing = sorted({key for key in keys if key} - set(known))
        for some in chunks(missing, resource.most_per_read):
            with calling(site.endpoint(resource.name)):
                known |= resource.read(some)


def fetch(engine: Engine, lease: Lease) -> None:
    """Read everything that the plans of the lease's records need, and store it with them."""
    flow, site = engine.flow(lease.records[0].flow), engine.site(lease.records[0].connection_id)
    settle_doubts(engine, lease, flow, site)
    if not lease.records:
        return
    with engine.store.read() as session:
        linked = links.of_records(session, flow, site, lease.records)
        setup = fingerprint([flow.version, site.connection.settings, lookups_of(session, site.connection, flow)])
        corrected = corrections.standing(session, engine.vault, [record.id for record in lease.records])
        discarded = _discarded(session, engine, lease)
    its_links = {record.key: linked[record.id] for record in lease.records}
    placed = corrections.by_place(flow, site, {record.id: record.key for record in lease.records}, corrected)
    fetched = read_sources(flow, site, its_links, placed)
    own = {record.id: own_docs(flow, site, record.key, (), fetched) for record in lease.records}
    held = corrections.apply(corrected, own).held
    prints = {
        record.id: fingerprint([setup, record.parts, own[record.id], *_mark(held.get(record.id))])
        for record in lease.records
    }
    idle = [
        record
        for record in lease.records
        if _is_idle(flow, record, prints[record.id]) and not _misses_a_link(record, linked[record.id])
    ]
    busy = {record.key: linked[record.id] for record in lease.records if record not in idle}
    read_targets(flow, site, busy, fetched)
    idle += [
        record
        for record in lease.records
        if record.id in discarded
        and _sides(flow, discarded[record.id])
        == _sides(flow, own_docs(flow, site, record.key, linked[record.id], fetched))
    ]
    _store(engine, lease, flow, site, linked, fetched, prints, idle)


def _mark(held: Correction | None) -> list[int]:
    """What tells the print of a corrected document from that of the original: a new correction, or the end of one, is news."""
    return [held.id] if held else []


def _is_idle(flow: Flow, record: Record, print_: str) -> bool:
    """True if nothing that is mapped has changed at the source since this record was done: the target need not be read."""
    return not flow.two_way and record.status == Status.DONE and record.done_print == print_


def _misses_a_link(record: Record, its_links: Sequence[Link]) -> bool:
    """True if others need it, or a part of it, and there is none in the target: then it is planned, and told."""
    parts = {part for part in record.parts.split(";") if part} or {""}
    return record.needed and not parts <= {link.part for link in its_links}


def _discarded(session: Session, engine: Engine, lease: Lease) -> dict[int, Any]:
    """What was last read of the records that a person has discarded; they are left alone while that is unchanged."""
    ids = deadletters.discarded(session, [one.id for one in lease.records if one.status == Status.SKIPPED])
    return payloads.load(session, engine.vault, "context", ids) if ids else {}


def _sides(flow: Flow, docs: Mapping[str, Any]) -> str:
    """A print of an object as it is: of its source, in a two-way flow of both sides."""
    return fingerprint([docs.get(flow.source), docs.get(flow.target) if flow.two_way else None])


def read_all(
    flow: Flow,
    site: Site,
    linked: Mapping[str, Sequence[Link]],
    placed: Mapping[tuple[str, str], Correction] | None = None,
) -> Fetched:
    """Read sources, references and linked targets of records (by key, with their links). Makes no write of any kind."""
    fetched = read_sources(flow, site, linked, placed)
    read_targets(flow, site, linked, fetched)
    return fetched


def read_sources(
    flow: Flow,
    site: Site,
    linked: Mapping[str, Sequence[Link]],
    placed: Mapping[tuple[str, str], Correction] | None = None,
) -> Fetched:
    """Read the sources of records, and what these refer to: as they are corrected (`placed`), where they are."""
    source = site.resource(flow.source)
    fetched = Fetched(at=clock.now(), source_time=source.now(), corrections=placed or {})
    fetched.read(site, source, _ends_on(site.side(flow.source), flow, site, linked))
    _read_references(site, flow.mapping, source, fetched, flow.settings_for(site.connection.settings))
    return fetched


def read_targets(flow: Flow, site: Site, linked: Mapping[str, Sequence[Link]], fetched: Fetched) -> None:
    """Read the linked targets of records too, and in a two-way flow what these refer to."""
    target = site.resource(flow.target)
    fetched.read(site, target, _ends_on(site.side(flow.target), flow, site, linked))
    if flow.backward is not None:
        _read_references(site, flow.backward, target, fetched, flow.settings_for(site.connection.settings))


def _ends_on(side: str, flow: Flow, site: Site, linked: Mapping[str, Sequence[Link]]) -> list[str]:
    return [end for key, its_links in linked.items() for end in _both_ends(flow, site, key, its_links)[side]]


def _both_ends(flow: Flow, site: Site, key: str, its_links: Sequence[Link]) -> dict[str, set[str]]:
    ends = links.ends_of(flow, site, key)
    return {
        "left": {end for end in (ends.left, *(link.left_key for link in its_links)) if end},
        "right": {end for end in (ends.right, *(link.right_key for link in its_links)) if end},
    }


def _read_references(
    site: Site, mapping: FlowMapping, resource: Resource, fetched: Fetched, settings: Mapping[str, Any]
) -> None:
    wanted: dict[str, set[str]] = {}
    for key in fetched.docs.get(resource.name, {}):
        for reference in fetched.references(mapping, resource, key, settings):
            wanted.setdefault(reference.resource, set()).add(reference.key)
    for name, keys in wanted.items():
        fetched.read(site, site.resource(name), keys)


def _store(
    engine: Engine,
    lease: Lease,
    flow: Flow,
    site: Site,
    linked: Mapping[int, Sequence[Link]],
    fetched: Fetched,
    prints: Mapping[int, str],
    idle: Sequence[Record],
) -> None:
    now = clock.now()
    source = site.resource(flow.source)
    bodies: dict[int, bytes] = {}
    rows: list[dict[str, Any]] = []
    for record in lease.records:
        docs = own_docs(flow, site, record.key, linked[record.id], fetched)
        bodies[record.id] = payloads.seal(engine.vault, docs)
        first = next(iter(docs[source.name].values()), None)
        version = source.version(first) if first else ""
        rows.append({"record_id": record.id, "version": version, "print": prints[record.id]})
    table = Record.__table__
    with engine.store.write(durable=False) as session:
        mine = records.held(session, lease)
        bodies = {record_id: body for record_id, body in bodies.items() if record_id in mine}
        payloads.save(session, "context", bodies, now)
        session.connection().execute(
            update(table)  # type: ignore[arg-type]
            .where(table.c.id == bindparam("record_id"), table.c.token == lease.token, table.c.runner == lease.runner)
            .values(
                stage=Stage.TRANSFORM,
                fetched_at=fetched.at,
                source_time=fetched.source_time,
                seen_version=bindparam("version"),
                seen_print=bindparam("print"),
                updated_at=now,
            ),
            rows,
        )
        details = {row["record_id"]: {"version": row["version"]} for row in rows}
        timeline.note(session, [one for one in lease.records if one not in idle], "fetched", now, details)
        timeline.note(session, idle, "unchanged", now, details)
        records.deal_with(session, lease, {one.id: End(Status(one.status), one.reason) for one in idle}, now)
        records.leave(session, lease, now)


def own_docs(
    flow: Flow, site: Site, key: str, its_links: Sequence[Link], fetched: Fetched
) -> dict[str, dict[str, Any]]:
    """The part of what was read that belongs to one record: its source, its targets, and what they refer to."""
    ends = _both_ends(flow, site, key, its_links)
    source, target = site.resource(flow.source), site.resource(flow.target)
    own: dict[str, dict[str, Any]] = {source.name: {}, target.name: {}}
    for resource in (source, target):
        for end in ends[site.side(resource.name)]:
            doc = fetched.get(resource.name, end)
            if doc is not None:
                own[resource.name][end] = doc
    settings = flow.settings_for(site.connection.settings)
    for mapping, resource in ((flow.mapping, source), (flow.backward, target)):
        if mapping is None:
            continue
        for end in list(own[resource.name]):
            for reference in fetched.references(mapping, resource, end, settings):
                found = fetched.get(reference.resource, reference.key)
                if found is not None:
                    own.setdefault(reference.resource, {})[reference.key] = found
    return own
