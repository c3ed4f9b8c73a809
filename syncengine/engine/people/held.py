"""Held records, for the people who decide on them: why each is held, what can be done about it, and the decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import decisions, payloads, timeline
from syncengine.engine.core.decisions import ActiveDecision
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.failures import alike, common_text
from syncengine.engine.core.want import want
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import GONE, WAIVABLE, Plan, PlanKind
from syncengine.engine.people import seen, selection, trace
from syncengine.engine.people.seen import ActionResult, Outdated
from syncengine.engine.people.trace import Trace
from syncengine.engine.writes import unsettled
from syncengine.engine.writes.unsettled import UnknownWrite
from syncengine.errors import Misconfigured, Rejected
from syncengine.store.models import ConnectionRow, Record
from syncengine.store.states import Lane, Status, Why

AT_ONCE = 500
GONE_ADVICE = "It cannot be approved. Run `syncengine unlink {key} --recreate` to create it again, or refuse it"
ADVICE: Mapping[Why, str] = {
    Why.RULE: "Approve it to write it as shown, or refuse it to leave the target unchanged",
    Why.CONFLICT: "Approve it to write the source's values, or refuse it to keep the target's",
    Why.UNCLEAR: "It cannot be approved: those lines are indistinguishable. Fix them in the target, or refuse it",
    Why.REFUSED: "It cannot be approved: the target would reject it. Make the change possible there, or refuse it",
    **dict.fromkeys(GONE, GONE_ADVICE),
    Why.UNKNOWN_WRITE: "Check the target, then run `syncengine held settle {key}` with --happened or --did-not",
    Why.CEILING: "Find out what causes the writes, then run `syncengine ceilings open {connection} {flow} --because TEXT`",
    Why.EXISTS: (
        "If it is the same object, run `syncengine link {flow} {key} KEY`, where KEY is its key in the target. For many, set "
        "verify_creates_until in syncengine.yml and run `syncengine configure`: objects that agree are linked"
    ),
    Why.WRITE: (
        "If both are the same object, run `syncengine link`. Otherwise fix it on either side, or run `syncengine ignore {key}`"
    ),
}
REFUSABLE = (Why.RULE, Why.CONFLICT, Why.UNCLEAR, Why.REFUSED, *GONE)


@dataclass(frozen=True, slots=True)
class HeldFilter:
    """Which held records; all of them if nothing is given.

    records: by id, None for any. reason: a part of its text, in any case.
    """

    records: Sequence[int] | None = None
    connection: str | None = None
    flow: str | None = None
    reason: str | None = None

    @property
    def narrows(self) -> bool:
        """False if it means all held records."""
        return self != HeldFilter()

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query over Record and its Connection."""
        found = selection.conditions(
            equal=(
                (Record.status, Status.HELD), (ConnectionRow.name, self.connection), (Record.flow, self.flow),
            ),
            containing=((Record.reason, self.reason),),
        )  # fmt: skip
        return [*found, Record.id.in_(self.records)] if self.records is not None else found


@dataclass(frozen=True, slots=True)
class Held:
    """A held record, why it is held (`hold`, a key of ADVICE), and the active decision on it, if any.

    plan: None if something else than its plan holds it. plan_hash, prints: of the plan as it was when the record was held
    (`Plan.prints`); empty without a plan. stopped: the writes that the write ceiling has stopped, as planned then; None if
    something else holds the record, or that plan is no longer kept.
    """

    record: Record
    connection: str
    hold: Why
    plan: Plan | None
    plan_hash: str
    decision: ActiveDecision | None
    stopped: Plan | None = None
    prints: Mapping[str, Any] = field(default_factory=dict)

    @property
    def advice(self) -> str:
        """What to do about it, as one or two sentences without the last full stop."""
        return ADVICE[self.hold].format(key=self.record.key, connection=self.connection, flow=self.record.flow)

    @property
    def may_be_approved(self) -> bool:
        """Whether its plan may be written after all."""
        return self.plan is not None and self.hold in WAIVABLE

    @property
    def may_be_refused(self) -> bool:
        """Whether its plan may be dropped."""
        return self.plan is not None and self.hold in REFUSABLE


@dataclass(slots=True, kw_only=True)
class HeldGroup(selection.Group):
    """Held records of one connection, flow and hold whose reasons differ in numbers and quoted texts alone."""

    connection: str
    flow: str
    hold: str
    reason: str
    advice: str
    example: str


def listed(
    session: Session, engine: Engine, chosen: HeldFilter | None = None, *, most: int | None = None
) -> list[Held]:
    """Held records, the longest held first. most: how many at most, None for all. Raises Transient."""
    query = selection.named(Record, (chosen or HeldFilter()).conditions()).order_by(Record.updated_at, Record.id)
    rows = [(record, name) for record, name in session.execute(query.limit(most))]
    return [held for some in chunks(rows, AT_ONCE) for held in _of(session, engine, some)]


def count(session: Session, chosen: HeldFilter | None = None) -> int:
    """How many held records there are. Raises Transient."""
    return selection.count(session, Record, (chosen or HeldFilter()).conditions())


