"""What commands print: tables, JSON for scripts, and what an action left out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._exit import Exit

if TYPE_CHECKING:
    from rich.console import Console

    from syncengine.engine.people.seen import Outdated
    from syncengine.flows import BrokenFlow

MAX_LEFT_SHOWN = 20
WIDTH_WITHOUT_TERMINAL = 140

NO_CONNECTION = "No connection configured. Write syncengine.yml (`syncengine init`) and run `syncengine configure`."
NOT_CONFIRMED = "No changes made. Re-run with --yes to apply."
NO_MATCH = "No matching records."


def wide_console() -> Console:
    """Standard output for tables: as wide as the terminal, and wide without one."""
    from rich.console import Console  # only tables need it

    return Console() if sys.stdout.isatty() else Console(width=WIDTH_WITHOUT_TERMINAL)


def json_text(value: Any) -> str:
    """A value as JSON; times as ISO 8601, Decimals as text."""
    return json.dumps(value, default=_plain, indent=2, ensure_ascii=False)


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json_text(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else getattr(value, "__dict__", str(value))


def show_disabled(broken: Mapping[str, BrokenFlow], *, err: bool = False) -> None:
    """Name the flows whose files are wrong, with what to do. err: on standard error."""
    for flow in broken.values():
        click.secho(f"DISABLED {flow}. {flow.remedy}. Its records stay as they are.", fg="red", bold=True, err=err)


def disabled_doc(broken: Mapping[str, BrokenFlow]) -> dict[str, str]:
    """The same for JSON, by flow."""
    return {name: f"{flow}. {flow.remedy}" for name, flow in broken.items()}


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things: `1 record`, `2 records`. `plural`: if it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def worth(found: Mapping[str, Decimal]) -> str:
    """The net value of documents by currency, to follow their number; empty if there is none."""
    sums = ", ".join(f"{value:,.2f} {currency or '(currency of the customer)'}" for currency, value in found.items())
    return f", worth {sums} net" if sums else ""


def more_match(left: int, how: str) -> str:
    """How many more match than were taken, and how to include them: `use --limit 70`."""
    match, them = ("matches", "it") if left == 1 else ("match", "them")
    return f"{left:,} more {match}; {how} to include {them}."


def show_left(left: Sequence[Outdated]) -> None:
    """Name the records that an action left out because they have changed since they were shown."""
    for outdated in left[:MAX_LEFT_SHOWN]:
        click.secho(f"  left out: {outdated}", fg="yellow")
    if len(left) > MAX_LEFT_SHOWN:
        click.secho(f"  and {len(left) - MAX_LEFT_SHOWN} more", fg="yellow")


def left_doc(left: Sequence[Outdated]) -> list[dict[str, str]]:
    """The same for JSON."""
    return [asdict(outdated) for outdated in left]


def not_done(action: str, shown: dict[str, Any] | None, as_json: bool, *, is_dry_run: bool) -> Exit:
    """Say that nothing was done (`action`: the JSON key of what was to be done), with the preview; returns the exit code."""
    if as_json:
        show_json({action: 0, "preview": shown})
    else:
        click.echo("No changes made." if is_dry_run else NOT_CONFIRMED)
    return Exit.OK if is_dry_run else Exit.NO


def nothing_matches(as_json: bool) -> Exit:
    """Say that no record matches; returns the exit code."""
    if as_json:
        show_json({"found": 0})
    else:
        click.echo(NO_MATCH)
    return Exit.NO
