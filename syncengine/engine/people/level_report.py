"""The first run of a flow that sets levels: units and value by place, the largest rises, and their approval by a person.

An approval lets each level that was shown rise beyond the flow's limit by as much as was shown, also if the plan changes until
the connection is live (core/decisions.py: `approve_rises`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from syncengine import clock
from syncengine.connectors.base import LineChange
from syncengine.engine.core import decisions, payloads, timeline
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.want import want
from syncengine.engine.decide.plan import Plan, PlanKind, rises
from syncengine.engine.people import seen
from syncengine.engine.people.seen import ActionResult, Outdated
from syncengine.store.models import ConnectionRow, Record
from syncengine.store.states import Lane, Status

MOST_JUMPS = 10
"""Rises that a report names."""

EVENT = "rises approved"


@dataclass(frozen=True, slots=True)
class Planned:
    """A record with the plan that would have been carried out. planned_at: when it was planned (UTC). hash: of the plan."""

    record_id: int
    flow: str
    key: str
    planned_at: datetime
    plan: Plan
    hash: str


@dataclass(slots=True, kw_only=True)
class LevelTotal:
    """What a flow would change at one place of the target.

    rises, falls: numbers of levels. up, down: units (both above 0). up_worth, down_worth: at the cost of a unit, by currency.
    beyond: levels that would rise by more than the flow's limit. unpriced: changed levels whose cost is not known.
    """

    flow: str
    place: str
    rises: int = 0
    up: Decimal = Decimal(0)
    up_worth: dict[str, Decimal] = field(default_factory=dict)
    falls: int = 0
    down: Decimal = Decimal(0)
    down_worth: dict[str, Decimal] = field(default_factory=dict)
    beyond: int = 0
    unpriced: int = 0

    def add(self, units: Decimal, worth: tuple[str, Decimal] | None, *, is_beyond: bool) -> None:
        """Count a level that changes by `units`."""
        sums = self.up_worth if units > 0 else self.down_worth
        if units > 0:
            self.rises, self.up = self.rises + 1, self.up + units
        else:
            self.falls, self.down = self.falls + 1, self.down - units
        self.beyond += is_beyond
        self.unpriced += worth is None
        if worth is not None:
            currency, value = worth
            sums[currency] = sums.get(currency, Decimal(0)) + abs(value)


@dataclass(frozen=True, slots=True)
class Jump:
    """A level that would rise.

    before, after: the level. is_beyond: by more than the flow's limit. decided: the decision that lets it, empty without one.
    worth: by currency.
    """

    flow: str
    key: str
    place: str
    before: Decimal
    after: Decimal
    is_beyond: bool
    decided: str
    worth: Mapping[str, Decimal]

    @property
    def units(self) -> Decimal:
        """By how much it would rise."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class BeyondLimit:
    """A held record with levels that would rise by more than the flow's limit, by the key of the line."""

    planned: Planned
    rises: Mapping[str, Decimal]


def totals(engine: Engine, connection: ConnectionRow, found: Iterable[Planned]) -> tuple[list[LevelTotal], list[Jump]]:
    """Units and value by flow and place, and the largest rises. Raises Misconfigured if the connection cannot be opened."""
    sums: dict[tuple[str, str], LevelTotal] = {}
    jumps: list[Jump] = []
    for planned in found:
        limit = _limit(engine, connection, planned.flow)
        for step in planned.plan.steps:
            resource = engine.connection(connection.id).resource(step.resource)
            for line in step.operation.lines:
                before, after = _levels(line)
                worth, is_beyond = resource.worth_of_line(line), bool(limit) and after - before > limit
                place = line.number or line.key
                total = sums.setdefault((planned.flow, place), LevelTotal(flow=planned.flow, place=place))
                total.add(after - before, worth, is_beyond=is_beyond)
                if after > before:
                    by_currency = dict([worth]) if worth else {}
                    jumps.append(
                        Jump(
                            planned.flow,
                            planned.key,
                            place,
                            before,
                            after,
                            is_beyond,
                            planned.plan.decided,
                            by_currency,
                        )
                    )
    largest = sorted(jumps, key=lambda jump: (-jump.units, jump.key, jump.place))[:MOST_JUMPS]
    return [sums[key] for key in sorted(sums)], largest


def beyond_limit(engine: Engine, connection: ConnectionRow, found: Iterable[Planned]) -> list[BeyondLimit]:
    """The held records whose rises a person may approve."""
    made = []
    for planned in found:
        limit = _limit(engine, connection, planned.flow)
        large = {key: rise for key, rise in rises(planned.plan).items() if limit and rise > limit}
        if planned.plan.kind is PlanKind.HOLD and large:
            made.append(BeyondLimit(planned, large))
    return made


def approve(engine: Engine, found: Sequence[BeyondLimit], *, by: str, because: str) -> ActionResult:
    """Let levels rise beyond the limit as they were shown, and plan their records again.

    Records that are no longer held by the plan that was shown are left out. Raises Misconfigured if `because` is empty or all
    were left out.
    """
    seen.require_reason(because)
    now = clock.now()
    with engine.store.write() as session:
        locked = seen.locked(session, [each.planned.record_id for each in found])
        stored = payloads.load(session, engine.vault, "plan", list(locked))
        decided = decisions.active(session, locked)
        fits, left = [], []
        for each in found:
            record = locked.get(each.planned.record_id)
            plan = stored.get(each.planned.record_id, {})
            if why := _outdated(each, record, str(plan.get("hash", "")), decided.get(each.planned.record_id)):
                left.append(Outdated(each.planned.flow, each.planned.key, why))
            else:
                fits.append((locked[each.planned.record_id], each.rises))
        records = [record for record, _ in fits]
        decisions.end(session, records, now, f"{decisions.APPROVED} by {by} instead")
        for record, large in fits:
            decisions.approve_rises(session, record, large, because=because, by=by, now=now)
            want(session, record.connection_id, record.flow, [record.key], lane=Lane.BACKFILL, now=now)
        timeline.note(session, records, EVENT, now, {record.id: _detail(large, by, because) for record, large in fits})
        return seen.result_of(len(fits), left)


def _outdated(
    was: BeyondLimit, record: Record | None, plan_hash: str, decision: decisions.ActiveDecision | None
) -> str:
    """Why a record cannot be decided on as it was shown; empty if it can."""
    if decision is not None and decision.rises:
        return f"it was {decision.text}"
    if record is None or record.token is not None:
        return seen.BUSY
    if record.status != Status.HELD:
        return "it is no longer held"
    return "" if plan_hash == was.planned.hash else "it is held by another plan now"


def _detail(large: Mapping[str, Decimal], by: str, because: str) -> dict[str, object]:
    return {"by": by, "because": because, "rises": [f"{key}: +{rise:f}" for key, rise in sorted(large.items())]}


def _limit(engine: Engine, connection: ConnectionRow, flow: str) -> Decimal:
    route = engine.route(connection.id, flow)
    return Decimal(str(route.settings[route.flow.levels.jump] or 0)) if route.flow.levels else Decimal(0)


def _levels(line: LineChange) -> tuple[Decimal, Decimal]:
    """The level of a line before and after."""
    change = next(iter(line.changes.values()))
    return Decimal(change.old or 0), Decimal(change.new or 0)
