"""The installation's file into the store, and its secrets into the vault: all of it in one transaction, or nothing.

`look` says what would change and what follows from it, `apply` does it. Running it again is harmless: a secret is stored
only when the value given has changed, so that a token which was renewed since is not overwritten. What may not change once
a connection has written is in `continuity`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from syncengine import clock, connectors
from syncengine.connectors import base as face
from syncengine.engine.core import lookups, observe_mode, timeline
from syncengine.engine.setup import bootstrap, continuity, difference
from syncengine.engine.setup.difference import GIVEN, Difference, Picture
from syncengine.engine.setup.installation import ConnectionPlan, EndpointPlan, Installation, read_file
from syncengine.errors import Misconfigured
from syncengine.flows import Flow, check_connection
from syncengine.mapping.shapes import nearest
from syncengine.store import Store
from syncengine.store.dialect import changed, lock_names, upsert
from syncengine.store.models import Ceiling, ConnectionRow, Endpoint, Installed, Secret
from syncengine.vault import Vault

__all__ = ["ConnectionPlan", "EndpointPlan", "Given", "Installation", "apply", "compare", "read_file"]

EVENT = "configured"


@dataclass(frozen=True)
class Given:
    """What a person says besides the file.

    same_account: endpoints (by name) whose address has changed while the account is the same. flows_folder: absolute path of
    the site's own flows, empty if there are none; None leaves what is stored. call_s: the longest call that workers allow an
    endpoint, None for any. by: who it is.
    """

    same_account: Collection[str] = ()
    flows_folder: str | None = None
    call_s: float | None = None
    by: str = ""


def compare(
    store: Store, vault: Vault, flows: Mapping[str, Flow], installation: Installation, given: Given
) -> Difference:
    """What taking the installation over would change, with all checks; changes nothing. Raises Misconfigured, Transient."""
    _check(store, vault, flows, installation, given)
    with store.write() as session:  # taken over, compared, and rolled back: so it cannot differ from what `apply` does
        found = _compared(session, _take_over(session, vault, flows, installation, given), flows, installation)
        session.rollback()
    return found


def apply(
    store: Store,
    vault: Vault,
    flows: Mapping[str, Flow],
    installation: Installation,
    given: Given | None = None,
    *,
    seen: Difference | None = None,
) -> Difference:
    """Check the installation against systems, flows and what was written before, and store it; returns what has changed.

    Nothing is stored if anything is refused, or if `seen`, which a person has agreed to, is not what would change now. A
    connection that the file does not have is not synced any more: it has no flows from then on, keeps its links and history,
    and is synced again when the file has it. Raises Misconfigured, Transient.
    """
    given = given or Given()
    _check(store, vault, flows, installation, given)
    now = clock.now()
    with store.write() as session:
        taken = _take_over(session, vault, flows, installation, given)
        found = _compared(session, taken, flows, installation)
        if seen is not None and seen.changes != found.changes:
            raise Misconfigured(
                "what is stored has changed since the changes were shown. Nothing was applied",
                "Run `syncengine configure` again",
            )
        _look_back(session, taken, installation, flows, now)
        if found:
            timeline.note_installation(session, EVENT, now, by=given.by, **found.told())
    _finish_going_live(store)
    return found


@dataclass(frozen=True)
class _Taken:
    """before: what the store held. ids: of the file's connections, by name. fresh: ids of those whose feeds begin again."""

    before: Picture
    ids: Mapping[str, int]
    fresh: Collection[int]


def _compared(session: Session, taken: _Taken, flows: Mapping[str, Flow], installation: Installation) -> Difference:
    before, after = taken.before, difference.picture(session)
    changes = difference.compare(before, after)
    of_date = {name for name, flow in flows.items() if flow.cut_over}
    told = difference.consequences(before, after, changes, of_date=of_date)
    told += [
        f"{name} has written nothing and reads another account now, so its feeds are read from the beginning"
        for name, one in after.connections.items()
        if one.id in taken.fresh
    ]
    listed = {one.name for one in installation.connections}
    not_synced = tuple(name for name in sorted(after.connections) if name not in listed)
    only_flows = not before.knows_flows and all(change.where == "flows" for change in changes)
    return Difference(changes, tuple(told), is_first=not before.connections or only_flows, not_synced=not_synced)


