"""`syncengine migrate`: bring the store to the revision that this version needs."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.store import migrate


@click.command("migrate")
def command() -> None:
    """Bring the store to the revision that this version needs. Safe to repeat."""
    settings = settings_module.load()
    settings.folder()
    revision = migrate.upgrade(settings.database_url)
    click.echo(f"{settings.shown_database} is at revision {revision}.")
