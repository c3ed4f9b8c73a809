"""Holds lookup tables against the system that knows better, once a day: tax rates, which the system changes by itself.

A connector names the tables that it can compare (`compared_tables`) and makes the calls. The result is kept for the watcher,
which raises an alert, and for `syncengine check` and `syncengine doctor`. Changed entries are compared at the next run of the
task, unless the system cannot be asked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncengine import clock
from syncengine.connectors.base import Connector, TableComparison
from syncengine.document import fingerprint
from syncengine.engine.core import table_checks
from syncengine.engine.core.call_context import on_account_of
from syncengine.engine.core.engine import Connection, Engine, calling
from syncengine.engine.core.lookups import lookups_of
from syncengine.engine.core.table_checks import TableCheck
from syncengine.engine.traffic import endpoints
from syncengine.errors import DatabaseAway, Misconfigured, SyncError
from syncengine.mapping.dated import in_force
from syncengine.mapping.runtime import Unfit
from syncengine.store.lock import Lock
from syncengine.store.models import ConnectionRow
from syncengine.store.states import Lane

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
LOCK = "table-checks"
LEASE_S = 600.0
"""How long a run that was killed blocks the next one."""


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """A table of a flow of a connection that one of its systems can compare. side: the system's, `left` or `right`."""

    row: ConnectionRow
    connection: Connection
    flow: str
    side: str
    name: str

    @property
    def connector(self) -> Connector:
        """The connector that compares it."""
        return self.connection.connectors[self.side]


def compared(engine: Engine, row: ConnectionRow) -> Iterator[ComparedTable]:
    """The tables of a connection that are compared, each of them once. Raises Misconfigured, Transient."""
    connection = engine.connection(row.id)
    for side, connector in connection.connectors.items():
        for name in connector.compared_tables:
            flow = next(
                (flow for flow in row.flows if flow in engine.flows and name in engine.flows[flow].lookups), None
            )
            if flow is not None:
                yield ComparedTable(row, connection, flow, side, name)


def entries_of(engine: Engine, table: ComparedTable) -> dict[str, str]:
    """All entries of a table of a connection, those of the flow's file included. Raises Transient."""
    with engine.store.read() as session:
        return lookups_of(session, table.row, engine.flow(table.flow)).get(table.name, {})


def run(engine: Engine) -> str:
    """Compare the tables that are due, unless another process does; returns a line for people. Raises Transient.

    An endpoint that is down or paused is asked by a later run.
    """
    counts = {"compared": 0, "postponed": 0}
    with Lock(engine.store, LOCK, LEASE_S).tried() as is_ours:
        if not is_ours:
            return "another process compares tables"
        resting = endpoints.at_rest(engine)
        for row in engine.connections():
            if row.id in resting or engine.is_ending():
                continue
            for table in _tables(engine, row):
                try:
                    counts["compared"] += _compare(engine, table)
                except DatabaseAway:
                    raise
                except SyncError as error:
                    log.warning("%s of %s is compared later: %s", table.name, row.name, error)
                    counts["postponed"] += 1
    return f"{counts['compared']} compared, {counts['postponed']} postponed"


def _tables(engine: Engine, row: ConnectionRow) -> list[ComparedTable]:
    try:
        return list(compared(engine, row))
    except Misconfigured as error:
        log.warning("tables of %s are not compared: %s", row.name, error)
        return []


def _compare(engine: Engine, table: ComparedTable) -> bool:
    """Compare a table that is due, and keep the result; returns whether the system was asked."""
    now = clock.now()
    entries = entries_of(engine, table)
    with engine.store.read() as session:
        before = table_checks.last(engine, session, table.row.id, table.name)
    print_ = fingerprint([dict(sorted(entries.items())), _declared(entries, now)])
    if not _is_due(before, print_, now) or (before is None and not entries):
        return False
    declared = _declared(entries, now)
    if isinstance(declared, str):
        check = TableCheck(now.isoformat(), print_, differences=[declared])
    elif not declared:
        check = TableCheck(now.isoformat(), print_)
    else:
        check = TableCheck.of(_asked(engine, table, declared, now), print_, now)
    with engine.store.write() as session:
        table_checks.keep(engine, session, table.row.id, table.name, check)
    return bool(declared) and not isinstance(declared, str)


def _declared(entries: Mapping[str, str], now: datetime) -> dict[str, str] | str:
    """The entries that hold today, or why they cannot be read."""
    try:
        return in_force(entries, now.date())
    except Unfit as error:
        return f"{error.reason}. {error.remedy}"


def _is_due(before: TableCheck | None, entries: str, now: datetime) -> bool:
    """Daily; at once after a change, since that may resolve an alert, but not where the system cannot be asked."""
    if before is None or now - before.asked_at >= EVERY:
        return True
    return before.entries != entries and not before.unavailable


def _asked(engine: Engine, table: ComparedTable, declared: Mapping[str, str], now: datetime) -> TableComparison:
    settings = engine.route(table.row.id, table.flow).settings
    with on_account_of(engine, table.flow, Lane.BACKFILL), calling(table.connection.endpoints[table.side]):
        return table.connector.compare_table(table.name, declared, now.date(), settings)
