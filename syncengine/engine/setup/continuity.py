"""Whether a configuration still fits what was written under the former one: the meaning of links must never change silently.

A link says that a key of the left account and a key of the right one are the same object, for one entity of a connection.
With another account behind an endpoint it would name other objects; under another entity it would not be found, and
everything would be created a second time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Row, Select, delete, or_, select, update
from sqlalchemy.orm import Session

from syncengine import connectors
from syncengine.connectors import base as face
from syncengine.engine.core import records
from syncengine.errors import Misconfigured
from syncengine.flows import Flow
from syncengine.store.dialect import changed
from syncengine.store.models import ConnectionRow, Cursor, Effect, Endpoint, Link
from syncengine.store.states import EffectState

WRITTEN = (EffectState.DONE, EffectState.SENT, EffectState.UNKNOWN)
"""States of a write that took effect, or may have."""


class EndpointPlan(Protocol):
    """An endpoint as in the file. where: file and line."""

    @property
    def name(self) -> str:
        """Its name in the file."""

    @property
    def system(self) -> str:
        """Its system."""

    @property
    def settings(self) -> Mapping[str, object]:
        """Its settings, without secrets."""

    @property
    def where(self) -> str:
        """File and line."""


class ConnectionPlan(Protocol):
    """A connection as in the file. left, right: names of endpoints. where: file and line."""

    @property
    def name(self) -> str:
        """Its name in the file."""

    @property
    def left(self) -> str:
        """The name of its left endpoint."""

    @property
    def right(self) -> str:
        """The name of its right endpoint."""

    @property
    def where(self) -> str:
        """File and line."""


def has_written(session: Session, connection_id: int) -> bool:
    """True if the connection has links, or writes that took effect or may have."""
    return any(session.scalar(select(query.exists())) for query in _traces(connection_id, None))


def start_over(session: Session, connection_id: int) -> None:
    """Forget the feeds and versions of a connection that has written nothing and now reads another account."""
    session.execute(delete(Cursor).where(Cursor.connection_id == connection_id))
    session.execute(delete(Link).where(Link.connection_id == connection_id, Link.provisional))
    records.start_over(session, connection_id)


def _traces(connection_id: int, entity: str | None) -> list[Select[Any]]:
    """Queries for what a connection has written, of one entity or of all."""
    mine: list[ColumnElement[bool]] = [Link.connection_id == connection_id, Link.provisional.is_(False)]
    sent = [Effect.connection_id == connection_id, Effect.state.in_(WRITTEN)]
    if entity is not None:
        mine, sent = [*mine, Link.entity == entity], [*sent, Effect.entity == entity]
    return [select(Link.id).where(*mine), select(Effect.id).where(*sent)]


# -- accounts ----------------------------------------------------------------------------------------------------------


def check_accounts(session: Session, plans: Sequence[EndpointPlan], same_account: Collection[str]) -> set[int]:
    """Refuse endpoints that would reach another account than the one to which their connections have written.

    same_account: names of endpoints for which a person confirms that only the address has changed. Returns the ids of
    connections that have written nothing and read another account from now on. Raises Misconfigured.
    """
    columns = (Endpoint.id, Endpoint.name, Endpoint.system, Endpoint.settings)
    stored = {row.name: row for row in session.execute(select(*columns))}
    if unknown := sorted(set(same_account) - {plan.name for plan in plans}):
        raise Misconfigured(f"--same-account {unknown[0]}: the file has no endpoint with this name")
    fresh: set[int] = set()
    for plan in plans:
        row = stored.get(plan.name)
        change = _change(row, plan, moves=plan.name in same_account) if row is not None else None
        if row is None or change is None:
            continue
        for connection_id, name in _of_endpoint(session, row.id):
            if has_written(session, connection_id):
                raise Misconfigured(
                    f"{plan.where}: endpoint {plan.name}: {change[0]}, and the links of connection {name} name objects of the "
                    "former account",
                    f"{change[1]}. For another account, add a new endpoint and a new connection",
                )
            fresh.add(connection_id)
    return fresh


def _change(row: Row[Any], plan: EndpointPlan, *, moves: bool) -> tuple[str, str] | None:
    """Why the endpoint reaches another account than before, and a remedy; None if it is the same account."""
    if row.system != plan.system:
        return f"system changes from {row.system} to {plan.system}", f"Restore system: {row.system}"
    was = connectors.account_of(face.Endpoint(row.id, row.name, row.system, row.settings))
    now = connectors.account_of(face.Endpoint(row.id, row.name, plan.system, plan.settings))
    for name, value in now.parts.items():
        if value.casefold() != was.parts[name].casefold():
            return f"{name} changes from {was.parts[name]!r} to {value!r}", f"Restore {name} {was.parts[name]!r}"
    if was.address != now.address and not moves:
        remedy = f"If it is the same account at a new address, run `syncengine configure --same-account {plan.name}`"
        return f"its address changes from {was.address} to {now.address}", remedy
    return None


def _of_endpoint(session: Session, endpoint_id: int) -> list[tuple[int, str]]:
    its = or_(ConnectionRow.left_id == endpoint_id, ConnectionRow.right_id == endpoint_id)
    found = session.execute(select(ConnectionRow.id, ConnectionRow.name).where(its).order_by(ConnectionRow.id))
    return [(row.id, row.name) for row in found]


def check_sides(session: Session, plan: ConnectionPlan, endpoints: Mapping[str, int]) -> bool:
    """Refuse a connection whose links would be read on other endpoints, or with swapped sides.

    endpoints: ids by name. Returns True if it joins other endpoints than before and has written nothing. Raises Misconfigured.
    """
    columns = (ConnectionRow.id, ConnectionRow.left_id, ConnectionRow.right_id)
    row = session.execute(select(*columns).where(ConnectionRow.name == plan.name)).first()
    if row is None or (row.left_id, row.right_id) == (endpoints[plan.left], endpoints[plan.right]):
        return False
    if not has_written(session, row.id):
        return True
    names = {row.id: row.name for row in session.execute(select(Endpoint.id, Endpoint.name))}
    left, right = names[row.left_id], names[row.right_id]
    raise Misconfigured(
        f"{plan.where}: connection {plan.name} joins {left} (left) and {right} (right), and its links name objects "
        f"there; with {plan.left} (left) and {plan.right} (right) they would name others",
        f"Restore left: {left} and right: {right}, or add a connection with another name",
    )


def same_ends(session: Session) -> dict[int, object]:
    """By endpoint id, a value that is equal for endpoints that reach the same account at the same address."""
    columns = (Endpoint.id, Endpoint.name, Endpoint.system, Endpoint.settings)
    found: dict[int, object] = {}
    for row in session.execute(select(*columns)):
        found[row.id] = row.id
        if row.system in connectors.systems():
            account = connectors.account_of(face.Endpoint(row.id, row.name, row.system, row.settings))
            parts = tuple(sorted((name, value.casefold()) for name, value in account.parts.items()))
            found[row.id] = (row.system, parts, account.address)
    return found


# -- entities ----------------------------------------------------------------------------------------------------------


def check_installed(session: Session, flows: Mapping[str, Flow]) -> None:
    """Run `check_entities` for all stored connections, since flow files may change without a `configure`."""
    columns = (ConnectionRow.id, ConnectionRow.name, ConnectionRow.flows)
    for row in session.execute(select(*columns).order_by(ConnectionRow.id)):
        check_entities(session, row.id, row.flows, flows, f"connection {row.name}")


def check_entities(
    session: Session, connection_id: int, names: Sequence[str], flows: Mapping[str, Flow], where: str
) -> None:
    """Refuse a flow between two resources whose objects are linked under another entity: it would create all of them again.

    Such a flow was renamed, has a changed `entity:`, or was added beside another one. Each `configure` stores the entity of a
    flow. If it was configured before that was stored, a flow without links is refused if links of a former flow between the
    same resources are unused. names: the connection's flows; one whose file is missing keeps its links. where: for the
    error. Raises Misconfigured.
    """
    mine = [flows[name] for name in names if name in flows]
    _check_former(session, connection_id, mine, set(names) - set(flows), flows, where)
    for flow in mine:
        _check_kept(session, connection_id, flow, where)


def _check_former(
    session: Session, connection_id: int, mine: Sequence[Flow], missing: set[str], flows: Mapping[str, Flow], where: str
) -> None:
    bare = [flow for flow in mine if not _has_entity(session, connection_id, flow.entity)]
    if not bare:
        return
    used = {flow.entity for flow in mine} | missing
    for entity in sorted(_entities(session, connection_id) - used):
        for flow in bare:
            if _is_former(session, connection_id, entity, flow, flows):
                raise Misconfigured(
                    f"{where}: the flow {flow.name} (entity {flow.entity}) has no links yet, and no flow uses the links to "
                    f"{flow.target} of the entity {entity}",
                    f"If these are the same objects, it would create all of them a second time: write `entity: {entity}` into "
                    f"{flow.file or 'its file'}, or restore the former name",
                )


def identity(flow: Flow) -> list[str]:
    """What `connection.entities` stores about a flow: entity, source and target."""
    return [flow.entity, flow.source, flow.target]


def keep_entities(session: Session, connection_id: int, names: Sequence[str], flows: Mapping[str, Flow]) -> None:
    """Store the entity of each of the connection's flows, in addition to those of former flows."""
    had = session.scalar(select(ConnectionRow.entities).where(ConnectionRow.id == connection_id)) or {}
    kept = {**had, **{name: identity(flows[name]) for name in names if name in flows}}
    changed(session, update(ConnectionRow).where(ConnectionRow.id == connection_id).values(entities=kept))


