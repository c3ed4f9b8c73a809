"""Sweeps: some feeds miss changes, so what is not closed at its system is read again at an interval and compared.

A sweep writes nothing but its own progress. Only objects that differ from what was last read of them become wanted. Left out
are objects whose stored document was removed by age, those that a person ignores, and those from before the cut-over date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import select

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.document import Doc, fingerprint
from syncengine.engine.core import payloads
from syncengine.engine.core.call_context import on_account_of
from syncengine.engine.core.engine import Engine, Route, calling, chunks
from syncengine.engine.core.want import want
from syncengine.engine.steps.discover import Found, begin_run, end_run
from syncengine.engine.steps.page_sweep import refill
from syncengine.engine.steps.sweep_progress import SweepProgress
from syncengine.errors import SyncError, Throttled
from syncengine.store.models import Payload, Record
from syncengine.store.states import Lane, Why

TRIGGER = "sweep"
AT_ONCE = 500
"""Records whose documents are loaded at once."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A record, and the documents of its objects that are not closed, as they were last read: by resource and key."""

    id: int
    key: str
    docs: Mapping[str, Mapping[str, Doc]]


def sweep(engine: Engine, connection_id: int, flow_name: str) -> Found | None:
    """Begin or continue the sweep of a flow if it is due; None if it is not, or another worker is at it.

    Reads are queued in the backfill lane; what has changed is wanted in the scheduled one.

    Raises:
        SyncError: whatever the system's calls raise; the next call continues from there.
    """
    route = engine.route(connection_id, flow_name)
    interval_s = _interval_s(route)
    if interval_s <= 0:
        return None
    progress = SweepProgress(route)
    if route.source.has_pages:
        return _by_pages(route, progress, interval_s)
    after = progress.take(interval_s)
    if after is None:
        return None
    run_id = begin_run(engine, connection_id, flow_name, trigger=TRIGGER, lane=Lane.BACKFILL)
    found, error = Found(run_id, 0, 0), ""
    try:
        with on_account_of(engine, flow_name, Lane.BACKFILL):
            for some in _batches(route, after):
                found = _compare(route, some, found)
                progress.move(some[-1].id)
                if engine.is_ending():
                    raise Throttled("the worker is shutting down; the sweep continues from here", retry_in_s=0.0)
        progress.end()
    except SyncError as failed:
        error = str(failed)
        raise
    finally:
        progress.release()
        end_run(engine, found, error)
    return found


def _by_pages(route: Route, progress: SweepProgress, interval_s: float) -> Found | None:
    """Begin or continue a sweep by pages; None if there is nothing to do."""
    if not progress.begin_pages(interval_s):
        return None
    run_id = begin_run(route.engine, route.connection_id, route.flow.name, trigger=TRIGGER, lane=Lane.BACKFILL)
    found, error = Found(run_id, 0, 0), ""
    try:
        with on_account_of(route.engine, route.flow.name, Lane.BACKFILL):
            found = replace(found, wanted=refill(route, run_id))
    except SyncError as failed:
        error = str(failed)
        raise
    finally:
        end_run(route.engine, found, error)
    return found


def _interval_s(route: Route) -> float:
    own, usual = route.connection.row.sweep_s, route.flow.sweep_s
    return own if own is not None and usual > 0 else usual


def _swept(route: Route) -> list[Resource]:
    """The resources that a sweep reads: those whose feeds may miss changes; the source if the flow's file alone asks for it."""
    read = [route.connection.resource(name) for name in route.flow.sources]
    return [resource for resource in read if resource.misses_changes] or read[:1]


def _batches(route: Route, after: int) -> Iterator[Sequence[_Open]]:
    """The open records after an id, in its order, as many at once as one read takes."""
    resources = _swept(route)
    most = min(resource.most_per_read for resource in resources)
    found = _open_records(route, resources, after)
    while some := list(islice(found, most)):
        yield some


def _open_records(route: Route, resources: Sequence[Resource], after: int) -> Iterator[_Open]:
    while True:
        with route.engine.store.read() as session:
            rows = session.execute(
                select(Record.id, Record.key, Payload.body)
                .join(Payload, (Payload.record_id == Record.id) & (Payload.kind == "context"))
                .where(
                    Record.connection_id == route.connection_id,
                    Record.flow == route.flow.name,
                    Record.id > after,
                    Record.wanted == Record.done,
                    Record.token.is_(None),
                    Record.ignored == "",
                    Record.why != Why.TOO_OLD,
                )
                .order_by(Record.id)
                .limit(AT_ONCE)
            ).all()
        if not rows:
            return
        for id_, key, body in rows:
            docs = _open_docs(resources, payloads.unseal(route.engine.vault, body))
            if docs:
                yield _Open(id_, key, docs)
        after = rows[-1][0]


def _open_docs(resources: Sequence[Resource], stored: Mapping[str, Any]) -> dict[str, dict[str, Doc]]:
    found = {
        resource.name: {key: doc for key, doc in stored.get(resource.name, {}).items() if not resource.is_closed(doc)}
        for resource in resources
    }
    return {name: docs for name, docs in found.items() if docs}


def _compare(route: Route, some: Sequence[_Open], found: Found) -> Found:
    """Read the objects of some records again, and want those that differ; returns `found` with their numbers."""
    changed: set[str] = set()
    for resource in _swept(route):
        kept = {record.key: record.docs.get(resource.name, {}) for record in some}
        keys = list(dict.fromkeys(key for docs in kept.values() for key in docs))
        now_there = _read(route, resource, keys)
        changed |= {
            record_key
            for record_key, docs in kept.items()
            if any(fingerprint(doc) != fingerprint(now_there.get(key)) for key, doc in docs.items())
        }
    if changed:
        with route.engine.store.write() as session:
            want(
                session, route.connection_id, route.flow.name, changed,
                lane=Lane.SCHEDULED, now=clock.now(), run_id=found.run_id,
            )  # fmt: skip
    return replace(found, wanted=found.wanted + len(changed), known=found.known + len(some) - len(changed))


def _read(route: Route, resource: Resource, keys: Sequence[str]) -> dict[str, Doc]:
    there: dict[str, Doc] = {}
    for some in chunks(keys, resource.most_per_read):
        with calling(route.connection.endpoint(resource.name)):
            there |= resource.read(some)
    return there
