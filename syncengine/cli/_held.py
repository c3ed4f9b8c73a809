"""Held records as a person reads them: a list, groups by reason, and one in detail with what each decision would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from syncengine.cli._output import more_match, wide_console, worth
from syncengine.cli.trace import detail
from syncengine.engine.core import decisions
from syncengine.engine.decide import plan_codec
from syncengine.redaction import redact, safe_text

if TYPE_CHECKING:
    from syncengine.engine.core.engine import Engine
    from syncengine.engine.decide.plan import Plan
    from syncengine.engine.people.held import Held, HeldDetail, HeldGroup
    from syncengine.engine.writes.unsettled import UnknownWrite

MAX_EVENTS = 8


def row(held: Held) -> dict[str, Any]:
    """A held record for JSON."""
    record = held.record
    return {
        "connection": held.connection, "flow": record.flow, "key": record.key, "hold": str(held.hold), "reason": record.reason,
        "since": record.updated_at, "due": record.wanted > record.done, "advice": held.advice,
        "may_be_approved": held.may_be_approved, "may_be_refused": held.may_be_refused,
        "decision": held.decision.text if held.decision else "",
    }  # fmt: skip


def show_flat(found: Sequence[Held], total: int) -> None:
    """Print a line for each; `total` is how many match in all."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("since (UTC)", "connection", "flow", "key", "held by", "reason"):
        table.add_column(name, overflow="fold")
    for held in found:
        record, decided = held.record, f" [{held.decision.text}]" if held.decision else ""
        cells = (f"{record.updated_at:%Y-%m-%d %H:%M}", held.connection, record.flow, record.key, held.hold)
        table.add_row(*map(Text, (*cells, record.reason + decided)))  # Text: brackets in them are not markup
    wide_console().print(table)
    if total > len(found):
        click.echo(f"{more_match(total - len(found), f'use --limit {total}')} --grouped shows their reasons.")


def show_groups(found: Sequence[HeldGroup], *, with_advice: bool = True) -> None:
    """Print a block for each reason: how many, since when, an example, what to do."""
    for group in found:
        click.secho(f"{group.count:>5}  {group.flow} ({group.connection}), {group.hold}: {group.reason}", bold=True)
        span = f"{group.first:%Y-%m-%d %H:%M} to {group.last:%Y-%m-%d %H:%M} UTC"
        click.echo(f"       {span}; example: {group.example}")
        if with_advice:
            click.echo(f"       {group.advice}")


# -- one record --------------------------------------------------------------------------------------------------------


def detail_doc(found: HeldDetail) -> dict[str, Any]:
    """A held record in detail for JSON."""
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
                "write": write.effect.id, "verb": write.effect.verb, "resource": write.effect.resource,
                "reference": write.effect.natural_key, "sent_at": write.effect.sent_at, "document": redact(write.doc),
                "possibilities": [{"what": what, "say": say} for what, say in _possibilities(found, write)],
            }
            for write in found.doubts
        ],
        "trace": asdict(found.way),
    }  # fmt: skip


def show_detail(found: HeldDetail) -> None:
    """Print a held record in detail."""
    held, record = found.held, found.held.record
    click.secho(f"{record.flow} {record.key}  ({held.connection})", bold=True)
    click.echo(f"  held since {safe_text(record.updated_at)}: {record.reason}")
    for link in found.way.links:
        click.echo(f"  linked: {link['left_key']} = {link['right_key'] or '(planned)'} {link['part']}".rstrip())
    if held.decision:
        click.echo(f"  {held.decision.text}; it will be planned again")
    _show_decisions(found)
    for write in found.doubts:
        _show_unknown_write(found, write)
    click.echo(f"  {held.advice}.")
    for event in found.way.events[-MAX_EVENTS:]:
        click.echo(f"  {safe_text(event['at'])}  {event['what']:<18} {detail(event['detail'])}")


