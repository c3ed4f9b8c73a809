"""Waits until started work is finished, and says meanwhile what it is waiting for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from syncengine import clock
from syncengine.cli._output import counted
from syncengine.engine.core.engine import Engine
from syncengine.engine.doctor import systems
from syncengine.engine.people import status
from syncengine.engine.people.status import Backlog
from syncengine.engine.traffic import quota
from syncengine.engine.watch import health
from syncengine.engine.watch.health import Pace
from syncengine.errors import SyncError
from syncengine.store.states import Lane

CHECK_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Started:
    """What was started: a flow in some connections (names by id), all its records or those with these keys, in a lane."""

    flow: str
    connections: dict[int, str]
    keys: Sequence[str]
    lane: Lane

    def backlog(self, engine: Engine) -> Backlog:
        """Its records by state, as of now. Raises Transient."""
        return status.backlog(engine, self.flow, connections=list(self.connections), keys=self.keys)


def summary(left: Backlog) -> str:
    """A backlog in one line, each record counted once: `4 due, 10 done`."""
    due = [f"{left.due} due"] if left.due else []
    return ", ".join([*due, *(f"{count} {name}" for name, count in sorted(left.at_rest.items()))])


def wait(engine: Engine, started: Started, *, stalled_s: float, quiet: bool) -> tuple[Backlog, str]:
    """Wait until no record is due, with a progress bar unless `quiet`.

    Gives up when there is no progress and the reason is known, or after `stalled_s` seconds without progress. Returns the
    backlog at the end, and the reason why records are still due, empty if none is. Raises Transient.
    """
    console = Console(stderr=True, quiet=quiet)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[summary]}"))
    moved = checked = clock.monotonic()
    last = -1
    with Progress(TextColumn(started.flow), *columns, console=console, transient=True) as progress:
        task = progress.add_task(started.flow, total=None, summary="")
        while True:
            left, now = started.backlog(engine), clock.monotonic()
            progress.update(task, total=left.total, completed=left.total - left.due, summary=summary(left))
            if not left.due:
                return left, ""
            if left.due != last:
                last, moved = left.due, now
            if now - checked >= CHECK_EVERY_S:
                checked = now
                why, still_s = _obstacle(engine, started, left, stalled_s), now - moved
                if still_s >= CHECK_EVERY_S and (why or still_s >= stalled_s):
                    why = why or "they will continue on their own; use `syncengine trace ID` to see where one is"
                    are = "is" if left.due == 1 else "are"
                    waiting = f"{counted(left.due, 'record')} of {started.flow} {are} still waiting"
                    return left, f"{waiting}, without progress for {still_s:.0f} s: {why}"
                if still_s >= CHECK_EVERY_S or not console.is_terminal:
                    waits = why or "; ".join(["waiting for the workers", *_quotas(engine)])
                    progress.console.print(f"{started.flow}: {summary(left)}; {waits}", markup=False, highlight=False)
            clock.sleep(0.5)


def _obstacle(engine: Engine, started: Started, left: Backlog, stalled_s: float) -> str:
    """The root cause that keeps records from progressing, with its remedy; empty if none is known."""
    ends = {end.name for number in started.connections for end in engine.connection(number).endpoints.values()}
    resting = [finding for finding in systems.at_rest(engine) if finding.endpoint in ends]
    if resting:
        return "; ".join(
            f"{finding.says}. {finding.remedy}" if finding.remedy else f"{finding.says}; they continue after it"
            for finding in resting
        )
    parts = {health.PUMP, started.lane.label, *(f"{name}: {started.flow}" for name in started.connections.values())}
    for vital in health.vitals(engine, stalled_s=stalled_s):
        if vital.pace is Pace.STALLED and vital.name in parts:
            return f"{vital.name}: {vital.says}. {vital.remedy}"
    if left.next_at is not None and left.next_at > clock.now() + timedelta(seconds=stalled_s):
        return f"they are delayed, the first until {left.next_at:%H:%M:%S} UTC; use `syncengine trace ID` to see why"
    return ""


@contextmanager
def reading(engine: Engine, flow: str, *, quiet: bool) -> Iterator[None]:
    """Say from time to time that feeds are being read, which may wait for quotas."""
    is_over = threading.Event()

    def say() -> None:
        while not is_over.wait(CHECK_EVERY_S):
            click.echo("; ".join([f"{flow}: reading its feeds", *_quotas(engine)]), err=True)

    reporter = threading.Thread(target=say, daemon=True)
    if not quiet:
        reporter.start()
    try:
        yield
    finally:
        is_over.set()
        if not quiet:
            reporter.join()


def _quotas(engine: Engine) -> list[str]:
    try:
        return [f"{left['endpoint']}: {left['says']}" for left in quota.left(engine)]
    except SyncError:  # shown only as extra information
        return []
