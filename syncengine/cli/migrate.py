"""`syncengine migrate`: migrate the store to the revision that this version needs."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._exit import Exit
from syncengine.cli._person import confirmed
from syncengine.cli._running import in_the_way
from syncengine.store import migrate


@click.command("migrate")
@click.option("--yes", is_flag=True, help="Migrate although processes are running; they stop within seconds.")
def command(yes: bool) -> int:
    """Migrate the store to the revision that this version needs.

    Safe to repeat. Stop all processes on every host first; the command refuses while any are running. Make a backup
    first: it is the only way back.
    """
    settings = settings_module.load()
    settings.folder()
    running = in_the_way(settings)
    for process in running:
        click.echo(process, err=True)
    if running and not yes and not confirmed(False, "Migrate anyway?"):
        click.echo("No changes made. Stop all processes on every host, or re-run with --yes.", err=True)
        return Exit.NO
    revision = migrate.upgrade(settings.database_url)
    click.echo(f"{settings.shown_database} is at revision {revision}.")
    return Exit.OK
