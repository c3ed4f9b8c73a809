"""Dead letters as a person reads them: the list, the groups, one whole, and what trying them again would come to."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from syncengine.cli._engine import Command, counted, json_text, show_json, wide_console
from syncengine.cli._sheet import cell
from syncengine.cli._times import moment
from syncengine.cli.trace import detail
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Plan
from syncengine.engine.people import dead_letter_groups
from syncengine.engine.people.dead_letter_bulk import Choice, Forecast
from syncengine.engine.people.dead_letter_detail import Letter
from syncengine.engine.people.dead_letter_groups import Blocker, LetterGroup
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.errors import Rejected
from syncengine.redaction import redact, safe_text
from syncengine.store.models import Failure
from syncengine.store.states import Stage

FIELDS = (
    "id", "flow", "key", "kind", "stage", "field", "value", "cause", "remedy", "opened_at", "closed_at", "closed_because",
    "closed_by",
)  # fmt: skip
DOCUMENTS = ("source", "corrected", "mapped", "target", "references")
MOST_BLOCKERS = 5
NUMBER = click.IntRange(1, 2**31 - 1)
"""The id of a letter: what any database keeps as one."""


class Pace(click.FloatRange):
    """Records a minute; from one in a hundred minutes on, so that the last one has a date."""

    def __init__(self) -> None:
        super().__init__(min=0.01)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As its parent, which lets NaN pass."""
        made = super().convert(value, param, ctx)
        return made if math.isfinite(made) else self.fail(f"{value!r} is no number of records.", param, ctx)


