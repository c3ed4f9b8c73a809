"""`syncengine sync FLOW`: start a sync and follow it, or preview what it would write."""

from __future__ import annotations

from collections.abc import Sequence

import click

from syncengine import settings
from syncengine.cli import _plans
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, connection_option, dry_run_option
from syncengine.cli._output import counted, show_json
from syncengine.cli._times import moment
from syncengine.cli._waiting import Started, reading, summary, wait
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import nothing_found, preview
from syncengine.engine.steps import sync
from syncengine.engine.steps.discover import Found
from syncengine.store.states import Lane


@click.command("sync")
@click.argument("flow")
@connection_option
@click.option(
    "--since",
    metavar="WHEN",
    help="Read changes since 2026-01-31 or 2026-01-31T12:00+01:00; UTC if no offset is given.",
)
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only the object with this source id. Repeatable.")
@dry_run_option
@click.option("--limit", default=50, show_default=True, help="With --dry-run: maximum number of objects.")
@click.option("--no-wait", is_flag=True, help="Return at once.")
@as_json
def command(
    flow: str,
    connection: str | None,
    since: str | None,
    ids: tuple[str, ...],
    dry_run: bool,
    limit: int,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Start a sync of FLOW and show its progress.

    Waits for the whole flow in the selected connections, or for the objects of --id. Exit code 1 if the sync could not be
    started for every connection, or if records are still due, with the reason.
    """
    if dry_run:
        return _dry_run(flow, connection, ids, limit, as_json)
    request = sync.Request(flow, connection, moment("--since", since) if since else None, ids)
    with open_engine(sends=True) as engine:
        with reading(engine, flow, quiet=as_json):
            results = sync.start(engine, request)
        for result in results:
            if not as_json:
                click.echo(str(result))
        is_empty = not ids and all(isinstance(result, Found) and not result.wanted for result in results)
        for line in nothing_found.explain(engine, flow, connection) if is_empty and not as_json else ():
            click.echo(line)
        started = _started(engine, request, results)
        if no_wait or not started.connections:
            left, rest = started.backlog(engine), ""
        else:
            left, rest = wait(engine, started, stalled_s=settings.load().stalled_s, quiet=as_json)
    failed = [str(result) for result in results if not isinstance(result, Found)]
    if as_json:
        runs = [_run_doc(result) for result in results if isinstance(result, Found)]
        show_json({"runs": runs, "failed": failed, "due": left.due, "statuses": left.statuses, "rest": rest})
    elif not no_wait and started.connections:
        if rest:
            click.echo(rest, err=True)
        click.echo(summary(left))
    return Exit.NO if failed or rest else Exit.OK


def _run_doc(found: Found) -> dict[str, int]:
    """A run for JSON."""
    return {"run": found.run_id, "found": found.wanted, "known": found.known}


def _started(engine: Engine, request: sync.Request, results: Sequence[object]) -> Started:
    """What was started and can be waited for."""
    connections = engine.connections(request.flow, request.connection)
    running = [found for found, result in zip(connections, results, strict=True) if isinstance(result, Found)]
    keys = {key for found in running for key in sync.record_keys(engine, request, found.id)}
    lane = Lane.REALTIME if request.ids else Lane.BACKFILL if request.since else Lane.SCHEDULED
    return Started(request.flow, {found.id: found.name for found in running}, sorted(keys), lane)


def _dry_run(flow: str, connection: str | None, ids: tuple[str, ...], limit: int, as_json: bool) -> int:
    shown = []
    with open_engine(calls=True) as engine:
        engine.flow(flow)  # refuses an unknown name
        for found in engine.connections(flow, connection):
            route = engine.route(found.id, flow)
            keys = list(ids) or preview.changed_keys(route, most=limit)
            for planned in preview.preview(route, keys):
                shown.append(_plans.as_doc(found.name, planned))
                if not as_json:
                    _plans.show(found.name, planned)
        why = [] if shown or ids else nothing_found.explain(engine, flow, connection)
    if as_json:
        show_json(shown)
        return Exit.OK
    for line in why:
        click.echo(line)
    click.echo(f"Dry run of {counted(len(shown), 'object')}. No changes made.")
    return Exit.OK
