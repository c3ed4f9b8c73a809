"""Convert plans to the form stored between two steps, and to texts for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.connectors.base import Change, LineChange, Operation, Verb
from syncengine.document import Doc
from syncengine.engine.decide.merge import Difference
from syncengine.engine.decide.plan import Agreement, Plan, PlanKind, Step
from syncengine.redaction import safe_text
from syncengine.store.states import Why

MOST_SHOWN = 20


def to_doc(plan: Plan) -> Doc:
    """A JSON-able form that `from_doc` reads. It omits needs and agreements, which transform has handled already."""
    return {
        "kind": plan.kind,
        "reason": plan.reason,
        "hash": plan.hash,
        "why": plan.why,
        "about": plan.about,
        "decided": plan.decided,
        "decision": plan.decision,
        "prints": plan.fingerprints() if plan.kind is PlanKind.HOLD else {},
        "provisional": list(plan.provisional),
        "seeks": plan.seeks,
        "links": dict(plan.links),
        **({"later": plan.later} if plan.later is not None else {}),
        "steps": [step_to_doc(step) for step in plan.steps],
        "kept": [_difference(difference) for difference in plan.kept],
        "conflicts": [_difference(difference) for difference in plan.conflicts],
        "refusable": [
            [agreement.part, agreement.agreed, dict(agreement.numbers)]
            for agreement in plan.refusable
            if plan.kind is PlanKind.HOLD
        ],
    }


def step_to_doc(step: Step) -> Doc:
    """A JSON-able form that `step_from_doc` reads."""
    operation = step.operation
    return {
        "part": step.part,
        "resource": step.resource,
        "agreed": step.agreed,
        "numbers": dict(step.numbers),
        **({"first": step.first} if step.first is not None else {}),
        "verb": operation.verb,
        "natural_key": operation.natural_key,
        "key": operation.key,
        "doc": operation.doc,
        "changes": _changes(operation.changes),
        "lines": [
            {
                "field": line.field,
                "action": line.action,
                "key": line.key,
                "number": line.number,
                "line": line.line,
                "changes": _changes(line.changes),
            }
            for line in operation.lines
        ],
        "current": operation.current,
        "reason": operation.reason,
    }


def _changes(changes: Mapping[str, Change]) -> Doc:
    return {name: [change.old, change.new, change.because] for name, change in changes.items()}


def _difference(difference: Difference) -> Doc:
    return {
        "path": difference.path,
        "base": difference.base,
        "source": difference.wanted,
        "target": difference.current,
        "because": difference.because,
    }


def from_doc(doc: Mapping[str, Any]) -> Plan:
    """The plan that `to_doc` stored, as push and people need it."""
    return Plan(
        PlanKind(doc["kind"]),
        doc["reason"],
        steps=[step_from_doc(step) for step in doc["steps"]],
        kept=[_difference_from_doc(difference) for difference in doc["kept"]],
        conflicts=[_difference_from_doc(difference) for difference in doc["conflicts"]],
        provisional=tuple(doc.get("provisional", ())),
        seeks=doc.get("seeks", False),
        links=doc.get("links", {}),
        later=doc.get("later"),
        why=Why(doc.get("why", "")),
        about=doc.get("about", ""),
        refusable=[Agreement(*agreement) for agreement in doc.get("refusable", ())],
        decided=doc.get("decided", ""),
        decision=doc.get("decision", 0),
    )


def _difference_from_doc(doc: Mapping[str, Any]) -> Difference:
    return Difference(doc["path"], doc["base"], doc["source"], doc["target"], doc["because"])


def step_from_doc(doc: Mapping[str, Any]) -> Step:
    """The step that `step_to_doc` stored."""
    operation = Operation(
        verb=Verb(doc["verb"]),
        natural_key=doc["natural_key"],
        doc=doc["doc"],
        key=doc["key"],
        changes=_read_changes(doc["changes"]),
        lines=tuple(
            LineChange(
                line["field"], line["action"], line["key"], line["number"], line["line"], _read_changes(line["changes"])
            )
            for line in doc["lines"]
        ),
        current=doc["current"],
        reason=doc["reason"],
    )
    return Step(doc["part"], doc["resource"], operation, doc["agreed"], doc["numbers"], first=doc.get("first"))


def _read_changes(doc: Mapping[str, Any]) -> dict[str, Change]:
    return {name: Change(*values) for name, values in doc.items()}  # a plan of an earlier version has no reason


def timeline_detail(plan: Plan) -> Doc:
    """Details of a plan for the timeline: its reason, the fields it writes and the ones it leaves, without full documents."""
    detail: Doc = {name: text for name, text in (("reason", plan.reason), ("decided", plan.decided)) if text}
    if plan.steps:
        detail["writes"] = [summary(step) for step in plan.steps]
    if plan.kind is PlanKind.HOLD:
        changes = [line for step in plan.steps if step.operation.verb is Verb.CHANGE for line in details(step)]
        detail["would change"] = changes[:MOST_SHOWN]
    if plan.provisional:
        detail["provisional"] = list(plan.provisional)
    if plan.kept:
        detail["left"] = [f"{difference.path} {difference.because}" for difference in plan.kept[:10]]
    if plan.conflicts:
        detail["conflicts"] = [f"{conflict.path} {conflict.because}" for conflict in plan.conflicts[:10]]
    return detail


def details(step: Step) -> list[str]:
    """Describe one write field by field: `StockLine 1 OrderQty: 2 -> 5`, `+ FreightLine: FreightValue 4.99`."""
    operation = step.operation
    if operation.verb is Verb.CREATE:
        found: list[str] = []
        for name, value in without_notes(operation.doc).items():
            lines = [_describe_line("+", name, line) for line in value] if isinstance(value, list) else []
            found += lines or [f"{name}: {_value(value)}"]
        return found
    found = [f"{name}: {_change(change)}" for name, change in operation.changes.items()]
    for line in operation.lines:
        if line.action == "change":
            found += [f"{line.field} {line.number} {name}: {_change(change)}" for name, change in line.changes.items()]
        else:
            found.append(_describe_line("+" if line.action == "add" else "-", line.field, line.line))
    return found


def without_notes(doc: Mapping[str, Any]) -> Doc:
    """A document without the internal fields of its resource (`@...`)."""
    return {name: value for name, value in doc.items() if not name.startswith("@")}


def _describe_line(sign: str, field: str, line: Any) -> str:
    if not isinstance(line, dict):
        return f"{sign} {field}: {safe_text(line)}"
    parts = (
        f"{name} {safe_text(value)}"
        for name, value in line.items()
        if not name.startswith("@") and value not in (None, "")
    )
    return f"{sign} {field}: {', '.join(parts)}"


def _change(change: Change) -> str:
    because = f" ({change.because})" if change.because else ""
    return f"{_value(change.old)} -> {_value(change.new)}{because}"


def _value(value: Any) -> str:
    return "nothing" if value in (None, "", []) else safe_text(value)


def summary(step: Step) -> str:
    """Summarise one write in one line: `change 000512: OrderQty of StockLine 1, + StockLine 8107`."""
    operation = step.operation
    subject = operation.key or operation.natural_key
    if operation.verb is not Verb.CHANGE:
        return f"{operation.verb} {subject}" + (f" ({step.part})" if step.part else "")
    signs = {"add": "+", "remove": "-", "change": "~"}
    lines = [f"{signs[line.action]} {line.field} {line.number or line.key}" for line in operation.lines]
    return f"change {subject}: {', '.join([*operation.changes, *lines])}"
