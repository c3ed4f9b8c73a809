"""`syncengine lookups`: entries of lookup tables that belong to a connection."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, connection_option, limit_option, yes_option
from syncengine.cli._output import NOT_CONFIRMED, counted, more_match, show_json, wide_console
from syncengine.cli._person import confirmed, me
from syncengine.engine.core import lookups
from syncengine.mapping.runtime import table_key


@click.group("lookups")
def command() -> None:
    """List, set and remove lookup entries of connections.

    They take precedence over those of a flow's file. Change entries of syncengine.yml there and run `syncengine
    configure`; entries set here stay until removed here.
    """


@command.command("list")
@connection_option
@click.option("--table", metavar="NAME", help="Only this table.")
@limit_option
@as_json
def list_(connection: str | None, table: str | None, limit: int, as_json: bool) -> None:
    """List entries and where each comes from."""
    with open_engine() as engine:
        found = lookups.listed(engine, connection, table)
    if as_json:
        show_json([asdict(entry) for entry in found])
        return
    if not found:
        click.echo("No matching entries.")
        return
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("connection", "table", "key", "value", "from"):
        shown.add_column(name, overflow="fold")
    for entry in found[:limit]:
        origin = "syncengine.yml" if entry.origin == lookups.FILE else "a person"
        shown.add_row(entry.connection, entry.table, entry.key, entry.value, origin)
    wide_console().print(shown)
    if len(found) > limit:
        click.echo(more_match(len(found) - limit, f"use --limit {len(found)}"))


@command.command("set")
@click.argument("connection")
@click.argument("table")
@click.argument("key")
@click.argument("value")
@as_json
def set_(connection: str, table: str, key: str, value: str, as_json: bool) -> None:
    """Set the entry KEY of TABLE to VALUE. Records that wait for it continue on their own.

    Objects already written stay unchanged. Use `syncengine deadletters retry` for records that failed for lack of the
    entry.
    """
    with open_engine() as engine:
        before = lookups.put(engine, connection, table, key, value, by=me())
    if as_json:
        show_json({"set": True, "before": before.value if before else None})
        return
    was = f" (previously {before.value})" if before else ""
    click.echo(f"{table} of {connection}: {table_key(key)} -> {value}{was}.")


@command.command("remove")
@click.argument("connection")
@click.argument("table")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@yes_option
@as_json
def remove(connection: str, table: str, keys: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Remove entries set with `syncengine lookups set`."""
    with open_engine() as engine:
        entries = [lookups.entry_of(engine, connection, table, key) for key in dict.fromkeys(keys)]
        if not as_json:
            for entry in entries:
                click.echo(f"{entry.table} of {entry.connection}: {entry.key} -> {entry.value}")
        if not (yes or confirmed(as_json, f"Remove {counted(len(entries), 'entry', 'entries')}?")):
            if as_json:
                show_json({"removed": 0, "entries": [asdict(entry) for entry in entries]})
            else:
                click.echo(NOT_CONFIRMED)
            return Exit.NO
        lookups.remove(engine, entries, by=me())
    if as_json:
        show_json({"removed": len(entries), "entries": [asdict(entry) for entry in entries]})
    else:
        click.echo("Removed.")
    return Exit.OK
