"""Links: which objects of the two sides are the same, their lines, and the last agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, false, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine.core import observe_mode, payloads, timeline
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.core.want import MOST_WOKEN, RESTING, is_key, wake, want
from syncengine.engine.decide import first_comparison
from syncengine.engine.decide.plan import CANCELLED, Step
from syncengine.engine.writes import effects
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Need
from syncengine.store.dialect import changed, upsert
from syncengine.store.models import ConnectionRow, Failure, Link, Record

FOLDED = "one record now"
"""The event of a pair whose two records have become one; its detail `record` is the number of the other."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The keys of a link on either side; None where it has none yet."""

    left: str | None
    right: str | None

    @property
    def side(self) -> str:
        """The side of the record's own object."""
        return "left" if self.left is not None else "right"

    def on(self, side: str) -> str | None:
        return self.left if side == "left" else self.right


def ends_of(flow: Flow, connection: Connection, record_key: str) -> Ends:
    """What a record's key says: in a one-way flow the source's key, in a two-way flow side and key (`left:310`)."""
    if flow.keys_name_their_side:
        side, _, key = record_key.partition(":")
    else:
        side, key = connection.side(flow.source), record_key
    return Ends(left=key if side == "left" else None, right=key if side == "right" else None)


def record_keys(
    session: Session, flow: Flow, connection: Connection, side: str, keys: Sequence[str]
) -> dict[str, list[str]]:
    """The keys of the records that stand for objects of one side, by object key.

    In a two-way flow a pair has one record, under its left side once it is linked. In a write-back each linked object of the
    side that is written has one; an object that nobody has linked has one of its own, until it is linked.
    """
    if not flow.keys_name_their_side:
        return {key: [key] for key in keys}
    owner = "left" if flow.two_way else connection.side(flow.target)
    found = {key: [f"{side}:{key}"] for key in keys}
    if side == owner:
        return found
    near, far = (Link.left_key, Link.right_key) if side == "left" else (Link.right_key, Link.left_key)
    linked = (
        select(near, far)
        .where(Link.connection_id == connection.row.id, Link.entity == flow.entity, near.in_(keys))
        .where(Link.provisional.is_(False), far.is_not(None))
        .order_by(Link.id)
    )
    named: dict[str, list[str]] = {}
    for key, other in session.execute(linked):
        if not str(other).startswith(UNTOLD):
            named.setdefault(str(key), []).append(f"{owner}:{other}")
    return {**found, **named}


UNTOLD = "@"
"""How the left key of a link begins whose object told no key: no system's keys do."""


def untold(right: str, part: str) -> str:
    """What stands for the left key of an object that its system told no key of."""
    return f"{UNTOLD}{right}{f':{part}' if part else ''}"


def target_key(flow: Flow, connection: Connection, link: Link) -> str | None:
    """The key of a link on the side that a flow writes to; None if it has none."""
    key = link.right_key if connection.side(flow.target) == "right" else link.left_key
    return None if key is None or key.startswith(UNTOLD) else key


def keys_named(session: Session, flow: Flow, connection: Connection, id_: str) -> list[str]:
    """The keys of the records that a person means: by the source's key, or by side and key where the flow has such."""
    side, colon, key = id_.partition(":")
    if not (flow.keys_name_their_side and colon and side in connection.endpoints):
        side, key = connection.side(flow.source), id_
    return record_keys(session, flow, connection, side, [key])[key]


def part_on(link: Link, side: str) -> str:
    """Which part of an object of a side a link is about: empty for the object that is itself one part of the other's."""
    if side == "right":
        return link.right_part
    return "" if link.right_part else link.part


def by_part(flow: Flow, connection: Connection, found: Iterable[Link]) -> dict[str, Link]:
    """The links of a record that are not provisional, by the name that its plans have for them.

    That is the part, where the flow's source becomes several objects. A pair and a write-back have one, under "": the oldest.
    """
    named: dict[str, Link] = {}
    for link in found:
        if not link.provisional:
            part = "" if flow.keys_name_their_side else part_on(link, connection.side(flow.source))
            named.setdefault(part, link)
    return named


def numbers_of(flow: Flow, link: Link) -> dict[str, str]:
    """The target's line numbers by the source's line keys, as this flow knows them."""
    own = link.lines.get(flow.name)
    if isinstance(own, Mapping):
        return dict(own)
    return {key: number for key, number in link.lines.items() if isinstance(number, str)}  # stored before 0.1.0


