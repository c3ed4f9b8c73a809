"""The lookup tables of a connection: its own entries take precedence over those in the flow file.

A connection's entries come from `syncengine.yml`, applied by `configure`, or from a person, by `syncengine lookups`. Change and
remove each entry where it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import timeline
from syncengine.engine.core.engine import Engine
from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.mapping.runtime import table_key
from syncengine.mapping.shapes import nearest
from syncengine.store.dialect import changed, lock_names, upsert
from syncengine.store.models import ConnectionRow, Lookup, is_text

FILE = "file"
PERSON = "person"
CONFIGURE = "configure"  # the lock for changing anything that `configure` compares with the file
LONGEST_NAME = 64
LONGEST_KEY = 255


def lookups_of(session: Session, connection: ConnectionRow, flow: Flow) -> dict[str, dict[str, str]]:
    """The tables of the flow file, overridden by the connection's own entries."""
    tables = {name: dict(entries) for name, entries in flow.lookups.items()}
    for name, key, value in session.execute(
        select(Lookup.name, Lookup.key, Lookup.value).where(Lookup.connection_id == connection.id)
    ):
        tables.setdefault(name, {})[table_key(key)] = value
    return tables


def take_over(session: Session, connection_id: int, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Make these the entries from the file. Entries that a person set are kept, unless the file now has the same key."""
    of_file = (Lookup.connection_id == connection_id, Lookup.origin == FILE)
    removed = [
        row.id
        for row in session.execute(select(Lookup.id, Lookup.name, Lookup.key).where(*of_file))
        if row.key not in tables.get(row.name, {})
    ]
    _delete(session, removed)
    entries = [
        {"connection_id": connection_id, "name": name, "key": key, "value": value, "origin": FILE}
        for name, table in tables.items()
        for key, value in table.items()
    ]
    upsert(session, Lookup, entries, keys=("connection_id", "name", "key"), update=("value", "origin"))


def _delete(session: Session, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), 500):
        changed(session, delete(Lookup).where(Lookup.id.in_(ids[start : start + 500])))


# -- people ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a connection. origin: `file` or `person`."""

    connection: str
    table: str
    key: str
    value: str
    origin: str


def listed(engine: Engine, connection: str | None = None, table: str | None = None) -> list[Entry]:
    """The connections' own entries, sorted. Raises Misconfigured for an unknown connection, Transient."""
    names = {row.id: row.name for row in engine.connections(name=connection)}
    query = select(Lookup).where(Lookup.connection_id.in_(names))
    if table is not None:
        query = query.where(Lookup.name == table)
    with engine.store.read() as session:
        rows = session.scalars(query).all()
    entries = [Entry(names[row.connection_id], row.name, row.key, row.value, row.origin) for row in rows]
    return sorted(entries, key=lambda entry: (entry.connection, entry.table, entry.key))


def put(engine: Engine, connection: str, table: str, key: str, value: str, *, by: str) -> Entry | None:
    """Set an entry for a person; returns the entry that it replaces. Records that wait for it continue automatically.

    Raises Misconfigured for an unknown connection or table, a key that cannot be stored, and an entry from the file.
    """
    [row], key = engine.connections(name=connection), table_key(key)
    tables = {name for flow in row.flows if flow in engine.flows for name in engine.flows[flow].lookups}
    if table not in tables:
        raise Misconfigured(f"no flow of the connection {connection} has a table {table!r}{nearest(table, tables)}")
    if not 0 < len(key) <= LONGEST_KEY or not is_text(key):
        raise Misconfigured(f"a key must have 1 to {LONGEST_KEY} characters, not {key[:80]!r}")
    now, entry = clock.now(), {"connection_id": row.id, "name": table, "key": key, "value": value, "origin": PERSON}
    with engine.store.write() as session:
        lock_names(session, [CONFIGURE])
        before = _entry(session, row, table, key)
        if before is not None and before.origin == FILE:
            raise Misconfigured(f"{table} {key!r} comes from the configuration file: {_remedy(before)}")
        upsert(session, Lookup, [entry], keys=("connection_id", "name", "key"), update=("value", "origin"))
        detail = {"by": by, "table": table, "entry": key, "value": value, "before": before.value if before else None}
        timeline.note_flow(session, row.id, "", "lookup set", now, **detail)
    return before


def remove(engine: Engine, entries: Sequence[Entry], *, by: str) -> None:
    """Remove entries that a person has seen; all of them or none.

    Raises Misconfigured if an entry has changed since, or comes from the file.
    """
    ids = {row.name: row.id for row in engine.connections()}
    with engine.store.write() as session:
        lock_names(session, [CONFIGURE])
        for entry in entries:
            if entry.origin == FILE:
                raise Misconfigured(f"{entry.table} {entry.key!r} comes from the configuration file: {_remedy(entry)}")
            mine = (Lookup.connection_id == ids[entry.connection], Lookup.name == entry.table, Lookup.key == entry.key)
            as_seen = (Lookup.value == entry.value, Lookup.origin == entry.origin)
            if not changed(session, delete(Lookup).where(*mine, *as_seen)):
                raise Misconfigured(
                    f"{entry.table} {entry.key!r} has changed since it was shown", "Run the command again"
                )
            detail = {"by": by, "table": entry.table, "entry": entry.key, "before": entry.value}
            timeline.note_flow(session, ids[entry.connection], "", "lookup removed", clock.now(), **detail)


def entry_of(engine: Engine, connection: str, table: str, key: str) -> Entry:
    """One entry of a connection. Raises Misconfigured if there is none with this key."""
    [row] = engine.connections(name=connection)
    with engine.store.read() as session:
        entry = _entry(session, row, table, table_key(key))
    if entry is None:
        raise Misconfigured(
            f"the connection {connection} has no entry {key!r} in {table}",
            "Run `syncengine lookups list` to see the entries",
        )
    return entry


def _entry(session: Session, connection: ConnectionRow, table: str, key: str) -> Entry | None:
    mine = (Lookup.connection_id == connection.id, Lookup.name == table, Lookup.key == key)
    row = session.scalars(select(Lookup).where(*mine)).first()
    return None if row is None else Entry(connection.name, table, row.key, row.value, row.origin)


def _remedy(entry: Entry) -> str:
    return f"change `lookups:` of {entry.connection} in that file, then run `syncengine configure`"
