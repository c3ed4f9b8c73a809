"""Held records, for the people who decide on them: what holds each, what may be done about it, and doing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import decisions, payloads, timeline
from syncengine.engine.core.decisions import ActiveDecision
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.failures import alike
from syncengine.engine.core.want import want
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import GONE, WAIVABLE, Plan, PlanKind
from syncengine.engine.people import seen, trace
from syncengine.engine.people.seen import ActionResult, Outdated
from syncengine.engine.people.trace import Trace
from syncengine.engine.steps.planner import Planner, gather
from syncengine.engine.writes import effects
from syncengine.engine.writes.effects import UnknownWrite
from syncengine.errors import Misconfigured, Rejected
from syncengine.store.models import ConnectionRow, Record
from syncengine.store.states import Lane, Status, Why

AT_ONCE = 500
GONE_ADVICE = (
    "It cannot be approved. `syncengine unlink {key} --recreate` has it created anew; refuse it and it stays gone"
)
ADVICE: Mapping[Why, str] = {
    Why.RULE: "Approve it and it is written as shown; refuse it and the target stays as it is",
    Why.CONFLICT: "Approve it and the source's values are written; refuse it and the target keeps its own",
    Why.UNCLEAR: "It cannot be approved: those lines cannot be told apart. Mend them in the target, or refuse it",
    Why.REFUSED: "It cannot be approved: the target would not take it. Make it possible there, or refuse it",
    **dict.fromkeys(GONE, GONE_ADVICE),
    Why.UNKNOWN_WRITE: "Look in the target, then `syncengine held settle {key}` with --happened or --did-not",
    Why.CEILING: "Look why there are so many writes, then `syncengine ceilings open {connection} {flow} --because TEXT`",
    Why.WRITE: "If both are the same object, `syncengine link` them; else mend it on either side, or `syncengine ignore {key}`",
}
REFUSABLE = (Why.RULE, Why.CONFLICT, Why.UNCLEAR, Why.REFUSED, *GONE)


@dataclass(frozen=True, slots=True)
class HeldFilter:
    """Which held records; without anything all. `reason`: a part of it, in capitals or not. `records`: by number."""

    records: Sequence[int] = ()
    connection: str | None = None
    flow: str | None = None
    reason: str | None = None

    @property
    def narrows(self) -> bool:
        return self != HeldFilter()

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query over Record and its Connection."""
        found: list[ColumnElement[bool]] = [Record.status == Status.HELD]
        if self.records:
            found.append(Record.id.in_(self.records))
        if self.connection:
            found.append(ConnectionRow.name == self.connection)
        if self.flow:
            found.append(Record.flow == self.flow)
        if self.reason:
            found.append(func.lower(Record.reason).contains(self.reason.lower(), autoescape=True))
        return found