def _of(session: Session, engine: Engine, rows: Sequence[tuple[Record, str]]) -> list[Held]:
    ids = [record.id for record, _ in rows]
    stored = payloads.load(session, engine.vault, "plan", ids)
    doubtful = {doubt.effect.record_id for doubt in unknown_writes_of(session, engine, ids)}
    decided = decisions.active(session, ids)
    made = []
    for record, name in rows:
        last = plan_codec.from_doc(stored[record.id]) if record.id in stored else None
        plan = last if last is not None and last.kind is PlanKind.HOLD and last.why == record.why else None
        plan_hash = stored[record.id]["hash"] if plan is not None else ""
        hold = _hold(record, doubtful)
        stopped = last if hold is Why.CEILING and last is not None and last.kind is PlanKind.WRITE else None
        prints = stored[record.id].get("prints", {}) if plan is not None else {}
        made.append(Held(record, name, hold, plan, plan_hash, decided.get(record.id), stopped, prints))
    return made


def _hold(record: Record, doubtful: Iterable[int]) -> Why:
    return Why.UNKNOWN_WRITE if record.id in doubtful else Why(record.why or Why.WRITE)


def unknown_writes_of(session: Session, engine: Engine, record_ids: Sequence[int]) -> list[UnknownWrite]:
    """Writes of these records with an unknown outcome that only a person can find out."""
    found = unsettled.unknown_of(session, engine, record_ids)
    at_rest = select(Record.id).where(
        Record.id.in_([doubt.effect.record_id for doubt in found]),
        Record.status == Status.HELD, Record.wanted == Record.done, Record.token.is_(None),
    )  # fmt: skip
    held = set(session.scalars(at_rest)) if found else set()
    return [doubt for doubt in found if doubt.effect.record_id in held or _needs_a_person(engine, doubt)]


def _needs_a_person(engine: Engine, doubt: UnknownWrite) -> bool:
    """True if it cannot be searched for, was sent as often as allowed, or was confirmed by the target and is not found there.

    The writes of a held record were searched for, too: the result was ambiguous, or another object.
    """
    often = doubt.effect.sends >= engine.limits.sends
    return often or doubt.effect.accepted or unsettled.blocks(engine.connection(doubt.effect.connection_id), doubt)


def groups(found: Iterable[Held]) -> list[HeldGroup]:
    """Held records by reason, the largest group first."""
    made: dict[tuple[str, ...], HeldGroup] = {}
    reasons: dict[tuple[str, ...], list[str]] = {}
    for held in found:
        record, at = held.record, held.record.updated_at
        cause = (held.connection, record.flow, held.hold, alike(record.reason))
        reasons.setdefault(cause, []).append(record.reason)
        if cause not in made:
            made[cause] = HeldGroup(
                connection=held.connection, flow=record.flow, hold=held.hold, reason=record.reason, advice=held.advice,
                first=at, last=at, example=record.key,
            )  # fmt: skip
        made[cause].add(at)
    for key, group in made.items():
        group.reason = common_text(reasons[key])
    return sorted(made.values(), key=lambda group: (-group.count, group.flow, group.reason))


# -- a single record ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldDetail:
    """A held record with everything needed to decide on it.

    approved: what approving it would write, as of the last read; None if it cannot be approved. changed: why it would be
    planned differently now, empty if it would not. doubts: writes whose outcome a person must find out. way: its history.
    """

    held: Held
    approved: Plan | None
    changed: str
    doubts: Sequence[UnknownWrite]
    way: Trace


def detail(session: Session, engine: Engine, record: Record) -> HeldDetail:
    """Everything about one held record. Raises Misconfigured if it is not held."""
    held = of_record(session, engine, record)
    approved, changed = None, ""
    if held.plan is not None:
        made = if_approved(session, engine, [held])[record.id]
        approved, changed = (None, made) if isinstance(made, str) else (made, "")
    doubts = unknown_writes_of(session, engine, [record.id])
    return HeldDetail(
        held, approved if held.may_be_approved else None, changed, doubts, trace.of_record(session, engine, record)
    )


def of_record(session: Session, engine: Engine, record: Record) -> Held:
    """One record as held. Raises Misconfigured if it is not."""
    if record.status != Status.HELD:
        raise Misconfigured(f"{record.flow} {record.key} is not held: {trace.state_of(session, record)}")
    name = session.get_one(ConnectionRow, record.connection_id).name
    return _of(session, engine, [(record, name)])[0]


def if_approved(
    session: Session, engine: Engine, found: Sequence[Held], *, side: str = decisions.SIDES[0]
) -> dict[int, Plan | str]:
    """What approving each record would write, as of the last read, or why it would be planned differently now; by record id.

    side: in a two-way flow, whose values win where both have changed.
    """
    from syncengine.engine.steps.planner import Planner, gather

    made: dict[int, Plan | str] = {}
    places: dict[tuple[int, str], list[Held]] = {}
    for held in found:
        places.setdefault((held.record.connection_id, held.record.flow), []).append(held)
    for (connection_id, flow_name), some in places.items():
        if flow_name in engine.broken:
            made |= {held.record.id: str(engine.broken[flow_name]) for held in some}
            continue
        route = engine.route(connection_id, flow_name)
        records = [held.record for held in some]
        material = gather(session, route, records)
        assumed = {held.record.id: ActiveDecision(0, held.record.id, side, held.plan_hash, "", "") for held in some}
        planner = Planner(route, replace(material, decided=assumed))
        for record_id, outcome in planner.plans(session, records).items():
            made[record_id] = _as_approved(outcome)
    return made


