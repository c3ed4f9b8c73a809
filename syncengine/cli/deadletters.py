"""`syncengine deadletters`: what needs a person, and the tools to mend it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from syncengine.cli import _letters
from syncengine.cli._engine import (
    NO,
    agreed,
    as_json,
    counted,
    engine,
    has_terminal,
    json_text,
    left_doc,
    limit_option,
    me,
    most_option,
    not_done,
    show_json,
    show_left,
)
from syncengine.engine.core import failures
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import patches
from syncengine.engine.people import (
    dead_letter_bulk,
    dead_letter_detail,
    dead_letter_groups,
    dead_letters,
    record_search,
)
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.engine.people.seen import ActionResult
from syncengine.engine.steps.pump import pump
from syncengine.errors import Misconfigured
from syncengine.store.models import ConnectionRow, Failure
from syncengine.store.states import Lane

MANY = 20  # more than these are shown by their causes, where a person looks
ids_argument = click.argument("ids", metavar="[ID]...", type=_letters.NUMBER, nargs=-1)
kind_option = click.option(
    "--kind",
    type=click.Choice([failures.DEAD, failures.ATTENTION]),
    help="Failed, or written and to be looked at.",
)
because_option = click.option("--because", default="", metavar="TEXT", help="Why, for those who see it later.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what it would come to, and do nothing.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
all_option = click.option("--all", "everything", is_flag=True, help="All that are open.")


@click.group("deadletters")
def command() -> None:
    """Records that need a person: list them, look at one, correct it, have it tried again, or set it aside.

    `dead` ones failed and wait to be corrected; `attention` ones were written, and a person should look all the same.
    """


@command.command("list")
@ids_argument
@_letters.filters
@kind_option
@click.option("--all", "with_closed", is_flag=True, help="Those that are closed, too.")
@click.option("--grouped/--flat", default=None, help="By cause; by default on a terminal when there are many.")
@limit_option
@as_json
def list_(
    ids: tuple[int, ...], with_closed: bool, grouped: bool | None, limit: int, as_json: bool, **given: Any
) -> None:
    """List dead letters, the newest first; or their causes, the most frequent first, and what waits for them."""
    chosen = dataclasses.replace(_letters.chosen(ids, **given), is_open=None if with_closed else True)
    with engine() as one, one.store.read() as session:
        record_search.check_names(one, chosen.connection, chosen.flow)
        total = dead_letters.count(session, chosen)
        if grouped is None:
            grouped = not as_json and total > MANY and sys.stdout.isatty()
        groups = dead_letter_groups.groups(session, one, chosen) if grouped else []
        found = [] if grouped else dead_letters.listed(session, chosen, most=None if as_json else limit)
        blocked = dead_letter_groups.blocked_by(session, one, [failure for failure, _ in found])
        states = _states(session, [failure for failure, _ in found])
    if grouped:
        show_json([dataclasses.asdict(group) for group in groups]) if as_json else _letters.show_groups(groups)
    elif as_json:
        show_json(
            [
                {**_letters.row(failure, name), "now": states[failure.record_id], "blocks": blocked.get(failure.id, {})}
                for failure, name in found
            ]
        )
    elif not found:
        click.echo("No dead letters.")
    else:
        _letters.show_flat(found, states, blocked, total)


def _states(session: Session, failures: Sequence[Failure]) -> dict[int, str]:
    """What their records are now, by record id: a letter may be open while its record is tried again, or held."""
    records = dead_letters.records_of(session, failures)
    return {
        id_: "again" if dead_letters.is_due_again(record) else str(record.status) for id_, record in records.items()
    }


@command.command("show")
@click.argument("id_", metavar="ID", type=_letters.NUMBER)
@as_json
def show(id_: int, as_json: bool) -> None:
    """Show one dead letter whole: cause, remedy, what waits for it, its timeline, source, mapped and target document."""
    with engine() as one:
        found = dead_letter_detail.detail(one, id_)
        name = _connection(one, found.failure)
    if as_json:
        show_json(_letters.whole(found, name))
    else:
        _letters.show_whole(found, name)


def _connection(one: Engine, failure: Failure) -> str:
    with one.store.read() as session:
        return session.get_one(ConnectionRow, failure.connection_id).name


@command.command("edit")
@click.argument("id_", metavar="ID", type=_letters.NUMBER)
@click.option(
    "--set", "values", multiple=True, metavar="PATH=VALUE",
    help="Set one value, as orderRows.8101.productSku=MUG; PATH:=JSON for what is no text. May be given several times.",
)  # fmt: skip
@click.option(
    "--add", "additions", multiple=True, metavar="PATH=VALUE",
    help="As --set, for what is not in the document yet. May be given several times, and beside --set.",
)  # fmt: skip
@click.option("--patch", "file", type=click.File(), help="A JSON patch (RFC 6902) with tests; - for standard input.")
@click.option("--withdraw", is_flag=True, help="Take the correction back; the record goes by the original again.")
@because_option
@click.option("--dry-run", is_flag=True, help="Show what it would come to, and keep nothing.")
@as_json
def edit(
    id_: int, values: tuple[str, ...], additions: tuple[str, ...], file: Any, withdraw: bool, because: str,
    dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    """Correct the source document of dead letter ID, and have its record looked at again at once.

    Without --set, --add and --patch, $EDITOR opens on the document. The correction is kept beside the original, which stays as
    it is; it lapses when the source changes.
    """
    if sum((bool(values or additions), file is not None, withdraw)) > 1:
        raise click.UsageError("say one of --set (or --add), --patch and --withdraw")
    with engine(sends=not dry_run) as one:
        if withdraw:
            return _withdraw(one, id_, as_json)
        source = dead_letter_detail.source_of(one, id_)
        patch = _patch(source, values, additions, file)
        if not patch or patches.check(source.original, patch) == source.present:
            return _unchanged(source, as_json)
        planned = dead_letter_detail.preview_patch(one, source, patch)
        kept = None if dry_run else dead_letter_detail.correct(one, source, patch, because=because, by=me())
        if kept is not None:
            pump(one)
    if as_json:
        show_json({"correction": kept, "patch": list(patch), "outcome": _letters.outcome(planned)})
        return 0
    _letters.show_patch(patch)
    click.echo(f"By what was last read it comes to: {_letters.outcome(planned)}")
    click.echo(
        "Nothing was kept." if kept is None else f"Correction {kept} is kept, and the record is looked at again."
    )
    return 0


def _unchanged(source: dead_letter_detail.Source, as_json: bool) -> int:
    """Say that a patch comes to what holds already, be it by somebody's correction."""
    standing = source.standing
    if as_json:
        known = {"standing": standing.id, "by": standing.made_by} if standing else {"standing": None, "by": ""}
        show_json({"correction": None, **known})
    elif standing is None:
        click.echo("Nothing was changed, so nothing was kept.")
    else:
        click.echo(f"Correction {standing.id} by {standing.made_by} has that already. Nothing was kept.")
    return NO


