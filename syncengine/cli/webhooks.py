"""`syncengine webhooks`: the subscriptions by which the systems tell of changes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click
from rich.table import Table
from sqlalchemy import select

from syncengine import clock, settings
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import show_json, wide_console
from syncengine.engine.core.engine import Engine
from syncengine.engine.upkeep import subscriptions
from syncengine.engine.upkeep.subscriptions import Place
from syncengine.errors import Misconfigured, SyncError
from syncengine.store.models import Schedule

TEST_PATIENCE_S = 20.0
connection_argument = click.argument("connection", required=False)


@click.group("webhooks")
def command() -> None:
    """Show, repair and test webhooks."""


@command.command("list")
@connection_argument
@as_json
def list_(connection: str | None, as_json: bool) -> None:
    """List the webhooks of each account, also those of other programs, and events that lack one.

    Restricted to one CONNECTION if you name it.
    """
    url = settings.load().web_url
    with open_engine(calls=True) as engine:
        rows = [row for place in _places(engine, connection) for row in subscriptions.listed(engine, place, url)]
    if as_json:
        show_json([asdict(row) for row in rows])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("connection", "system", "id", "event", "state"):
        table.add_column(name, overflow="fold")
    for row in rows:
        state = "missing" if not row.id else "of another program" if not row.is_ours else ""
        state = state or ("ok" if row.is_current else "outdated")
        table.add_row(row.connection, row.system, row.id or "·", row.event, state)
    wide_console().print(table)
    if any(row.is_ours and not row.is_current for row in rows):
        click.echo("Run `syncengine webhooks sync` to create what is missing and replace what is outdated.")


@command.command("sync")
@connection_argument
@click.option("--new-secret", is_flag=True, help="Replace the secret; the former one is accepted for another day.")
@as_json
def sync(connection: str | None, new_secret: bool, as_json: bool) -> None:
    """Make the webhooks match the flows: create what is missing, replace what is outdated, remove what is no longer needed.

    Webhooks of other programs are left alone. Restricted to one CONNECTION if you name it.
    """
    url = settings.load().web_url
    with open_engine(calls=True) as engine:
        done = [subscriptions.sync(engine, place, url, new_secret=new_secret) for place in _places(engine, connection)]
    if as_json:
        show_json([asdict(each) for each in done])
        return
    for each in done:
        click.echo(str(each))


@command.command("test")
@connection_argument
@as_json
def test(connection: str | None, as_json: bool) -> int:
    """Have each system send a webhook now, and wait until the web process has taken it.

    Restricted to one CONNECTION if you name it. Exits with 1 if one does not arrive.
    """
    url = settings.load().web_url
    with open_engine(calls=True) as engine:
        results = [_test(engine, place, url) for place in _places(engine, connection)]
    if as_json:
        show_json(results)
    else:
        for result in results:
            click.echo(f"{result['connection']}, {result['system']}: {result['says']}")
    return Exit.OK if all(result["arrived"] for result in results) else Exit.NO


def _places(engine: Engine, connection: str | None) -> list[Place]:
    found = list(subscriptions.places(engine, connection))
    if not found:
        raise Misconfigured("no connection has a system whose webhooks can be subscribed", "See docs/webhooks.md")
    return found


def _test(engine: Engine, place: Place, url: str) -> dict[str, object]:
    result: dict[str, object] = {"connection": place.name, "system": place.system, "arrived": False}
    rows = [row for row in subscriptions.listed(engine, place, url) if row.is_current]
    if not rows:
        return result | {"says": "there is no webhook to test. Run `syncengine webhooks sync`"}
    before = _heard_at(engine, place)
    try:
        subscriptions.test(engine, place, rows[0].id)
    except SyncError as error:
        return result | {"says": f"it cannot be tested: {error}"}
    until = clock.monotonic() + TEST_PATIENCE_S
    while clock.monotonic() < until:
        if _heard_at(engine, place) != before:
            return result | {"arrived": True, "says": f"a webhook about {rows[0].event} has arrived"}
        clock.sleep(0.2)
    return result | {
        "says": f"no webhook has arrived at {url} within {TEST_PATIENCE_S:.0f} s. Check that the web process runs, and the "
        "proxy in front of it"
    }


def _heard_at(engine: Engine, place: Place) -> list[datetime | None]:
    with engine.store.read() as session:
        mine = select(Schedule.heard_at).where(Schedule.connection_id == place.connection.row.id)
        return list(session.scalars(mine.order_by(Schedule.flow)))
