"""Split a write that takes several calls into one step per call, each with the agreement after that call. Pure."""

from __future__ import annotations

from dataclasses import replace

from syncengine.connectors.base import Operation, Resource, Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.plan import Step


def calls_of(resource: Resource, step: Step, base: Doc) -> list[Step]:
    """The step split into the calls of its resource, in order; `base` is the last agreement."""
    operations = resource.calls(step.operation)
    if len(operations) == 1:
        return [step]
    steps: list[Step] = []
    agreed = base
    for number, operation in enumerate(operations, 1):
        if operation.verb is Verb.CREATE:
            agreed = dict(operation.doc)
        elif number == len(operations):
            agreed = step.agreed
        else:
            agreed = moved_on(agreed, operation)
        steps.append(replace(step, operation=operation, agreed=agreed, call=str(number)))
    return steps


def moved_on(base: Doc, operation: Operation) -> Doc:
    """The agreement after one change: fields as written, lines added, changed and removed."""
    agreed = {**base, **{name: change.new for name, change in operation.changes.items()}}
    for change in operation.lines:
        lines = [line for line in agreed.get(change.field) or () if line.get(LINE_KEY) != change.key]
        agreed[change.field] = lines if change.action == "remove" else [*lines, dict(change.line)]
    return agreed
