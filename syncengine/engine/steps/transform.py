"""Second step: decide. Records are planned separately (`planner.py`); a failed one becomes a dead letter and stops no other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import decisions, failures, observe_mode, payloads, records, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Engine, Route, chunks
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.records import Completion
from syncengine.engine.core.want import want_needs
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.debounce import DebounceState, debounce_wait
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.steps import corrections, echo
from syncengine.engine.steps.planner import Material, Planner, gather
from syncengine.engine.writes import dependants, levels, link_keys, links, unsettled
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Need
from syncengine.store.models import Link, Record
from syncengine.store.states import Lane, Pause, Stage, Status, Why

LONGEST_RING = 10
RISES_TOGETHER_S, MANY_RISES_TOGETHER_S = 5, 15
"""Seconds, at least, within which levels that wait to rise are planned together, after one reading of the target's feeds."""

PLANNED_AT_ONCE = 20
"""Records planned between two checks of the lease and the time."""

STATUS_OF = {PlanKind.SKIP: Status.SKIPPED, PlanKind.HOLD: Status.HELD, PlanKind.WAIT: Status.WAITING}
EVENT_OF = {PlanKind.SKIP: "skipped", PlanKind.HOLD: "held", PlanKind.WAIT: "waiting", PlanKind.WRITE: "planned"}


def transform(engine: Engine, lease: Lease) -> None:
    """Plan every record of the lease and store the plans; only records with something to write stay in the chain.

    Runs for `step_s` seconds at most; what is left is given back to the pump, to be planned from the same fetch.
    """
    route = engine.route_of(lease.records[0])
    with engine.store.read() as session:
        creating = (
            unsettled.creating(session, engine, route.connection_id, route.flow.entity) if echo.has_echo(route) else []
        )
        material = gather(session, route, lease.records)
        unseen = [record for record in lease.records if _linked_since(record, route, material)]
        early = echo.pending_creates(route, material, lease.records, creating)
        found = [record for record in lease.records if record not in unseen and record.id not in early]
        made, late = _planned(engine, lease, Planner(route, material), session, found)
    with engine.store.write(durable=False) as session:
        for record in unseen:
            why = "linked after it was fetched, by a worker that had been frozen"
            wait_s = backoff(record.attempts, most_s=engine.limits.backoff_s)  # else a wrong clock causes a busy loop
            records.put_off(
                session, lease, [record.id], clock.now() + timedelta(seconds=wait_s),
                pause=Pause.BACKOFF, stage=Stage.FETCH, counts=True, reason=why,
            )  # fmt: skip
        echo.put_off(session, engine, lease, early, clock.now())
        records.give_back(session, lease, late, clock.now())
        if made:
            _Outcome(session, route, lease, material).save(made)


def _planned(
    engine: Engine, lease: Lease, planner: Planner, session: Session, found: Sequence[Record]
) -> tuple[dict[int, Plan | Rejected], list[int]]:
    """The plans of as many records as time allows, at least of some, and the ids of the rest."""
    until = clock.monotonic() + engine.limits.step_s
    made: dict[int, Plan | Rejected] = {}
    for some in chunks(found, PLANNED_AT_ONCE):
        if made and clock.monotonic() > until:
            break
        lease.renew()
        made |= planner.plans(session, some)
    return made, [record.id for record in found if record.id not in made]


def _linked_since(record: Record, route: Route, material: Material) -> bool:
    """Whether a link was made after the fetch, so that its target is not missing but was not read."""
    side, read = route.target_side, material.docs.get(record.id, {}).get(route.flow.target, {})
    return any(
        not link.provisional and record.fetched_at is not None and link.updated_at > record.fetched_at
        and (link.right_key if side == "right" else link.left_key) not in read
        for link in material.linked[record.id]
    )  # fmt: skip


