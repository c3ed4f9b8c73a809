"""The plan of a flow that sets levels: numbers in lines of an object that exists, whatever they were before. Pure.

The wanted level is a range, since nobody may know what is in transit between the two systems. A level above the range falls to
its top at once. One below it rises to its bottom once all movements of the target until its level was read are known. A level
within the range is left alone. The difference of a write goes by the one level that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from syncengine.connectors.base import Change, LineChange, Operation, Resource, Verb
from syncengine.document import Doc, fingerprint
from syncengine.engine.decide import tallies
from syncengine.engine.decide.merge import by_key
from syncengine.engine.decide.one_way_plan import wanted_parts
from syncengine.engine.decide.plan import (
    EQUAL,
    NOT_THERE,
    UNSETTLED,
    Linked,
    Plan,
    PlanKind,
    Step,
    by_rule,
    with_remarks,
)
from syncengine.engine.decide.situation import LevelFacts, Situation
from syncengine.flows.flow import Levels
from syncengine.mapping.contract import Remark, RuleVerdict
from syncengine.redaction import quoted
from syncengine.store.states import Why

RISE_WAITS = "the level may rise once all that moved in the target before it was read is known"
WITHIN = "within what is in transit between the systems"
NEGATIVE = "the level is below 0 and is written as 0"
HELD_BACK = "the target holds back more than there is"


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the target by the key of its line: where it may be (`low`, `high`), and where it is. doc: the wanted line.

    `low` and `high` may be below 0; nothing below it is written. least: how far the target lets it fall.
    """

    key: str
    low: Decimal
    high: Decimal
    current: Decimal
    doc: Doc
    least: Decimal = Decimal(0)

    @property
    def target(self) -> Decimal:
        """The level to set: the nearest one in the range that is not below 0, and that the target allows."""
        nearest = max(min(max(self.current, self.low), self.high), Decimal(0))
        return min(self.current, max(nearest, self.least)) if nearest < self.current else nearest

    @property
    def falls(self) -> bool:
        """Whether the target shows more than there is."""
        return self.target < self.current

    @property
    def rises(self) -> bool:
        """Whether the target shows less than there is."""
        return self.target > self.current


def plan_levels(situation: Situation, levels: Levels) -> Plan:
    """Decide which levels to write for one record. Raises Rejected if the document cannot be mapped."""
    if situation.in_doubt:
        return Plan(PlanKind.HOLD, UNSETTLED, why=Why.UNKNOWN_WRITE)
    doc, facts = situation.source_doc, situation.levels
    if doc is None or facts is None:
        return Plan(PlanKind.SKIP, NOT_THERE, Why.NOT_THERE)
    decision = situation.flow.mapping.decide(doc, situation.context)
    if decision.verdict in (RuleVerdict.SKIP, RuleVerdict.CANCEL):
        return Plan(PlanKind.SKIP, decision.reason, Why.RULE)
    link = situation.link
    if link is None or link.key is None:
        found = (
            f"the target has nothing with the key {quoted(facts.key)}" if facts.key else "it has no key in the target"
        )
        return Plan(PlanKind.SKIP, found, Why.NOT_LINKED)
    if link.current is None:
        return Plan(PlanKind.SKIP, f"the target keeps no level of {link.key}", Why.NO_STOCK, about=link.key)
    both = _wanted(situation, doc, facts)
    if isinstance(both, Plan):
        return both
    lines = _lines(situation.target, levels, both, link.current)
    if decision.verdict is RuleVerdict.HOLD:
        situation = replace(situation, whole=True)
    made = _plan(situation, facts, levels, link, lines)
    remarks = [
        *situation.flow.mapping.remarks(doc, situation.context, {"": both[1]}),
        *_negatives(lines),
        *_held_back(lines),
    ]
    made = with_remarks(made, remarks, approved=bool(situation.approved))
    rules = [decision.reason] if decision.verdict is RuleVerdict.HOLD else []
    return made if situation.approved else by_rule(made, *rules)


def levels_of(situation: Situation, levels: Levels) -> list[Level]:
    """The levels of a record as its plan sees them, for people; none where it has no plan for want of a document.

    Raises Rejected if the document cannot be mapped.
    """
    doc, facts, link = situation.source_doc, situation.levels, situation.link
    if doc is None or facts is None or link is None or link.current is None:
        return []
    both = _wanted(situation, doc, facts)
    if isinstance(both, Plan):
        return []
    return _lines(situation.target, levels, both, link.current)


def _wanted(situation: Situation, doc: Doc, facts: LevelFacts) -> tuple[Doc, Doc] | Plan:
    """The document as it is wanted with the lowest and with the highest tallies, or a plan that waits. Raises Rejected."""
    low, high = tallies.ends(facts.tallied)
    made: list[Doc] = []
    for tallied in (low, high) if low != high else (low,):
        mapped = wanted_parts(replace(situation, context=replace(situation.context, tallied=tallied)), doc)
        if isinstance(mapped, Plan):
            return mapped
        made.append(mapped[""])
    return made[0], made[-1]


