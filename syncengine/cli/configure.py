"""`syncengine configure`: the installation's file into the store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from syncengine import settings
from syncengine.cli._engine import NO, agreed, as_json, me, show_json
from syncengine.engine.setup import bootstrap, configure
from syncengine.engine.setup.configure import Given, Installation
from syncengine.engine.setup.difference import Difference
from syncengine.flows import Flow
from syncengine.settings import Settings
from syncengine.store import Store
from syncengine.vault import Vault

MOST_SHOWN = 20  # changes of one connection or endpoint


@click.command("configure")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--same-account",
    "same_account",
    multiple=True,
    metavar="ENDPOINT",
    help="The address of ENDPOINT has changed, and it is the same account, company and data as before. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def command(file: Path | None, same_account: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool) -> int:
    """Read endpoints, connections and secrets from FILE (default: SYNCENGINE_CONFIG) into the store and the vault.

    Everything is checked first; then what would change is shown, with what follows from it, and stored once you agree.
    Nothing is stored if anything is refused. A connection that FILE does not have is no longer synced; its links and history
    are kept. Where a connection has links, its endpoints must reach the same accounts as before.
    """
    current = settings.load()
    with _read(current, file or current.config_path, same_account) as taken:
        found = taken.look()
        if not as_json:
            _show(found, taken.installation)
        is_agreed = not dry_run and (not found or yes or agreed(as_json, "Apply these changes?"))
        if is_agreed:
            taken.apply(found)
        if as_json:
            show_json({"applied": is_agreed and bool(found), **found.to_doc()})
        elif found:
            click.echo(_outcome(is_agreed, dry_run))
    return 0 if is_agreed or dry_run else NO


def take_over(current: Settings, path: Path, *, same_account: Collection[str] = ()) -> None:
    """Store what the file says, without a question. Raises Misconfigured, Transient."""
    with _read(current, path, same_account) as taken:
        taken.apply(None)


def take_over_asked(current: Settings, path: Path, *, yes: bool) -> bool:
    """Show what of the file would change; store it if it is the first time, nothing changes, or a person agrees.

    Returns whether the store is as the file says. Raises Misconfigured, Transient.
    """
    with _read(current, path, ()) as taken:
        found = taken.look()
        _show(found, taken.installation)
        if found and not (found.is_first or yes or agreed(False, "Apply these changes?")):
            return False
        taken.apply(found)
    return True


@dataclass(frozen=True)
class _Taken:
    """The file as it was read, with what it is held against."""

    store: Store
    vault: Vault
    flows: Mapping[str, Flow]
    installation: Installation
    given: Given

    def look(self) -> Difference:
        return configure.compare(self.store, self.vault, self.flows, self.installation, self.given)

    def apply(self, seen: Difference | None) -> Difference:
        return configure.apply(self.store, self.vault, self.flows, self.installation, self.given, seen=seen)


@contextmanager
def _read(current: Settings, path: Path, same_account: Collection[str]) -> Iterator[_Taken]:
    installation = configure.read_file(path, settings.environment())
    store = bootstrap.open_store(current)
    try:
        vault = bootstrap.open_vault(current, store)
        flows, folder = bootstrap.flows_to_install(current, store)
        given = Given(same_account=same_account, flows_folder=folder, call_s=current.call_s, by=me())
        yield _Taken(store, vault, flows, installation, given)
    finally:
        store.close()


def _show(found: Difference, installation: Installation) -> None:
    endpoints = ", ".join(one.name for one in installation.endpoints)
    connections = ", ".join(f"{one.name} ({', '.join(one.flows)})" for one in installation.connections)
    click.echo(f"Endpoints: {endpoints}. Connections: {connections}.")
    for name in found.not_synced:
        click.echo(
            f"Not in the file, so not synced: {name}. Its links and history are kept; it is synced again once the file has it."
        )
    if not found:
        click.echo("Nothing changes.")
    for where in found.places:
        click.secho(where, bold=True)
        some = [one for one in found.changes if one.where == where]
        for one in some[:MOST_SHOWN]:
            click.echo(f"  {one}")
        if len(some) > MOST_SHOWN:
            click.echo(f"  ... and {len(some) - MOST_SHOWN:,} more; --json lists them all")
    for said in found.consequences:
        click.secho(f"=> {said}", fg="yellow")


def _outcome(is_agreed: bool, dry_run: bool) -> str:
    if is_agreed:
        return "Applied."
    return "No changes made." if dry_run else "No changes made. Re-run with --yes to apply."
