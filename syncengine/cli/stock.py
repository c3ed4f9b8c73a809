"""`syncengine stock`: stock levels as both systems show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from syncengine.cli import _stock
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, connection_option
from syncengine.cli._output import show_json
from syncengine.engine.people import level_comparison
from syncengine.engine.people.level_comparison import ComparedItem


@click.group("stock")
def command() -> None:
    """Compare stock levels between the two systems."""


@command.command("compare")
@connection_option
@click.option("--sku", "skus", multiple=True, metavar="SKU", help="Only this SKU or stock code. Repeatable.")
@click.option(
    "--differences", is_flag=True, help="Only items whose level is not as it should be, or that are left out."
)
@as_json
def compare(connection: str | None, skus: tuple[str, ...], differences: bool, as_json: bool) -> int:
    """Show what both systems have of each item, what the level should be, and why they differ.

    Reads both systems now and writes nothing. Shows, for each SKU and warehouse, SYSPRO's stock on hand and its own
    demand, what has moved in one system and perhaps not yet in the other, the range in which Brightpearl's level is
    right, and that level. One SKU is shown in detail, with the orders, reservations and movements behind its figures.

    Without --sku all items of SYSPRO are read, which takes some minutes for tens of thousands. Exit code 1 if a SKU is
    not found.
    """
    found: list[ComparedItem] = []
    with open_engine(calls=True) as engine:
        routes = level_comparison.routes(engine, connection)
        for route in routes:
            with _progress(quiet=as_json) as count:
                for item in level_comparison.compare(route, skus):
                    count()
                    if item.differs or not differences:
                        found.append(item)
    if not routes and not as_json:
        click.echo("No flow sets levels. Add inventory to flows: in syncengine.yml and run `syncengine configure`.")
        return Exit.NO
    if as_json:
        show_json([_stock.as_doc(item) for item in found])
    elif len(skus) == 1:
        for item in found:
            _stock.show(item)
    else:
        _stock.show_all(found)
    is_missing = any(item.source is None for item in found) if skus else False
    return Exit.NO if is_missing else Exit.OK


@contextmanager
def _progress(*, quiet: bool) -> Iterator[_Count]:
    """Say how many items have been read."""
    columns = (TextColumn("reading stock: {task.completed:,.0f} items"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), transient=True) as progress:
        yield _Count(progress)


class _Count:
    def __init__(self, progress: Progress) -> None:
        self._progress, self._task = progress, progress.add_task("", total=None)

    def __call__(self) -> None:
        self._progress.advance(self._task)
