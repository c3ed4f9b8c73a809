"""`syncengine unlink ID`: two objects are not the same after all."""

from __future__ import annotations

import click

from syncengine.cli import _named
from syncengine.cli._engine import NO, agreed, as_json, engine, me, show_json
from syncengine.engine.people import manual
from syncengine.store.models import Link


@click.command("unlink")
@click.argument("id_", metavar="ID")
@_named.narrowing
@click.option("--part", default=None, metavar="PART", help="Which link, where one object became several (as EUR).")
@_named.because_option
@click.option("--recreate", is_flag=True, help="Create the one that is gone once more.")
@_named.yes_option
@as_json
def command(
    id_: str, connection: str | None, flow: str | None, part: str | None, because: str, recreate: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Forget that the object ID is the same as its counterpart; neither object is touched.

    The next sync would create it once more. So it is ignored from then on, until `syncengine ignore ID --undo` lets it be
    created, or `syncengine link` joins it with another one. With --recreate, for an object that is held since it is gone in
    the target, it is created at once: the target is searched first for the reference by which it was linked, and for that of
    now. What is found is linked, or held for you.
    """
    with engine(sends=recreate) as one:
        record = _named.record(one, id_, connection, flow)
        with one.store.read() as session:
            link = manual.link_of(session, one, record, part)
        if not (yes or as_json):
            then = "created once more unless the target has it" if recreate else "ignored until you say otherwise"
            click.echo(f"{record.flow} {record.key}: {_ends(link)} would be unlinked, and it would be {then}.")
        if not (yes or agreed(as_json, "Unlink them?")):
            if as_json:
                show_json({"unlinked": False, "link": manual.link_facts(link)})
            else:
                click.echo("Nothing changed. Add --yes to go ahead.")
            return NO
        keys = manual.unlink(one, record, link, by=me(), because=because, recreate=recreate)
    if as_json:
        show_json({"unlinked": True, "link": manual.link_facts(link), "records": keys, "ignored": not recreate})
    elif recreate:
        click.echo(f"{_ends(link)} are unlinked. `syncengine trace {id_}` shows what comes of it.")
    else:
        click.echo(
            f"{_ends(link)} are unlinked, and it is ignored. `syncengine ignore {record.key} --undo` has it created once more."
        )
    return 0


def _ends(link: Link) -> str:
    return f"{link.left_key} and {link.right_key or '(planned)'}"
