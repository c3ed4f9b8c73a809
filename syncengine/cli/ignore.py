"""`syncengine ignore ID`: do not sync one object."""

from __future__ import annotations

import click

from syncengine.cli import _named
from syncengine.cli._engine import open_engine
from syncengine.cli._options import BECAUSE_HELP, as_json, selection
from syncengine.cli._output import show_json
from syncengine.cli._person import me
from syncengine.engine.people import manual


@click.command("ignore")
@click.argument("id_", metavar="ID")
@selection
@click.option("--because", default="", metavar="TEXT", help=f"{BECAUSE_HELP} Required without --undo.")
@click.option("--undo", is_flag=True, help="Sync it again, starting now.")
@as_json
def command(id_: str, connection: str | None, flow: str | None, because: str, undo: bool, as_json: bool) -> None:
    """Ignore one object until --undo.

    It is not synced, whatever changes at the source. ID is any id of either system; prefix it with left: or right: to
    mean only that side. For an object without a record, use --flow and the source's key. Records that need the object
    wait, and say so. Its dead letter is closed.
    """
    with open_engine(sends=undo, calls=True) as engine:
        record = _named.record_or_new(engine, id_, connection, flow)
        if undo:
            manual.unignore(engine, record, by=me(), because=because)
        else:
            manual.ignore(engine, record, by=me(), because=because)
    if as_json:
        show_json({"flow": record.flow, "key": record.key, "ignored": not undo})
    elif undo:
        click.echo(f"{record.flow} {record.key} is no longer ignored and will be synced.")
    else:
        click.echo(
            f"{record.flow} {record.key} is ignored. Use `syncengine ignore {record.key} --undo` to sync it again."
        )
