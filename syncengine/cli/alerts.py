"""`syncengine alerts`: active alerts, and a test of the sinks that they are sent to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
import redis
from rich.table import Table

from syncengine import clock, settings
from syncengine.alerts import Sinks, book, in_use, notifier
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import show_json, wide_console
from syncengine.local import redis_server
from syncengine.store.models import Alert

COLUMNS = ("severity", "since", "sent", "what", "what to do")
OUTDATED = "they use other sinks, which they read when they started. Restart them"
REDIS_PATIENCE_S = 3.0
ENDED_SHOWN_FOR = timedelta(days=30)


@click.group("alerts")
def command() -> None:
    """Show active alerts and test the sinks they are sent to.

    Set the sinks with SYNCENGINE_ALERT_URLS, in the format of Apprise.
    """


@command.command("list")
@click.option("--all", "ended_too", is_flag=True, help="Include alerts that ended within the last 30 days.")
@as_json
def list_(ended_too: bool, as_json: bool) -> int:
    """List active alerts: what have people been alerted to?

    Newest first. Exit code 1 if there is any. Use `syncengine doctor` to examine the installation now.
    """
    with open_engine() as engine, engine.store.read() as session:
        since = clock.now() - ENDED_SHOWN_FOR if ended_too else None
        found = book.listed(session, ended_after=since)
    has_active = any(alert.resolved_at is None for alert in found)
    if as_json:
        show_json([_row(alert) for alert in found])
    elif not found:
        click.echo("No alerts." if ended_too else "No active alerts.")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, overflow="fold", no_wrap=name in ("severity", "since", "sent"))
        for alert in found:
            table.add_row(
                alert.severity if alert.resolved_at is None else "ended",
                f"{alert.opened_at:%Y-%m-%d %H:%M}",
                f"{alert.notified_at:%Y-%m-%d %H:%M}" if alert.notified_at else "not yet",
                alert.text,
                alert.remedy if alert.resolved_at is None else f"ended {alert.resolved_at:%Y-%m-%d %H:%M} UTC",
            )
        wide_console().print(table)
    return Exit.NO if has_active else Exit.OK


@command.command("test")
@as_json
def test(as_json: bool) -> int:
    """Send a test message through every sink.

    Shows which sinks accepted it, and hosts whose running processes send alerts elsewhere. Exit code 1 if there is any
    such host, or any sink did not accept the message.
    """
    current = settings.load()
    sinks = Sinks(current.alert_urls)
    results = {sink.name: sink.send(notifier.trial()) for sink in sinks.all()}
    results |= {f"processes on {host}": OUTDATED for host in _hosts_with_other_sinks(current, sinks)}
    if as_json:
        show_json({name: {"ok": not refusal, "says": refusal or "taken"} for name, refusal in results.items()})
        return Exit.OK if results and not any(results.values()) else Exit.NO
    if not sinks:
        click.echo(
            "No sinks configured. Set SYNCENGINE_ALERT_URLS; https://appriseit.com/services/ lists the URL formats."
        )
    for name, refusal in results.items():
        click.echo(f"FAILED {name}: {refusal}" if refusal else f"ok     {name}: accepted the message")
    return Exit.OK if results and not any(results.values()) else Exit.NO


def _hosts_with_other_sinks(current: settings.Settings, sinks: Sinks) -> list[str]:
    """Hosts whose watchers use other sinks; none if Redis cannot be asked, because then nothing watches either."""
    if not redis_server.is_known(current):
        return []
    with redis_server.connect(current, retries=0, read_s=REDIS_PATIENCE_S) as client:
        try:
            return in_use.other_hosts(client, sinks, clock.now())
        except redis.RedisError as error:
            click.echo(f"Cannot check which sinks the running processes use: {type(error).__name__}.", err=True)
            return []


def _row(alert: Alert) -> dict[str, Any]:
    names = (
        "id", "rule", "subject", "severity", "text", "remedy", "count",
        "opened_at", "seen_at", "resolved_at",
    )  # fmt: skip
    row = {name: getattr(alert, name) for name in names}
    return {**row, "told_at": alert.notified_at, "resolve_told_at": alert.end_notified_at}  # phrases: allow
