"""What the systems' own setup says about each connection's settings and tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from syncengine import clock
from syncengine.connectors.site import Basis, SiteFinding
from syncengine.engine.core import table_checks
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.core.table_checks import TableCheck
from syncengine.engine.doctor.finding import Finding, misconfigured, ok, warn
from syncengine.engine.upkeep import tables
from syncengine.errors import DatabaseAway, Misconfigured, SyncError
from syncengine.store.models import ConnectionRow

TABLE_REMEDY = "Correct its entries in syncengine.yml and run `syncengine configure`, or correct the system"


def examine(engine: Engine, answered: Collection[str]) -> Iterator[Finding]:
    """Each setting and table that a system's setup speaks of: confirmed, assumed or contradicted. By few calls.

    answered: names of the endpoints that can be called; no other is. Raises Transient if the database is away.
    """
    for row in engine.connections():
        try:
            connection = engine.connection(row.id)
        except Misconfigured:  # reported as the connection
            continue
        for side, endpoint in connection.endpoints.items():
            if endpoint.name in answered:
                yield from _settings(engine, connection, side)
        yield from _tables(engine, row)


def _settings(engine: Engine, connection: Connection, side: str) -> Iterator[Finding]:
    name, endpoint = connection.row.name, connection.endpoints[side].name
    try:
        found = connection.connectors[side].site(_all_settings(engine, connection.row))
    except DatabaseAway:
        raise
    except Misconfigured as error:
        yield misconfigured(f"{name} settings", error)
    except SyncError as error:
        yield warn(
            f"{name} settings", f"{endpoint} cannot be read now: {error.says}", f"Try again once {endpoint} answers"
        )
    else:
        yield from (_finding(name, finding) for finding in found)


def _all_settings(engine: Engine, row: ConnectionRow) -> dict[str, Any]:
    """The settings of all flows of a connection, defaults included."""
    flows = [engine.flows[name] for name in row.flows if name in engine.flows]
    return {name: value for flow in flows for name, value in flow.settings_for(row.settings).items()}


def _finding(connection: str, finding: SiteFinding) -> Finding:
    part = f"{connection} {finding.setting}"
    if finding.basis is Basis.CONTRADICTED:
        return warn(part, finding.says, f"{finding.remedy}, then run `syncengine configure`")
    return ok(part, f"{finding.basis}: {finding.says}")


def _tables(engine: Engine, row: ConnectionRow) -> Iterator[Finding]:
    with engine.store.read() as session:
        checks = table_checks.every(engine, session)
    for table in tables.compared(engine, row):
        check, part = checks.get((row.id, table.name)), f"{row.name} {table.name}"
        if check is not None:
            yield _table(part, check)
        elif tables.entries_of(engine, table):
            yield ok(part, "assumed: not compared with the system yet, which workers do once a day")


def _table(part: str, check: TableCheck) -> Finding:
    ago = f"{clock.spell((clock.now() - check.asked_at).total_seconds())} ago"
    if check.differences:
        return warn(part, f"{'; '.join(check.differences)} (compared {ago})", TABLE_REMEDY)
    if check.unavailable:
        return ok(part, f"assumed: {check.unavailable}; asked {ago}, and again after a day")
    unconfirmed = "; ".join(f"{key}: {why}" for key, why in check.unconfirmed.items())
    confirmed = f"confirmed {ago}: {', '.join(check.confirmed)}" if check.confirmed else f"compared {ago}"
    return ok(part, f"{confirmed}; assumed: {unconfirmed}" if unconfirmed else confirmed)
