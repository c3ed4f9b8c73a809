"""Decide what to write so that both sides agree, and why. Pure: no clock, no session, no network.

Dry runs, diffs, explanations and reconciliation call the same function and stop there.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from syncengine.connectors.base import Operation, Target, Verb
from syncengine.document import Doc, fingerprint
from syncengine.engine.decide.merge import Difference
from syncengine.mapping.contract import Need, Remark
from syncengine.store.states import Why

CANCELLED = "@cancelled"
"""A mark in an agreement: the target's object is cancelled. Like all names with an @, it is never compared."""
UNSETTLED = "nobody knows whether the last write took effect"
NOT_THERE = "not found in the source"
TOO_OLD = "created before the cut-over date"
NOT_LINKED = "no flow has linked it yet"
EQUAL = "already equal"


class PlanKind(StrEnum):
    """What to do with a record: leave it (skip), ask a person (hold), wait for another object (wait), or write."""

    SKIP = "skip"
    HOLD = "hold"
    WAIT = "wait"
    WRITE = "write"


WAIVABLE = (Why.RULE, Why.CONFLICT)
"""The reasons that a person can waive. Any other cause of a held plan must be fixed first."""
GONE = (Why.GONE, Why.GONE_LEFT, Why.GONE_RIGHT)


@dataclass(frozen=True, slots=True)
class Linked:
    """A link as a plan needs it: the target's key, the last agreement, line numbers and the target's current document.

    `current` is None if the object no longer exists in the target. `key` is None for a provisional link (observe mode) and
    for a target that returned no key.
    """

    key: str | None
    base: Doc
    numbers: Map[str, str]
    current: Doc | None
    natural_key: str = ""
    provisional: bool = False
    tried: Doc = field(default_factory=dict)  # the document that a change of unknown outcome would have produced


@dataclass(frozen=True, slots=True)
class Step:
    """One write of a plan: its part, the resource it writes to, and the agreement once it is done."""

    part: str
    resource: str
    operation: Operation
    agreed: Doc
    numbers: Map[str, str] = field(default_factory=dict)
    call: str = ""  # its number, if the write takes several calls
    first: Doc | None = None  # the base of the comparison, if the flow had no agreement yet


