"""`syncengine check`: can every system be reached with its credentials?"""

from __future__ import annotations

import click

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import NO_CONNECTION, disabled_doc, show_disabled, show_json
from syncengine.engine.doctor.systems import reach


@click.command("check")
@as_json
def command(as_json: bool) -> int:
    """Call every endpoint: do addresses and the credentials stored now work?

    SYSPRO's operator is logged on again, between two calls of the workers. Exit code 1 if one fails, or if a flow is
    disabled. `syncengine doctor` includes this; use `syncengine endpoints list` to see, without a call,
    whether an endpoint is paused or down.
    """
    with open_engine(calls=True) as engine:
        results = {name: {"ok": found.error is None, "says": found.says} for name, found in reach(engine)}
        broken = engine.broken
    if as_json:
        show_json(
            {**results, **{f"flow {name}": {"ok": False, "says": says} for name, says in disabled_doc(broken).items()}}
        )
    else:
        show_disabled(broken)
    for name, result in results.items() if not as_json else ():
        click.echo(f"{'ok    ' if result['ok'] else 'FAILED'} {name}: {result['says']}")
    if not results and not as_json:
        click.echo(NO_CONNECTION)
    return Exit.OK if all(result["ok"] for result in results.values()) and not broken else Exit.NO
