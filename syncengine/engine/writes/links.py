"""Links: which objects of the two sides are the same, their line numbers, and what they last agreed on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, false, func, or_, select, update
from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine.core import payloads, timeline
from syncengine.engine.core.engine import Engine, Route
from syncengine.engine.decide import first_comparison
from syncengine.engine.decide.plan import CANCELLED, Step
from syncengine.engine.writes import unsettled
from syncengine.engine.writes.dependants import (
    ends_for_needs,
    wake_dependants,
    want_comparisons,
    want_write_backs,
)
from syncengine.flows.flow import Flow
from syncengine.store.dialect import changed, upsert
from syncengine.store.models import ConnectionRow, Failure, Link, Record

FOLDED = "one record now"
"""The event of a pair whose two records have become one; its detail `record` is the id of the other."""


def numbers_of(flow: Flow, link: Link) -> dict[str, str]:
    """The target's line numbers by the source's line keys, as this flow stored them."""
    own = link.lines.get(flow.name)
    if isinstance(own, Mapping):
        return dict(own)
    return {key: number for key, number in link.lines.items() if isinstance(number, str)}  # stored before 0.1.0


def all_numbers(found: Iterable[Link]) -> dict[str, str]:
    """The target's line numbers by the source's line keys, whichever flow stored them."""
    stored = [own for link in found for own in link.lines.values() if isinstance(own, Mapping)]
    return {key: number for own in stored for key, number in own.items()}


def of_records(session: Session, route: Route, records: Sequence[Record]) -> dict[int, list[Link]]:
    """The links of each record, by record id; several where one object becomes several."""
    by_end: dict[tuple[str, str], list[int]] = {}
    for record in records:
        ends = route.keys.ends(record.key)
        by_end.setdefault((ends.side, ends.on(ends.side) or ""), []).append(record.id)
    found: dict[int, list[Link]] = {record.id: [] for record in records}
    lefts = [key for side, key in by_end if side == "left"]
    rights = [key for side, key in by_end if side == "right"]
    if not records:
        return found
    query = select(Link).where(Link.connection_id == records[0].connection_id, Link.entity == route.flow.entity)
    for link in session.scalars(
        query.where(or_(Link.left_key.in_(lefts), Link.right_key.in_(rights))).order_by(Link.id)
    ):
        for end in (("left", link.left_key), ("right", link.right_key or "")):
            for record_id in by_end.get(end, ()):
                found[record_id].append(link)
    return found


def revision(session: Session, link_id: int) -> int | None:
    """How many times a link has been agreed on; None if it no longer exists."""
    return session.scalar(select(Link.revision).where(Link.id == link_id))


def revisions(found: Iterable[Link]) -> dict[str, int]:
    """How many times each of a record's links has been agreed on, by part, without provisional links."""
    return {link.part: link.revision for link in found if not link.provisional}


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a link remembers: the document that both sides agree on, and the target's line numbers by our line keys."""

    doc: Doc
    lines: Mapping[str, str]


def join(
    session: Session,
    route: Route,
    record: Record,
    *,
    left: str,
    right: str | None,
    part: str,
    natural_key: str,
    agreed: Agreed,
    now: datetime,
    wakes: bool = True,
) -> Link:
    """Save that two objects are the same, and wake the records that waited for it. A provisional link becomes a real one.

    part: of the record's own object. right: None if the target returned no key. wakes: False if the caller wakes the waiting
    records and the comparisons itself, for many links at once (`ends_for_needs`, `want_comparisons`).
    """
    link = _get_or_create(session, record.connection_id, route.flow.entity, left, part, now)
    link.right_key, link.natural_key, link.provisional = right, natural_key, False
    link.right_part = part if route.keys.ends(record.key).side == "right" else ""
    _remember(route, link, agreed, now)
    session.flush()
    if wakes:
        wake_dependants(session, route.engine, record.connection_id, route.flow.entity, ends_for_needs(link), now)
        want_comparisons(session, route.engine, [link], now)
    want_write_backs(session, route.engine, link, now)
    if part in record.must_find:
        others = {name: reference for name, reference in record.must_find.items() if name != part}
        session.execute(update(Record).where(Record.id == record.id).values(must_find=others))
        record.must_find = others
    if route.keys.one_per_pair and right is not None:
        fold(session, record, left, right, now)
    return link