class _Outcome:
    """Stores what was planned: statuses, plans, needs, dead letters and agreements, in the transaction of `session`."""

    def __init__(self, session: Session, route: Route, lease: Lease, material: Material) -> None:
        self.session, self.route, self.lease = session, route, lease
        self.material = material
        self.now = clock.now()
        self.by_id = {record.id: record for record in lease.records}
        self.moving: set[int] = set()
        self.rising: set[int] = set()

    def save(self, made: Mapping[int, Plan | Rejected]) -> None:
        """Store the plans, or the errors, of records by id."""
        mine = records.owned(self.session, self.lease)
        made = self._missed({record_id: plan_ for record_id, plan_ in made.items() if record_id in mine})
        made = {**made, **self._rings(made)}
        lapses = {record_id: lapse for record_id, lapse in self.material.corrected.lapses.items() if record_id in mine}
        corrections.lapse(self.session, self.by_id, lapses, self.now)
        decisions.follow(self.session, self.by_id, self.material.decided, made, self.now)
        ends: dict[int, Completion] = {}
        bodies: dict[int, bytes] = {}
        details: dict[int, dict[str, Any]] = {}
        to_push: list[int] = []
        for record_id, plan_ in made.items():
            record = self.by_id[record_id]
            if isinstance(plan_, Rejected):
                ends[record_id] = Completion(Status.DEAD, str(plan_), Why.REJECTED)
                failures.open_rejected(self.session, record, plan_, Stage.TRANSFORM, self.now)
                details[record_id] = {"field": plan_.field, "reason": plan_.reason}
                continue
            bodies[record_id] = payloads.seal(
                self.route.engine.vault, plan_codec.to_doc(self._confirm_unknown_change(record, plan_))
            )
            details[record_id] = {**plan_codec.timeline_detail(plan_), **self._corrected(record_id)}
            if plan_.kind is PlanKind.WAIT and plan_.later is not None:
                details[record_id]["until"] = self._plan_later(record, plan_, plan_.later)
                self.rising.add(record_id)
            elif plan_.kind is PlanKind.WRITE:
                if self.route.flow.levels is None and self._debounced(record, plan_):
                    self.moving.add(record_id)
                else:
                    to_push.append(record_id)
            else:
                need = plan_.needs[0] if plan_.needs else None
                side = self.route.source_side if need is not None and need.flow else ""
                has_base = not (self.route.flow.compares or self.route.flow.levels)
                agrees = plan_.agreements or (not has_base and plan_.why is Why.EQUAL)
                equal = agrees and plan_.kind is PlanKind.SKIP and not plan_.decided
                status = Status.DONE if equal else STATUS_OF[plan_.kind]
                ends[record_id] = Completion(status, plan_.reason, plan_.why, plan_.about, need, side)
                self._confirm(record, plan_)
            self._resolve_unknown_changes(record, plan_)
        self._attend({record_id: plan_ for record_id, plan_ in made.items() if isinstance(plan_, Plan)})
        self._store(made, ends, bodies, details, to_push)

    def _plan_later(self, record: Record, plan_: Plan, until: datetime) -> datetime:
        """Plan a record again when more is known of what moves; returns when (UTC).

        A rise is planned from the same documents, once the target's feeds can tell what moved until they were read; those of
        about the same time share one reading of the feeds.
        """
        until = max(until, self.now + timedelta(seconds=1))
        lag_s = self.route.target.search_lag_s
        together_s = max(MANY_RISES_TOGETHER_S if record.lane == Lane.BACKFILL else RISES_TOGETHER_S, lag_s)
        shared = datetime.fromtimestamp(math.ceil(until.timestamp() / together_s) * together_s, UTC)
        records.put_off(
            self.session, self.lease, [record.id], shared,
            pause=Pause.RISE, stage=Stage.FETCH, reason=plan_.reason,
            keep_s=levels.KEEP_FOR_RISE_S if plan_.why is Why.MOVEMENTS else None,
        )  # fmt: skip
        return shared

    def _attend(self, made: Mapping[int, Plan]) -> None:
        """Tell people what the checks have found of what is written or compared, and that earlier findings are over."""
        if self.route.connection.row.mode == observe_mode.MODE:
            return
        found = {
            record_id: [remark for remark in plan_.remarks if not remark.holds]
            for record_id, plan_ in made.items()
            if plan_.kind in (PlanKind.WRITE, PlanKind.SKIP)
        }
        failures.attend(
            self.session, {self.by_id[record_id]: remarks for record_id, remarks in found.items()}, self.now
        )

    def _end_waits_of_comparisons(self, ends: Mapping[int, Completion]) -> None:
        if self.route.flow.compares or self.route.flow.write_back:
            return
        settled = [id_ for id_, end in ends.items() if end.status in (Status.DONE, Status.SKIPPED)]
        found = [link for id_ in settled for link in self.material.linked.get(id_, ())]
        dependants.want_comparisons(self.session, self.route.engine, found, self.now, waiting_only=True)

    def _missed(self, made: Mapping[int, Plan | Rejected]) -> Mapping[int, Plan | Rejected]:
        """The plans, with an error in place of each that creates nothing although others wait for its object.

        Otherwise those would wait for ever without anybody noticing. Records that were not planned as needed are rechecked.
        """
        left: dict[str, dict[str, Record]] = {}
        for record_id, plan_ in made.items():
            record = self.by_id[record_id]
            if isinstance(plan_, Plan) and plan_.kind is PlanKind.SKIP and record.needed:
                ends = self.route.keys.ends(record.key)
                left.setdefault(ends.side, {})[ends.on(ends.side) or ""] = record
        errors: dict[int, Rejected] = {}
        for side, by_key in left.items():
            waiting = dependants.waiting_for(
                self.session, self.route.connection_id, self.route.flow.entity, side, list(by_key)
            )  # fmt: skip
            for key, parts in waiting.items():
                record = by_key[key]
                there = {link_keys.part_on(link, side) for link in self.material.linked[record.id]}
                known = {"", *record.parts}
                if missing := {part: count for part, count in parts.items() if part in known - there}:
                    errors[record.id] = self._missing_error(key, missing, made[record.id])
        return {**made, **errors}

    def _missing_error(self, key: str, missing: Mapping[str, int], plan_: Plan | Rejected) -> Rejected:
        named, waiting = ", ".join(part for part in missing if part), sum(missing.values())
        others = "1 record needs" if waiting == 1 else f"{waiting} records need"
        return Rejected(
            field=self.route.flow.source,
            value=f"{key} ({named})" if named else key,
            reason=f"{others} this object, but it is skipped: {plan_.reason}",
            remedy="Correct it, or what refers to it, at the source; the waiting records then continue by themselves",
        )

    def _rings(self, made: Mapping[int, Plan | Rejected]) -> dict[int, Rejected]:
        """Errors in place of plans that close a ring of records waiting for one another: nothing would ever wake them."""
        found = {}
        for record_id, plan_ in made.items():
            needs = plan_.needs if isinstance(plan_, Plan) and plan_.kind is PlanKind.WAIT else ()
            for need in needs[:1]:
                record = self.by_id[record_id]
                if names := self._ring_of(record, need):
                    found[record_id] = Rejected(
                        field=self.route.flow.source,
                        value=record.key,
                        reason=f"these records need one another: {names}",
                        remedy="Correct one of them so that it no longer needs another, then retry",
                    )
        return found

    def _ring_of(self, record: Record, need: Need) -> str:
        """The ring of records that this need closes (`a 1 needs b 2 needs a 1`); empty if it closes none."""
        names, flow = [f"{record.flow} {record.key}"], self.route.flow
        for _ in range(LONGEST_RING):
            asked = self._wanted(need, flow)
            if not asked:
                return ""
            mine = (Record.connection_id == record.connection_id, Record.flow == need.flow, Record.key == asked[0].key)
            found = self.session.scalars(select(Record).where(*mine)).first()
            if found is None or (found.id != record.id and found.status != Status.WAITING):
                return ""
            names.append(f"{found.flow} {found.key}")
            if found.id == record.id:
                return " needs ".join(names)
            flow = self.route.engine.flow(found.flow)
            brings = flow.needs.get(found.need_entity, "")
            need = Need(found.need_entity, found.need_key, found.need_part, brings)
        return ""

    def _store(
        self,
        made: Mapping[int, Plan | Rejected],
        ends: Mapping[int, Completion],
        bodies: Mapping[int, bytes],
        details: Mapping[int, Mapping[str, Any]],
        to_push: Sequence[int],
    ) -> None:
        payloads.save(self.session, "plan", bodies, self.now)
        needs = [
            need
            for plan_ in made.values()
            if isinstance(plan_, Plan)
            for named_need in plan_.needs
            for need in self._wanted(named_need)
        ]
        lane = min((record.lane for record in self.by_id.values()), default=Lane.SCHEDULED)
        since = min((record.not_before for record in self.by_id.values()), default=self.now)
        want_needs(self.session, self.route.connection_id, needs, lane=lane, now=self.now, since=since)
        records.complete(self.session, self.lease, ends, self.now)
        self._end_waits_of_comparisons(ends)
        records.advance(self.session, self.lease, to_push, Stage.PUSH)
        by_event: dict[str, list[Record]] = {
            event: [] for event in (*EVENT_OF.values(), "dead", "still moving", "rise waits", "in transit")
        }
        for record_id, plan_ in made.items():
            if not self._is_old_news(record_id, ends):
                by_event[self._event_name(record_id, plan_)].append(self.by_id[record_id])
        for event, found in by_event.items():
            timeline.note(self.session, found, event, self.now, details)
        records.leave(self.session, self.lease, self.now)

    def _is_old_news(self, record_id: int, ends: Mapping[int, Completion]) -> bool:
        """Whether the hourly recheck found what holds the record, or what it waits for, unchanged: history shows it once."""
        record, end = self.by_id[record_id], ends.get(record_id)
        rests = end is not None and end.status in (Status.HELD, Status.WAITING) and record.lane == Lane.BACKFILL
        return rests and end is not None and end.repeats(record)

    def _corrected(self, record_id: int) -> Mapping[str, str]:
        held = self.material.corrected.held.get(record_id)
        return {"corrected": f"corrected by {held.made_by}: {', '.join(held.paths)}"} if held else {}

    def _wanted(self, need: Need, by: Flow | None = None) -> Sequence[Need]:
        """A need (of this flow, or of `by`) with the key that its own flow gives the record.

        Empty if that flow reads the other system, where the key would name a different object, or is disabled: then only the
        link is awaited.
        """
        if need.flow not in self.route.engine.flows:
            return []
        flow, side = self.route.engine.flow(need.flow), self.route.connection.side((by or self.route.flow).source)
        if flow.two_way:
            return [replace(need, key=f"{side}:{need.key}")]
        return [need] if self.route.connection.side(flow.source) == side else []

    def _event_name(self, record_id: int, plan_: Plan | Rejected) -> str:
        """The name of the event in the timeline."""
        if isinstance(plan_, Rejected):
            return "dead"
        if record_id in self.rising:
            return "in transit" if plan_.why is Why.IN_TRANSIT else "rise waits"
        return "still moving" if record_id in self.moving else EVENT_OF[plan_.kind]

    def _debounced(self, record: Record, plan_: Plan) -> bool:
        """Put the record off if somebody may still be editing its object at the source. True if it was put off."""
        source = self.route.connection.resource(self.route.flow.source)
        raw = next(iter(self.material.docs.get(record.id, {}).get(source.name, {}).values()), None)
        print_ = plan_.intention
        before = DebounceState(record.debounce_fingerprint, record.debounce_since)
        wait_s = debounce_wait(
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
                .values(debounce_fingerprint=print_ if wait_s else "", debounce_since=since if wait_s else None)
                .execution_options(synchronize_session=False)
            )
        if wait_s:
            until = self.now + timedelta(seconds=wait_s)
            records.put_off(self.session, self.lease, [record.id], until, pause=Pause.QUIET, stage=Stage.FETCH)
        return wait_s > 0

    def _quiet_s(self) -> float:
        own = self.route.connection.row.quiet_s
        return self.route.flow.quiet_s if own is None else own

    def _confirm_unknown_change(self, record: Record, plan_: Plan) -> Plan:
        """Save what changes of unknown outcome have agreed, since the target shows them, whatever becomes of the next write.

        Returns the plan with the new revisions of those links.
        """
        by_part = self._links(record)
        raised: dict[str, int] = {}
        for found in plan_.turned_out:
            unsettled.confirm_change(self.session, record.id, found.part, self.now)
            agreed, link = links.Agreed(found.agreed, found.numbers), by_part[found.part]
            raised[link.part] = links.agree(self.session, self.route, link.id, agreed, self.now).revision
        return replace(plan_, links={**plan_.links, **raised}) if raised else plan_

    def _links(self, record: Record) -> dict[str, Link]:
        return link_keys.by_part(self.route, self.material.linked[record.id])

    def _resolve_unknown_changes(self, record: Record, plan_: Plan) -> None:
        """Resolve changes of unknown outcome by the fetch after their settle time: what it does not show did not happen.

        Otherwise they would outlive the next write, and be taken for what somebody else writes long after. Those of a pair
        are left to its next agreement, which does not depend on them.
        """
        if self.route.flow.two_way or plan_.why is Why.UNKNOWN_WRITE:
            return
        docs = self.material.docs.get(record.id, {}).get(self.route.flow.target, {})
        for part, link in self._links(record).items():
            if (record.id, part) not in self.material.tried or link_keys.target_key(self.route, link) not in docs:
                continue
            if plan_.kind is PlanKind.SKIP and (plan_.agreements or plan_.refusable):
                unsettled.supersede(self.session, record.id, part, self.now)
            else:
                unsettled.deny_change(self.session, record.id, part, self.now)

    def _confirm(self, record: Record, plan_: Plan) -> None:
        """Save that both sides agree without a write, and confirm a change whose outcome was unknown."""
        by_part = self._links(record)
        for agreement in plan_.agreements:
            link = by_part[agreement.part]
            was_unknown = unsettled.confirm_change(self.session, record.id, agreement.part, self.now)
            agreed = links.Agreed(agreement.agreed, agreement.numbers)
            if (
                was_unknown
                or agreement.agreed != links.base_of(self.route, link)
                or links.numbers_of(self.route.flow, link) != dict(agreed.lines)
            ):
                links.agree(self.session, self.route, link.id, agreed, self.now)
        for refused in plan_.refusable if plan_.kind is PlanKind.SKIP else ():  # the difference counts as agreed
            accepted = links.Agreed(refused.agreed, refused.numbers)
            links.agree(self.session, self.route, by_part[refused.part].id, accepted, self.now)