@dataclass(frozen=True, slots=True)
class Held:
    """A held record: by what (`hold`, a key of ADVICE), its plan if it is one that holds it, a decision that stands.

    plan_hash, prints: of the plan as it was when the record was held (`Plan.prints`); empty without one. stopped: what the
    write ceiling has kept from being written, as it was planned then; None where something else holds it, or that plan is not
    kept any more.
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
        """What to do about it."""
        return ADVICE[self.hold].format(key=self.record.key, connection=self.connection, flow=self.record.flow)

    @property
    def may_be_approved(self) -> bool:
        return self.plan is not None and self.hold in WAIVABLE

    @property
    def may_be_refused(self) -> bool:
        return self.plan is not None and self.hold in REFUSABLE


@dataclass(slots=True)
class HeldGroup:
    """Held records of one reason but for numbers and what stands in quotes: same connection, flow and hold."""

    connection: str
    flow: str
    hold: str
    reason: str
    advice: str
    count: int
    first: datetime
    last: datetime
    example: str


def listed(
    session: Session, engine: Engine, chosen: HeldFilter | None = None, *, most: int | None = None
) -> list[Held]:
    """Held records, those that are held longest first."""
    query = (
        select(Record, ConnectionRow.name)
        .join(ConnectionRow, ConnectionRow.id == Record.connection_id)
        .where(*(chosen or HeldFilter()).conditions())
        .order_by(Record.updated_at, Record.id)
        .limit(most)
    )
    rows = [(record, name) for record, name in session.execute(query)]
    return [one for some in chunks(rows, AT_ONCE) for one in _of(session, engine, some)]


def count(session: Session, chosen: HeldFilter | None = None) -> int:
    """How many there are."""
    query = select(func.count(Record.id)).join(ConnectionRow, ConnectionRow.id == Record.connection_id)
    return session.scalar(query.where(*(chosen or HeldFilter()).conditions())) or 0


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
    """Writes of these records that a person alone can settle."""
    found = effects.unknown_of(session, engine, record_ids)
    at_rest = select(Record.id).where(
        Record.id.in_([doubt.effect.record_id for doubt in found]),
        Record.status == Status.HELD, Record.wanted == Record.done, Record.token.is_(None),
    )  # fmt: skip
    held = set(session.scalars(at_rest)) if found else set()
    return [doubt for doubt in found if doubt.effect.record_id in held or _needs_a_person(engine, doubt)]


def _needs_a_person(engine: Engine, doubt: UnknownWrite) -> bool:
    """It cannot be found out by machine, was sent as often as one write may be, or is said to be done and is not found.

    The machine has looked for those of a held record, too: what it found is not one object, or another object's.
    """
    often = doubt.effect.sends >= engine.limits.sends
    return often or doubt.effect.accepted or effects.blocks(engine.connection(doubt.effect.connection_id), doubt)


def groups(found: Iterable[Held]) -> list[HeldGroup]:
    """Held records by reason, the largest group first."""
    made: dict[tuple[str, ...], HeldGroup] = {}
    for one in found:
        record = one.record
        place = (one.connection, record.flow, one.hold, alike(record.reason))
        group = made.get(place)
        if group is None:
            group = made[place] = HeldGroup(
                *place[:3], record.reason, one.advice, 0, record.updated_at, record.updated_at, record.key
            )
        group.count += 1
        group.first, group.last = min(group.first, record.updated_at), max(group.last, record.updated_at)
    return sorted(made.values(), key=lambda one: (-one.count, one.flow, one.reason))


# -- one ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldDetail:
    """A held record with all that helps to decide.

    approved: what would be written then, by what was last read; None if it cannot be approved. changed: why it would be
    another plan by now, empty if it would not. doubts: writes whose outcome a person must find out.
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
        held, approved if held.may_be_approved else None, changed, doubts, trace.of_record(session, record)
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
    """What each plan comes to once it is approved, by what was last read; or why it would be another plan by now."""
    made: dict[int, Plan | str] = {}
    places: dict[tuple[int, str], list[Held]] = {}
    for one in found:
        places.setdefault((one.record.connection_id, one.record.flow), []).append(one)
    for (connection_id, flow_name), some in places.items():
        flow, connection = engine.flow(flow_name), engine.connection(connection_id)
        records = [one.record for one in some]
        material = gather(session, engine, flow, connection, records)
        asked = {one.record.id: ActiveDecision(0, one.record.id, side, one.plan_hash, "", "") for one in some}
        planner = Planner(engine, flow, connection, replace(material, decided=asked))
        for record_id, outcome in planner.plans(session, records).items():
            made[record_id] = _as_approved(outcome)
    return made


def _as_approved(outcome: Plan | Rejected) -> Plan | str:
    if isinstance(outcome, Rejected):
        return f"it would fail by now: {outcome}"
    if not outcome.decided:
        return f"it would be another plan by now: {outcome.kind}{f': {outcome.reason}' if outcome.reason else ''}"
    return outcome


# -- decided -----------------------------------------------------------------------------------------------------------


def why_not_decidable(one: Held) -> Misconfigured:
    """That this record cannot be decided on so, and what to do instead."""
    return Misconfigured(f"{one.record.flow} {one.record.key} is held: {one.record.reason}", f"{one.advice}")