def _as_approved(outcome: Plan | Rejected) -> Plan | str:
    if isinstance(outcome, Rejected):
        return f"it would fail now: {outcome}"
    if not outcome.decided:
        return f"it would be planned differently now: {outcome.kind}{f': {outcome.reason}' if outcome.reason else ''}"
    return outcome


# -- decisions ---------------------------------------------------------------------------------------------------------


def why_not_decidable(held: Held) -> Misconfigured:
    """The error for a decision that this record does not allow; its remedy says what to do instead."""
    return Misconfigured(f"{held.record.flow} {held.record.key} is held: {held.record.reason}", held.advice)


def approve(
    engine: Engine,
    found: Sequence[Held],
    *,
    by: str,
    because: str = "",
    side: str = decisions.SIDES[0],
    lane: Lane = Lane.REALTIME,
) -> ActionResult:
    """Have held plans written, each exactly as it was shown.

    Records that have changed since are left out: those no longer held or held by another plan, in progress, or decided on by
    somebody else. side: in a two-way flow, whose values win where both have changed. Raises Misconfigured if a record cannot
    be approved, or all were left out.
    """
    for held in found:
        if not held.may_be_approved:
            raise why_not_decidable(held)
        if side != decisions.SIDES[0] and not (engine.flow(held.record.flow).two_way and held.hold == Why.CONFLICT):
            raise Misconfigured(
                f"{held.record.flow} {held.record.key} was not changed on both sides, so the {side} side cannot win",
                "Refuse it to keep the target's values",
            )
    return _decide(engine, found, side=side, by=by, because=because, lane=lane)


def refuse(engine: Engine, found: Sequence[Held], *, by: str, because: str, lane: Lane = Lane.REALTIME) -> ActionResult:
    """Drop held plans; the difference counts as agreed where it can. What has changed since is left out, as in `approve`.

    Raises Misconfigured if a record cannot be refused, all were left out, or `because` is empty.
    """
    seen.require_reason(because)
    for held in found:
        if not held.may_be_refused:
            raise why_not_decidable(held)
    return _decide(engine, found, side="", by=by, because=because, lane=lane)


def _decide(engine: Engine, found: Sequence[Held], *, side: str, by: str, because: str, lane: Lane) -> ActionResult:
    now = clock.now()
    verdict = decisions.APPROVED if side else decisions.REFUSED
    reason = {name: text for name, text in (("by", by), ("because", because)) if text}
    wins = {"wins": side} if side not in ("", decisions.SIDES[0]) else {}
    with engine.store.write() as session:
        fits, left = _as_shown(session, engine, found, side)
        records = [held.record for held in fits]
        decisions.end(session, records, now, f"{verdict} by {by} instead")
        for held in fits:
            prints = {**held.prints, "hold": held.hold}
            decisions.save(session, held.record, held.plan_hash, prints, side=side, because=because, by=by, now=now)
            want(session, held.record.connection_id, held.record.flow, [held.record.key], lane=lane, now=now)
        details = {record.id: {**reason, **wins, "held for": record.reason} for record in records}
        timeline.note(session, records, verdict, now, details)
        return seen.result_of(len(fits), left)


def _as_shown(session: Session, engine: Engine, found: Sequence[Held], side: str) -> tuple[list[Held], list[Outdated]]:
    """Records that are held exactly as shown and have no such decision yet, locked; and the others."""
    locked = seen.locked(session, [held.record.id for held in found])
    rows = [(locked[held.record.id], held.connection) for held in found if held.record.id in locked]
    fresh = {held.record.id: held for some in chunks(rows, AT_ONCE) for held in _of(session, engine, some)}
    fits, left = [], []
    for held in found:
        if why := _differs(session, held, fresh.get(held.record.id), side):
            left.append(Outdated(held.record.flow, held.record.key, why))
        else:
            fits.append(fresh[held.record.id])
    return fits, left


def _differs(session: Session, was: Held, fresh: Held | None, side: str) -> str:
    """Why a held record cannot be decided on as it was shown, for a `side` or to refuse it; empty if it can."""
    if fresh is None:
        return seen.missing(session, was.record.id)
    if fresh.record.status != Status.HELD:
        return f"it is no longer held: {trace.state_of(session, fresh.record)}"
    if fresh.plan_hash != was.plan_hash:
        return f"it is now held by another plan: {fresh.record.reason}"
    decision = fresh.decision
    if (
        decision is not None
        and not decision.rises
        and (decision.side == side or was.decision is None or was.decision.id != decision.id)
    ):
        return f"it was {decision.text}"  # before BUSY, which may be the effect of that decision
    if decision is None and was.decision is not None and not was.decision.rises:
        return "the decision on it has ended"
    return seen.BUSY if fresh.record.token is not None else ""
