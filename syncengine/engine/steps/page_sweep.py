"""Sweeps by pages: a source that can list all its objects is read in its own order, and what differs from the store is wanted.

A page is read when the pages before it have been worked off, so that its documents are fresh when they are planned from. The
tick begins a sweep, and each fetch of the flow reads on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Page
from syncengine.document import Doc
from syncengine.engine.core import payloads, readings
from syncengine.engine.core.engine import Route, calling, chunks
from syncengine.engine.core.want import is_key, want
from syncengine.engine.steps.sweep_progress import SweepProgress
from syncengine.store.models import Payload, Record
from syncengine.store.states import Lane, Status

BACKLOG = 2
"""Batches of due records beyond which no page is read."""

AT_ONCE = 500


def refill(route: Route, run_id: int | None = None) -> int:
    """Read pages of the sweep that is under way until enough records are due; returns how many became wanted.

    Nothing if no sweep is under way, or another worker reads its pages. Raises SyncError; the next call continues from there.
    """
    progress = SweepProgress(route)
    taken = progress.take_position()
    if taken is None:
        return 0
    position, is_full = taken
    wanted = 0
    try:
        pages = route.source.pages(position)
        while not route.engine.is_ending() and _due(route) < BACKLOG * route.flow.batch:
            with calling(route.connection.endpoint(route.source.name)):
                page = next(pages, None)
            if page is None:
                progress.end()
                return wanted
            wanted += _compare(route, page, run_id, is_full=is_full)
            progress.move_to(page.position)
    finally:
        progress.release()
    return wanted


def _due(route: Route) -> int:
    with route.engine.store.read() as session:
        due = (
            select(func.count())
            .select_from(Record)
            .where(
                *_mine(route),
                Record.wanted > Record.done,
                Record.lane == Lane.BACKFILL,
                Record.not_before <= clock.now(),
            )
        )
        return session.scalar(due) or 0


def _mine(route: Route) -> tuple[ColumnElement[bool], ...]:
    return Record.connection_id == route.connection_id, Record.flow == route.flow.name


def _compare(route: Route, page: Page, run_id: int | None, *, is_full: bool) -> int:
    """Want the objects of a page that are new or differ, with their documents, and records that the page passes over.

    is_full: want all of them.
    """
    ended, keys = clock.now(), [ref.key for ref in page.refs if is_key(ref.key)]
    with route.engine.store.write() as session:
        stored = {} if is_full else _stored(session, route, keys)
        due = _with(session, route, keys, Record.wanted > Record.done)
        news = [
            ref.key
            for ref in page.refs
            if is_key(ref.key) and ref.key not in due and (is_full or stored.get(ref.key) != ref.version)
        ]
        gone = _passed_over(session, route, keys)
        want(
            session, route.connection_id, route.flow.name, [*news, *gone],
            lane=Lane.BACKFILL, now=clock.now(), run_id=run_id,
        )  # fmt: skip
        _keep(session, route, {key: page.docs[key] for key in news if key in page.docs}, page.source_time, ended)
    return len(news) + len(gone)


def _with(session: Session, route: Route, keys: list[str], *which: ColumnElement[bool]) -> set[str]:
    found: set[str] = set()
    for some in chunks(keys, AT_ONCE):
        found |= set(session.scalars(select(Record.key).where(*_mine(route), Record.key.in_(some), *which)))
    return found


def _stored(session: Session, route: Route, keys: list[str]) -> dict[str, str]:
    """The fingerprints of the source's documents as they were last read, by key."""
    found: dict[str, str] = {}
    for some in chunks(keys, AT_ONCE):
        rows = session.execute(
            select(Record.key, Payload.body)
            .join(Payload, (Payload.record_id == Record.id) & (Payload.kind == "context"))
            .where(*_mine(route), Record.key.in_(some))
        )
        for key, body in rows:
            doc = payloads.unseal(route.engine.vault, body).get(route.source.name, {}).get(key)
            if doc is not None:
                found[key] = readings.print_of(doc)
    return found


def _passed_over(session: Session, route: Route, keys: list[str]) -> list[str]:
    """Records between the first and the last key of a page that the page does not have: the source may list them no more.

    The database may sort keys otherwise than the source. One too many costs a read, and nothing else.
    """
    if not keys:
        return []
    between = select(Record.key).where(
        *_mine(route), Record.key > min(keys), Record.key < max(keys), Record.key.not_in(keys),
        Record.wanted == Record.done, Record.token.is_(None), Record.status == Status.DONE,
    )  # fmt: skip
    return list(session.scalars(between))


def _keep(session: Session, route: Route, docs: Mapping[str, Doc], began: datetime, ended: datetime) -> None:
    """Store documents so that the next fetch need not read them, unless a worker has the record already."""
    now = clock.now()
    until = now + timedelta(seconds=route.flow.every_s)
    for some in chunks(list(docs), AT_ONCE):
        free = (*_mine(route), Record.key.in_(some), Record.token.is_(None))
        bodies = {
            record_id: payloads.seal(
                route.engine.vault, {route.source.name: {key: readings.marked(docs[key], began, ended, revision)}}
            )
            for record_id, key, revision in session.execute(select(Record.id, Record.key, Record.wanted).where(*free))
        }
        payloads.save(session, "context", bodies, now)
        session.execute(
            update(Record)
            .where(Record.id.in_(list(bodies)))
            .values(kept_until=until)
            .execution_options(synchronize_session=False)
        )