def _check_kept(session: Session, connection_id: int, flow: Flow, where: str) -> None:
    """Refuse a changed entity, or for a new flow one that differs from those between its resources, while these have links."""
    kept = session.scalar(select(ConnectionRow.entities).where(ConnectionRow.id == connection_id)) or {}
    between = {name: entity for name, (entity, *ends) in kept.items() if ends == [flow.source, flow.target]}
    if flow.name in between:
        others = {between[flow.name]}
    else:
        others = set() if flow.entity in between.values() else set(between.values())
    for entity in sorted(others - {flow.entity}):
        if _has_entity(session, connection_id, entity):
            raise Misconfigured(
                f"{where}: the flow {flow.name} has the entity {flow.entity}, and objects of {flow.source} and {flow.target} "
                f"are linked as {entity}: it would create all of them a second time",
                f"Write `entity: {entity}` into {flow.file or 'its file'}",
            )


def has_brought(session: Session, connection_id: int, flow: Flow) -> bool:
    """Whether a connection has links of a flow's entity, or of a former entity between the same resources."""
    kept = session.scalar(select(ConnectionRow.entities).where(ConnectionRow.id == connection_id)) or {}
    between = {entity for entity, *ends in kept.values() if set(ends) == {flow.source, flow.target}}
    return any(_has_entity(session, connection_id, entity) for entity in {flow.entity, *between})


def _has_entity(session: Session, connection_id: int, entity: str) -> bool:
    return any(session.scalar(select(query.exists())) for query in _traces(connection_id, entity))


def _entities(session: Session, connection_id: int) -> set[str]:
    linked = select(Link.entity).where(Link.connection_id == connection_id, Link.provisional.is_(False)).distinct()
    written = select(Effect.entity).where(Effect.connection_id == connection_id, Effect.state.in_(WRITTEN)).distinct()
    return {*session.scalars(linked), *session.scalars(written)}


def _is_former(session: Session, connection_id: int, entity: str, flow: Flow, flows: Mapping[str, Flow]) -> bool:
    """True if the entity's links are between the flow's resources or, if no file says so, to its target."""
    known = [
        {other.source, other.target}
        for other in flows.values()
        if other.entity == entity and not (other.compares or other.levels)
    ]
    if known:
        return {flow.source, flow.target} in known
    written = select(Effect.resource).where(Effect.connection_id == connection_id, Effect.entity == entity)
    resources = set(session.scalars(written.where(Effect.state.in_(WRITTEN)).distinct()))
    return not resources.isdisjoint(flow.targets)
