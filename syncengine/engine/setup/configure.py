"""Stores the installation's file, and its secrets in the vault: everything in one transaction, or nothing.

`compare` says what would change and what follows from that, `apply` does it. Running it again is harmless: a secret is
stored only if the given value has changed, so that a token that was renewed since is not overwritten. What must not change
once a connection has written is in `continuity`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import lookups, observe_mode, timeline
from syncengine.engine.setup import checks, continuity, difference, recheck
from syncengine.engine.setup.difference import GIVEN, Difference, Snapshot
from syncengine.engine.setup.installation import ConnectionPlan, EndpointPlan, Installation, read_file
from syncengine.engine.setup.recheck import Recheck
from syncengine.engine.traffic import endpoints
from syncengine.errors import Misconfigured
from syncengine.flows import BrokenFlow, Flow
from syncengine.store import Store
from syncengine.store.dialect import changed, lock_names, upsert
from syncengine.store.models import Ceiling, ConnectionRow, Endpoint, Installed, Secret
from syncengine.vault import Vault

__all__ = ["ConnectionPlan", "EndpointPlan", "Given", "Installation", "apply", "compare", "read_file"]

EVENT = "configured"


@dataclass(frozen=True)
class Given:
    """What is given besides the file.

    same_account: names of endpoints whose address has changed while the account is the same. flows_folder: absolute path of
    the site's own flows, empty if there are none; None keeps what is stored. call_s: the longest call in seconds that workers
    allow an endpoint, None for any. by: who configures. recheck: also process existing records again that a change concerns.
    broken: flows that are disabled, by name.
    """

    same_account: Collection[str] = ()
    flows_folder: str | None = None
    call_s: float | None = None
    by: str = ""
    recheck: bool = True
    broken: Mapping[str, BrokenFlow] = field(default_factory=dict)


def compare(
    store: Store, vault: Vault, flows: Mapping[str, Flow], installation: Installation, given: Given
) -> Difference:
    """What `apply` would change, with all its checks; changes nothing. Raises Misconfigured, Transient."""
    needed = checks.check(store, vault, flows, installation, call_s=given.call_s, broken=given.broken)
    with store.write() as session:  # stored, compared and rolled back, so that it cannot differ from what `apply` does
        taken = _store(session, vault, flows, installation, given)
        found = _compared(session, taken, flows, installation, given, needed, clock.now()).difference
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
    """Check the installation against systems, flows and what was written before, and store it. Returns what has changed.

    Nothing is stored if anything is refused, or if `seen`, to which a person has agreed, is not what would change now. A
    connection that is not in the file is no longer synced: it has no flows, keeps its links and history, and is synced again
    once the file has it again. Raises Misconfigured, Transient.
    """
    given = given or Given()
    needed = checks.check(store, vault, flows, installation, call_s=given.call_s, broken=given.broken)
    now = clock.now()
    with store.write() as session:
        taken = _store(session, vault, flows, installation, given)
        compared = _compared(session, taken, flows, installation, given, needed, now)
        found = compared.difference
        if seen is not None and seen.changes != found.changes:
            raise Misconfigured(
                "the stored configuration has changed since the changes were shown",
                "No changes made. Run `syncengine configure` again",
            )
        _reconsider_too_old(session, taken, installation, flows, now)
        if given.recheck:
            recheck.start(session, compared.rechecks, flows, now)
        for endpoint in compared.resting:
            endpoints.end_pause(session, endpoint, now, by=given.by)
        if found:
            timeline.note_installation(session, EVENT, now, by=given.by, **found.summary())
    _finish_going_live(store)
    return found


@dataclass(frozen=True)
class _Stored:
    """before: what the store held. ids: of the file's connections, by name. fresh: ids of those whose feeds restart."""

    before: Snapshot
    ids: Mapping[str, int]
    fresh: Collection[int]


@dataclass(frozen=True)
class _Compared:
    """rechecks: existing records that the changes concern. resting: endpoints whose rest ends with the changes."""

    difference: Difference
    rechecks: Sequence[Recheck]
    resting: Sequence[Endpoint]


def _compared(
    session: Session,
    taken: _Stored,
    flows: Mapping[str, Flow],
    installation: Installation,
    given: Given,
    needed: Mapping[str, Mapping[str, str]],
    now: datetime,
) -> _Compared:
    before, after = taken.before, difference.snapshot(session)
    changes = difference.compare(before, after)
    rechecks = recheck.find(session, before, after, changes, flows, now)
    resting = recheck.resting(session, changes, now)
    of_date = {name for name, flow in flows.items() if flow.cut_over}
    consequences = difference.consequences(before, after, changes, of_date=of_date)
    consequences += [line for plan in installation.connections for line in checks.gated(plan, flows)] if changes else []
    consequences += _counts_of_too_old(session, taken, installation, flows)
    consequences += [each.says if given.recheck else each.otherwise for each in rechecks]
    consequences += recheck.dead_letters(session, after, changes, flows)
    consequences += [recheck.rest_ends(session, endpoint) for endpoint in resting]
    consequences += [
        f"{name} has written nothing and now reads another account, so its feeds are read from the beginning"
        for name, connection in after.connections.items()
        if connection.id in taken.fresh
    ]
    consequences += _missing_secrets(session, needed) if changes else []
    listed = {plan.name for plan in installation.connections}
    not_synced = tuple(name for name in sorted(after.connections) if name not in listed)
    only_flows = not before.knows_flows and all(change.where == "flows" for change in changes)
    is_first = not before.connections or only_flows
    return _Compared(
        Difference(changes, tuple(consequences), is_first=is_first, not_synced=not_synced), rechecks, resting
    )


