"""A person's decision on a held plan: approved or refused. It holds for that plan alone, known by its hash.

Approved, the rule is waived, or the source wins where both sides have changed; what the target refuses stays held. Refused,
the difference becomes the agreement, so that it is not held again; where there is none (an object to create, to cancel, a
pair), nothing is written while the plan stays the same.

A decision ends, and the timeline tells how: it was carried out, the plan became another one, the object was ignored, linked or
unlinked, another decision took its place, or it is an approval that could not be carried out for `LASTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.connectors.base import Verb
from syncengine.engine.core import timeline
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.errors import Rejected
from syncengine.store.models import Decision as Row
from syncengine.store.models import Effect, Record
from syncengine.store.states import EffectState, Why

APPROVED = "approved"
REFUSED = "refused"
SIDES = ("left", "right")
LASTS = timedelta(days=30)
"""How long an approval waits to be carried out: what was right to write a month ago may not be today."""

CARRIED_OUT = "it was carried out"
TOO_OLD = f"it could not be carried out within {LASTS.days} days"


@dataclass(frozen=True, slots=True)
class ActiveDecision:
    """One that stands. `side`: which side wins where both have changed, if it is an approval; empty for a refusal.

    shown: prints of what was decided on, as `Plan.prints` has them. done: part, resource and verb of writes made since.
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
    def told(self) -> str:
        """For people: `approved by anna: the customer rang`."""
        verdict = REFUSED if not self.side else APPROVED if self.side == SIDES[0] else f"{APPROVED} ({self.side} wins)"
        return f"{verdict} by {self.made_by}{f': {self.because}' if self.because else ''}"

    def is_of(self, made: Plan) -> bool:
        """Whether it was decided on this plan, or this is what is left of the plan that was approved."""
        return made.hash == self.plan_hash or (bool(self.side) and self._is_rest(made))

    def _is_rest(self, made: Plan) -> bool:
        """Each of its writes was shown, whole or in part, and whatever else was shown has been written since."""
        prints, shown = made.fingerprints(), {_place(one): one for one in self.shown.get("writes", [])}
        left = {_place(one): one for one in prints["writes"]}
        written = all(place in left or (*place, one[2]) in self.done for place, one in shown.items())
        known = all(one in self.shown.get("conflicts", []) for one in prints["conflicts"])
        is_rest = bool(left) and all(place in shown and self._covers(shown[place], one) for place, one in left.items())
        return is_rest and written and known and made.why == self.shown["hold"]

    def _covers(self, shown: Sequence[Any], left: Sequence[Any]) -> bool:
        """Whether one write is what is left of one that was shown: some fields of a change, or what completes a create."""
        *_, verb, doc, changes = shown
        *_, verb_left, doc_left, changes_left = left
        if doc != doc_left:
            return False
        if verb == Verb.CREATE and verb_left == Verb.CHANGE:
            return (*_place(shown), verb) in self.done
        return bool(verb == verb_left) and all(one in changes for one in changes_left)

    @property
    def is_carried_out(self) -> bool:
        """Whether all that was approved has been written."""
        shown = self.shown.get("writes", [])
        return bool(self.side) and bool(shown) and all((*_place(one), one[2]) in self.done for one in shown)

    def is_too_old(self, now: datetime) -> bool:
        """Whether it is an approval that nobody should rely on any more."""
        return bool(self.side) and self.made_at is not None and now - self.made_at > LASTS


def _place(print_: Sequence[Any]) -> tuple[str, str]:
    """Part and resource of a write's print."""
    return print_[0], print_[1]


def active(session: Session, record_ids: Iterable[int]) -> dict[int, ActiveDecision]:
    """The decisions that have not ended, by record id."""
    query = select(Row).where(Row.record_id.in_(list(record_ids)), Row.lapsed_at.is_(None)).order_by(Row.id)
    rows = {row.record_id: row for row in session.scalars(query)}
    written = _written(session, rows.values()) if rows else {}
    return {row.record_id: _read(row, written.get(row.record_id, frozenset())) for row in rows.values()}


