"""The one way to a plan: what a record's situation asks for, by the kind of its flow. Pure."""

from __future__ import annotations

from syncengine.engine.decide.comparison_plan import plan_comparison
from syncengine.engine.decide.level_plan import plan_levels
from syncengine.engine.decide.one_way_plan import plan_one_way
from syncengine.engine.decide.plan import Plan
from syncengine.engine.decide.situation import Situation
from syncengine.engine.decide.two_way_plan import plan_pair
from syncengine.engine.decide.write_back_plan import plan_write_back


def plan(situation: Situation) -> Plan:
    """Decide what to write for one record, and why. Raises Rejected if a document cannot be mapped."""
    flow = situation.flow
    if flow.two_way:
        return plan_pair(situation)
    if flow.compares:
        return plan_comparison(situation)
    if flow.levels:
        return plan_levels(situation, flow.levels)
    return plan_write_back(situation) if flow.write_back else plan_one_way(situation)
