"""`syncengine configure`: apply the installation's configuration file to the store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from syncengine import environment, settings
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, dry_run_option, yes_option
from syncengine.cli._output import NOT_CONFIRMED, disabled_doc, show_disabled, show_json
from syncengine.cli._person import confirmed, me
from syncengine.engine.setup import bootstrap, configure
from syncengine.engine.setup.configure import Given, Installation
from syncengine.engine.setup.difference import Difference
from syncengine.flows import BrokenFlow, Flow
from syncengine.settings import Settings
from syncengine.store import Store
from syncengine.vault import Vault

QUESTION = "Apply these changes?"
MAX_SHOWN = 20  # changes of one connection or endpoint


@click.command("configure")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--same-account",
    "same_account",
    multiple=True,
    metavar="ENDPOINT",
    help="Confirm that the new address of ENDPOINT reaches the same account, company and data. Repeatable.",
)
@click.option(
    "--no-recheck", is_flag=True, help="Leave records as they are that were skipped or held by the former file."
)
@dry_run_option
@yes_option
@as_json
def command(
    file: Path | None, same_account: tuple[str, ...], no_recheck: bool, dry_run: bool, yes: bool, as_json: bool
) -> int:
    """Apply the configuration file to the store and the vault.

    FILE (default: SYNCENGINE_CONFIG) has endpoints, connections and secrets. The command checks everything, shows the
    changes and their consequences, and asks before it stores them. It stores nothing if any check fails. A connection
    that is not in FILE is no longer synced; its links and history are kept. The endpoints of a connection with links
    must reach the same accounts as before. Records that a change concerns (skipped by a rule whose setting is another
    now, held creates once verify_creates_until is set) are counted and processed again, unless --no-recheck is given.
    """
    current = settings.load()
    with _read(current, file or current.config_path, same_account, recheck=not no_recheck) as given_file:
        found = given_file.compare()
        if not as_json:
            _show(found, given_file.installation, given_file.given.broken)
        is_confirmed = not dry_run and (not found or yes or confirmed(as_json, QUESTION))
        if is_confirmed:
            given_file.apply(found)
        if as_json:
            disabled = disabled_doc(given_file.given.broken)
            show_json({"applied": is_confirmed and bool(found), **found.to_doc(), "disabled": disabled})
        elif found:
            click.echo(_outcome(is_confirmed, dry_run))
    return Exit.OK if is_confirmed or dry_run else Exit.NO


def apply_file(current: Settings, path: Path, *, yes: bool) -> bool:
    """Show the changes in the file and store them if it is the first file, nothing changes, `yes` is set, or a person agrees.

    Returns whether the store now matches the file. Raises Misconfigured, Transient.
    """
    with _read(current, path, ()) as file:
        found = file.compare()
        _show(found, file.installation, file.given.broken)
        if found and not (found.is_first or yes or confirmed(False, QUESTION)):
            return False
        file.apply(found)
    return True


@dataclass(frozen=True)
class _File:
    """The file as it was read, with the store, vault and flows that it is compared with."""

    store: Store
    vault: Vault
    flows: Mapping[str, Flow]
    installation: Installation
    given: Given

    def compare(self) -> Difference:
        return configure.compare(self.store, self.vault, self.flows, self.installation, self.given)

    def apply(self, seen: Difference | None) -> Difference:
        return configure.apply(self.store, self.vault, self.flows, self.installation, self.given, seen=seen)


@contextmanager
def _read(current: Settings, path: Path, same_account: Collection[str], *, recheck: bool = True) -> Iterator[_File]:
    installation = configure.read_file(path, environment.current())
    store = bootstrap.open_store(current)
    try:
        vault = bootstrap.open_vault(current, store)
        flows, folder = bootstrap.flows_to_install(current, store)
        given = Given(
            same_account=same_account, flows_folder=folder, call_s=current.call_s, by=me(), recheck=recheck,
            broken=flows.broken,
        )  # fmt: skip
        yield _File(store, vault, flows, installation, given)
    finally:
        store.close()


def _show(found: Difference, installation: Installation, broken: Mapping[str, BrokenFlow]) -> None:
    endpoints = ", ".join(endpoint.name for endpoint in installation.endpoints)
    connections = ", ".join(f"{plan.name} ({', '.join(plan.flows)})" for plan in installation.connections)
    click.echo(f"Endpoints: {endpoints}. Connections: {connections}.")
    show_disabled(broken)
    for name in found.not_synced:
        click.echo(
            f"Not in the file, so not synced: {name}. Its links and history are kept. Add it to the file to sync it again."
        )
    if not found:
        click.echo("No changes.")
    for where in found.places:
        click.secho(where, bold=True)
        changes = [change for change in found.changes if change.where == where]
        for change in changes[:MAX_SHOWN]:
            click.echo(f"  {change}")
        if len(changes) > MAX_SHOWN:
            click.echo(f"  ... and {len(changes) - MAX_SHOWN:,} more; --json lists them all")
    for consequence in found.consequences:
        click.secho(f"=> {consequence}", fg="yellow")


def _outcome(is_confirmed: bool, dry_run: bool) -> str:
    if is_confirmed:
        return "Applied."
    return "No changes made." if dry_run else NOT_CONFIRMED
