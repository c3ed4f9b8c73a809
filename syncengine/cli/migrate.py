"""`syncengine migrate`: bring the store to the revision that this version needs."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._engine import NO, agreed
from syncengine.cli._running import in_the_way
from syncengine.store import migrate


@click.command("migrate")
@click.option(
    "--yes", is_flag=True, help="Migrate although processes run. From 0.1.0 on they stop by themselves within seconds."
)
def command(yes: bool) -> int:
    """Bring the store to the revision that this version needs. Safe to repeat.

    Refuses while processes of the version before run: stop them on every host first. Make a backup before: it is
    the only way back.
    """
    settings = settings_module.load()
    settings.folder()
    running = in_the_way(settings)
    for one in running:
        click.echo(one, err=True)
    if running and not yes and not agreed(False, "Migrate all the same?"):
        click.echo("No changes made. Stop what runs on every host, or re-run with --yes.", err=True)
        return NO
    revision = migrate.upgrade(settings.database_url)
    click.echo(f"{settings.shown_database} is at revision {revision}.")
    return 0
