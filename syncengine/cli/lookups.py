"""`syncengine lookups`: the entries of lookup tables that connections have, besides those of the flows' files."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine.cli import _named
from syncengine.cli._engine import NO, agreed, as_json, engine, limit_option, me, show_json, wide_console
from syncengine.engine.core import lookups
from syncengine.mapping.runtime import table_key


@click.group("lookups")
def command() -> None:
    """Entries of lookup tables, by connection; they take precedence over those of a flow's file.

    Entries of syncengine.yml are changed there and taken over by `syncengine configure`; those set here stay until they
    are removed here.
    """


@command.command("list")
@click.option("--connection", metavar="NAME", help="Of this connection only.")
@click.option("--table", metavar="NAME", help="Of this table only.")
@limit_option
@as_json
def list_(connection: str | None, table: str | None, limit: int, as_json: bool) -> None:
    """List the entries, and where each comes from."""
    with engine() as one:
        found = lookups.listed(one, connection, table)
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
        click.echo(f"{len(found) - limit:,} more match; use --limit {len(found)} to include them.")


@command.command("set")
@click.argument("connection")
@click.argument("table")
@click.argument("key")
@click.argument("value")
@as_json
def set_(connection: str, table: str, key: str, value: str, as_json: bool) -> None:
    """Set the entry KEY of TABLE to VALUE. Records that wait for it continue by themselves.

    What has been written stays as it is; `syncengine deadletters retry` tries again what failed for the entry.
    """
    with engine() as one:
        before = lookups.put(one, connection, table, key, value, by=me())
    if as_json:
        show_json({"set": True, "before": before.value if before else None})
        return
    was = f" (it was {before.value})" if before else ""
    click.echo(f"{table} of {connection}: {table_key(key)} is {value}{was}.")


@command.command("remove")
@click.argument("connection")
@click.argument("table")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_named.yes_option
@as_json
def remove(connection: str, table: str, keys: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Remove entries of TABLE that were set by `syncengine lookups set`."""
    with engine() as one:
        entries = [lookups.entry_of(one, connection, table, key) for key in dict.fromkeys(keys)]
        if not as_json:
            for entry in entries:
                click.echo(f"{entry.table} of {entry.connection}: {entry.key} -> {entry.value}")
        if not (yes or agreed(as_json, f"Remove {'it' if len(entries) == 1 else f'these {len(entries):,}'}?")):
            if as_json:
                show_json({"removed": 0, "entries": [asdict(entry) for entry in entries]})
            else:
                click.echo("No changes made. Re-run with --yes to apply.")
            return NO
        lookups.remove(one, entries, by=me())
    if as_json:
        show_json({"removed": len(entries), "entries": [asdict(entry) for entry in entries]})
    else:
        click.echo("Removed.")
    return 0
