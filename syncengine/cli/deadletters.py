"""`syncengine deadletters`: what needs a person."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from syncengine.cli._engine import as_json, engine, show_json, wide_console
from syncengine.engine import deadletters, payloads
from syncengine.engine.engine import Engine
from syncengine.engine.pump import pump
from syncengine.errors import Misconfigured
from syncengine.store.models import Failure


@click.group("deadletters")
def command() -> None:
    """Records that need a person: list them, look at one, have them tried again."""


@command.command("list")
@click.option("--flow", help="Of this flow only.")
@click.option("--connection", help="Of this connection only.")
@click.option("--all", "with_closed", is_flag=True, help="Those that are closed, too.")
@as_json
def list_(flow: str | None, connection: str | None, with_closed: bool, as_json: bool) -> None:
    """List dead letters, the oldest first."""
    with engine() as one, one.store.read() as session:
        found = deadletters.listed(session, flow=flow, connection=connection, open_only=not with_closed)
        rows = [_row(failure, name) for failure, name in found]
    if as_json:
        show_json(rows)
        return
    if not rows:
        click.echo("No dead letters.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("id", "flow", "key", "field", "value", "cause"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(str(row["id"]), row["flow"], row["key"], row["field"], row["value"][:40], row["cause"])
    wide_console().print(table)


@command.command("show")
@click.argument("id_", metavar="ID", type=int)
@as_json
def show(id_: int, as_json: bool) -> None:
    """Show one dead letter whole: cause, proposed remedy, and the documents it is about."""
    with engine() as one:
        row = _whole(one, id_)
    if as_json:
        show_json(row)
        return
    for name in ("flow", "key", "kind", "stage", "field", "value", "cause", "remedy", "opened_at", "closed_because"):
        if row[name]:
            click.echo(f"{name:>14}: {row[name]}")
    for kind, document in row["documents"].items():
        click.secho(f"\n{kind}", bold=True)
        show_json(document)


def _whole(one: Engine, id_: int) -> dict[str, Any]:
    with one.store.read() as session:
        found = deadletters.listed(session, ids=[id_], open_only=False)
        if not found:
            raise Misconfigured(f"there is no dead letter {id_}. `syncengine deadletters list` shows them")
        failure, name = found[0]
        documents = {kind: payloads.load(session, one.vault, kind, [failure.record_id]) for kind in ("context", "plan")}
        kept = {kind: values[failure.record_id] for kind, values in documents.items() if failure.record_id in values}
        return {**_row(failure, name), "documents": kept}


@command.command("retry")
@click.argument("ids", metavar="ID...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.option("--flow", help="All that are open of this flow.")
@as_json
def retry(ids: tuple[int, ...], everything: bool, flow: str | None, as_json: bool) -> None:
    """Have the records of dead letters looked at again, now. A letter closes when its record went through."""
    if not ids and not everything and not flow:
        raise click.UsageError("name dead letters by id, or say --all or --flow NAME")
    with engine(sends=True) as one:
        with one.store.read() as session:
            open_ones = deadletters.listed(session, flow=flow, ids=ids)
            chosen = [failure.id for failure, _ in open_ones if failure.kind == deadletters.DEAD]
        count = deadletters.retry(one, list(ids) or chosen)
        pump(one)
    if as_json:
        show_json({"retried": count})
    else:
        click.echo(f"{count} to be looked at again.")


def _row(failure: Failure, connection: str) -> dict[str, Any]:
    names = (
        "id", "flow", "key", "kind", "stage", "field", "value", "cause", "remedy", "opened_at", "closed_at", "closed_because",
    )  # fmt: skip
    return {"connection": connection, **{name: getattr(failure, name) for name in names}}
