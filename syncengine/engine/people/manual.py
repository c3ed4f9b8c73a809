"""What people do with a single object: push, ignore or unlink it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Verb
from syncengine.engine.core import decisions, failures, records, timeline
from syncengine.engine.core.call_context import on_account_of
from syncengine.engine.core.engine import Engine, Route, calling
from syncengine.engine.core.want import is_key, want
from syncengine.engine.people import seen, trace
from syncengine.engine.steps.pump import pump
from syncengine.engine.writes import link_keys, links, unsettled
from syncengine.errors import Misconfigured
from syncengine.store.models import Event, Failure, Link, Record
from syncengine.store.states import Lane, Pause, Status, Why

POLL_S = 0.5
UNIGNORED, UNLINKED = "no longer ignored", "unlinked by hand"
SKIPPABLE = (Pause.QUIET, Pause.BACKOFF, Pause.PACED)


def get_or_create(session: Session, engine: Engine, connection_id: int, flow: str, key: str, now: datetime) -> Record:
    """The record of an object, created and wanted if there is none yet. key: the source's. now: UTC.

    Raises Misconfigured if the key or the flow is invalid.
    """
    if not is_key(key):
        raise _no_key(key)
    key = link_keys.keys_named(session, engine.route(connection_id, flow), key)[0]
    mine = select(Record).where(Record.connection_id == connection_id, Record.flow == flow, Record.key == key)
    record = session.scalars(mine).first()
    if record is None:
        want(session, connection_id, flow, [key], lane=Lane.REALTIME, now=now)
        record = session.scalars(mine).one()
    return record


def must_exist(engine: Engine, connection_id: int, flow: str, key: str) -> None:
    """Raises Misconfigured if the source does not have the object, and what its call raises. Nothing is stored."""
    if not is_there(engine, connection_id, flow, key):
        connection = engine.connection(connection_id)
        resource = connection.resource(engine.flow(flow).source)
        name = connection.endpoint(resource.name).name
        raise Misconfigured(f"{name} has no {resource.name} with the key {key}", "Use the key that this system shows")


def is_there(engine: Engine, connection_id: int, flow: str, key: str) -> bool:
    """Whether the source has an object; makes one call. Raises Misconfigured for an invalid key, and what the call raises."""
    route = engine.route(connection_id, flow)
    side, own = route.keys.named(key)
    resource = route.source if side == route.source_side else route.target
    if not is_key(own):
        raise _no_key(own)
    with on_account_of(engine, flow, Lane.REALTIME), calling(route.connection.endpoint(resource.name)):
        return own in resource.read([own])


def _no_key(key: str) -> Misconfigured:
    return Misconfigured(
        f"{key[:40]!r} is not a valid key: it is empty, too long, or contains characters that cannot be stored"
    )


# -- push --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pushed:
    """A record that was pushed.

    revision: the one to wait for. event_id: the last event before the push, 0 for none. was_busy: whether it was being worked
    on at that time.
    """

    record_id: int
    revision: int
    event_id: int
    was_busy: bool


def push(engine: Engine, record: Record, *, now: bool, by: str) -> Pushed:
    """Sync an object on the realtime lane. now: skip its quiet period and its back-off.

    A settle time always applies: the target may still be carrying out a write of it. Raises Misconfigured if it is ignored,
    and Transient.
    """
    at = clock.now()
    with engine.store.write() as session:
        [record] = seen.locked(session, [record.id]).values() or [record]
        if record.ignored:
            raise Misconfigured(
                f"{record.flow} {record.key} is ignored ({record.ignored})",
                f"Run `syncengine ignore {record.key} --undo` first",
            )
        last = session.scalar(select(Event.id).where(Event.record_id == record.id).order_by(Event.id.desc()).limit(1))
        want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=at)
        records.forget_last(session, [record.id])
        if now:
            records.skip_waits(session, record.id, at)
        detail = {"by": by, "how": "without its quiet period" if now else "as soon as possible"}
        timeline.note(session, [record], "pushed by hand", at, {record.id: detail})
        pushed = Pushed(record.id, record.wanted + 1, last or 0, record.token is not None)
    pump(engine)
    return pushed


@dataclass(frozen=True, slots=True)
class PushProgress:
    """How far a push has come.

    events: what happened since, oldest first. state: where the record is, in words; status and why: the same for the program.
    is_over: nothing more will come of it.
    """

    events: Sequence[Event]
    state: str
    status: str
    is_over: bool
    why: Why = Why.NONE


def follow(engine: Engine, pushed: Pushed, *, for_s: float, tell: Callable[[Event], None]) -> PushProgress:
    """Wait until the revision is complete, at most `for_s` seconds. tell: called with each event as it happens."""
    until, reported, has_waits = clock.monotonic() + for_s, 0, pushed.was_busy
    while True:
        current = progress(engine, pushed)
        for event in current.events[reported:]:
            tell(event)
        reported = len(current.events)
        if current.is_over or clock.monotonic() >= until:
            return current
        if has_waits:  # it was being worked on when it was pushed, and that may have delayed it
            has_waits = not _waits_skipped(engine, pushed)
        clock.sleep(POLL_S)


def progress(engine: Engine, pushed: Pushed) -> PushProgress:
    """How far a push has come now. Raises Transient."""
    with engine.store.read() as session:
        record = session.get(Record, pushed.record_id)
        query = select(Event).where(Event.record_id == pushed.record_id, Event.id > pushed.event_id).order_by(Event.id)
        events = session.scalars(query).all()
        if record is None:
            return PushProgress(events, "its pair is now named by the record of the other side", Status.OPEN, True)
        is_over = bool(record.ignored) or (record.done >= pushed.revision and record.status != Status.WAITING)
        return PushProgress(events, trace.state_of(session, record), record.status, is_over, Why(record.why))


def _waits_skipped(engine: Engine, pushed: Pushed) -> bool:
    now = clock.now()
    with engine.store.write() as session:
        record = session.get(Record, pushed.record_id)
        if record is None or record.token is not None:
            return record is None
        if record.pause in SKIPPABLE:
            records.skip_waits(session, record.id, now)
    pump(engine)
    return True


# -- ignore ------------------------------------------------------------------------------------------------------------


def ignore(engine: Engine, record: Record, *, by: str, because: str) -> None:
    """Skip an object until `unignore`: it costs no calls, and what needs it waits. Its dead letter is closed.

    Raises Misconfigured if `because` is empty, it is being worked on, or it is ignored already. So it is for a pair while the
    outcome of a create is unknown: the object that it may have created could never be distinguished from a new one.
    """
    seen.require_reason(because)
    with engine.store.write() as session:
        record = seen.mine(session, record.id)
        if record.ignored:
            raise Misconfigured(f"{record.flow} {record.key} is ignored already ({record.ignored})")
        _nothing_open(session, engine, record)
        _ignore(session, record, by, because, clock.now())
        timeline.note_one(session, record, "ignored", clock.now(), by=by, because=because)


def _nothing_open(session: Session, engine: Engine, record: Record) -> None:
    for doubt in unsettled.unknown_of(session, engine, [record.id]) if engine.flow(record.flow).two_way else ():
        if doubt.effect.verb == Verb.CREATE:
            raise Misconfigured(
                f"the outcome of {doubt.name} is unknown until its settle time is over",
                f"Try again then. If the record is held for that, run `syncengine held settle {record.key}` first",
            )


def _ignore(session: Session, record: Record, by: str, because: str, now: datetime) -> None:
    """The record must be locked and not in progress."""
    records.ignore(session, record.id, f"{by}: {because}", now)
    dead = (Failure.record_id == record.id, Failure.closed_at.is_(None), Failure.kind == failures.DEAD)
    failures.close_by_hand(session, session.scalars(select(Failure).where(*dead)).all(), f"ignored: {because}", by, now)
    decisions.end(session, [record], now, f"ignored by {by}")


def unignore(engine: Engine, record: Record, *, by: str, because: str = "") -> None:
    """Stop ignoring an object, and sync it at once. Raises Misconfigured if it is not ignored, and Transient."""
    now = clock.now()
    with engine.store.write() as session:
        if not records.unignore(session, record.id, now):
            by_whom = timeline.last_by_hand(session, UNIGNORED, Event.record_id == record.id)
            raise Misconfigured(f"{record.flow} {record.key} is not ignored{by_whom}")
        detail = {name: text for name, text in (("by", by), ("because", because), ("was", record.ignored)) if text}
        timeline.note(session, [record], UNIGNORED, now, {record.id: detail})
        want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
    pump(engine)


# -- unlink ------------------------------------------------------------------------------------------------------------


def link_of(session: Session, engine: Engine, record: Record, part: str | None = None) -> Link:
    """The link of a record. part: required if there are several. Raises Misconfigured if no link or several match."""
    route = engine.route_of(record)
    found = links.of_records(session, route, [record])[record.id]
    mine = [link for link in found if part is None or link.part == part]
    if not mine:
        by_whom = timeline.last_by_hand(session, UNLINKED, Event.record_id == record.id)
        raise Misconfigured(f"{record.flow} {record.key} is not linked{f' in part {part}' if part else ''}{by_whom}")
    if len(mine) > 1:
        several = ", ".join(f"{link.part or '(none)'}: {link.right_key}" for link in mine)
        raise Misconfigured(
            f"{record.flow} {record.key} has several links, by part {several}", "Choose one with --part"
        )
    return mine[0]


def unlink(engine: Engine, record: Record, link: Link, *, by: str, because: str, recreate: bool = False) -> list[str]:
    """Forget that two objects are the same. Returns the keys of the records concerned.

    The next sync would create an object without a link. So its records are ignored from now on, until `unignore` or a link by
    hand. recreate: they are synced at once instead, and the object is created again, unless the target has one with the
    reference by which it was linked. Raises Misconfigured if `because` is empty, the link has changed since, a record is being
    worked on, or, to recreate, the record is not held because its counterpart is gone.
    """
    seen.require_reason(because)
    route, now = engine.route_of(record), clock.now()
    with engine.store.write() as session:
        seen.locked(session, [record.id])
        if not links.is_there(session, link):
            raise _severed(session, record, link)
        record = seen.mine(session, record.id)
        surviving = _surviving(record, route, link) if recreate else []
        if not links.sever(session, link, now):
            raise _severed(session, record, link)
        concerned = _sharing(session, route, link, now)
        pair = [each for each in concerned if each.flow == route.flow.name]
        for survivor in [each for each in pair if each.key in surviving]:
            unsettled.hand_over(session, [each.id for each in pair], survivor.id)
        for each in [seen.mine(session, each.id) for each in concerned]:
            decisions.end(session, [each], now, f"unlinked by {by}")
            if recreate and (not route.keys.one_per_pair or each.key in surviving):
                _recreate(session, engine.route_of(each), each, link, now)
            elif not each.ignored and not engine.flow(each.flow).write_back:  # a write-back does nothing without a link
                _ignore(session, each, by, f"unlinked, {because}", now)
        facts = {"left": link.left_key, "right": link.right_key or "", "part": link.part, "by": by, "because": because}
        detail = {name: text for name, text in facts.items() if text}
        timeline.note(session, concerned, UNLINKED, now, {each.id: detail for each in concerned})
    if recreate:
        pump(engine)
    return [each.key for each in concerned]


def _recreate(session: Session, route: Route, record: Record, link: Link, now: datetime) -> None:
    """Sync a record that has lost its link. What the target has under the link's reference is found, not created."""
    records.must_find(session, record.id, _part(route, link), link.natural_key)
    want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
    records.forget_last(session, [record.id])


