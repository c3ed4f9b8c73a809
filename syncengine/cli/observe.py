"""`syncengine observe`: what a connection in observe mode would have written."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, dry_run_option, required_because_option, selection, yes_option
from syncengine.cli._output import (
    counted,
    left_doc,
    not_done,
    nothing_matches,
    show_json,
    show_left,
    wide_console,
)
from syncengine.cli._person import confirmed, me
from syncengine.cli._sheet import cell
from syncengine.cli._times import moment
from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import plan_codec
from syncengine.engine.people import level_report, observe_report
from syncengine.engine.people.level_report import Jump, LevelTotal, Planned
from syncengine.engine.people.observe_report import Report, ReportFilter
from syncengine.errors import Misconfigured
from syncengine.redaction import safe_text
from syncengine.store.models import ConnectionRow

COLUMNS = (
    "connection", "flow", "key", "planned_at", "write", "object", "part", "field", "before", "after", "provisional",
)  # fmt: skip
MAX_GROUPS = 10


@click.group("observe")
def command() -> None:
    """Report what connections in observe mode would have written.

    With `mode: observe`, a connection plans everything and writes nothing.
    """


@command.command("report")
@selection
@click.option("--since", metavar="WHEN", help="Only what was planned since 2026-01-31T06:00, in UTC or with an offset.")
@click.option(
    "--show", metavar="KEY", multiple=True, help="Show the object with this source id field by field. Repeatable."
)
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path), help="Export every write to this file, field by field."
)
@as_json
def report(
    connection: str | None,
    flow: str | None,
    since: str | None,
    show: Sequence[str],
    csv_file: Path | None,
    as_json: bool,
) -> int:
    """Summarise what observed connections would have written.

    Shows creates, changes and cancellations with their values, and stock levels by warehouse with the largest rises. Also
    lists records that are held, dead, waiting or skipped, by cause. No system is called. A flow that sets levels is also
    shown of a live connection that --connection and --flow name, while all it would write is held there.

    Going live (`mode: live`, then `syncengine configure`) plans exactly these records again, and writes those created at
    the source on or after the connection's cut-over date.
    """
    with open_engine() as engine:
        chosen = [
            ReportFilter(each, flow, moment("--since", since) if since else None, tuple(show))
            for each in _observed(engine, connection, flow)
        ]
        if csv_file is not None:
            click.echo(f"Wrote {counted(_write_csv(engine, chosen, csv_file), 'line')} to {csv_file}.", err=as_json)
        if show:
            return _show_each(engine, chosen, as_json=as_json)
        found = [observe_report.report(engine, each) for each in chosen]
    if as_json:
        show_json([asdict(each) for each in found])
        return Exit.OK
    for each in found:
        _print(each)
    if not found:
        click.echo("No connection is in observe mode. Set `mode: observe` on a connection in syncengine.yml.")
    return Exit.OK


def _observed(engine: Engine, connection: str | None, flow: str | None) -> list[ConnectionRow]:
    sets_levels = flow is not None and engine.flow(flow).levels is not None
    found = [each for each in engine.connections(flow, connection) if connection or each.mode == observe_mode.MODE]
    for each in found:
        if each.mode != observe_mode.MODE and not sets_levels:
            raise Misconfigured(
                f"connection {each.name!r} is live, not in observe mode. Use `syncengine status` for live connections"
            )
    return found


@command.command("approve")
@selection
@required_because_option
@yes_option
@dry_run_option
@as_json
def approve(
    connection: str | None, flow: str | None, because: str, yes: bool, dry_run: bool, as_json: bool
) -> int:  # fmt: skip
    """Approve the first run of stock levels: rises beyond the limit that the report shows.

    The first run may raise levels by more than the flow's limit (jump_limit), which holds them. Approve them here after
    reading `syncengine observe report`, before the connection goes live. Each level may then rise by as much as was
    shown, once, within 30 days, even if sales change its figures meanwhile. A larger rise is held again.
    """
    from syncengine.engine.steps.pump import pump

    with open_engine(sends=True) as engine:
        found = []
        for each in _observed(engine, connection, flow):
            planned = list(observe_report.planned_levels(engine, ReportFilter(each, flow)))
            large = level_report.beyond_limit(engine, each, planned)
            found += large
            if large and not as_json:
                _print_levels(*level_report.totals(engine, each, [item.planned for item in large]))
        if not found:
            return nothing_matches(as_json)
        question = f"Let {counted(len(found), 'item')} rise beyond the limit?"
        if dry_run or not (yes or confirmed(as_json, question)):
            return not_done("approved", {"records": len(found)}, as_json, is_dry_run=dry_run)
        done = level_report.approve(engine, found, by=me(), because=because)
        pump(engine)
    if as_json:
        show_json({"approved": done.count, "changed": left_doc(done.left)})
    else:
        click.echo(
            f"{counted(done.count, 'item')} approved. They are planned again, and written once the flow may write."
        )
        show_left(done.left)
    return Exit.OK


# -- one object, field by field ----------------------------------------------------------------------------------------


def _show_each(engine: Engine, chosen: Sequence[ReportFilter], *, as_json: bool) -> int:
    found = [(each.connection.name, planned) for each in chosen for planned in observe_report.written(engine, each)]
    if as_json:
        show_json([{**_head(name, planned), **plan_codec.to_doc(planned.plan)} for name, planned in found])
    for name, planned in found if not as_json else ():
        click.secho(
            f"{planned.flow} {planned.key} ({name}), planned {planned.planned_at:%Y-%m-%d %H:%M} UTC", bold=True
        )
        for provisional in planned.plan.provisional:
            click.echo(f"  {provisional} is provisional: planned, not written")
        for step in planned.plan.steps:
            click.echo(f"  {plan_codec.summary(step)}")
            for field in observe_report.fields(step):
                before = "" if field.before in (None, "") else f"{safe_text(field.before)} -> "
                click.echo(f"    {field.path}: {before}{safe_text(field.after) or 'nothing'}")
    if not found:
        keys = ", ".join(chosen[0].keys) if chosen else "these"
        click.echo(f"Nothing would have been written for {keys}. Use `syncengine trace ID` to see why.", err=True)
        return Exit.NO
    return Exit.OK


def _head(connection: str, planned: Planned) -> dict[str, Any]:
    return {"connection": connection, "flow": planned.flow, "key": planned.key, "planned_at": planned.planned_at}


def _write_csv(engine: Engine, chosen: Sequence[ReportFilter], path: Path) -> int:
    """Write every planned write to a CSV file, a line for each field; returns the number of lines. Raises Misconfigured."""
    lines = 0
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as stream:  # with a BOM: Excel recognises UTF-8 by it
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for each in chosen:
                for planned in observe_report.written(engine, each):
                    rows = _rows(each.connection.name, planned)
                    writer.writerows([[cell(row[name]) for name in COLUMNS] for row in rows])
                    lines += len(rows)
    except OSError as error:
        raise Misconfigured(f"--csv {path}: cannot be written: {error.strerror}") from None
    return lines


def _rows(connection: str, planned: Planned) -> list[dict[str, Any]]:
    rows = []
    for step in planned.plan.steps:
        operation = step.operation
        head = {
            **_head(connection, planned),
            "write": str(operation.verb),
            "object": operation.key or operation.natural_key,
            "part": step.part,
            "provisional": ", ".join(planned.plan.provisional),
        }
        found = observe_report.fields(step) or [observe_report.Field("", None, None)]
        rows += [{**head, "field": field.path, "before": field.before, "after": field.after} for field in found]
    return rows


# -- summary -----------------------------------------------------------------------------------------------------------


def _print(found: Report) -> None:
    cut_over = f", cut-over {found.cut_over:%Y-%m-%d %H:%M} UTC" if found.cut_over else ""
    mode = "observe mode, nothing was written" if found.mode == observe_mode.MODE else f"{found.mode} mode"
    click.secho(f"{found.connection}: {mode}{cut_over}", bold=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("flow", "would", "objects", "value (net)"):
        table.add_column(name, justify="right" if name == "objects" else "left", overflow="fold")
    for write in found.writes:
        worth = ", ".join(f"{currency} {value:,.2f}" for currency, value in sorted(write.worth.items()))
        table.add_row(write.flow, write.verb, f"{write.count:,}", worth)
    for flow, count in sorted(found.equal.items()):
        table.add_row(flow, "nothing (equal)", f"{count:,}", "")
    if table.row_count:
        wide_console().print(table)
    else:
        click.echo("Nothing would have been written.")
    _print_levels(found.levels, found.jumps)
    for group in found.stays[:MAX_GROUPS]:
        more = ", ..." if group.count > len(group.keys) else ""
        click.echo(f"  {group.flow}: {group.count:,} {group.status}: {group.reason} ({', '.join(group.keys)}{more})")
    if len(found.stays) > MAX_GROUPS:
        click.echo(f"  and {len(found.stays) - MAX_GROUPS} more causes; --json lists them all")
    if found.unkept:
        click.echo(f"  {counted(found.unkept, 'plan')} no longer stored and not counted above")


def _print_levels(levels: Sequence[LevelTotal], jumps: Sequence[Jump]) -> None:
    """Print what would change by place, with its value at unit cost, and the largest rises."""
    if not levels:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("flow", "place", "rise", "units", "value", "fall", "units", "value", "beyond limit", "no cost"):
        table.add_column(name, justify="left" if name in ("flow", "place") else "right", overflow="fold")
    for total in levels:
        up = (f"{total.rises:,}", f"+{total.up:,f}", _values(total.up_worth))
        down = (f"{total.falls:,}", f"-{total.down:,f}" if total.down else "0", _values(total.down_worth))
        table.add_row(total.flow, total.place, *up, *down, f"{total.beyond:,}", f"{total.unpriced:,}")
    wide_console().print(table)
    for jump in jumps:
        held = f", beyond the limit: {jump.decided or 'held until approved'}" if jump.is_beyond else ""
        value = f" ({_values(jump.worth)})" if jump.worth else ""
        click.echo(f"  {jump.key} at {jump.place}: {jump.before:f} -> {jump.after:f}{value}{held}")


def _values(worth: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{currency} {value:,.2f}".strip() for currency, value in sorted(worth.items()))
