"""Options that commands share, so that the same option reads the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

BECAUSE_HELP = "Reason, shown in the history."

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would happen and change nothing.")
because_option = click.option("--because", default="", metavar="TEXT", help=BECAUSE_HELP)
required_because_option = click.option("--because", required=True, metavar="TEXT", help=BECAUSE_HELP)
all_option = click.option("--all", "everything", is_flag=True, help="Select all open records.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="Maximum number of lines; JSON has no limit.",
)


def most_option(default: int) -> Callable[[Command], Command]:
    """The option `--most` of commands that act on many records."""
    return click.option(
        "--most",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help="Maximum number of records, oldest first.",
    )


def connection_option(command: Command) -> Command:
    """The option `--connection`."""
    return click.option("--connection", metavar="NAME", help="Only this connection.")(command)


object_option = click.option(
    "--object",
    "name",
    metavar="ID",
    help="Only this object: a key, or a reference, SKU, e-mail address or telephone number.",
)


def selection(command: Command) -> Command:
    """The options `--connection` and `--flow`."""
    return connection_option(click.option("--flow", metavar="NAME", help="Only this flow.")(command))
