"""What the systems' own setup says about each connection's settings and tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from syncengine import clock
from syncengine.connectors.site import Basis, SiteFinding
from syncengine.engine.core import observe_mode, table_checks
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.core.lookups import lookups_of
from syncengine.engine.core.table_checks import TableCheck
from syncengine.engine.doctor.finding import Finding, misconfigured, ok, warn
from syncengine.engine.upkeep import tables
from syncengine.errors import DatabaseAway, Misconfigured, SyncError
from syncengine.flows.flow import Flow, Levels
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
        yield from _places(engine, connection, answered)


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


def _places(engine: Engine, connection: Connection, answered: Collection[str]) -> Iterator[Finding]:
    """Of flows that set levels: who posts movements, and which places of each system the flow's table maps. A call each."""
    for name in connection.row.flows:
        flow = engine.flows.get(name)
        if flow is None or flow.levels is None:
            continue
        yield from _gate(connection.row, flow, flow.levels)
        if not flow.levels.places:
            continue
        with engine.store.read() as session:
            entries = lookups_of(session, connection.row, flow).get(flow.levels.places, {})
        for side, used in zip(_sides(connection, flow), (set(entries), set(entries.values())), strict=True):
            if connection.endpoints[side].name in answered:
                yield from _mapped(connection, side, flow.levels, used)


def _gate(row: ConnectionRow, flow: Flow, levels: Levels) -> Iterator[Finding]:
    if not levels.posted:
        return
    part, by = f"{row.name} {levels.posted}", flow.settings_for(row.settings)[levels.posted]
    if by:
        yield ok(part, f"assumed: {by} posts what moves in the target to the source")
    elif row.mode == observe_mode.LIVE:
        remedy = f"Set settings.{levels.posted} of {row.name} in syncengine.yml to who posts it, and run `syncengine configure`"
        yield warn(part, f"{flow.name} holds every level: nobody is named who posts what moves in the target", remedy)


def _sides(connection: Connection, flow: Flow) -> tuple[str, str]:
    return connection.side(flow.source), connection.side(flow.target)


def _mapped(connection: Connection, side: str, levels: Levels, used: Collection[str]) -> Iterator[Finding]:
    """Whether the places that a table names exist, and which it leaves out, which may be meant."""
    name, part = connection.endpoints[side].name, f"{connection.row.name} {levels.places}"
    try:
        there = connection.connectors[side].listed(levels.lines)
    except DatabaseAway:
        raise
    except SyncError as error:
        yield warn(part, f"{name} cannot be read now: {error.says}", f"Try again once {name} answers")
        return
    if not there:
        return
    unknown = sorted(set(used) - set(there))
    left = [f"{key} ({text})" if text else key for key, text in sorted(there.items()) if key not in used]
    left_out = f"not mapped: {', '.join(left)}" if left else "all are mapped"
    if unknown:
        yield warn(part, f"{name} has no {levels.lines} {', '.join(unknown)}; {left_out}", TABLE_REMEDY)
    elif not used:
        yield warn(part, f"it maps nothing, so no level is set; {name} has {left_out}", TABLE_REMEDY)
    else:
        yield ok(part, f"confirmed: {name} has {', '.join(sorted(used))}; {left_out}")


def _table(part: str, check: TableCheck) -> Finding:
    ago = f"{clock.spell((clock.now() - check.asked_at).total_seconds())} ago"
    if check.differences:
        return warn(part, f"{'; '.join(check.differences)} (compared {ago})", TABLE_REMEDY)
    if check.unavailable:
        return ok(part, f"assumed: {check.unavailable}; asked {ago}, and again after a day")
    unconfirmed = "; ".join(f"{key}: {why}" for key, why in check.unconfirmed.items())
    confirmed = f"confirmed {ago}: {', '.join(check.confirmed)}" if check.confirmed else f"compared {ago}"
    return ok(part, f"{confirmed}; assumed: {unconfirmed}" if unconfirmed else confirmed)
