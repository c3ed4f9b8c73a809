"""The plan of a one-way flow: what must be written so that the target shows what the source says. Pure."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import replace

from syncengine.connectors.base import Operation, Safety, Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide import first_comparison, rebase, unconfirmed_change
from syncengine.engine.decide.merge import UNCLEAR, Merged, by_key, by_number, merge, recognise, same
from syncengine.engine.decide.plan import (
    CANCELLED,
    EQUAL,
    NOT_THERE,
    TOO_OLD,
    UNSETTLED,
    WAIVABLE,
    Agreement,
    Linked,
    Plan,
    PlanKind,
    Step,
    by_rule,
    named,
    objections,
    with_remarks,
)
from syncengine.engine.decide.situation import Situation
from syncengine.errors import Rejected
from syncengine.mapping.contract import MissingLookup, Need, Policy, RuleVerdict
from syncengine.store.states import Why


def plan_one_way(situation: Situation) -> Plan:
    """Decide what to write for one record. Raises Rejected if the document cannot be mapped."""
    if situation.in_doubt:
        return Plan(PlanKind.HOLD, UNSETTLED, why=Why.UNKNOWN_WRITE)
    doc = situation.source_doc
    if doc is None:
        return Plan(PlanKind.SKIP, NOT_THERE, Why.NOT_THERE)
    if situation.too_old and not situation.links:
        return Plan(PlanKind.SKIP, TOO_OLD, Why.TOO_OLD)
    decision = situation.flow.mapping.decide(doc, situation.context)
    if decision.verdict is RuleVerdict.SKIP:
        return Plan(PlanKind.SKIP, decision.reason, Why.RULE)
    if decision.verdict is RuleVerdict.CANCEL:
        seeks = _seeks(situation) and not situation.links
        return _search_only(situation, doc, decision.reason) if seeks else _cancel(situation, decision.reason)
    wanted = wanted_parts(situation, doc)
    if isinstance(wanted, Plan):
        return wanted
    parts = [plan_part(situation, part, target_doc) for part, target_doc in wanted.items()]
    made = _combine([*parts, *_unwanted_parts(situation, wanted)])
    remarks = situation.flow.mapping.remarks(doc, situation.context, wanted)
    made = with_remarks(made, remarks, approved=bool(situation.approved))
    rules = [decision.reason] if decision.verdict is RuleVerdict.HOLD else []
    return made if situation.approved else by_rule(made, *rules, *objections(made, situation.target))


def wanted_parts(situation: Situation, doc: Doc) -> dict[str, Doc] | Plan:
    """The mapped documents by part, or a plan that waits for what is missing. Raises Rejected."""
    mapping = situation.flow.mapping
    if missing := [need for need in mapping.needs(doc, situation.context) if _is_missing(need, situation)]:
        return Plan(PlanKind.WAIT, f"needs {named(missing[0])}", Why.NEED, needs=missing)
    try:
        mapped = mapping.apply(doc, situation.context)
    except MissingLookup as missed:
        return Plan(PlanKind.WAIT, f"needs {named(missed.need)}", Why.NEED, needs=[missed.need])
    return {part: situation.target.canonical(target_doc) for part, target_doc in mapped.items()}


def _search_only(situation: Situation, doc: Doc, reason: str) -> Plan:
    """Search for an object that is cancelled in the source and that a create unknown to the store may have made."""
    try:
        wanted = wanted_parts(situation, doc)
    except Rejected:
        return _cancel(situation, reason)
    if isinstance(wanted, Plan):
        return wanted
    made = _combine([plan_part(situation, part, target_doc) for part, target_doc in wanted.items()])
    return replace(made, seeks=True, reason=f"{reason}; searching the target for it, since creates are verified")


def _seeks(situation: Situation) -> bool:
    """True if the target may have an object that the store does not know, and can be searched for it."""
    return situation.verifies and situation.target.safety.get(Verb.CREATE) in (Safety.SEARCH, Safety.ENFORCED)


def _is_missing(need: Need, situation: Situation) -> bool:
    return need not in situation.context.links


def plan_part(situation: Situation, part: str, wanted: Doc) -> Plan:
    """The plan of one part: create it, change it or leave it, depending on the target's current document."""
    link = situation.links.get(part)
    natural = situation.flow.mapping.natural_key(wanted)
    if link is None or link.provisional:
        operation = Operation(Verb.CREATE, natural, doc=wanted)
        return Plan(PlanKind.WRITE, steps=[Step(part, situation.target.name, operation, agreed=wanted)])
    if link.key is None:
        return _without_key(part, wanted, link)
    if link.current is None:
        return Plan(PlanKind.HOLD, f"{link.key} no longer exists in the target", Why.GONE, about=link.key)
    before, numbers = _last_agreement(situation, wanted, link, link.current)
    base, numbers = _confirmed(situation, link, before, numbers)
    compared, numbers_now = _rebased(situation, wanted, link.current, rebase.Known(base, numbers))
    merged = merge(
        compared,
        wanted,
        link.current,
        policy=situation.flow.mapping.policy,
        line_fields=situation.target.line_fields,
        numbers=numbers_now,
        source_is_newer=situation.newer,
        approved=bool(situation.approved),
    )
    made = _change(situation, part, wanted, link, merged, natural, before)
    has_happened = link.tried and base != before
    return replace(made, turned_out=[Agreement(part, base, numbers)]) if has_happened else made


