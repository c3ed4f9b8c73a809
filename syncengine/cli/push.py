"""`syncengine push ID --now`: one object at once, and what came of it."""

from __future__ import annotations

import click

from syncengine.cli import _named
from syncengine.cli._engine import NO, as_json, engine, me, show_json
from syncengine.cli.trace import detail
from syncengine.engine.decide.plan import NOT_THERE
from syncengine.engine.people import manual
from syncengine.engine.people.manual import PushProgress
from syncengine.redaction import safe_text
from syncengine.store.models import Event, Record
from syncengine.store.states import Status


@click.command("push")
@click.argument("id_", metavar="ID")
@_named.narrowing
@click.option("--now", is_flag=True, help="Do not wait for its quiet period, nor for a back-off.")
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0, 86_400),
    default=90,
    show_default=True,
    metavar="SECONDS",
    help="Watch it for so long.",
)
@click.option("--no-wait", is_flag=True, help="Start it and return.")
@as_json
def command(
    id_: str, connection: str | None, flow: str | None, now: bool, wait_s: int, no_wait: bool, as_json: bool
) -> int:
    """Have one object looked at before all others, and watch what comes of it.

    ID is any id of either system (right:512 is that of the right one alone). One that nothing is known of yet is taken with
    --flow, by the source's key; the source is asked for it first, and nothing is stored if it has no such object. While a
    write of it may still be carried out by the target, the push waits for that, with --now too. Exit code 1 if it was neither
    written nor seen to be equal in time: what is held, left alone, not there in the source or only observed was not.
    """
    with engine(sends=True) as one:
        record = _named.record_or_new(one, id_, connection, flow, must_exist=True)
        pushed = manual.push(one, record, now=now, by=me())
        tell = _silent if as_json else _tell
        standing = manual.progress(one, pushed) if no_wait else manual.follow(one, pushed, for_s=wait_s, tell=tell)
    through = standing.is_over and standing.status == Status.DONE
    if as_json:
        events = [{"at": event.at, "what": event.what, "detail": event.detail} for event in standing.events]
        head = {"flow": record.flow, "key": record.key, "status": standing.status, "state": standing.state}
        show_json({**head, "is_over": standing.is_over, "events": events})
    elif not no_wait:
        late = (
            ""
            if standing.is_over
            else f" It was watched for {wait_s} s; `syncengine trace {id_}` shows how it goes on."
        )
        click.echo(f"{record.flow} {record.key}: {standing.state}.{late}{_unseen(standing, record)}")
    else:
        click.echo(f"{record.flow} {record.key} is on its way. `syncengine trace {id_}` shows what comes of it.")
    return 0 if through or no_wait else NO


def _unseen(standing: PushProgress, record: Record) -> str:
    """What else to say of an id under which the source has nothing."""
    if not (standing.is_over and standing.state.endswith(NOT_THERE)):
        return ""
    return (
        f" Look whether {record.key} is its key in the source; nothing is written of this one unless it appears there."
    )


def _tell(event: Event) -> None:
    click.echo(f"  {safe_text(event.at)}  {event.what:<16} {detail(event.detail)}")


def _silent(event: Event) -> None:
    """For JSON, where all is shown at the end."""
