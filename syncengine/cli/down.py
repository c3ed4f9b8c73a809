"""`syncengine down`: stop what `syncengine up` runs."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._engine import NO
from syncengine.local.supervisor import Supervisor


@click.command("down")
def command() -> int:
    """Stop everything that `syncengine up` runs in this data folder."""
    supervisor = Supervisor(settings_module.load())
    running = supervisor.pid() is not None
    if not supervisor.stop():
        click.echo(
            f"Not everything has ended in its time. What it waits for stands in {supervisor.log_folder}.", err=True
        )
        return NO
    click.echo("Stopped." if running else "Nothing was running.")
    return 0