def _take_over(
    session: Session, vault: Vault, flows: Mapping[str, Flow], installation: Installation, given: Given
) -> _Taken:
    """Check against what the store holds, and store. Raises Misconfigured."""
    lock_names(session, [lookups.CONFIGURE])
    before = difference.picture(session)
    fresh = continuity.check_accounts(session, installation.endpoints, given.same_account)
    endpoints = {one.name: _save_endpoint(session, one) for one in installation.endpoints}
    _check_names(session, installation, endpoints)
    _check_shared(session, installation, endpoints, flows)
    ids = {one.name: _save_connection(session, one, endpoints, flows, fresh) for one in installation.connections}
    for connection_id in sorted(fresh):
        continuity.start_over(session, connection_id)
    _leave_out(session, installation)
    _save_secrets(session, vault, installation)
    if given.flows_folder is not None:
        own = {name: flow.version for name, flow in flows.items() if flow.is_own}
        row = {"id": 1, "flows_folder": given.flows_folder, "own_flows": own}
        upsert(session, Installed, [row], keys=("id",), update=("flows_folder", "own_flows"))
    session.flush()
    return _Taken(before, ids, fresh)


# -- checks ------------------------------------------------------------------------------------------------------------


def _check(store: Store, vault: Vault, flows: Mapping[str, Flow], installation: Installation, given: Given) -> None:
    """What can be told without what the store holds. Raises Misconfigured."""
    for connection in installation.connections:
        _check_flows(installation, connection, flows)
    for endpoint in installation.endpoints:
        _check_settings(store, vault, endpoint, given.call_s)


def _check_settings(store: Store, vault: Vault, plan: EndpointPlan, call_s: float | None) -> None:
    """Have the connector check them; no call is made, so the number of the endpoint does not matter."""
    endpoint = face.Endpoint(0, plan.name, plan.system, dict(plan.settings))
    try:
        connector = connectors.connect(endpoint, bootstrap.services(store, vault, None))
    except Misconfigured as error:
        raise Misconfigured(f"{plan.where}: {error}") from None
    connector.close()
    if call_s is not None and connector.longest_call_s > call_s:
        raise Misconfigured(
            f"{plan.where}: endpoint {plan.name}: a call may take {connector.longest_call_s:g} s, and SYNCENGINE_CALL_S "
            f"is {call_s:g}",
            "Shorten the endpoint's time-outs, or raise SYNCENGINE_CALL_S and the lease",
        )


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
    for one, other in combinations((flows[name] for name in connection.flows), 2):
        if _between(one) and _between(one) == _between(other) and one.entity != other.entity:
            raise Misconfigured(
                f"{connection.where}: the flows {one.name} and {other.name} both bring {one.source} to {one.target}, under "
                f"the entities {one.entity} and {other.entity}: everything would be created twice",
                "Give both one `entity:`",
            )
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
    columns = (ConnectionRow.name, ConnectionRow.left_id, ConnectionRow.right_id)
    stored = {one.name: one for one in session.execute(select(*columns).order_by(ConnectionRow.name))}
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
                f"{one.where}: {left} and {right} are joined by the connection {former[0].name}, which the file no longer "
                "has. Under another name everything it has written would be created a second time",
                f"Call it {former[0].name}, with left: {left} and right: {right}",
            )


