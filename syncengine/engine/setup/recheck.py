"""Existing records that a changed configuration concerns: how many they are, and their next attempt.

Without this a record that was skipped or held under the former configuration would stay so until its source changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from syncengine.engine.core import failures, observe_mode
from syncengine.engine.core.engine import RELOAD_S, chunks
from syncengine.engine.core.want import KEPT_PAUSES, want
from syncengine.engine.setup.difference import Change, Snapshot, StoredConnection, Topic
from syncengine.engine.traffic import endpoints
from syncengine.engine.writes import dependants
from syncengine.flows import Flow
from syncengine.mapping.compiled import CompiledMapping
from syncengine.store.dialect import changed
from syncengine.store.models import ConnectionRow, Endpoint, Failure, Record
from syncengine.store.states import Lane, Pause, Status, Why

DELAY_S = RELOAD_S + 5.0
"""Seconds until such a record is due: until then a running worker may still use the former settings. The 5 s are for clocks."""

AT_ONCE = 500
EXISTS = (Why.EXISTS, Why.WRITE)  # WRITE: as older versions stored it


@dataclass(frozen=True, slots=True)
class Recheck:
    """Records of one flow that a change concerns. says: the consequence in words; otherwise: the same if they stay as they are.

    where: a condition on Record; None for the linked objects of a flow that has no records yet.
    """

    connection_id: int
    flow: str
    where: ColumnElement[bool] | None
    says: str
    otherwise: str


def find(
    session: Session,
    before: Snapshot,
    after: Snapshot,
    changes: Iterable[Change],
    flows: Mapping[str, Flow],
    now: datetime,
) -> list[Recheck]:
    """The records that the changes concern, without those of an earlier cut-over date. Only flows with such records."""
    settings = _changed(changes, Topic.SETTING)
    found: list[Recheck] = []
    for name, connection in after.connections.items():
        was = before.connections.get(name)
        if was is not None:
            for flow in (flows[each] for each in connection.flows if each in flows and each not in was.flows):
                found += _of_comparison(session, name, connection, flow)
            for flow in (flows[each] for each in connection.flows if each in flows and each in was.flows):
                found += _of_rules(session, name, connection, flow, settings.get(name, set()))
                found += _of_creates(session, name, was, connection, flow, now)
    return found


def start(session: Session, found: Iterable[Recheck], flows: Mapping[str, Flow], now: datetime) -> None:
    """Want these records, due once every worker uses the new configuration."""
    for each in found:
        mine = (Record.connection_id == each.connection_id, Record.flow == each.flow)
        is_claimed = Record.token.is_not(None)  # perhaps planned by the former configuration
        if each.where is None:
            keys: Sequence[str] = dependants.linked_keys(session, each.connection_id, flows[each.flow])
        else:
            keys = session.scalars(select(Record.key).where(*mine, or_(each.where, is_claimed))).all()
        for chunk in chunks(sorted(keys), AT_ONCE):
            want(session, each.connection_id, each.flow, chunk, lane=Lane.BACKFILL, now=now)
            due = update(Record).where(*mine, Record.key.in_(chunk), Record.pause.not_in(KEPT_PAUSES))
            changed(session, due.values(not_before=now + timedelta(seconds=DELAY_S), pause=Pause.PACED))


def dead_letters(
    session: Session, after: Snapshot, changes: Iterable[Change], flows: Mapping[str, Flow]
) -> Iterator[str]:
    """Flows with open dead letters that use a changed setting or lookup table, with the command that retries them."""
    settings = _changed(changes, Topic.SETTING)
    tables = {
        name: {entry.partition(" ")[0] for entry in found} for name, found in _changed(changes, Topic.LOOKUP).items()
    }
    for name, connection in after.connections.items():
        for flow in (flows[each] for each in connection.flows if each in flows):
            if not (settings.get(name, set()) & flow.declared.keys() or tables.get(name, set()) & flow.lookups.keys()):
                continue
            mine = (Failure.connection_id == connection.id, Failure.flow == flow.name, Failure.kind == failures.DEAD)
            query = select(func.count()).select_from(Failure).where(*mine, Failure.closed_at.is_(None))
            if count := session.scalar(query):
                letters = f"{count:,} dead {'letter' if count == 1 else 'letters'} of {flow.name}"
                retry = f"`syncengine deadletters retry --connection {name} --flow {flow.name}`"
                yield f"{name}: {letters} may have waited for this change: {retry}"


def too_old(session: Session, connection_id: int, flows: Collection[str]) -> int:
    """How many records of these flows were skipped as older than the cut-over date."""
    return _count(session, connection_id, flows, observe_mode.too_old())


def _changed(changes: Iterable[Change], topic: Topic) -> dict[str, set[str]]:
    """Names of the changed facts of a topic, by connection."""
    found: dict[str, set[str]] = {}
    for fact in (change.fact for change in changes):
        if fact.kind == "connection" and fact.topic is topic:
            found.setdefault(fact.owner, set()).add(fact.name)
    return found


def _of_rules(
    session: Session, name: str, connection: StoredConnection, flow: Flow, settings: Collection[str]
) -> Iterator[Recheck]:
    """Records that a rule has skipped or held, if rules of the flow use a changed setting."""
    mappings = [mapping for mapping in (flow.mapping, flow.backward) if isinstance(mapping, CompiledMapping)]
    used = sorted({setting for mapping in mappings for setting in mapping.rule_settings if setting in settings})
    ruled = and_(Record.why == Why.RULE, Record.status.in_((Status.SKIPPED, Status.HELD)), _at_rest())
    count = _count(session, connection.id, [flow.name], ruled) if used else 0
    if count:
        which = f"{_records(count, flow)} skipped or held by a rule of the flow, which uses {', '.join(used)}"
        says = f"{name}: {which}: fetched again and decided by the new value"
        otherwise = f"{name}: {which}: left as is. `syncengine sync {flow.name} --since DATE` fetches them"
        yield Recheck(connection.id, flow.name, ruled, says, otherwise)


def _of_creates(
    session: Session, name: str, was: StoredConnection, connection: StoredConnection, flow: Flow, now: datetime
) -> Iterator[Recheck]:
    """Held creates whose object exists in the target, once creates are verified (again)."""
    until, former = connection.verify_creates_until, was.verify_creates_until
    begins = until is not None and until > now and (former is None or former <= now)
    held = and_(Record.status == Status.HELD, Record.why.in_(EXISTS), _at_rest())
    count = _count(session, connection.id, [flow.name], held) if begins else 0
    if count:
        which = f"{_records(count, flow)} held because the object exists in the target"
        says = f"{name}: {which}: compared with the target again, and linked if it is the same"
        otherwise = f"{name}: {which}: left as is. `syncengine sync {flow.name} --since DATE` compares them"
        yield Recheck(connection.id, flow.name, held, says, otherwise)


def _of_comparison(session: Session, name: str, connection: StoredConnection, flow: Flow) -> Iterator[Recheck]:
    """The linked objects that a flow which compares has not compared yet, since it is new to the connection."""
    count = len(dependants.linked_keys(session, connection.id, flow)) if flow.compares else 0
    if count:
        which = f"{name}: {count:,} linked {'object' if count == 1 else 'objects'} of {flow.entity}"
        otherwise = f"{which}: compared by {flow.name} at their next change alone"
        yield Recheck(connection.id, flow.name, None, f"{which}: compared by {flow.name}", otherwise)


def _at_rest() -> ColumnElement[bool]:
    return and_(Record.wanted == Record.done, Record.ignored == "")


def _count(session: Session, connection_id: int, flows: Collection[str], where: ColumnElement[bool]) -> int:
    mine = (Record.connection_id == connection_id, Record.flow.in_(flows))
    return session.scalar(select(func.count()).select_from(Record).where(*mine, where)) or 0


def _records(count: int, flow: Flow) -> str:
    return f"{count:,} {'record' if count == 1 else 'records'} of {flow.name}"


# -- endpoints ---------------------------------------------------------------------------------------------------------


def resting(session: Session, changes: Iterable[Change], now: datetime) -> list[Endpoint]:
    """Endpoints with changed settings or secrets that rest by themselves, since their credentials were refused."""
    names = {
        change.fact.owner
        for change in changes
        if change.fact.kind == "endpoint" and change.before is not None and change.after is not None
    }
    found = session.scalars(select(Endpoint).where(Endpoint.name.in_(names)).order_by(Endpoint.name))
    return [each for each in found if endpoints.is_paused(each, now) and not each.is_paused_by_person]


def rest_ends(session: Session, endpoint: Endpoint) -> str:
    """The consequence of its end, in words."""
    its = or_(ConnectionRow.left_id == endpoint.id, ConnectionRow.right_id == endpoint.id)
    due = (Record.connection_id.in_(select(ConnectionRow.id).where(its)), Record.wanted > Record.done)
    count = session.scalar(select(func.count()).select_from(Record).where(*due)) or 0
    records = f"{count:,} due {'record continues' if count == 1 else 'records continue'}"
    return f"{endpoint.name}: its rest after refused credentials ends, and {records}. `syncengine check` tries the new ones"
