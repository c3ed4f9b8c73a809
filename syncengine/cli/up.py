"""`syncengine up`: start everything that a host needs and keep it running."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._exit import Exit
from syncengine.cli._running import in_the_way
from syncengine.cli.configure import apply_file
from syncengine.engine.setup import bootstrap
from syncengine.errors import Misconfigured
from syncengine.local import redis_server
from syncengine.local import supervisor as supervisor_module
from syncengine.local.supervisor import Supervisor
from syncengine.redaction import redact_url
from syncengine.settings import Settings
from syncengine.store import migrate


@click.command("up")
@click.option("--detach", is_flag=True, help="Return once everything is running; stop it with `syncengine down`.")
@click.option("--yes", is_flag=True, help="Apply changes of the configuration file without confirmation.")
def command(detach: bool, yes: bool) -> int:
    """Start everything that this host needs and keep it running.

    Migrates the store, applies the configuration file, and starts Redis (unless REDIS_URL is set) and all processes. If
    the file has changed, the changes are shown and nothing starts until you confirm them. Processes that exit are
    restarted.
    """
    settings = settings_module.load()
    supervisor = Supervisor(settings, click.echo)
    supervisor.check_can_start()  # before the file is applied: a refusal changes nothing
    if left := supervisor.end_left_behind():
        click.echo(
            f"An earlier run was killed. Stopped the processes that it left behind: {', '.join(map(str, left))}."
        )
    if not settings.may_make_key:
        _ = settings.keys
    if settings.redis_url is not None:
        redis_server.answering_address(settings)
    if running := in_the_way(settings):
        raise Misconfigured(
            f"the store must be migrated, and {'; '.join(running)}. Stop all processes on every host, or run "
            "`syncengine migrate --yes` first"
        )
    migrate.upgrade(settings.database_url)
    _prepare_key(settings)
    has_file = settings.config_path.is_file() and settings.config_path.stat().st_size
    if has_file and not apply_file(settings, settings.config_path, yes=yes):
        click.echo("Nothing started. Apply the changes with `syncengine configure`, or re-run with --yes.")
        return Exit.NO
    process = supervisor.start()
    _show_addresses(settings, supervisor)
    if detach:
        click.echo("Stop it with `syncengine down`.")
        return Exit.OK
    click.echo("Press Ctrl-C to stop.")
    supervisor_module.run(supervisor, process)
    click.echo("Stopped.")
    return Exit.OK


def _prepare_key(settings: Settings) -> None:
    """Create the key, or refuse, before any process needs it."""
    store = bootstrap.open_store(settings)
    try:
        bootstrap.open_vault(settings, store)
    finally:
        store.close()


def _show_addresses(settings: Settings, supervisor: Supervisor) -> None:
    running = ", ".join(supervisor.states())
    click.echo(f"Running: {running}")
    click.echo(f"Flower:  http://127.0.0.1:{settings.flower_port}/")
    click.echo(f"Redis:   {redact_url(redis_server.address(settings).split(';')[0])}")
    click.echo(f"Store:   {settings.shown_database}")
    click.echo(f"Logs:    {supervisor.log_folder}")