def _check_shared(
    session: Session, installation: Installation, endpoints: Mapping[str, int], flows: Mapping[str, Flow]
) -> None:
    """Two connections that join the same two accounts would each create what both bring. Raises Misconfigured.

    Also where the one has brought it until now and the other would from here on, since links belong to a connection.
    """
    ends = continuity.same_ends(session)
    both = {one.name: {ends[endpoints[one.left]], ends[endpoints[one.right]]} for one in installation.connections}
    for one, other in combinations(installation.connections, 2):
        shared = sorted(
            {_between(flows[name]) for name in one.flows} & {_between(flows[name]) for name in other.flows} - {()}
        )
        if both[one.name] == both[other.name] and shared:
            raise Misconfigured(
                f"{other.where}: connection {other.name} joins the same two accounts as {one.name}, and both have a flow from "
                f"{shared[0][0]} to {shared[0][1]}: everything would be created twice",
                "Leave it in the one that has written it",
            )
    stored = session.execute(
        select(ConnectionRow.id, ConnectionRow.name, ConnectionRow.left_id, ConnectionRow.right_id)
    ).all()
    for one in installation.connections:
        mine = next((row.id for row in stored if row.name == one.name), 0)
        for row in stored:
            if row.name == one.name or {ends[row.left_id], ends[row.right_id]} != both[one.name]:
                continue
            for flow in (flows[name] for name in one.flows if not flows[name].write_back):
                if continuity.has_brought(session, row.id, flow) and not continuity.has_brought(session, mine, flow):
                    raise Misconfigured(
                        f"{one.where}: connection {one.name} joins the same two accounts as {row.name}, which has written "
                        f"{flow.entity}: {flow.name} would create all of it a second time",
                        f"Leave it in {row.name}",
                    )


def _between(flow: Flow) -> tuple[str, ...]:
    """The resources between which a flow creates objects; nothing for one that creates none."""
    return () if flow.write_back else tuple(sorted((flow.source, flow.target)))


def _check_cut_over(plan: ConnectionPlan, before: datetime | None) -> None:
    if before is not None and plan.cut_over is None:
        raise Misconfigured(
            f"{plan.where}: connection {plan.name} has the cut-over date {difference.shown_time(before)}, and the file "
            "has none: every older order that is touched would be created",
            "Restore cut_over:, or write an earlier date",
        )


# -- into the store ----------------------------------------------------------------------------------------------------


def _save_endpoint(session: Session, plan: EndpointPlan) -> int:
    row = {"name": plan.name, "system": plan.system, "settings": dict(plan.settings)}
    upsert(session, Endpoint, [row], keys=("name",), update=("system", "settings"))
    return session.scalars(select(Endpoint.id).where(Endpoint.name == plan.name)).one()


def _save_connection(
    session: Session, plan: ConnectionPlan, endpoints: Mapping[str, int], flows: Mapping[str, Flow], fresh: set[int]
) -> int:
    """The connection's id, which is put into `fresh` if it joins other endpoints than before, and has written nothing."""
    is_fresh = continuity.check_sides(session, plan, endpoints)
    stored = select(ConnectionRow.mode, ConnectionRow.cut_over, ConnectionRow.flows, ConnectionRow.entities)
    former = session.execute(stored.where(ConnectionRow.name == plan.name)).first()
    goes_live = (
        plan.mode == observe_mode.LIVE
        and former is not None
        and former.mode in (observe_mode.MODE, observe_mode.GOING_LIVE)
    )
    if former is not None:
        _check_cut_over(plan, former.cut_over)
    row = {
        "name": plan.name,
        "left_id": endpoints[plan.left],
        "right_id": endpoints[plan.right],
        "mode": observe_mode.GOING_LIVE if goes_live else plan.mode,
        "cut_over": plan.cut_over,
        "verify_creates_until": plan.verify_creates_until,
        "flows": list(plan.flows),
        "settings": dict(plan.settings),
        "quiet_s": plan.quiet_s,
        "ceilings": dict(plan.ceilings),
    }
    upsert(session, ConnectionRow, [row], keys=("name",), update=[name for name in row if name != "name"])
    connection_id = session.scalars(select(ConnectionRow.id).where(ConnectionRow.name == plan.name)).one()
    continuity.check_entities(session, connection_id, plan.flows, flows, plan.where)
    if former is not None:
        more = [flows[name] for name in plan.flows if name not in former.flows]
        _keep_shut(session, connection_id, more, former.entities, plan.flows)
    continuity.keep_entities(session, connection_id, plan.flows, flows)
    if is_fresh:
        fresh.add(connection_id)
    lookups.take_over(session, connection_id, plan.lookups)
    return connection_id


