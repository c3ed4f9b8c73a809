"""What a person does with one object: has it pushed now, ignored, linked with another one, or unlinked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Verb
from syncengine.engine.core import decisions, failures, records, timeline
from syncengine.engine.core.call_context import on_account_of
from syncengine.engine.core.engine import Connection, Engine, calling
from syncengine.engine.core.want import is_key, want
from syncengine.engine.people import seen, trace
from syncengine.engine.steps.pump import pump
from syncengine.engine.writes import effects, links
from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.store.models import Event, Failure, Link, Record
from syncengine.store.states import Lane, Pause, Status, Why

POLL_S = 0.5
HEEDED, UNLINKED = "no longer ignored", "unlinked by hand"
HURRIED = (Pause.QUIET, Pause.BACKOFF, Pause.PACED)


def get_or_create(session: Session, engine: Engine, connection_id: int, flow: str, key: str, now: datetime) -> Record:
    """The record of an object by the source's key; one that is in no table yet is made. Raises Misconfigured."""
    if not is_key(key):
        raise _no_key(key)
    key = links.keys_named(session, engine.flow(flow), engine.connection(connection_id), key)[0]
    mine = select(Record).where(Record.connection_id == connection_id, Record.flow == flow, Record.key == key)
    record = session.scalars(mine).first()
    if record is None:
        want(session, connection_id, flow, [key], lane=Lane.REALTIME, now=now)
        record = session.scalars(mine).one()
    return record


def must_exist(engine: Engine, connection_id: int, flow: str, key: str) -> None:
    """Raises Misconfigured if the source has no such object, and what its call raises. Nothing is stored."""
    if not is_there(engine, connection_id, flow, key):
        connection = engine.connection(connection_id)
        resource = connection.resource(engine.flow(flow).source)
        name = connection.endpoint(resource.name).name
        raise Misconfigured(f"{name} has no {resource.name} with the key {key}", "Give its key as that system shows it")


def is_there(engine: Engine, connection_id: int, flow: str, key: str) -> bool:
    """Ask the source, in one call, whether it has an object. Raises Misconfigured, and what its call raises."""
    flow_, connection = engine.flow(flow), engine.connection(connection_id)
    side, own = connection.side(flow_.source), key
    if flow_.keys_name_their_side and key.partition(":")[0] in connection.endpoints:
        side, _, own = key.partition(":")
    resource = connection.resource(flow_.source if side == connection.side(flow_.source) else flow_.target)
    if not is_key(own):
        raise _no_key(own)
    with on_account_of(engine, flow, Lane.REALTIME), calling(connection.endpoint(resource.name)):
        return own in resource.read([own])


def _no_key(key: str) -> Misconfigured:
    return Misconfigured(f"{key[:40]!r} cannot be a key: it is empty, too long, or holds what no store keeps")


# -- pushed now --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pushed:
    """A record that was asked for: its id, the revision that is waited for, the last event before, and if it was busy then."""

    record_id: int
    revision: int
    event_id: int
    was_busy: bool


def push(engine: Engine, record: Record, *, now: bool, by: str) -> Pushed:
    """Have an object looked at on the realtime lane. `now`: its quiet period and its back-off do not count.

    A settle time is waited for in any case: the target may still be carrying out a write of it. Raises Misconfigured if it
    is ignored.
    """
    at = clock.now()
    with engine.store.write() as session:
        [record] = seen.locked(session, [record.id]).values() or [record]
        if record.ignored:
            raise Misconfigured(
                f"{record.flow} {record.key} is ignored ({record.ignored})",
                f"`syncengine ignore {record.key} --undo` first",
            )
        last = session.scalar(select(Event.id).where(Event.record_id == record.id).order_by(Event.id.desc()).limit(1))
        want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=at)
        records.forget_last(session, [record.id])
        if now:
            records.skip_waits(session, record.id, at)
        told = {"by": by, "how": "without its quiet period" if now else "as soon as it may"}
        timeline.note(session, [record], "pushed by hand", at, {record.id: told})
        pushed = Pushed(record.id, record.wanted + 1, last or 0, record.token is not None)
    pump(engine)
    return pushed


@dataclass(frozen=True, slots=True)
class PushProgress:
    """How a push stands: what happened since (events, oldest first), the record's state in words, and if it is over."""

    events: Sequence[Event]
    state: str
    status: str
    is_over: bool


def follow(engine: Engine, pushed: Pushed, *, for_s: float, tell: Callable[[Event], None]) -> PushProgress:
    """Wait until the revision is dealt with, at most `for_s` seconds; `tell` gets each event as it comes."""
    until, seen, hurry = clock.monotonic() + for_s, 0, pushed.was_busy
    while True:
        standing = progress(engine, pushed)
        for event in standing.events[seen:]:
            tell(event)
        seen = len(standing.events)
        if standing.is_over or clock.monotonic() >= until:
            return standing
        if hurry:  # it was being worked on when it was asked for, and put off by that
            hurry = not _waits_skipped(engine, pushed)
        clock.sleep(POLL_S)


