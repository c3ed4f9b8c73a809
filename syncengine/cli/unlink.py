"""`syncengine unlink ID`: remove the link between two objects."""

from __future__ import annotations

import click

from syncengine.cli import _named
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, required_because_option, selection, yes_option
from syncengine.cli._output import NOT_CONFIRMED, show_json
from syncengine.cli._person import confirmed, me
from syncengine.engine.people import manual
from syncengine.store.models import Link


@click.command("unlink")
@click.argument("id_", metavar="ID")
@selection
@click.option("--part", default=None, metavar="PART", help="Part to unlink, if one object became several (e.g. EUR).")
@required_because_option
@click.option("--recreate", is_flag=True, help="Create the missing object again.")
@yes_option
@as_json
def command(
    id_: str, connection: str | None, flow: str | None, part: str | None, because: str, recreate: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Remove the link between the object ID and its counterpart.

    Neither object is changed. The object is ignored afterwards, so that the next sync does not create it again. Use
    `syncengine ignore ID --undo` to let it be created, or `syncengine link` to link it with another object. With
    --recreate, an object that is held because it is gone in the target is created at once. The target is first searched
    for its former and its present reference; an object found there is linked, or held for a decision.
    """
    with open_engine(sends=recreate) as engine:
        record = _named.record(engine, id_, connection, flow)
        with engine.store.read() as session:
            link = manual.link_of(session, engine, record, part)
        if not (yes or as_json):
            then = "created again unless the target has it" if recreate else "ignored until you undo that"
            click.echo(f"{record.flow} {record.key}: {_ends(link)} would be unlinked, and it would be {then}.")
        if not (yes or confirmed(as_json, "Unlink these two objects?")):
            if as_json:
                show_json({"unlinked": False, "link": manual.link_facts(link)})
            else:
                click.echo(NOT_CONFIRMED)
            return Exit.NO
        keys = manual.unlink(engine, record, link, by=me(), because=because, recreate=recreate)
    if as_json:
        show_json({"unlinked": True, "link": manual.link_facts(link), "records": keys, "ignored": not recreate})
    elif recreate:
        click.echo(f"Unlinked {_ends(link)}. Use `syncengine trace {id_}` to follow the create.")
    else:
        click.echo(
            f"Unlinked {_ends(link)}; it is now ignored. Use `syncengine ignore {record.key} --undo` to create it again."
        )
    return Exit.OK


def _ends(link: Link) -> str:
    return f"{link.left_key} and {link.right_key or '(planned)'}"
