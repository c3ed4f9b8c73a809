"""The lookup tables of a connection: the flow's file, with the connection's own entries before it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.flows.flow import Flow
from syncengine.store.models import Connection, Lookup


def lookups_of(session: Session, connection: Connection, flow: Flow) -> dict[str, dict[str, str]]:
    """The tables of a flow's file, with the connection's own entries before them."""
    tables = {name: dict(entries) for name, entries in flow.lookups.items()}
    for name, key, value in session.execute(
        select(Lookup.name, Lookup.key, Lookup.value).where(Lookup.connection_id == connection.id)
    ):
        tables.setdefault(name, {})[key] = value
    return tables
