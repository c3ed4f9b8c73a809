"""`syncengine doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

import click

from syncengine import settings
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import counted, show_json
from syncengine.engine.doctor import Finding, Level, Patient, examine
from syncengine.environment import readable_by_others
from syncengine.errors import Misconfigured
from syncengine.local import redis_server, supervisor

REDIS_PATIENCE_S = 3.0
COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
WIDTH = 20


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Call no system: skip addresses, credentials and clocks.")
@as_json
def command(offline: bool, as_json: bool) -> int:
    """Examine the installation: what is wrong, and what to do?

    Covers Redis, the database, the key, flows and connections, the systems, clocks, lanes and schedule, stuck records,
    records that need a person, and alerts. Changes nothing. Exit code 1 if there is anything to do. Use `syncengine
    health` for automatic health checks, which call no system.
    """
    patient = _patient(settings.load())
    try:
        found = examine(patient, offline=offline)
        seen = list(found) if as_json else _shown(found)
    finally:
        if patient.client is not None:
            patient.client.close()
    to_do = [finding for finding in seen if finding.level is not Level.OK]
    if as_json:
        show_json({"well": not to_do, "findings": [asdict(finding) for finding in seen]})
    else:
        _sum_up(to_do)
    return Exit.NO if to_do else Exit.OK


def _patient(current: settings.Settings) -> Patient:
    patient = Patient(
        current,
        client=None,
        redis_complaint=None,
        left_behind=tuple(map(str, supervisor.left_behind(current))),
        misspelt=tuple(settings.misspelt(current)),
        open_env=readable_by_others(),
    )
    try:
        patient = replace(patient, client=redis_server.connect(current, retries=0, read_s=REDIS_PATIENCE_S))
        redis_server.answering_address(current, patience_s=0, read_s=REDIS_PATIENCE_S)
    except Misconfigured as error:
        return replace(patient, redis_complaint=error)
    return patient


def _shown(found: Iterable[Finding]) -> list[Finding]:
    """Print each finding as it comes: a system that does not answer takes half a minute."""
    seen: list[Finding] = []
    for finding in found:
        is_repeated = bool(seen) and seen[-1].remedy == finding.remedy
        seen.append(finding)
        level = click.style(f"{finding.level:<4}", fg=COLOURS[finding.level], bold=finding.level is Level.FAIL)
        click.echo(f"{level}  {finding.part:<{WIDTH}}  {finding.says}")
        if finding.remedy and not is_repeated:
            click.echo(f"{'':<{WIDTH + 8}}→ {finding.remedy}")
    return seen


def _sum_up(to_do: list[Finding]) -> None:
    click.echo()
    if not to_do:
        click.echo("No problems found.")
        return
    worst = next((finding for finding in to_do if finding.level is Level.FAIL), to_do[0])
    remedies = {finding.remedy for finding in to_do}
    click.echo(f"{counted(len(remedies), 'thing')} to do. Start with {worst.part}: {worst.remedy}")
