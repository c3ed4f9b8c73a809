"""Held records as a person reads them: many, by their reasons, and one with both ways it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from syncengine.cli._engine import wide_console
from syncengine.cli._letters import worth
from syncengine.cli.trace import detail
from syncengine.engine.core import decisions
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Plan
from syncengine.engine.people import manual_settlement
from syncengine.engine.people.held import Held, HeldDetail, HeldGroup
from syncengine.redaction import redact, safe_text


def row(one: Held) -> dict[str, Any]:
    """One for JSON."""
    record = one.record
    return {
        "connection": one.connection, "flow": record.flow, "key": record.key, "hold": str(one.hold), "reason": record.reason,
        "since": record.updated_at, "due": record.wanted > record.done, "advice": one.advice,
        "may_be_approved": one.may_be_approved, "may_be_refused": one.may_be_refused,
        "decision": one.decision.told if one.decision else "",
    }  # fmt: skip


def show_flat(found: Sequence[Held], total: int) -> None:
    """A line for each."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("since (UTC)", "connection", "flow", "key", "held by", "reason"):
        table.add_column(name, overflow="fold")
    for one in found:
        record, decided = one.record, f" [{one.decision.told}]" if one.decision else ""
        cells = (f"{record.updated_at:%Y-%m-%d %H:%M}", one.connection, record.flow, record.key, one.hold)
        table.add_row(*map(Text, (*cells, record.reason + decided)))  # as they are: brackets in them are no markup
    wide_console().print(table)
    if total > len(found):
        click.echo(f"and {total - len(found)} more: `--limit {total}` shows them, `--grouped` their reasons")


def show_groups(found: Sequence[HeldGroup], *, with_advice: bool = True) -> None:
    """A block for each reason: how many, since when, an example, what to do."""
    for group in found:
        click.secho(f"{group.count:>5}  {group.flow} ({group.connection}), {group.hold}: {group.reason}", bold=True)
        span = f"{group.first:%Y-%m-%d %H:%M} to {group.last:%Y-%m-%d %H:%M} UTC"
        click.echo(f"       {span}; for example {group.example}")
        if with_advice:
            click.echo(f"       {group.advice}")


# -- one ---------------------------------------------------------------------------------------------------------------


def whole(found: HeldDetail) -> dict[str, Any]:
    """One for JSON."""
    plan, stopped = found.held.plan, found.held.stopped
    return {
        **row(found.held),
        "plan": redact(plan_codec.to_doc(plan)) if plan else None,
        "stopped": redact(plan_codec.to_doc(stopped)) if stopped else None,
        "approved": redact(plan_codec.to_doc(found.approved)) if found.approved else None,
        "refused": if_refused(plan) if plan and found.held.may_be_refused else "",
        "changed": found.changed,
        "doubts": [
            {
                "write": doubt.effect.id, "verb": doubt.effect.verb, "resource": doubt.effect.resource,
                "reference": doubt.effect.natural_key, "sent_at": doubt.effect.sent_at, "document": redact(doubt.doc),
                "possibilities": [{"what": what, "say": say} for what, say in _possibilities(found, doubt)],
            }
            for doubt in found.doubts
        ],
        "trace": asdict(found.way),
    }  # fmt: skip


def show_whole(found: HeldDetail) -> None:
    """One for a person."""
    held, record = found.held, found.held.record
    click.secho(f"{record.flow} {record.key}  ({held.connection})", bold=True)
    click.echo(f"  held since {safe_text(record.updated_at)}: {record.reason}")
    for link in found.way.links:
        click.echo(f"  linked: {link['left_key']} = {link['right_key'] or '(planned)'} {link['part']}".rstrip())
    if held.decision:
        click.echo(f"  {held.decision.told}; it is looked at again")
    if held.plan:
        _show_differences(held.plan)
    if found.approved:
        click.secho("  approved, this is written:", fg="green")
        show_writes(found.approved)
    elif held.plan and held.plan.steps:
        click.secho("  held back:", fg="yellow")
        show_writes(held.plan)
    if held.stopped:
        click.secho("  this was to be written:", fg="yellow")
        show_writes(held.stopped)
    if held.plan and held.may_be_refused:
        click.echo(f"  refused: {if_refused(held.plan)}")
    if found.changed:
        click.secho(f"  {found.changed}", fg="yellow")
    for doubt in found.doubts:
        effect = doubt.effect
        click.secho(
            f"  write {effect.id}, {effect.verb} {effect.natural_key}, sent {safe_text(effect.sent_at)}: either",
            fg="yellow",
        )
        for what, say in _possibilities(found, doubt):
            click.echo(f"    {what}\n      {say}")
    click.echo(f"  {held.advice}.")
    for event in found.way.events[-8:]:
        click.echo(f"  {safe_text(event['at'])}  {event['what']:<18} {detail(event['detail'])}")


def _possibilities(found: HeldDetail, doubt: Any) -> Sequence[tuple[str, str]]:
    return manual_settlement.possibilities(doubt, found.held.record.key)


def _show_differences(plan: Plan) -> None:
    for one in plan.conflicts:
        click.secho(f"  {one.path} {one.because}:", fg="yellow")
        for name, value in (("agreed", one.base), ("source", one.wanted), ("target", one.current)):
            click.echo(f"    {name:>6}: {_value(value)}")
    for one in plan.kept:
        click.echo(f"  {one.path} {one.because}: it stays {_value(one.current)} (source: {_value(one.wanted)})")


def show_writes(plan: Plan) -> None:
    """What a plan writes, field by field."""
    for step in plan.steps:
        click.echo(f"    {plan_codec.summary(step)}")
        for line in plan_codec.details(step):
            click.echo(f"      {line}")


def _value(value: Any) -> str:
    return "nothing" if value in (None, "") else safe_text(redact(value))


def if_refused(plan: Plan) -> str:
    """What refusing comes to, in words."""
    if decisions.may_be_agreed(plan):
        return "the target keeps what it has, and the source's value counts as agreed until it changes there"
    return "nothing is written while the plan stays as it is"


# -- many decided ------------------------------------------------------------------------------------------------------


def outlook(one: Engine, made: Mapping[int, Plan | str], found: Sequence[Held]) -> dict[str, Any]:
    """What approving comes to: writes by kind, with their worth, and what would be another plan by now."""
    writes: dict[str, dict[str, Any]] = {}
    stays: dict[str, int] = {}
    for held in found:
        plan = made.get(held.record.id, "")
        if isinstance(plan, str):
            stays[plan] = stays.get(plan, 0) + 1
            continue
        for step in plan.steps:
            entry = writes.setdefault(
                f"{step.operation.verb} {one.flow(held.record.flow).entity}", {"count": 0, "worth": {}}
            )
            entry["count"] += 1
            net = one.connection(held.record.connection_id).resource(step.resource).worth(step.operation.doc)
            if net is not None:
                currency, value = net
                entry["worth"][currency] = entry["worth"].get(currency, Decimal(0)) + value
    return {"records": len(found), "planned": len(made), "writes": writes, "stays": stays}


def show_outlook(made: Mapping[str, Any]) -> None:
    """For a person."""
    if made["planned"] < made["records"]:
        click.secho(
            f"Planned were {made['planned']} of {made['records']}; the figures are of these alone.", fg="yellow"
        )
    for name, entry in made["writes"].items():
        click.secho(f"  {name}: {entry['count']}{worth(entry['worth'])}", fg="green")
    for why, count in made["stays"].items():
        click.secho(f"  {count}: {why}; what you say now lapses then", fg="yellow")
