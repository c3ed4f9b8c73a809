"""The keys of a link: which objects it joins, and how records and plans name them on each side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syncengine.engine.core import versions
from syncengine.engine.core.engine import Route
from syncengine.store.models import Link, Record
from syncengine.store.states import Status


def record_keys(session: Session, route: Route, side: str, keys: Sequence[str]) -> dict[str, list[str]]:
    """The record keys for objects of one side, by object key.

    In a two-way flow a pair has one record, named after its left object once it is linked. In a write-back each linked object
    on the side that is written has one; an object that is not linked has its own until it is. In a one-way flow only the
    source's objects have records, so an object of the target has those of the objects that it is linked with.
    """
    if side == route.keys.owner:
        return {key: [route.keys.of(side, key)] for key in keys}
    found = {key: [route.keys.of(side, key)] if route.keys.name_their_side else [] for key in keys}
    near, far = (Link.left_key, Link.right_key) if side == "left" else (Link.right_key, Link.left_key)
    linked = (
        select(near, far)
        .where(Link.connection_id == route.connection_id, Link.entity == route.flow.entity, near.in_(keys))
        .where(Link.provisional.is_(False), far.is_not(None))
        .order_by(Link.id)
    )
    named: dict[str, list[str]] = {}
    for key, other in session.execute(linked):
        if not str(other).startswith(UNTOLD):
            named.setdefault(str(key), []).append(route.keys.of(route.keys.owner, str(other)))
    return {**found, **named}


def linked_among(session: Session, route: Route, side: str, keys: Sequence[str]) -> set[str]:
    """Those of the keys of one side whose objects are linked."""
    own = Link.left_key if side == "left" else Link.right_key
    mine = (Link.connection_id == route.connection_id, Link.entity == route.flow.entity, Link.provisional.is_(False))
    return {key for key in session.scalars(select(own).where(*mine, own.in_(keys))) if key is not None}


UNTOLD = "@"
"""How the left key of a link begins if the object's own key is unknown; no system's keys begin like this."""


def untold(right: str, part: str) -> str:
    """The placeholder for the left key of an object whose key its system did not return."""
    return f"{UNTOLD}{right}{f':{part}' if part else ''}"


def target_key(route: Route, link: Link) -> str | None:
    """The key of a link on the side that a flow writes to; None if it has none."""
    key = link.right_key if route.target_side == "right" else link.left_key
    return None if key is None or key.startswith(UNTOLD) else key


def keys_named(session: Session, route: Route, id_: str) -> list[str]:
    """The keys of the records that a person names: by the source's key, or by side and key if the flow's keys have a side."""
    side, key = route.keys.named(id_)
    return record_keys(session, route, side, [key])[key]


def synced_versions(
    session: Session, route: Route, linked: Mapping[int, Sequence[Link]]
) -> dict[int, dict[str, str | None]]:
    """The versions that the flows which write the objects of links have synced, by record id and the source's key.

    A key is absent while its object is due or waiting there. Its version is None, for any, where nothing will be synced until
    a person acts: it is held, dead or ignored. One that was skipped, such as an order that has left the statuses under which
    it is sent, has nothing left to sync. linked: by record id.
    """
    side = route.source_side
    own = {id_: {key for link in some if (key := _end(link, side)) is not None} for id_, some in linked.items()}
    found: dict[str, str | None] = {}
    for name in route.connection.row.flows:
        maker = route.engine.flows.get(name)
        if maker is None or maker.write_back or maker.entity != route.flow.entity:
            continue
        theirs = route.engine.route(route.connection_id, name)
        by_record = {theirs.keys.of(side, key): key for keys in own.values() for key in keys}
        rests = or_(Record.status.in_((Status.HELD, Status.DEAD)), Record.ignored != "")
        done = select(Record.key, Record.done_version, rests).where(
            Record.connection_id == route.connection_id, Record.flow == name, Record.key.in_(list(by_record)),
            Record.status.in_((Status.DONE, Status.SKIPPED, Status.HELD, Status.DEAD)), Record.wanted == Record.done,
        )  # fmt: skip
        for record_key, kept, has_ended in session.execute(done):
            key = by_record[record_key]
            found[key] = None if has_ended else versions.version_in(theirs, kept, side, key)
    return {id_: {key: found[key] for key in keys if key in found} for id_, keys in own.items()}


def _end(link: Link, side: str) -> str | None:
    return link.left_key if side == "left" else link.right_key


def part_on(link: Link, side: str) -> str:
    """The part of a side's object that a link is about; empty if that object is itself a part of the other side's."""
    if side == "right":
        return link.right_part
    return "" if link.right_part else link.part


def by_part(route: Route, found: Iterable[Link]) -> dict[str, Link]:
    """The links of a record, without provisional ones, by the part that its plans name.

    Parts exist where one source object becomes several. A pair and a write-back have one link, the oldest, under "".
    """
    named: dict[str, Link] = {}
    for link in found:
        if not link.provisional:
            part = "" if route.keys.name_their_side else part_on(link, route.source_side)
            named.setdefault(part, link)
    return named
