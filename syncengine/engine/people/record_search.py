"""Finds records by any id: a key of either system (`left:512` for one side), or a reference, with or without leading zeros.

What no id matches is searched for among the names that people use for an object: a shop's reference, a SKU, an e-mail address,
a telephone number (`core/search_names.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from syncengine.connectors.base import NameKind
from syncengine.engine.core import search_names
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.want import is_key
from syncengine.errors import Misconfigured
from syncengine.store.models import ConnectionRow, Effect, Link, Record

ZEROS = "0"
SIDES = ("left", "right")
KEYS = {"": ("left_key", "right_key"), "left": ("left_key",), "right": ("right_key",)}
"""The keys of a link that an id may match, by the side that it names."""

MOST_NAMED = 200
"""Records of one name that are listed: a popular SKU is part of any number of orders."""

MOST_LISTED = 5000
"""Records of one name that a list is narrowed to: a statement has a limited number of parameters."""

AT_ONCE = 500
MOST_IN_ERROR = 6


@dataclass(frozen=True, slots=True)
class Named:
    """A record that has a name, and what kind of name it is."""

    record: Record
    kind: NameKind


def find(
    session: Session, engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None
) -> list[Record]:
    """All records that an id names or, if there are none, that have it as a name; of any flow and connection unless given.

    An id always wins: what a customer types as a reference must not change which object `5075` means. Records of flows that
    compare are found by themselves alone: by `flow`, or if there are no others. Raises Misconfigured for an invalid id.
    """
    found = by_id(session, engine, id_, connection=connection, flow=flow)
    found = found or [named.record for named in by_name(session, engine, id_, connection=connection, flow=flow)]
    return meant(engine, found)


def meant(engine: Engine, found: Sequence[Record]) -> list[Record]:
    """Without the records of flows that compare, unless there are no others: people mean the object that is written."""
    if len(found) < 2:
        return list(found)
    written = [record for record in found if record.flow not in engine.flows or not engine.head(record.flow).compares]
    return written or list(found)


def by_name(
    session: Session,
    engine: Engine,
    name: str,
    *,
    connection: str | None = None,
    flow: str | None = None,
    where: Sequence[ColumnElement[bool]] = (),
    most: int = MOST_NAMED,
) -> list[Named]:
    """The records whose objects have this name, newest first: the newest `most` of each kind of name.

    `email:`, `phone:`, `sku:` or `reference:` before it means that kind alone; `left:5075` is a key, never a name. where:
    conditions over Record and its Connection that narrow the search.
    """
    if _side(name)[0]:
        return []
    kind, text = _parsed(name)
    wanted = search_names.sought(engine.vault, text, kinds=[kind] if kind else NameKind)
    narrow = [
        *where,
        *([ConnectionRow.name == connection] if connection else []),
        *([Record.flow == flow] if flow else []),
    ]
    kinds = search_names.find(session, wanted, where=narrow, most=most)
    ids = sorted(kinds, reverse=True)
    records = {
        record.id: record
        for some in chunks(ids, AT_ONCE)
        for record in session.scalars(select(Record).where(Record.id.in_(some)))
    }
    return [Named(records[record_id], kinds[record_id]) for record_id in ids if record_id in records]


def is_only_name(id_: str) -> bool:
    """Whether a text is evidently a name: it says so (`sku:512`), or is an e-mail address. No new record gets it as its key."""
    return _parsed(id_)[0] is not None or (not _side(id_)[0] and "@" in id_)


def _parsed(name: str) -> tuple[NameKind | None, str]:
    """The kind and the text of a name as people write it: `email:ann@example.com`; the kind is None if it may be any."""
    kind, colon, text = name.partition(":")
    return (NameKind(kind), text) if colon and kind in set(NameKind) else (None, name)


def by_id(
    session: Session, engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None
) -> list[Record]:
    """All records that an id names, of any flow and connection unless these are given; oldest first.

    `left:512` and `right:512` name an object of that side only, since both systems may use the same number. Raises
    Misconfigured for an invalid id.
    """
    side, id_ = _side(id_)
    if not is_key(id_):
        raise Misconfigured(
            f"{id_[:40]!r} is not a valid id: it is empty, too long, or contains characters that cannot be stored",
            "Use a key of either system, a reference, a SKU, an e-mail address or a telephone number",
        )
    found = {record.id: record for record in _of_key(session, engine, side, id_)}
    for link in _links(session, side, id_):
        ends = (link.left_key, link.right_key, f"left:{link.left_key}", f"right:{link.right_key}")
        query = select(Record).where(Record.connection_id == link.connection_id, Record.key.in_(ends))
        found |= {record.id: record for record in session.scalars(query) if _belongs(engine, record, link)}
    found |= {record.id: record for record in _of_effect(session, engine, side, id_)}
    wanted = [found[record_id] for record_id in sorted(found) if flow is None or found[record_id].flow == flow]
    if connection is None or not wanted:
        return wanted
    connection_id = session.scalar(select(ConnectionRow.id).where(ConnectionRow.name == connection))
    return [record for record in wanted if record.connection_id == connection_id]


def find_one(
    session: Session, engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None
) -> Record:
    """The only record that an id names or that has it as a name. Raises Misconfigured if there is none, or several."""
    ids = by_id(session, engine, id_, connection=connection, flow=flow)
    names = () if ids else by_name(session, engine, id_, connection=connection, flow=flow)
    found = meant(engine, ids or [each.record for each in names])
    if not found:
        raise Misconfigured(f"nothing is known of {id_}", f"Run `syncengine trace {id_}` to see possible reasons")
    if len(found) > 1:
        connections = {row.id: row.name for row in session.scalars(select(ConnectionRow))}
        several = ", ".join(
            f"{each.flow} {each.key} ({connections[each.connection_id]})" for each in found[:MOST_IN_ERROR]
        )
        more = f" and {len(found) - MOST_IN_ERROR} more" if len(found) > MOST_IN_ERROR else ""
        raise Misconfigured(f"{id_} names several records: {several}{more}", _narrower(id_, found, is_id=bool(ids)))
    return found[0]


def _narrower(id_: str, found: Sequence[Record], *, is_id: bool) -> str:
    """How to choose among several."""
    if not is_id:
        return "Use the key of one of them"
    if len({(each.flow, each.connection_id) for each in found}) > 1:
        return "Choose one with --flow or --connection"
    return f"Use left:{id_} or right:{id_} for the object of that side"


def side_of_key(engine: Engine, record: Record) -> str:
    """The side (`left` or `right`) whose object gives a record its key."""
    return engine.keys_of(record).ends(record.key).side


def is_its_key(record: Record, id_: str) -> bool:
    """Whether an id is the record's own key, or names a side."""
    side, key = _side(id_)
    return bool(side) or record.key in _forms(key)


