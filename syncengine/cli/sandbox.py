"""`syncengine sandbox`: both systems simulated over HTTP."""

from __future__ import annotations

import click


@click.command("sandbox", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int | None:
    """Simulate Brightpearl and SYSPRO over HTTP. See `syncengine sandbox --help` for its options."""
    from syncengine.sandbox.__main__ import main

    return main(list(arguments))