def of_records(
    session: Session, flow: Flow, connection: Connection, records: Sequence[Record]
) -> dict[int, list[Link]]:
    """The links of each record, by record id; several where one object becomes several."""
    by_end: dict[tuple[str, str], list[int]] = {}
    for record in records:
        ends = ends_of(flow, connection, record.key)
        by_end.setdefault((ends.side, ends.on(ends.side) or ""), []).append(record.id)
    found: dict[int, list[Link]] = {record.id: [] for record in records}
    lefts = [key for side, key in by_end if side == "left"]
    rights = [key for side, key in by_end if side == "right"]
    if not records:
        return found
    query = select(Link).where(Link.connection_id == records[0].connection_id, Link.entity == flow.entity)
    for link in session.scalars(
        query.where(or_(Link.left_key.in_(lefts), Link.right_key.in_(rights))).order_by(Link.id)
    ):
        for end in (("left", link.left_key), ("right", link.right_key or "")):
            for record_id in by_end.get(end, ()):
                found[record_id].append(link)
    return found


def revision(session: Session, link_id: int) -> int | None:
    """How often a link has been agreed on by now; None if it is gone."""
    return session.scalar(select(Link.revision).where(Link.id == link_id))


def revisions(found: Iterable[Link]) -> dict[str, int]:
    """How often each of a record's links has been agreed on, by part; those that are only planned are none."""
    return {link.part: link.revision for link in found if not link.provisional}


def keys_of_needs(session: Session, connection_id: int, needs: Iterable[Need], *, from_side: str) -> dict[Need, str]:
    """The other side's key for each need that is linked."""
    far = Link.right_key if from_side == "left" else Link.left_key
    return _known(session, connection_id, needs, from_side, far, Link.provisional.is_(False))


def planned(session: Session, connection_id: int, needs: Iterable[Need], *, from_side: str) -> dict[Need, str]:
    """What the other side's key will likely be (the natural key) for each need that is planned only, while observed."""
    if not observe_mode.is_observed(session, connection_id):
        return {}
    return _known(session, connection_id, needs, from_side, Link.natural_key, Link.provisional)


def _known(
    session: Session, connection_id: int, needs: Iterable[Need], side: str, far: Any, kind: Any
) -> dict[Need, str]:
    wanted = {(need.entity, need.key, need.part): need for need in needs if need.flow and is_key(need.key)}
    if not wanted:
        return {}
    near = Link.left_key if side == "left" else Link.right_key
    query = select(Link, far).where(
        Link.connection_id == connection_id, tuple_(Link.entity, near).in_([one[:2] for one in wanted]), kind
    )
    found = {}
    for link, other in session.execute(query):
        key = link.left_key if side == "left" else link.right_key
        need = wanted.get((link.entity, key or "", part_on(link, side)))
        if need is not None and other is not None and not other.startswith(UNTOLD):
            found[need] = other
    return found


def meets(need_side: Any, need_key: Any, need_part: Any) -> ColumnElement[bool]:
    """For a query over Link: it is the one that a need asks for, which is in the terms of `need_side`.

    A need that was stored without a side is met by either.
    """
    is_told = or_(Link.right_key.is_not(None), Link.provisional)
    left = and_(Link.left_key == need_key, case((Link.right_part == "", Link.part), else_="") == need_part, is_told)
    right = and_(Link.right_key == need_key, Link.right_part == need_part, ~Link.left_key.startswith(UNTOLD))
    return or_(and_(need_side != "right", left), and_(need_side != "left", right))


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a link remembers: the document that both sides agree on, and the target's line numbers by our line keys."""

    doc: Doc
    lines: Mapping[str, str]


