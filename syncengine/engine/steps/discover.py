"""Reading feeds: whatever changed since the cursor becomes wanted, page by page. Records and cursor commit together."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, or_, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Page, Position, Ref, Resource
from syncengine.engine.core import feeds, movements, versions
from syncengine.engine.core.engine import Engine, Route, calling
from syncengine.engine.core.events import polling
from syncengine.engine.core.want import is_key, want
from syncengine.engine.steps import missed
from syncengine.engine.writes.link_keys import linked_among, record_keys
from syncengine.errors import Misconfigured, SyncError, Throttled
from syncengine.flows.flow import Flow
from syncengine.http.waiting import wait
from syncengine.store.dialect import insert_into
from syncengine.store.models import ConnectionRow, Cursor, Record, Run, Schedule
from syncengine.store.states import Lane, Status

log = logging.getLogger(__name__)

CURSOR_LEASES = 3  # leases for which a reader holds its cursor: a page may take several calls, each with its wait
MOST_WAITS = 5  # consecutive waits for a slot of the quota, without a page in between
TICK_SLACK = 0.9  # of the interval: a tick that comes a little early still counts


@dataclass(frozen=True, slots=True)
class Found:
    """What a run found. wanted: objects that became wanted. known: objects whose version was done already."""

    run_id: int
    wanted: int
    known: int

    def __str__(self) -> str:
        return f"run {self.run_id}: {self.wanted} found" + (f", {self.known} known" if self.known else "")


def discover(
    engine: Engine,
    connection_id: int,
    flow_name: str,
    *,
    trigger: str,
    lane: Lane,
    since: datetime | None = None,
    patience_s: float = 0.0,
) -> Found:
    """Read all feeds of a flow from their cursors and want what changed. One worker at a time reads a feed.

    Args:
        trigger: what started the run, stored with it.
        lane: lane of the records that become wanted.
        since: read from this time (UTC) instead, without moving the cursors.
        patience_s: the longest wait for the quota that is slept here, between two pages.

    Raises:
        SyncError: whatever the system's calls raise; what was read until then stays wanted.
    """
    route = engine.route(connection_id, flow_name)
    run_id = begin_run(engine, connection_id, flow_name, trigger=trigger, lane=lane)
    found = Found(run_id, 0, 0)
    error = ""
    try:
        for resource, feed in feeds_of(route):
            found = _Feed(route, resource, feed, lane, run_id, since, patience_s).read(found)
    except SyncError as failed:
        error = str(failed)
        raise
    finally:
        end_run(engine, found, error)
    return found


def feeds_of(route: Route) -> Sequence[tuple[Resource, str]]:
    """The feeds that a flow reads, each with its resource: the source's, and in a two-way flow the target's too."""
    source = [(route.source, feed) for feed in route.flow.feeds]
    return [*source, *((route.target, feed) for feed in route.flow.backward_feeds)]


def catch_up(route: Route, lane: Lane, *, newer_than_s: float = 0.0) -> bool:
    """Read the target's feeds to their present, for levels that rise only if nobody has moved goods there. Raises SyncError.

    newer_than_s: not if they were all read in the last that many seconds. Returns whether they have been; another worker may be
    reading them.
    """
    needed = route.target.now() - timedelta(seconds=route.target.search_lag_s + newer_than_s)
    if newer_than_s and _are_read(route, needed):
        return True
    for feed in route.flow.backward_feeds:
        _Feed(route, route.target, feed, lane, None, None, 0.0, newest_only=True).read(Found(0, 0, 0))
    return _are_read(route, needed)


def _are_read(route: Route, needed: datetime) -> bool:
    with route.engine.store.read() as session:
        known = feeds.known_until(session, route)
    return known is not None and known >= needed


def begin_run(engine: Engine, connection_id: int, flow: str, *, trigger: str, lane: Lane) -> int:
    """Store that a sync begins; returns its run number."""
    with engine.store.write() as session:
        run = Run(connection_id=connection_id, flow=flow, trigger=trigger, lane=lane, started_at=clock.now())
        session.add(run)
        session.flush()
        return run.id


def end_run(engine: Engine, found: Found, error: str = "") -> None:
    """Store the result of a sync. error: what ended it, empty if it completed."""
    with engine.store.write() as session:
        session.execute(
            update(Run)
            .where(Run.id == found.run_id)
            .values(found=found.wanted, known=found.known, finished_at=clock.now(), error=error)
        )


@dataclass(frozen=True, slots=True)
class _Feed:
    """Reads one feed of one flow for a run. since, patience_s: as in `discover`. holder: who claims the cursor.

    newest_only: see `Source.newest`.
    """

    route: Route
    resource: Resource
    feed: str
    lane: Lane
    run_id: int | None
    since: datetime | None
    patience_s: float
    newest_only: bool = False
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def cursor_name(self) -> str:
        return feeds.cursor_name(self.route, self.resource.name, self.feed)

    @property
    def _side(self) -> str:
        return self.route.connection.side(self.resource.name)

    def read(self, found: Found) -> Found:
        """Read all pages; returns `found` with what they add. Raises what the system's calls raise."""
        if self.since is not None:
            return self._pages(found, None, self.since)
        taken = self._take()
        if taken is None:
            return found  # another worker is reading it
        cursor, cut_over = taken
        try:
            return self._pages(found, cursor, self._begin(cursor, cut_over))
        finally:
            self._release()

    def _begin(self, cursor: Cursor, cut_over: datetime | None) -> datetime | None:
        """Where a feed without a position begins: what came before is read by the first sweep, if that reads all objects.

        Movements that the other system may not have yet are read all the same. A feed that had nothing to tell so far begins
        where it was read first.
        """
        if self.route.flow.levels and self.route.source.has_pages and not cursor.position:
            first = cursor.read_at or self.resource.now()
            return first - timedelta(seconds=self.resource.search_lag_s) - movements.posted_within(self.route)
        return cut_over if self.route.flow.cut_over else None

    def _pages(self, found: Found, cursor: Cursor | None, since: datetime | None) -> Found:
        complete_at = self.resource.now()
        position = cursor.position if cursor is not None else {}
        for page in self._read(self.resource.newest(position) if self.newest_only else position, since):
            complete_at = page.source_time
            with self.route.engine.store.write() as session:
                news = self._news(session, self._noted(session, page))
                self._want(session, news)
                if cursor is not None:
                    missed.note(session, self.route, self._side, page, news, since=cursor.read_at)
                    self._move(session, page)
            known = max(0, len(page.refs) - len(news))  # several objects may have one record
            found = Found(found.run_id, found.wanted + len(news), found.known + known)
            if cursor is not None and self.route.engine.is_ending():  # without a cursor nothing keeps the position
                raise Throttled("the worker is shutting down; reading continues from here", retry_in_s=0.0)
        if cursor is not None:
            self._complete(complete_at)
        return found

    def _noted(self, session: Session, page: Page) -> Page:
        """The page without what only we have moved, its movements stored."""
        if not page.movements or not self.route.flow.levels:
            return page
        side = self.route.connection.side(self.resource.name)
        moved = movements.note(session, self.route, side, page.movements, clock.now())
        return replace(page, refs=[ref for ref in page.refs if ref.key in moved])

    def _want(self, session: Session, news: Mapping[str, int]) -> None:
        """Want records by key, each with its urgency."""
        for urgency in sorted(set(news.values()), reverse=True):
            want(
                session,
                self.route.connection_id,
                self.route.flow.name,
                [key for key, its in news.items() if its == urgency],
                lane=self.lane,
                now=clock.now(),
                run_id=self.run_id,
                urgency=urgency,
            )

    def _read(self, position: Position, since: datetime | None) -> Iterator[Page]:
        """Pages from `position` on. After a wait for the quota within `patience_s`, reading continues from the last page."""
        waits = 0
        pages = self.resource.changes(self.feed, position, since=since)
        while True:
            try:
                with calling(self.route.connection.endpoint(self.resource.name)):
                    page = next(pages, None)
            except Throttled as busy:
                waits += 1
                if busy.retry_in_s > self.patience_s or waits > MOST_WAITS:
                    raise
                log.info(
                    "%s: reading %s continues in %.0f s: %s", self.route.flow.name, self.feed, busy.retry_in_s, busy
                )
                wait(busy.retry_in_s)
                pages = self.resource.changes(self.feed, position, since=since)
                continue
            if page is None:
                return
            waits, position = 0, page.position
            yield page

    def _news(self, session: Session, page: Page) -> dict[str, int]:
        """Record keys of a page's objects with their urgency, without those whose version is done or being processed.

        A version with a time counts as seen only if it is older than the fetch that saw it, by the source's clock, by more
        than the source's resolution plus the lag of its search; else an edit within the same second would be lost for good.
        A version without a time is a fingerprint of the content, so equal versions are equal content.
        """
        refs = [ref for ref in page.refs if self._can_keep(ref)]
        side = self._side
        if self.route.flow.compares:  # there is nothing to compare with what no flow has linked
            linked = linked_among(session, self.route, side, [ref.key for ref in refs])
            refs = [ref for ref in refs if ref.key in linked]
        keys = record_keys(session, self.route, side, list(dict.fromkeys(ref.key for ref in refs)))
        settled = timedelta(seconds=self.resource.resolution_s + self.resource.search_lag_s)
        due = Record.wanted > Record.done
        query = select(
            Record.key,
            case((due, Record.seen_version), else_=Record.done_version),
            case((due, Record.source_time), else_=Record.done_source_time),
        ).where(
            Record.connection_id == self.route.connection_id,
            Record.flow == self.route.flow.name,
            Record.key.in_([record_key for mine in keys.values() for record_key in mine]),
        )
        if self.since is not None:  # a person asks: what the rules skipped then may be planned differently now
            query = query.where(or_(due, Record.status.in_((Status.DONE, Status.DEAD))))
        found = {key: (version, at) for key, version, at in session.execute(query)}
        unlinked = f"{side}:" if self.route.flow.write_back and side != self.route.target_side else None
        news: dict[str, int] = {}
        for ref in refs:
            for record_key in keys[ref.key]:
                if unlinked is not None and record_key.startswith(unlinked) and record_key in found:
                    continue  # not linked; whoever links it makes it wanted
                kept, fetched = found.get(record_key, ("", None))
                is_same = bool(ref.version) and versions.version_in(self.route, kept, side, ref.key) == ref.version
                is_settled = ref.at is None or (fetched is not None and ref.at < fetched - settled)
                if not (is_same and is_settled):
                    news[record_key] = max(ref.urgency, news.get(record_key, 0))
        return news

    def _can_keep(self, ref: Ref) -> bool:
        """False for an object whose key cannot be stored: it is logged and skipped, and the feed continues."""
        if is_key(ref.key):
            return True
        log.error(
            "%s: an object of %s is skipped because its key cannot be stored: %.60r",
            self.route.flow.name,
            self.resource.name,
            ref.key,
        )
        return False

    def _take(self) -> tuple[Cursor, datetime | None] | None:
        """Claim the cursor; returns it with the cut-over date that applies. None if another worker holds it.

        Both are read at once, since an earlier date comes with a new cursor.
        """
        now = clock.now()
        with self.route.engine.store.write() as session:
            fresh = insert_into(session, Cursor).values(
                connection_id=self.route.connection_id,
                flow=self.route.flow.name,
                feed=self.cursor_name,
                position={},
            )
            session.execute(fresh.on_conflict_do_nothing(index_elements=["connection_id", "flow", "feed"]))
            cursor = session.scalars(
                update(Cursor)
                .where(*self._mine(), or_(Cursor.holder == "", Cursor.held_until < now))
                .values(
                    holder=self.holder,
                    held_until=now + timedelta(seconds=CURSOR_LEASES * self.route.engine.limits.lease_s),
                )
                .returning(Cursor)
                .execution_options(synchronize_session=False)
            ).one_or_none()
            cut_over = session.scalar(
                select(ConnectionRow.cut_over).where(ConnectionRow.id == self.route.connection_id)
            )
        return None if cursor is None else (cursor, cut_over)

    def _move(self, session: Session, page: Page) -> None:
        session.execute(
            update(Cursor)
            .where(*self._mine(), Cursor.holder == self.holder)
            .values(
                position=dict(page.position),
                read_at=page.source_time,
                held_until=clock.now() + timedelta(seconds=CURSOR_LEASES * self.route.engine.limits.lease_s),
            )
            .execution_options(synchronize_session=False)
        )

    def _complete(self, at: datetime) -> None:
        """The feed was read to its end: what it reported is complete up to a time of the source's clock."""
        with self.route.engine.store.write() as session:
            session.execute(
                update(Cursor)
                .where(*self._mine(), Cursor.holder == self.holder)
                .values(complete_at=at)
                .execution_options(synchronize_session=False)
            )

    def _release(self) -> None:
        with self.route.engine.store.write() as session:
            session.execute(
                update(Cursor)
                .where(*self._mine(), Cursor.holder == self.holder)
                .values(holder="", held_until=None, read_at=func.coalesce(Cursor.read_at, clock.now()))
                .execution_options(synchronize_session=False)
            )

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            Cursor.connection_id == self.route.connection_id,
            Cursor.flow == self.route.flow.name,
            Cursor.feed == self.cursor_name,
        )


