"""An approval of rises lets levels rise by as much as was shown, once, whatever else of the plan changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from syncengine.connectors.base import Change, LineChange, Operation, Verb
from syncengine.engine.core.decisions import TOO_OLD, ActiveDecision, _over, applied
from syncengine.engine.decide.plan import Plan, PlanKind, Step, rises
from syncengine.store.states import Why

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
APPROVED = ActiveDecision(7, 1, "left", "", "counted", "anna", NOON, {"rises": {"2": "1000"}})


def plan(kind: PlanKind, *changes: tuple[str, int, int], **more: object) -> Plan:
    """A plan that changes levels: line, before, after."""
    lines = tuple(
        LineChange("warehouses", "change", key, key, {}, {"inStock": Change(Decimal(old), Decimal(new))})
        for key, old, new in changes
    )
    steps = [Step("", "right.level", Operation(Verb.CHANGE, "MUG", {}, key="3001", lines=lines), {})] if lines else []
    return Plan(kind, steps=steps, **more)  # type: ignore[arg-type]


def test_the_rises_of_a_plan_leave_out_falls() -> None:
    assert rises(plan(PlanKind.WRITE, ("2", 10, 1000), ("3", 50, 20))) == {"2": 990}


def test_a_written_rise_follows_the_approval_and_a_fall_ahead_of_it_does_not() -> None:
    written = applied(plan(PlanKind.WRITE, ("2", 0, 980)), APPROVED, pytest.fail)
    assert (written.decision, written.decided) == (7, "approved by anna: counted")
    fall = plan(PlanKind.WRITE, ("3", 50, 20))
    assert applied(fall, APPROVED, pytest.fail) is fall


def test_a_held_plan_is_not_approved_by_it() -> None:
    held = plan(PlanKind.HOLD, ("2", 0, 1000), why=Why.RULE)
    assert applied(held, APPROVED, pytest.fail) is held


@pytest.mark.parametrize(
    ("made", "over"),
    [
        (plan(PlanKind.WAIT, later=NOON), ""),
        (plan(PlanKind.WRITE, ("3", 50, 20), later=NOON), ""),
        (plan(PlanKind.HOLD, ("2", 0, 900), why=Why.RULE, reason="nobody posts"), ""),
        (plan(PlanKind.HOLD, why=Why.UNKNOWN_WRITE), ""),
        (plan(PlanKind.HOLD, ("2", 0, 1001), reason="too much"), "the plan has changed: hold: too much"),
        (plan(PlanKind.SKIP, reason="already equal"), "the plan has changed: skip: already equal"),
        (plan(PlanKind.WRITE, ("3", 50, 20)), "the plan has changed: write"),
    ],
)
def test_it_lasts_while_the_rise_may_still_follow(made: Plan, over: str) -> None:
    assert _over(made, APPROVED, NOON) == over


def test_it_ends_after_a_month() -> None:
    assert _over(plan(PlanKind.WAIT, later=NOON), APPROVED, NOON + timedelta(days=31)) == TOO_OLD
