"""Objects as a person names them on the command line: any id of either system, narrowed where it names several."""

from __future__ import annotations

import click
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.cli._engine import Command
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import manual, record_search
from syncengine.errors import Misconfigured, SyncError
from syncengine.store.models import Record

because_option = click.option("--because", required=True, metavar="TEXT", help="Why, for those who see it later.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def narrowing(command: Command) -> Command:
    """The options `--connection` and `--flow`."""
    command = click.option("--flow", metavar="NAME", help="In this flow, where ID names records of several.")(command)
    return click.option("--connection", metavar="NAME", help="In this connection.")(command)


def record(one: Engine, id_: str, connection: str | None, flow: str | None) -> Record:
    """The record that an id names. Raises Misconfigured if there is none, or several."""
    with one.store.read() as session:
        return record_search.find_one(session, one, id_, connection=connection, flow=flow)


def record_or_new(
    one: Engine, id_: str, connection: str | None, flow: str | None, *, must_exist: bool = False
) -> Record:
    """As `record`; with a flow, an object that nothing is known of is taken as the source's key. Raises Misconfigured.

    must_exist: the source is asked for it first, and nothing is stored of one that it does not have. An id that names a known
    record by its counterpart alone is asked for in the source too: it may be the key of another object, not heard of yet.
    """
    with one.store.read() as session:
        found = record_search.find(session, one, id_, connection=connection, flow=flow)
    if found or flow is None:
        chosen = record(one, id_, connection, flow)
        if flow is not None and not record_search.is_its_key(chosen, id_):
            _not_another(one, chosen, id_)
        return chosen
    one.flow(flow)
    places = one.connections(flow, connection)
    if len(places) != 1:
        known = ", ".join(each.name for each in places) or "none"
        raise Misconfigured(f"which connection has {flow} {id_}? Say --connection; those that have the flow: {known}")
    key = record_search.source_key(one, places[0].id, flow, id_)
    if must_exist:
        manual.must_exist(one, places[0].id, flow, key)
    with one.store.write() as session:
        return manual.get_or_create(session, one, places[0].id, flow, key, clock.now())


def _not_another(one: Engine, chosen: Record, id_: str) -> None:
    """Raises Misconfigured if the source has an object of this id, which is then another one than the chosen record's."""
    side = record_search.side_of_key(one, chosen)
    other = "right" if side == "left" else "left"
    say = f"Say {other}:{id_} for {chosen.flow} {chosen.key}, or {side}:{id_} for what {side} has under it"
    try:
        there = manual.is_there(one, chosen.connection_id, chosen.flow, id_)
    except SyncError as error:
        raise Misconfigured(
            f"whether {id_} is the key of another object cannot be asked now ({error}). {say}"
        ) from None
    if there:
        raise Misconfigured(f"{id_} names two objects. {say}")


def connection_of(one: Engine, flow: str, connection: str | None) -> int:
    """The id of the connection that is meant. Raises Misconfigured if the flow is unknown, or several have it."""
    one.flow(flow)
    found = one.connections(flow, connection)
    if len(found) != 1:
        known = ", ".join(each.name for each in found) or "none"
        raise Misconfigured(f"which connection is meant? Say --connection; those that have the flow {flow}: {known}")
    return found[0].id


def records(session: Session, one: Engine, ids: tuple[str, ...], connection: str | None, flow: str | None) -> list[int]:
    """The numbers of the records that ids name, one each. Raises Misconfigured."""
    return [record_search.find_one(session, one, id_, connection=connection, flow=flow).id for id_ in ids]
