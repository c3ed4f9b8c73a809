"""Sweeps by pages: a source that can list all its objects is read in its own order, and what differs from the store is wanted.

A page is read when the pages before it have been worked off, so that its documents are fresh when they are planned from. The
tick begins a sweep, and each fetch of the flow reads on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Page
from syncengine.document import Doc
from syncengine.engine.core import payloads, readings
from syncengine.engine.core.engine import Route, calling, chunks
from syncengine.engine.core.lookups import lookups_of
from syncengine.engine.core.want import is_key, want
from syncengine.engine.steps import found_links
from syncengine.engine.steps.sweep_progress import SweepProgress
from syncengine.errors import Rejected
from syncengine.store.dialect import changed
from syncengine.store.models import Payload, Record
from syncengine.store.states import Lane, Status, Why

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
    stored_at, is_full = taken
    began = datetime.fromisoformat(stored_at["began"]) if stored_at else clock.now()
    wanted = 0
    try:
        pages = route.source.pages(stored_at.get("at", {}))
        while not route.engine.is_ending() and _due(route) < BACKLOG * route.flow.batch:
            with calling(route.connection.endpoint(route.source.name)):
                page = next(pages, None)
            if page is None:
                wanted += _want_unlisted(route, began, run_id)
                progress.end()
                return wanted
            wanted += _compare(route, page, run_id, is_full=is_full)
            progress.move_to({"began": began.isoformat(), "at": dict(page.position)})
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
    """Want the objects of a page that are new, differ or have a level in the target now, with their documents.

    is_full: want all of them.
    """
    ended, keys = clock.now(), [ref.key for ref in page.refs if is_key(ref.key)]
    met = set() if is_full else _met(route, page, keys)
    with route.engine.store.write() as session:
        stored = {} if is_full else _stored(session, route, keys)
        due = _with(session, route, keys, Record.wanted > Record.done)
        news = [
            ref.key
            for ref in page.refs
            if is_key(ref.key)
            and ref.key not in due
            and (is_full or stored.get(ref.key) != ref.version or ref.key in met)
        ]
        want(session, route.connection_id, route.flow.name, news, lane=Lane.BACKFILL, now=clock.now(), run_id=run_id)
        for some in chunks(keys, AT_ONCE):
            changed(session, update(Record).where(*_mine(route), Record.key.in_(some)).values(swept_at=ended))
        _keep(session, route, {key: page.docs[key] for key in news if key in page.docs}, page.source_time, ended)
    return len(news)


def _met(route: Route, page: Page, keys: list[str]) -> set[str]:
    """The objects of a page that had no level in the target when they were planned last, and have one now: few calls."""
    skipped = (Record.status == Status.SKIPPED, Record.why.in_((Why.NOT_LINKED, Why.NO_STOCK)))
    with route.engine.store.read() as session:
        found = session.execute(
            select(Record.key, Record.about).where(*_mine(route), Record.key.in_(keys), *skipped)
        ).all()
        lookups = lookups_of(session, route.connection.row, route.flow) if found else {}
    typed = {key: _typed(route, page.docs.get(key)) for key, about in found if not about}
    unlinked = {key: found_links.key_to_find(route, doc, lookups) for key, doc in typed.items()}
    names = {key: name for key, name in unlinked.items() if name}
    without = {about: key for key, about in found if about}
    met: set[str] = set()
    for some in chunks(sorted(set(names.values())), route.target.most_per_find):
        with calling(route.connection.endpoint(route.target.name)):
            there = route.target.keys_of(some)
        met |= {key for key, name in names.items() if there.get(name)}
    for some in chunks(list(without), route.target.most_per_read):
        with calling(route.connection.endpoint(route.target.name)):
            met |= {without[key] for key in route.target.read(some)}
    return met


def _typed(route: Route, doc: Doc | None) -> Doc | None:
    try:
        return None if doc is None else route.source.load(doc)
    except Rejected:
        return None  # its plan fails by itself


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


def _want_unlisted(route: Route, began: datetime, run_id: int | None) -> int:
    """Want the records that no page of the sweep had: the source may list them no more. Returns their number.

    The order of keys is the source's own, so nothing is concluded from it.
    """
    unlisted = select(Record.key).where(
        *_mine(route), Record.created_at < began, or_(Record.swept_at.is_(None), Record.swept_at < began),
        Record.wanted == Record.done, Record.token.is_(None), Record.status == Status.DONE,
    )  # fmt: skip
    with route.engine.store.write() as session:
        keys = list(session.scalars(unlisted))
        want(session, route.connection_id, route.flow.name, keys, lane=Lane.BACKFILL, now=clock.now(), run_id=run_id)
    return len(keys)


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
