"""Dead letters as a person reads them: the list, groups by cause, one in detail, and what a retry would write."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from syncengine.cli._options import Command, object_option, selection
from syncengine.cli._output import counted, json_text, more_match, show_json, wide_console, worth
from syncengine.cli._sheet import cell
from syncengine.cli._times import moment
from syncengine.cli.trace import detail
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Plan
from syncengine.engine.people import dead_letter_groups, record_search
from syncengine.engine.people.dead_letter_bulk import Choice, Forecast
from syncengine.engine.people.dead_letter_detail import Letter
from syncengine.engine.people.dead_letter_groups import Blocker, LetterGroup
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.errors import Rejected
from syncengine.redaction import redact, safe_text
from syncengine.store.models import Failure, Record
from syncengine.store.states import Stage

FIELDS = (
    "id", "flow", "key", "kind", "stage", "field", "value", "cause", "remedy", "opened_at", "closed_at", "closed_because",
    "closed_by",
)  # fmt: skip
DOCUMENTS = ("source", "corrected", "mapped", "target", "references")
MAX_BLOCKERS = 5
NUMBER = click.IntRange(1, 2**31 - 1)
"""The id of a dead letter, within the range of a database integer."""


class Pace(click.FloatRange):
    """Records per minute, at least one in a hundred minutes, so that the last one has a date."""

    def __init__(self) -> None:
        super().__init__(min=0.01)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert like the parent class, but refuse NaN and infinity."""
        converted = super().convert(value, param, ctx)
        return (
            converted if math.isfinite(converted) else self.fail(f"{value!r} is not a number of records.", param, ctx)
        )


