"""`syncengine configure`: the installation's file into the store."""

from __future__ import annotations

from pathlib import Path

import click

from syncengine import settings
from syncengine.engine import bootstrap, configure
from syncengine.settings import Settings


@click.command("configure")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def command(file: Path | None) -> None:
    """Read endpoints, connections and secrets from FILE (default: SYNCENGINE_CONFIG) into the store and the vault."""
    current = settings.load()
    click.echo(take_over(current, file or current.config_path))


def take_over(current: Settings, path: Path) -> str:
    """Store what the file says; returns a line that tells what that is. Raises Misconfigured, Transient."""
    installation = configure.read_file(path, settings.environment())
    store = bootstrap.open_store(current)
    try:
        configure.apply(store, bootstrap.open_vault(current, store), bootstrap.flows(current), installation)
    finally:
        store.close()
    endpoints = ", ".join(one.name for one in installation.endpoints)
    connections = ", ".join(f"{one.name} ({', '.join(one.flows)})" for one in installation.connections)
    return f"Endpoints: {endpoints}. Connections: {connections}."