def _withdraw(one: Engine, id_: int, as_json: bool) -> int:
    was = dead_letter_detail.withdraw(one, id_, by=me())
    last = "" if was else dead_letter_detail.ended_last(one, id_)
    if was:
        pump(one)
    if as_json:
        show_json({"withdrawn": was, "last": last})
    elif was:
        click.echo("The correction is taken back.")
    else:
        click.echo(f"There is no correction. The last one: {last}." if last else "There is no correction.")
    return 0 if was else NO


def _patch(
    source: dead_letter_detail.Source, values: Sequence[str], additions: Sequence[str], file: Any
) -> patches.Patch:
    if file is not None:
        return patches.of_text(_text(file), f"--patch {file.name}")
    if values or additions:
        before = source.standing.patch if source.standing else ()
        return [*before, *patches.of_values(source.present, values, additions)]
    if not has_terminal():
        raise click.UsageError("there is no terminal to edit in: say --set, --add or --patch")
    edited = click.edit(patches.text_of(source.present), extension=".json")
    return patches.of_edit(source.original, edited) if edited is not None else ()


def _text(file: Any) -> str:
    try:
        return str(file.read())
    except UnicodeDecodeError as error:
        raise Misconfigured(
            f"--patch {file.name} is no text in UTF-8 (byte {error.start + 1}). Save it as such"
        ) from None


@command.command("retry")
@ids_argument
@_letters.filters
@all_option
@most_option(500)
@click.option("--pace", type=_letters.Pace(), metavar="N", help="So many records a minute.")
@because_option
@dry_run_option
@yes_option
@as_json
def retry(
    ids: tuple[int, ...], everything: bool, most: int, pace: float | None, because: str, dry_run: bool, yes: bool,
    as_json: bool, **given: Any,
) -> int:  # fmt: skip
    """Have the records of dead letters looked at again, after a preview of what that would write and in which money.

    Letters are named by ID or chosen by the options. A letter closes when its record went through.
    """
    chosen = _narrowed(_letters.chosen(ids, **given), everything)
    with engine(sends=True, calls=True) as one:
        record_search.check_names(one, chosen.connection, chosen.flow)
        with one.store.read() as session:
            choice = dead_letter_bulk.choose(session, chosen, most=most)
        if not choice.letters:
            return _none(as_json)
        shown = None
        if dry_run or not yes:
            outlook = dead_letter_bulk.forecast(one, choice.letters)
            shown = _letters.outlook_doc(outlook, choice)
            if not as_json:
                _letters.show_outlook(outlook, choice, most)
        if dry_run or not (yes or agreed(as_json, f"Try {counted(len(choice.letters), 'record')} again?")):
            return not_done("retried", shown, as_json, asked=dry_run)
        lane = Lane.REALTIME if ids else Lane.BACKFILL  # who names one waits for it
        again, by_whom = _on_their_way(one, choice)
        some = [failure.id for failure in choice.letters]
        discarded = [failure.id for failure in choice.letters if failure.closed_at is not None]
        done = dead_letters.retry(
            one, some, by=me(), because=because, lane=lane, a_minute=pace, closed_too=not ids, reopens=discarded
        )  # fmt: skip
        pump(one)
    if as_json:
        show_json({"retried": done, "on_their_way": again, "left": choice.left, "preview": shown})
    else:
        pace_ = f", {pace:g} a minute" if pace else ""
        closed = len(some) - done
        rest = f" {closed} had been closed meanwhile." if closed else ""
        rest = f" {again:,} on its way already{by_whom}.{rest}" if again else rest
        click.echo(f"{done} to be looked at again{pace_}.{rest} `syncengine status` shows how they get on.")
        if shown is None:
            _letters.show_left(choice, most)
    return 0