def _store(
    session: Session, vault: Vault, flows: Mapping[str, Flow], installation: Installation, given: Given
) -> _Stored:
    """Check against what is stored, and store. Raises Misconfigured."""
    lock_names(session, [lookups.CONFIGURE])
    before = difference.snapshot(session)
    fresh = continuity.check_accounts(session, installation.endpoints, given.same_account)
    ends = {plan.name: _save_endpoint(session, plan) for plan in installation.endpoints}
    checks.check_names(session, installation, ends)
    checks.check_shared(session, installation, ends, flows)
    _check_disabled(session, installation, given.broken)
    ids = {plan.name: _save_connection(session, plan, ends, flows, fresh) for plan in installation.connections}
    for connection_id in sorted(fresh):
        continuity.start_over(session, connection_id)
    _leave_out(session, installation)
    _save_secrets(session, vault, installation)
    if given.flows_folder is not None:
        had = session.scalar(select(Installed.own_flows)) or {}
        own = {name: flow.version for name, flow in flows.items() if flow.is_own}
        own |= {name: had[name] for name in given.broken if name in had}  # until its file is correct again
        row = {"id": 1, "flows_folder": given.flows_folder, "own_flows": own}
        upsert(session, Installed, [row], keys=("id",), update=("flows_folder", "own_flows"))
    session.flush()
    return _Stored(before, ids, fresh)


def _check_disabled(session: Session, installation: Installation, broken: Mapping[str, BrokenFlow]) -> None:
    """Refuse to give a connection a flow whose file is wrong; one that it has already stays. Raises Misconfigured."""
    stored = {row.name: row.flows for row in session.execute(select(ConnectionRow.name, ConnectionRow.flows))}
    for plan in installation.connections:
        for name in plan.flows:
            if name in broken and name not in stored.get(plan.name, ()):
                raise Misconfigured(f"{plan.at(f'flows.{name}')}: {broken[name]}", broken[name].error.remedy)


# -- into the store ----------------------------------------------------------------------------------------------------


def _save_endpoint(session: Session, plan: EndpointPlan) -> int:
    row = {"name": plan.name, "system": plan.system, "settings": dict(plan.settings)}
    upsert(session, Endpoint, [row], keys=("name",), update=("system", "settings"))
    return session.scalars(select(Endpoint.id).where(Endpoint.name == plan.name)).one()


def _save_connection(
    session: Session, plan: ConnectionPlan, ends: Mapping[str, int], flows: Mapping[str, Flow], fresh: set[int]
) -> int:
    """Returns the connection's id, and adds it to `fresh` if it joins other endpoints than before and has written nothing."""
    is_fresh = continuity.check_sides(session, plan, ends)
    stored = select(ConnectionRow.mode, ConnectionRow.cut_over, ConnectionRow.flows, ConnectionRow.entities)
    former = session.execute(stored.where(ConnectionRow.name == plan.name)).first()
    goes_live = (
        plan.mode == observe_mode.LIVE
        and former is not None
        and former.mode in (observe_mode.MODE, observe_mode.GOING_LIVE)
    )
    if former is not None:
        checks.check_cut_over(plan, former.cut_over)
    row = {
        "name": plan.name,
        "left_id": ends[plan.left],
        "right_id": ends[plan.right],
        "mode": observe_mode.GOING_LIVE if goes_live else plan.mode,
        "cut_over": plan.cut_over,
        "verify_creates_until": plan.verify_creates_until,
        "flows": list(plan.flows),
        "settings": dict(plan.settings),
        "quiet_s": plan.quiet_s,
        "sweep_s": plan.sweep_s,
        "relaxed_s": plan.relaxed_s,
        "ceilings": dict(plan.ceilings),
    }
    upsert(session, ConnectionRow, [row], keys=("name",), update=[name for name in row if name != "name"])
    connection_id = session.scalars(select(ConnectionRow.id).where(ConnectionRow.name == plan.name)).one()
    continuity.check_entities(session, connection_id, plan.flows, flows, plan.where)
    if former is not None:
        more = [flows[name] for name in plan.flows if name in flows and name not in former.flows]
        _keep_shut(session, connection_id, more, former.entities, plan.flows)
    continuity.keep_entities(session, connection_id, plan.flows, flows)
    if is_fresh:
        fresh.add(connection_id)
    lookups.take_over(session, connection_id, plan.lookups)
    return connection_id


