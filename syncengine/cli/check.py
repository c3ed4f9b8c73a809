"""`syncengine check`: can every system be reached with its credentials?"""

from __future__ import annotations

import click

from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import NO_CONNECTION, disabled_doc, show_json
from syncengine.engine.doctor import Finding, Level, sites, systems
from syncengine.errors import Misconfigured


@click.command("check")
@as_json
def command(as_json: bool) -> int:
    """Call every endpoint: do addresses and the credentials stored now work, and does its setup agree with the settings?

    SYSPRO's operator is logged on again, between two calls of the workers. Settings that a system's own setup speaks of are
    confirmed by it, assumed because it does not say, or contradicted. Exit code 1 if an endpoint fails or contradicts a
    setting, or if a flow is disabled. `syncengine doctor` includes this; use `syncengine endpoints list` to see, without a
    call, whether an endpoint is paused or down.
    """
    with open_engine(calls=True) as engine:
        resting = {finding.endpoint: finding for finding in systems.at_rest(engine)}
        reached = dict(systems.reach(engine))
        settings = list(sites.examine(engine, [name for name, found in reached.items() if found.error is None]))
        broken = engine.broken
    is_ok = all(found.error is None for found in reached.values()) and not broken
    is_ok = is_ok and all(finding.level is Level.OK for finding in settings)
    if as_json:
        endpoints = {name: {"ok": found.error is None, "says": found.says} for name, found in reached.items()}
        disabled = {f"flow {name}": {"ok": False, "says": says} for name, says in disabled_doc(broken).items()}
        show_json({**endpoints, **disabled, **{finding.part: _entry(finding) for finding in settings}})
        return Exit.OK if is_ok else Exit.NO
    for name, found in reached.items():
        click.echo(f"{'ok    ' if found.error is None else 'FAILED'} {name}: {found.says}")
        if isinstance(found.error, Misconfigured) and found.error.remedy:
            click.echo(f"       → {found.error.remedy}")
        elif found.error is None and name in resting:
            click.echo(f"       → {resting[name].says}. To use it now: `syncengine endpoints resume {name}`")
    for finding in settings:
        click.echo(f"{'ok    ' if finding.level is Level.OK else 'FAILED'} {finding.part}: {finding.says}")
        if finding.remedy:
            click.echo(f"       → {finding.remedy}")
    if not reached:
        click.echo(NO_CONNECTION)
    return Exit.OK if is_ok else Exit.NO


def _entry(finding: Finding) -> dict[str, object]:
    return {"ok": finding.level is Level.OK, "says": finding.says, "remedy": finding.remedy}
