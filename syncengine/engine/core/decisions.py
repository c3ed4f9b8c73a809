"""A person's decision on a held plan: approved or refused. It applies only to that plan, identified by its hash.

An approval waives the rule, or lets the source win where both sides changed; a plan that the target refuses stays held. A
refusal turns the difference into the agreement, so that the plan is not held again. If there is no agreement to change (an
object to create or to cancel, a pair), nothing is written while the plan stays the same.

An approval of rises (`approve_rises`) is of another kind: it lets levels of one record rise beyond the limit, by as much as was
shown, though the plan may change meanwhile. Of the first run many are approved at once, while both systems are in use.

A decision ends, and the timeline records why: it was carried out, the plan changed, the object was ignored, linked or unlinked,
another decision replaced it, or an approval could not be carried out within `LASTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.connectors.base import Verb
from syncengine.engine.core import timeline
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.decide.plan import rises as rises_of
from syncengine.errors import Rejected
from syncengine.store.models import Decision as Row
from syncengine.store.models import Effect, Record
from syncengine.store.states import EffectState, Why

APPROVED = "approved"
REFUSED = "refused"
SIDES = ("left", "right")
LASTS = timedelta(days=30)
"""How long an approval is valid: a write that was right a month ago may be wrong today."""

CARRIED_OUT = "it was carried out"
TOO_OLD = f"it could not be carried out within {LASTS.days} days"


@dataclass(frozen=True, slots=True)
class ActiveDecision:
    """A decision that has not ended.

    Attributes:
        side: the side that wins where both changed, if it is an approval; empty for a refusal.
        shown: the `Plan.fingerprints` of the plan that was decided on, and why it was held (`hold`); of an approval of rises
            the `rises`.
        done: part, resource and verb of the writes made since.
    """

    id: int
    record_id: int
    side: str
    plan_hash: str
    because: str
    made_by: str
    made_at: datetime | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    done: frozenset[tuple[str, ...]] = frozenset()

    @property
    def text(self) -> str:
        """The decision for people: `approved by anna: the customer rang`."""
        verdict = REFUSED if not self.side else APPROVED if self.side == SIDES[0] else f"{APPROVED} ({self.side} wins)"
        return f"{verdict} by {self.made_by}{f': {self.because}' if self.because else ''}"

    @property
    def rises(self) -> Mapping[str, Decimal]:
        """Of an approval of rises: by how much each level may rise, by the key of its line; empty for other decisions."""
        return {key: Decimal(rise) for key, rise in self.shown.get("rises", {}).items()}

    def lets_rise(self, made: Plan) -> bool:
        """True if it approves rises and the plan writes any of these."""
        return made.kind is PlanKind.WRITE and not self.rises.keys().isdisjoint(rises_of(made))

    def is_of(self, made: Plan) -> bool:
        """True if the decision is about this plan, or this plan is the remainder of the approved one."""
        if self.rises:
            return False
        return made.hash == self.plan_hash or (bool(self.side) and self._is_rest(made))

    def _is_rest(self, made: Plan) -> bool:
        """True if the approved plan has each of these writes, at least in part, and its other writes have been made."""
        fingerprints = made.fingerprints()
        approved = {_place(write): write for write in self.shown.get("writes", [])}
        left = {_place(write): write for write in fingerprints["writes"]}
        written = all(place in left or (*place, write[2]) in self.done for place, write in approved.items())
        known = all(conflict in self.shown.get("conflicts", []) for conflict in fingerprints["conflicts"])
        covered = all(place in approved and self._covers(approved[place], write) for place, write in left.items())
        return bool(left) and covered and written and known and made.why == self.shown["hold"]

    def _covers(self, approved: Sequence[Any], left: Sequence[Any]) -> bool:
        """True if a write is the remainder of an approved one: some fields of a change, or the completion of a create."""
        *_, verb, doc, changes = approved
        *_, verb_left, doc_left, changes_left = left
        if doc != doc_left:
            return False
        if verb == Verb.CREATE and verb_left == Verb.CHANGE:
            return (*_place(approved), verb) in self.done
        return bool(verb == verb_left) and all(change in changes for change in changes_left)

    @property
    def is_carried_out(self) -> bool:
        """True if all approved writes have been made."""
        writes = self.shown.get("writes", [])
        return bool(self.side) and bool(writes) and all((*_place(write), write[2]) in self.done for write in writes)

    def is_too_old(self, now: datetime) -> bool:
        """True if it is an approval that is older than `LASTS`."""
        return bool(self.side) and self.made_at is not None and now - self.made_at > LASTS


def _place(write: Sequence[Any]) -> tuple[str, str]:
    """Part and resource of a write's fingerprints."""
    return write[0], write[1]


def active(session: Session, record_ids: Iterable[int]) -> dict[int, ActiveDecision]:
    """The decisions that have not ended, by record id."""
    query = select(Row).where(Row.record_id.in_(list(record_ids)), Row.lapsed_at.is_(None)).order_by(Row.id)
    rows = {row.record_id: row for row in session.scalars(query)}
    written = _written(session, rows.values()) if rows else {}
    return {row.record_id: _read(row, written.get(row.record_id, frozenset())) for row in rows.values()}


