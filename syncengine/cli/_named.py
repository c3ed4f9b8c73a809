"""Finds the record that a person names on the command line by any id of either system, or by a name such as a reference."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import record_search
from syncengine.errors import Misconfigured, SyncError
from syncengine.store.models import ConnectionRow, Record


def record(engine: Engine, id_: str, connection: str | None, flow: str | None) -> Record:
    """The record that an id or a name means. Raises Misconfigured if there is none, or more than one."""
    with engine.store.read() as session:
        return record_search.find_one(session, engine, id_, connection=connection, flow=flow)


def record_or_new(
    engine: Engine, id_: str, connection: str | None, flow: str | None, *, must_exist: bool = False
) -> Record:
    """The record that an id or a name means, created if there is none and `flow` is given: `id_` is the source's key then.

    must_exist: create it only if the source has the object. An id that names a known record only by its counterpart is
    looked up in the source too, as it may be the key of another object that has no record yet.

    Raises Misconfigured.
    """
    from syncengine.engine.people import manual  # loads what pushes; those who only look a record up do without

    with engine.store.read() as session:
        found = record_search.find(session, engine, id_, connection=connection, flow=flow)
    is_name = record_search.is_only_name(id_)
    if found or flow is None or is_name:
        chosen = record(engine, id_, connection, flow)
        if flow is not None and not is_name and not record_search.is_its_key(chosen, id_):
            _not_another(engine, chosen, id_)
        return chosen
    engine.flow(flow)
    places = engine.connections(flow, connection)
    if len(places) != 1:
        raise Misconfigured(f"which connection has {flow} {id_}? Use --connection; {_having(flow, places)}")
    key = record_search.source_key(engine, places[0].id, flow, id_)
    if must_exist:
        manual.must_exist(engine, places[0].id, flow, key)
    with engine.store.write() as session:
        return manual.get_or_create(session, engine, places[0].id, flow, key, clock.now())


def _not_another(engine: Engine, chosen: Record, id_: str) -> None:
    """Raises Misconfigured if the source has an object with this id, which is then not the chosen record's."""
    from syncengine.engine.people import manual

    side = record_search.side_of_key(engine, chosen)
    with engine.store.read() as session:
        is_id = bool(record_search.by_id(session, engine, id_, flow=chosen.flow))
    known = f"{'right' if side == 'left' else 'left'}:{id_}" if is_id else chosen.key
    remedy = f"Use {known} for {chosen.flow} {chosen.key}, or {side}:{id_} for the object of the {side} system"
    try:
        there = manual.is_there(engine, chosen.connection_id, chosen.flow, id_)
    except SyncError as error:
        raise Misconfigured(
            f"cannot check whether {id_} is also the key of another object ({error}). {remedy}"
        ) from None
    if there:
        raise Misconfigured(f"{id_} names two objects. {remedy}")


def connection_of(engine: Engine, flow: str, connection: str | None) -> int:
    """The id of the connection that has the flow. Raises Misconfigured if the flow is unknown, or more than one has it."""
    engine.flow(flow)
    found = engine.connections(flow, connection)
    if len(found) != 1:
        raise Misconfigured(f"which connection? Use --connection; {_having(flow, found)}")
    return found[0].id


def _having(flow: str, connections: Sequence[ConnectionRow]) -> str:
    return f"connections with the flow {flow}: {', '.join(each.name for each in connections) or 'none'}"


def is_unknown(session: Session, engine: Engine, name: str | None, connection: str | None, flow: str | None) -> bool:
    """Whether no record has this id or name; never if no name is given. Raises Misconfigured for an invalid id."""
    return name is not None and not record_search.find(session, engine, name, connection=connection, flow=flow)


def unknown_text(name: str | None) -> str:
    """What to say of a name that no record has."""
    return f"No record of {name}. `syncengine trace {name}` shows possible reasons."


def records(
    session: Session, engine: Engine, ids: tuple[str, ...], connection: str | None, flow: str | None
) -> list[int]:
    """The database id of the record that each id names. Raises Misconfigured."""
    return [record_search.find_one(session, engine, id_, connection=connection, flow=flow).id for id_ in ids]