def join(
    session: Session,
    engine: Engine,
    flow: Flow,
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
    """Save that two objects are the same, and wake what waited for it. A provisional link becomes a real one.

    `part`: of the record's own object. `right`: None if the target never told a key. `wakes=False`: the caller wakes what
    waited (`ends_for_needs`), for many links at once.
    """
    link = session.scalar(
        select(Link).where(
            Link.connection_id == record.connection_id,
            Link.entity == flow.entity,
            Link.left_key == left,
            Link.part == part,
        )
    )
    if link is None:
        link = Link(
            connection_id=record.connection_id, entity=flow.entity, left_key=left, part=part, revision=0, lines={},
            created_at=now,
        )  # fmt: skip
        session.add(link)
    link.right_key, link.natural_key, link.provisional = right, natural_key, False
    link.right_part = part if ends_of(flow, engine.connection(record.connection_id), record.key).side == "right" else ""
    _remember(engine, flow, link, agreed, now)
    session.flush()
    if wakes:
        wake_dependants(session, engine, record.connection_id, flow.entity, ends_for_needs(link), now)
    _tell_write_backs(session, engine, link, now)
    if part in record.must_find:
        others = {name: reference for name, reference in record.must_find.items() if name != part}
        session.execute(update(Record).where(Record.id == record.id).values(must_find=others))
        record.must_find = others
    if flow.two_way and right is not None:
        fold(session, record, left, right, now)
    return link


def ends_for_needs(link: Link) -> list[tuple[str, str, str]]:
    """Side, key and part by which others may need what a link joins."""
    ends = (("left", link.left_key), ("right", link.right_key))
    return [(side, key, part_on(link, side)) for side, key in ends if key is not None]


def _tell_write_backs(session: Session, engine: Engine, link: Link, now: datetime) -> None:
    """What a write-back knows, under another link or none, is wanted now, under the key of what it writes."""
    connection = engine.connection(link.connection_id)
    ends = {"left": link.left_key, "right": link.right_key}
    for name in connection.row.flows:
        flow = engine.flows.get(name)
        if flow is None or not flow.write_back or flow.entity != link.entity:
            continue
        source, target = connection.side(flow.source), connection.side(flow.target)
        names = (f"{source}:{ends[source]}", f"{target}:{ends[target]}")
        known = select(Record.lane).where(
            Record.connection_id == link.connection_id, Record.flow == name, Record.key.in_(names)
        )
        lane = session.scalar(known.limit(1))
        if lane is not None and ends[target] is not None:
            want(session, link.connection_id, name, [f"{target}:{ends[target]}"], lane=lane, now=now)


def take_turns(session: Session, connection_id: int) -> None:
    """Let people who link objects of a connection wait for one another until this transaction ends, so that `taken` holds."""
    mine = select(ConnectionRow.id).where(ConnectionRow.id == connection_id)
    session.execute(mine.with_for_update(key_share=True))


def taken(
    session: Session, connection_id: int, entity: str, left: str, right: str | None, part: str, *, side: str = "left"
) -> str:
    """Why two objects cannot be linked, empty if they can: an object has one counterpart, or one for each of its parts.

    side: whose object becomes several, where there are parts.
    """
    found = session.scalars(
        select(Link)
        .where(Link.connection_id == connection_id, Link.entity == entity, Link.provisional.is_(False))
        .where((Link.left_key == left) | ((Link.right_key == right) if right is not None else false()))
        .order_by(Link.id)
    )
    wanted = (left, right, part, part if side == "right" else "")
    others = [
        f"{link.left_key} is linked with {link.right_key} already"
        for link in found
        if (link.left_key, link.right_key, link.part, link.right_part) != wanted and _excludes(link, *wanted)
    ]
    return f"{left} and {right} cannot be linked: {', and '.join(others)}" if others else ""


def _excludes(link: Link, left: str, right: str | None, part: str, right_part: str) -> bool:
    """Whether a link forbids another one: it has an end of that one, and that end is not split into parts, or has this one."""
    if link.left_key == left and (link.part == part or link.right_part or right_part):
        return True
    has_right = right is not None and link.right_key == right
    return has_right and (link.right_part == right_part or not link.right_part or not right_part)


def provide(
    session: Session, engine: Engine, flow: Flow, connection: Connection, record: Record, step: Step, now: datetime
) -> None:
    """Leave a provisional link, without a key on the target's side, for a create that is planned but not written."""
    ends = ends_of(flow, connection, record.key)
    left = ends.left if ends.left is not None else f"planned:{ends.right}"
    right_part = step.part if ends.side == "right" else ""
    row = {
        "connection_id": record.connection_id, "entity": flow.entity, "left_key": left, "part": step.part,
        "right_part": right_part, "natural_key": step.operation.natural_key, "provisional": True, "revision": 0, "lines": {},
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    upsert(session, Link, [row], keys=("connection_id", "entity", "left_key", "part"), update=("updated_at",))
    needed_as = [(ends.side, ends.on(ends.side) or "", step.part)]
    wake_dependants(session, engine, record.connection_id, flow.entity, needed_as, now)


def begin(
    session: Session, engine: Engine, flow: Flow, link: Link, first: Doc, numbers: Mapping[str, str], now: datetime
) -> None:
    """Keep what a flow's first change of a link is compared with, before it is written.

    If its outcome is in doubt, whatever the target shows then must not pass for what it showed before.
    """
    if not base_of(engine, flow, link):
        _remember(engine, flow, link, Agreed(first, numbers), now)
        session.flush()


def is_there(session: Session, link: Link) -> bool:
    """Whether a link that was read before still joins the same objects."""
    return session.scalar(select(Link.id).where(*_same(link))) is not None


def _same(link: Link) -> tuple[ColumnElement[bool], ...]:
    right = Link.right_key == link.right_key if link.right_key is not None else Link.right_key.is_(None)
    return Link.id == link.id, Link.left_key == link.left_key, Link.part == link.part, right


def sever(session: Session, link: Link, now: datetime) -> bool:
    """Forget that two objects are the same, and what they agreed on in every flow; and what is in doubt of them.

    False if there is no such link any more: it was severed meanwhile, and its objects may be linked with others.
    """
    if not changed(session, delete(Link).where(*_same(link))):
        return False
    keys = [key for key in (link.left_key, link.right_key) if key is not None]
    effects.supersede_of(session, link.connection_id, link.entity, keys, now)
    return True


def agree(session: Session, engine: Engine, flow: Flow, link_id: int, agreed: Agreed, now: datetime) -> int:
    """Save what both sides agree on now, after a change or after they were seen to be equal. Returns the new revision.

    Of a pair a change goes to one side, and is agreed in the fields that it was about; the others stay as they were agreed.
    """
    link = session.get_one(
        Link, link_id, with_for_update=True, populate_existing=True
    )  # flows that share it take turns
    if flow.two_way:
        marks = (first_comparison.MARK, CANCELLED)
        before = {name: value for name, value in base_of(engine, flow, link).items() if name not in marks}
        agreed = Agreed({**before, **agreed.doc}, agreed.lines)
    _remember(engine, flow, link, agreed, now)
    return link.revision


def _remember(engine: Engine, flow: Flow, link: Link, agreed: Agreed, now: datetime) -> None:
    link.base = payloads.seal(engine.vault, {**_bases(engine, link), flow.name: agreed.doc})
    if _has_lines(agreed.doc):
        link.lines = {**link.lines, flow.name: dict(agreed.lines)}
    link.revision = link.revision + 1
    link.updated_at = now


def _has_lines(doc: Doc) -> bool:
    return any(isinstance(value, list) for value in doc.values())


def base_of(engine: Engine, flow: Flow, link: Link) -> Doc:
    """The last agreement of a flow; empty if it has made none. Flows that share a link own disjoint fields, each its own."""
    return dict(_bases(engine, link).get(flow.name, {}))


def _bases(engine: Engine, link: Link) -> dict[str, Doc]:
    return dict(payloads.unseal(engine.vault, link.base)) if link.base else {}


def waiting_for(
    session: Session, connection_id: int, entity: str, side: str, keys: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many records wait for each of these objects of a side, by key and part; one that none waits for is absent."""
    found: dict[str, dict[str, int]] = {}
    if not keys:
        return found
    query = (
        select(Record.need_key, Record.need_part, func.count())
        .where(Record.connection_id == connection_id, Record.need_entity == entity, Record.need_key.in_(keys), *RESTING)
        .where(Record.need_side.in_((side, "")))
        .group_by(Record.need_key, Record.need_part)
        .order_by(Record.need_key, Record.need_part)
    )
    for key, part, count in session.execute(query):
        found.setdefault(key, {})[part] = count
    return found


def wake_dependants(
    session: Session,
    engine: Engine,
    connection_id: int,
    entity: str,
    ends: Iterable[tuple[str, str, str]],
    now: datetime,
) -> None:
    """Wake the records that waited for this object, named by side, key and part.

    Beyond `MOST_WOKEN`, and what waits a moment later, the pump does.
    """
    met = [(known_side, key, part) for side, key, part in ends for known_side in (side, "")]
    ids = session.scalars(
        select(Record.id)
        .where(
            Record.connection_id == connection_id,
            Record.need_entity == entity,
            *RESTING,
            tuple_(Record.need_side, Record.need_key, Record.need_part).in_(met),
        )
        .limit(MOST_WOKEN)
    ).all()
    if ids:
        wake(session, ids, now, fresh_after=now - timedelta(seconds=engine.limits.fresh_s))


def fold(session: Session, record: Record, left: str, right: str, now: datetime) -> None:
    """A pair has one record: fold the one that began on the right into the one on the left, the higher `wanted` surviving.

    An event keeps the number of the record that goes; its writes are the other's from here on.
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
    if other.wanted > other.done:  # it is still due: what it wanted, the pair wants
        values |= {"wanted": Record.wanted + 1, "lane": func.coalesce(other.lane, Record.lane)}
    session.execute(update(Record).where(Record.id == record.id).values(**values))
    effects.hand_over(session, [other.id], record.id)
    letters = update(Failure).where(Failure.record_id == other.id)  # they would go with it, unseen
    session.execute(letters.values(record_id=record.id))
    timeline.note(session, [record], FOLDED, now, {record.id: {"key": other.key, "record": other.id}})
    session.execute(delete(Record).where(Record.id == other.id))
    session.execute(update(Record).where(Record.id == record.id).values(key=left_key))
