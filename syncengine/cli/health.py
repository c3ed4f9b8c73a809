"""`syncengine health`: is everything making progress? For people, monitoring, and health checks of containers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.markup import escape
from rich.table import Table

from syncengine import settings
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json
from syncengine.cli._output import show_json, wide_console
from syncengine.engine.watch import health
from syncengine.engine.watch.health import Pace, Vital
from syncengine.errors import Misconfigured
from syncengine.local import redis_server

STYLES = {Pace.MOVES: "green", Pace.RESTS: "yellow", Pace.STALLED: "bold red"}
REDIS_PATIENCE_S = 3.0


@click.command("health")
@click.option("--only", "names", multiple=True, metavar="NAME", help="Only this part. Repeatable.")
@as_json
def command(names: tuple[str, ...], as_json: bool) -> int:
    """Check the processes: is everything making progress?

    Covers Redis, connections, pump, lanes and flows. Exit code 1 if something has stalled, with what to do about
    it; 2 if this cannot be determined. No system is called. Use `syncengine doctor` to find causes, `syncengine status`
    for numbers of records.
    """
    current = settings.load()
    redis_problem = redis_server.problem(current, read_s=REDIS_PATIENCE_S)
    with open_engine(is_redis_away=redis_problem is not None) as engine:
        found = health.vitals(engine, stalled_s=current.stalled_s, redis_complaint=redis_problem)
    if names:
        found = _chosen(found, names)
    if as_json:
        show_json({"well": health.is_well(found), "parts": [asdict(vital) for vital in found]})
    else:
        _show(found)
    return Exit.OK if health.is_well(found) else Exit.NO


def _chosen(found: Sequence[Vital], names: Sequence[str]) -> list[Vital]:
    """The parts with these names. Raises Misconfigured if a name is unknown."""
    known = {vital.name: vital for vital in found}
    for name in names:
        if name not in known:
            raise Misconfigured(f"--only {name!r} is not a part. Use one of: {', '.join(known)}")
    return [known[name] for name in names]


def _show(found: Sequence[Vital]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    shown = ""
    for vital in found:
        table.add_row(vital.name, f"[{STYLES[vital.pace]}]{vital.pace}[/]", escape(vital.says))
        if vital.remedy and vital.remedy != shown:
            table.add_row("", "", escape(f"→ {vital.remedy}"))
        shown = vital.remedy or shown
    wide_console().print(table)
