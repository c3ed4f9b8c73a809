"""`syncengine down`: stop what `syncengine up` started."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._exit import Exit
from syncengine.local.supervisor import Supervisor


@click.command("down")
def command() -> int:
    """Stop everything that `syncengine up` started.

    This includes processes that it left behind in this data folder when it was killed.
    """
    supervisor = Supervisor(settings_module.load())
    running = supervisor.pid() is not None
    left = supervisor.left_behind()
    if not supervisor.stop():
        click.echo(f"Some processes have not stopped in time. See the logs in {supervisor.log_folder}.", err=True)
        return Exit.NO
    if left:
        click.echo(f"Stopped processes left behind by an earlier run: {', '.join(map(str, left))}.")
    else:
        click.echo("Stopped." if running else "Nothing was running.")
    return Exit.OK