def progress(engine: Engine, pushed: Pushed) -> PushProgress:
    """How a push stands now."""
    with engine.store.read() as session:
        record = session.get(Record, pushed.record_id)
        query = select(Event).where(Event.record_id == pushed.record_id, Event.id > pushed.event_id).order_by(Event.id)
        events = session.scalars(query).all()
        if record is None:
            return PushProgress(events, "its pair goes by the record of the other side from now on", Status.OPEN, True)
        is_over = bool(record.ignored) or (record.done >= pushed.revision and record.status != Status.WAITING)
        return PushProgress(events, trace.state_of(session, record), record.status, is_over)


def _waits_skipped(engine: Engine, pushed: Pushed) -> bool:
    now = clock.now()
    with engine.store.write() as session:
        record = session.get(Record, pushed.record_id)
        if record is None or record.token is not None:
            return record is None
        if record.pause in HURRIED:
            records.skip_waits(session, record.id, now)
    pump(engine)
    return True


# -- ignored -----------------------------------------------------------------------------------------------------------


def ignore(engine: Engine, record: Record, *, by: str, because: str) -> None:
    """Leave an object alone until `heed`: it costs no calls, and what needs it waits. Its dead letter is closed.

    Raises Misconfigured if it is being worked on, or ignored already; and of a pair, while a create of it is in doubt: the
    object on the other side that it may have made could never be told from a new one.
    """
    _reasoned(because)
    with engine.store.write() as session:
        record = seen.mine(session, record.id)
        if record.ignored:
            raise Misconfigured(f"{record.flow} {record.key} is ignored already ({record.ignored})")
        _nothing_open(session, engine, record)
        _ignore(session, record, by, because, clock.now())
        timeline.note_one(session, record, "ignored", clock.now(), by=by, because=because)


def _nothing_open(session: Session, engine: Engine, record: Record) -> None:
    for doubt in effects.unknown_of(session, engine, [record.id]) if engine.flow(record.flow).two_way else ():
        if doubt.effect.verb == Verb.CREATE:
            raise Misconfigured(
                f"nobody knows yet whether {doubt.name} took effect, which is found out after its settle time",
                f"Try again then; if it is held for that, `syncengine held settle {record.key}` first",
            )


def _ignore(session: Session, record: Record, by: str, because: str, now: datetime) -> None:
    """The record must be locked, and nobody may be working on it."""
    records.ignore(session, record.id, f"{by}: {because}", now)
    dead = (Failure.record_id == record.id, Failure.closed_at.is_(None), Failure.kind == failures.DEAD)
    failures.close_by_hand(session, session.scalars(select(Failure).where(*dead)).all(), f"ignored: {because}", by, now)
    decisions.end(session, [record], now, f"ignored by {by}")


def unignore(engine: Engine, record: Record, *, by: str, because: str = "") -> None:
    """Sync an object again that was ignored, at once. Raises Misconfigured if it was not."""
    now = clock.now()
    with engine.store.write() as session:
        if not records.unignore(session, record.id, now):
            by_whom = timeline.last_by_hand(session, HEEDED, Event.record_id == record.id)
            raise Misconfigured(f"{record.flow} {record.key} is not ignored{by_whom}")
        told = {name: text for name, text in (("by", by), ("because", because), ("was", record.ignored)) if text}
        timeline.note(session, [record], HEEDED, now, {record.id: told})
        want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
    pump(engine)


def _reasoned(because: str) -> None:
    if not because.strip():
        raise Misconfigured("--because is empty", "Say why, for those who look at it later")


# -- unlinked ----------------------------------------------------------------------------------------------------------


def link_of(session: Session, engine: Engine, record: Record, part: str | None = None) -> Link:
    """The link of a record, by its part if there are several. Raises Misconfigured."""
    flow, connection = engine.flow(record.flow), engine.connection(record.connection_id)
    found = links.of_records(session, flow, connection, [record])[record.id]
    mine = [one for one in found if part is None or one.part == part]
    if not mine:
        by_whom = timeline.last_by_hand(session, UNLINKED, Event.record_id == record.id)
        raise Misconfigured(f"{record.flow} {record.key} is not linked{f' in part {part}' if part else ''}{by_whom}")
    if len(mine) > 1:
        several = ", ".join(f"{one.part or '(none)'}: {one.right_key}" for one in mine)
        raise Misconfigured(f"{record.flow} {record.key} has several links, by part {several}", "Say which with --part")
    return mine[0]


