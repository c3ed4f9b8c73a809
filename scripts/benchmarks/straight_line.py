"""What the engine is measured against: the same reads, validation, mapping, commits and writes, in three plain Celery tasks.

The same connectors and mappings, the same broker and store settings; no leases, no links beyond a table of customer codes,
no timeline, no encryption, no recovery: whatever goes wrong ends the task. It commits a batch's documents after the reads,
its operations after the mapping, each write before it is sent and each outcome after it. A worker of it is started as
`celery -A straight_line worker`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

from celery import Celery, chain
from kombu import Queue
from sqlalchemy import JSON, Column, MetaData, String, Table, Text, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from syncengine import connectors, settings
from syncengine.connectors.base import Connector, Endpoint, Operation, Resource, Result, Verb
from syncengine.document import Doc, from_json, to_json
from syncengine.engine.setup import bootstrap
from syncengine.flows import Flow
from syncengine.mapping.contract import Context, Need
from syncengine.store import Store, models
from syncengine.vault import Vault

BATCH, NUMBERED_AT_ONCE = 200, 40

app = Celery("straight_line", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_queues=[Queue("realtime"), Queue("scheduled")], task_default_queue="scheduled", task_ignore_result=True,
    task_acks_late=True, worker_prefetch_multiplier=1, worker_send_task_events=True,
    broker_transport_options={"global_keyprefix": "straight:", "queue_order_strategy": "priority"},
)  # fmt: skip

tables = MetaData()
batches = Table("straight_batch", tables, Column("id", String(64), primary_key=True), Column("body", Text))
writes = Table(
    "straight_write", tables, Column("key", String(64), primary_key=True), Column("state", String(16)),
    Column("target_key", String(64)), Column("body", Text),
)  # fmt: skip
codes = Table(
    "straight_code", tables, Column("key", String(64), primary_key=True), Column("part", String(16), primary_key=True),
    Column("code", String(64)), Column("more", JSON),
)  # fmt: skip


class Parts:
    """What a process of the script needs."""

    def __init__(self) -> None:
        current = settings.load()
        self.store = Store(current.database_url)
        self.flows = bootstrap.flows(current)
        lent = bootstrap.services(self.store, Vault(self.store, current.keys), None)
        with self.store.read() as session:
            connection = session.scalars(select(models.ConnectionRow)).one()
            rows = session.scalars(select(models.Endpoint)).all()
        self.settings = connection.settings
        self.connectors: dict[str, Connector] = {
            row.system: connectors.connect(Endpoint(row.id, row.name, row.system, row.settings), lent) for row in rows
        }
        with self.store.read() as session:
            self.own_lookups: dict[str, dict[str, str]] = {}
            for entry in session.scalars(select(models.Lookup)):
                self.own_lookups.setdefault(entry.name, {})[entry.key] = entry.value

    def resource(self, name: str) -> Resource:
        return self.connectors[name.partition(".")[0]].resources[name]

    def lookups(self, flow: Flow) -> dict[str, dict[str, str]]:
        names = {*flow.lookups, *self.own_lookups}
        return {name: {**flow.lookups.get(name, {}), **self.own_lookups.get(name, {})} for name in names}


@functools.cache
def parts() -> Parts:
    """Made after the fork, at the first task."""
    return Parts()


def send(flow: str, keys: Sequence[str], *, queue: str = "scheduled") -> None:
    """Queue the three tasks for a batch of objects."""
    batch = f"{flow}-{keys[0]}"
    steps = [
        fetch.si(flow, batch, list(keys)).set(queue=queue),
        transform.si(flow, batch).set(queue=queue),
        push.si(flow, batch).set(queue=queue),
    ]
    chain(*steps).apply_async()


@app.task(name="straight.sync")
def sync(flow_name: str) -> None:
    """Read the feeds from their beginning, and queue what they tell, a batch at a time."""
    flow = parts().flows[flow_name]
    source = parts().resource(flow.source)
    keys: dict[str, None] = {}
    for feed in flow.feeds:
        for page in source.changes(feed, {}):
            keys |= dict.fromkeys(ref.key for ref in page.refs)
    found = list(keys)
    for start in range(0, len(found), BATCH):
        send(flow_name, found[start : start + BATCH])


@app.task
def fetch(flow_name: str, batch: str, keys: list[str]) -> None:
    """Read the objects and what they refer to, in bulk; keep them."""
    flow = parts().flows[flow_name]
    source = parts().resource(flow.source)
    docs = source.read(keys)
    wanted: dict[str, set[str]] = {}
    for doc in docs.values():
        for reference in flow.mapping.references(source.load(doc), _settings(flow)):
            wanted.setdefault(reference.resource, set()).add(reference.key)
    references = {}
    for name, some in wanted.items():
        resource, ordered = parts().resource(name), sorted(some)
        references[name] = {}
        for start in range(0, len(ordered), resource.most_per_read):
            references[name] |= resource.read(ordered[start : start + resource.most_per_read])
    _keep(batch, {"docs": docs, "references": references})


@app.task
def transform(flow_name: str, batch: str) -> None:
    """Validate and map; keep the operations."""
    flow = parts().flows[flow_name]
    source, target = parts().resource(flow.source), parts().resource(flow.target)
    kept = _kept(batch)
    references = {
        name: {key: parts().resource(name).load(doc) for key, doc in docs.items()}
        for name, docs in kept["references"].items()
    }
    lookups, made = parts().lookups(flow), {}
    for key, raw in kept["docs"].items():
        doc = source.load(raw)
        context = Context(references=references, lookups=lookups, settings=_settings(flow))
        flow.mapping.decide(doc, context)
        needs = flow.mapping.needs(doc, context)
        context = Context(references=references, lookups=lookups, settings=_settings(flow), links=_links(needs))
        for part, mapped in flow.mapping.apply(doc, context).items():
            made[f"{key}:{part}"] = target.canonical(mapped)
    _keep(batch, made)


@app.task
def push(flow_name: str, batch: str) -> None:
    """Write each document, one call after the other; numbers that answers leave out are looked up forty at a time."""
    flow = parts().flows[flow_name]
    target = parts().resource(flow.target)
    unnumbered: dict[str, str] = {}
    for name, doc in _kept(batch).items():
        natural = flow.mapping.natural_key(doc)
        with parts().store.write() as session:
            session.execute(insert(writes).values(key=f"{flow_name}:{name}", state="sent", body=to_json(doc)))
        (outcome,) = target.write([Operation(Verb.CREATE, natural, doc=doc)])
        assert outcome.result is Result.DONE, outcome
        _settle(flow_name, name, outcome.key)
        if outcome.key is None:
            unnumbered[natural] = name
        if len(unnumbered) >= NUMBERED_AT_ONCE:
            _number(flow_name, target, unnumbered)
    _number(flow_name, target, unnumbered)


def _number(flow_name: str, target: Resource, unnumbered: dict[str, str]) -> None:
    if unnumbered:
        for natural, keys in target.keys_of(list(unnumbered)).items():
            _settle(flow_name, unnumbered[natural], keys[0])
        unnumbered.clear()


def _settle(flow_name: str, name: str, target_key: str | None) -> None:
    key, _, part = name.partition(":")
    with parts().store.write() as session:
        mine = update(writes).where(writes.c.key == f"{flow_name}:{name}")
        session.execute(mine.values(state="done", target_key=target_key))
        if flow_name == "customers":
            session.execute(insert(codes).values(key=key, part=part, code=target_key))


def _links(needs: Sequence[Need]) -> dict[Need, str]:
    with parts().store.read() as session:
        return {need: _code(session, need) for need in needs}


def _code(session: Any, need: Need) -> str:
    query = select(codes.c.code).where(codes.c.key == need.key, codes.c.part == need.part)
    return str(session.execute(query).scalar_one())


def _settings(flow: Flow) -> dict[str, Any]:
    return dict(flow.settings_for(parts().settings))


def _keep(batch: str, value: Doc) -> None:
    row = upsert(batches).values(id=batch, body=to_json(value))
    with parts().store.write() as session:
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"body": row.excluded.body}))


def _kept(batch: str) -> Doc:
    with parts().store.read() as session:
        return dict(from_json(session.execute(select(batches.c.body).where(batches.c.id == batch)).scalar_one()))
