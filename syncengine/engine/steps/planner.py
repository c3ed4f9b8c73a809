"""From stored documents to plans, record by record. It writes nothing; transform, previews and dead letters share it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine.core import decisions, feeds, known_links, movements, observe_mode, payloads, readings
from syncengine.engine.core.engine import Route
from syncengine.engine.core.lookups import lookups_of
from syncengine.engine.core.want import LONGEST_PART, is_key
from syncengine.engine.decide import tallies
from syncengine.engine.decide.plan import Linked, Plan, named
from syncengine.engine.decide.planning import plan
from syncengine.engine.decide.situation import LevelFacts, Situation
from syncengine.engine.decide.tallies import Entry
from syncengine.engine.steps import corrections
from syncengine.engine.writes import dependants, link_keys, links, unsettled
from syncengine.engine.writes.link_keys import synced_versions
from syncengine.errors import Rejected
from syncengine.mapping.contract import TARGET_LINES, Context, Need
from syncengine.store.models import ConnectionRow, Link, Record

T = TypeVar("T")


@dataclass(frozen=True)
class Material:
    """What all records of a batch are planned from, read in one transaction.

    docs: by record id, resource and key, as corrected. linked: by record id. doubtful: ids of records with an unknown write
    that only a person can resolve. tried: unknown writes by record id and part. decided: by record id. synced: for a flow
    that compares, by record id: the versions that the flows which write the object have synced, by the source's key; None
    for any. typed: sources that were loaded already, by record id and key. tallied: by the key of a level's object at the
    target. moved_until: of a flow that sets levels, see `LevelFacts`.
    """

    docs: Mapping[int, Mapping[str, Mapping[str, Doc]]]
    linked: Mapping[int, Sequence[Link]]
    lookups: Mapping[str, Mapping[str, str]]
    doubtful: set[int]
    tried: Mapping[tuple[int, str], unsettled.UnknownWrite]
    corrected: corrections.Corrected  # whose documents `docs` are
    decided: Mapping[int, decisions.ActiveDecision] = field(default_factory=dict)
    synced: Mapping[int, Mapping[str, str | None]] = field(default_factory=dict)
    typed: Mapping[tuple[int, str], Doc] = field(default_factory=dict)
    tallied: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    moved_until: datetime | None = None


def gather(
    session: Session,
    route: Route,
    found: Sequence[Record],
    docs: Mapping[int, Mapping[str, Mapping[str, Doc]]] | None = None,
    linked: Mapping[int, Sequence[Link]] | None = None,
) -> Material:
    """Read the documents, links, lookups, corrections, decisions and unknown writes of records.

    docs: documents by record id, resource and key that have just been read; those stored by the last fetch if left out.
    linked: links by record id to plan with, of a dry run; the stored ones if left out.
    """
    ids = [record.id for record in found]
    unknown = unsettled.unknown_of(session, route.engine, ids)
    read = payloads.load(session, route.engine.vault, "context", ids) if docs is None else docs
    corrected = corrections.apply(corrections.active(session, route.engine.vault, ids), read)
    linked = links.of_records(session, route, found) if linked is None else linked
    lookups = lookups_of(session, route.connection.row, route.flow)
    typed = _typed(route, corrected.docs) if route.flow.mapping.has_known_links else {}
    levels: dict[str, Any] = {}
    if route.flow.levels:
        items = [key for some in linked.values() for link in some if (key := link_keys.target_key(route, link))]
        levels["tallied"] = movements.tallied(session, route, route.target_side, items)
        levels["moved_until"] = feeds.known_until(session, route)
    return Material(
        docs=corrected.docs,
        linked=linked,
        lookups={**lookups, **known_links.tables(session, route, typed.values(), lookups)},
        typed=typed,
        doubtful={write.effect.record_id for write in unknown if unsettled.blocks(route.connection, write)},
        tried={(write.effect.record_id, write.effect.part): write for write in unknown},
        corrected=corrected,
        decided=decisions.active(session, ids),
        synced=synced_versions(session, route, linked) if route.flow.compares else {},
        **levels,
    )


def _typed(route: Route, docs: Mapping[int, Mapping[str, Mapping[str, Doc]]]) -> dict[tuple[int, str], Doc]:
    """The valid documents of the source by record id and key; the plan of an invalid one fails by itself."""
    found: dict[tuple[int, str], Doc] = {}
    for record_id, own in docs.items():
        for key, doc in own.get(route.source.name, {}).items():
            try:
                found[record_id, key] = route.source.load(doc)
            except Rejected:
                continue
    return found


@dataclass(frozen=True, slots=True)
class _Ready:
    """A record with its typed source documents (by key), before its needs are looked up."""

    record: Record
    raw: Mapping[str, Mapping[str, Doc]]
    sources: Mapping[str, Doc]
    context: Context
    needs: Sequence[Need] = ()

    @property
    def source_doc(self) -> Doc | None:
        """The first source document; None if the source has none."""
        return next(iter(self.sources.values()), None)


class Planner:
    """Makes the plans of records from the material of a batch."""

    def __init__(self, route: Route, material: Material, *, assumed: Mapping[Need, str] | None = None) -> None:
        """assumed: keys by need, for links that a dry run assumes to exist."""
        self.route, self.material = route, material
        self.assumed = assumed or {}
        self.provisional: set[Need] = set()  # needs that are only planned, while the connection is observed
        self.source, self.target = route.source, route.target
        self.settings = route.settings
        self.cut_over: datetime | None = None  # read when plans are made, since it may have been set earlier
        self.now = clock.now()
        self.verifies = route.connection.row.mode != observe_mode.MODE and route.connection.verifies_creates(self.now)

    def plans(self, session: Session, found: Sequence[Record]) -> dict[int, Plan | Rejected]:
        """The plan of each record by record id, or the error if its document is invalid or cannot be mapped.

        One query looks up what all the records need.
        """
        self._read_cut_over(session)
        ready = {record.id: _caught(partial(self._ready, record)) for record in found}
        needs = {need for item in ready.values() if isinstance(item, _Ready) for need in item.needs}
        known = self._known(session, needs)
        return {
            record_id: item if isinstance(item, Rejected) else _caught(partial(self._planned, item, known))
            for record_id, item in ready.items()
        }

    def plan(self, session: Session, record: Record) -> Plan:
        """The plan of one record. Raises Rejected if its document is invalid or cannot be mapped."""
        self._read_cut_over(session)
        ready = self._ready(record)
        return self._planned(ready, self._known(session, ready.needs))

    def situation(self, session: Session, record: Record) -> Situation:
        """What the plan of a record is made from, in a one-way flow, for people. Raises Rejected if its document is invalid."""
        ready = self._ready(record)
        return self._situation(ready, self._known(session, ready.needs))

    def _read_cut_over(self, session: Session) -> None:
        mine = select(ConnectionRow.cut_over).where(ConnectionRow.id == self.route.connection_id)
        self.cut_over = session.scalar(mine) if self.route.flow.cut_over else None

    def mapped(self, session: Session, record: Record) -> dict[str, Doc]:
        """What the record's document is mapped to, by part, as the target would store it; empty in a two-way flow.

        Raises Rejected if it is invalid or cannot be mapped, MissingLookup if a lookup entry or a link is missing.
        """
        ready = self._ready(record)
        if ready.source_doc is None:
            return {}
        context = replace(ready.context, links=self._known(session, ready.needs))
        made = self.route.flow.mapping.apply(ready.source_doc, context)
        return {part: self.target.canonical(doc) for part, doc in made.items()}

    def parts_of(self, record: Record) -> Sequence[str]:
        """The parts to which the record's document is mapped; none if the source does not have it.

        Raises Rejected or MissingLookup.
        """
        ready = self._ready(record)
        return self.route.flow.mapping.parts_of(ready.source_doc, ready.context) if ready.source_doc is not None else ()

    def _known(self, session: Session, needs: Collection[Need]) -> dict[Need, str]:
        side = self.route.source_side
        found = dependants.keys_of_needs(session, self.route.connection_id, needs, from_side=side)
        missing = set(needs) - set(found)
        planned = dependants.planned(session, self.route.connection_id, missing, from_side=side) if missing else {}
        self.provisional |= set(planned)
        return {**{need: self.assumed[need] for need in needs if need in self.assumed}, **planned, **found}

    def _ready(self, record: Record) -> _Ready:
        raw = self.material.docs.get(record.id, {})
        context = Context(
            references=self._references(raw),
            lookups=self.material.lookups,
            settings=self.settings,
            parts=tuple(record.parts),
        )
        if self.route.flow.two_way:
            return _Ready(record, raw, {}, context)
        known = self.material.typed
        sources = {
            key: known.get((record.id, key)) or self.source.load(doc)
            for key, doc in sorted(self._raw_sources(record, raw).items())
        }
        needs = {need: None for doc in sources.values() for need in self.route.flow.mapping.needs(doc, context)}
        return _Ready(record, raw, sources, context, list(needs))

    def _raw_sources(self, record: Record, raw: Mapping[str, Mapping[str, Doc]]) -> Mapping[str, Doc]:
        """The source's document, or in a write-back those of all linked objects, by key; empty if the source has none."""
        found = raw.get(self.source.name, {})
        if self.route.flow.write_back:
            return found
        return {record.key: found[record.key]} if record.key in found else {}

    def _planned(self, ready: _Ready, known: Mapping[Need, str]) -> Plan:
        situation = self._pair(ready) if self.route.flow.two_way else self._situation(ready, known)
        make = partial(self._decide, situation)
        made = _storable(decisions.applied(make(), self._decision(ready.record), make))
        made = replace(made, links=links.revisions(self.material.linked[ready.record.id]))
        provisional = [named(need) for need in ready.needs if need in self.provisional]
        return replace(made, provisional=provisional) if provisional else made

    def _decision(self, record: Record) -> decisions.ActiveDecision | None:
        """The decision on a record that is not too old."""
        decision = self.material.decided.get(record.id)
        return None if decision is None or decision.is_too_old(self.now) else decision

    def _decide(self, situation: Situation, approved: str = "") -> Plan:
        return plan(replace(situation, approved=approved))

    def _with_target(self, situation: Situation, ready: _Ready) -> Situation:
        """The situation of a comparison, whose mapping may name the target's document and line numbers."""
        numbers = {TARGET_LINES: links.all_numbers(self.material.linked[ready.record.id])}
        current = next((link.current for link in situation.links.values() if link.current is not None), {})
        context = replace(situation.context, found=current, lookups={**situation.context.lookups, **numbers})
        synced, raw = self.material.synced.get(ready.record.id, {}), self._raw_sources(ready.record, ready.raw)
        is_synced = all(key in synced and synced[key] in (None, self.source.version(doc)) for key, doc in raw.items())
        return replace(situation, context=context, synced=is_synced)

    def _situation(self, ready: _Ready, known: Mapping[Need, str]) -> Situation:
        record, raw = ready.record, ready.raw
        raw_source = next(iter(self._raw_sources(record, raw).values()), None)
        situation = Situation(
            flow=self.route.flow,
            source=self.source,
            target=self.target,
            sources=ready.sources,
            links={
                part: self._linked(record, part, link, raw)
                for part, link in link_keys.by_part(self.route, self.material.linked[record.id]).items()
            },
            context=replace(ready.context, links={need: known[need] for need in ready.needs if need in known}),
            too_old=self._too_old(record, raw_source),
            in_doubt=record.id in self.material.doubtful,
            verifies=self.verifies,
            edited=self._edited(raw_source),
        )
        if self.route.flow.levels:
            return self._with_levels(situation, ready)
        return self._with_target(situation, ready) if self.route.flow.compares else situation

    def _with_levels(self, situation: Situation, ready: _Ready) -> Situation:
        """The situation of a flow that sets levels, whose mapping may name the target's document and what is in transit."""
        source_doc = ready.raw.get(self.source.name, {}).get(ready.record.key, {})
        link = situation.link
        target_doc = ready.raw.get(self.target.name, {}).get(link.key or "") if link else None
        read_source, read_target = (
            readings.between(resource, doc)
            for resource, doc in ((self.source, source_doc), (self.target, target_doc or {}))
        )
        entries = self.material.tallied.get(link.key or "", ()) if link else ()
        ranges = tallies.sums(entries, read_source, read_target) if read_source and read_target else {}
        facts = LevelFacts(
            tallied=ranges,
            key=self.route.flow.mapping.key_to_find(situation.source_doc, self.settings, self.material.lookups)
            if situation.source_doc is not None
            else "",
            read_by=read_target[1] if read_target else None,
            moved_until=self.material.moved_until,
            lag_s=self.target.search_lag_s,
            exact_at=tallies.exact_at(entries, read_source, read_target) if read_source and read_target else None,
        )
        current = link.current if link and link.current is not None else {}
        decision = self._decision(ready.record)
        return replace(
            situation,
            context=replace(situation.context, found=current),
            levels=facts,
            now=self.now,
            whole=self.route.connection.row.mode == observe_mode.MODE,
            approved_rises=decision.rises if decision else {},
        )

    def _pair(self, ready: _Ready) -> Situation:
        record, raw = ready.record, ready.raw
        found = self.material.linked[record.id][:1]
        left_raw = next(iter(raw.get(self.source.name, {}).items()), None)
        right_raw = next(iter(raw.get(self.target.name, {}).values()), None)
        left, key = (left_raw[1] if left_raw else None), self.route.keys.ends(record.key).left
        return Situation(
            flow=self.route.flow,
            source=self.source,
            target=self.target,
            sources={left_raw[0]: self.source.load(left_raw[1])} if left_raw else {},
            links={link.part: self._linked(record, link.part, link, raw) for link in found},
            context=ready.context,
            target_doc=self.target.load(right_raw) if right_raw is not None else None,
            key=found[0].left_key if found else key,
            too_old=self._too_old(record, left if left is not None else right_raw),
            in_doubt=record.id in self.material.doubtful,
            newer=self._newer(left, right_raw),
        )

    def _references(self, raw: Mapping[str, Mapping[str, Doc]]) -> dict[str, dict[str, Doc]]:
        own = {self.source.name, self.target.name}
        return {
            name: {key: self.route.connection.resource(name).load(doc) for key, doc in docs.items()}
            for name, docs in raw.items()
            if name not in own
        }

    def _linked(self, record: Record, part: str, link: Link, raw: Mapping[str, Mapping[str, Doc]]) -> Linked:
        key = link_keys.target_key(self.route, link)
        current = raw.get(self.target.name, {}).get(key or "")
        unknown = self.material.tried.get((record.id, part))
        base = links.base_of(self.route, link)
        known = links.numbers_of(self.route.flow, link) if base else {}
        return Linked(
            key=key,
            base=base,
            numbers={**(unknown.numbers if unknown else {}), **known},  # the write's were recognised before it
            current=self.target.load(current) if current is not None else None,
            natural_key=link.natural_key,
            provisional=link.provisional,
            tried=unknown.agreed if unknown else {},
        )

    def _too_old(self, record: Record, raw_source: Doc | None) -> bool:
        if record.needed or self.cut_over is None or raw_source is None:
            return False
        created = self.source.created_at(raw_source)
        return created is not None and created < self.cut_over

    def _edited(self, raw_source: Doc | None) -> bool:
        if raw_source is None:
            return True
        created, touched = self.source.created_at(raw_source), self.source.touched_at(raw_source)
        return created is None or touched is None or touched > created

    def _newer(self, left_raw: Doc | None, right_raw: Doc | None) -> bool | None:
        left = self.source.touched_at(left_raw) if left_raw is not None else None
        right = self.target.touched_at(right_raw) if right_raw is not None else None
        return None if left is None or right is None or left == right else left > right


def _storable(plan_: Plan) -> Plan:
    """Return the plan. Raises Rejected if it names a key that cannot be stored."""
    for need in plan_.needs:
        if not is_key(need.key) or len(need.part) > LONGEST_PART:
            _refuse_key(need.entity, need.key)
    for step in plan_.steps:
        if step.operation.natural_key and not is_key(step.operation.natural_key):
            _refuse_key(step.resource, step.operation.natural_key)
    return plan_


def _refuse_key(field: str, key: str) -> None:
    reason = "this cannot be a key: it is empty, longer than 122 characters, or has characters that cannot be stored"
    raise Rejected(
        field=field, value=key, reason=reason, remedy="Correct it at the source, and it will be fetched again"
    )


def _caught(make: Callable[[], T]) -> T | Rejected:
    """What `make` returns, or the Rejected that it raises, so that a bad record stops no other."""
    try:
        return make()
    except Rejected as error:
        return error
