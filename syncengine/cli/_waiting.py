"""Waiting until what was asked for has come to rest, and saying meanwhile what it waits for."""

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
from syncengine.engine.core.engine import Engine
from syncengine.engine.doctor import systems
from syncengine.engine.people import status
from syncengine.engine.people.status import Backlog
from syncengine.engine.traffic import quota
from syncengine.engine.watch import health
from syncengine.engine.watch.health import Pace
from syncengine.errors import SyncError
from syncengine.store.states import Lane

LOOK_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a flow of some connections (by id, with their names), all of it or these keys, in a lane."""

    flow: str
    connections: dict[int, str]
    keys: Sequence[str]
    lane: Lane

    def backlog(self, one: Engine) -> Backlog:
        """How it stands now. Raises Transient."""
        return status.backlog(one, self.flow, connections=list(self.connections), keys=self.keys)


def told(left: Backlog) -> str:
    """A backlog in a line, each record once: `4 due, 10 done`."""
    due = [f"{left.due} due"] if left.due else []
    return ", ".join([*due, *(f"{count} {name}" for name, count in sorted(left.at_rest.items()))])


def wait(one: Engine, asked: Asked, *, stalled_s: float, quiet: bool) -> tuple[Backlog, str]:
    """Wait until all of it is at rest, with a bar. Gives up when nothing moves and a look has found out why, or after
    `stalled_s` seconds without a move. Returns how it stands then, and why not all of it is at rest. Raises Transient."""
    console = Console(stderr=True, quiet=quiet)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[told]}"))
    moved = looked = clock.monotonic()
    last = -1
    with Progress(TextColumn(asked.flow), *columns, console=console, transient=True) as progress:
        task = progress.add_task(asked.flow, total=None, told="")
        while True:
            left, now = asked.backlog(one), clock.monotonic()
            progress.update(task, total=left.total, completed=left.total - left.due, told=told(left))
            if not left.due:
                return left, ""
            if left.due != last:
                last, moved = left.due, now
            if now - looked >= LOOK_EVERY_S:
                looked = now
                why, still_s = _hindrance(one, asked, left, stalled_s), now - moved
                if still_s >= LOOK_EVERY_S and (why or still_s >= stalled_s):
                    why = why or "they go on by themselves; `syncengine trace ID` says where one of them stands"
                    return (
                        left,
                        f"{left.due} of {asked.flow} are still due, and nothing has moved for {still_s:.0f} s: {why}",
                    )
                if still_s >= LOOK_EVERY_S or not console.is_terminal:
                    waits = why or "; ".join(["waits for the workers", *_quotas(one)])
                    progress.console.print(f"{asked.flow}: {told(left)}; {waits}", markup=False, highlight=False)
            clock.sleep(0.5)


def _hindrance(one: Engine, asked: Asked, left: Backlog, stalled_s: float) -> str:
    """What keeps it from moving, with what to do, of the cause that lies deepest; empty if nothing is known to."""
    ends = {end.name for number in asked.connections for end in one.connection(number).endpoints.values()}
    resting = [finding for finding in systems.at_rest(one) if finding.part.removeprefix("endpoint ") in ends]
    if resting:
        return "; ".join(
            f"{one.says}. {one.remedy}" if one.remedy else f"{one.says}; they go on by themselves after it"
            for one in resting
        )
    parts = {health.PUMP, asked.lane.label, *(f"{name}: {asked.flow}" for name in asked.connections.values())}
    for vital in health.vitals(one, stalled_s=stalled_s):
        if vital.pace is Pace.STALLED and vital.name in parts:
            return f"{vital.name}: {vital.says}. {vital.remedy}"
    if left.next_at is not None and left.next_at > clock.now() + timedelta(seconds=stalled_s):
        return f"they are put off, the first until {left.next_at:%H:%M:%S} UTC; `syncengine trace ID` says why"
    return ""


@contextmanager
def reading(one: Engine, flow: str, *, quiet: bool) -> Iterator[None]:
    """While feeds are read, which waits for quotas: say so now and then."""
    is_over = threading.Event()

    def say() -> None:
        while not is_over.wait(LOOK_EVERY_S):
            click.echo("; ".join([f"{flow}: its feeds are being read", *_quotas(one)]), err=True)

    teller = threading.Thread(target=say, daemon=True)
    if not quiet:
        teller.start()
    try:
        yield
    finally:
        is_over.set()
        if not quiet:
            teller.join()


def _quotas(one: Engine) -> list[str]:
    try:
        return [f"{left['endpoint']}: {left['says']}" for left in quota.left(one)]
    except SyncError:  # it is only told on the way
        return []
