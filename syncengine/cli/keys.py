"""`syncengine keys`: the keys that encrypt credentials and stored documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.table import Table

from syncengine import clock, keys, settings
from syncengine.cli._engine import NO, agreed, as_json, counted, engine, show_json, wide_console
from syncengine.engine.core.engine import Engine
from syncengine.engine.upkeep import reseal
from syncengine.errors import Misconfigured
from syncengine.settings import Settings
from syncengine.store.lock import Lock
from syncengine.vault import LOOKED_AT_EVERY_S

ROUND_S = 5.0
"""How often `rotate --foreground` says how far it is."""

LEASE_S = 600.0
OTHER_HOSTS = "Other hosts need the new key before anything is sealed with it: see docs/operations.md, Keys."


@click.group("keys")
def command() -> None:
    """Encryption keys (SYNCENGINE_KEYS or the key file, newest first): the first one seals, all open."""


@command.command("new")
def new() -> None:
    """Print a new key. Older ones are still needed to read (docs/operations.md)."""
    click.echo(keys.new())


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Show which keys there are and how many things each one seals. Reads everything that is stored.

    Keys are called by a print of theirs, which tells nothing of them.
    """
    with engine() as one:
        found = reseal.counts(one.store, one.vault)
        under_way = reseal.progress_if_readable(one.store, one.vault)
    if as_json:
        sealed = [{"key": print_ or None, "sealed": dict(kinds)} for print_, kinds in found.items()]
        show_json({"keys": sealed, "under_way": str(under_way) if under_way else None})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("key", "use", *(kind.name for kind in reseal.KINDS)):
        table.add_column(name, justify="left" if name in ("key", "use") else "right")
    for place, (print_, kinds) in enumerate(found.items()):
        use = ("seals" if place == 0 else "opens") if print_ else "is missing"
        table.add_row(print_ or "unknown", use, *(f"{kinds[kind.name]:,}" for kind in reseal.KINDS))
    wide_console().print(table)
    if under_way:
        click.echo(f"Under way: {under_way}.")


@command.command("rotate")
@click.option("--no-new", is_flag=True, help="Make no key: seal again under the first one that is there.")
@click.option("--foreground", is_flag=True, help="Do it here and now, and show how far it is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rotate(no_new: bool, foreground: bool, yes: bool) -> int:
    """Make a new key, and seal everything that is stored again with it.

    The key is put first into the key file, where running processes find it. The workers then seal everything again in the
    background, in small steps; `syncengine keys list` shows how far that is. Run it again to continue what was interrupted.
    With SYNCENGINE_KEYS no key is made: put one first there on every host, restart the processes, then run this.
    """
    current = settings.load()
    with engine() as one:
        with _alone(one):
            one.vault.refresh()  # somebody else may have made one since this process began
            makes_one = not (no_new or current.given_keys or reseal.progress_if_readable(one.store, one.vault))
            if makes_one and not (yes or one.store.is_sqlite or agreed(False, f"{OTHER_HOSTS} Make it here?")):
                click.echo(f"No changes made. {OTHER_HOSTS} Re-run with --yes if this is the only host.")
                return NO
            if makes_one:
                _make(one, current.key_file)
            click.echo(f"Sealing again under {reseal.ask(one.store, one.vault).key}.")
        if foreground:
            return _wait(one)
    click.echo("The workers do it in the background. `syncengine keys list` shows how far it is.")
    return 0


@contextmanager
def _alone(one: Engine) -> Iterator[None]:
    """Raises Misconfigured if another command is changing the keys: of two new keys the file would have one."""
    with Lock(one.store, "keys", LEASE_S).tried() as is_ours:
        if not is_ours:
            raise Misconfigured("another command is changing the keys. Try again in a minute")
        yield


def _make(one: Engine, file: Path) -> None:
    keys.put_first(file, keys.new())
    click.echo(f"Made a new key in {file}. Keep a copy of the file elsewhere.")
    one.vault.refresh()
    clock.sleep(2 * LOOKED_AT_EVERY_S)  # until all processes of this host seal with it


def _wait(one: Engine) -> int:
    while (now := reseal.run(one, for_s=ROUND_S)) is not None:
        click.echo(f"{now}")
    if (left := reseal.progress_if_readable(one.store, one.vault)) is not None:
        click.echo(f"A worker does it at this time: {left}. `syncengine keys list` shows how far it is.")
        return NO
    click.echo(
        "All that could be opened is sealed under the newest key. `syncengine keys drop KEY` removes an older one."
    )
    return 0


@command.command("drop")
@click.argument("key")
def drop(key: str) -> int:
    """Remove an old key (KEY: as `syncengine keys list` calls it), if nothing is sealed with it any more.

    Backups that were made before still need it: keep a copy as long as one of them.
    """
    current = settings.load()
    with engine() as one, _alone(one):
        _check_can_drop(one, key)
        _drop(current, key)
    return 0


def _check_can_drop(one: Engine, key: str) -> None:
    """Raises Misconfigured if there is no such key, or it is still needed."""
    prints = one.vault.prints
    if key not in prints:
        raise Misconfigured(f"there is no key {key}. Keys of this host: {', '.join(prints)}")
    if key == prints[0]:
        raise Misconfigured(f"{key} seals what is stored now. `syncengine keys rotate` makes a new key first")
    sealed: Counter[str] = reseal.counts(one.store, one.vault)[key]
    if sealed:
        some = ", ".join(f"{count:,} {name}" for name, count in sealed.items())
        raise Misconfigured(f"{key} still seals {some}. Run `syncengine keys rotate --no-new` and wait for its end")


def _drop(current: Settings, key: str) -> None:
    if current.given_keys:
        click.echo(
            f"Nothing is sealed with {key}. Take it out of SYNCENGINE_KEYS on every host and restart the processes."
        )
        return
    keys.remove(current.key_file, key)
    left = counted(len(keys.from_file(current.key_file)), "key")
    click.echo(f"Removed {key} from {current.key_file}: {left} left. Backups from before need it; keep it with them.")