def _severed(session: Session, record: Record, link: Link) -> Misconfigured:
    ends = f"{link.left_key} and {link.right_key or '(planned)'}"
    by_whom = timeline.last_by_hand(session, UNLINKED, Event.record_id == record.id)
    return Misconfigured(
        f"{ends} are not linked any more{by_whom}", f"Run `syncengine trace {record.key}` to see their current state"
    )


def _part(route: Route, link: Link) -> str:
    """The part that a flow's plans give a link."""
    return next(iter(link_keys.by_part(route, [link])), "")


def _surviving(record: Record, route: Route, link: Link) -> list[str]:
    """The keys of the records from whose object the missing one is created again. Raises Misconfigured."""
    if route.keys.one_per_pair:
        if record.status == Status.HELD and record.why in (Why.GONE_LEFT, Why.GONE_RIGHT):
            left, right = route.keys.all_of_link(link.left_key, link.right_key or "")
            return [right if record.why == Why.GONE_LEFT else left]
        then = "Each object would be created again on the other side"
    else:
        there = link_keys.target_key(route, link)
        if record.status == Status.HELD and record.why == Why.GONE and record.about == there:
            return [record.key]
        then = f"{there} would have a duplicate"
    raise Misconfigured(
        f"{record.flow} {record.key} is not held because its counterpart is gone",
        f"{then}. Omit --recreate, or run `syncengine push {record.key} --now` first to check it",
    )


