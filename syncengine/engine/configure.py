"""The installation's endpoints and connections, from `syncengine.yml` into the store; secrets into the vault.

`${NAME}` in a value is a variable of the environment or `.env`. Running it again is harmless: a secret is stored only
when the value given has changed, so that a token which was renewed since is not overwritten. What may not change once a
connection has written is in `continuity`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine import connectors
from syncengine.connectors import base as face
from syncengine.engine import bootstrap, continuity, observe
from syncengine.errors import Misconfigured
from syncengine.flows import Flow, check_connection
from syncengine.flows.flow import HIGHEST_CEILING
from syncengine.mapping.complaints import Place
from syncengine.mapping.shapes import nearest
from syncengine.mapping.yaml_lines import Table, read, shown
from syncengine.store import Store
from syncengine.store.dialect import changed, upsert
from syncengine.store.models import Connection, Endpoint, Lookup
from syncengine.vault import Vault

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
MODES = (observe.LIVE, observe.MODE)
CONNECTION_ENTRIES = (
    "left", "right", "mode", "cut_over", "verify_creates_until", "flows", "quiet_s", "settings", "lookups", "ceilings",
)  # fmt: skip


@dataclass(frozen=True)
class EndpointPlan:
    """One endpoint as the file says it."""

    name: str
    system: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    where: str


@dataclass(frozen=True)
class ConnectionPlan:
    """One connection as the file says it."""

    name: str
    left: str
    right: str
    mode: str
    cut_over: datetime | None
    verify_creates_until: datetime | None
    flows: list[str]
    quiet_s: float | None
    settings: Mapping[str, Any]
    lookups: Mapping[str, Mapping[str, str]]
    where: str
    ceilings: Mapping[str, int] = field(default_factory=dict)  # writes an hour, by flow


@dataclass(frozen=True)
class Installation:
    """All that a configuration file says."""

    endpoints: list[EndpointPlan]
    connections: list[ConnectionPlan]


def read_file(path: Path, env: Mapping[str, str]) -> Installation:
    """The file, checked for itself. Raises Misconfigured with file, line and remedy."""
    if not path.is_file():
        raise Misconfigured(
            f"{shown(path)} does not exist. Copy docs/syncengine.example.yml to it, or set SYNCENGINE_CONFIG"
        )
    table, _ = read(path)
    return _Reader(Place(shown(path)), env).read(table)


class _Reader:
    def __init__(self, place: Place, env: Mapping[str, str]) -> None:
        self.place, self.env = place, env

    def read(self, table: Table) -> Installation:
        self.place.only(table, ("endpoints", "connections"), "the configuration")
        endpoints = [self._endpoint(name, *one) for name, one in self._tables(table, "endpoints").items()]
        known = {endpoint.name for endpoint in endpoints}
        connections = [self._connection(name, *one, known) for name, one in self._tables(table, "connections").items()]
        return Installation(endpoints, connections)

    def _tables(self, table: Table, name: str) -> dict[str, tuple[Table, int]]:
        if name not in table:
            self.place.refuse(table.line, f"the configuration needs {name}:")
        outer = self.place.table(table[name], table.line_of(name), name)
        return {
            str(key): (self.place.table(one, outer.line_of(key), f"{name}.{key}"), outer.line_of(key))
            for key, one in outer.items()
        }

    def _endpoint(self, name: str, table: Table, line: int) -> EndpointPlan:
        self.place.only(table, ("system", "settings", "secrets"), f"endpoint {name}")
        system = self.place.word(table, "system", f"endpoint {name}")
        if system not in connectors.systems():
            known = connectors.systems()
            self.place.refuse(table.line_of("system"), f"there is no system {system!r}{nearest(system, known)}")
        secrets = self._values(table, "secrets", f"endpoint {name}")
        kept = {key: str(value) for key, value in secrets.items() if value not in (None, "")}
        settings = self._values(table, "settings", f"endpoint {name}")
        return EndpointPlan(name, system, settings, kept, f"{self.place.file}:{line}")

    def _connection(self, name: str, table: Table, line: int, endpoints: set[str]) -> ConnectionPlan:
        what = f"connection {name}"
        self.place.only(table, CONNECTION_ENTRIES, what)
        sides = [self.place.word(table, side, what) for side in ("left", "right")]
        for side, endpoint in zip(("left", "right"), sides, strict=True):
            if endpoint not in endpoints:
                self.place.refuse(
                    table.line_of(side), f"there is no endpoint {endpoint!r}{nearest(endpoint, endpoints)}"
                )
        return ConnectionPlan(
            name=name,
            left=sides[0],
            right=sides[1],
            mode=self.place.choice(table, "mode", MODES, observe.LIVE),
            cut_over=self._time(table, "cut_over"),
            verify_creates_until=self._time(table, "verify_creates_until"),
            flows=self.place.words(table.get("flows", []), table.line_of("flows"), "flows"),
            quiet_s=float(table["quiet_s"]) if "quiet_s" in table else None,
            settings=self._values(table, "settings", what),
            lookups=self._lookups(table, what),
            where=f"{self.place.file}:{line}",
            ceilings=self._ceilings(table, what),
        )

    def _lookups(self, table: Table, what: str) -> dict[str, dict[str, str]]:
        if "lookups" not in table:
            return {}
        given = self.place.table(table["lookups"], table.line_of("lookups"), f"lookups of {what}")
        return {str(name): self._lookup(str(name), content, given.line_of(name)) for name, content in given.items()}

    def _lookup(self, name: str, content: Any, line: int) -> dict[str, str]:
        entries = self.place.table(content, line, f"lookup {name}")
        for key, value in entries.items():
            if value is None or isinstance(value, bool | list | dict):
                has = "no value" if value is None else json.dumps(value, default=str)
                self.place.refuse(
                    entries.line_of(key),
                    f"lookup {name}: {key!r} has {has} where a text or a number is wanted. Write KEY: VALUE, as 1: GBP",
                )
        return {str(key): str(self._plain(value, entries.line_of(key))) for key, value in entries.items()}

    def _ceilings(self, table: Table, what: str) -> dict[str, int]:
        if "ceilings" not in table:
            return {}
        given = self.place.table(table["ceilings"], table.line_of("ceilings"), f"ceilings of {what}")
        figures = {name: self.place.whole(given, name, 1, HIGHEST_CEILING) for name in given}
        return {name: figure for name, figure in figures.items() if figure is not None}

    def _time(self, table: Table, name: str) -> datetime | None:
        value = self._plain(table.get(name), table.line_of(name))
        try:
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
        except ValueError:
            self.place.refuse(table.line_of(name), f"{name}: {value!r} is no time. Write 2026-01-31T00:00:00Z")
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if value is None:
            return None
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value
        return self.place.refuse(table.line_of(name), f"{name}: {value} has no time zone. Write 2026-01-31T00:00:00Z")

    def _values(self, table: Table, name: str, what: str) -> dict[str, Any]:
        if name not in table:
            return {}
        inner = self.place.table(table[name], table.line_of(name), f"{name} of {what}")
        return {str(key): self._plain(value, inner.line_of(key)) for key, value in inner.items()}

    def _plain(self, value: Any, line: int) -> Any:
        """The value without its lines, with variables filled in."""
        if isinstance(value, dict):
            return {str(key): self._plain(one, line) for key, one in value.items()}
        if isinstance(value, list):
            return [self._plain(one, line) for one in value]
        return _VARIABLE.sub(lambda found: self._variable(found[1], line), value) if isinstance(value, str) else value

    def _variable(self, name: str, line: int) -> str:
        if not self.env.get(name, "").strip():
            self.place.refuse(line, f"{name} is not set. Put it into .env or the environment")
        return self.env[name].strip()


def apply(
    store: Store,
    vault: Vault,
    flows: Mapping[str, Flow],
    installation: Installation,
    *,
    same_account: Collection[str] = (),
) -> list[str]:
    """Check the installation against systems, flows and what was written before, and store it. Nothing is stored if refused.

    same_account: endpoints (by name) whose address has changed while the account is the same. A connection that the file does
    not have is not synced any more: it has no flows from then on, keeps its links and history, and is synced again when the
    file has it. Returns the names of these connections. Raises Misconfigured, Transient.
    """
    for connection in installation.connections:
        _check_flows(installation, connection, flows)
    for endpoint in installation.endpoints:
        _check_settings(store, vault, endpoint)
    secrets = {one.name: _new_secrets(store, vault, one) for one in installation.endpoints}
    with store.write() as session:
        fresh = continuity.check_accounts(session, installation.endpoints, same_account)
        ids = {one.name: _save_endpoint(session, one) for one in installation.endpoints}
        _check_names(session, installation, ids)
        for connection in installation.connections:
            saved = _save_connection(session, connection, ids)
            continuity.check_entities(session, saved, connection.flows, flows, connection.where)
        for connection_id in sorted(fresh):
            continuity.start_over(session, connection_id)
        left_out = _leave_out(session, installation)
    for name, values in secrets.items():
        _save_secrets(vault, ids[name], values)
    _finish_going_live(store)
    return left_out


def _check_settings(store: Store, vault: Vault, plan: EndpointPlan) -> None:
    """Have the connector check them; no call is made, so the number of the endpoint does not matter."""
    endpoint = face.Endpoint(0, plan.name, plan.system, dict(plan.settings))
    try:
        connectors.connect(endpoint, bootstrap.services(store, vault, None)).close()
    except Misconfigured as error:
        raise Misconfigured(f"{plan.where}: {error}") from None


def _check_flows(installation: Installation, connection: ConnectionPlan, flows: Mapping[str, Flow]) -> None:
    systems = {one.name: one.system for one in installation.endpoints}
    both = {systems[connection.left], systems[connection.right]}
    for name in connection.flows:
        if name not in flows:
            raise Misconfigured(f"{connection.where}: there is no flow {name!r}{nearest(name, flows)}")
        for resource in (flows[name].source, flows[name].target):
            if resource.partition(".")[0] not in both:
                raise Misconfigured(
                    f"{connection.where}: the flow {name} needs an endpoint of {resource.partition('.')[0]}"
                )
        for needed in flows[name].needs.values():
            if needed not in connection.flows:
                raise Misconfigured(f"{connection.where}: the flow {name} needs the flow {needed}; add it to flows:")
    tables = sorted({table for name in connection.flows for table in flows[name].lookups})
    for name in connection.lookups:
        if name not in tables:
            raise Misconfigured(
                f"{connection.where}: lookups: none of its flows has a table {name!r}{nearest(name, tables)}"
            )
    for name in connection.ceilings:
        if name not in connection.flows:
            raise Misconfigured(
                f"{connection.where}: ceilings: it has no flow {name!r}{nearest(name, connection.flows)}"
            )
    check_connection([flows[name] for name in connection.flows], connection.settings, connection.where)


def _check_names(session: Session, installation: Installation, endpoints: Mapping[str, int]) -> None:
    """A connection under a new name knows nothing of what the old one has written. Raises Misconfigured if one is renamed."""
    columns = (Connection.name, Connection.left_id, Connection.right_id)
    stored = {one.name: one for one in session.execute(select(*columns).order_by(Connection.name))}
    names = {one.id: one.name for one in session.execute(select(Endpoint.id, Endpoint.name))}
    listed = {one.name for one in installation.connections}
    ends = continuity.same_ends(session)
    for one in installation.connections:
        both = {ends[endpoints[one.left]], ends[endpoints[one.right]]}
        former = [
            it for it in stored.values() if it.name not in listed and {ends[it.left_id], ends[it.right_id]} == both
        ]
        if one.name not in stored and former:
            left, right = names[former[0].left_id], names[former[0].right_id]
            raise Misconfigured(
                f"{one.where}: {left} and {right} are joined by the connection {former[0].name}, which the file no longer has. "
                f"Under another name everything it has written would be created a second time. Call it {former[0].name}, "
                f"with left: {left} and right: {right}"
            )


def _save_endpoint(session: Session, plan: EndpointPlan) -> int:
    row = {"name": plan.name, "system": plan.system, "settings": dict(plan.settings)}
    upsert(session, Endpoint, [row], keys=("name",), update=("system", "settings"))
    return session.scalars(select(Endpoint.id).where(Endpoint.name == plan.name)).one()


def _save_connection(session: Session, plan: ConnectionPlan, endpoints: Mapping[str, int]) -> int:
    is_fresh = continuity.check_sides(session, plan, endpoints)
    former = session.scalar(select(Connection.mode).where(Connection.name == plan.name))
    goes_live = plan.mode == observe.LIVE and former in (observe.MODE, observe.GOING_LIVE)
    row = {
        "name": plan.name,
        "left_id": endpoints[plan.left],
        "right_id": endpoints[plan.right],
        "mode": observe.GOING_LIVE if goes_live else plan.mode,
        "cut_over": plan.cut_over,
        "verify_creates_until": plan.verify_creates_until,
        "flows": list(plan.flows),
        "settings": dict(plan.settings),
        "quiet_s": plan.quiet_s,
        "ceilings": dict(plan.ceilings),
    }
    upsert(session, Connection, [row], keys=("name",), update=[name for name in row if name != "name"])
    connection_id = session.scalars(select(Connection.id).where(Connection.name == plan.name)).one()
    if is_fresh:
        continuity.start_over(session, connection_id)
    entries = [
        {"connection_id": connection_id, "name": name, "key": key, "value": value}
        for name, table in plan.lookups.items()
        for key, value in table.items()
    ]
    upsert(session, Lookup, entries, keys=("connection_id", "name", "key"), update=("value",))
    return connection_id


def _leave_out(session: Session, installation: Installation) -> list[str]:
    """Stop syncing the connections that the file does not have; their names."""
    listed = {one.name for one in installation.connections}
    found = [one for one in session.scalars(select(Connection.name).order_by(Connection.name)) if one not in listed]
    changed(session, update(Connection).where(Connection.name.in_(found)).values(flows=[]))
    return found


def _finish_going_live(store: Store) -> None:
    with store.read() as session:
        going = session.scalars(select(Connection.id).where(Connection.mode == observe.GOING_LIVE)).all()
    for connection_id in going:
        observe.go_live(store, connection_id)


def _new_secrets(store: Store, vault: Vault, plan: EndpointPlan) -> dict[str, str]:
    """The secrets whose given value was not taken over before. Raises Misconfigured if the vault has another key."""
    with store.read() as session:
        endpoint_id = session.scalar(select(Endpoint.id).where(Endpoint.name == plan.name))
    if endpoint_id is None:
        return dict(plan.secrets)
    return {
        name: value for name, value in plan.secrets.items() if vault.read(endpoint_id, f"given {name}") != _print(value)
    }


def _save_secrets(vault: Vault, endpoint_id: int, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        vault.write(endpoint_id, name, value)
        vault.write(endpoint_id, f"given {name}", _print(value))


def _print(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
