"""`syncengine ceilings`: the write ceiling of each flow, and reopening a flow that it has stopped."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine.cli._engine import open_engine
from syncengine.cli._options import as_json, required_because_option
from syncengine.cli._output import NO_CONNECTION, counted, show_json, wide_console
from syncengine.cli._person import me
from syncengine.cli._times import duration
from syncengine.engine.writes import ceiling
from syncengine.engine.writes.ceiling import CeilingState


@click.group("ceilings")
def command() -> None:
    """Show write ceilings and reopen a flow that has reached one.

    The ceiling limits the writes of a flow in an hour, so that a system that was wiped or mapped wrongly does not
    overwrite the other. A flow that reaches its ceiling is shut: it keeps reading and planning, and what it would write
    is held until a person opens it. Set ceilings in syncengine.yml (`ceilings:` of a connection); the default is in the
    flow's file. A flow that sets levels still lowers them beyond its ceiling, unless too many would become 0 within an
    hour (the setting vanish_share): then it writes nothing.
    """


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List ceilings and the flows that are shut.

    Shows each flow's writes in the last hour and how many records are held for its ceiling.
    """
    with open_engine() as engine:
        found = ceiling.listed(engine)
    if as_json:
        show_json([{**asdict(state), "is_shut": state.shut_at is not None} for state in found])
        return
    if not found:
        click.echo(NO_CONNECTION)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("connection", "flow", "per hour", "last hour", "held", "state"):
        table.add_column(
            name, overflow="fold", justify="right" if name in ("per hour", "last hour", "held") else "left"
        )
    for state in found:
        figures = (f"{state.limit:,}", f"{state.sent:,}", f"{state.held:,}")
        table.add_row(state.connection, state.flow, *figures, _state(state))
    wide_console().print(table)


@command.command("open")
@click.argument("connection")
@click.argument("flow")
@click.option(
    "--for", "for_", metavar="DURATION", help="Lift the ceiling for this long (90m, 8h, at most 7d), for a first load."
)
@required_because_option
@as_json
def open_(connection: str, flow: str, for_: str | None, because: str, as_json: bool) -> None:
    """Let FLOW of CONNECTION write again. Records held for its ceiling are planned again, after more urgent work.

    The count restarts at zero. If more records are held than the ceiling allows in an hour, use --for or raise the
    ceiling in syncengine.yml first; otherwise the flow is shut again when it reaches the ceiling.

    If too many levels became 0 and that has shut the flow, nothing is counted for an hour.
    """
    if not because.strip():
        raise click.UsageError("--because is empty. Give a reason; it is shown in the history")
    uncounted = duration("--for", for_) if for_ else None
    with open_engine() as engine:
        opening = ceiling.open_(engine, connection, flow, by=me(), because=because, uncounted=uncounted)
        state = next(each for each in ceiling.listed(engine) if (each.connection, each.flow) == (connection, flow))
    until, held, before = state.open_until, opening.let_go, opening.opened_before_by
    if as_json:
        result = {"opened": not before, "opened_before_by": before, "wanted_again": held, "uncounted_until": until}
        show_json({"connection": connection, "flow": flow, **result})
        return
    count = f"{before} has already opened it and its count continues" if before else "its count restarts at zero"
    count = f"its writes are not counted until {until:%Y-%m-%d %H:%M} UTC" if until else count
    by = f" (set by {state.opened_by})" if until and state.opened_by != me() else ""
    click.echo(f"{flow} of {connection} is open: {count}{by}. {counted(held, 'held record')} will be planned again.")


def _state(state: CeilingState) -> str:
    if state.shut_at is not None:
        all_ = ", falls of levels included" if state.stops_all else ""
        return f"shut since {state.shut_at:%Y-%m-%d %H:%M} UTC{all_}: {state.shut_because}"
    by = f", opened by {state.opened_by}" if state.opened_by else ""
    if state.open_until is not None:
        return f"open without a ceiling until {state.open_until:%Y-%m-%d %H:%M} UTC{by}"
    return f"open{by}"
