"""`syncengine held`: records that wait for a person's decision, and deciding on them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli import _held, _named
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import (
    Command,
    all_option,
    as_json,
    because_option,
    dry_run_option,
    limit_option,
    most_option,
    object_option,
    required_because_option,
    selection,
    yes_option,
)
from syncengine.cli._output import NO_MATCH, counted, left_doc, more_match, not_done, show_json, show_left
from syncengine.cli._person import confirmed, me
from syncengine.connectors.base import Verb
from syncengine.engine.core import decisions
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import plan_codec
from syncengine.engine.people import held, record_search
from syncengine.engine.people.held import Held, HeldFilter
from syncengine.engine.people.seen import ActionResult
from syncengine.redaction import safe_text
from syncengine.store.models import Record
from syncengine.store.states import Lane, Status

if TYPE_CHECKING:
    from syncengine.engine.people.manual_settlement import FoundObject
    from syncengine.engine.writes.unsettled import UnknownWrite

GROUPED_ABOVE = 20  # on a terminal, more than these are grouped by reason
MAX_PREVIEWED = 200

ids_argument = click.argument("ids", metavar="[ID]...", nargs=-1)
VERBS = {"approved": "Approve", "refused": "Refuse"}

reason_option = click.option("--reason", metavar="TEXT", help="Only records with this text in their reason.")


def _bulk(command: Command) -> Command:
    """The arguments and options of commands that decide on records."""
    options = (
        ids_argument, selection, object_option, reason_option, all_option, most_option(100), dry_run_option, yes_option,
        as_json,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group("held")
def command() -> None:
    """Show held records; approve, refuse or settle them.

    A record is held if a rule of its flow says so, if both sides have changed it, if the target no longer accepts the
    change, if its object is gone in the target, or if the outcome of a write is unknown and cannot be looked up.
    """


@command.command("list")
@selection
@object_option
@reason_option
@click.option("--grouped/--flat", default=None, help="Group by reason; the default on a terminal for more than 20.")
@limit_option
@as_json
def list_(
    connection: str | None, flow: str | None, name: str | None, reason: str | None, grouped: bool | None, limit: int,
    as_json: bool,
) -> int:  # fmt: skip
    """List held records, or their reasons.

    Records are listed longest held first, reasons most frequent first. Exit code 1 if nothing is known of --object.
    """
    with open_engine() as engine, engine.store.read() as session:
        chosen = _filter(engine, connection, flow, name, reason)
        is_unknown = _named.is_unknown(session, engine, name, connection, flow)
        total = held.count(session, chosen)
        grouped = total > GROUPED_ABOVE and not as_json and sys.stdout.isatty() if grouped is None else grouped
        found = held.listed(session, engine, chosen, most=None if as_json or grouped else limit)
    if grouped:
        groups = held.groups(found)
        show_json([dataclasses.asdict(group) for group in groups]) if as_json else _held.show_groups(groups)
    elif as_json:
        show_json([_held.row(each) for each in found])
    elif is_unknown:
        click.echo(_named.unknown_text(name))
    elif not found:
        click.echo("No matching records." if chosen.narrows else "No held records.")
    else:
        _held.show_flat(found, total)
    return Exit.NO if is_unknown else Exit.OK


def _filter(
    engine: Engine, connection: str | None, flow: str | None, name: str | None, reason: str | None
) -> HeldFilter:
    """The filter that the options give. Raises Misconfigured for an invalid id, an unknown connection or flow."""
    record_search.check_names(engine, connection, flow)
    with engine.store.read() as session:
        is_held = [Record.status == Status.HELD]
        records = record_search.among(session, engine, name, is_held, connection=connection, flow=flow)
    return HeldFilter(records=records, connection=connection, flow=flow, reason=reason)


@command.command("show")
@click.argument("id_", metavar="ID")
@selection
@as_json
def show(id_: str, connection: str | None, flow: str | None, as_json: bool) -> None:
    """Show one held record in detail.

    Shows why it is held, its changes field by field, and what each decision would do.
    """
    with open_engine() as engine:
        record = _named.record(engine, id_, connection, flow)
        with engine.store.read() as session:
            found = held.detail(session, engine, record)
    if as_json:
        show_json(_held.detail_doc(found))
    else:
        _held.show_detail(found)


@command.command("approve")
@click.option(
    "--wins",
    type=click.Choice(decisions.SIDES),
    default="left",
    help="In a two-way flow, the side whose values are written.",
)
@because_option
@_bulk
def approve(wins: str, because: str, **given: Any) -> int:
    """Approve held records: write them exactly as planned now.

    A rule is waived; where both sides have changed, the source's values are written. An approval is for this plan only:
    if the record changes before it is written, it is held again. Changes that the target rejects and objects that are
    gone in the target cannot be approved.
    """

    def act(engine: Engine, found: list[Held], lane: Lane) -> ActionResult:
        return held.approve(engine, found, by=me(), because=because, side=wins, lane=lane)

    return _decide("approved", act, "may_be_approved", wins, **given)


@command.command("refuse")
@required_because_option
@_bulk
def refuse(because: str, **given: Any) -> int:
    """Refuse held records: do not write them. The difference counts as agreed, so it is not held again.

    An object that would be created or cancelled, or changed in a two-way flow, is skipped while its plan stays the same.
    """

    def act(engine: Engine, found: list[Held], lane: Lane) -> ActionResult:
        return held.refuse(engine, found, by=me(), because=because, lane=lane)

    return _decide("refused", act, "may_be_refused", "", **given)


def _decide(
    action: str, act: Callable[[Engine, list[Held], Lane], ActionResult], may: str, wins: str, *, ids: tuple[str, ...],
    connection: str | None, flow: str | None, name: str | None, reason: str | None, everything: bool, most: int,
    dry_run: bool, yes: bool, as_json: bool,
) -> int:  # fmt: skip
    if not (ids or connection or flow or name or reason or everything):
        raise click.UsageError("select records by ID, by an option (--reason, --flow, ...), or with --all")
    from syncengine.engine.steps.pump import pump

    with open_engine(sends=True) as engine:
        chosen = _filter(engine, connection, flow, name, reason)
        found, barred, left = _chosen(engine, ids, chosen, may, most)
        if not found:
            return _none(as_json, barred)
        shown = None
        if dry_run or not yes:
            shown = _preview(engine, found, wins, as_json=as_json)
            if not as_json:
                _show_rest(barred, left, most)
        if dry_run or not (yes or confirmed(as_json, f"{VERBS[action]} {counted(len(found), 'record')}?")):
            return not_done(action, shown, as_json, is_dry_run=dry_run)
        done = act(engine, found, Lane.REALTIME if ids else Lane.BACKFILL)  # a person who names records waits for them
        pump(engine)
    if as_json:
        changed = left_doc(done.left)
        show_json({action: done.count, "left": left, "changed": changed, "barred": len(barred), "preview": shown})
    else:
        click.echo(f"{counted(done.count, 'record')} {action}. Use `syncengine trace ID` to follow one.")
        show_left(done.left)
    return Exit.OK


def _chosen(
    engine: Engine, ids: tuple[str, ...], chosen: HeldFilter, may: str, most: int
) -> tuple[list[Held], list[Held], int]:
    """Records to decide on, records selected by options for which this decision is impossible, and how many more match.

    Raises Misconfigured if a record named by id is not held, or this decision is impossible for it.
    """
    with engine.store.read() as session:
        if ids:
            numbers = _named.records(session, engine, ids, chosen.connection, chosen.flow)
            found = held.listed(session, engine, HeldFilter(records=tuple(numbers)))
            for record_id in sorted(set(numbers) - {each.record.id for each in found}):  # says that it is not held
                held.of_record(session, engine, session.get_one(Record, record_id))
            for each in found:
                if not getattr(each, may):
                    raise held.why_not_decidable(each)
            return found, [], 0
        found = held.listed(session, engine, chosen)
    able = [each for each in found if getattr(each, may)]
    return able[:most], [each for each in found if not getattr(each, may)], max(0, len(able) - most)


def _preview(engine: Engine, found: list[Held], wins: str, *, as_json: bool) -> dict[str, Any]:
    """Show what the decision would do, and return it for JSON; an empty `wins` means refusing."""
    if not wins:
        if not as_json:
            _held.show_groups(held.groups(found), with_advice=False)
        agreed = sum(each.plan is not None and decisions.may_be_agreed(each.plan) for each in found)
        skipped = len(found) - agreed
        if not as_json:
            click.echo(f"{counted(agreed, 'difference')} would be agreed, {counted(skipped, 'record')} skipped.")
        return {"records": len(found), "agreed": agreed, "left_alone": skipped}
    with engine.store.read() as session:
        able = [each for each in found if each.may_be_approved][:MAX_PREVIEWED]
        made = held.if_approved(session, engine, able, side=wins)
    shown = _held.outlook(engine, made, found)
    if not as_json:
        _held.show_groups(held.groups(found), with_advice=False)
        for each in found if len(found) == 1 else ():
            plan = made.get(each.record.id)
            if plan is not None and not isinstance(plan, str):
                _held.show_writes(plan)
        _held.show_outlook(shown)
    return shown


def _show_rest(barred: list[Held], left: int, most: int) -> None:
    """Say which matching records are not decided on, and why."""
    if left:
        click.echo(more_match(left, f"use --most {most + left}"))
    for group in held.groups(barred):
        click.secho(f"  {group.count} left out: {group.reason}. {group.advice}", fg="yellow")


def _none(as_json: bool, barred: list[Held]) -> int:
    if as_json:
        show_json({"found": 0, "barred": len(barred)})
    else:
        click.echo(NO_MATCH)
        _show_rest(barred, 0, 0)
    return Exit.NO


@command.command("settle")
@click.argument("id_", metavar="ID")
@selection
@click.option(
    "--happened", is_flag=False, flag_value="", default=None, metavar="[KEY]",
    help="The write took effect. For a create, KEY is the object's key in the target.",
)  # fmt: skip
@click.option("--did-not", is_flag=True, help="The write did not take effect; send it again.")
@click.option(
    "--although-done",
    is_flag=True,
    help="With --did-not: send it again although the target has confirmed it.",
)
@click.option(
    "--write", type=int, default=None, metavar="N", help="Number of the write, if several outcomes are unknown."
)
@because_option
@yes_option
@as_json
def settle_(
    id_: str, connection: str | None, flow: str | None, happened: str | None, did_not: bool, although_done: bool,
    write: int | None,
    because: str, yes: bool, as_json: bool,
) -> int:  # fmt: skip
    """Record the outcome of a write that is unknown.

    Needed only if it cannot be looked up automatically. Check in the target first; `syncengine held show ID` says what
    to look for. Nothing is sent again without --did-not. The object named by --happened is read and shown; it must be
    the one that the write was meant to create.
    """
    from syncengine.engine.people import manual_settlement
    from syncengine.engine.steps.pump import pump

    if (happened is None) is not did_not:
        raise click.UsageError("use either --happened or --did-not")
    with open_engine(sends=True, calls=True) as engine:
        record = _named.record(engine, id_, connection, flow)
        with engine.store.read() as session:
            unknown = manual_settlement.unknown_write_of(session, engine, record, write)
        found = (
            manual_settlement.find_object(engine, record, unknown, happened)
            if happened and unknown.effect.verb == Verb.CREATE
            else None
        )
        if not as_json:
            _show_settled(unknown, found)
        if not (
            yes or confirmed(as_json, "Send it again?" if happened is None else "Record that this write took effect?")
        ):
            return not_done("settled", None, as_json, is_dry_run=False)
        if happened is None:
            manual_settlement.did_not(engine, record, unknown, by=me(), because=because, although_done=although_done)
        else:
            manual_settlement.happened(engine, record, unknown, happened, by=me(), because=because)
        pump(engine)
    outcome = "did not happen" if happened is None else "happened"
    if as_json:
        show_json({"flow": record.flow, "key": record.key, "write": unknown.effect.id, "outcome": outcome})
    else:
        what = "did not take effect; it will be sent again" if happened is None else "took effect"
        click.echo(f"Write {unknown.effect.id} of {record.flow} {record.key} {what}.")
    return Exit.OK


def _show_settled(unknown: UnknownWrite, found: FoundObject | None) -> None:
    """Print what the write was meant to do, and the object that it is said to have created."""
    click.secho(unknown.name, bold=True)
    if found is None:
        return
    sent = plan_codec.without_notes(unknown.doc)
    for name in sorted({*sent, *found.document}):
        ours, theirs = safe_text(sent.get(name)), safe_text(found.document.get(name))
        if not isinstance(sent.get(name), list) and not isinstance(found.document.get(name), list):
            click.echo(f"  {name}: sent {ours or 'nothing'}, {found.key} has {theirs or 'nothing'}")
