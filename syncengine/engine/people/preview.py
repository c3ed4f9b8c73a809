"""Dry run: what would be written, and why, for objects of a flow. It writes nothing, and changes no record, cursor or lease.

What an object needs is planned first, as if it had been created, so that its dependants can be planned too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import decisions
from syncengine.engine.core.engine import Connection, Engine, calling, chunks
from syncengine.engine.core.lookups import lookups_of
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.steps import corrections
from syncengine.engine.steps.discover import feeds_of
from syncengine.engine.steps.fetch import own_docs, read_all
from syncengine.engine.steps.planner import Material, Planner
from syncengine.engine.writes import link_keys, links, unsettled
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Need
from syncengine.store.models import Cursor, Record

DEEPEST = 5  # flows that need flows that need flows


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sync of one object would do. outcome: its plan, or why it cannot be planned."""

    flow: str
    key: str
    outcome: Plan | Rejected


@dataclass
class _Assumed:
    """Links that would exist by then (the key of each planned need on the other side), and the previews so far."""

    links: dict[Need, str] = field(default_factory=dict)
    previews: list[Preview] = field(default_factory=list)


def changed_keys(engine: Engine, connection_id: int, flow_name: str, *, most: int) -> list[str]:
    """Keys that the feeds report after their cursors, which stay where they are; at most `most`. Raises SyncError."""
    flow, connection = engine.flow(flow_name), engine.connection(connection_id)
    positions = _positions(engine, connection, flow)
    keys: dict[str, None] = {}
    for resource, feed in feeds_of(flow, connection):
        name = feed if resource.name == flow.source else f"right:{feed}"
        since = connection.row.cut_over if flow.cut_over else None
        with calling(connection.endpoint(resource.name)):
            for page in resource.changes(feed, positions.get(name, {}), since=since):
                keys |= dict.fromkeys(
                    _record_keys(engine, flow, connection, resource.name, [ref.key for ref in page.refs])
                )
                if len(keys) >= most:
                    return list(keys)[:most]
    return list(keys)


def _record_keys(engine: Engine, flow: Flow, connection: Connection, resource: str, keys: Sequence[str]) -> list[str]:
    with engine.store.read() as session:
        named = link_keys.record_keys(session, flow, connection, connection.side(resource), keys)
    return [record_key for key in keys for record_key in named[key]]


def _positions(engine: Engine, connection: Connection, flow: Flow) -> dict[str, dict[str, object]]:
    query = select(Cursor.feed, Cursor.position).where(
        Cursor.connection_id == connection.row.id, Cursor.flow == flow.name
    )
    with engine.store.read() as session:
        return {feed: dict(position) for feed, position in session.execute(query)}


def preview(engine: Engine, connection_id: int, flow_name: str, keys: Sequence[str]) -> list[Preview]:
    """The plans of these objects, after those of what they need. Raises what the systems' calls raise."""
    assumed = _Assumed()
    flow, connection = engine.flow(flow_name), engine.connection(connection_id)
    for some in chunks(list(keys), flow.batch):
        _plan(engine, connection, flow, [(key, ()) for key in some], assumed, depth=0)
    return assumed.previews


def _plan(
    engine: Engine,
    connection: Connection,
    flow: Flow,
    wanted: Sequence[tuple[str, Sequence[str]]],
    assumed: _Assumed,
    *,
    depth: int,
) -> None:
    records, material = _material(engine, connection, flow, wanted)
    outcomes = _outcomes(engine, connection, flow, records, material, assumed)
    plans = [outcome for outcome in outcomes.values() if isinstance(outcome, Plan)]
    missing = [need for plan in plans for need in plan.needs if need.flow]
    if missing and depth < DEEPEST:
        _needs(engine, connection, list(dict.fromkeys(missing)), assumed, depth=depth + 1)
        outcomes = _outcomes(engine, connection, flow, records, material, assumed)
    for record in records:
        assumed.previews.append(Preview(flow.name, record.key, outcomes[record.id]))
        _assume(flow, record, outcomes[record.id], assumed)


