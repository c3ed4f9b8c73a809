"""`syncengine ignore ID`: an object that is not to be synced."""

from __future__ import annotations

import click

from syncengine.cli import _named
from syncengine.cli._engine import as_json, engine, me, show_json
from syncengine.engine.people import manual


@click.command("ignore")
@click.argument("id_", metavar="ID")
@_named.narrowing
@click.option("--because", default="", metavar="TEXT", help="Why, for those who see it later; needed without --undo.")
@click.option("--undo", is_flag=True, help="Sync it again, at once.")
@as_json
def command(id_: str, connection: str | None, flow: str | None, because: str, undo: bool, as_json: bool) -> None:
    """Leave one object alone until --undo, whatever changes at the source. It costs no calls.

    ID is any id of either system (right:512 is that of the right one alone); one that nothing is known of yet is taken with
    --flow, by the source's key. What needs the object waits, and says so. Its dead letter is closed.
    """
    with engine(sends=undo, calls=True) as one:
        record = _named.record_or_new(one, id_, connection, flow)
        if undo:
            manual.unignore(one, record, by=me(), because=because)
        else:
            manual.ignore(one, record, by=me(), because=because)
    if as_json:
        show_json({"flow": record.flow, "key": record.key, "ignored": not undo})
    elif undo:
        click.echo(f"{record.flow} {record.key} is synced again.")
    else:
        click.echo(f"{record.flow} {record.key} is ignored. `syncengine ignore {record.key} --undo` syncs it again.")
