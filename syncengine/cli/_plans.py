"""Plans as a person reads them: what would be written, field by field."""

from __future__ import annotations

from typing import Any

import click

from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.people.preview import Preview
from syncengine.errors import Rejected
from syncengine.redaction import quoted

COLOURS = {PlanKind.WRITE: "green", PlanKind.HOLD: "yellow", PlanKind.WAIT: "yellow", PlanKind.SKIP: None}


def as_doc(connection: str, planned: Preview) -> dict[str, Any]:
    """A plan for JSON."""
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
    return {**head, **plan_codec.to_doc(planned.outcome)}


def show(connection: str, planned: Preview) -> None:
    """Print a plan."""
    head = f"{planned.flow} {planned.key} ({connection})"
    if isinstance(planned.outcome, Rejected):
        click.secho(f"{head}: dead letter: {planned.outcome}", fg="red")
        return
    plan: Plan = planned.outcome
    reason = f": {plan.reason}" if plan.reason else ""
    click.secho(f"{head}: {plan.kind}{reason}", fg=COLOURS[plan.kind])
    for step in plan.steps:
        click.echo(f"  {plan_codec.summary(step)}")
        for line in plan_codec.details(step):
            click.echo(f"    {line}")
    for difference in (*plan.conflicts, *plan.kept):
        click.echo(
            f"  = {difference.path}: {quoted(difference.current)} {difference.because} (source: {quoted(difference.wanted)})"
        )