def meet(session: Session, route: Route, pairs: Mapping[str, tuple[str, str]], now: datetime) -> dict[str, str]:
    """Save that objects which exist are the same, many at once: left and right key by natural key, one of each.

    No flow has agreed on anything, so they have no base. Returns why some cannot be linked, by natural key.
    """
    taken_ = _taken_among(session, route, list(pairs.values()))
    free = {natural: pair for natural, pair in pairs.items() if not _is_taken(taken_, pair)}
    rows = [
        {
            "connection_id": route.connection_id, "entity": route.flow.entity, "left_key": left, "part": "",
            "right_key": right, "right_part": "", "natural_key": natural, "provisional": False, "revision": 0, "lines": {},
            "created_at": now, "updated_at": now,
        }
        for natural, (left, right) in free.items()
    ]  # fmt: skip
    upsert(
        session, Link, rows, keys=("connection_id", "entity", "left_key", "part"),
        update=("right_key", "natural_key", "provisional", "updated_at"),
    )  # fmt: skip
    ends = [end for left, right in free.values() for end in (("left", left, ""), ("right", right, ""))]
    wake_dependants(session, route.engine, route.connection_id, route.flow.entity, ends, now)
    want_comparisons(session, route.engine, links_of(session, route, [left for left, _ in free.values()]), now)
    return {
        natural: f"{left} and {right} cannot be linked: {taken_.get(('left', left)) or taken_['right', right]}"
        for natural, (left, right) in pairs.items()
        if natural not in free
    }


def _is_taken(taken_: Mapping[tuple[str, str], str], pair: tuple[str, str]) -> bool:
    return ("left", pair[0]) in taken_ or ("right", pair[1]) in taken_


def links_of(session: Session, route: Route, lefts: Sequence[str]) -> list[Link]:
    """The links of the flow's entity with these left keys."""
    mine = (Link.connection_id == route.connection_id, Link.entity == route.flow.entity, Link.left_key.in_(lefts))
    return list(session.scalars(select(Link).where(*mine).execution_options(populate_existing=True)))


