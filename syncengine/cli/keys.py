"""`syncengine keys`: the keys that encrypt credentials and stored documents."""

from __future__ import annotations

import click

from syncengine import keys


@click.group("keys")
def command() -> None:
    """Encryption keys (SYNCENGINE_KEYS, newest first)."""


@command.command("new")
def new() -> None:
    """Print a new key. Put it before the old ones, separated by commas: those are still needed to read."""
    click.echo(keys.new())
