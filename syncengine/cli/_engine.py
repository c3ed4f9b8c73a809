"""What several commands share: an engine for this process, and JSON for scripts."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import click
from rich.console import Console

from syncengine import settings
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.people.seen import Outdated
from syncengine.engine.setup import bootstrap
from syncengine.errors import Misconfigured
from syncengine.local import redis_server

Command = TypeVar("Command", bound=Callable[..., Any])

NO = 1  # exit code of a command that says no
MOST_LEFT = 20

as_json = click.option("--json", "as_json", is_flag=True, help="For scripts.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Show at most so many lines (JSON has them all).",
)


def most_option(default: int) -> Callable[[Command], Command]:
    """The option `--most` of what is done to many."""
    return click.option(
        "--most",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help="At most so many, the oldest first.",
    )


@contextmanager
def engine(*, sends: bool = False, calls: bool = False) -> Iterator[Engine]:
    """An engine for a command. `sends`: it starts work in the workers; `calls`: it calls the systems itself.

    Other commands work without Redis, and are given one that is known only to ask it how things stand.

    Raises Misconfigured, Transient.
    """
    current = settings.load()
    send = _celery_send if sends else _no_send
    if sends or calls:
        redis_server.answering_address(current)
    client = redis_server.connect(current, retries=0) if sends or calls or redis_server.is_known(current) else None
    made = bootstrap.engine(current, send=send, redis_client=client)
    try:
        yield made
    finally:
        made.close()


def _celery_send(chain: Chain) -> None:
    from syncengine.tasks.base import send

    send(chain)


def _no_send(chain: Chain) -> None:
    raise Misconfigured(f"this command starts no work, yet {chain.flow} was claimed")


def wide_console() -> Console:
    """Standard output for tables: as wide as the terminal, and wide where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=140)


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


def counted(number: int, noun: str) -> str:
    """A number of things: `1 record`, `2 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def has_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def me() -> str:
    """Who acts."""
    return getpass.getuser()


def agreed(as_json: bool, question: str) -> bool:
    """A person's yes; no where nobody can be asked."""
    return not as_json and sys.stdin.isatty() and click.confirm(question)


def show_left(left: Sequence[Outdated]) -> None:
    """Name what an action has left since it is not as it was shown."""
    for one in left[:MOST_LEFT]:
        click.secho(f"  left {one}", fg="yellow")
    if len(left) > MOST_LEFT:
        click.secho(f"  and {len(left) - MOST_LEFT} more", fg="yellow")


def left_doc(left: Sequence[Outdated]) -> list[dict[str, str]]:
    """The same for JSON."""
    return [asdict(one) for one in left]


def not_done(word: str, shown: dict[str, Any] | None, as_json: bool, *, asked: bool) -> int:
    """Say that nothing was done, with what would have been; the exit code. `asked`: only a look was asked for."""
    if as_json:
        show_json({word: 0, "preview": shown})
    else:
        click.echo("Nothing changed." if asked else "Nothing changed. Add --yes to go ahead.")
    return 0 if asked else NO
