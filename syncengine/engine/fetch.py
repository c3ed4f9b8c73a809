"""First step: read the present. Source, what it refers to, and the linked targets, in bulk; nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.document import Doc
from syncengine.engine import links, payloads, records, timeline
from syncengine.engine.doubts import settle_doubts
from syncengine.engine.engine import Engine, Site, calling, chunks
from syncengine.engine.lease import Lease
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Mapping as FlowMapping
from syncengine.store.models import Link, Record
from syncengine.store.states import Stage


@dataclass
class Fetched:
    """What was read, as the systems gave it: documents by resource name and key."""

    at: datetime  # our clock, before the first read
    source_time: datetime  # the source's clock then
    docs: dict[str, dict[str, Doc]] = field(default_factory=dict)

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
    linked = _links(engine, flow, site, lease.records)
    fetched = read_all(flow, site, {record.key: linked[record.id] for record in lease.records})
    _store(engine, lease, flow, site, linked, fetched)


def _links(engine: Engine, flow: Flow, site: Site, found: Sequence[Record]) -> dict[int, list[Link]]:
    with engine.store.read() as session:
        return links.of_records(session, flow, site, found)


def read_all(flow: Flow, site: Site, linked: Mapping[str, Sequence[Link]]) -> Fetched:
    """Read sources, references and linked targets of records (by key, with their links). Makes no write of any kind."""
    source, target = site.resource(flow.source), site.resource(flow.target)
    fetched = Fetched(at=clock.now(), source_time=source.now())
    ends = {key: _both_ends(flow, site, key, its_links) for key, its_links in linked.items()}
    source_side, target_side = site.side(flow.source), site.side(flow.target)
    fetched.read(site, source, (end for found in ends.values() for end in found[source_side]))
    fetched.read(site, target, (end for found in ends.values() for end in found[target_side]))
    _read_references(site, flow.mapping, source, fetched)
    if flow.backward is not None:
        _read_references(site, flow.backward, target, fetched)
    return fetched


def _both_ends(flow: Flow, site: Site, key: str, its_links: Sequence[Link]) -> dict[str, set[str]]:
    ends = links.ends_of(flow, site, key)
    return {
        "left": {end for end in (ends.left, *(link.left_key for link in its_links)) if end},
        "right": {end for end in (ends.right, *(link.right_key for link in its_links)) if end},
    }


def _read_references(site: Site, mapping: FlowMapping, resource: Resource, fetched: Fetched) -> None:
    wanted: dict[str, set[str]] = {}
    for doc in list(fetched.docs.get(resource.name, {}).values()):
        try:
            for reference in mapping.references(resource.load(doc)):
                wanted.setdefault(reference.resource, set()).add(reference.key)
        except Rejected:
            continue  # transform meets the same complaint and makes it this record's dead letter
    for name, keys in wanted.items():
        fetched.read(site, site.resource(name), keys)


def _store(
    engine: Engine, lease: Lease, flow: Flow, site: Site, linked: Mapping[int, Sequence[Link]], fetched: Fetched
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
        rows.append({"record_id": record.id, "version": version})
    table = Record.__table__
    with engine.store.write() as session:
        payloads.save(session, "context", bodies, now)
        session.connection().execute(
            update(table)  # type: ignore[arg-type]
            .where(table.c.id == bindparam("record_id"), table.c.token == lease.token, table.c.runner == lease.runner)
            .values(
                stage=Stage.TRANSFORM,
                fetched_at=fetched.at,
                source_time=fetched.source_time,
                seen_version=bindparam("version"),
                updated_at=now,
            ),
            rows,
        )
        details = {row["record_id"]: {"version": row["version"]} for row in rows}
        timeline.note(session, lease.records, "fetched", now, details)
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
    for mapping, resource in ((flow.mapping, source), (flow.backward, target)):
        for doc in list(own[resource.name].values()) if mapping is not None else ():
            _add_references(own, mapping, resource, doc, fetched)
    return own


def _add_references(
    own: dict[str, dict[str, Any]], mapping: FlowMapping | None, resource: Resource, doc: Doc, fetched: Fetched
) -> None:
    try:
        references = mapping.references(resource.load(doc)) if mapping is not None else ()
    except Rejected:
        return
    for reference in references:
        found = fetched.get(reference.resource, reference.key)
        if found is not None:
            own.setdefault(reference.resource, {})[reference.key] = found
