"""`syncengine sync FLOW`: start a sync by hand and watch it, or show what it would write."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from syncengine import clock
from syncengine.cli import _plans
from syncengine.cli._engine import as_json, engine, show_json
from syncengine.engine import endpoints, preview, status, sync
from syncengine.engine.discover import Found
from syncengine.engine.engine import Engine
from syncengine.errors import Misconfigured

SILENCE_S = 20.0
FAILED = 1


@click.command("sync")
@click.argument("flow")
@click.option("--connection", help="This connection only; every one that has the flow by default.")
@click.option("--since", metavar="WHEN", help="Read changes from there, as 2026-01-31 or 2026-01-31T12:00+01:00.")
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

    Exits with 1 if it failed, or something of the flow is still due and does not move.
    """
    if dry_run:
        return _dry_run(flow, connection, ids, limit, as_json)
    request = sync.Request(flow, connection, _time(since), ids)
    with engine(sends=True) as one:
        results = sync.start(one, request)
        for result in results:
            if not as_json:
                click.echo(str(result))
        rest = "" if no_wait else _watch(one, flow, quiet=as_json)
        left = status.backlog(one, flow)
    failed = [str(result) for result in results if not isinstance(result, Found)]
    if as_json:
        runs = [vars_of(result) for result in results if isinstance(result, Found)]
        show_json({"runs": runs, "failed": failed, "due": left.due, "statuses": left.statuses, "rest": rest})
    elif not no_wait:
        if rest:
            click.echo(rest, err=True)
        click.echo(", ".join(f"{count} {name}" for name, count in sorted(left.statuses.items())))
    return FAILED if failed or rest else 0


def vars_of(found: Found) -> dict[str, int]:
    """For JSON."""
    return {"run": found.run_id, "found": found.wanted, "known": found.known}


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"--since {text!r} is no time. Write 2026-01-31 or 2026-01-31T12:00+01:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _watch(one: Engine, flow: str, *, quiet: bool) -> str:
    """Until nothing of the flow is due any more, with a bar; gives up when nothing moves, and returns why that may be."""
    columns = (
        TextColumn(flow),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    last, since = -1, clock.monotonic()
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), transient=True) as progress:
        task = progress.add_task(flow, total=None, told="")
        while True:
            left = status.backlog(one, flow)
            told = ", ".join(f"{count} {name}" for name, count in sorted(left.statuses.items()))
            progress.update(task, total=left.total, completed=left.total - left.due, told=told)
            if not left.due:
                return ""
            if left.due != last:
                last, since = left.due, clock.monotonic()
            elif clock.monotonic() - since > SILENCE_S:
                break
            clock.sleep(0.5)
    why = [f"{reason}; they go on by themselves after it" for reason in dict.fromkeys(endpoints.at_rest(one).values())]
    why = why or ["`syncengine health` says what does not move"]
    return f"{last} of {flow} are still due, and nothing has moved for {SILENCE_S:.0f} s: {'. '.join(why)}"


def _dry_run(flow: str, connection: str | None, ids: tuple[str, ...], limit: int, as_json: bool) -> int:
    shown = []
    with engine(calls=True) as one:
        for found in one.connections(flow, connection):
            keys = list(ids) or preview.changed_keys(one, found.id, flow, most=limit)
            for planned in preview.preview(one, found.id, flow, keys):
                shown.append(_plans.as_doc(found.name, planned))
                if not as_json:
                    _plans.show(found.name, planned)
    if as_json:
        show_json(shown)
    else:
        click.echo(f"Dry run of {len(shown)} objects: nothing was written.")
    return 0
