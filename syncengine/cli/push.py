"""`syncengine push ID`: sync one object ahead of the queue and show the result."""

from __future__ import annotations

import click

from syncengine.cli import _named
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, selection
from syncengine.cli._output import show_json
from syncengine.cli._person import me
from syncengine.cli.trace import detail
from syncengine.engine.people import manual
from syncengine.engine.people.manual import PushProgress
from syncengine.redaction import safe_text
from syncengine.store.models import Event, Record
from syncengine.store.states import Status, Why


@click.command("push")
@click.argument("id_", metavar="ID")
@selection
@click.option("--now", is_flag=True, help="Skip its quiet period and any back-off.")
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0, 86_400),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="How long to follow it.",
)
@click.option("--no-wait", is_flag=True, help="Return at once.")
@as_json
def command(
    id_: str, connection: str | None, flow: str | None, now: bool, wait_s: int, no_wait: bool, as_json: bool
) -> int:
    """Sync one object ahead of the queue and show the result.

    ID is any id of either system, or a name such as a reference or an e-mail address; prefix an id with left: or right:
    to mean only that side. For an object without a record, use --flow and the source's key; nothing is stored if the
    source has no such object. If the outcome of an earlier write is still unknown, the push waits for it, even with
    --now. Exit code 1 unless the object was written or found equal in time, for example because it is held, skipped,
    missing at the source or only observed.
    """
    with open_engine(sends=True) as engine:
        record = _named.record_or_new(engine, id_, connection, flow, must_exist=True)
        pushed = manual.push(engine, record, now=now, by=me())
        show = _ignore if as_json else _show_event
        progress = (
            manual.progress(engine, pushed) if no_wait else manual.follow(engine, pushed, for_s=wait_s, tell=show)
        )
    is_done = progress.is_over and progress.status == Status.DONE
    if as_json:
        events = [{"at": event.at, "what": event.what, "detail": event.detail} for event in progress.events]
        head = {"flow": record.flow, "key": record.key, "status": progress.status, "state": progress.state}
        show_json({**head, "is_over": progress.is_over, "events": events})
    elif not no_wait:
        late = "" if progress.is_over else f" Not finished after {wait_s} s; use `syncengine trace {id_}` to follow it."
        click.echo(f"{record.flow} {record.key}: {progress.state}.{late}{_hint_if_missing(progress, record)}")
    else:
        click.echo(f"{record.flow} {record.key} is being synced. Use `syncengine trace {id_}` to follow it.")
    return Exit.OK if is_done or no_wait else Exit.NO


def _hint_if_missing(progress: PushProgress, record: Record) -> str:
    """What to check if the source has no object under this key."""
    if not (progress.is_over and progress.why is Why.NOT_THERE):
        return ""
    return f" Check that {record.key} is its key in the source; nothing is written unless it appears there."


def _show_event(event: Event) -> None:
    click.echo(f"  {safe_text(event.at)}  {event.what:<16} {detail(event.detail)}")


def _ignore(event: Event) -> None:
    """JSON shows all events at the end."""