def source_key(engine: Engine, connection_id: int, flow_name: str, id_: str) -> str:
    """The source's key for an id. Raises Misconfigured if it names an object of the other side."""
    side, key = _side(id_)
    route = engine.route(connection_id, flow_name)
    if not side or route.keys.name_their_side:
        return id_
    if side != route.source_side:
        raise Misconfigured(
            f"nothing is known of {id_} in {flow_name}, which reads the other side", "Use the object's key there"
        )
    return key


def _side(id_: str) -> tuple[str, str]:
    """The side that an id names, empty for either, and the id without the side."""
    side, colon, rest = id_.partition(":")
    return (side, rest) if colon and side in SIDES else ("", id_)


def _of_key(session: Session, engine: Engine, side: str, id_: str) -> list[Record]:
    """Records with this key."""
    found = session.scalars(select(Record).where(Record.key.in_(_forms(id_))))
    return [
        record for record in found if not side or record.flow not in engine.flows or side_of_key(engine, record) == side
    ]


def _of_effect(session: Session, engine: Engine, side: str, id_: str) -> list[Record]:
    """Records with a write, done or intended, of an object with this key or reference."""
    forms = _forms(id_)
    query = select(Effect.record_id, Effect.connection_id, Effect.resource)
    rows = session.execute(query.where(or_(Effect.target_key.in_(forms), Effect.natural_key.in_(forms))))
    ids = [
        row.record_id for row in rows if not side or engine.unconnected(row.connection_id).side(row.resource) == side
    ]
    return list(session.scalars(select(Record).where(Record.id.in_(ids))))


def among(
    session: Session,
    engine: Engine,
    name: str | None,
    where: Sequence[ColumnElement[bool]],
    *,
    connection: str | None = None,
    flow: str | None = None,
) -> list[int] | None:
    """The ids of the records that an id means or, if there are none, that have it as a name and meet the conditions `where`.

    For lists: it may be many. None if `name` is. Raises Misconfigured for an invalid id.
    """
    if name is None:
        return None
    if found := by_id(session, engine, name, connection=connection, flow=flow):
        return [record.id for record in found]
    named = by_name(session, engine, name, connection=connection, flow=flow, where=where, most=MOST_LISTED)
    return [each.record.id for each in named]


def check_names(engine: Engine, connection: str | None, flow: str | None) -> None:
    """Raises Misconfigured if the connection does not exist, or if neither the flow nor a record of a former one exists."""
    engine.connections(name=connection)
    if flow is None or flow in engine.flows:
        return
    with engine.store.read() as session:
        had = session.scalar(select(Record.id).where(Record.flow == flow).limit(1))
    if had is None:
        engine.flow(flow)


def _forms(id_: str) -> set[str]:
    return {id_, id_.lstrip(ZEROS) or id_, f"left:{id_}", f"right:{id_}"}


def _links(session: Session, side: str, id_: str) -> list[Link]:
    forms = _forms(id_)
    names = [*KEYS.get(side, KEYS[""]), *([] if side else ["natural_key"])]
    columns = [getattr(Link, name) for name in names]
    padded = [getattr(Link, name).endswith(id_, autoescape=True) for name in KEYS.get(side, KEYS[""])]
    query = select(Link).where(or_(*(column.in_(forms) for column in columns), *padded))
    found = session.scalars(query)
    return [record for record in found if any((getattr(record, name) or "").lstrip(ZEROS) in forms for name in names)]


def _belongs(engine: Engine, record: Record, link: Link) -> bool:
    """True if the record's flow creates or shares this link, and the record's key is that of its object."""
    if record.flow not in engine.flows:
        return record.flow == link.entity
    ends = engine.keys_of(record).ends(record.key)
    own = link.left_key if ends.side == "left" else link.right_key
    return engine.head(record.flow).entity == link.entity and ends.on(ends.side) == own
