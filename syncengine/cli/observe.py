"""`syncengine observe`: what a connection that is only observed would have written."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from syncengine.cli._engine import as_json, engine, show_json, wide_console
from syncengine.cli._sheet import cell
from syncengine.cli._times import moment
from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import plan_codec
from syncengine.engine.people import observe_report
from syncengine.engine.people.observe_report import Planned, Report, ReportFilter
from syncengine.errors import Misconfigured
from syncengine.redaction import safe_text
from syncengine.store.models import ConnectionRow

NOT_THERE = 1
COLUMNS = (
    "connection", "flow", "key", "looked_at", "write", "object", "part", "field", "before", "after", "provisional",
)  # fmt: skip
MOST_GROUPS = 10


@click.group("observe")
def command() -> None:
    """Connections with `mode: observe`: everything is planned, nothing is written. See what would have been."""


@command.command("report")
@click.option("--connection", metavar="NAME", help="This connection; otherwise all that are observed.")
@click.option("--flow", metavar="NAME", help="This flow only.")
@click.option(
    "--since", metavar="WHEN", help="What was looked at then or later: 2026-01-31T06:00, UTC or with an offset."
)
@click.option("--show", metavar="KEY", multiple=True, help="This object, field by field (its id at the source).")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Every write, field by field, into this file.")
@as_json
def report(
    connection: str | None,
    flow: str | None,
    since: str | None,
    show: Sequence[str],
    csv_file: Path | None,
    as_json: bool,
) -> int:
    """Sum up what observed connections would have written: creates, changes and cancellations, and what they are worth.

    Beside that: what is held, dead or waiting, and what was left alone, each with its cause. No system is called. Going live
    (`mode: live`, then `syncengine configure`) looks at just these records again, and writes those that were created at the
    source at or after the connection's cut-over date.
    """
    with engine() as one:
        chosen = [
            ReportFilter(each, flow, moment("--since", since) if since else None, tuple(show))
            for each in _observed(one, connection, flow)
        ]
        if csv_file is not None:
            click.echo(f"{_write_csv(one, chosen, csv_file):,} lines are in {csv_file}.", err=as_json)
        if show:
            return _show_each(one, chosen, as_json=as_json)
        found = [observe_report.report(one, each) for each in chosen]
    if as_json:
        show_json([asdict(each) for each in found])
        return 0
    for each in found:
        _print(each)
    if not found:
        click.echo("No connection is observed: `mode: observe` of a connection in syncengine.yml makes it so.")
    return 0


def _observed(one: Engine, connection: str | None, flow: str | None) -> list[ConnectionRow]:
    if flow is not None:
        one.flow(flow)
    found = [each for each in one.connections(flow, connection) if connection or each.mode == observe_mode.MODE]
    for each in found:
        if each.mode != observe_mode.MODE:
            raise Misconfigured(
                f"connection {each.name!r} is live, nothing of it is observed. `syncengine status` shows it"
            )
    return found


# -- one object, field by field ----------------------------------------------------------------------------------------


def _show_each(one: Engine, chosen: Sequence[ReportFilter], *, as_json: bool) -> int:
    found = [(each.connection.name, planned) for each in chosen for planned in observe_report.written(one, each)]
    if as_json:
        show_json([{**_head(name, planned), **plan_codec.to_doc(planned.plan)} for name, planned in found])
    for name, planned in found if not as_json else ():
        click.secho(
            f"{planned.flow} {planned.key} ({name}), looked at {planned.looked_at:%Y-%m-%d %H:%M} UTC", bold=True
        )
        for provisional in planned.plan.provisional:
            click.echo(f"  {provisional} is provisional: it is planned, not written")
        for step in planned.plan.steps:
            click.echo(f"  {plan_codec.summary(step)}")
            for field in observe_report.fields(step):
                before = "" if field.before in (None, "") else f"{safe_text(field.before)} -> "
                click.echo(f"    {field.path}: {before}{safe_text(field.after) or 'nothing'}")
    if not found:
        keys = ", ".join(chosen[0].keys) if chosen else "these"
        click.echo(f"Nothing would have been written for {keys}. `syncengine trace ID` says why.", err=True)
        return NOT_THERE
    return 0


def _head(connection: str, planned: Planned) -> dict[str, Any]:
    return {"connection": connection, "flow": planned.flow, "key": planned.key, "looked_at": planned.looked_at}


def _write_csv(one: Engine, chosen: Sequence[ReportFilter], path: Path) -> int:
    """Every write, a line for each of its fields. Returns how many lines. Raises Misconfigured."""
    lines = 0
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as stream:  # with the mark by which Excel knows UTF-8
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for each in chosen:
                for planned in observe_report.written(one, each):
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
        rows += [{**head, "field": one.path, "before": one.before, "after": one.after} for one in found]
    return rows


# -- in all ------------------------------------------------------------------------------------------------------------


def _print(found: Report) -> None:
    cut_over = f", cut-over {found.cut_over:%Y-%m-%d %H:%M} UTC" if found.cut_over else ""
    click.secho(f"{found.connection}: observed, nothing was written{cut_over}", bold=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("flow", "would", "objects", "worth (net)"):
        table.add_column(name, justify="right" if name == "objects" else "left", overflow="fold")
    for one in found.writes:
        worth = ", ".join(f"{currency} {value:,.2f}" for currency, value in sorted(one.worth.items()))
        table.add_row(one.flow, one.verb, f"{one.count:,}", worth)
    for flow, count in sorted(found.equal.items()):
        table.add_row(flow, "agree already", f"{count:,}", "")
    if table.row_count:
        wide_console().print(table)
    else:
        click.echo("Nothing would have been written.")
    for group in found.stays[:MOST_GROUPS]:
        more = ", ..." if group.count > len(group.keys) else ""
        click.echo(f"  {group.flow}: {group.count:,} {group.status}: {group.reason} ({', '.join(group.keys)}{more})")
    if len(found.stays) > MOST_GROUPS:
        click.echo(f"  and {len(found.stays) - MOST_GROUPS} causes more: --json shows all")
    if found.unkept:
        click.echo(f"  {found.unkept:,} plans are not kept any more and are not counted above")
