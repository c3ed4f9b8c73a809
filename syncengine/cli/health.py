"""`syncengine health`: does all move? For people, for monitoring, for the health checks of containers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.markup import escape
from rich.table import Table

from syncengine import settings
from syncengine.cli._engine import as_json, engine, show_json, wide_console
from syncengine.engine.watch import health
from syncengine.engine.watch.health import Pace, Vital
from syncengine.errors import Misconfigured
from syncengine.local import redis_server

STYLES = {Pace.MOVES: "green", Pace.RESTS: "yellow", Pace.STALLED: "bold red"}
REDIS_PATIENCE_S = 3.0


@click.command("health")
@click.option("--only", "names", multiple=True, metavar="NAME", help="Look at this part only; may be given repeatedly.")
@as_json
def command(names: tuple[str, ...], as_json: bool) -> int:
    """Say whether all moves: Redis, the pump, the three lanes, and what is due in every flow.

    Exit code 0: all moves, or has a reason to rest. 1: something has stalled; below it stands what to do.
    2: it cannot be found out.
    """
    current = settings.load()
    complaint = _redis_complaint(current)
    with engine() as one:
        found = health.vitals(one, stalled_s=current.stalled_s, redis_complaint=complaint)
    if names:
        found = _chosen(found, names)
    if as_json:
        show_json({"well": health.is_well(found), "parts": [asdict(vital) for vital in found]})
    else:
        _show(found)
    return 0 if health.is_well(found) else 1


def _redis_complaint(current: settings.Settings) -> str:
    try:
        redis_server.answering_address(current, patience_s=0, read_s=REDIS_PATIENCE_S)
    except Misconfigured as error:
        return str(error)
    return ""


def _chosen(found: Sequence[Vital], names: Sequence[str]) -> list[Vital]:
    """Those of these names. Raises Misconfigured if one is unknown."""
    known = {vital.name: vital for vital in found}
    for name in names:
        if name not in known:
            raise Misconfigured(f"--only {name!r} is not a part. There are: {', '.join(known)}")
    return [known[name] for name in names]


def _show(found: Sequence[Vital]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for vital in found:
        table.add_row(vital.name, f"[{STYLES[vital.pace]}]{vital.pace}[/]", escape(vital.says))
        if vital.remedy:
            table.add_row("", "", escape(f"→ {vital.remedy}"))
    wide_console().print(table)
