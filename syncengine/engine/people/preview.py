"""Dry run: what would be written, and why, for objects of a flow. It writes nothing, and changes no record, cursor or lease.

What an object needs is planned first, as if it had been created, so that its dependants can be planned too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine.core import feeds
from syncengine.engine.core.engine import Route, calling, chunks
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.steps import corrections, found_links
from syncengine.engine.steps.discover import feeds_of
from syncengine.engine.steps.fetch import own_docs, read_sources, read_targets
from syncengine.engine.steps.found_links import ReadSources
from syncengine.engine.steps.kept_docs import Kept
from syncengine.engine.steps.planner import Material, Planner, gather
from syncengine.engine.writes import link_keys, links
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Need
from syncengine.store.models import Link, Record

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


def changed_keys(route: Route, *, most: int) -> list[str]:
    """Keys that the feeds report after their cursors, which stay where they are; at most `most`. Raises SyncError."""
    with route.engine.store.read() as session:
        positions = feeds.positions(session, route)
    keys: dict[str, None] = {}
    for resource, feed in feeds_of(route):
        name = feeds.cursor_name(route, resource.name, feed)
        since = route.connection.row.cut_over if route.flow.cut_over else None
        with calling(route.connection.endpoint(resource.name)):
            for page in resource.changes(feed, positions.get(name, {}), since=since):
                keys |= dict.fromkeys(_record_keys(route, resource.name, [ref.key for ref in page.refs]))
                if len(keys) >= most:
                    return list(keys)[:most]
    return list(keys)


def _record_keys(route: Route, resource: str, keys: Sequence[str]) -> list[str]:
    with route.engine.store.read() as session:
        named = link_keys.record_keys(session, route, route.connection.side(resource), keys)
    return [record_key for key in keys for record_key in named[key]]


def preview(route: Route, keys: Sequence[str]) -> list[Preview]:
    """The plans of these objects, after those of what they need. Raises what the systems' calls raise."""
    assumed = _Assumed()
    for some in chunks(list(keys), route.flow.batch):
        _plan(route, [(key, ()) for key in some], assumed, depth=0)
    return assumed.previews


def _plan(
    route: Route,
    wanted: Sequence[tuple[str, Sequence[str]]],
    assumed: _Assumed,
    *,
    depth: int,
) -> None:
    records, read = material(route, wanted)
    outcomes = _outcomes(route, records, read, assumed)
    plans = [outcome for outcome in outcomes.values() if isinstance(outcome, Plan)]
    missing = [need for plan in plans for need in plan.needs if need.flow]
    if missing and depth < DEEPEST:
        _needs(route, list(dict.fromkeys(missing)), assumed, depth=depth + 1)
        outcomes = _outcomes(route, records, read, assumed)
    for record in records:
        assumed.previews.append(Preview(route.flow.name, record.key, outcomes[record.id]))
        _assume(route.flow, record, outcomes[record.id], assumed)


def parts_of(route: Route, key: str, *, asked: str = "") -> Sequence[str]:
    """The parts to which an object of the source is mapped now. asked: a further part that other records may ask for.

    Raises Rejected or MissingLookup if that cannot be determined, and what the systems' calls raise.
    """
    records, read = material(route, [(key, [asked] if asked else [])])
    return Planner(route, read).parts_of(records[0])


def material(
    route: Route, wanted: Sequence[tuple[str, Sequence[str]]], sources: Mapping[str, Doc] | None = None
) -> tuple[list[Record], Material]:
    """Records of these keys, and the material for planning them, read now. wanted: keys with the parts asked for.

    sources: of a flow that sets levels, documents of the source by key that have just been read, marked with their time.
    Raises what the systems' calls raise.
    """
    with route.engine.store.read() as session:
        records = _records(session, route, wanted)
        ids = [record.id for record in records]
        linked: Mapping[int, Sequence[Link]] = links.of_records(session, route, records)
        corrected = corrections.active(session, route.engine.vault, ids)
    placed = corrections.by_place(route, {record.id: record.key for record in records}, corrected)
    kept = Kept({route.source.name: sources or {}}, {}) if route.flow.levels else None
    fetched = read_sources(route, {record.key: linked[record.id] for record in records}, placed, kept=kept)
    if route.flow.levels:
        read = ReadSources(fetched.typed(route.source), fetched.lookups, fetched.at)
        linked = found_links.assumed(route, records, linked, read)
    read_targets(route, {record.key: linked[record.id] for record in records}, fetched)
    own = {record.id: own_docs(route, record.key, linked[record.id], fetched) for record in records}
    with route.engine.store.read() as session:
        return records, gather(session, route, records, own, linked)


def _records(session: Session, route: Route, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[Record]:
    """The records of these keys; a missing one is made up and not stored. wanted: keys with the parts asked for."""
    known = {
        record.key: record
        for record in session.scalars(
            select(Record).where(
                Record.connection_id == route.connection_id,
                Record.flow == route.flow.name,
                Record.key.in_([key for key, _ in wanted]),
            )
        )
    }
    session.expunge_all()  # their changes are never stored
    found = []
    for number, (key, parts) in enumerate(wanted, 1):
        record = known.get(key) or _made_up(route, number, key, parts)
        record.parts = list(dict.fromkeys([*record.parts, *parts]))
        found.append(record)
    return found


def _made_up(route: Route, number: int, key: str, parts: Sequence[str]) -> Record:
    """A record that exists in memory only."""
    now = clock.now()
    return Record(
        id=-number, connection_id=route.connection_id, flow=route.flow.name, key=key, parts=list(parts), needed=bool(parts),
        wanted=1, claimed=1, done=0, lane=0, source_time=now, fetched_at=now, debounce_fingerprint="", debounce_since=None,
    )  # fmt: skip


def _outcomes(route: Route, records: Sequence[Record], read: Material, assumed: _Assumed) -> dict[int, Plan | Rejected]:
    planner = Planner(route, read, assumed=assumed.links)
    made: dict[int, Plan | Rejected] = {}
    with route.engine.store.read() as session:
        for record in records:
            try:
                made[record.id] = planner.plan(session, record)
            except Rejected as error:
                made[record.id] = error
    return made


def _needs(route: Route, missing: Sequence[Need], assumed: _Assumed, *, depth: int) -> None:
    wanted: dict[str, dict[str, list[str]]] = {}
    for need in missing:
        parts = wanted.setdefault(need.flow, {}).setdefault(need.key, [])
        parts += [need.part] if need.part else []
    for flow_name, keys in wanted.items():
        if flow_name in route.engine.flows:  # else disabled: only what is linked already can be used
            _plan(replace(route, flow=route.engine.flow(flow_name)), list(keys.items()), assumed, depth=depth)


def _assume(flow: Flow, record: Record, outcome: Plan | Rejected, assumed: _Assumed) -> None:
    if isinstance(outcome, Plan) and outcome.kind in (PlanKind.WRITE, PlanKind.HOLD):
        for step in outcome.steps:
            key = step.operation.key or step.operation.natural_key
            assumed.links[Need(flow.entity, record.key, step.part, flow.name)] = key