def filters(command: Command) -> Command:
    """The options that select dead letters, the same for all commands; `chosen` turns them into a filter."""
    options = (
        selection,
        object_option,
        click.option("--cause", metavar="TEXT", help="Only those with this text in the cause."),
        click.option("--field", metavar="TEXT", help="Only those with this text in the field name, e.g. StockCode."),
        click.option("--value", metavar="TEXT", help="Only those with this text in the value."),
        click.option(
            "--stage", type=click.Choice([str(stage) for stage in Stage]), help="Only those that failed here."
        ),
        click.option("--since", metavar="WHEN", help="Only those opened since 2026-01-31 or 2026-01-31T12:00+01:00."),
        click.option("--until", metavar="WHEN", help="Only those opened before this time."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def chosen(engine: Engine, ids: Sequence[int] = (), *, name: str | None = None, **given: Any) -> LetterFilter:
    """The filter given by the options of `filters`.

    name: what `--object` means. Raises Misconfigured for an invalid time or id, and for a connection or flow that does not
    exist.
    """
    texts = {name: given.pop(name, None) for name in ("since", "until")}
    times = {name: None if text is None else moment(f"--{name}", text) for name, text in texts.items()}
    found = LetterFilter(ids=tuple(ids), **{**given, **times})
    record_search.check_names(engine, found.connection, found.flow)
    has_letter = select(Failure.id).where(Failure.record_id == Record.id).exists()
    with engine.store.read() as session:
        named = record_search.among(session, engine, name, [has_letter], connection=found.connection, flow=found.flow)
    return dataclasses.replace(found, records=named)


def row(failure: Failure, connection: str) -> dict[str, Any]:
    """A dead letter for JSON and CSV."""
    return {"connection": connection, **{name: getattr(failure, name) for name in FIELDS}}


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV for spreadsheets: times in UTC, and no text that a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["connection", *FIELDS])
    for values in rows:
        writer.writerow([cell(values[name]) for name in ("connection", *FIELDS)])
    return text.getvalue()


# -- many --------------------------------------------------------------------------------------------------------------


def show_flat(
    found: Sequence[tuple[Failure, str]],
    states: Mapping[int, str],
    blocked: Mapping[int, Mapping[str, int]],
    total: int,
) -> None:
    """Print a line for each; `total` is how many match in all. `states`: of their records, by record id."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("id", "opened (UTC)", "flow", "key", "now", "field", "value", "cause"):
        table.add_column(name, overflow="fold")
    for failure, _ in found:
        mark = "[attention] " if failure.kind != "dead" else ""
        waits = f" (blocks {_counts(blocked[failure.id])})" if failure.id in blocked else ""
        cells = (
            str(failure.id), f"{failure.opened_at:%Y-%m-%d %H:%M}", failure.flow, failure.key,
            states.get(failure.record_id, ""), failure.field, failure.value[:40], f"{mark}{failure.cause}{waits}",
        )  # fmt: skip
        table.add_row(*map(Text, cells))  # Text: brackets in them are not markup
    wide_console().print(table)
    if total > len(found):
        click.echo(f"{more_match(total - len(found), f'use --limit {total}')} --grouped shows their causes.")


def show_groups(found: Sequence[LetterGroup]) -> None:
    """Print a block for each cause: how many, since when, an example, what to do, and who waits."""
    for group in found:
        mark = ", attention" if group.kind != "dead" else ""
        field = f"{group.field}: " if group.field else ""
        click.secho(f"{group.count:>5}  {group.flow}, {group.stage}{mark}: {field}{group.cause}", bold=True)
        span = f"{group.first:%Y-%m-%d %H:%M} to {group.last:%Y-%m-%d %H:%M} UTC"
        value = f" with {group.example_value[:60]}" if group.example_value else ""
        click.echo(f"       {span}; newest: {group.example} ({group.flow} {group.example_key}{value})")
        click.echo(f"       {group.remedy}")
        for blocker in group.blockers[:MAX_BLOCKERS]:
            click.secho(f"       {_blocks(blocker)}", fg="yellow")
        if len(group.blockers) > MAX_BLOCKERS:
            rest = sum(sum(blocker.waiting.values()) for blocker in group.blockers[MAX_BLOCKERS:])
            click.echo(f"       and {len(group.blockers) - MAX_BLOCKERS} more block {counted(rest, 'record')}")


def _blocks(blocker: Blocker) -> str:
    return f"{blocker.flow} {blocker.key} blocks {_counts(blocker.waiting)}"


def _counts(waiting: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {flow}" for flow, count in sorted(waiting.items()))


# -- one dead letter ---------------------------------------------------------------------------------------------------


def detail_doc(letter: Letter, connection: str) -> dict[str, Any]:
    """A dead letter in detail for JSON; secrets are hidden."""
    return {
        **row(letter.failure, connection),
        "state": letter.way.state,
        "outcome": outcome(letter.outcome),
        "blocks": dict(letter.blocks),
        "newer": letter.newer,
        "documents": redact(letter.documents),
        "corrections": redact(letter.corrections),
        "links": letter.way.links,
        "effects": letter.way.effects,
        "events": letter.way.events,
    }


def show_detail(letter: Letter, connection: str) -> None:
    """Print a dead letter: what is wrong, what to do, what it blocks, its corrections, timeline and documents."""
    values = row(letter.failure, connection)
    for name in ("connection", *FIELDS):
        if values[name] not in (None, "") and name != "id":
            click.echo(f"{name:>14}: {safe_text(values[name])}")
            if name == "closed_because" and letter.newer is not None:
                click.echo(f"{'now open':>14}: {letter.newer}, a newer dead letter of the same record")
    click.echo(f"{'state':>14}: {letter.way.state}")
    if letter.outcome:
        click.echo(f"{'planned now':>14}: {outcome(letter.outcome)}")
    if letter.blocks:
        click.secho(f"{'blocks':>14}: {_counts(letter.blocks)}", fg="yellow")
    _show_corrections(letter.corrections)
    click.secho("\ntimeline", bold=True)
    for event in letter.way.events:
        click.echo(f"  {safe_text(event['at'])}  {event['what']:<17} {detail(event['detail'])}")
    documents = redact(letter.documents)
    for name in [name for name in DOCUMENTS if name in documents]:
        click.secho(f"\n{name}", bold=True)
        click.echo(documents[name]) if isinstance(documents[name], str) else show_json(documents[name])


def _show_corrections(corrections: Sequence[Mapping[str, Any]]) -> None:
    for correction in corrections:
        lapsed = f", lapsed: {correction['lapsed_because']}" if correction["lapsed_at"] else ""
        why = f" ({correction['because']})" if correction["because"] else ""
        at = f"{correction['made_at']:%Y-%m-%d %H:%M} UTC"
        click.echo(f"{'corrected':>14}: by {correction['made_by']} at {at}{why}{lapsed}")
        show_patch(correction["patch"])


def show_patch(patch: Sequence[Mapping[str, Any]]) -> None:
    """Print a patch as old and new values; secrets are hidden."""
    old = {change["path"]: change["value"] for change in patch if change["op"] == "test"}
    for change in patch:
        if change["op"] != "test":
            path = change["path"]
            before = _hidden(old[path], path) if path in old else "nothing"
            after = _hidden(change["value"], path) if "value" in change else change["op"]
            click.echo(f"{'':>16}{path}: {before} -> {after}")


def _hidden(value: Any, path: str) -> str:
    hidden = redact(value, path.rpartition("/")[2])
    return json_text(hidden) if isinstance(hidden, dict | list) else str(hidden)


def outcome(planned: Plan | Rejected | str) -> str:
    """The outcome of planning, in one line."""
    if isinstance(planned, str):
        return planned
    if isinstance(planned, Rejected):
        return f"fails: {planned}"
    writes = "; ".join(plan_codec.summary(step) for step in planned.steps)
    return f"{planned.kind}: {', '.join(filter(None, (planned.reason, writes)))}"


# -- retried -----------------------------------------------------------------------------------------------------------


def show_outlook(outlook: Forecast, choice: Choice, most: int) -> None:
    """Print what a retry would write, in numbers and money, and what would still fail."""
    click.echo(f"{counted(outlook.total, 'record')} would be retried.")
    show_left(choice, most)
    if choice.looks:
        click.echo(f"Left out because they were written and need only a review: {choice.looks}.")
    if outlook.planned < outlook.total:
        click.secho(f"Figures are from a sample of {outlook.planned} of {outlook.total} records.", fg="yellow")
    for write in outlook.writes:
        click.secho(f"  {write.verb} {write.entity}: {write.count}{worth(write.worth)}", fg="green")
    if outlook.needs:
        click.echo(f"  {outlook.needs} of these objects are retried because others need them")
    for stay in outlook.stays:
        remedy = f". {stay.remedy}" if stay.remedy else ""
        example = ", ".join(stay.keys)
        click.secho(f"  {stay.state} {stay.flow}: {stay.count}, {stay.why}{remedy} (e.g. {example})", fg="yellow")
    if outlook.wakes:
        click.echo(f"  waiting for these, and continuing once they are done: {_counts(outlook.wakes)}")


def show_left(choice: Choice, most: int) -> None:
    """Say how many more match than were taken."""
    if choice.left:
        click.echo(more_match(choice.left, f"use --most {most + choice.left}"))


def outlook_doc(outlook: Forecast, choice: Choice) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "records": outlook.total,
        "planned": outlook.planned,
        "left": choice.left,
        "to_review": choice.looks,
        "writes": [{"entity": w.entity, "verb": w.verb, "count": w.count, "worth": w.worth} for w in outlook.writes],
        "stays": [
            {"flow": s.flow, "state": s.state, "why": s.why, "remedy": s.remedy, "count": s.count, "keys": s.keys}
            for s in outlook.stays
        ],
        "needs": outlook.needs,
        "wakes": dict(outlook.wakes),
    }


# -- discarded or closed -----------------------------------------------------------------------------------------------


def show_by_cause(action: str, choice: Choice, groups: Sequence[LetterGroup], most: int) -> None:
    """Print what discarding or closing them (`action`: discarded, closed) is about, by cause, and who waits for them."""
    click.echo(f"{counted(len(choice.letters), 'dead letter')} would be {action}.")
    show_left(choice, most)
    show_groups(groups)
    if waiting := _waiting(groups):
        click.secho(f"Waiting for these, and left waiting: {_counts(waiting)}.", fg="yellow")


def by_cause_doc(choice: Choice, groups: Sequence[LetterGroup]) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "records": len(choice.letters),
        "left": choice.left,
        "causes": [dataclasses.asdict(group) for group in groups],
        "waiting": _waiting(groups),
    }


def _waiting(groups: Sequence[LetterGroup]) -> dict[str, int]:
    return dead_letter_groups.summed(blocker.waiting for group in groups for blocker in group.blockers)
