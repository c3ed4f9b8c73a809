"""`syncengine keys`: the keys that encrypt credentials and stored documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.table import Table

from syncengine import clock, keys, settings
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, yes_option
from syncengine.cli._output import counted, show_json, wide_console
from syncengine.cli._person import confirmed
from syncengine.engine.core.engine import Engine
from syncengine.engine.upkeep import reseal
from syncengine.errors import Misconfigured
from syncengine.settings import Settings
from syncengine.store.lock import Lock
from syncengine.vault import CHECK_FILE_EVERY_S

ROUND_S = 5.0
"""How often `rotate --foreground` prints its progress."""

LEASE_S = 600.0
OTHER_HOSTS = "Other hosts need the new key before anything is sealed with it (docs/operate/keys.md)."


@click.group("keys")
def command() -> None:
    """List, rotate and drop encryption keys.

    Keys come from SYNCENGINE_KEYS or the key file, newest first. The first key seals; all keys open.
    """


@command.command("new")
def new() -> None:
    """Print a new key. Keep older keys: they are needed to read what they sealed (docs/operate/keys.md)."""
    click.echo(keys.new())


@command.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List keys and how many stored items each one seals.

    This reads everything that is stored. Keys are named by their fingerprints, which reveal nothing about them.
    """
    with open_engine() as engine:
        found = reseal.counts(engine.store, engine.vault)
        under_way = reseal.progress_if_readable(engine.store, engine.vault)
    if as_json:
        sealed = [{"key": print_ or None, "sealed": dict(kinds)} for print_, kinds in found.items()]
        show_json({"keys": sealed, "under_way": str(under_way) if under_way else None})
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("key", "use", *(kind.name for kind in reseal.KINDS)):
        table.add_column(name, justify="left" if name in ("key", "use") else "right")
    for place, (print_, kinds) in enumerate(found.items()):
        use = ("seals" if place == 0 else "opens") if print_ else "missing"
        table.add_row(print_ or "unknown", use, *(f"{kinds[kind.name]:,}" for kind in reseal.KINDS))
    wide_console().print(table)
    if under_way:
        click.echo(f"In progress: {under_way}.")


@command.command("rotate")
@click.option("--no-new", is_flag=True, help="Do not create a key; reseal with the first existing one.")
@click.option("--foreground", is_flag=True, help="Reseal in this process and show the progress.")
@yes_option
def rotate(no_new: bool, foreground: bool, yes: bool) -> int:
    """Create a new key and reseal everything with it.

    The key is put first in the key file, where running processes find it. The workers then reseal everything in the
    background, in small steps; `syncengine keys list` shows the progress. If this is interrupted, run it again to
    continue. With SYNCENGINE_KEYS no key is created: put a new one first on every host, restart the processes, then run
    this.
    """
    current = settings.load()
    with open_engine() as engine:
        with _alone(engine):
            engine.vault.refresh()  # another command may have created one since this process started
            creates_key = not (no_new or current.given_keys or reseal.progress_if_readable(engine.store, engine.vault))
            if creates_key and not (
                yes or engine.store.is_sqlite or confirmed(False, f"{OTHER_HOSTS} Create it here?")
            ):
                click.echo(f"No changes made. {OTHER_HOSTS} Re-run with --yes if this is the only host.")
                return Exit.NO
            if creates_key:
                _make(engine, current.key_file)
            click.echo(f"Resealing with {reseal.request(engine.store, engine.vault).key}.")
        if foreground:
            return _wait(engine)
    click.echo("The workers reseal in the background. Use `syncengine keys list` to see the progress.")
    return Exit.OK


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold the lock on the keys, so that no other command writes the key file. Raises Misconfigured if one does."""
    with Lock(engine.store, "keys", LEASE_S).tried() as is_ours:
        if not is_ours:
            raise Misconfigured("another command is changing the keys. Try again in a minute")
        yield


def _make(engine: Engine, file: Path) -> None:
    keys.put_first(file, keys.new())
    click.echo(f"Created a new key in {file}. Keep a copy of the file elsewhere.")
    engine.vault.refresh()
    clock.sleep(2 * CHECK_FILE_EVERY_S)  # until all processes of this host seal with it


def _wait(engine: Engine) -> int:
    while (progress := reseal.run(engine, for_s=ROUND_S)) is not None:
        click.echo(str(progress))
    if (left := reseal.progress_if_readable(engine.store, engine.vault)) is not None:
        click.echo(f"A worker is resealing: {left}. Use `syncengine keys list` to see the progress.")
        return Exit.NO
    click.echo(
        "Everything that could be opened is sealed with the newest key. Use `syncengine keys drop KEY` to remove an older one."
    )
    return Exit.OK


@command.command("drop")
@click.argument("key")
def drop(key: str) -> int:
    """Remove an old key that seals nothing.

    KEY is its fingerprint, as in `syncengine keys list`. Earlier backups still need it: keep a copy for as long as you
    keep them.
    """
    current = settings.load()
    with open_engine() as engine, _alone(engine):
        _check_can_drop(engine, key)
        _drop(current, key)
    return Exit.OK


def _check_can_drop(engine: Engine, key: str) -> None:
    """Raises Misconfigured if there is no such key, or it is still needed."""
    prints = engine.vault.fingerprints
    if key not in prints:
        raise Misconfigured(f"there is no key {key}. Keys of this host: {', '.join(prints)}")
    if key == prints[0]:
        raise Misconfigured(f"{key} is the key that seals. Run `syncengine keys rotate` first to replace it")
    sealed: Counter[str] = reseal.counts(engine.store, engine.vault)[key]
    if sealed:
        items = ", ".join(f"{count:,} {name}" for name, count in sealed.items())
        raise Misconfigured(
            f"{key} still seals {items}. Run `syncengine keys rotate --no-new` and wait until it has finished"
        )


def _drop(current: Settings, key: str) -> None:
    if current.given_keys:
        click.echo(
            f"Nothing is sealed with {key}. Remove it from SYNCENGINE_KEYS on every host and restart the processes."
        )
        return
    keys.remove(current.key_file, key)
    left = counted(len(keys.from_file(current.key_file)), "key")
    click.echo(f"Removed {key} from {current.key_file}: {left} left. Earlier backups need it; keep a copy with them.")