def filters(command: Command) -> Command:
    """The options by which dead letters are chosen, the same for all commands; `chosen` makes a Filter of them."""
    options = (
        click.option("--connection", metavar="NAME", help="Of this connection."),
        click.option("--flow", metavar="NAME", help="Of this flow."),
        click.option("--cause", metavar="TEXT", help="With this text in their cause."),
        click.option("--field", metavar="TEXT", help="With this text in their field, as StockCode."),
        click.option("--value", metavar="TEXT", help="With this text in their value."),
        click.option("--stage", type=click.Choice([str(stage) for stage in Stage]), help="That failed in this step."),
        click.option("--since", metavar="WHEN", help="Opened then or later: 2026-01-31 or 2026-01-31T12:00+01:00."),
        click.option("--until", metavar="WHEN", help="Opened before."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def chosen(ids: Sequence[int] = (), **given: Any) -> LetterFilter:
    """The filter that the options of `filters` make. Raises Misconfigured for a time that is none."""
    texts = {name: given.pop(name, None) for name in ("since", "until")}
    times = {name: None if text is None else moment(f"--{name}", text) for name, text in texts.items()}
    return LetterFilter(ids=tuple(ids), **{**given, **times})


def row(failure: Failure, connection: str) -> dict[str, Any]:
    """One letter for JSON and CSV."""
    return {"connection": connection, **{name: getattr(failure, name) for name in FIELDS}}


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """For spreadsheets: UTC times, and nothing that one of them would take for a formula."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["connection", *FIELDS])
    for one in rows:
        writer.writerow([cell(one[name]) for name in ("connection", *FIELDS)])
    return made.getvalue()


# -- many --------------------------------------------------------------------------------------------------------------


def show_flat(
    found: Sequence[tuple[Failure, str]],
    states: Mapping[int, str],
    blocked: Mapping[int, Mapping[str, int]],
    total: int,
) -> None:
    """A line for each. `states`: of their records, by record id."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("id", "opened (UTC)", "flow", "key", "now", "field", "value", "cause"):
        table.add_column(name, overflow="fold")
    for failure, _ in found:
        look = "[to be looked at] " if failure.kind != "dead" else ""
        waits = f" (blocks {_counts(blocked[failure.id])})" if failure.id in blocked else ""
        cells = (
            str(failure.id), f"{failure.opened_at:%Y-%m-%d %H:%M}", failure.flow, failure.key,
            states.get(failure.record_id, ""), failure.field, failure.value[:40], f"{look}{failure.cause}{waits}",
        )  # fmt: skip
        table.add_row(*map(Text, cells))  # as they are: brackets in them are no markup
    wide_console().print(table)
    if total > len(found):
        click.echo(f"and {total - len(found)} more: `--limit {total}` shows them, `--grouped` their causes")


def show_groups(found: Sequence[LetterGroup]) -> None:
    """A block for each cause: how many, since when, an example, what to do, and who waits."""
    for group in found:
        look = ", to be looked at" if group.kind != "dead" else ""
        field = f"{group.field}: " if group.field else ""
        click.secho(f"{group.count:>5}  {group.flow}, {group.stage}{look}: {field}{group.cause}", bold=True)
        span = f"{group.first:%Y-%m-%d %H:%M} to {group.last:%Y-%m-%d %H:%M} UTC"
        value = f" with {group.example_value[:60]}" if group.example_value else ""
        click.echo(f"       {span}; the newest: {group.example} ({group.flow} {group.example_key}{value})")
        click.echo(f"       {group.remedy}")
        for blocker in group.blockers[:MOST_BLOCKERS]:
            click.secho(f"       {_blocks(blocker)}", fg="yellow")
        if len(group.blockers) > MOST_BLOCKERS:
            rest = sum(sum(one.waiting.values()) for one in group.blockers[MOST_BLOCKERS:])
            click.echo(f"       and {len(group.blockers) - MOST_BLOCKERS} more block {rest}")


def _blocks(blocker: Blocker) -> str:
    return f"{blocker.flow} {blocker.key} blocks {_counts(blocker.waiting)}"


def _counts(waiting: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {flow}" for flow, count in sorted(waiting.items()))


# -- one ---------------------------------------------------------------------------------------------------------------


def whole(letter: Letter, connection: str) -> dict[str, Any]:
    """One letter for JSON; what looks like a secret is hidden."""
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


def show_whole(letter: Letter, connection: str) -> None:
    """One letter for a person: what is wrong and what to do, what others wait for, its way, its documents."""
    one = row(letter.failure, connection)
    for name in ("connection", *FIELDS):
        if one[name] not in (None, "") and name != "id":
            click.echo(f"{name:>14}: {safe_text(one[name])}")
            if name == "closed_because" and letter.newer is not None:
                click.echo(f"{'now open':>14}: {letter.newer}, its record's newer letter")
    click.echo(f"{'state':>14}: {letter.way.state}")
    if letter.outcome:
        click.echo(f"{'planned now':>14}: {outcome(letter.outcome)}")
    if letter.blocks:
        click.secho(f"{'blocks':>14}: {_counts(letter.blocks)}", fg="yellow")
    for made in letter.corrections:
        lapsed = f", lapsed: {made['lapsed_because']}" if made["lapsed_at"] else ""
        why = f" ({made['because']})" if made["because"] else ""
        click.echo(f"{'corrected':>14}: by {made['made_by']} at {made['made_at']:%Y-%m-%d %H:%M} UTC{why}{lapsed}")
        show_patch(made["patch"])
    click.secho("\ntimeline", bold=True)
    for event in letter.way.events:
        click.echo(f"  {safe_text(event['at'])}  {event['what']:<17} {detail(event['detail'])}")
    told = redact(letter.documents)
    for name in [name for name in DOCUMENTS if name in told]:
        documents = told[name]
        click.secho(f"\n{name}", bold=True)
        click.echo(documents) if isinstance(documents, str) else show_json(documents)


def show_patch(patch: Sequence[Mapping[str, Any]]) -> None:
    """A patch as old and new values, what looks like a secret hidden."""
    old = {one["path"]: one["value"] for one in patch if one["op"] == "test"}
    for one in patch:
        if one["op"] != "test":
            before = _of_patch(old[one["path"]], one["path"]) if one["path"] in old else "nothing"
            after = _of_patch(one["value"], one["path"]) if "value" in one else one["op"]
            click.echo(f"{'':>16}{one['path']}: {before} -> {after}")


def _of_patch(value: Any, path: str) -> str:
    hidden = redact(value, path.rpartition("/")[2])
    return json_text(hidden) if isinstance(hidden, dict | list) else str(hidden)


def outcome(planned: Plan | Rejected | str) -> str:
    """What planning comes to, in a line."""
    if isinstance(planned, str):
        return planned
    if isinstance(planned, Rejected):
        return f"fails: {planned}"
    writes = "; ".join(plan_codec.summary(step) for step in planned.steps)
    return f"{planned.kind}: {', '.join(filter(None, (planned.reason, writes)))}"


# -- tried again -------------------------------------------------------------------------------------------------------


def show_outlook(outlook: Forecast, choice: Choice, most: int) -> None:
    """What trying them again would write, in number and money, and what would still not go through."""
    click.echo(f"{counted(outlook.total, 'record')} would be tried again.")
    show_left(choice, most)
    if choice.looks:
        click.echo(f"Left out since they were written and need a look only: {choice.looks}.")
    if outlook.planned < outlook.total:
        click.secho(f"Planned was a sample of {outlook.planned}; the figures below are of these alone.", fg="yellow")
    for one in outlook.writes:
        click.secho(f"  {one.verb} {one.entity}: {one.count}{worth(one.worth)}", fg="green")
    if outlook.needs:
        click.echo(f"  looked at since others need them: {outlook.needs} of these objects")
    for stay in outlook.stays:
        remedy = f". {stay.remedy}" if stay.remedy else ""
        example = ", ".join(stay.keys)
        click.secho(f"  {stay.state} {stay.flow}: {stay.count}, {stay.why}{remedy} (as {example})", fg="yellow")
    if outlook.wakes:
        click.echo(f"  waiting for these, and going on when they are through: {_counts(outlook.wakes)}")


def show_left(choice: Choice, most: int) -> None:
    """How many more there are than were taken."""
    if choice.left:
        click.echo(f"{choice.left} more fit; `--most {most + choice.left}` takes them too.")


def worth(found: Mapping[str, Decimal]) -> str:
    """What documents are worth, by currency, as it stands behind their number."""
    sums = ", ".join(f"{value:,.2f} {currency or '(currency of the customer)'}" for currency, value in found.items())
    return f", worth {sums} net" if sums else ""


def outlook_doc(outlook: Forecast, choice: Choice) -> dict[str, Any]:
    """For JSON."""
    return {
        "records": outlook.total,
        "planned": outlook.planned,
        "left": choice.left,
        "to_be_looked_at": choice.looks,
        "writes": [{"entity": w.entity, "verb": w.verb, "count": w.count, "worth": w.worth} for w in outlook.writes],
        "stays": [
            {"flow": s.flow, "state": s.state, "why": s.why, "remedy": s.remedy, "count": s.count, "keys": s.keys}
            for s in outlook.stays
        ],
        "needs": outlook.needs,
        "wakes": dict(outlook.wakes),
    }


# -- discarded or closed -----------------------------------------------------------------------------------------------


def show_by_cause(word: str, choice: Choice, groups: Sequence[LetterGroup], most: int) -> None:
    """What discarding or closing them (`word`: discarded, closed) would be about, by cause, and who waits for them."""
    click.echo(f"{counted(len(choice.letters), 'letter')} would be {word}.")
    show_left(choice, most)
    show_groups(groups)
    if waiting := _waiting(groups):
        click.secho(f"Waiting for these, and they would go on waiting: {_counts(waiting)}.", fg="yellow")


def by_cause_doc(choice: Choice, groups: Sequence[LetterGroup]) -> dict[str, Any]:
    """For JSON."""
    return {
        "records": len(choice.letters),
        "left": choice.left,
        "causes": [dataclasses.asdict(group) for group in groups],
        "waiting": _waiting(groups),
    }


def _waiting(groups: Sequence[LetterGroup]) -> dict[str, int]:
    return dead_letter_groups.summed(blocker.waiting for group in groups for blocker in group.blockers)