def _on_their_way(one: Engine, choice: dead_letter_bulk.Choice) -> tuple[int, str]:
    """How many of these are tried again already, and who asked for that last."""
    with one.store.read() as session:
        records = dead_letters.records_of(session, choice.letters).values()
        again = [record.id for record in records if dead_letters.is_due_again(record)]
        return len(again), dead_letters.retried_last(session, again) if again else ""


def by_hand(act: Callable[..., int]) -> Callable[..., int]:
    """The options of `discard` and `close`."""
    options = (
        ids_argument, _letters.filters, all_option, most_option(500), because_option, dry_run_option, yes_option, as_json,
    )  # fmt: skip
    for option in reversed(options):
        act = option(act)
    return act


@command.command("discard")
@by_hand
def discard(**given: Any) -> int:
    """Set dead letters aside: their records are left alone, with this reason, until they change at the source.

    Those chosen by the options are shown by cause first. --because is needed unless this is a --dry-run.
    """
    return _by_hand("discarded", failures.DEAD, dead_letter_bulk.discard, **given)


@command.command("close")
@by_hand
def close(**given: Any) -> int:
    """Close what was written and needed a look (`list --kind attention`), once somebody has looked.

    Those chosen by the options are shown by cause first. --because is needed unless this is a --dry-run.
    """
    return _by_hand("closed", failures.ATTENTION, dead_letter_bulk.close, **given)


def _by_hand(
    word: str, kind: str, act: Callable[..., ActionResult], *, ids: tuple[int, ...], everything: bool, most: int, because: str,
    dry_run: bool, yes: bool, as_json: bool, **given: Any,
) -> int:  # fmt: skip
    chosen = _narrowed(_letters.chosen(ids, **given), everything)
    if not (dry_run or because.strip()):
        raise click.UsageError("--because is missing or empty: say why, for those who see it later")
    with engine() as one:
        record_search.check_names(one, chosen.connection, chosen.flow)
        with one.store.read() as session:
            choice = dead_letter_bulk.choose_of_kind(session, chosen, kind, most=most)
        if not choice.letters:
            return _none(as_json)
        shown = None
        if dry_run or not (ids or yes):
            with one.store.read() as session:
                groups = dead_letter_groups.grouped(session, one, reversed(choice.letters))
            shown = _letters.by_cause_doc(choice, groups)
            if not as_json:
                _letters.show_by_cause(word, choice, groups, most)
        if dry_run or not (
            ids or yes or agreed(as_json, f"{counted(len(choice.letters), 'letter')} to be {word}. Go on?")
        ):
            return not_done(word, shown, as_json, asked=dry_run)
        done = act(one, choice.letters, because=because, by=me())
    if as_json:
        show_json({word: done.count, "left": choice.left, "changed": left_doc(done.left), "preview": shown})
    else:
        rest = f" {choice.left} more fit; the same command takes them." if choice.left else ""
        click.echo(f"{done.count} {word}.{rest}")
        show_left(done.left)
    return 0


@command.command("export")
@ids_argument
@_letters.filters
@kind_option
@click.option("--all", "with_closed", is_flag=True, help="Those that are closed, too.")
@click.option("--format", "format_", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Where to; standard output by default.")
@as_json
def export(
    ids: tuple[int, ...], with_closed: bool, format_: str, file: Path | None, as_json: bool, **given: Any
) -> None:
    """Write dead letters out, for those who mend them at the source."""
    chosen = dataclasses.replace(_letters.chosen(ids, **given), is_open=None if with_closed else True)
    with engine() as one, one.store.read() as session:
        record_search.check_names(one, chosen.connection, chosen.flow)
        rows = [_letters.row(failure, name) for failure, name in dead_letters.listed(session, chosen)]
    text = _letters.as_csv(rows) if format_ == "csv" and not as_json else f"{json_text(rows)}\n"
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8-sig" if format_ == "csv" and not as_json else "utf-8")
    except OSError as error:
        raise Misconfigured(f"--file {file} cannot be written: {error.strerror}") from None
    if as_json:
        show_json({"written": len(rows), "file": str(file)})
    else:
        click.echo(f"{len(rows)} written to {file}.")


def _narrowed(chosen: LetterFilter, everything: bool) -> LetterFilter:
    if not chosen.narrows and not everything:
        raise click.UsageError("name dead letters by ID, choose them by an option (--cause, --flow, ...), or say --all")
    return chosen


def _none(as_json: bool) -> int:
    if as_json:
        show_json({"found": 0})
    else:
        click.echo("There are none of these.")
    return NO