def _sharing(session: Session, route: Route, link: Link, now: datetime) -> list[Record]:
    """The records that use a link: of the flow itself (of a pair, those of either side), and of flows that share it."""
    if route.keys.one_per_pair:
        for key in (f"left:{link.left_key}", f"right:{link.right_key}" if link.right_key else ""):
            if key:
                get_or_create(session, route.engine, link.connection_id, route.flow.name, key, now)
    names = [name for name in route.connection.row.flows if _entity(route, name) == link.entity]
    found: list[Record] = []
    for name in names:
        keys = _keys(replace(route, flow=route.engine.flow(name)), link)
        query = select(Record).where(Record.connection_id == link.connection_id, Record.flow == name)
        found += session.scalars(query.where(Record.key.in_(keys)).order_by(Record.id))
    return found


def _entity(route: Route, name: str) -> str:
    """The entity of a flow of the connection; of one that is disabled, as it was configured."""
    flow = route.engine.flows.get(name)
    stored: Sequence[str] = route.connection.row.entities.get(name, ("",))
    return flow.entity if flow is not None else stored[0]


def _keys(route: Route, link: Link) -> list[str]:
    return list(route.keys.all_of_link(link.left_key, link.right_key or ""))


def link_facts(link: Link) -> Mapping[str, Any]:
    """A link as JSON for people."""
    return {name: getattr(link, name) for name in ("entity", "left_key", "part", "right_key", "natural_key")}