def approve(
    engine: Engine,
    found: Sequence[Held],
    *,
    by: str,
    because: str = "",
    side: str = decisions.SIDES[0],
    lane: Lane = Lane.REALTIME,
) -> ActionResult:
    """Let held plans be written, each as it was shown and no other.

    What has changed since is left: what is not held any more or by another plan, is being worked on, or was decided on by
    somebody else. side: in a two-way flow, whose values win where both have changed. Raises Misconfigured if one cannot be
    approved, or all were left.
    """
    for one in found:
        if not one.may_be_approved:
            raise why_not_decidable(one)
        if side != decisions.SIDES[0] and not (engine.flow(one.record.flow).two_way and one.hold == Why.CONFLICT):
            raise Misconfigured(
                f"{one.record.flow} {one.record.key} is no pair that was changed on both sides, so that no {side} side can win",
                "Refuse it, and the target keeps its own",
            )
    return _decide(engine, found, side=side, by=by, because=because, lane=lane)


def refuse(engine: Engine, found: Sequence[Held], *, by: str, because: str, lane: Lane = Lane.REALTIME) -> ActionResult:
    """Have held plans not written; the difference is agreed where it can be. What has changed since is left, as in `approve`.

    Raises Misconfigured if one cannot be refused, all were left, or `because` is empty.
    """
    if not because.strip():
        raise Misconfigured("--because is empty", "Say why, for those who look at it later")
    for one in found:
        if not one.may_be_refused:
            raise why_not_decidable(one)
    return _decide(engine, found, side="", by=by, because=because, lane=lane)


def _decide(engine: Engine, found: Sequence[Held], *, side: str, by: str, because: str, lane: Lane) -> ActionResult:
    now = clock.now()
    word = decisions.APPROVED if side else decisions.REFUSED
    detail = {name: text for name, text in (("by", by), ("because", because)) if text}
    wins = {"wins": side} if side not in ("", decisions.SIDES[0]) else {}
    with engine.store.write() as session:
        fits, left = _as_shown(session, engine, found, side)
        records = [one.record for one in fits]
        decisions.end(session, records, now, f"{word} by {by} instead")
        for one in fits:
            shown = {**one.prints, "hold": one.hold}
            decisions.save(session, one.record, one.plan_hash, shown, side=side, because=because, by=by, now=now)
            want(session, one.record.connection_id, one.record.flow, [one.record.key], lane=lane, now=now)
        told = {record.id: {**detail, **wins, "held for": record.reason} for record in records}
        timeline.note(session, records, word, now, told)
        return seen.result_of(len(fits), left)


def _as_shown(session: Session, engine: Engine, found: Sequence[Held], side: str) -> tuple[list[Held], list[Outdated]]:
    """Those that are held just as they were shown and not decided on in the same way already, locked; and the others."""
    now_held = seen.locked(session, [one.record.id for one in found])
    rows = [(now_held[one.record.id], one.connection) for one in found if one.record.id in now_held]
    fresh = {one.record.id: one for some in chunks(rows, AT_ONCE) for one in _of(session, engine, some)}
    fits, left = [], []
    for one in found:
        if why := _differs(session, one, fresh.get(one.record.id), side):
            left.append(Outdated(one.record.flow, one.record.key, why))
        else:
            fits.append(fresh[one.record.id])
    return fits, left


def _differs(session: Session, shown: Held, fresh: Held | None, side: str) -> str:
    """Why a held record cannot be decided on as it was shown, for a `side` or to refuse it; empty if it can."""
    if fresh is None:
        return seen.missing(session, shown.record.id)
    if fresh.record.status != Status.HELD:
        return f"it is not held any more: {trace.state_of(session, fresh.record)}"
    if fresh.plan_hash != shown.plan_hash:
        return f"another plan holds it now: {fresh.record.reason}"
    decision = fresh.decision
    if decision is not None and (decision.side == side or shown.decision is None or shown.decision.id != decision.id):
        return f"it was {decision.told}"  # before it is busy, which is what came of that
    if decision is None and shown.decision is not None:
        return "the decision on it has ended"
    return seen.BUSY if fresh.record.token is not None else ""
