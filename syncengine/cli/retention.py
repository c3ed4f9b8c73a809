"""`syncengine retention`: what is over and old, and removing it by hand."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine import settings
from syncengine.cli._engine import NO, as_json, counted, engine, show_json, wide_console
from syncengine.engine.setup import bootstrap
from syncengine.engine.upkeep import retention
from syncengine.engine.upkeep.retention import KINDS, Kept, Removed


@click.command("retention")
@click.option("--yes", is_flag=True, help="Remove it now, however long that takes.")
@as_json
def command(yes: bool, as_json: bool) -> int:
    """Show what is over and older than it is kept, and with --yes remove it.

    The processes do this every hour by themselves. For how many days each kind is kept is set by SYNCENGINE_KEEP_..._DAYS;
    what is open, links and records are always kept.
    """
    kept = bootstrap.kept(settings.load())
    with engine() as one:
        if not yes:
            _show(kept, retention.foresee(one, kept), as_json)
            return 0
        removed = retention.remove(one, kept)
    if as_json:
        show_json({"removed": dict(removed.counts) if removed else {}, "busy": removed is None})
    else:
        click.echo(
            f"{str(removed).capitalize()}."
            if removed
            else "Another process is removing old rows now. Try again in a minute."
        )
    return NO if removed is None else 0


def _show(kept: Kept, found: Removed, as_json: bool) -> None:
    if as_json:
        show_json({"kept_days": asdict(kept), "removable": dict(found.counts)})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("kind", "kept", "removable"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind in KINDS:
        days = getattr(kept, kind.days)
        table.add_row(kind.name, counted(days, "day") if days else "for ever", f"{found.counts.get(kind.name, 0):,}")
    wide_console().print(table)
    if any(found.counts.values()):
        click.echo("Nothing was removed. Re-run with --yes to remove these rows now.")