def unlink(engine: Engine, record: Record, link: Link, *, by: str, because: str, recreate: bool = False) -> list[str]:
    """Forget that two objects are the same. Returns the keys of the records that this concerns.

    The next sync would create what has no link. So its records are ignored from here on, until a person says otherwise
    (`heed`, or a link by hand). recreate: they are looked at instead, at once, and the object is created once more unless the
    target has one with the reference by which it was linked, or has now. Raises Misconfigured if the link is another one by
    now, a record is being worked on, or, to recreate, if the object is not held since it is gone.
    """
    _reasoned(because)
    flow, connection, now = engine.flow(record.flow), engine.connection(record.connection_id), clock.now()
    with engine.store.write() as session:
        seen.locked(session, [record.id])
        if not links.is_there(session, link):
            raise _severed(session, record, link)
        record = seen.mine(session, record.id)
        keys = _surviving(record, flow, connection, link) if recreate else None
        if not links.sever(session, link, now):
            raise _severed(session, record, link)
        told = {"left": link.left_key, "right": link.right_key or "", "part": link.part, "by": by, "because": because}
        concerned = _sharing(session, engine, connection, link, flow, now)
        pair = [one for one in concerned if one.flow == flow.name]
        for survivor in [one for one in pair if one.key in (keys or ())]:
            effects.hand_over(session, [one.id for one in pair], survivor.id)
        for one in (seen.mine(session, each.id) for each in concerned):
            decisions.end(session, [one], now, f"unlinked by {by}")
            if recreate and (not flow.two_way or one.key in (keys or ())):
                records.must_find(session, one.id, _part(engine.flow(one.flow), connection, link), link.natural_key)
                want(session, one.connection_id, one.flow, [one.key], lane=Lane.REALTIME, now=now)
                records.forget_last(session, [one.id])
            elif not one.ignored and not engine.flow(one.flow).write_back:  # that one does nothing without a link
                _ignore(session, one, by, f"unlinked, {because}", now)
        detail = {name: text for name, text in told.items() if text}
        timeline.note(session, concerned, UNLINKED, now, {one.id: detail for one in concerned})
    if recreate:
        pump(engine)
    return [one.key for one in concerned]


def _severed(session: Session, record: Record, link: Link) -> Misconfigured:
    ends = f"{link.left_key} and {link.right_key or '(planned)'}"
    by_whom = timeline.last_by_hand(session, UNLINKED, Event.record_id == record.id)
    return Misconfigured(
        f"{ends} are not linked any more{by_whom}", f"`syncengine trace {record.key}` shows how they are now"
    )


def _part(flow: Flow, connection: Connection, link: Link) -> str:
    """The part by which a flow's plans have a link."""
    return next(iter(links.by_part(flow, connection, [link])), "")


def _surviving(record: Record, flow: Flow, connection: Connection, link: Link) -> list[str]:
    """The keys of the records by whose object the one that is gone is created once more. Raises Misconfigured."""
    if flow.two_way:
        if record.status == Status.HELD and record.why in (Why.GONE_LEFT, Why.GONE_RIGHT):
            return [f"right:{link.right_key}" if record.why == Why.GONE_LEFT else f"left:{link.left_key}"]
        then = "Each side would be created once more on the other one"
    else:
        there = links.target_key(flow, connection, link)
        if record.status == Status.HELD and record.why == Why.GONE and record.about == there:
            return [record.key]
        then = f"{there} would have a double"
    raise Misconfigured(
        f"{record.flow} {record.key} is not held since its counterpart is gone",
        f"{then}; leave --recreate out, or look at it first by `syncengine push {record.key} --now`",
    )


def _sharing(
    session: Session, engine: Engine, connection: Connection, link: Link, flow: Flow, now: datetime
) -> list[Record]:
    """The records that go by a link: of the flow itself (of a pair, those of either side), and of flows that share it."""
    for side, key in (("left", link.left_key), ("right", link.right_key)) if flow.two_way else ():
        if key:
            get_or_create(session, engine, link.connection_id, flow.name, f"{side}:{key}", now)
    names = [name for name in connection.row.flows if engine.flow(name).entity == link.entity]
    found: list[Record] = []
    for name in names:
        keys = _keys(engine.flow(name), connection, link)
        query = select(Record).where(Record.connection_id == link.connection_id, Record.flow == name)
        found += session.scalars(query.where(Record.key.in_(keys)).order_by(Record.id))
    return found


def _keys(flow: Flow, connection: Connection, link: Link) -> list[str]:
    if flow.keys_name_their_side:
        return [f"left:{link.left_key}", f"right:{link.right_key or ''}"]
    return [link.left_key if connection.side(flow.source) == "left" else link.right_key or ""]


def link_facts(link: Link) -> Mapping[str, Any]:
    """A link for people."""
    return {name: getattr(link, name) for name in ("entity", "left_key", "part", "right_key", "natural_key")}
