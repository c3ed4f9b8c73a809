"""Who depends on a link: records that need one of its objects, write-backs that share it, and flows that compare it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import Session

from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.want import MOST_WOKEN, RESTING, is_key, wake, want
from syncengine.engine.writes.link_keys import UNTOLD, part_on
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Need
from syncengine.store.models import ConnectionRow, Endpoint, Link, Record
from syncengine.store.states import Lane, Why


def keys_of_needs(session: Session, connection_id: int, needs: Iterable[Need], *, from_side: str) -> dict[Need, str]:
    """The other side's key for each need that is linked."""
    far = Link.right_key if from_side == "left" else Link.left_key
    return _known(session, connection_id, needs, from_side, far, Link.provisional.is_(False))


def planned(session: Session, connection_id: int, needs: Iterable[Need], *, from_side: str) -> dict[Need, str]:
    """The other side's likely key (the natural key) for each need that is only planned; empty unless observed."""
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
        Link.connection_id == connection_id,
        tuple_(Link.entity, near).in_([(entity, key) for entity, key, _ in wanted]),
        kind,
    )
    found = {}
    for link, other in session.execute(query):
        key = link.left_key if side == "left" else link.right_key
        need = wanted.get((link.entity, key or "", part_on(link, side)))
        if need is not None and other is not None and not other.startswith(UNTOLD):
            found[need] = other
    return found


def meets(need_side: Any, need_key: Any, need_part: Any) -> ColumnElement[bool]:
    """The condition, in a query over Link, that a link meets a need whose key is of the side `need_side`.

    Either side may meet a need that was stored without one.
    """
    is_usable = or_(Link.right_key.is_not(None), Link.provisional)
    left = and_(Link.left_key == need_key, case((Link.right_part == "", Link.part), else_="") == need_part, is_usable)
    right = and_(Link.right_key == need_key, Link.right_part == need_part, ~Link.left_key.startswith(UNTOLD))
    return or_(and_(need_side != "right", left), and_(need_side != "left", right))


def ends_for_needs(link: Link) -> list[tuple[str, str, str]]:
    """Side, key and part by which other records may need the objects of a link."""
    ends = (("left", link.left_key), ("right", link.right_key))
    return [(side, key, part_on(link, side)) for side, key in ends if key is not None]


def want_comparisons(
    session: Session, engine: Engine, found: Iterable[Link], now: datetime, *, waiting_only: bool = False
) -> None:
    """Want the objects of links that have changed in each flow that compares them.

    waiting_only: only those that wait until a change is synced, for links of objects that needed no write.
    """
    by_place: dict[tuple[int, str], list[Link]] = {}
    for link in found:
        by_place.setdefault((link.connection_id, link.entity), []).append(link)
    for (connection_id, entity), some in by_place.items():
        for name in engine.connection(connection_id).row.flows:
            flow = engine.flows.get(name)
            if flow is None or not flow.compares or flow.entity != entity:
                continue
            route = engine.route(connection_id, name)
            keys = [route.keys.of_link(link.left_key, link.right_key) for link in some if link.right_key is not None]
            if waiting_only:
                waiting = select(Record.key).where(Record.connection_id == connection_id, Record.flow == name)
                keys = list(
                    session.scalars(waiting.where(Record.key.in_(keys), Record.why == Why.NOT_SYNCED, *RESTING))
                )
            want(session, connection_id, name, keys, lane=Lane.SCHEDULED, now=now)


def linked_keys(session: Session, connection_id: int, flow: Flow) -> list[str]:
    """The record keys of all objects that a flow can compare on a connection; none if the connection is new."""
    row = session.get(ConnectionRow, connection_id)
    if row is None:
        return []
    is_left = session.get_one(Endpoint, row.left_id).system == flow.target.partition(".")[0]
    side, own = ("left", Link.left_key) if is_left else ("right", Link.right_key)
    mine = (Link.connection_id == connection_id, Link.entity == flow.entity, Link.provisional.is_(False))
    found = session.scalars(select(own).where(*mine, own.is_not(None)).order_by(Link.id))
    return [f"{side}:{key}" for key in found if not str(key).startswith(UNTOLD)]


def want_write_backs(session: Session, engine: Engine, link: Link, now: datetime) -> None:
    """Want the new link in each write-back that has a record of either object, under the key of what it writes."""
    connection = engine.connection(link.connection_id)
    ends = {"left": link.left_key, "right": link.right_key}
    for name in connection.row.flows:
        flow = engine.flows.get(name)
        if flow is None or not flow.write_back or flow.compares or flow.entity != link.entity:
            continue
        source, target = connection.side(flow.source), connection.side(flow.target)
        names = (f"{source}:{ends[source]}", f"{target}:{ends[target]}")
        known = select(Record.lane).where(
            Record.connection_id == link.connection_id, Record.flow == name, Record.key.in_(names)
        )
        lane = session.scalar(known.limit(1))
        if lane is not None and ends[target] is not None:
            want(session, link.connection_id, name, [f"{target}:{ends[target]}"], lane=lane, now=now)


def waiting_for(
    session: Session, connection_id: int, entity: str, side: str, keys: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many records wait for each of these objects of a side, by key and part; keys that none waits for are absent."""
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
    """Wake the records that wait for an object, named by side, key and part.

    The pump wakes those beyond `MOST_WOKEN`, and those that begin to wait a moment later.
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
