"""The plan of a write-back: what objects of one side say about the object of the other side that another flow has linked.

One record stands for one object of the side that is written, whatever its links: several sources (parts of it) must agree on
what to write. It changes fields of its own and never creates, cancels or removes. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping as Map

from syncengine.document import Doc
from syncengine.engine.decide.merge import same
from syncengine.engine.decide.plan import (
    NOT_LINKED,
    NOT_THERE,
    UNSETTLED,
    Plan,
    PlanKind,
    Situation,
    by_rule,
    plan_part,
    wanted_parts,
)
from syncengine.errors import Rejected
from syncengine.mapping.contract import RuleVerdict
from syncengine.store.states import Why


def plan_write_back(situation: Situation, sources: Map[str, Doc]) -> Plan:
    """Decide. Raises Rejected if a document cannot be mapped.

    Args:
        situation: of the target's object; its one link is under "". Its `source_doc` is not looked at.
        sources: the linked objects of the source's side that exist, typed, by key.
    """
    if situation.in_doubt:
        return Plan(PlanKind.HOLD, UNSETTLED, why=Why.UNKNOWN_WRITE)
    link = situation.links.get("")
    if link is None or link.key is None:
        return Plan(PlanKind.SKIP, NOT_LINKED, Why.NOT_LINKED)
    if not sources:
        return Plan(PlanKind.SKIP, NOT_THERE, Why.NOT_THERE)
    if link.current is None:
        return Plan(PlanKind.HOLD, f"{link.key} is gone in the target", Why.GONE, about=link.key or "")
    mapping = situation.flow.mapping
    decisions = {key: mapping.decide(doc, situation.context) for key, doc in sources.items()}
    said = {key: one for key, one in decisions.items() if one.verdict in (RuleVerdict.GO, RuleVerdict.HOLD)}
    if not said:
        return Plan(PlanKind.SKIP, next(iter(decisions.values())).reason, Why.RULE)
    mapped: dict[str, Doc] = {}
    for key in said:
        made = _mapped(situation, sources[key])
        if isinstance(made, Plan):
            return made
        mapped[key] = made
    if difference := _difference(mapped):
        return Plan(PlanKind.HOLD, difference, why=Why.REFUSED)
    found = plan_part(situation, "", next(iter(mapped.values())))
    held = next((one for one in said.values() if one.verdict is RuleVerdict.HOLD), None)
    return by_rule(found, held.reason) if held is not None and not situation.approved else found


def _mapped(situation: Situation, doc: Doc) -> Doc | Plan:
    made = wanted_parts(situation, doc)
    if isinstance(made, Plan):
        return made
    if set(made) != {""}:
        raise Rejected(
            field=situation.flow.name,
            value=", ".join(made),
            reason="a write-back maps to one document, without parts",
            remedy="Correct the flow's file",
        )
    return made[""]


def _difference(mapped: Map[str, Doc]) -> str:
    """Where the sources do not agree; empty if they do."""
    (first_key, first), *others = mapped.items()
    for key, doc in others:
        for name in sorted({*first, *doc}):
            if (
                not name.startswith("@")
                and first.get(name) != doc.get(name)
                and not same(first.get(name), doc.get(name))
            ):
                return f"its sources do not agree on {name}: {first_key} and {key} say different things"
    return ""
