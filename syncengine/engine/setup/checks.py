"""Whether an installation can be stored: its flows, endpoints and names, by themselves and against what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import connectors
from syncengine.connectors import base as face
from syncengine.engine.core import observe_mode
from syncengine.engine.setup import bootstrap, continuity, difference
from syncengine.engine.setup.installation import ConnectionPlan, EndpointPlan, Installation
from syncengine.errors import Misconfigured
from syncengine.flows import BrokenFlow, Flow
from syncengine.flows.settings import check_connection
from syncengine.mapping.shapes import nearest
from syncengine.store import Store
from syncengine.store.models import ConnectionRow, Endpoint
from syncengine.vault import Vault


def check(
    store: Store,
    vault: Vault,
    flows: Mapping[str, Flow],
    installation: Installation,
    *,
    call_s: float | None,
    broken: Mapping[str, BrokenFlow] | None = None,
) -> dict[str, Mapping[str, str]]:
    """Check an installation by itself: its flows and tables exist and fit together, its settings are valid.

    call_s: the longest call in seconds that workers allow an endpoint, None for any. broken: flows that are disabled; what
    only they could declare is accepted. Returns the secrets that each endpoint needs, with remedies. Raises Misconfigured.
    """
    for connection in installation.connections:
        _check_flows(installation, connection, flows, broken or {})
        _check_entities(connection, flows)
        sound = sound_flows(connection, flows)
        is_complete = len(sound) == len(connection.flows)
        _check_entries(connection, sound, is_complete=is_complete)
        check_connection(sound, connection.settings, connection.at, is_complete=is_complete)
    return {endpoint.name: _check_settings(store, vault, endpoint, call_s) for endpoint in installation.endpoints}


def sound_flows(connection: ConnectionPlan, flows: Mapping[str, Flow]) -> list[Flow]:
    """The flows of a connection that are not disabled."""
    return [flows[name] for name in connection.flows if name in flows]


def gated(connection: ConnectionPlan, flows: Mapping[str, Flow]) -> list[str]:
    """The settings without which flows of a live connection hold all that they would write, with the remedy, a line each."""
    if connection.mode != observe_mode.LIVE:
        return []
    return [
        f"{connection.name}: {flow.name} holds every level that it would write: no flow posts what moves in the target to the "
        f"source, and settings.{flow.levels.posted} does not say who does. Review `syncengine observe report --connection "
        f"{connection.name} --flow {flow.name}`, then set it and run `syncengine configure`"
        for flow in sound_flows(connection, flows)
        if flow.levels and flow.levels.posted and not flow.settings_for(connection.settings)[flow.levels.posted]
    ]


def _check_settings(store: Store, vault: Vault, plan: EndpointPlan, call_s: float | None) -> Mapping[str, str]:
    """Have the connector check them; returns the secrets it needs. It makes no call, so the endpoint's id does not matter."""
    endpoint = face.Endpoint(0, plan.name, plan.system, dict(plan.settings))
    try:
        connector = connectors.connect(endpoint, bootstrap.services(store, vault, None))
    except Misconfigured as error:
        raise Misconfigured(f"{plan.at(f'settings.{error.setting}')}: {error.says}", error.remedy) from None
    connector.close()
    if call_s is not None and connector.longest_call_s > call_s:
        raise Misconfigured(
            f"{plan.where}: endpoint {plan.name}: a call may take {connector.longest_call_s:g} s, but SYNCENGINE_CALL_S "
            f"is {call_s:g}",
            "Shorten the endpoint's time-outs, or increase SYNCENGINE_CALL_S and the lease",
        )
    return connector.needed_secrets()


def _check_flows(
    installation: Installation, connection: ConnectionPlan, flows: Mapping[str, Flow], broken: Mapping[str, BrokenFlow]
) -> None:
    systems = {endpoint.name: endpoint.system for endpoint in installation.endpoints}
    both = {systems[connection.left], systems[connection.right]}
    for name in connection.flows:
        where = connection.at(f"flows.{name}")
        if name in broken:
            continue
        if name not in flows:
            raise Misconfigured(f"{where}: there is no flow {name!r}{nearest(name, flows)}")
        for resource in (flows[name].source, flows[name].target):
            if resource.partition(".")[0] not in both:
                system = resource.partition(".")[0]
                raise Misconfigured(
                    f"{where}: the flow {name} needs an endpoint of {system}",
                    f"Join an endpoint of {system}, or remove the flow",
                )
        for needed in flows[name].needs.values():
            if needed not in connection.flows:
                raise Misconfigured(f"{where}: the flow {name} needs the flow {needed}", "Add it to flows:")


def _check_entities(connection: ConnectionPlan, flows: Mapping[str, Flow]) -> None:
    for first, second in combinations(sound_flows(connection, flows), 2):
        if _between(first) and _between(first) == _between(second) and first.entity != second.entity:
            raise Misconfigured(
                f"{connection.at(f'flows.{second.name}')}: the flows {first.name} and {second.name} both sync {first.source} "
                f"to {first.target}, under the entities {first.entity} and {second.entity}: everything would be created twice",
                "Give both the same `entity:`",
            )


