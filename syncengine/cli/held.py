"""`syncengine held`: what waits for a person's word, and saying it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import click

from syncengine.cli import _held, _named
from syncengine.cli._engine import (
    NO,
    Command,
    agreed,
    as_json,
    counted,
    engine,
    left_doc,
    limit_option,
    me,
    most_option,
    not_done,
    show_json,
    show_left,
)
from syncengine.connectors.base import Verb
from syncengine.engine.core import decisions
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import plan_codec
from syncengine.engine.people import held, manual_settlement, record_search
from syncengine.engine.people.held import Held, HeldFilter
from syncengine.engine.people.seen import ActionResult
from syncengine.engine.steps.pump import pump
from syncengine.engine.writes.effects import UnknownWrite
from syncengine.redaction import safe_text
from syncengine.store.models import Record
from syncengine.store.states import Lane

MANY = 20  # more than these are shown by their reasons, where a person looks
PLANNED_AT_MOST = 200

ids_argument = click.argument("ids", metavar="[ID]...", nargs=-1)
reason_option = click.option("--reason", metavar="TEXT", help="With this text in their reason.")


def _bulk(command: Command) -> Command:
    """What commands share that decide on one or many."""
    options = (
        ids_argument, _named.narrowing, reason_option, click.option("--all", "everything", is_flag=True, help="All."),
        most_option(100),
        click.option("--dry-run", is_flag=True, help="Show what it would come to, and do nothing."), _named.yes_option,
        as_json,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.group("held")
def command() -> None:
    """Records that are held for a person: list them, look at one, approve or refuse it, say what became of a write.

    Held are: what a rule of the flow holds, what both sides have changed, what the target would not take any more, objects
    that are gone in the target, and writes of which nobody can find out whether they took effect.
    """


@command.command("list")
@_named.narrowing
@reason_option
@click.option("--grouped/--flat", default=None, help="By reason; by default on a terminal when there are many.")
@limit_option
@as_json
def list_(
    connection: str | None, flow: str | None, reason: str | None, grouped: bool | None, limit: int, as_json: bool
) -> None:
    """List held records, those that are held longest first; or their reasons, the most frequent first."""
    chosen = HeldFilter(connection=connection, flow=flow, reason=reason)
    with engine() as one, one.store.read() as session:
        record_search.check_names(one, connection, flow)
        total = held.count(session, chosen)
        grouped = total > MANY and not as_json and sys.stdout.isatty() if grouped is None else grouped
        found = held.listed(session, one, chosen, most=None if as_json or grouped else limit)
    if grouped:
        groups = held.groups(found)
        show_json([dataclasses.asdict(group) for group in groups]) if as_json else _held.show_groups(groups)
    elif as_json:
        show_json([_held.row(one) for one in found])
    elif not found:
        click.echo("Nothing is held.")
    else:
        _held.show_flat(found, total)


@command.command("show")
@click.argument("id_", metavar="ID")
@_named.narrowing
@as_json
def show(id_: str, connection: str | None, flow: str | None, as_json: bool) -> None:
    """Show one held record: why, what would be written field by field, and what each decision comes to."""
    with engine() as one:
        record = _named.record(one, id_, connection, flow)
        with one.store.read() as session:
            found = held.detail(session, one, record)
    if as_json:
        show_json(_held.whole(found))
    else:
        _held.show_whole(found)


@command.command("approve")
@click.option("--wins", type=click.Choice(decisions.SIDES), default="left", help="In a pair, whose values are written.")
@click.option("--because", default="", metavar="TEXT", help="Why, for those who see it later.")
@_bulk
def approve(wins: str, because: str, **given: Any) -> int:
    """Let what is held be written, as it is planned now and no other way.

    A rule is waived; where both sides have changed, the source's values are written. The word holds for this plan: when the
    record changes meanwhile, it is held again. What the target refuses, and what is gone there, cannot be approved.
    """

    def act(one: Engine, found: list[Held], lane: Lane) -> ActionResult:
        return held.approve(one, found, by=me(), because=because, side=wins, lane=lane)

    return _decide("approved", act, "may_be_approved", wins, **given)


@command.command("refuse")
@_named.because_option
@_bulk
def refuse(because: str, **given: Any) -> int:
    """Have what is held not written. The difference counts as agreed, so that it is not held again.

    An object that would be created, cancelled, or changed in a pair is left alone while its plan stays the same.
    """

    def act(one: Engine, found: list[Held], lane: Lane) -> ActionResult:
        return held.refuse(one, found, by=me(), because=because, lane=lane)

    return _decide("refused", act, "may_be_refused", "", **given)


def _decide(
    word: str, act: Callable[[Engine, list[Held], Lane], ActionResult], may: str, wins: str, *, ids: tuple[str, ...],
    connection: str | None, flow: str | None, reason: str | None, everything: bool, most: int, dry_run: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    chosen = HeldFilter(connection=connection, flow=flow, reason=reason)
    if not (ids or chosen.narrows or everything):
        raise click.UsageError("name records by ID, choose them by an option (--reason, --flow, ...), or say --all")
    with engine(sends=True) as one:
        record_search.check_names(one, connection, flow)
        found, barred, left = _chosen(one, ids, chosen, may, most)
        if not found:
            return _none(as_json, barred)
        shown = None
        if dry_run or not yes:
            shown = _preview(one, found, wins, as_json=as_json)
            _tell_rest(as_json, barred, left, most)
        if dry_run or not (yes or agreed(as_json, f"{counted(len(found), 'record')} to be {word}. Go on?")):
            return not_done(word, shown, as_json, asked=dry_run)
        done = act(one, found, Lane.REALTIME if ids else Lane.BACKFILL)  # who names one waits for it
        pump(one)
    if as_json:
        changed = left_doc(done.left)
        show_json({word: done.count, "left": left, "changed": changed, "barred": len(barred), "preview": shown})
    else:
        click.echo(f"{done.count} {word}; `syncengine trace ID` shows what comes of it.")
        show_left(done.left)
    return 0


def _chosen(
    one: Engine, ids: tuple[str, ...], chosen: HeldFilter, may: str, most: int
) -> tuple[list[Held], list[Held], int]:
    """Those to be decided on, those of a choice for which it cannot be, and how many more there are.

    Raises Misconfigured if one that is named by id is not held, or cannot be decided on.
    """
    with one.store.read() as session:
        if ids:
            numbers = _named.records(session, one, ids, chosen.connection, chosen.flow)
            found = held.listed(session, one, HeldFilter(records=tuple(numbers)))
            for record_id in sorted(set(numbers) - {each.record.id for each in found}):  # says that it is not held
                held.of_record(session, one, session.get_one(Record, record_id))
            for each in found:
                if not getattr(each, may):
                    raise held.why_not_decidable(each)
            return found, [], 0
        found = held.listed(session, one, chosen)
    able = [each for each in found if getattr(each, may)]
    return able[:most], [each for each in found if not getattr(each, may)], max(0, len(able) - most)


def _preview(one: Engine, found: list[Held], wins: str, *, as_json: bool) -> dict[str, Any]:
    """What it comes to; with an empty `wins` nothing is written."""
    if not wins:
        if not as_json:
            _held.show_groups(held.groups(found), with_advice=False)
        agreed = sum(each.plan is not None and decisions.may_be_agreed(each.plan) for each in found)
        shown: dict[str, Any] = {"records": len(found), "agreed": agreed, "left_alone": len(found) - agreed}
        if not as_json:
            left = len(found) - agreed
            click.echo(f"{counted(agreed, 'difference')} would be agreed, {counted(left, 'record')} left alone.")
        return shown
    with one.store.read() as session:
        able = [each for each in found if each.may_be_approved][:PLANNED_AT_MOST]
        made = held.if_approved(session, one, able, side=wins)
    shown = _held.outlook(one, made, found)
    if not as_json:
        _held.show_groups(held.groups(found), with_advice=False)
        for each in found if len(found) == 1 else ():
            plan = made.get(each.record.id)
            if plan is not None and not isinstance(plan, str):
                _held.show_writes(plan)
        _held.show_outlook(shown)
    return shown


def _tell_rest(as_json: bool, barred: list[Held], left: int, most: int) -> None:
    if as_json:
        return
    if left:
        click.echo(f"{left} more fit; `--most {most + left}` takes them too.")
    for group in held.groups(barred):
        click.secho(f"  {group.count} left out, {group.reason}. {group.advice}", fg="yellow")


def _none(as_json: bool, barred: list[Held]) -> int:
    if as_json:
        show_json({"found": 0, "barred": len(barred)})
    else:
        click.echo("There are none of these.")
        _tell_rest(as_json, barred, 0, 0)
    return NO


@command.command("settle")
@click.argument("id_", metavar="ID")
@_named.narrowing
@click.option(
    "--happened", is_flag=False, flag_value="", default=None, metavar="[KEY]",
    help="It took effect; of what was created, the KEY that it has in the target.",
)  # fmt: skip
@click.option("--did-not", is_flag=True, help="It did not take effect: it is sent once more.")
@click.option(
    "--although-done",
    is_flag=True,
    help="With --did-not: the target has said that it is done, and you know that it is not.",
)
@click.option("--write", type=int, default=None, metavar="N", help="Which write, where several are in doubt.")
@click.option("--because", default="", metavar="TEXT", help="How you know, for those who see it later.")
@_named.yes_option
@as_json
def settle_(
    id_: str, connection: str | None, flow: str | None, happened: str | None, did_not: bool, although_done: bool,
    write: int | None,
    because: str, yes: bool, as_json: bool,
) -> int:  # fmt: skip
    """Say what became of a write whose outcome is unknown and that cannot be looked up by machine.

    Look in the target first: `syncengine held show ID` says for what. Nothing is sent again unless you say so. The object that
    you name by --happened is read and shown; it must be the one that the write was to create.
    """
    if (happened is None) is not did_not:
        raise click.UsageError("say one of --happened and --did-not")
    with engine(sends=True, calls=True) as one:
        record = _named.record(one, id_, connection, flow)
        with one.store.read() as session:
            doubt = manual_settlement.unknown_write_of(session, one, record, write)
        found = (
            manual_settlement.find_object(one, record, doubt, happened)
            if happened and doubt.effect.verb == Verb.CREATE
            else None
        )
        if not as_json:
            _show_settled(doubt, found)
        if not (yes or agreed(as_json, "Send it once more?" if happened is None else "Did this write make it?")):
            return not_done("settled", None, as_json, asked=False)
        if happened is None:
            manual_settlement.did_not(one, record, doubt, by=me(), because=because, although_done=although_done)
        else:
            manual_settlement.happened(one, record, doubt, happened, by=me(), because=because)
        pump(one)
    outcome = "did not happen" if happened is None else "happened"
    if as_json:
        show_json({"flow": record.flow, "key": record.key, "write": doubt.effect.id, "outcome": outcome})
    else:
        again = "; it is sent once more" if happened is None else ""
        click.echo(f"Write {doubt.effect.id} of {record.flow} {record.key} {outcome}{again}.")
    return 0


def _show_settled(doubt: UnknownWrite, found: manual_settlement.FoundObject | None) -> None:
    """What the write was to do, and the object that it is said to have made."""
    click.secho(doubt.name, bold=True)
    if found is None:
        return
    asked = plan_codec.without_notes(doubt.doc)
    for name in sorted({*asked, *found.document}):
        ours, theirs = safe_text(asked.get(name)), safe_text(found.document.get(name))
        if not isinstance(asked.get(name), list) and not isinstance(found.document.get(name), list):
            click.echo(f"  {name}: asked {ours or 'nothing'}, {found.key} has {theirs or 'nothing'}")
