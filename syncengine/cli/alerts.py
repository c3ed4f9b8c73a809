"""`syncengine alerts`: what people were told, and whether they can be told at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from rich.table import Table

from syncengine import clock, settings
from syncengine.alerts import Sinks, book, telling
from syncengine.cli._engine import as_json, engine, show_json, wide_console
from syncengine.store.models import Alert

FAILED = 1
COLUMNS = ("severity", "since", "told", "what", "what to do")
DAY = timedelta(days=1)


@click.group("alerts")
def command() -> None:
    """What is wrong now and people are told of; where they are told: SYNCENGINE_ALERT_URLS, by apprise."""


@command.command("list")
@click.option("--all", "ended_too", is_flag=True, help="Also what was over within the last 30 days.")
@as_json
def list_(ended_too: bool, as_json: bool) -> int:
    """List what is wrong now, the newest first. The exit code is 1 if there is anything."""
    with engine() as one, one.store.read() as session:
        since = clock.now() - 30 * DAY if ended_too else None
        found = book.listed(session, ended_after=since)
    is_wrong = any(alert.resolved_at is None for alert in found)
    if as_json:
        show_json([_row(alert) for alert in found])
    elif not found:
        click.echo("There is no alert.")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, overflow="fold", no_wrap=name in ("severity", "since", "told"))
        for alert in found:
            table.add_row(
                alert.severity if alert.resolved_at is None else "over",
                f"{alert.opened_at:%Y-%m-%d %H:%M}",
                f"{alert.told_at:%Y-%m-%d %H:%M}" if alert.told_at else "nobody yet",
                alert.text,
                alert.remedy if alert.resolved_at is None else f"over since {alert.resolved_at:%Y-%m-%d %H:%M} UTC",
            )
        wide_console().print(table)
    return FAILED if is_wrong else 0


@command.command("test")
@as_json
def test(as_json: bool) -> int:
    """Send a message through every sink and say which of them took it. The exit code is 1 if one did not."""
    sinks = Sinks(settings.load().alert_urls)
    results = {sink.name: sink.send(telling.trial()) for sink in sinks.all()}
    if as_json:
        show_json({name: {"ok": not refusal, "says": refusal or "taken"} for name, refusal in results.items()})
    elif not results:
        click.echo(
            "There is no sink. Set SYNCENGINE_ALERT_URLS: https://appriseit.com/services/ shows how to write one."
        )
    for name, refusal in results.items() if not as_json else ():
        click.echo(f"FAILED {name}: {refusal}" if refusal else f"ok     {name}: it took the message")
    return 0 if results and not any(results.values()) else FAILED


def _row(alert: Alert) -> dict[str, Any]:
    names = (
        "id", "rule", "subject", "severity", "text", "remedy", "count",
        "opened_at", "seen_at", "told_at", "resolved_at", "resolve_told_at",
    )  # fmt: skip
    return {name: getattr(alert, name) for name in names}