def parts_of(engine: Engine, connection_id: int, flow_name: str, key: str, *, asked: str = "") -> Sequence[str]:
    """The parts to which an object of the source is mapped now. asked: a further part that other records may ask for.

    Raises Rejected or MissingLookup if that cannot be determined, and what the systems' calls raise.
    """
    flow, connection = engine.flow(flow_name), engine.connection(connection_id)
    records, material = _material(engine, connection, flow, [(key, [asked] if asked else [])])
    return Planner(engine, flow, connection, material).parts_of(records[0])


def _material(
    engine: Engine, connection: Connection, flow: Flow, wanted: Sequence[tuple[str, Sequence[str]]]
) -> tuple[list[Record], Material]:
    """Records of these keys, and the material for planning them, read now. wanted: keys with the parts asked for."""
    with engine.store.read() as session:
        records = _records(session, connection, flow, wanted)
        ids = [record.id for record in records]
        linked = links.of_records(session, flow, connection, records)
        lookups = lookups_of(session, connection.row, flow)
        corrected = corrections.active(session, engine.vault, ids)
        doubts = unsettled.unknown_of(session, engine, ids)
        decided = decisions.active(session, ids)
    placed = corrections.by_place(flow, connection, {record.id: record.key for record in records}, corrected)
    fetched = read_all(flow, connection, {record.key: linked[record.id] for record in records}, placed)
    own = {record.id: own_docs(flow, connection, record.key, linked[record.id], fetched) for record in records}
    found = corrections.apply(corrected, own)
    return records, Material(
        docs=found.docs,
        linked=linked,
        lookups=lookups,
        doubtful={doubt.effect.record_id for doubt in doubts if unsettled.blocks(connection, doubt)},
        tried={(doubt.effect.record_id, doubt.effect.part): doubt for doubt in doubts},
        corrected=found,
        decided=decided,
    )


def _records(
    session: Session, connection: Connection, flow: Flow, wanted: Sequence[tuple[str, Sequence[str]]]
) -> list[Record]:
    """The records of these keys; a missing one is made up and not stored. wanted: keys with the parts asked for."""
    known = {
        record.key: record
        for record in session.scalars(
            select(Record).where(
                Record.connection_id == connection.row.id,
                Record.flow == flow.name,
                Record.key.in_([key for key, _ in wanted]),
            )
        )
    }
    session.expunge_all()  # their changes are never stored
    found = []
    for number, (key, parts) in enumerate(wanted, 1):
        record = known.get(key) or _made_up(connection, flow, number, key, parts)
        record.parts = list(dict.fromkeys([*record.parts, *parts]))
        found.append(record)
    return found


def _made_up(connection: Connection, flow: Flow, number: int, key: str, parts: Sequence[str]) -> Record:
    """A record that exists in memory only."""
    now = clock.now()
    return Record(
        id=-number, connection_id=connection.row.id, flow=flow.name, key=key, parts=list(parts), needed=bool(parts),
        wanted=1, claimed=1, done=0, lane=0, source_time=now, fetched_at=now, debounce_fingerprint="", debounce_since=None,
    )  # fmt: skip


def _outcomes(
    engine: Engine, connection: Connection, flow: Flow, records: Sequence[Record], material: Material, assumed: _Assumed
) -> dict[int, Plan | Rejected]:
    planner = Planner(engine, flow, connection, material, assumed=assumed.links)
    made: dict[int, Plan | Rejected] = {}
    with engine.store.read() as session:
        for record in records:
            try:
                made[record.id] = planner.plan(session, record)
            except Rejected as error:
                made[record.id] = error
    return made


def _needs(engine: Engine, connection: Connection, missing: Sequence[Need], assumed: _Assumed, *, depth: int) -> None:
    wanted: dict[str, dict[str, list[str]]] = {}
    for need in missing:
        parts = wanted.setdefault(need.flow, {}).setdefault(need.key, [])
        parts += [need.part] if need.part else []
    for flow_name, keys in wanted.items():
        _plan(engine, connection, engine.flow(flow_name), list(keys.items()), assumed, depth=depth)


def _assume(flow: Flow, record: Record, outcome: Plan | Rejected, assumed: _Assumed) -> None:
    if isinstance(outcome, Plan) and outcome.kind in (PlanKind.WRITE, PlanKind.HOLD):
        for step in outcome.steps:
            key = step.operation.key or step.operation.natural_key
            assumed.links[Need(flow.entity, record.key, step.part, flow.name)] = key