def _check_entries(connection: ConnectionPlan, sound: Sequence[Flow], *, is_complete: bool) -> None:
    tables = sorted({table for flow in sound for table in flow.lookups})
    for name in connection.lookups:
        if name not in tables and is_complete:
            where, hint = connection.at(f"lookups.{name}"), nearest(name, tables)
            raise Misconfigured(f"{where}: lookups: none of its flows has a table {name!r}{hint}")
    for name in connection.ceilings:
        if name not in connection.flows:
            where, hint = connection.at(f"ceilings.{name}"), nearest(name, connection.flows)
            raise Misconfigured(f"{where}: ceilings: it has no flow {name!r}{hint}")


# -- against what is stored --------------------------------------------------------------------------------------------


def check_names(session: Session, installation: Installation, endpoints: Mapping[str, int]) -> None:
    """Refuse a renamed connection: under its new name it would not find what it has written.

    endpoints: ids by name. Raises Misconfigured.
    """
    columns = (ConnectionRow.name, ConnectionRow.left_id, ConnectionRow.right_id)
    stored = {row.name: row for row in session.execute(select(*columns).order_by(ConnectionRow.name))}
    names = {row.id: row.name for row in session.execute(select(Endpoint.id, Endpoint.name))}
    listed = {connection.name for connection in installation.connections}
    ends = continuity.same_ends(session)
    for connection in installation.connections:
        both = {ends[endpoints[connection.left]], ends[endpoints[connection.right]]}
        former = [
            row for row in stored.values() if row.name not in listed and {ends[row.left_id], ends[row.right_id]} == both
        ]
        if connection.name not in stored and former:
            left, right = names[former[0].left_id], names[former[0].right_id]
            raise Misconfigured(
                f"{connection.where}: {left} and {right} are joined by the connection {former[0].name}, which is missing from "
                "the file. Under another name everything it has written would be created a second time",
                f"Name it {former[0].name}, with left: {left} and right: {right}",
            )


def check_shared(
    session: Session, installation: Installation, endpoints: Mapping[str, int], flows: Mapping[str, Flow]
) -> None:
    """Refuse two connections between the same two accounts that would each create the same objects.

    This includes objects that one has synced until now and the other would sync from now on, since links belong to a
    connection. endpoints: ids by name. Raises Misconfigured.
    """
    ends = continuity.same_ends(session)
    accounts = {
        connection.name: {ends[endpoints[connection.left]], ends[endpoints[connection.right]]}
        for connection in installation.connections
    }
    for first, second in combinations(installation.connections, 2):
        both = [{_between(flow) for flow in sound_flows(plan, flows)} for plan in (first, second)]
        shared = sorted((both[0] & both[1]) - {()})
        if accounts[first.name] == accounts[second.name] and shared:
            raise Misconfigured(
                f"{second.where}: connection {second.name} joins the same two accounts as {first.name}, and both have a flow "
                f"from {shared[0][0]} to {shared[0][1]}: everything would be created twice",
                "Keep the flow only in the connection that has written it",
            )
    columns = (ConnectionRow.id, ConnectionRow.name, ConnectionRow.left_id, ConnectionRow.right_id)
    stored = session.execute(select(*columns)).all()
    for connection in installation.connections:
        own_id = next((row.id for row in stored if row.name == connection.name), 0)
        for row in stored:
            if row.name != connection.name and {ends[row.left_id], ends[row.right_id]} == accounts[connection.name]:
                _check_moved(session, connection, own_id, row.id, row.name, flows)


def _check_moved(
    session: Session, connection: ConnectionPlan, own_id: int, other_id: int, other: str, flows: Mapping[str, Flow]
) -> None:
    """Refuse flows of a connection that another one between the same accounts has synced until now."""
    for flow in (flow for flow in sound_flows(connection, flows) if not flow.write_back):
        if continuity.has_brought(session, other_id, flow) and not continuity.has_brought(session, own_id, flow):
            raise Misconfigured(
                f"{connection.where}: connection {connection.name} joins the same two accounts as {other}, which has written "
                f"{flow.entity}: {flow.name} would create all of it a second time",
                f"Keep the flow in {other}",
            )


def _between(flow: Flow) -> tuple[str, ...]:
    """The resources between which a flow creates objects, sorted; empty if it creates none."""
    return () if flow.write_back else tuple(sorted((flow.source, flow.target)))


def check_cut_over(plan: ConnectionPlan, before: datetime | None) -> None:
    """Refuse to drop a cut-over date. before: the stored one (UTC), None if there was none. Raises Misconfigured."""
    if before is not None and plan.cut_over is None:
        raise Misconfigured(
            f"{plan.where}: connection {plan.name} has the cut-over date {difference.time_text(before)}, but the file "
            "has none: every older order that changes would be created",
            "Restore cut_over:, or write an earlier date",
        )
