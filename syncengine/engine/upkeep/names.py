"""Fills in the names by which people look records up, from the documents that are stored: after an upgrade that adds them.

A fetch keeps the names of what it reads (`core/search_names.py`), but an unchanged object is not read into a new document. So
once for each change of what the resources declare, all stored documents are read, in short transactions beside all other
work. The store keeps the progress. A record whose document was removed by its age gets its names when it is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.document import fingerprint, from_json, to_json
from syncengine.engine.core import payloads, search_names
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.search_names import Names
from syncengine.errors import Misconfigured
from syncengine.store.dialect import insert_into
from syncengine.store.lock import Lock
from syncengine.store.models import Payload, Record, Slot

log = logging.getLogger(__name__)

NAME, LOCK = "search-names", "search-names-lock"
AT_ONCE = 100
"""Records per transaction."""

PAUSE_S = 0.02
"""Between two transactions: SQLite has one write lock, and other writers must find it free in between."""

LONGEST_S = 60.0
"""How long one run of the task works; the next run continues."""

LEASE_S = 600.0
"""How long a run that was killed blocks the next one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the names have been filled in.

    declared: fingerprint of what the resources of all flows declare. after: the last record handled. done: nothing is left.
    """

    declared: str
    after: int = 0
    done: bool = False

    def __str__(self) -> str:
        """One line for people."""
        return "names are complete" if self.done else f"names filled in up to record {self.after}"


def progress(engine: Engine) -> Progress:
    """The progress; not begun if what the resources declare has changed. Raises Misconfigured, Transient."""
    declared, stored = _declared(engine), stored_progress(engine)
    return stored if stored is not None and stored.declared == declared else Progress(declared)


def stored_progress(engine: Engine) -> Progress | None:
    """The progress when `run` last noted it: for people, since it loads no resource. None before the first run.

    Raises Misconfigured, Transient.
    """
    with engine.store.read() as session:
        sealed = session.scalar(select(Slot.value).where(Slot.name == NAME))
    return Progress(**from_json(engine.vault.open(sealed))) if sealed is not None else None


def run(engine: Engine, *, for_s: float) -> Progress:
    """Continue for `for_s` seconds, unless another process does; returns the progress. Raises Misconfigured, Transient."""
    now = progress(engine)
    if now.done:
        return now
    with Lock(engine.store, LOCK, LEASE_S).tried() as is_ours:
        until = clock.monotonic() + for_s
        while is_ours and not now.done and not engine.is_ending() and clock.monotonic() < until:
            now = _batch(engine, now)
            clock.sleep(PAUSE_S)
    if now.done:
        log.info("%s", now)
    return now


def _declared(engine: Engine) -> str:
    """A fingerprint of the paths and kinds that the resources of each connection's flows declare."""
    found = []
    for row in engine.connections():
        connection = engine.connection(row.id)
        for flow in (engine.flows[name] for name in row.flows if name in engine.flows):
            for resource in (flow.source, flow.target):
                paths = {path: str(kind) for path, kind in connection.resource(resource).searchable.items()}
                found.append([row.id, flow.name, resource, paths])
    return fingerprint(found)


def _batch(engine: Engine, now: Progress) -> Progress:
    """Fill in the names of some records. One whose row is locked, or whose document changes meanwhile, is tried again."""
    with engine.store.read() as session:
        query = select(Record.id).where(Record.id > now.after).order_by(Record.id).limit(AT_ONCE)
        ids = list(session.scalars(query))
    names, seen = _names(engine, ids)
    after = ids[-1] if ids else now.after
    with engine.store.write(durable=False) as session:
        free = _free(session, seen)
        search_names.save(session, {record_id: names[record_id] for record_id in free})
        if len(free) == len(seen):
            now = replace(now, after=after, done=len(ids) < AT_ONCE)
            _note(session, engine, now)
    return now


def _names(engine: Engine, ids: Sequence[int]) -> tuple[dict[int, Names], dict[int, datetime]]:
    """The names of records in their stored documents, and when these were stored; by record id."""
    query = (
        select(Record.id, Record.flow, Record.connection_id, Payload.body, Payload.created_at)
        .join(Payload, Payload.record_id == Record.id)
        .where(Payload.kind == "context", Record.id.in_(ids))
    )
    with engine.store.read() as session:
        rows = session.execute(query).all()
    names: dict[int, Names] = {}
    seen: dict[int, datetime] = {}
    for record_id, flow, connection_id, body, stored_at in rows:
        if flow in engine.flows:
            try:
                docs = payloads.unseal(engine.vault, body)
            except Misconfigured as error:  # its key is lost; the others have theirs
                log.warning("record %s has no names, since its document cannot be opened: %s", record_id, error)
                continue
            names[record_id] = search_names.of_docs(engine.route(connection_id, flow), docs)
            seen[record_id] = stored_at
    return names, seen


def _free(session: Session, seen: Mapping[int, datetime]) -> list[int]:
    """The records of these documents that nobody has locked, now locked here; a document that changed has new names."""
    mine = select(Record.id).where(Record.id.in_(seen)).order_by(Record.id).with_for_update(skip_locked=True)
    locked = set(session.scalars(mine))
    query = select(Payload.record_id, Payload.created_at)
    same = session.execute(query.where(Payload.kind == "context", Payload.record_id.in_(seen)))
    return [record_id for record_id, stored_at in same if record_id in locked and stored_at == seen[record_id]]


def _note(session: Session, engine: Engine, now: Progress) -> None:
    session.execute(insert_into(session, Slot).values(name=NAME).on_conflict_do_nothing())
    value = engine.vault.seal(to_json(asdict(now)).encode())
    session.execute(update(Slot).where(Slot.name == NAME).values(value=value))
