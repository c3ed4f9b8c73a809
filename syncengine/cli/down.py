"""`syncengine down`: stop what `syncengine up` runs."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.local.supervisor import Supervisor


@click.command("down")
def command() -> None:
    """Stop everything that `syncengine up` runs in this data folder."""
    supervisor = Supervisor(settings_module.load())
    running = supervisor.pid() is not None
    supervisor.stop()
    click.echo("Stopped." if running else "Nothing was running.")
