"""`syncengine configure`: the installation's file into the store."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from syncengine import settings
from syncengine.engine import bootstrap, configure
from syncengine.mapping.yaml_lines import shown
from syncengine.settings import Settings


@click.command("configure")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--same-account",
    "same_account",
    multiple=True,
    metavar="ENDPOINT",
    help="The address of ENDPOINT has changed, and it is the same account, company and data as before. Repeatable.",
)
def command(file: Path | None, same_account: tuple[str, ...]) -> None:
    """Read endpoints, connections and secrets from FILE (default: SYNCENGINE_CONFIG) into the store and the vault.

    Nothing is stored if anything is refused. A connection that FILE does not have is no longer synced; its links and history
    are kept. Where a connection has links, its endpoints must reach the same accounts as before.
    """
    current = settings.load()
    click.echo(take_over(current, file or current.config_path, same_account=same_account))


def take_over(current: Settings, path: Path, *, same_account: Collection[str] = ()) -> str:
    """Store what the file says; returns lines that tell what that is. Raises Misconfigured, Transient.

    same_account: see `configure.apply`.
    """
    installation = configure.read_file(path, settings.environment())
    store = bootstrap.open_store(current)
    try:
        vault, flows = bootstrap.open_vault(current, store), bootstrap.flows(current)
        left_out = configure.apply(store, vault, flows, installation, same_account=same_account)
    finally:
        store.close()
    endpoints = ", ".join(one.name for one in installation.endpoints)
    connections = ", ".join(f"{one.name} ({', '.join(one.flows)})" for one in installation.connections)
    lines = [f"Endpoints: {endpoints}. Connections: {connections}."]
    lines += [
        f"Not in {shown(path)}, so not synced: {name}. Its links and history are kept; it is synced again once the file has it."
        for name in left_out
    ]
    return "\n".join(lines)
