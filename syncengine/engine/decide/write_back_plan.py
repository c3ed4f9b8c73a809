"""The plan of a write-back: copy values from objects of one side to the object on the other side that another flow linked.

Each record represents one object on the written side, however many links it has: several sources (its parts) must agree on the
values to write. A write-back changes its own fields and never creates, cancels or removes anything. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

from syncengine.document import Doc
from syncengine.engine.decide.merge import same
from syncengine.engine.decide.one_way_plan import plan_part, wanted_parts
from syncengine.engine.decide.plan import (
    NOT_LINKED,
    NOT_THERE,
    UNSETTLED,
    Plan,
    PlanKind,
    by_rule,
    objections,
    with_remarks,
)
from syncengine.engine.decide.situation import Situation
from syncengine.errors import Rejected
from syncengine.mapping.contract import RuleVerdict
from syncengine.store.states import Why


def plan_write_back(situation: Situation) -> Plan:
    """Decide. Raises Rejected if a document cannot be mapped.

    Args:
        situation: describes the target's object; its only link has the part "". `source_doc` is ignored.
        sources: the linked objects that exist on the source's side, typed, by key.
    """
    wish = wish_of(situation)
    if isinstance(wish, Plan):
        return wish
    made = plan_part(situation, "", wish.doc)
    remarks = situation.flow.mapping.remarks(wish.source, situation.context, {"": wish.doc})
    made = with_remarks(made, remarks, approved=bool(situation.approved))
    rules = [wish.held] if wish.held else []
    return made if situation.approved else by_rule(made, *rules, *objections(made, situation.target))


@dataclass(frozen=True, slots=True)
class Wish:
    """What the sources ask of the target's object. source: one of them. held: the rule that has a person decide."""

    source: Doc
    doc: Doc
    held: str = ""


def wish_of(situation: Situation) -> Wish | Plan:
    """What the linked objects that exist on the source's side ask for, or the plan if they ask for nothing.

    Raises Rejected if a document cannot be mapped.
    """
    if situation.in_doubt:
        return Plan(PlanKind.HOLD, UNSETTLED, why=Why.UNKNOWN_WRITE)
    link = situation.links.get("")
    if link is None or link.key is None:
        return Plan(PlanKind.SKIP, NOT_LINKED, Why.NOT_LINKED)
    if not situation.sources:
        return Plan(PlanKind.SKIP, NOT_THERE, Why.NOT_THERE)
    if link.current is None:
        return Plan(PlanKind.HOLD, f"{link.key} no longer exists in the target", Why.GONE, about=link.key or "")
    mapping = situation.flow.mapping
    decisions = {key: mapping.decide(doc, situation.context) for key, doc in situation.sources.items()}
    active = {
        key: decision for key, decision in decisions.items() if decision.verdict in (RuleVerdict.GO, RuleVerdict.HOLD)
    }
    if not active:
        return Plan(PlanKind.SKIP, next(iter(decisions.values())).reason, Why.RULE)
    mapped: dict[str, Doc] = {}
    for key in active:
        made = _mapped(situation, situation.sources[key])
        if isinstance(made, Plan):
            return made
        mapped[key] = made
    if difference := _difference(mapped):
        return Plan(PlanKind.HOLD, difference, why=Why.REFUSED)
    held = next((decision.reason for decision in active.values() if decision.verdict is RuleVerdict.HOLD), "")
    key, doc = next(iter(mapped.items()))
    return Wish(situation.sources[key], doc, held)


def _mapped(situation: Situation, doc: Doc) -> Doc | Plan:
    made = wanted_parts(situation, doc)
    if isinstance(made, Plan):
        return made
    if set(made) != {""}:
        raise Rejected(
            field=situation.flow.name,
            value=", ".join(made),
            reason="a write-back must map to one document, without parts",
            remedy="Correct the flow file",
        )
    return made[""]


def _difference(mapped: Map[str, Doc]) -> str:
    """The first field on which the sources disagree; empty if they agree."""
    (first_key, first), *others = mapped.items()
    for key, doc in others:
        for name in sorted({*first, *doc}):
            if (
                not name.startswith("@")
                and first.get(name) != doc.get(name)
                and not same(first.get(name), doc.get(name))
            ):
                return f"its sources disagree on {name}: {first_key} and {key} have different values"
    return ""
