"""Which records an id names: a key of the source, a key of the target, a reference, with or without zeros before it."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syncengine.engine.engine import Engine
from syncengine.engine.want import is_key
from syncengine.errors import Misconfigured
from syncengine.store.models import Connection, Effect, Link, Record

ZEROS = "0"


def records(
    session: Session, engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None
) -> list[Record]:
    """All records that an id names, of any flow and connection unless these are given; oldest first. Raises Misconfigured."""
    if not is_key(id_):
        raise Misconfigured(
            f"{id_[:40]!r} cannot be an id: it is empty, too long, or has characters that no store keeps"
        )
    found = {record.id: record for record in session.scalars(select(Record).where(Record.key.in_(_forms(id_))))}
    for link in _links(session, id_):
        ends = (link.left_key, link.right_key, f"left:{link.left_key}", f"right:{link.right_key}")
        query = select(Record).where(Record.connection_id == link.connection_id, Record.key.in_(ends))
        found |= {one.id: one for one in session.scalars(query) if _belongs(engine, one, link)}
    forms = _forms(id_)
    written = select(Effect.record_id).where(or_(Effect.target_key.in_(forms), Effect.natural_key.in_(forms)))
    found |= {record.id: record for record in session.scalars(select(Record).where(Record.id.in_(written)))}
    wanted = [found[record_id] for record_id in sorted(found) if flow is None or found[record_id].flow == flow]
    if connection is None or not wanted:
        return wanted
    connection_id = session.scalar(select(Connection.id).where(Connection.name == connection))
    return [record for record in wanted if record.connection_id == connection_id]


def one(
    session: Session, engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None
) -> Record:
    """The one record that an id names. Raises Misconfigured if there is none, or several."""
    found = records(session, engine, id_, connection=connection, flow=flow)
    if not found:
        raise Misconfigured(f"nothing is known of {id_}. `syncengine trace {id_}` says what may be the reason")
    if len(found) > 1:
        names = {connection.id: connection.name for connection in session.scalars(select(Connection))}
        several = ", ".join(f"{each.flow} {each.key} ({names[each.connection_id]})" for each in found[:6])
        raise Misconfigured(f"{id_} names several records: {several}. Say which with --flow or --connection")
    return found[0]


def known(engine: Engine, connection: str | None, flow: str | None) -> None:
    """Raises Misconfigured if there is no such connection, or no such flow and no record of one that was dropped."""
    engine.connections(name=connection)
    if flow is None or flow in engine.flows:
        return
    with engine.store.read() as session:
        had = session.scalar(select(Record.id).where(Record.flow == flow).limit(1))
    if had is None:
        engine.flow(flow)


def _forms(id_: str) -> set[str]:
    return {id_, id_.lstrip(ZEROS) or id_, f"left:{id_}", f"right:{id_}"}


def _links(session: Session, id_: str) -> list[Link]:
    forms = _forms(id_)
    padded = or_(*(column.endswith(id_, autoescape=True) for column in (Link.right_key, Link.left_key)))
    query = select(Link).where(
        or_(Link.left_key.in_(forms), Link.right_key.in_(forms), Link.natural_key.in_(forms), padded)
    )
    return [
        link
        for link in session.scalars(query)
        if any((end or "").lstrip(ZEROS) in forms for end in (link.left_key, link.right_key, link.natural_key))
    ]


def _belongs(engine: Engine, record: Record, link: Link) -> bool:
    """True if the record's flow makes or shares this link."""
    flow = engine.flows.get(record.flow)
    return (flow.entity if flow is not None else record.flow) == link.entity
