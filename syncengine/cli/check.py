"""`syncengine check`: can every system be reached with its credentials?"""

from __future__ import annotations

import click

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import NO_CONNECTION, show_json
from syncengine.engine.doctor.systems import reach


@click.command("check")
@as_json
def command(as_json: bool) -> int:
    """Call every endpoint: do addresses and credentials work?

    Exit code 1 if one fails. `syncengine doctor` includes this; use `syncengine endpoints list` to see, without a call,
    whether an endpoint is paused or down.
    """
    with open_engine(calls=True) as engine:
        results = {name: {"ok": found.error is None, "says": found.says} for name, found in reach(engine)}
    if as_json:
        show_json(results)
    for name, result in results.items() if not as_json else ():
        click.echo(f"{'ok    ' if result['ok'] else 'FAILED'} {name}: {result['says']}")
    if not results and not as_json:
        click.echo(NO_CONNECTION)
    return Exit.OK if all(result["ok"] for result in results.values()) else Exit.NO