def _last_agreement(situation: Situation, wanted: Doc, link: Linked, current: Doc) -> tuple[Doc, Map[str, str]]:
    """The last agreement, or a substitute if there is none yet; and the target's line numbers."""
    if first_comparison.by_hand(link.base):
        base, numbers = first_comparison.base(wanted, current, line_fields=situation.target.line_fields)
        return base, {**numbers, **link.numbers}
    return (link.base, link.numbers) if link.base else _first_base(situation, wanted, current)


def _confirmed(situation: Situation, link: Linked, base: Doc, numbers: Map[str, str]) -> tuple[Doc, Map[str, str]]:
    """The agreement with the part of an unconfirmed change that the target has; `base` if there is no such change."""
    if not link.tried or link.current is None:
        return base, numbers
    line_fields = situation.target.line_fields
    return unconfirmed_change.agreement_shown(base, link.tried, link.current, line_fields=line_fields, numbers=numbers)


def _rebased(situation: Situation, wanted: Doc, current: Doc, known: rebase.Known) -> tuple[Doc, Map[str, str]]:
    """The base to compare with: the agreement, rebuilt from both sides if the store may have lost writes."""
    if not (situation.verifies or known.is_found):
        return known.base, known.numbers
    policy = situation.flow.mapping.policy
    return rebase.agreement(
        known,
        wanted,
        current,
        line_fields=situation.target.line_fields,
        edited=situation.edited,
        is_held=lambda name: policy(name) is Policy.HOLD,
    )


def _first_base(situation: Situation, wanted: Doc, current: Doc) -> tuple[Doc, Map[str, str]]:
    """The base of a flow that joins the link of another flow: the target's current values of the flow's own fields.

    Lines are matched by their content, since the other flow may have created the target from the same lines. A line that the
    target lacks is a conflict: no line is added to an existing object unless a person approves it.
    """
    line_fields = situation.target.line_fields
    base: Doc = {name: current.get(name) for name in wanted if name not in line_fields}
    numbers: dict[str, str] = {}
    for name, identity in line_fields.items():
        if name not in wanted:
            continue
        asked, there = by_key(wanted, name), by_number(current, name)
        found = recognise(name, identity, asked, there)
        numbers |= found
        base[name] = [_first_line(line, there.get(found.get(key, "")), identity) for key, line in asked.items()]
    return base, numbers


def _first_line(asked: Doc, there: Doc | None, identity: Sequence[str]) -> Doc:
    """A line with the target's values; only its identity if the target lacks it."""
    if there is None:
        return {LINE_KEY: asked[LINE_KEY], first_comparison.MARK: True, **{name: asked.get(name) for name in identity}}
    return {name: there.get(name, value) if name != LINE_KEY else value for name, value in asked.items()}


def _without_key(part: str, wanted: Doc, link: Linked) -> Plan:
    """The plan of a part that the target accepted without returning a key, so that it can be neither read nor changed."""
    if _same_doc(wanted, link.base):
        return Plan(PlanKind.SKIP, EQUAL, Why.EQUAL, agreements=[Agreement(part, link.base, link.numbers)])
    reason = (
        "it was written without a key and cannot be changed: correct it in the target by hand, then refuse this plan"
    )
    return Plan(PlanKind.HOLD, reason, why=Why.REFUSED, refusable=[Agreement(part, wanted, link.numbers)])


def _same_doc(doc: Doc, other: Doc) -> bool:
    names = [name for name in {*doc, *other} if not name.startswith("@")]
    return all(doc.get(name) == other.get(name) or same(doc.get(name), other.get(name)) for name in names)


def _unwanted_parts(situation: Situation, wanted: Map[str, Doc]) -> list[Plan]:
    """Cancel linked parts that the mapping no longer produces, so that nothing is shipped twice.

    A flow that keeps its parts cancels none. If the mapping switched between one document and parts, a person decides.
    """
    left_over = {part: link for part, link in situation.links.items() if part not in wanted and not link.provisional}
    if situation.flow.keeps_parts:
        return []
    plans = [_cancelled(situation, part, link, _no_longer(part)) for part, link in left_over.items()]
    if "" in left_over or "" in wanted:
        held = [made for made in plans if made.kind is not PlanKind.SKIP]
        reason = "it was written in other parts than the mapping now produces: link or cancel them by hand"
        return [replace(made, kind=PlanKind.HOLD, reason=reason, why=Why.REFUSED) for made in held]
    return plans


def _no_longer(part: str) -> str:
    return f"the part {part} is no longer wanted"


