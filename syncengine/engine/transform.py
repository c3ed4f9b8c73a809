"""Second step: decide. Pure planning of each record by itself; what fails becomes a dead letter, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine import (
    corrections,
    deadletters,
    decisions,
    effects,
    links,
    observe,
    payloads,
    plans,
    records,
    timeline,
)
from syncengine.engine.engine import Engine, Site
from syncengine.engine.lease import Lease
from syncengine.engine.lookups import lookups_of
from syncengine.engine.pair import Pair, plan_pair
from syncengine.engine.plan import Kind, Linked, Plan, Situation, named, plan
from syncengine.engine.quiet import Quiet, quiet_wait
from syncengine.engine.records import End
from syncengine.engine.want import LONGEST_PART, is_key, want_needs
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context, Need
from syncengine.store.models import Link, Record
from syncengine.store.states import Lane, Pause, Stage, Status

T = TypeVar("T")

STATUS_OF = {Kind.SKIP: Status.SKIPPED, Kind.HOLD: Status.HELD, Kind.WAIT: Status.WAITING}
WORD_OF = {Kind.SKIP: "skipped", Kind.HOLD: "held", Kind.WAIT: "waiting", Kind.WRITE: "planned"}


@dataclass(frozen=True)
class Material:
    """What all records of a batch are planned from, read in one transaction."""

    docs: Mapping[int, Mapping[str, Mapping[str, Doc]]]
    linked: Mapping[int, Sequence[Link]]
    lookups: Mapping[str, Mapping[str, str]]
    doubtful: set[int]
    tried: Mapping[tuple[int, str], effects.Doubt]
    corrected: corrections.Corrected  # whose documents `docs` are
    decided: Mapping[int, decisions.Decision] = field(default_factory=dict)


def transform(engine: Engine, lease: Lease) -> None:
    """Plan every record of the lease and store the plans; only those that have something to write stay in the chain."""
    flow, site = engine.flow(lease.records[0].flow), engine.site(lease.records[0].connection_id)
    with engine.store.read() as session:
        material = gather(session, engine, flow, site, lease.records)
        unseen = [record.id for record in lease.records if _linked_since(record, flow, site, material)]
        found = [record for record in lease.records if record.id not in unseen]
        made = Planner(engine, flow, site, material).plans(session, found)
    with engine.store.write(durable=False) as session:
        if unseen:
            why = "linked since it was fetched, by a worker that woke late"
            records.put_off(session, lease, unseen, clock.now(), pause=Pause.NONE, stage=Stage.FETCH, reason=why)
        if made:
            _Outcome(session, engine, lease, flow, site, material).settle(made)


def _linked_since(record: Record, flow: Flow, site: Site, material: Material) -> bool:
    """True if a link has come since the fetch, whose target was not read therefore: it is not gone."""
    side, read = site.side(flow.target), material.docs.get(record.id, {}).get(flow.target, {})
    return any(
        not link.provisional and record.fetched_at is not None and link.updated_at > record.fetched_at
        and (link.right_key if side == "right" else link.left_key) not in read
        for link in material.linked[record.id]
    )  # fmt: skip


def gather(session: Session, engine: Engine, flow: Flow, site: Site, found: Sequence[Record]) -> Material:
    """Read documents, links, lookups and doubts of records."""
    ids = [record.id for record in found]
    doubts = effects.in_doubt(session, engine, ids)
    stored = payloads.load(session, engine.vault, "context", ids)
    corrected = corrections.apply(corrections.standing(session, engine.vault, ids), stored)
    return Material(
        docs=corrected.docs,
        linked=links.of_records(session, flow, site, found),
        lookups=lookups_of(session, site.connection, flow),
        doubtful={doubt.effect.record_id for doubt in doubts if effects.blocks(site, doubt)},
        tried={(doubt.effect.record_id, doubt.effect.part): doubt for doubt in doubts},
        corrected=corrected,
        decided=decisions.standing(session, ids),
    )


@dataclass(frozen=True, slots=True)
class _Ready:
    """A record of a one-way flow with its documents typed, before it is known which of its needs are linked."""

    record: Record
    raw: Mapping[str, Mapping[str, Doc]]
    source_doc: Doc | None
    context: Context
    needs: Sequence[Need] = ()


class Planner:
    """Makes the plans of records from the material of a batch."""

    def __init__(
        self, engine: Engine, flow: Flow, site: Site, material: Material, *, assumed: Mapping[Need, str] | None = None
    ) -> None:
        """`assumed`: links that a dry run takes as made."""
        self.engine, self.flow, self.site, self.material = engine, flow, site, material
        self.assumed = assumed or {}
        self.provisional: set[Need] = set()  # needs that are planned only, of a connection that is observed
        self.source, self.target = site.resource(flow.source), site.resource(flow.target)
        self.settings = flow.settings_for(site.connection.settings)
        self.verifies = site.connection.mode != observe.MODE and site.verifies_creates(clock.now())

    def plans(self, session: Session, found: Sequence[Record]) -> dict[int, Plan | Rejected]:
        """The plan of each record, or why its document is invalid or cannot be mapped; by record id.

        What the records need is looked up for all of them in one query.
        """
        ready = {record.id: _caught(partial(self._ready, record)) for record in found}
        needs = {need for one in ready.values() if isinstance(one, _Ready) for need in one.needs}
        known = self._known(session, needs)
        return {
            record_id: one if isinstance(one, Rejected) else _caught(partial(self._planned, one, known))
            for record_id, one in ready.items()
        }

    def plan(self, session: Session, record: Record) -> Plan:
        """The plan of one record. Raises Rejected if its document is invalid or cannot be mapped."""
        ready = self._ready(record)
        return self._planned(ready, self._known(session, ready.needs))

    def mapped(self, session: Session, record: Record) -> dict[str, Doc]:
        """What the record's document is mapped to, by part, as the target would hold it; nothing of a two-way flow.

        Raises Rejected if it is invalid or cannot be mapped, MissingLookup if it lacks an entry or a link.
        """
        ready = self._ready(record)
        if ready.source_doc is None:
            return {}
        context = replace(ready.context, links=self._known(session, ready.needs))
        made = self.flow.mapping.apply(ready.source_doc, context)
        return {part: self.target.canonical(doc) for part, doc in made.items()}

    def _known(self, session: Session, needs: Collection[Need]) -> dict[Need, str]:
        side = self.site.side(self.flow.source)
        found = links.known(session, self.site.connection.id, needs, from_side=side)
        missing = set(needs) - set(found)
        planned = links.planned(session, self.site.connection.id, missing, from_side=side) if missing else {}
        self.provisional |= set(planned)
        return {**{need: self.assumed[need] for need in needs if need in self.assumed}, **planned, **found}

    def _ready(self, record: Record) -> _Ready:
        raw = self.material.docs.get(record.id, {})
        context = Context(
            references=self._references(raw),
            lookups=self.material.lookups,
            settings=self.settings,
            parts=tuple(part for part in record.parts.split(";") if part),
        )
        if self.flow.two_way:
            return _Ready(record, raw, None, context)
        raw_source = raw.get(self.source.name, {}).get(record.key)
        source_doc = self.source.load(raw_source) if raw_source is not None else None
        needs = self.flow.mapping.needs(source_doc, context) if source_doc is not None else ()
        return _Ready(record, raw, source_doc, context, needs)

    def _planned(self, ready: _Ready, known: Mapping[Need, str]) -> Plan:
        make = partial(self._pair if self.flow.two_way else self._one_way, ready, known)
        made = _storable(decisions.applied(make(), self.material.decided.get(ready.record.id), make))
        made = replace(made, links=links.revisions(self.material.linked[ready.record.id]))
        provisional = [named(need) for need in ready.needs if need in self.provisional]
        return replace(made, provisional=provisional) if provisional else made

    def _one_way(self, ready: _Ready, known: Mapping[Need, str], approved: str = "") -> Plan:
        context = replace(ready.context, links={need: known[need] for need in ready.needs if need in known})
        record, raw = ready.record, ready.raw
        situation = Situation(
            flow=self.flow,
            target=self.target,
            source_doc=ready.source_doc,
            links={
                link.part: self._linked(record, link, raw)
                for link in self.material.linked[record.id]
                if not link.provisional
            },
            context=context,
            too_old=self._too_old(record, raw.get(self.source.name, {}).get(record.key)),
            in_doubt=record.id in self.material.doubtful,
            approved=bool(approved),
            verifies=self.verifies,
            edited=self._edited(raw.get(self.source.name, {}).get(record.key)),
        )
        return plan(situation)

    def _pair(self, ready: _Ready, known: Mapping[Need, str], approved: str = "") -> Plan:  # noqa: ARG002 - a pair has no needs
        record, raw = ready.record, ready.raw
        found = self.material.linked[record.id]
        link = self._linked(record, found[0], raw) if found else None
        left_raw = next(iter(raw.get(self.source.name, {}).values()), None)
        right_raw = next(iter(raw.get(self.target.name, {}).values()), None)
        ends = links.ends_of(self.flow, self.site, record.key)
        pair = Pair(
            flow=self.flow,
            left=self.source,
            right=self.target,
            left_key=found[0].left_key if found else ends.left,
            left_doc=self.source.load(left_raw) if left_raw is not None else None,
            right_doc=self.target.load(right_raw) if right_raw is not None else None,
            link=link,
            context=ready.context,
            too_old=self._too_old(record, left_raw if left_raw is not None else right_raw),
            in_doubt=record.id in self.material.doubtful,
            newer=self._newer(left_raw, right_raw),
            approved=approved,
        )
        return plan_pair(pair)

    def _references(self, raw: Mapping[str, Mapping[str, Doc]]) -> dict[str, dict[str, Doc]]:
        own = {self.source.name, self.target.name}
        return {
            name: {key: self.site.resource(name).load(doc) for key, doc in docs.items()}
            for name, docs in raw.items()
            if name not in own
        }

    def _linked(self, record: Record, link: Link, raw: Mapping[str, Mapping[str, Doc]]) -> Linked:
        key = link.right_key if self.site.side(self.target.name) == "right" else link.left_key
        current = raw.get(self.target.name, {}).get(key or "")
        doubt = self.material.tried.get((record.id, link.part))
        return Linked(
            key=key,
            base=links.base_of(self.engine, self.flow, link),
            numbers={**(doubt.numbers if doubt else {}), **link.lines},  # what was recognised before the try
            current=self.target.load(current) if current is not None else None,
            natural_key=link.natural_key,
            provisional=link.provisional,
            tried=doubt.agreed if doubt else {},
        )

    def _too_old(self, record: Record, raw_source: Doc | None) -> bool:
        cut_over = self.site.connection.cut_over
        if not self.flow.cut_over or record.needed or cut_over is None or raw_source is None:
            return False
        created = self.source.created_at(raw_source)
        return created is not None and created < cut_over

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
    """The plan, if the store can keep the keys that it names. Raises Rejected."""
    for need in plan_.needs:
        if not is_key(need.key) or len(need.part) > LONGEST_PART:
            _refuse_key(need.entity, need.key)
    for step in plan_.steps:
        if step.operation.natural_key and not is_key(step.operation.natural_key):
            _refuse_key(step.resource, step.operation.natural_key)
    return plan_


def _refuse_key(field: str, key: str) -> None:
    reason = "this cannot be a key: it is empty, longer than 122 characters, or has some that no store keeps"
    raise Rejected(
        field=field, value=key, reason=reason, remedy="Correct it at the source and it will be fetched again"
    )


def _caught(make: Callable[[], T]) -> T | Rejected:
    """What `make` gives, or its complaint: a bad record stops no other."""
    try:
        return make()
    except Rejected as error:
        return error


class _Outcome:
    """Stores what was planned: statuses, plans, needs, dead letters, agreements; all in the transaction that is given."""

    def __init__(
        self, session: Session, engine: Engine, lease: Lease, flow: Flow, site: Site, material: Material
    ) -> None:
        self.session, self.engine, self.lease, self.flow, self.site = session, engine, lease, flow, site
        self.material = material
        self.now = clock.now()
        self.by_id = {record.id: record for record in lease.records}
        self.moving: set[int] = set()

    def settle(self, made: Mapping[int, Plan | Rejected]) -> None:
        mine = records.held(self.session, self.lease)
        made = self._missed({record_id: plan_ for record_id, plan_ in made.items() if record_id in mine})
        lapses = {record_id: lapse for record_id, lapse in self.material.corrected.lapses.items() if record_id in mine}
        corrections.lapse(self.session, self.by_id, lapses, self.now)
        decisions.follow(self.session, self.by_id, self.material.decided, made, self.now)
        ends: dict[int, End] = {}
        bodies: dict[int, bytes] = {}
        details: dict[int, dict[str, Any]] = {}
        to_push: list[int] = []
        for record_id, plan_ in made.items():
            record = self.by_id[record_id]
            if isinstance(plan_, Rejected):
                ends[record_id] = End(Status.DEAD, str(plan_))
                deadletters.open_rejected(self.session, record, plan_, Stage.TRANSFORM, self.now)
                details[record_id] = {"field": plan_.field, "reason": plan_.reason}
                continue
            bodies[record_id] = payloads.seal(self.engine.vault, plans.to_doc(self._turn_out(record, plan_)))
            details[record_id] = {**plans.shown(plan_), **self._corrected(record_id)}
            if plan_.kind is Kind.WRITE:
                if self._still_moving(record, plan_):
                    self.moving.add(record_id)
                else:
                    to_push.append(record_id)
            else:
                need = plan_.needs[0] if plan_.needs else None
                equal = plan_.agreements and plan_.kind is Kind.SKIP and not plan_.decided
                status = Status.DONE if equal else STATUS_OF[plan_.kind]
                ends[record_id] = End(status, plan_.reason, need)
                self._confirm(record, plan_)
        self._store(made, ends, bodies, details, to_push)

    def _missed(self, made: Mapping[int, Plan | Rejected]) -> Mapping[int, Plan | Rejected]:
        """The plans, with a complaint in the place of those by which nothing comes for which others wait.

        Else these would wait for ever, and nobody would see it.
        """
        left = {
            links.ends_of(self.flow, self.site, self.by_id[record_id].key).on(
                self.site.side(self.flow.source)
            ): record_id
            for record_id, plan_ in made.items()
            if isinstance(plan_, Plan) and plan_.kind is Kind.SKIP and not plan_.agreements
            if not self.material.linked[record_id]
        }
        waiting = links.waiting_for(
            self.session, self.site.connection.id, self.flow.entity, [key for key in left if key]
        )
        complaints = {left[key]: self._complaint(key, count, made[left[key]]) for key, count in waiting.items()}
        return {**made, **complaints}

    def _complaint(self, key: str, count: int, plan_: Plan | Rejected) -> Rejected:
        return Rejected(
            field=self.flow.source,
            value=key,
            reason=f"others wait for it ({count} at this moment), and it is left alone: {plan_.reason}",
            remedy="Correct it at the source, or what refers to it; those go on by themselves",
        )

    def _store(
        self,
        made: Mapping[int, Plan | Rejected],
        ends: Mapping[int, End],
        bodies: Mapping[int, bytes],
        details: Mapping[int, Mapping[str, Any]],
        to_push: Sequence[int],
    ) -> None:
        payloads.save(self.session, "plan", bodies, self.now)
        needs = [self._wanted(need) for plan_ in made.values() if isinstance(plan_, Plan) for need in plan_.needs]
        lane = min((record.lane for record in self.by_id.values()), default=Lane.SCHEDULED)
        since = min((record.not_before for record in self.by_id.values()), default=self.now)
        want_needs(self.session, self.site.connection.id, needs, lane=lane, now=self.now, since=since)
        records.deal_with(self.session, self.lease, ends, self.now)
        records.advance(self.session, self.lease, to_push, Stage.PUSH)
        for word in (*WORD_OF.values(), "dead", "still moving"):
            some = [self.by_id[i] for i, plan_ in made.items() if self._word(i, plan_) == word]
            timeline.note(self.session, some, word, self.now, details)
        records.leave(self.session, self.lease, self.now)

    def _corrected(self, record_id: int) -> Mapping[str, str]:
        held = self.material.corrected.held.get(record_id)
        return {"corrected": f"corrected by {held.made_by}: {', '.join(held.paths)}"} if held else {}

    def _wanted(self, need: Need) -> Need:
        """The need as its flow names its records: in a two-way flow with the side of the key before it."""
        two_way = need.flow != "" and self.engine.flow(need.flow).two_way
        return replace(need, key=f"{self.site.side(self.flow.source)}:{need.key}") if two_way else need

    def _word(self, record_id: int, plan_: Plan | Rejected) -> str:
        """The word for the timeline."""
        if isinstance(plan_, Rejected):
            return "dead"
        return "still moving" if record_id in self.moving else WORD_OF[plan_.kind]

    def _still_moving(self, record: Record, plan_: Plan) -> bool:
        """Put the record off if its object may still be under construction at the source. True if it was."""
        source = self.site.resource(self.flow.source)
        raw = self.material.docs.get(record.id, {}).get(source.name, {}).get(record.key)
        print_ = plan_.hash
        before = Quiet(record.quiet_print, record.quiet_since)
        wait_s = quiet_wait(
            self._quiet_s(),
            touched_at=source.touched_at(raw) if raw is not None else None,
            read_at=record.source_time or self.now,
            print_=print_,
            before=before,
            now=record.fetched_at or self.now,
        )
        since = before.since if before.print == print_ else record.fetched_at
        if wait_s or before.print:
            self.session.execute(
                update(Record)
                .where(Record.id == record.id)
                .values(quiet_print=print_ if wait_s else "", quiet_since=since if wait_s else None)
                .execution_options(synchronize_session=False)
            )
        if wait_s:
            until = self.now + timedelta(seconds=wait_s)
            records.put_off(self.session, self.lease, [record.id], until, pause=Pause.QUIET, stage=Stage.FETCH)
        return wait_s > 0

    def _quiet_s(self) -> float:
        own = self.site.connection.quiet_s
        return self.flow.quiet_s if own is None else own

    def _turn_out(self, record: Record, plan_: Plan) -> Plan:
        """A change of unknown outcome has happened: what it agreed is kept, whatever becomes of the next write.

        Returns the plan, which knows of that agreement.
        """
        by_part = {link.part: link for link in self.material.linked[record.id]}
        for found in plan_.turned_out:
            effects.confirm_change(self.session, record.id, found.part, self.now)
            agreed = links.Agreed(found.agreed, found.numbers)
            links.agree(self.session, self.engine, self.flow, by_part[found.part].id, agreed, self.now)
        agreed_anew = {found.part: plan_.links[found.part] + 1 for found in plan_.turned_out}
        return replace(plan_, links={**plan_.links, **agreed_anew}) if agreed_anew else plan_

    def _confirm(self, record: Record, plan_: Plan) -> None:
        """Both sides agree without a write: remember it, and settle a change whose outcome was unknown."""
        by_part = {link.part: link for link in self.material.linked[record.id]}
        for agreement in plan_.agreements:
            link = by_part[agreement.part]
            in_doubt = effects.confirm_change(self.session, record.id, agreement.part, self.now)
            agreed = links.Agreed(agreement.agreed, agreement.numbers)
            if (
                in_doubt
                or agreement.agreed != links.base_of(self.engine, self.flow, link)
                or dict(link.lines) != dict(agreed.lines)
            ):
                links.agree(self.session, self.engine, self.flow, link.id, agreed, self.now)
        for refused in plan_.refusable if plan_.kind is Kind.SKIP else ():  # the difference stays, and is agreed
            accepted = links.Agreed(refused.agreed, refused.numbers)
            links.agree(self.session, self.engine, self.flow, by_part[refused.part].id, accepted, self.now)