def _keep_shut(
    session: Session, connection_id: int, more: Sequence[Flow], had: Mapping[str, Any], names: Collection[str]
) -> None:
    """A flow that is renamed while its write ceiling has closed it stays closed under its new name.

    more: the connection's new flows. had: `connection.entities` before. names: all flows that it has now.
    """
    rows = {row.flow: row for row in session.scalars(select(Ceiling).where(Ceiling.connection_id == connection_id))}
    shut = [row for row in rows.values() if row.shut_at is not None and row.flow not in names]
    for flow in more:
        for former in shut:
            if had.get(former.flow) == continuity.identity(flow):
                row = rows.get(flow.name) or Ceiling(connection_id=connection_id, flow=flow.name)
                row.shut_at, row.shut_because, row.stops_all = former.shut_at, former.shut_because, former.stops_all
                session.add(row)


def _leave_out(session: Session, installation: Installation) -> None:
    """Stop syncing the connections that are not in the file."""
    listed = [plan.name for plan in installation.connections]
    changed(session, update(ConnectionRow).where(ConnectionRow.name.not_in(listed)).values(flows=[]))


def _reconsider_too_old(
    session: Session, taken: _Stored, installation: Installation, flows: Mapping[str, Flow], now: datetime
) -> None:
    """If the cut-over date is earlier than before, want what was too old for the former one."""
    for plan, dated in _of_earlier_date(taken, installation, flows):
        observe_mode.reconsider_too_old(session, taken.ids[plan.name], dated, now)


def _counts_of_too_old(
    session: Session, taken: _Stored, installation: Installation, flows: Mapping[str, Flow]
) -> list[str]:
    counts = {
        plan.name: recheck.too_old(session, taken.ids[plan.name], dated)
        for plan, dated in _of_earlier_date(taken, installation, flows)
    }
    return [
        f"{name}: {count:,} skipped as too old {'is' if count == 1 else 'are'} due again"
        for name, count in counts.items()
        if count
    ]


def _of_earlier_date(
    taken: _Stored, installation: Installation, flows: Mapping[str, Flow]
) -> Iterator[tuple[ConnectionPlan, list[str]]]:
    """Connections whose cut-over date is earlier than before, each with the flows that apply it.

    For a flow that the connection has again, the date that it last applied is unknown, so it is read from the new date on.
    """
    for plan in installation.connections:
        was = taken.before.connections.get(plan.name)
        if was is not None and plan.cut_over is not None:
            is_earlier = was.cut_over is not None and plan.cut_over < was.cut_over
            dated = [flow.name for flow in checks.sound_flows(plan, flows) if flow.cut_over]
            yield plan, [name for name in dated if is_earlier or name not in was.flows]


def _finish_going_live(store: Store) -> None:
    with store.read() as session:
        going = session.scalars(select(ConnectionRow.id).where(ConnectionRow.mode == observe_mode.GOING_LIVE)).all()
    for connection_id in going:
        observe_mode.go_live(store, connection_id)


# -- secrets -----------------------------------------------------------------------------------------------------------


def _missing_secrets(session: Session, needed: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Endpoints that cannot be called since a secret is not stored. needed: by endpoint, each with a remedy."""
    rows = session.execute(select(Endpoint.name, Secret.name).join(Secret, Secret.endpoint_id == Endpoint.id))
    stored = {(endpoint, name) for endpoint, name in rows}
    return [
        f"{endpoint} cannot be called, since its secret {name} is not stored. {remedy}"
        for endpoint, secrets in needed.items()
        for name, remedy in secrets.items()
        if (endpoint, name) not in stored
    ]


def _save_secrets(session: Session, vault: Vault, installation: Installation) -> None:
    """Store the secrets whose given value has changed, and delete those that are no longer in the file.

    Secrets that the file has not given (tokens granted by a system) stay. Raises Misconfigured if the vault has another key.
    """
    given = {plan.name: plan.secrets for plan in installation.endpoints}
    for endpoint in session.execute(select(Endpoint.id, Endpoint.name)).all():
        wanted = given.get(endpoint.name, {})
        stored = {
            row.name: row for row in session.scalars(select(Secret).where(Secret.endpoint_id == endpoint.id)).all()
        }
        for name, value in wanted.items():
            mark = stored.get(f"{GIVEN}{name}")
            if mark is None or vault.open(mark.value).decode() != _fingerprint(value):
                _put(session, vault, endpoint.id, stored, {name: value, f"{GIVEN}{name}": _fingerprint(value)})
        gone = [name for name in stored if name.startswith(GIVEN) and name.removeprefix(GIVEN) not in wanted]
        names = [*gone, *(name.removeprefix(GIVEN) for name in gone)]
        changed(session, delete(Secret).where(Secret.endpoint_id == endpoint.id, Secret.name.in_(names)))


def _put(
    session: Session, vault: Vault, endpoint_id: int, stored: Mapping[str, Secret], values: Mapping[str, str]
) -> None:
    """Store secrets of an endpoint under one new version, so that a value renewed later has a higher one than its mark."""
    rows = [stored.get(name) or Secret(endpoint_id=endpoint_id, name=name, version=0) for name in values]
    version = 1 + max(row.version for row in rows)
    for row in rows:
        row.value, row.version, row.updated_at = vault.seal(values[row.name].encode()), version, clock.now()
    session.add_all(rows)


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
