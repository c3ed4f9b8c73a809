"""`syncengine retention`: which old data can be removed, and removing it now."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine import settings
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import counted, show_json, wide_console
from syncengine.engine.setup import bootstrap
from syncengine.engine.upkeep import retention
from syncengine.engine.upkeep.retention import KINDS, Kept, Removed


@click.command("retention")
@click.option("--yes", is_flag=True, help="Remove it now, however long it takes.")
@as_json
def command(yes: bool, as_json: bool) -> int:
    """Show old data and remove it with --yes.

    Old is completed data beyond its retention period; the processes remove it every hour. Set the retention periods
    with SYNCENGINE_KEEP_..._DAYS. Anything open, links and records are always kept.
    """
    kept = bootstrap.kept(settings.load())
    with open_engine() as engine:
        if not yes:
            _show(kept, retention.foresee(engine, kept), as_json)
            return Exit.OK
        removed = retention.remove(engine, kept)
    if as_json:
        show_json({"removed": dict(removed.counts) if removed else {}, "busy": removed is None})
    else:
        click.echo(
            f"{str(removed).capitalize()}."
            if removed
            else "Another process is removing old data now. Try again in a minute."
        )
    return Exit.NO if removed is None else Exit.OK


def _show(kept: Kept, found: Removed, as_json: bool) -> None:
    if as_json:
        show_json({"kept_days": asdict(kept), "removable": dict(found.counts)})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("kind", "kept", "removable"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    for kind in KINDS:
        days = getattr(kept, kind.days)
        table.add_row(kind.name, counted(days, "day") if days else "forever", f"{found.counts.get(kind.name, 0):,}")
    wide_console().print(table)
    if any(found.counts.values()):
        click.echo("No changes made. Re-run with --yes to remove these rows now.")
