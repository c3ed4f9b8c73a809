"""`syncengine up`: start everything that a host needs and keep it running."""

from __future__ import annotations

import click

from syncengine import settings as settings_module
from syncengine.cli._exit import Exit
from syncengine.cli._running import in_the_way
from syncengine.cli.configure import apply_file
from syncengine.engine.setup import bootstrap
from syncengine.errors import Misconfigured
from syncengine.local import flower, redis_server
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
    for line in settings_module.misspelt(settings):
        click.echo(line)
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
    if not _apply_file(settings, yes=yes):
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


def _apply_file(settings: Settings, *, yes: bool) -> bool:
    """Apply the configuration file, or say that there is none. Returns False if its changes were declined."""
    path = settings.config_path
    if not path.is_file():
        click.echo(
            f"No configuration file {path}: connections stay as they are stored. To set some up, copy "
            "docs/syncengine.example.yml there and run `syncengine configure`."
        )
        return True
    if not path.stat().st_size:
        click.echo(f"{path} is empty: connections stay as they are stored.")
        return True
    return apply_file(settings, path, yes=yes)


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
    has_flower = settings.flower_auth
    click.echo(
        f"Flower:  {f'http://127.0.0.1:{settings.flower_port}/' if has_flower else f'not started. {flower.HOW}'}"
    )
    click.echo(
        f"Web:     {f'http://{settings.web_address}:{settings.web_port}/' if settings.web_port else 'not started'}"
    )
    click.echo(f"Redis:   {redact_url(redis_server.address(settings).split(';')[0])}")
    click.echo(f"Store:   {settings.shown_database}")
    click.echo(f"Logs:    {supervisor.log_folder}")