def _lines(target: Resource, levels: Levels, both: tuple[Doc, Doc], current: Doc) -> list[Level]:
    (identity,) = target.line_fields[levels.lines]
    low, high = (by_key(doc, levels.lines) for doc in both)
    there = {str(line[identity]): line for line in current.get(levels.lines) or ()}
    lines = []
    for key, line in high.items():
        ends = sorted((_number(low[key].get(levels.level)), _number(line.get(levels.level))))
        own = there.get(key, {})
        lines.append(Level(key, ends[0], ends[1], _number(own.get(levels.level)), line, target.least_level(own)))
    return lines


def _number(value: Any) -> Decimal:
    return Decimal(value) if value is not None else Decimal(0)


def _negatives(lines: Sequence[Level]) -> list[Remark]:
    return [
        Remark(
            holds=False,
            name=fingerprint([NEGATIVE]),
            reason=NEGATIVE,
            field=line.key,
            value=format(line.high, "f"),
            expected="0",
            remedy="Find out why the source has less than nothing",
        )
        for line in lines
        if line.high < 0
    ]


def _held_back(lines: Sequence[Level]) -> list[Remark]:
    return [
        Remark(
            False,
            HELD_BACK,
            HELD_BACK,
            line.key,
            format(line.least, "f"),
            format(max(line.high, Decimal(0)), "f"),
            "Cancel orders of the item, or find the goods that are missing",
        )
        for line in lines
        if max(line.high, Decimal(0)) < line.least
    ]


def _plan(situation: Situation, facts: LevelFacts, levels: Levels, link: Linked, lines: Sequence[Level]) -> Plan:
    falls, rising = [line for line in lines if line.falls], [line for line in lines if line.rises]
    is_within = any(line.low != line.high and line.high > 0 for line in lines)
    if not falls and not rising:
        if is_within and facts.exact_at is not None:
            return Plan(PlanKind.WAIT, WITHIN, Why.IN_TRANSIT, later=facts.exact_at)
        return Plan(PlanKind.SKIP, WITHIN if is_within else EQUAL, Why.EQUAL)
    waits = is_within and facts.exact_at is not None
    rest = situation.now if waits else None  # the next plan waits until it is exact
    if not rising:
        return Plan(PlanKind.WRITE, steps=[_step(situation, levels, link, falls)], later=rest)
    if facts.read_by is None or facts.moved_until is None or facts.moved_until < facts.read_by:
        later = (facts.read_by or situation.now) + timedelta(seconds=facts.lag_s)
        if not falls or situation.whole:
            return Plan(PlanKind.WAIT, RISE_WAITS, Why.MOVEMENTS, later=later)
        return Plan(PlanKind.WRITE, steps=[_step(situation, levels, link, falls)], later=later)
    made = _with_rises(situation, levels, link, falls, rising)
    return replace(made, later=made.later or rest) if made.kind is PlanKind.WRITE else made


def _with_rises(
    situation: Situation, levels: Levels, link: Linked, falls: Sequence[Level], rising: Sequence[Level]
) -> Plan:
    """A plan whose rises may be written; those that a person must decide about are held, after all else is written."""
    reasons = {} if situation.approved else reasons_to_hold(situation, levels, link, rising)
    rest = [*falls, *(line for line in rising if line.key not in reasons)]
    if not reasons:
        return Plan(PlanKind.WRITE, steps=[_step(situation, levels, link, rest)])
    if rest and not situation.whole:
        return Plan(PlanKind.WRITE, steps=[_step(situation, levels, link, rest)], later=situation.now)
    steps = [_step(situation, levels, link, [*falls, *rising])]
    return Plan(PlanKind.HOLD, "; ".join(dict.fromkeys(reasons.values())), Why.RULE, steps=steps)


def reasons_to_hold(situation: Situation, levels: Levels, link: Linked, rising: Sequence[Level]) -> dict[str, str]:
    """Why a person must decide about rises, by the key of the line."""
    limit = Decimal(str(situation.context.settings[levels.jump] or 0))
    found: dict[str, str] = {}
    for line in rising:
        most = max(limit, situation.approved_rises.get(line.key, Decimal(0)))
        if limit and line.target - line.current > most:
            found[line.key] = (
                f"{levels.level} of {line.key} would rise from {line.current:f} to {line.target:f}, by more than {most:f}"
            )
        elif objection := situation.target.objection(_step(situation, levels, link, [line]).operation):
            found[line.key] = objection
    return found


def _step(situation: Situation, levels: Levels, link: Linked, lines: Sequence[Level]) -> Step:
    changes = tuple(
        LineChange(
            levels.lines, "change", line.key, line.key, {**line.doc, levels.level: line.target},
            {levels.level: Change(line.current, line.target)},
        )
        for line in lines
    )  # fmt: skip
    doc: Doc = {levels.lines: [change.line for change in changes]}
    operation = Operation(Verb.CHANGE, link.natural_key, doc=doc, key=link.key, lines=changes, current=link.current)
    return Step("", situation.target.name, operation, agreed=doc, numbers={line.key: line.key for line in lines})
