"""`syncengine fields`: the fields of both systems' objects, for people who write flows."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from syncengine import connectors
from syncengine.cli._options import as_json
from syncengine.cli._output import show_json, wide_console
from syncengine.connectors.base import Source, Target
from syncengine.connectors.fields import Field, fields_of
from syncengine.errors import Misconfigured
from syncengine.mapping.shapes import ValueKind, nearest

_WITH_PARTS = (ValueKind.GROUP, ValueKind.LIST, "list of groups")


@click.command("fields")
@click.argument("resource", required=False)
@as_json
def command(resource: str | None, as_json: bool) -> None:
    """List every field of RESOURCE, such as syspro.sales_order; without it, list the resources.

    Shows kind, length and whether a new object needs the field. A path such as StockLine.Price is a field of lines, which
    a mapping fills under StockLine. For a target it also says which kinds of results a field takes, and which entries
    (zone:, format:) the mapping needs for that. Needs no installation.
    """
    known = connectors.resources()
    if resource is None:
        _list_resources(known, as_json)
        return
    if resource not in known:
        raise Misconfigured(f"there is no resource {resource!r}{nearest(resource, known)}", "Run `syncengine fields`")
    found = fields_of(known[resource])
    if as_json:
        show_json({"resource": resource, "use": _use(known[resource]), "fields": [asdict(field) for field in found]})
    else:
        _show(found)


def _list_resources(known: dict[str, type[Source]], as_json: bool) -> None:
    rows = [(name, _use(kind), len(fields_of(kind))) for name, kind in sorted(known.items())]
    if as_json:
        show_json([{"resource": name, "use": use, "fields": count} for name, use, count in rows])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("resource", "a flow's", "fields"):
        table.add_column(heading, justify="right" if heading == "fields" else "left")
    for name, use, count in rows:
        table.add_row(name, use, str(count))
    wide_console().print(table)
    click.echo("\nList the fields of one: `syncengine fields RESOURCE`.")


def _use(kind: type[Source]) -> str:
    return "source or target" if issubclass(kind, Target) else "source"


def _show(found: list[Field]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("field", "kind", "length", "required", "note"):
        table.add_column(heading, overflow="fold")
    for field in found:
        table.add_row(field.path, field.kind, field.length, "yes" if field.is_required else "", field.note)
    wide_console().print(table)
    fits = {field.kind: field.fits for field in found if field.fits and field.kind not in (ValueKind.ANY, *_WITH_PARTS)}
    if fits:
        click.echo("\nA field takes the result of an expression of these kinds:")
    for kind, takes in fits.items():
        click.echo(f"  {kind:<9}{takes}")
