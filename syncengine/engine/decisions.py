"""A person's word on a held plan: approved or refused. It holds for that plan alone, known by its hash, and lapses with it.

Approved, the rule is waived, or the source wins where both sides have changed; what the target refuses stays held. Refused,
the difference becomes the agreement, so that it is not held again; where there is none (an object to create, to cancel, a
pair), nothing is written while the plan stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine.connectors.base import Verb
from syncengine.engine import timeline
from syncengine.engine.plan import Kind, Plan
from syncengine.errors import Rejected
from syncengine.store.dialect import changed
from syncengine.store.models import Decision as Row
from syncengine.store.models import Record
from syncengine.store.states import Status

APPROVED = "approved"
REFUSED = "refused"
SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Decision:
    """One that stands. `side`: which side wins where both have changed, if it is an approval; empty for a refusal."""

    id: int
    record_id: int
    side: str
    plan_hash: str
    because: str
    made_by: str

    @property
    def told(self) -> str:
        """For people: `approved by anna: the customer rang`."""
        verdict = REFUSED if not self.side else APPROVED if self.side == SIDES[0] else f"{APPROVED} ({self.side} wins)"
        return f"{verdict} by {self.made_by}{f': {self.because}' if self.because else ''}"


def standing(session: Session, record_ids: Iterable[int]) -> dict[int, Decision]:
    """The decisions that have not lapsed, by record id."""
    query = select(Row).where(Row.record_id.in_(list(record_ids)), Row.lapsed_at.is_(None)).order_by(Row.id)
    return {row.record_id: _read(row) for row in session.scalars(query)}


def _read(row: Row) -> Decision:
    verdict, _, side = row.verdict.partition(" ")
    side = (side or SIDES[0]) if verdict == APPROVED else ""
    return Decision(row.id, row.record_id, side, row.plan_hash, row.because, row.made_by)


def save(session: Session, record: Record, plan_hash: str, *, side: str, because: str, by: str, now: datetime) -> None:
    """Let a decision stand for a record, in the place of an earlier one. `side`: that wins; empty to refuse."""
    _lapse(session, [record.id], now)
    verdict = REFUSED if not side else APPROVED if side == SIDES[0] else f"{APPROVED} {side}"
    session.add(
        Row(record_id=record.id, verdict=verdict, plan_hash=plan_hash, because=because, made_by=by, made_at=now)
    )
    session.flush()


def applied(made: Plan, decision: Decision | None, again: Callable[[str], Plan]) -> Plan:
    """The plan by a person's word, if there is one for it. `again` makes it anew with the side that wins. Pure otherwise."""
    if decision is None or made.kind is not Kind.HOLD or made.hash != decision.plan_hash:
        return made
    if decision.side:
        return replace(again(decision.side), decided=decision.told)
    accepted = made.refusable if may_be_agreed(made) else ()
    return replace(
        made, kind=Kind.SKIP, reason=decision.told, steps=(), conflicts=(), hold=None, refusable=accepted,
        decided=decision.told,
    )  # fmt: skip


def may_be_agreed(made: Plan) -> bool:
    """True if refusing this plan can become an agreement: all that it would write are changes of linked objects."""
    parts = {agreement.part for agreement in made.refusable}
    return bool(parts) and all(step.operation.verb is Verb.CHANGE and step.part in parts for step in made.steps)


def follow(
    session: Session,
    records: Mapping[int, Record],
    found: Mapping[int, Decision],
    made: Mapping[int, Plan | Rejected],
    now: datetime,
) -> None:
    """End the decisions that these plans do not go by, and those that are carried out with them; the timeline tells the former.

    One whose record was written after it is carried out.
    """
    ended, told = [], {}
    for record_id, plan in made.items():
        decision = found.get(record_id)
        if decision is None or isinstance(plan, Rejected):
            continue
        if not plan.decided:
            ended.append(record_id)
            if records[record_id].status != Status.DONE:
                reason = f": {plan.reason}" if plan.reason else ""
                told[record_id] = {"was": decision.told, "because": f"the plan is another one now: {plan.kind}{reason}"}
        elif plan.kind is Kind.SKIP and plan.refusable:
            ended.append(record_id)
    _lapse(session, ended, now)
    timeline.note(session, [records[record_id] for record_id in told], "decision lapsed", now, told)


def _lapse(session: Session, record_ids: Iterable[int], now: datetime) -> None:
    ids = list(record_ids)
    if ids:
        changed(session, update(Row).where(Row.record_id.in_(ids), Row.lapsed_at.is_(None)).values(lapsed_at=now))