@dataclass(frozen=True, slots=True)
class Agreement:
    """A part that needs no write: both sides are equal, or differ only where the target was edited."""

    part: str
    agreed: Doc
    numbers: Map[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of transform. A held plan keeps its steps, so that people can see and approve them.

    Attributes:
        why: why nothing is written, or why the plan is held, for the program; `reason` is the same for people.
        about: the key of the object that `why` refers to, if that object no longer exists.
        refusable: the agreement of each part if a person refuses the plan.
        decided: the person's decision that the plan follows (`approved by anna`); without it the plan would be held.
        decision: the id of that decision; 0 if there is none.
        later: when the rest of the plan, or all of it, can be made from the same documents; None if nothing is left.
        links: the revisions of the links that the plan was made from, by part; if one changes, the plan is out of date.
    """

    kind: PlanKind
    reason: str = ""
    why: Why = Why.NONE
    about: str = ""
    steps: Sequence[Step] = ()
    needs: Sequence[Need] = ()
    agreements: Sequence[Agreement] = ()
    turned_out: Sequence[Agreement] = ()  # agreements after changes of unknown outcome that did take effect
    kept: Sequence[Difference] = ()
    conflicts: Sequence[Difference] = ()
    seeks: bool = False  # only search the target for the objects to create; never create them
    provisional: Sequence[str] = ()  # needs that are planned but not written: `customers 310 (EUR)`
    refusable: Sequence[Agreement] = ()
    remarks: Sequence[Remark] = ()  # what the flow's checks have found in the mapped documents
    decided: str = ""
    decision: int = 0
    later: datetime | None = None
    links: Map[str, int] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Equal for plans that look the same to a person, overwritten values included; a decision applies to one hash.

        A rule is identified by its text, which belongs to the installation.
        """
        writes = [[step.part, step.resource, step.operation.verb, _overwritten(step.operation)] for step in self.steps]
        differs = [_differs(conflict) for conflict in self.conflicts]
        rule = self.reason if self.why is Why.RULE else ""
        return fingerprint([self.kind, self.why, rule, writes, *([differs] if differs else [])])

    @property
    def intention(self) -> str:
        """Equal for plans that write the same values, whatever the target currently has."""
        return fingerprint([[step.part, step.resource, written(step.operation)] for step in self.steps])

    def fingerprints(self) -> dict[str, list[Any]]:
        """Fingerprints of what a person sees in this plan, JSON-able: its writes and its conflicts.

        A write is a list of its part, resource, verb, the fingerprint of the wanted document and a list of fingerprints, one
        for each change together with the values it overwrites.
        """
        return {
            "writes": [_fingerprint(step) for step in self.steps],
            "conflicts": [fingerprint(_differs(conflict)) for conflict in self.conflicts],
        }


def _fingerprint(step: Step) -> list[Any]:
    operation = step.operation
    changes = [fingerprint([name, change.old, change.new]) for name, change in operation.changes.items()]
    for line in operation.lines:
        old = {name: change.old for name, change in line.changes.items()}
        changes.append(fingerprint([line.field, line.action, line.number, line.line, old]))
    return [step.part, step.resource, str(operation.verb), fingerprint(operation.doc), changes]


def _differs(difference: Difference) -> list[Any]:
    return [difference.path, difference.base, difference.wanted, difference.current]


def _overwritten(operation: Operation) -> Any:
    """What an operation writes, and the values it overwrites."""
    if operation.verb is Verb.CREATE:
        return operation.doc
    old = {name: change.old for name, change in operation.changes.items()}
    lines = [{name: change.old for name, change in line.changes.items()} for line in operation.lines]
    return [*_written(operation), old, lines]


def written(operation: Operation) -> str:
    """A fingerprint of what an operation writes; equal if the operation is planned again with the same values."""
    return fingerprint(_written(operation))[:12]


def _written(operation: Operation) -> Any:
    if operation.verb is Verb.CREATE:
        return operation.doc
    changes = {name: change.new for name, change in operation.changes.items()}
    return [operation.key, changes, [[line.field, line.action, line.number, line.line] for line in operation.lines]]


def objections(made: Plan, target: Target) -> list[str]:
    """What the target has against the writes of a plan that are made to it."""
    asked = [target.objection(step.operation) for step in made.steps if step.resource == target.name]
    return [objection for objection in asked if objection]


def by_rule(made: Plan, *reasons: str) -> Plan:
    """Hold the plan by a rule of the flow or by an objection of the target, if there is a reason and it writes anything.

    If it is held already for what a person can waive, all reasons are named.
    """
    if not reasons:
        return made
    reason = "; ".join(reasons)
    if made.kind is PlanKind.HOLD and made.why in WAIVABLE:
        return replace(made, reason=f"{reason}; {made.reason}")
    return replace(made, kind=PlanKind.HOLD, reason=reason, why=Why.RULE) if made.kind is PlanKind.WRITE else made


def with_remarks(made: Plan, remarks: Sequence[Remark], *, approved: bool) -> Plan:
    """The plan with what the flow's checks have found; held by the first that holds, unless that is approved."""
    made = replace(made, remarks=remarks) if remarks else made
    holding = [remark for remark in remarks if remark.holds]
    if not holding or approved:
        return made
    return by_rule(made, f"{holding[0].reason}: {holding[0].field} {holding[0].figures}")


def rises(made: Plan) -> dict[str, Decimal]:
    """By how much the plan of a flow that sets levels raises them, by the key of the line."""
    found: dict[str, Decimal] = {}
    for step in made.steps:
        for line in step.operation.lines:
            rise = sum(
                (Decimal(change.new or 0) - Decimal(change.old or 0) for change in line.changes.values()), Decimal(0)
            )
            if rise > 0:
                found[line.key] = rise
    return found


def named(need: Need) -> str:
    """A need for people: `customers 310 (EUR)`."""
    part = f" ({need.part})" if need.part else ""
    return f"{need.entity} {need.key}{part}"