def _taken_among(session: Session, route: Route, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Keys of pairs (by side and key) that are linked with others, each with what it is linked with."""
    mine = (Link.connection_id == route.connection_id, Link.entity == route.flow.entity, Link.provisional.is_(False))
    wanted = set(pairs)
    either = Link.left_key.in_([left for left, _ in pairs]) | Link.right_key.in_([right for _, right in pairs])
    found: dict[tuple[str, str], str] = {}
    for link in session.scalars(select(Link).where(*mine, either)):
        if (link.left_key, link.right_key) not in wanted:
            text = f"{link.left_key} is already linked with {link.right_key}"
            found |= {("left", link.left_key): text, ("right", link.right_key or ""): text}
    return found


def _get_or_create(session: Session, connection_id: int, entity: str, left: str, part: str, now: datetime) -> Link:
    same = (Link.connection_id == connection_id, Link.entity == entity, Link.left_key == left, Link.part == part)
    link = session.scalar(select(Link).where(*same))
    if link is None:
        link = Link(
            connection_id=connection_id, entity=entity, left_key=left, part=part, revision=0, lines={}, created_at=now
        )
        session.add(link)
    return link


def take_turns(session: Session, connection_id: int) -> None:
    """Make others who link objects of a connection wait until this transaction ends, so that `taken` stays true."""
    mine = select(ConnectionRow.id).where(ConnectionRow.id == connection_id)
    session.execute(mine.with_for_update(key_share=True))


def taken(
    session: Session, connection_id: int, entity: str, left: str, right: str | None, part: str, *, side: str = "left"
) -> str:
    """Why two objects cannot be linked; empty if they can. An object has one counterpart, or one for each of its parts.

    side: the side whose object is split into parts, if any is.
    """
    found = session.scalars(
        select(Link)
        .where(Link.connection_id == connection_id, Link.entity == entity, Link.provisional.is_(False))
        .where((Link.left_key == left) | ((Link.right_key == right) if right is not None else false()))
        .order_by(Link.id)
    )
    wanted = (left, right, part, part if side == "right" else "")
    others = [
        f"{link.left_key} is already linked with {link.right_key}"
        for link in found
        if (link.left_key, link.right_key, link.part, link.right_part) != wanted and _excludes(link, *wanted)
    ]
    return f"{left} and {right} cannot be linked: {', and '.join(others)}" if others else ""


def _excludes(link: Link, left: str, right: str | None, part: str, right_part: str) -> bool:
    """Whether a link rules out another one: they share an object, and it is not split into parts or they share the part."""
    if link.left_key == left and (link.part == part or link.right_part or right_part):
        return True
    has_right = right is not None and link.right_key == right
    return has_right and (link.right_part == right_part or not link.right_part or not right_part)


def provide(session: Session, route: Route, record: Record, step: Step, now: datetime) -> None:
    """Save a provisional link, without the target's key, for a create that is planned but not written."""
    ends = route.keys.ends(record.key)
    left = ends.left if ends.left is not None else f"planned:{ends.right}"
    right_part = step.part if ends.side == "right" else ""
    row = {
        "connection_id": record.connection_id, "entity": route.flow.entity, "left_key": left, "part": step.part,
        "right_part": right_part, "natural_key": step.operation.natural_key, "provisional": True, "revision": 0, "lines": {},
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    upsert(session, Link, [row], keys=("connection_id", "entity", "left_key", "part"), update=("updated_at",))
    needed_as = [(ends.side, ends.on(ends.side) or "", step.part)]
    wake_dependants(session, route.engine, record.connection_id, route.flow.entity, needed_as, now)


def begin(session: Session, route: Route, link: Link, first: Doc, numbers: Mapping[str, str], now: datetime) -> None:
    """Save what a flow's first change of a link is compared with, before it is written.

    If its outcome is unknown, what the target shows then must not be taken for what it showed before.
    """
    if not base_of(route, link):
        _remember(route, link, Agreed(first, numbers), now)
        session.flush()


def is_there(session: Session, link: Link) -> bool:
    """Whether a link that was read earlier still exists and joins the same objects."""
    return session.scalar(select(Link.id).where(*_same(link))) is not None


def _same(link: Link) -> tuple[ColumnElement[bool], ...]:
    right = Link.right_key == link.right_key if link.right_key is not None else Link.right_key.is_(None)
    return Link.id == link.id, Link.left_key == link.left_key, Link.part == link.part, right


def sever(session: Session, link: Link, now: datetime) -> bool:
    """Delete a link with its agreements in every flow, and supersede the changes of its objects that are not settled.

    False if the link no longer exists: somebody has severed it, and its objects may be linked with others.
    """
    if not changed(session, delete(Link).where(*_same(link))):
        return False
    keys = [key for key in (link.left_key, link.right_key) if key is not None]
    unsettled.supersede_of(session, link.connection_id, link.entity, keys, now)
    return True


def agree(session: Session, route: Route, link_id: int, agreed: Agreed, now: datetime) -> Link:
    """Save what both sides agree on now, after a change or because they are equal. Returns the link with its new revision.

    In a pair a change goes to one side, and only its own fields are agreed; the others stay as they were agreed before.
    """
    link = session.get_one(
        Link, link_id, with_for_update=True, populate_existing=True
    )  # flows that share it take turns
    if route.flow.two_way:
        marks = (first_comparison.MARK, CANCELLED)
        before = {name: value for name, value in base_of(route, link).items() if name not in marks}
        agreed = Agreed({**before, **agreed.doc}, agreed.lines)
    _remember(route, link, agreed, now)
    return link


def _remember(route: Route, link: Link, agreed: Agreed, now: datetime) -> None:
    link.base = payloads.seal(route.engine.vault, {**_bases(route.engine, link), route.flow.name: agreed.doc})
    if _has_lines(agreed.doc):
        link.lines = {**link.lines, route.flow.name: dict(agreed.lines)}
    link.revision = link.revision + 1
    link.updated_at = now


def _has_lines(doc: Doc) -> bool:
    return any(isinstance(value, list) for value in doc.values())


def base_of(route: Route, link: Link) -> Doc:
    """The last agreement of a flow; empty if there is none. Flows that share a link own different fields."""
    return dict(_bases(route.engine, link).get(route.flow.name, {}))


def _bases(engine: Engine, link: Link) -> dict[str, Doc]:
    return dict(payloads.unseal(engine.vault, link.base)) if link.base else {}


def fold(session: Session, record: Record, left: str, right: str, now: datetime) -> None:
    """Give a pair one record: fold the other one, if there is any, into `record`, and name it after the left object.

    If the other one was due, `record` is. An event keeps the id of the deleted record; its writes and dead letters move over.
    """
    left_key, right_key = f"left:{left}", f"right:{right}"
    other = session.scalar(
        select(Record)
        .where(
            Record.connection_id == record.connection_id,
            Record.flow == record.flow,
            Record.key == (right_key if record.key == left_key else left_key),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if other is None:
        session.execute(update(Record).where(Record.id == record.id).values(key=left_key))
        return
    values: dict[str, Any] = {"needed": Record.needed | other.needed}
    if other.wanted > other.done:  # it is still due, so the pair is
        values |= {"wanted": Record.wanted + 1, "lane": func.coalesce(other.lane, Record.lane)}
    session.execute(update(Record).where(Record.id == record.id).values(**values))
    unsettled.hand_over(session, [other.id], record.id)
    letters = update(Failure).where(Failure.record_id == other.id)  # else they would be deleted with it
    session.execute(letters.values(record_id=record.id))
    timeline.note(session, [record], FOLDED, now, {record.id: {"key": other.key, "record": other.id}})
    session.execute(delete(Record).where(Record.id == other.id))
    session.execute(update(Record).where(Record.id == record.id).values(key=left_key))