def _interval_s(engine: Engine, connection_id: int, flow: Flow) -> float:
    """The present interval of a flow's syncs in seconds; the usual one if the connection cannot be opened."""
    try:
        route = engine.route(connection_id, flow.name)
        with engine.store.read() as session:
            return polling(session, route, clock.now()).interval_s
    except Misconfigured:  # its sync will say so
        return flow.every_s


def due_connections(engine: Engine, flow_name: str, *, but: Collection[int] = ()) -> list[int]:
    """Ids of connections whose feeds of this flow are due by the schedule; claims the turn of each.

    The next time is set in the same statement, so a second beat, or a tick that comes twice, does no harm. Those in `but`
    keep their turn for later.
    """
    flow, now = engine.flow(flow_name), clock.now()
    due: list[int] = []
    for connection in [row for row in engine.connections(flow_name) if row.id not in but]:
        slack_s = flow.every_s * (1 - TICK_SLACK)
        next_due = now + timedelta(seconds=_interval_s(engine, connection.id, flow) - slack_s)
        with engine.store.write() as session:
            fresh = insert_into(session, Schedule).values(connection_id=connection.id, flow=flow_name, next_due=now)
            session.execute(fresh.on_conflict_do_nothing(index_elements=["connection_id", "flow"]))
            is_due = or_(Schedule.next_due <= now, Schedule.next_due > next_due)  # the interval may be shorter now
            taken = session.scalars(
                update(Schedule)
                .where(Schedule.connection_id == connection.id, Schedule.flow == flow_name, is_due)
                .values(next_due=next_due)
                .returning(Schedule.flow)
                .execution_options(synchronize_session=False)
            ).all()
        if taken:
            due.append(connection.id)
    return due
