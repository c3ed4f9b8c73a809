"""`syncengine ceilings`: how many writes a flow makes in an hour, and opening one that is shut."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine.cli._engine import as_json, engine, me, show_json, wide_console
from syncengine.cli._times import duration
from syncengine.engine.writes import ceiling
from syncengine.engine.writes.ceiling import CeilingState


@click.group("ceilings")
def command() -> None:
    """The write ceiling of each flow: so many writes an hour, and no more before a person has looked.

    A system that was wiped or wrongly mapped must not flow into the other. Beyond its ceiling a flow is shut: it goes on
    reading and planning, and everything that it would write is held until the ceiling is opened. The figures stand in
    syncengine.yml (`ceilings:` of a connection), else in the flow's file.
    """


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the ceilings: writes of the last hour, whether a flow is shut, and how many records are held for it."""
    with engine() as one:
        found = ceiling.listed(one)
    if as_json:
        show_json([{**asdict(standing), "is_shut": standing.shut_at is not None} for standing in found])
        return
    if not found:
        click.echo("There is no connection yet. Write syncengine.yml and run `syncengine configure`.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("connection", "flow", "an hour", "last hour", "held", "state"):
        table.add_column(name, overflow="fold", justify="right" if name in ("an hour", "last hour", "held") else "left")
    for standing in found:
        figures = (f"{standing.limit:,}", f"{standing.sent:,}", f"{standing.held:,}")
        table.add_row(standing.connection, standing.flow, *figures, _state(standing))
    wide_console().print(table)


@command.command("open")
@click.argument("connection")
@click.argument("flow")
@click.option(
    "--for", "for_", metavar="TIME", help="Count nothing for so long (90m, 8h, 7d at most): for a first load."
)
@click.option("--because", required=True, metavar="TEXT", help="Why, for those who read the timeline.")
@as_json
def open_(connection: str, flow: str, for_: str | None, because: str, as_json: bool) -> None:
    """Let FLOW of CONNECTION write again. What was held for its ceiling is looked at anew, after more urgent work.

    The count begins at zero. If more is held than the ceiling admits in an hour, say --for, or raise the ceiling in
    syncengine.yml first; else the flow is shut again once the ceiling is reached.
    """
    if not because.strip():
        raise click.UsageError("--because is empty: say why, for those who read the timeline")
    uncounted = duration("--for", for_) if for_ else None
    with engine() as one:
        opening = ceiling.open_(one, connection, flow, by=me(), because=because, uncounted=uncounted)
        standing = next(each for each in ceiling.listed(one) if (each.connection, each.flow) == (connection, flow))
    until, held, before = standing.open_until, opening.let_go, opening.opened_before_by
    if as_json:
        told = {"opened": not before, "opened_before_by": before, "wanted_again": held, "uncounted_until": until}
        show_json({"connection": connection, "flow": flow, **told})
        return
    counted = f"as {before} has opened it, and its count continues" if before else "the count begins at zero"
    counted = f"nothing is counted until {until:%Y-%m-%d %H:%M} UTC" if until else counted
    by = f" (by {standing.opened_by})" if until and standing.opened_by != me() else ""
    records = "1 record that was held is" if held == 1 else f"{held:,} records that were held are"
    click.echo(f"{flow} of {connection} is open, {counted}{by}; {records} synced now.")


def _state(standing: CeilingState) -> str:
    if standing.shut_at is not None:
        return f"shut since {standing.shut_at:%Y-%m-%d %H:%M} UTC: {standing.shut_because}"
    by = f", opened by {standing.opened_by}" if standing.opened_by else ""
    if standing.open_until is not None:
        return f"open without a count until {standing.open_until:%Y-%m-%d %H:%M} UTC{by}"
    return f"open{by}"
