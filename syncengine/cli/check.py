"""`syncengine check`: do addresses and credentials work?"""

from __future__ import annotations

import click

from syncengine.cli._engine import as_json, engine, show_json
from syncengine.engine.doctor.systems import reach

FAILED = 1


@click.command("check")
@as_json
def command(as_json: bool) -> int:
    """Reach every endpoint of every connection with its credentials, and say what was reached."""
    with engine(calls=True) as one:
        results = {name: {"ok": found.error is None, "says": found.says} for name, found in reach(one)}
    if as_json:
        show_json(results)
    for name, result in results.items() if not as_json else ():
        click.echo(f"{'ok    ' if result['ok'] else 'FAILED'} {name}: {result['says']}")
    if not results and not as_json:
        click.echo("There is no connection yet. Write syncengine.yml and run `syncengine configure`.")
    return 0 if all(result["ok"] for result in results.values()) else FAILED
