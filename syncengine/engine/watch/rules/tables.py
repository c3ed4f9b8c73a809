"""Rules about lookup tables: the system has other values than they declare."""

from __future__ import annotations

from sqlalchemy import select

from syncengine.alerts import Severity, Sign
from syncengine.engine.core import table_checks
from syncengine.engine.core.table_checks import TableCheck
from syncengine.engine.watch.rule import View
from syncengine.errors import Misconfigured
from syncengine.store.models import ConnectionRow

RULE = "table"
MOST_SHOWN = 5


def table_differs(view: View) -> list[Sign] | None:
    """A lookup table of a connection differs from what its system has; None if the checks cannot be opened."""
    try:
        checks = table_checks.every(view.engine, view.session)
    except Misconfigured:  # sealed with a key that this host lacks
        return None
    rows = {row.id: row for row in view.session.scalars(select(ConnectionRow))}
    return [
        _sign(rows[connection_id].name, table, check)
        for (connection_id, table), check in sorted(checks.items())
        if check.differences and connection_id in rows and table in _tables(view, rows[connection_id])
    ]


def _tables(view: View, row: ConnectionRow) -> set[str]:
    return {name for flow in row.flows if flow in view.engine.flows for name in view.engine.flows[flow].lookups}


def _sign(connection: str, table: str, check: TableCheck) -> Sign:
    shown, count = "; ".join(check.differences[:MOST_SHOWN]), len(check.differences)
    more = f"; and {count - MOST_SHOWN} more" if count > MOST_SHOWN else ""
    return Sign(
        RULE,
        f"{connection}: {table}",
        Severity.WARNING,
        f"{count} of the values of {table} in {connection} differ from the system's: {shown}{more}",
        f"Correct the entries of {table} in syncengine.yml and run `syncengine configure`, or correct the system. Give what "
        "changes on a day an entry of its own, KEY@2026-04-01. It is compared again within an hour",
        count,
    )
