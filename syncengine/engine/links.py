"""Links: which objects of the two sides are the same, their lines, and the last agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine import effects, joined, observe, payloads, timeline
from syncengine.engine.engine import Engine, Site
from syncengine.engine.plan import CANCELLED, Step
from syncengine.engine.want import MOST_WOKEN, RESTING, is_key, wake
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Need
from syncengine.store.dialect import upsert
from syncengine.store.models import Failure, Link, Record

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


def ends_of(flow: Flow, site: Site, record_key: str) -> Ends:
    """What a record's key says: in a one-way flow the source's key, in a two-way flow side and key (`left:310`)."""
    if flow.two_way:
        side, _, key = record_key.partition(":")
    else:
        side, key = site.side(flow.source), record_key
    return Ends(left=key if side == "left" else None, right=key if side == "right" else None)


def of_records(session: Session, flow: Flow, site: Site, records: Sequence[Record]) -> dict[int, list[Link]]:
    """The links of each record, by record id; several where one object becomes several."""
    by_end: dict[tuple[str, str], list[int]] = {}
    for record in records:
        ends = ends_of(flow, site, record.key)
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


def revisions(found: Iterable[Link]) -> dict[str, int]:
    """How often each of a record's links has been agreed on, by part; those that are only planned are none."""
    return {link.part: link.revision for link in found if not link.provisional}


def known(session: Session, connection_id: int, needs: Iterable[Need], *, from_side: str) -> dict[Need, str]:
    """The other side's key for each need that is linked."""
    near, far = (Link.left_key, Link.right_key) if from_side == "left" else (Link.right_key, Link.left_key)
    return _known(session, connection_id, needs, near, far, Link.provisional.is_(False))


def planned(session: Session, connection_id: int, needs: Iterable[Need], *, from_side: str) -> dict[Need, str]:
    """What the other side's key will likely be (the natural key) for each need that is planned only, while observed."""
    if not observe.is_observed(session, connection_id):
        return {}
    near = Link.left_key if from_side == "left" else Link.right_key
    return _known(session, connection_id, needs, near, Link.natural_key, Link.provisional)


def _known(
    session: Session, connection_id: int, needs: Iterable[Need], near: Any, far: Any, kind: Any
) -> dict[Need, str]:
    wanted = {(need.entity, need.key, need.part): need for need in needs if need.flow and is_key(need.key)}
    if not wanted:
        return {}
    query = select(Link.entity, near, Link.part, far).where(
        Link.connection_id == connection_id, tuple_(Link.entity, near, Link.part).in_(list(wanted)), kind
    )
    return {wanted[entity, key or "", part]: other or "" for entity, key, part, other in session.execute(query)}


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
    right: str,
    part: str,
    natural_key: str,
    agreed: Agreed,
    now: datetime,
    wakes: bool = True,
) -> Link:
    """Save that two objects are the same, and wake what waited for it. A provisional link becomes a real one.

    `wakes=False`: the caller wakes what waited, for many links at once.
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
    _remember(engine, flow, link, agreed, now)
    session.flush()
    if wakes:
        wake_dependants(session, engine, record.connection_id, flow.entity, ((left, part), (right, part)), now)
    if flow.two_way:
        fold(session, record, left, right, now)
    return link


def taken(session: Session, connection_id: int, entity: str, left: str, right: str, part: str) -> str:
    """Why two objects cannot be linked, empty if they can: an object has one counterpart, and keeps it."""
    found = session.execute(
        select(Link.left_key, Link.right_key, Link.part)
        .where(Link.connection_id == connection_id, Link.entity == entity, Link.provisional.is_(False))
        .where(((Link.left_key == left) & (Link.part == part)) | (Link.right_key == right))
        .order_by(Link.id)
    )
    others = [f"{one[0]} is linked with {one[1]} already" for one in found if tuple(one) != (left, right, part)]
    return f"{left} and {right} cannot be linked: {', and '.join(others)}" if others else ""


def provide(
    session: Session, engine: Engine, flow: Flow, site: Site, record: Record, step: Step, now: datetime
) -> None:
    """Leave a provisional link, without a key on the target's side, for a create that is planned but not written."""
    ends = ends_of(flow, site, record.key)
    left = ends.left if ends.left is not None else f"planned:{ends.right}"
    row = {
        "connection_id": record.connection_id, "entity": flow.entity, "left_key": left, "part": step.part,
        "natural_key": step.operation.natural_key, "provisional": True, "revision": 0, "lines": {},
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    upsert(session, Link, [row], keys=("connection_id", "entity", "left_key", "part"), update=("updated_at",))
    key = ends.left if ends.left is not None else ends.right
    wake_dependants(session, engine, record.connection_id, flow.entity, [(key or "", step.part)], now)


def sever(session: Session, link_id: int) -> None:
    """Forget that two objects are the same, and what they agreed on in every flow."""
    session.execute(delete(Link).where(Link.id == link_id).execution_options(synchronize_session=False))


def agree(session: Session, engine: Engine, flow: Flow, link_id: int, agreed: Agreed, now: datetime) -> None:
    """Save what both sides agree on now, after a change or after they were seen to be equal.

    Of a pair a change goes to one side, and is agreed in the fields that it was about; the others stay as they were agreed.
    """
    link = session.get_one(
        Link, link_id, with_for_update=True, populate_existing=True
    )  # flows that share it take turns
    if flow.two_way:
        marks = (joined.MARK, CANCELLED)
        before = {name: value for name, value in base_of(engine, flow, link).items() if name not in marks}
        agreed = Agreed({**before, **agreed.doc}, agreed.lines)
    _remember(engine, flow, link, agreed, now)


def _remember(engine: Engine, flow: Flow, link: Link, agreed: Agreed, now: datetime) -> None:
    link.base = payloads.seal(engine.vault, {**_bases(engine, link), flow.name: agreed.doc})
    if _has_lines(agreed.doc):  # else it is not for this flow to say; another one may have written some meanwhile
        link.lines = dict(agreed.lines)
    link.revision = link.revision + 1
    link.updated_at = now


def _has_lines(doc: Doc) -> bool:
    return any(isinstance(value, list) for value in doc.values())


def base_of(engine: Engine, flow: Flow, link: Link) -> Doc:
    """The last agreement of a flow; empty if it has made none. Flows that share a link own disjoint fields, each its own."""
    return dict(_bases(engine, link).get(flow.name, {}))


def _bases(engine: Engine, link: Link) -> dict[str, Doc]:
    return dict(payloads.unseal(engine.vault, link.base)) if link.base else {}


def waiting_for(session: Session, connection_id: int, entity: str, keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many records wait for each of these objects, by key and part; one that none waits for is absent."""
    found: dict[str, dict[str, int]] = {}
    if not keys:
        return found
    query = (
        select(Record.need_key, Record.need_part, func.count())
        .where(Record.connection_id == connection_id, Record.need_entity == entity, Record.need_key.in_(keys), *RESTING)
        .group_by(Record.need_key, Record.need_part)
        .order_by(Record.need_key, Record.need_part)
    )
    for key, part, count in session.execute(query):
        found.setdefault(key, {})[part] = count
    return found


def wake_dependants(
    session: Session, engine: Engine, connection_id: int, entity: str, ends: Iterable[tuple[str, str]], now: datetime
) -> None:
    """Let the records go on that waited for this object. Beyond `MOST_WOKEN`, and what waits a moment later, the pump does."""
    ids = session.scalars(
        select(Record.id)
        .where(
            Record.connection_id == connection_id,
            Record.need_entity == entity,
            *RESTING,
            tuple_(Record.need_key, Record.need_part).in_(list(ends)),
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