def _show_decisions(found: HeldDetail) -> None:
    """What is held, and what approving and refusing it would do."""
    held = found.held
    if held.plan:
        _show_differences(held.plan)
    if found.approved:
        click.secho("  if approved, writes:", fg="green")
        show_writes(found.approved)
    elif held.plan and held.plan.steps:
        click.secho("  held back:", fg="yellow")
        show_writes(held.plan)
    if held.stopped:
        click.secho("  planned writes:", fg="yellow")
        show_writes(held.stopped)
    if held.plan and held.may_be_refused:
        click.echo(f"  if refused, {if_refused(held.plan)}")
    if found.changed:
        click.secho(f"  {found.changed}", fg="yellow")


def _show_unknown_write(found: HeldDetail, write: UnknownWrite) -> None:
    effect = write.effect
    head = f"  write {effect.id}, {effect.verb} {effect.natural_key}, sent {safe_text(effect.sent_at)}: either"
    click.secho(head, fg="yellow")
    for what, say in _possibilities(found, write):
        click.echo(f"    {what}\n      {say}")


def _possibilities(found: HeldDetail, write: UnknownWrite) -> Sequence[tuple[str, str]]:
    from syncengine.engine.people import manual_settlement  # loads what plans and writes; a list does without

    return manual_settlement.possibilities(write, found.held.record.key)


def _show_differences(plan: Plan) -> None:
    for conflict in plan.conflicts:
        click.secho(f"  {conflict.path} {conflict.because}:", fg="yellow")
        for name, value in (("agreed", conflict.base), ("source", conflict.wanted), ("target", conflict.current)):
            click.echo(f"    {name:>6}: {_value(value)}")
    for kept in plan.kept:
        click.echo(f"  {kept.path} {kept.because}: keeps {_value(kept.current)} (source: {_value(kept.wanted)})")


def show_writes(plan: Plan) -> None:
    """Print what a plan writes, field by field."""
    for step in plan.steps:
        click.echo(f"    {plan_codec.summary(step)}")
        for line in plan_codec.details(step):
            click.echo(f"      {line}")


def _value(value: Any) -> str:
    return "nothing" if value in (None, "") else safe_text(redact(value))


def if_refused(plan: Plan) -> str:
    """What refusing would do, as a clause."""
    if decisions.may_be_agreed(plan):
        return "the target keeps its value, and the source's value counts as agreed until it changes"
    return "nothing is written while the plan stays the same"


# -- decisions on many records -----------------------------------------------------------------------------------------


def outlook(engine: Engine, made: Mapping[int, Plan | str], found: Sequence[Held]) -> dict[str, Any]:
    """What approving would write, by verb and entity and with its value, and which plans are no longer the ones held."""
    writes: dict[str, dict[str, Any]] = {}
    stays: dict[str, int] = {}
    for held in found:
        plan = made.get(held.record.id, "")
        if isinstance(plan, str):
            stays[plan] = stays.get(plan, 0) + 1
            continue
        for step in plan.steps:
            entry = writes.setdefault(
                f"{step.operation.verb} {engine.flow(held.record.flow).entity}", {"count": 0, "worth": {}}
            )
            entry["count"] += 1
            net = engine.connection(held.record.connection_id).resource(step.resource).worth(step.operation.doc)
            if net is not None:
                currency, value = net
                entry["worth"][currency] = entry["worth"].get(currency, Decimal(0)) + value
    return {"records": len(found), "planned": len(made), "writes": writes, "stays": stays}


def show_outlook(made: Mapping[str, Any]) -> None:
    """Print the same for a person."""
    if made["planned"] < made["records"]:
        click.secho(f"Figures are from a sample of {made['planned']} of {made['records']} records.", fg="yellow")
    for name, entry in made["writes"].items():
        click.secho(f"  {name}: {entry['count']}{worth(entry['worth'])}", fg="green")
    for why, count in made["stays"].items():
        click.secho(f"  {count}: {why}; a decision made now will lapse", fg="yellow")
