"""The pure decision of flows that set levels: which lines fall, rise, wait or are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.base import Operation
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.core import decisions
from syncengine.engine.core.decisions import ActiveDecision
from syncengine.engine.decide.level_plan import NEGATIVE, RISE_WAITS, WITHIN
from syncengine.engine.decide.plan import Linked, Plan, PlanKind
from syncengine.engine.decide.planning import plan
from syncengine.engine.decide.situation import LevelFacts, Situation
from syncengine.engine.decide.tallies import Range
from syncengine.flows.flow import Flow, Levels
from syncengine.mapping.contract import Context, RuleVerdict
from syncengine.store.states import Why
from tests.unit.engine.test_plan import Copy, Thing

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEVELS = Levels("places", "level", "jump", "vanish", "within")
LAG_S = 30.0


class Quantities(Copy):
    """Each place of the document is a line with its quantity and what is in transit there."""

    def apply(self, doc: Doc, context: Context) -> Mapping[str, Doc]:
        lines = [
            {LINE_KEY: place, "level": quantity + context.tallied.get(place, Decimal(0))}
            for place, quantity in doc["places"].items()
        ]
        return {"": {"places": lines}}


class Shop(Thing):
    line_fields = {"places": ("id",)}
    without_cost: Sequence[str] = ()

    def objection(self, operation: Operation) -> str | None:
        keys = [line.key for line in operation.lines if line.key in self.without_cost]
        return f"{keys[0]} has no cost" if keys else None


FLOW = Flow(
    name="stock",
    entity="products",
    source="a.stock",
    target="b.stock",
    version="1",
    mapping=Quantities(),
    levels=LEVELS,
)


def _plan(
    wanted: Mapping[str, int] | None,
    there: Mapping[str, int] | None,
    *,
    transit: Mapping[str, tuple[int, int]] | None = None,
    known: bool = True,
    linked: bool = True,
    approved: str = "",
    without_cost: Sequence[str] = (),
    jump: float = 100,
    exact_at: datetime | None = None,
    **more: Any,
) -> Plan:
    """The plan for the quantities that are wanted and those that are there, by place. known: whether levels may rise."""
    target = Shop("b.stock")
    target.without_cost = without_cost
    current = None if there is None else {"places": [{"id": place, "level": level} for place, level in there.items()]}
    doc: Doc = {"places": {place: Decimal(quantity) for place, quantity in (wanted or {}).items()}, **more}
    ranges = {place: Range(Decimal(low), Decimal(high)) for place, (low, high) in (transit or {}).items()}
    return plan(
        Situation(
            FLOW,
            Thing("a.stock"),
            target,
            {} if wanted is None else {"A": doc},
            {"": Linked("P1", {}, {}, current, "A")} if linked else {},
            Context(settings={"jump": jump}),
            approved=approved,
            levels=LevelFacts(ranges, "A", NOW, NOW if known else NOW - timedelta(seconds=1), LAG_S, exact_at),
            now=NOW,
        )
    )


def _writes(made: Plan) -> dict[str, tuple[int, int]]:
    """Old and new level by place."""
    lines = [line for step in made.steps for line in step.operation.lines]
    return {line.key: (int(line.changes["level"].old), int(line.changes["level"].new)) for line in lines}


@pytest.mark.parametrize("known", [True, False])
def test_a_level_falls_at_once(known: bool) -> None:
    made = _plan({"main": 3}, {"main": 10}, known=known)
    assert (made.kind, _writes(made), made.later) == (PlanKind.WRITE, {"main": (10, 3)}, None)


def test_a_level_rises_only_when_all_movements_until_its_read_are_known() -> None:
    made = _plan({"main": 12}, {"main": 10}, known=False)
    assert (made.kind, made.reason, made.why) == (PlanKind.WAIT, RISE_WAITS, Why.MOVEMENTS)
    assert made.later == NOW + timedelta(seconds=LAG_S)
    assert _writes(_plan({"main": 12}, {"main": 10})) == {"main": (10, 12)}


def test_a_fall_does_not_wait_for_a_rise_beside_it() -> None:
    made = _plan({"main": 3, "side": 12}, {"main": 10, "side": 10}, known=False)
    assert (_writes(made), made.later) == ({"main": (10, 3)}, NOW + timedelta(seconds=LAG_S))
    made = _plan({"main": 3, "side": 12, "shop": 10}, {"main": 10, "side": 10, "shop": 10})
    assert (_writes(made), made.later) == ({"main": (10, 3), "side": (10, 12)}, None)


@pytest.mark.parametrize(
    ("there", "writes"),
    [(9, {}), (5, {}), (13, {}), (14, {"main": (14, 13)}), (4, {"main": (4, 5)})],
)
def test_a_level_goes_to_the_nearest_end_of_its_range_and_within_it_nowhere(there: int, writes: Doc) -> None:
    made = _plan({"main": 9}, {"main": there}, transit={"main": (-4, 4)})
    assert _writes(made) == writes
    if not writes:
        assert (made.kind, made.reason, made.why) == (PlanKind.SKIP, WITHIN, Why.EQUAL)


def test_a_level_that_is_not_exact_yet_is_planned_again_when_it_is() -> None:
    soon = NOW + timedelta(minutes=10)
    within = _plan({"main": 9}, {"main": 9}, transit={"main": (-4, 4)}, exact_at=soon)
    assert (within.kind, within.why, within.later) == (PlanKind.WAIT, Why.IN_TRANSIT, soon)
    for there in (20, 1):  # it goes to an end of its range now, and is within it in the next plan
        made = _plan({"main": 9}, {"main": there}, transit={"main": (-4, 4)}, exact_at=soon)
        assert (made.kind, made.later) == (PlanKind.WRITE, NOW)


def test_equal_levels_are_equal() -> None:
    made = _plan({"main": 9, "side": 0}, {"main": 9})
    assert (made.kind, made.why) == (PlanKind.SKIP, Why.EQUAL)


def test_a_place_that_the_target_does_not_show_has_nothing() -> None:
    assert _writes(_plan({"main": 9}, {})) == {"main": (0, 9)}


def test_a_place_that_the_source_does_not_name_is_left_alone() -> None:
    assert _writes(_plan({"main": 9}, {"main": 10, "bonded": 5})) == {"main": (10, 9)}


def test_a_negative_level_is_written_as_nothing_with_attention() -> None:
    made = _plan({"main": -2, "side": 4}, {"main": 10, "side": 4})
    assert _writes(made) == {"main": (10, 0)}
    assert [(remark.field, remark.reason, remark.holds) for remark in made.remarks] == [("main", NEGATIVE, False)]
    again = _plan({"main": -2}, {"main": 0})
    assert (again.kind, len(again.remarks)) == (PlanKind.SKIP, 1)


def test_a_level_that_is_negative_only_if_all_is_in_transit_needs_no_attention() -> None:
    made = _plan({"main": 2}, {"main": 1}, transit={"main": (-5, 0)})
    assert (made.kind, made.remarks) == (PlanKind.SKIP, ())


def test_a_negative_level_of_the_target_rises_to_nothing() -> None:
    assert _writes(_plan({"main": -5}, {"main": -2})) == {"main": (-2, 0)}


def test_a_jump_is_held_after_all_else_is_written() -> None:
    first = _plan({"main": 500, "side": 3, "shop": 12}, {"main": 10, "side": 10, "shop": 10})
    assert (_writes(first), first.later) == ({"side": (10, 3), "shop": (10, 12)}, NOW)
    made = _plan({"main": 500, "side": 3}, {"main": 10, "side": 3})
    assert (made.kind, made.why, _writes(made)) == (PlanKind.HOLD, Why.RULE, {"main": (10, 500)})
    assert made.reason == "level of main would rise from 10 to 500, by more than 100"


@pytest.mark.parametrize(("jump", "kind"), [(490, PlanKind.WRITE), (489, PlanKind.HOLD), (0, PlanKind.WRITE)])
def test_a_jump_is_more_than_the_limit_and_0_is_no_limit(jump: float, kind: PlanKind) -> None:
    assert _plan({"main": 500}, {"main": 10}, jump=jump).kind is kind


def test_a_fall_is_never_a_jump() -> None:
    assert _plan({"main": 0}, {"main": 500}).kind is PlanKind.WRITE


def test_a_rise_without_a_cost_is_held_and_a_fall_needs_none() -> None:
    made = _plan({"main": 12}, {"main": 10}, without_cost=["main"])
    assert (made.kind, made.reason, made.why) == (PlanKind.HOLD, "main has no cost", Why.RULE)
    assert _plan({"main": 9}, {"main": 10}, without_cost=["main"]).kind is PlanKind.WRITE


def test_an_approved_jump_is_written_as_it_was_shown() -> None:
    wanted, there = {"main": 500, "side": 300}, {"main": 10, "side": 10}
    said = ActiveDecision(1, 1, "left", _plan(wanted, there).hash, "", "anna")
    applied = decisions.applied(_plan(wanted, there), said, lambda side: _plan(wanted, there, approved=side))
    assert (applied.kind, _writes(applied)) == (PlanKind.WRITE, {"main": (10, 500), "side": (10, 300)})
    other = _plan({"main": 600, "side": 300}, there)
    assert decisions.applied(other, said, lambda side: other).kind is PlanKind.HOLD


@pytest.mark.parametrize("verdict", [RuleVerdict.SKIP, RuleVerdict.CANCEL])
def test_what_a_rule_skips_is_not_written(verdict: RuleVerdict) -> None:
    made = _plan({"main": 3}, {"main": 10}, verdict=verdict)
    assert (made.kind, made.why, made.steps) == (PlanKind.SKIP, Why.RULE, ())


def test_what_a_rule_holds_is_not_written_and_what_is_equal_is_not_held() -> None:
    assert _plan({"main": 3}, {"main": 10}, verdict=RuleVerdict.HOLD).kind is PlanKind.HOLD
    assert _plan({"main": 3}, {"main": 3}, verdict=RuleVerdict.HOLD).kind is PlanKind.SKIP


def test_an_unknown_code_an_unlinked_one_and_an_untracked_product_have_no_level_to_write() -> None:
    assert _plan(None, {"main": 10}).why is Why.NOT_THERE
    assert _plan({"main": 3}, None, linked=False).why is Why.NOT_LINKED
    untracked = _plan({"main": 3}, None)
    assert (untracked.why, untracked.about) == (Why.NO_STOCK, "P1")


def test_nothing_is_planned_while_a_write_is_in_doubt() -> None:
    made = _plan({"main": 3}, {"main": 10})
    assert made.kind is PlanKind.WRITE
    doubtful = Situation(FLOW, Thing("a.stock"), Shop("b.stock"), {"A": {"places": {}}}, {}, Context(), in_doubt=True)
    assert plan(doubtful).why is Why.UNKNOWN_WRITE


def test_the_levels_of_a_write_are_the_one_read_and_the_wanted_one() -> None:
    step = _plan({"main": 3}, {"main": 10}).steps[0]
    assert step.operation.current == {"places": [{"id": "main", "level": 10}]}
    assert (step.operation.key, step.operation.natural_key) == ("P1", "A")
    assert step.agreed == {"places": [{LINE_KEY: "main", "level": Decimal(3)}]}
