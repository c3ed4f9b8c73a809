"""`syncengine deadletters`: records that failed and need a person, and the tools to fix them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from syncengine.cli import _corrections, _letters, _named
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import (
    all_option,
    as_json,
    because_option,
    dry_run_option,
    limit_option,
    most_option,
    yes_option,
)
from syncengine.cli._output import (
    counted,
    json_text,
    left_doc,
    more_match,
    not_done,
    nothing_matches,
    show_json,
    show_left,
)
from syncengine.cli._person import confirmed, me
from syncengine.engine.core import failures
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import patches
from syncengine.engine.people import (
    dead_letter_bulk,
    dead_letter_detail,
    dead_letter_groups,
    dead_letters,
)
from syncengine.engine.people.dead_letter_bulk import Choice
from syncengine.engine.people.seen import ActionResult
from syncengine.engine.steps.pump import pump
from syncengine.errors import Misconfigured
from syncengine.store.models import ConnectionRow, Failure
from syncengine.store.states import Lane

GROUPED_ABOVE = 20  # on a terminal, more than these are grouped by cause
DEFAULT_MOST = 500
VERBS = {"discarded": "Discard", "closed": "Close"}

ids_argument = click.argument("ids", metavar="[ID]...", type=_letters.NUMBER, nargs=-1)
kind_option = click.option(
    "--kind",
    type=click.Choice([failures.DEAD, failures.ATTENTION]),
    help="Only failed ones (dead), or only written ones that need a review (attention).",
)
with_closed_option = click.option("--all", "with_closed", is_flag=True, help="Include closed ones.")


@click.group("deadletters")
def command() -> None:
    """Show, correct, retry and discard records that failed.

    Kind `dead`: the record failed and waits for a correction. Kind `attention`: it was written, and a person should
    review it.
    """


@command.command("list")
@ids_argument
@_letters.filters
@kind_option
@with_closed_option
@click.option("--grouped/--flat", default=None, help="Group by cause; the default on a terminal for more than 20.")
@limit_option
@as_json
def list_(
    ids: tuple[int, ...], with_closed: bool, grouped: bool | None, limit: int, as_json: bool, **given: Any
) -> int:
    """List dead letters, or their causes.

    Dead letters are listed newest first, causes most frequent first with the records that wait for them. Exit code 1 if
    nothing is known of --object.
    """
    named, connection, flow = given["name"], given["connection"], given["flow"]
    with open_engine() as engine, engine.store.read() as session:
        chosen = dataclasses.replace(_letters.chosen(engine, ids, **given), is_open=None if with_closed else True)
        is_unknown = _named.is_unknown(session, engine, named, connection, flow)
        total = dead_letters.count(session, chosen)
        if grouped is None:
            grouped = not as_json and total > GROUPED_ABOVE and sys.stdout.isatty()
        groups = dead_letter_groups.groups(session, engine, chosen) if grouped else []
        found = [] if grouped else dead_letters.listed(session, chosen, most=None if as_json else limit)
        blocked = dead_letter_groups.blocked_by(session, engine, [failure for failure, _ in found])
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
    elif is_unknown:
        click.echo(_named.unknown_text(named))
    elif not found:
        click.echo("No matching records." if chosen.narrows else "No dead letters.")
    else:
        _letters.show_flat(found, states, blocked, total)
    return Exit.NO if is_unknown else Exit.OK


def _states(session: Session, failures: Sequence[Failure]) -> dict[int, str]:
    """The present state of their records, by record id: a dead letter stays open while its record is retried or held."""
    records = dead_letters.records_of(session, failures)
    return {
        id_: "again" if dead_letters.is_due_again(record) else str(record.status) for id_, record in records.items()
    }


@command.command("show")
@click.argument("id_", metavar="ID", type=_letters.NUMBER)
@as_json
def show(id_: int, as_json: bool) -> None:
    """Show one dead letter in detail.

    Shows cause, remedy, what it blocks, timeline, and the source, mapped and target documents.
    """
    with open_engine() as engine:
        found = dead_letter_detail.detail(engine, id_)
        name = _connection(engine, found.failure)
    if as_json:
        show_json(_letters.detail_doc(found, name))
    else:
        _letters.show_detail(found, name)


def _connection(engine: Engine, failure: Failure) -> str:
    with engine.store.read() as session:
        return session.get_one(ConnectionRow, failure.connection_id).name


@command.command("edit")
@click.argument("id_", metavar="ID", type=_letters.NUMBER)
@click.option(
    "--set", "values", multiple=True, metavar="PATH=VALUE",
    help="Set a value, e.g. orderRows.8101.productSku=MUG; use PATH:=JSON for anything but text. Repeatable.",
)  # fmt: skip
@click.option(
    "--add", "additions", multiple=True, metavar="PATH=VALUE",
    help="Like --set, for a value that the document does not have yet. Repeatable; may be combined with --set.",
)  # fmt: skip
@click.option("--patch", "file", type=click.File(), help="JSON patch (RFC 6902) with tests; - for standard input.")
@click.option("--withdraw", is_flag=True, help="Withdraw the correction and use the original again.")
@because_option
@dry_run_option
@as_json
def edit(
    id_: int, values: tuple[str, ...], additions: tuple[str, ...], file: Any, withdraw: bool, because: str,
    dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    """Correct the source document of dead letter ID.

    The record is retried at once. Without --set, --add and --patch, the document opens in $EDITOR. The correction is
    stored next to the original, which stays unchanged; it lapses when the source changes.
    """
    if sum((bool(values or additions), file is not None, withdraw)) > 1:
        raise click.UsageError("use only one of --set (or --add), --patch and --withdraw")
    with open_engine(sends=not dry_run) as engine:
        if withdraw:
            return _corrections.withdraw(engine, id_, as_json)
        source = dead_letter_detail.source_of(engine, id_)
        patch = _corrections.patch_of(source, values, additions, file)
        if not patch or patches.check(source.original, patch) == source.present:
            return _corrections.unchanged(source, as_json)
        planned = dead_letter_detail.preview_patch(engine, source, patch)
        kept = None if dry_run else dead_letter_detail.correct(engine, source, patch, because=because, by=me())
        if kept is not None:
            pump(engine)
    if as_json:
        show_json({"correction": kept, "patch": list(patch), "outcome": _letters.outcome(planned)})
        return Exit.OK
    _letters.show_patch(patch)
    click.echo(f"With the documents last read, the outcome is: {_letters.outcome(planned)}")
    click.echo("No changes made." if kept is None else f"Correction {kept} saved; the record is being retried.")
    return Exit.OK


@command.command("retry")
@ids_argument
@_letters.filters
@all_option
@most_option(DEFAULT_MOST)
@click.option("--pace", type=_letters.Pace(), metavar="N", help="Records per minute.")
@because_option
@dry_run_option
@yes_option
@as_json
def retry(
    ids: tuple[int, ...], everything: bool, most: int, pace: float | None, because: str, dry_run: bool, yes: bool,
    as_json: bool, **given: Any,
) -> int:  # fmt: skip
    """Retry the records of dead letters, after a preview.

    The preview shows what would be written, with its value. Select dead letters by ID or by options. A dead letter
    closes once its record succeeds.
    """
    _require_selection(ids, everything, given)
    with open_engine(sends=True, calls=True) as engine:
        chosen = _letters.chosen(engine, ids, **given)
        with engine.store.read() as session:
            choice = dead_letter_bulk.choose(session, chosen, most=most)
        if not choice.letters:
            return nothing_matches(as_json)
        shown = None
        if dry_run or not yes:
            outlook = dead_letter_bulk.forecast(engine, choice.letters)
            shown = _letters.outlook_doc(outlook, choice)
            if not as_json:
                _letters.show_outlook(outlook, choice, most)
        if dry_run or not (yes or confirmed(as_json, f"Retry {counted(len(choice.letters), 'record')}?")):
            return not_done("retried", shown, as_json, is_dry_run=dry_run)
        retried = _retry(engine, choice, because=because, pace=pace, are_named=bool(ids))
        pump(engine)
    if as_json:
        already = {"on_their_way": retried.already, "left": choice.left, "preview": shown}
        show_json({"retried": retried.count, **already})
    else:
        click.echo(f"{retried}. Use `syncengine status` to follow the progress.")
        if shown is None:
            _letters.show_left(choice, most)
    return Exit.OK


@dataclass(frozen=True, slots=True)
class _Retried:
    """What became of the dead letters of a retry."""

    count: int
    closed: int
    already: int
    asked_by: str
    pace: float | None

    def __str__(self) -> str:
        """In one line, without a full stop at its end."""
        pace = f", {self.pace:g} a minute" if self.pace else ""
        already = f". {self.already:,} already being retried{self.asked_by}" if self.already else ""
        closed = f". {self.closed:,} closed in the meantime" if self.closed else ""
        return f"{counted(self.count, 'record')} will be retried{pace}{already}{closed}"


def _retry(engine: Engine, choice: Choice, *, because: str, pace: float | None, are_named: bool) -> _Retried:
    lane = Lane.REALTIME if are_named else Lane.BACKFILL  # a person who names records waits for them
    already, asked_by = _on_their_way(engine, choice)
    ids = [failure.id for failure in choice.letters]
    discarded = [failure.id for failure in choice.letters if failure.closed_at is not None]
    count = dead_letters.retry(
        engine, ids, by=me(), because=because, lane=lane, a_minute=pace, closed_too=not are_named, reopens=discarded
    )
    return _Retried(count, len(ids) - count, already, asked_by, pace)


def _on_their_way(engine: Engine, choice: Choice) -> tuple[int, str]:
    """How many of these are being retried already, and who asked for that last."""
    with engine.store.read() as session:
        records = dead_letters.records_of(session, choice.letters).values()
        again = [record.id for record in records if dead_letters.is_due_again(record)]
        return len(again), dead_letters.retried_last(session, again) if again else ""


def ending_options(act: Callable[..., int]) -> Callable[..., int]:
    """The options of `discard` and `close`."""
    options = (
        ids_argument, _letters.filters, all_option, most_option(DEFAULT_MOST), because_option, dry_run_option, yes_option,
        as_json,
    )  # fmt: skip
    for option in reversed(options):
        act = option(act)
    return act


@command.command("discard")
@ending_options
def discard(**given: Any) -> int:
    """Discard dead letters and skip their records.

    The records are skipped, with this reason, until they change at the source. Dead letters selected by options are
    first shown by cause. --because is required except with --dry-run.
    """
    return _end("discarded", failures.DEAD, dead_letter_bulk.discard, **given)


@command.command("close")
@ending_options
def close(**given: Any) -> int:
    """Close dead letters of kind `attention` after review.

    Dead letters selected by options are first shown by cause. --because is required except with --dry-run.
    """
    return _end("closed", failures.ATTENTION, dead_letter_bulk.close, **given)


def _end(
    action: str, kind: str, act: Callable[..., ActionResult], *, ids: tuple[int, ...], everything: bool, most: int,
    because: str, dry_run: bool, yes: bool, as_json: bool, **given: Any,
) -> int:  # fmt: skip
    _require_selection(ids, everything, given)
    if not (dry_run or because.strip()):
        raise click.UsageError("--because is missing or empty. Give a reason; it is shown in the history")
    with open_engine() as engine:
        chosen = _letters.chosen(engine, ids, **given)
        with engine.store.read() as session:
            choice = dead_letter_bulk.choose_of_kind(session, chosen, kind, most=most)
        if not choice.letters:
            return nothing_matches(as_json)
        shown = None
        if dry_run or not (ids or yes):
            with engine.store.read() as session:
                groups = dead_letter_groups.grouped(session, engine, reversed(choice.letters))
            shown = _letters.by_cause_doc(choice, groups)
            if not as_json:
                _letters.show_by_cause(action, choice, groups, most)
        if dry_run or not (
            ids or yes or confirmed(as_json, f"{VERBS[action]} {counted(len(choice.letters), 'dead letter')}?")
        ):
            return not_done(action, shown, as_json, is_dry_run=dry_run)
        done = act(engine, choice.letters, because=because, by=me())
    if as_json:
        show_json({action: done.count, "left": choice.left, "changed": left_doc(done.left), "preview": shown})
    else:
        rest = f" {more_match(choice.left, 're-run the command')}" if choice.left else ""
        click.echo(f"{counted(done.count, 'dead letter')} {action}.{rest}")
        show_left(done.left)
    return Exit.OK


@command.command("export")
@ids_argument
@_letters.filters
@kind_option
@with_closed_option
@click.option(
    "--format", "format_", type=click.Choice(["csv", "json"]), default="csv", show_default=True, help="Output format."
)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Output file. Default: standard output.")
@as_json
def export(
    ids: tuple[int, ...], with_closed: bool, format_: str, file: Path | None, as_json: bool, **given: Any
) -> None:
    """Export dead letters as CSV or JSON."""
    with open_engine() as engine, engine.store.read() as session:
        chosen = dataclasses.replace(_letters.chosen(engine, ids, **given), is_open=None if with_closed else True)
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
        click.echo(f"Wrote {counted(len(rows), 'dead letter')} to {file}.")


def _require_selection(ids: tuple[int, ...], everything: bool, given: dict[str, Any]) -> None:
    """Raises UsageError if no ID and no option selects dead letters."""
    if not (ids or everything or any(given.values())):
        raise click.UsageError("select dead letters by ID, by an option (--cause, --flow, ...), or with --all")
