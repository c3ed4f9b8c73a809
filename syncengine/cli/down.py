"""`syncengine down`: stop what `syncengine up` runs."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._engine import NO
from syncengine.local.supervisor import Supervisor


@click.command("down")
def command() -> int:
    """Stop everything that `syncengine up` runs in this data folder, or left there when it was killed."""
    supervisor = Supervisor(settings_module.load())
    running = supervisor.pid() is not None
    left = supervisor.left_behind()
    if not supervisor.stop():
        click.echo(
            f"Not everything has ended in its time. What it waits for stands in {supervisor.log_folder}.", err=True
        )
        return NO
    if left:
        click.echo(f"Stopped what an earlier run left behind: {', '.join(map(str, left))}.")
    else:
        click.echo("Stopped." if running else "Nothing was running.")
    return 0