def _keep_shut(
    session: Session, connection_id: int, more: Sequence[Flow], had: Mapping[str, Any], names: Collection[str]
) -> None:
    """A flow that is renamed while its write ceiling is reached stays shut under its new name.

    more: flows that the connection did not have until now; had: `connection.entities`; names: all that it has now.
    """
    rows = {row.flow: row for row in session.scalars(select(Ceiling).where(Ceiling.connection_id == connection_id))}
    shut = [row for row in rows.values() if row.shut_at is not None and row.flow not in names]
    for flow in more:
        for former in shut:
            if had.get(former.flow) == continuity.identity(flow):
                row = rows.get(flow.name) or Ceiling(connection_id=connection_id, flow=flow.name)
                row.shut_at, row.shut_because = former.shut_at, former.shut_because
                session.add(row)


def _leave_out(session: Session, installation: Installation) -> None:
    """Stop syncing the connections that the file does not have."""
    listed = [one.name for one in installation.connections]
    changed(session, update(ConnectionRow).where(ConnectionRow.name.not_in(listed)).values(flows=[]))


def _look_back(
    session: Session, taken: _Taken, installation: Installation, flows: Mapping[str, Flow], now: datetime
) -> None:
    """Where the cut-over date is earlier than before, want what was too old for the one before.

    Of a flow that the connection has again nobody knows which date it has heeded last, so it is read from the date on.
    """
    for plan in installation.connections:
        was = taken.before.connections.get(plan.name)
        if was is None or plan.cut_over is None:
            continue
        is_earlier = was.cut_over is not None and plan.cut_over < was.cut_over
        dated = [name for name in plan.flows if flows[name].cut_over and (is_earlier or name not in was.flows)]
        observe_mode.reconsider_too_old(session, taken.ids[plan.name], dated, now)


def _finish_going_live(store: Store) -> None:
    with store.read() as session:
        going = session.scalars(select(ConnectionRow.id).where(ConnectionRow.mode == observe_mode.GOING_LIVE)).all()
    for connection_id in going:
        observe_mode.go_live(store, connection_id)


# -- secrets -----------------------------------------------------------------------------------------------------------


def _save_secrets(session: Session, vault: Vault, installation: Installation) -> None:
    """Store those whose given value has changed, and delete those that the file has no more.

    What was not given by the file (tokens that a system has granted) stays. Raises Misconfigured if the vault has another key.
    """
    given = {one.name: one.secrets for one in installation.endpoints}
    for endpoint in session.execute(select(Endpoint.id, Endpoint.name)).all():
        wanted = given.get(endpoint.name, {})
        stored = {
            row.name: row for row in session.scalars(select(Secret).where(Secret.endpoint_id == endpoint.id)).all()
        }
        for name, value in wanted.items():
            mark = stored.get(f"{GIVEN}{name}")
            if mark is None or vault.open(mark.value).decode() != _print(value):
                _put(session, vault, endpoint.id, stored, {name: value, f"{GIVEN}{name}": _print(value)})
        gone = [one for one in stored if one.startswith(GIVEN) and one.removeprefix(GIVEN) not in wanted]
        names = [*gone, *(one.removeprefix(GIVEN) for one in gone)]
        changed(session, delete(Secret).where(Secret.endpoint_id == endpoint.id, Secret.name.in_(names)))


def _put(
    session: Session, vault: Vault, endpoint_id: int, stored: Mapping[str, Secret], values: Mapping[str, str]
) -> None:
    """Their versions rise together, so that a value which is renewed later is known by its own."""
    rows = [stored.get(name) or Secret(endpoint_id=endpoint_id, name=name, version=0) for name in values]
    version = 1 + max(row.version for row in rows)
    for row in rows:
        row.value, row.version, row.updated_at = vault.seal(values[row.name].encode()), version, clock.now()
    session.add_all(rows)


def _print(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