def _written(session: Session, rows: Iterable[Row]) -> dict[int, frozenset[tuple[str, ...]]]:
    """Part, resource and verb of the writes that were sent for each record since its decision and took effect.

    A create that was sent before and found only now made an object that the decision does not cover.
    """
    made_at = {row.record_id: row.made_at for row in rows}
    query = select(Effect.record_id, Effect.part, Effect.resource, Effect.verb, Effect.sent_at)
    query = query.where(Effect.record_id.in_(made_at), Effect.state == EffectState.DONE, Effect.sent_at.is_not(None))
    found: dict[int, set[tuple[str, ...]]] = {}
    for record_id, *what, at in session.execute(query):
        if at is not None and at >= made_at[record_id]:
            found.setdefault(record_id, set()).add(tuple(what))
    return {record_id: frozenset(done) for record_id, done in found.items()}


def _read(row: Row, done: frozenset[tuple[str, ...]]) -> ActiveDecision:
    return ActiveDecision(
        row.id, row.record_id, row.side, row.plan_hash, row.because, row.made_by, row.made_at, row.shown, done
    )


def save(
    session: Session, record: Record, plan_hash: str, fingerprints: Mapping[str, Any], *, side: str, because: str, by: str,
    now: datetime,
) -> None:  # fmt: skip
    """Store a decision for a record that has none. `fingerprints` and `side`: see `ActiveDecision.shown` and `side`."""
    session.add(
        Row(
            record_id=record.id, verdict=APPROVED if side else REFUSED, side=side, plan_hash=plan_hash,
            shown=dict(fingerprints), because=because, made_by=by, made_at=now, lapsed_because="",
        )
    )  # fmt: skip
    session.flush()


def approve_rises(
    session: Session, record: Record, rises: Mapping[str, Decimal], *, because: str, by: str, now: datetime
) -> None:
    """Store that levels of a record that has no decision may rise by as much as this, by the key of the line."""
    shown = {"rises": {key: format(rise, "f") for key, rise in rises.items()}}
    save(session, record, "", shown, side=SIDES[0], because=because, by=by, now=now)


def applied(made: Plan, decision: ActiveDecision | None, again: Callable[[str], Plan]) -> Plan:
    """The plan according to a person's decision, if one applies. `again` makes the plan in which the given side wins."""
    if decision is not None and decision.lets_rise(made):
        return replace(made, decided=decision.text, decision=decision.id)
    if decision is None or made.kind is not PlanKind.HOLD or not decision.is_of(made):
        return made
    decided = decision.text
    if decision.side:
        return replace(again(decision.side), decided=decided, decision=decision.id)
    accepted = made.refusable if may_be_agreed(made) else ()
    return replace(
        made, kind=PlanKind.SKIP, reason=decided, steps=(), conflicts=(), why=Why.DECIDED, refusable=accepted,
        decided=decided, decision=decision.id,
    )  # fmt: skip


def may_be_agreed(made: Plan) -> bool:
    """True if a refusal of this plan can become an agreement: it only changes linked objects."""
    parts = {agreement.part for agreement in made.refusable}
    return bool(parts) and all(step.operation.verb is Verb.CHANGE and step.part in parts for step in made.steps)


def follow(
    session: Session,
    records: Mapping[int, Record],
    found: Mapping[int, ActiveDecision],
    made: Mapping[int, Plan | Rejected],
    now: datetime,
) -> None:
    """End the decisions that these plans do not follow, and those that are now carried out."""
    over: dict[int, str] = {}
    for record_id, plan in made.items():
        decision = found.get(record_id)
        if decision is not None and isinstance(plan, Plan) and (why := _over(plan, decision, now)):
            over[decision.id] = why
    end(session, records.values(), now, over)


def _over(plan: Plan, decision: ActiveDecision, now: datetime) -> str:
    """Why a decision has ended, judged by the plan that was made with it; empty while it is active."""
    if plan.decision == decision.id:
        return CARRIED_OUT if plan.kind is PlanKind.SKIP and plan.refusable else ""
    if plan.why is Why.UNKNOWN_WRITE:
        return ""  # the outcome of a write is unknown: nothing was planned
    if plan.later is not None and not decision.is_too_old(now):
        return ""  # what the decision is about is planned later
    if decision.is_carried_out and plan.kind is not PlanKind.HOLD:
        return CARRIED_OUT
    if decision.is_too_old(now):
        return TOO_OLD
    if decision.rises and _may_rise_yet(plan, decision):
        return ""
    return f"the plan has changed: {plan.kind}{f': {plan.reason}' if plan.reason else ''}"


def _may_rise_yet(plan: Plan, decision: ActiveDecision) -> bool:
    """True if approved rises may still follow: they wait, or are held for another reason than their size."""
    if plan.kind is PlanKind.HOLD:
        asked = rises_of(plan)
        return all(asked.get(key, Decimal(0)) <= rise for key, rise in decision.rises.items())
    return plan.kind is PlanKind.WAIT or plan.later is not None


def end(session: Session, records: Iterable[Record], now: datetime, over: Mapping[int, str] | str) -> None:
    """End decisions on these records and record that in the timeline. `over`: why, by decision id; a text ends all of them."""
    mine = {record.id: record for record in records}
    query = select(Row).where(Row.record_id.in_(mine), Row.lapsed_at.is_(None))
    if not isinstance(over, str):
        query = query.where(Row.id.in_(over))
    if over and mine:
        for row in session.scalars(query.order_by(Row.id).with_for_update()):
            row.lapsed_at, row.lapsed_because = now, over if isinstance(over, str) else over[row.id]
            was = _read(row, frozenset()).text
            if row.lapsed_because == CARRIED_OUT:
                timeline.note_one(session, mine[row.record_id], "decision carried out", now, was=was)
            else:
                why = row.lapsed_because
                timeline.note_one(session, mine[row.record_id], "decision lapsed", now, was=was, because=why)
        session.flush()
