"""Plans as a person reads them: what would be written, field by field."""

from __future__ import annotations

from typing import Any

import click

from syncengine.connectors.base import Verb
from syncengine.document import LINE_KEY
from syncengine.engine import plans
from syncengine.engine.plan import Kind, Plan, Step
from syncengine.engine.preview import Preview
from syncengine.errors import Rejected

COLOURS = {Kind.WRITE: "green", Kind.HOLD: "yellow", Kind.WAIT: "yellow", Kind.SKIP: None}


def as_doc(connection: str, planned: Preview) -> dict[str, Any]:
    """For JSON."""
    head = {"connection": connection, "flow": planned.flow, "key": planned.key}
    if isinstance(planned.outcome, Rejected):
        error = planned.outcome
        return {
            **head,
            "kind": "dead",
            "field": error.field,
            "value": error.value,
            "reason": error.reason,
            "remedy": error.remedy,
        }
    return {**head, **plans.to_doc(planned.outcome)}


def show(connection: str, planned: Preview) -> None:
    """Print one plan."""
    head = f"{planned.flow} {planned.key} ({connection})"
    if isinstance(planned.outcome, Rejected):
        click.secho(f"{head}: dead letter: {planned.outcome}", fg="red")
        return
    plan: Plan = planned.outcome
    reason = f": {plan.reason}" if plan.reason else ""
    click.secho(f"{head}: {plan.kind}{reason}", fg=COLOURS[plan.kind])
    for step in plan.steps:
        click.echo(f"  {plans.summary(step)}")
        _show_fields(step)
    for difference in (*plan.conflicts, *plan.kept):
        click.echo(
            f"  = {difference.path}: {difference.current!r} {difference.because} (source: {difference.wanted!r})"
        )


def _show_fields(step: Step) -> None:
    operation = step.operation
    if operation.verb is Verb.CREATE:
        for name, value in operation.doc.items():
            if isinstance(value, list):
                for line in value:
                    _show_line("+", name, line)
            else:
                click.echo(f"    {name}: {value}")
        return
    for name, change in operation.changes.items():
        click.echo(f"    {name}: {change.old!r} -> {change.new!r}")
    for line in operation.lines:
        if line.action == "change":
            for name, change in line.changes.items():
                click.echo(f"    ~ {line.field} {line.number} {name}: {change.old!r} -> {change.new!r}")
        else:
            _show_line("+" if line.action == "add" else "-", line.field, line.line)


def _show_line(sign: str, field: str, line: Any) -> None:
    if not isinstance(line, dict):
        click.echo(f"    {sign} {field}: {line}")
        return
    shown = ", ".join(f"{name} {value}" for name, value in line.items() if name != LINE_KEY and value not in (None, ""))
    click.echo(f"    {sign} {field}: {shown}")
