"""The plan of a two-way flow: a three-way merge of field groups, each with its policy, written to either side. Pure."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from syncengine.connectors.base import Change, Operation, Resource, Verb
from syncengine.document import Doc
from syncengine.engine.decide import first_comparison
from syncengine.engine.decide.merge import Difference, same
from syncengine.engine.decide.plan import (
    EQUAL,
    TOO_OLD,
    UNSETTLED,
    Agreement,
    Linked,
    Plan,
    PlanKind,
    Step,
    by_rule,
    objections,
)
from syncengine.engine.decide.situation import Situation
from syncengine.mapping.contract import Context, FieldGroup, Mapping, MissingLookup, Policy, RuleVerdict
from syncengine.store.states import Why


def plan_pair(pair: Situation) -> Plan:
    """Decide for both sides at once. Raises Rejected if a document cannot be mapped."""
    if pair.in_doubt:
        return Plan(PlanKind.HOLD, UNSETTLED, why=Why.UNKNOWN_WRITE)
    if pair.source_doc is None and pair.target_doc is None:
        return Plan(PlanKind.SKIP, "not found on either side", Why.NOT_THERE)
    if pair.link is None or pair.link.provisional:
        return _first(pair)
    if pair.source_doc is None or pair.target_doc is None:
        side, why = ("left", Why.GONE_LEFT) if pair.source_doc is None else ("right", Why.GONE_RIGHT)
        return Plan(PlanKind.HOLD, f"no longer exists on the {side} side", why)
    return _compare(pair, pair.link, pair.source_doc, pair.target_doc)


def _first(pair: Situation) -> Plan:
    if pair.too_old:
        return Plan(PlanKind.SKIP, TOO_OLD, Why.TOO_OLD)
    if pair.source_doc is not None:
        return _create(pair, pair.flow.mapping, pair.source_doc, pair.target)
    if pair.flow.backward is None or pair.target_doc is None:
        return Plan(PlanKind.SKIP, "this flow does not create on the left side", Why.RULE)
    return _create(pair, pair.flow.backward, pair.target_doc, pair.source)


def _create(pair: Situation, mapping: Mapping, doc: Doc, target: Resource) -> Plan:
    mapped = _mapped(mapping, doc, pair.context)
    if isinstance(mapped, Plan):
        return mapped
    wanted = target.canonical(mapped)
    agreed = wanted
    if target is pair.source and pair.target_doc is not None:  # the base always holds the right side's fields
        agreed = {name: pair.target_doc.get(name) for group in pair.flow.groups for name in group.right}
    operation = Operation(Verb.CREATE, mapping.natural_key(wanted), doc=wanted)
    made = Plan(PlanKind.WRITE, steps=[Step("", target.name, operation, agreed=agreed)])
    return _ruled(pair, [(mapping, doc)], made)


def _ruled(pair: Situation, sides: Sequence[tuple[Mapping, Doc]], made: Plan) -> Plan:
    """The plan, held if a rule or the written side has something against it, unless a person waived that."""
    if pair.approved:
        return made
    decisions = [mapping.decide(doc, pair.context) for mapping, doc in sides]
    rules = [decision.reason for decision in decisions if decision.verdict is RuleVerdict.HOLD]
    return by_rule(made, *rules[:1], *objections(made, pair.source), *objections(made, pair.target))


def _mapped(mapping: Mapping, doc: Doc, context: Context) -> Doc | Plan:
    decision = mapping.decide(doc, context)
    if decision.verdict in (RuleVerdict.SKIP, RuleVerdict.CANCEL):
        return Plan(PlanKind.SKIP, decision.reason, Why.RULE)
    if missing := [need for need in mapping.needs(doc, context) if need not in context.links]:
        return Plan(PlanKind.WAIT, f"needs {missing[0].entity} {missing[0].key}", Why.NEED, needs=missing)
    try:
        return mapping.apply(doc, context)[""]
    except MissingLookup as missed:
        return Plan(PlanKind.WAIT, f"needs {missed.need.entity} {missed.need.key}", Why.NEED, needs=[missed.need])


@dataclass
class _Sides:
    """The changes for each side; the fields agreed already and after each write, since only one write may succeed."""

    to_right: dict[str, Change] = field(default_factory=dict)
    to_left: dict[str, Change] = field(default_factory=dict)
    agreed: dict[str, Any] = field(default_factory=dict)
    by_right: dict[str, Any] = field(default_factory=dict)
    by_left: dict[str, Any] = field(default_factory=dict)
    conflicts: list[Difference] = field(default_factory=list)


def _compare(pair: Situation, link: Linked, left: Doc, right: Doc) -> Plan:
    forward = _mapped(pair.flow.mapping, left, pair.context)
    if isinstance(forward, Plan):
        return forward
    backward = _mapped(pair.flow.backward, right, pair.context) if pair.flow.backward is not None else {}
    if isinstance(backward, Plan):
        return backward
    wanted_right, wanted_left = pair.target.canonical(forward), pair.source.canonical(backward)
    sides = _Sides()
    for group in pair.flow.groups:
        _group(pair, sides, group, link.base, (wanted_right, right), (wanted_left, left))
    ruling = [(pair.flow.mapping, left), *([(pair.flow.backward, right)] if pair.flow.backward is not None else [])]
    return _ruled(pair, ruling, _plan(pair, link, sides, wanted_right, wanted_left))


def _group(
    pair: Situation, sides: _Sides, group: FieldGroup, base: Doc, to_right: tuple[Doc, Doc], to_left: tuple[Doc, Doc]
) -> None:
    wanted, current = to_right
    if _equal(group.right, wanted, current):
        sides.agreed |= {name: wanted.get(name) for name in group.right}
        return
    left_changed, right_changed = not _equal(group.right, wanted, base), not _equal(group.right, current, base)
    winner = _winner(group.policy, left_changed, right_changed, pair.newer) or pair.approved or None
    if winner is None:
        old, new, now = ({name: side.get(name) for name in group.right} for side in (base, wanted, current))
        sides.conflicts.append(Difference(group.name, old, new, now, "was changed on both sides"))
    elif winner == "left":
        sides.to_right |= _changes(group.right, current, wanted)
        sides.by_right |= {name: wanted.get(name) for name in group.right}
    else:
        changes = _changes(group.left, to_left[1], to_left[0])
        sides.to_left |= changes
        by = sides.by_left if changes else sides.agreed  # the left side may have the value already, in its own form
        by |= {name: current.get(name) for name in group.right}


def _winner(policy: Policy, left_changed: bool, right_changed: bool, newer: bool | None) -> str | None:
    if left_changed != right_changed:
        return "left" if left_changed else "right"
    if policy in (Policy.LEFT, Policy.ENFORCE, Policy.SOURCE):
        return "left"
    if policy is Policy.RIGHT:
        return "right"
    if policy is Policy.NEWEST and newer is not None:
        return "left" if newer else "right"
    return None


def _equal(names: Sequence[str], doc: Map[str, Any], other: Map[str, Any]) -> bool:
    return all(same(doc.get(name), other.get(name)) for name in names)


def _changes(names: Sequence[str], old: Doc, new: Doc) -> dict[str, Change]:
    return {name: Change(old.get(name), new.get(name)) for name in names if not same(old.get(name), new.get(name))}


def _plan(pair: Situation, link: Linked, sides: _Sides, wanted_right: Doc, wanted_left: Doc) -> Plan:
    steps = []
    for target, key, changes, by, doc, current in (
        (pair.target, link.key, sides.to_right, sides.by_right, wanted_right, pair.target_doc),
        (pair.source, pair.key, sides.to_left, sides.by_left, wanted_left, pair.source_doc),
    ):
        if changes:
            operation = Operation(
                Verb.CHANGE, link.natural_key, doc=doc, key=key, changes=changes, current=current
            )  # fmt: skip
            agreed = {**sides.agreed, **by}  # the link keeps its other fields
            steps.append(Step("", target.name, operation, agreed=agreed, numbers=link.numbers))
    found = Plan(PlanKind.WRITE, steps=steps, conflicts=sides.conflicts)
    if sides.conflicts:
        reason = f"{sides.conflicts[0].path} was changed on both sides"
        return replace(found, kind=PlanKind.HOLD, reason=reason, why=Why.CONFLICT)
    if not steps:
        known = {name: value for name, value in link.base.items() if name != first_comparison.MARK}
        agreement = Agreement("", {**known, **sides.agreed, **sides.by_right, **sides.by_left}, link.numbers)
        return replace(found, kind=PlanKind.SKIP, reason=EQUAL, why=Why.EQUAL, agreements=[agreement])
    return found