def _change(
    situation: Situation, part: str, wanted: Doc, link: Linked, merged: Merged, natural: str, before: Doc
) -> Plan:
    assert link.current is not None  # noqa: S101 - the caller has checked it
    steps = []
    if merged.writes:
        operation = Operation(
            Verb.CHANGE,
            natural,
            doc=wanted,
            key=link.key,
            changes=merged.changes,
            lines=tuple(merged.lines),
            current=link.current,
        )
        compared = None if link.base else before
        steps = [Step(part, situation.target.name, operation, agreed=wanted, numbers=merged.numbers, first=compared)]
    agreement = Agreement(part, wanted, merged.numbers)
    found = Plan(PlanKind.WRITE, steps=steps, kept=merged.kept, conflicts=merged.conflicts, refusable=[agreement])
    if merged.conflicts:
        first = next((conflict for conflict in merged.conflicts if conflict.because == UNCLEAR), merged.conflicts[0])
        hold = Why.UNCLEAR if first.because == UNCLEAR else Why.CONFLICT
        return replace(found, kind=PlanKind.HOLD, reason=f"{first.path} {first.because}", why=hold)
    is_cancelled = situation.target.is_cancelled(link.current) and not situation.flow.write_back
    if is_cancelled and (merged.writes or _by_us(link)):
        reason = f"{link.key} was cancelled in the target"
        return replace(found, kind=PlanKind.HOLD, reason=reason, why=Why.REFUSED)
    if not merged.writes:
        return replace(found, kind=PlanKind.SKIP, reason=EQUAL, why=Why.EQUAL, agreements=[agreement], refusable=())
    if refusal := situation.target.refuses(Verb.CHANGE, link.current):
        return replace(found, kind=PlanKind.HOLD, reason=refusal, why=Why.REFUSED)
    return found


def _by_us(link: Linked) -> bool:
    """True if we cancelled the object because its source was cancelled, and no later agreement replaced that."""
    return CANCELLED in link.base or CANCELLED in link.tried


def _cancel(situation: Situation, reason: str) -> Plan:
    if not situation.links:
        return Plan(PlanKind.SKIP, f"{reason}; it was never sent", Why.RULE)
    parts = [_cancelled(situation, part, link, reason) for part, link in situation.links.items()]
    if held := next((made for made in parts if made.kind is PlanKind.HOLD), None):
        return held
    steps = [step for made in parts for step in made.steps]
    turned_out = [agreement for made in parts for agreement in made.turned_out]
    if not steps:
        return Plan(PlanKind.SKIP, f"{reason}; it is already cancelled in the target", Why.RULE, turned_out=turned_out)
    return Plan(PlanKind.WRITE, reason, steps=steps, turned_out=turned_out)


def _cancelled(situation: Situation, part: str, link: Linked, reason: str) -> Plan:
    """Cancel one linked object. Skip if it no longer exists or is already cancelled; hold if it cannot be cancelled."""
    if link.key is None and not link.provisional:
        return Plan(PlanKind.HOLD, f"{reason}, and it was written without a key", why=Why.REFUSED)
    if link.current is None or link.key is None:
        return Plan(PlanKind.SKIP)
    is_cancelled = situation.target.is_cancelled(link.current)
    agreed = {**link.base, CANCELLED: True}
    turned_out = []
    if link.tried and (is_cancelled or link.tried != agreed):  # otherwise the write in doubt is this cancellation
        base, numbers = _confirmed(situation, link, link.base, link.numbers)
        mark = {CANCELLED: True} if is_cancelled and CANCELLED in link.tried else {}
        turned_out.append(Agreement(part, {**base, **mark}, numbers))
    if is_cancelled:
        return Plan(PlanKind.SKIP, turned_out=turned_out)
    operation = Operation(
        Verb.CANCEL, link.natural_key, doc=link.base, key=link.key, current=link.current, reason=reason
    )
    step = Step(part, situation.target.name, operation, agreed=agreed, numbers=link.numbers)
    refusal = situation.target.refuses(Verb.CANCEL, link.current)
    if Verb.CANCEL not in situation.target.safety:
        refusal = f"{reason}, and {situation.target.name} cannot be cancelled"
    if refusal:
        return Plan(PlanKind.HOLD, refusal, steps=[step], why=Why.REFUSED)
    return Plan(PlanKind.WRITE, reason, steps=[step], turned_out=turned_out)


def _combine(parts: Sequence[Plan]) -> Plan:
    """Combine the plans of all parts: a held part holds the others, since they belong together."""
    steps = [step for part in parts for step in part.steps]
    combined = Plan(
        PlanKind.WRITE if steps else PlanKind.SKIP,
        steps=steps,
        agreements=[agreement for part in parts for agreement in part.agreements],
        turned_out=[agreement for part in parts for agreement in part.turned_out],
        kept=[difference for part in parts for difference in part.kept],
        conflicts=[difference for part in parts for difference in part.conflicts],
        refusable=[agreement for part in parts for agreement in part.refusable],
    )
    held = sorted((part for part in parts if part.kind is PlanKind.HOLD), key=lambda part: part.why in WAIVABLE)
    if held:  # a reason that nobody can waive comes first
        return replace(combined, kind=PlanKind.HOLD, reason=held[0].reason, why=held[0].why, about=held[0].about)
    if steps:
        return combined
    reason, why = (EQUAL, Why.EQUAL) if parts else ("the mapping yields nothing", Why.RULE)
    return replace(combined, reason=reason, why=why)
