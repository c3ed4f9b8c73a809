"""`syncengine sync FLOW`: start a sync by hand and watch it, or show what it would write."""

from __future__ import annotations

from collections.abc import Sequence

import click

from syncengine import settings
from syncengine.cli import _plans
from syncengine.cli._engine import as_json, counted, engine, show_json
from syncengine.cli._times import moment
from syncengine.cli._waiting import Asked, reading, told, wait
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import preview
from syncengine.engine.steps import sync
from syncengine.engine.steps.discover import Found
from syncengine.store.states import Lane

FAILED = 1


@click.command("sync")
@click.argument("flow")
@click.option("--connection", help="This connection only; every one that has the flow by default.")
@click.option(
    "--since",
    metavar="WHEN",
    help="Read changes from there, as 2026-01-31 or 2026-01-31T12:00+01:00; UTC if no zone is given.",
)
@click.option(
    "--id", "ids", multiple=True, metavar="ID", help="Just this object of the source; may be given several times."
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, field by field, and write nothing.")
@click.option("--limit", default=50, show_default=True, help="With --dry-run: at most so many objects.")
@click.option("--no-wait", is_flag=True, help="Start it and return.")
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
    """Start a sync of FLOW (orders, customers, ...) and show its progress.

    What is shown and waited for is what was asked for: the flow in these connections, or the objects of --id. The exit code
    is 1 if it could not be started for all connections, or not all of it came to rest; what keeps it is said then.
    """
    if dry_run:
        return _dry_run(flow, connection, ids, limit, as_json)
    request = sync.Request(flow, connection, moment("--since", since) if since else None, ids)
    with engine(sends=True) as one:
        with reading(one, flow, quiet=as_json):
            results = sync.start(one, request)
        for result in results:
            if not as_json:
                click.echo(str(result))
        nothing = not ids and all(isinstance(result, Found) and not result.wanted for result in results)
        for line in sync.nothing_found(one, flow, connection) if nothing and not as_json else ():
            click.echo(line)
        asked = _asked(one, request, results)
        if no_wait or not asked.connections:
            left, rest = asked.backlog(one), ""
        else:
            left, rest = wait(one, asked, stalled_s=settings.load().stalled_s, quiet=as_json)
    failed = [str(result) for result in results if not isinstance(result, Found)]
    if as_json:
        runs = [vars_of(result) for result in results if isinstance(result, Found)]
        show_json({"runs": runs, "failed": failed, "due": left.due, "statuses": left.statuses, "rest": rest})
    elif not no_wait and asked.connections:
        if rest:
            click.echo(rest, err=True)
        click.echo(told(left))
    return FAILED if failed or rest else 0


def vars_of(found: Found) -> dict[str, int]:
    """For JSON."""
    return {"run": found.run_id, "found": found.wanted, "known": found.known}


def _asked(one: Engine, request: sync.Request, results: Sequence[object]) -> Asked:
    """What has been started of it, and so can come to rest."""
    connections = one.connections(request.flow, request.connection)
    begun = [found for found, result in zip(connections, results, strict=True) if isinstance(result, Found)]
    keys = {key for found in begun for key in sync.record_keys(one, request, found.id)}
    lane = Lane.REALTIME if request.ids else Lane.BACKFILL if request.since else Lane.SCHEDULED
    return Asked(request.flow, {found.id: found.name for found in begun}, sorted(keys), lane)


def _dry_run(flow: str, connection: str | None, ids: tuple[str, ...], limit: int, as_json: bool) -> int:
    shown = []
    with engine(calls=True) as one:
        for found in one.connections(flow, connection):
            keys = list(ids) or preview.changed_keys(one, found.id, flow, most=limit)
            for planned in preview.preview(one, found.id, flow, keys):
                shown.append(_plans.as_doc(found.name, planned))
                if not as_json:
                    _plans.show(found.name, planned)
        why = [] if shown or ids else sync.nothing_found(one, flow, connection)
    if as_json:
        show_json(shown)
        return 0
    for line in why:
        click.echo(line)
    click.echo(f"Dry run of {counted(len(shown), 'object')}: nothing was written.")
    return 0