def _written(session: Session, rows: Iterable[Row]) -> dict[int, frozenset[tuple[str, ...]]]:
    """Part, resource and verb of what was sent for each record since it was decided on, and took effect.

    A create that was sent before and is only found now has made something that the decision does not know.
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
    session: Session, record: Record, plan_hash: str, shown: Mapping[str, Any], *, side: str, because: str, by: str,
    now: datetime,
) -> None:  # fmt: skip
    """Let a decision stand for a record that has none. `shown`: see Decision; `side`: that wins, empty to refuse."""
    session.add(
        Row(
            record_id=record.id, verdict=APPROVED if side else REFUSED, side=side, plan_hash=plan_hash, shown=dict(shown),
            because=because, made_by=by, made_at=now, lapsed_because="",
        )
    )  # fmt: skip
    session.flush()


def applied(made: Plan, decision: ActiveDecision | None, again: Callable[[str], Plan]) -> Plan:
    """The plan by a person's decision, if there is one on it. `again` plans with the side that wins."""
    if decision is None or made.kind is not PlanKind.HOLD or not decision.is_of(made):
        return made
    if decision.side:
        return replace(again(decision.side), decided=decision.told, decision=decision.id)
    accepted = made.refusable if may_be_agreed(made) else ()
    return replace(
        made, kind=PlanKind.SKIP, reason=decision.told, steps=(), conflicts=(), why=Why.DECIDED, refusable=accepted,
        decided=decision.told, decision=decision.id,
    )  # fmt: skip


def may_be_agreed(made: Plan) -> bool:
    """True if refusing this plan can become an agreement: all that it would write are changes of linked objects."""
    parts = {agreement.part for agreement in made.refusable}
    return bool(parts) and all(step.operation.verb is Verb.CHANGE and step.part in parts for step in made.steps)


def follow(
    session: Session,
    records: Mapping[int, Record],
    found: Mapping[int, ActiveDecision],
    made: Mapping[int, Plan | Rejected],
    now: datetime,
) -> None:
    """End the decisions that these plans do not go by, and those that are carried out with them."""
    over: dict[int, str] = {}
    for record_id, plan in made.items():
        decision = found.get(record_id)
        if decision is not None and isinstance(plan, Plan) and (why := _over(plan, decision, now)):
            over[decision.id] = why
    end(session, records.values(), now, over)


def _over(plan: Plan, decision: ActiveDecision, now: datetime) -> str:
    """Why a decision has ended, by the plan that was made with it; empty while it stands."""
    if plan.decision == decision.id:
        return CARRIED_OUT if plan.kind is PlanKind.SKIP and plan.refusable else ""
    if plan.why is Why.UNKNOWN_WRITE:
        return ""  # a write is in doubt: nothing was planned
    if decision.is_carried_out and plan.kind is not PlanKind.HOLD:
        return CARRIED_OUT
    if decision.is_too_old(now):
        return TOO_OLD
    return f"the plan is another one now: {plan.kind}{f': {plan.reason}' if plan.reason else ''}"


def end(session: Session, records: Iterable[Record], now: datetime, over: Mapping[int, str] | str) -> None:
    """End decisions on these records and have the timeline tell it. `over`: why, by their numbers; or of all that stand."""
    mine = {record.id: record for record in records}
    query = select(Row).where(Row.record_id.in_(mine), Row.lapsed_at.is_(None))
    if not isinstance(over, str):
        query = query.where(Row.id.in_(over))
    if over and mine:
        for row in session.scalars(query.order_by(Row.id).with_for_update()):
            row.lapsed_at, row.lapsed_because = now, over if isinstance(over, str) else over[row.id]
            was = _read(row, frozenset()).told
            if row.lapsed_because == CARRIED_OUT:
                timeline.note_one(session, mine[row.record_id], "decision carried out", now, was=was)
            else:
                why = row.lapsed_because
                timeline.note_one(session, mine[row.record_id], "decision lapsed", now, was=was, because=why)
        session.flush()
