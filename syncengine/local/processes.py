"""The processes of an installation. `Procfile` lists the same processes; a test compares them."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from syncengine.settings import Settings

TASKS_PAGE = "--tasks-columns=name,args,result,state,received,runtime,worker,uuid"
"""Columns of Flower's page of tasks, which by default omits arguments and results."""

MODULES = ("celery", "gunicorn")
"""Commands that are modules of this Python."""

END_S = 15
"""Seconds that a worker needs to end after its current call: to store the outcome and give the rest back."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that is kept running. stop_wait_s: seconds that it may take to end by itself."""

    name: str
    command: tuple[str, ...]
    stop_wait_s: int = 10


def programs(settings: Settings) -> list[Program]:
    """All processes except Redis, in start order. Flower only with a password, the web process only with a port."""
    stop_wait_s = math.ceil(settings.call_s) + END_S
    found = [
        Program("worker", _worker("worker", "scheduled,backfill", settings.workers), stop_wait_s),
        Program("realtime", _worker("realtime", "realtime", settings.realtime_workers), stop_wait_s),
        Program("beat", _celery("beat")),
    ]
    if settings.web_port:
        found.append(Program("web", ("gunicorn", "--config=python:syncengine.web.server"), END_S))
    if settings.flower_auth:
        options = ("--address=127.0.0.1", f"--port={settings.flower_port}", TASKS_PAGE)
        found.append(Program("flower", _celery("flower", *options)))
    return found


def _worker(name: str, queues: str, processes: int) -> tuple[str, ...]:
    return _celery("worker", f"--hostname={name}@%h", f"--queues={queues}", f"--concurrency={processes}")


def _celery(*arguments: str) -> tuple[str, ...]:
    return ("celery", "-A", "syncengine", *arguments)


def runnable(program: Program, home: Path) -> str:
    """The command as one line for a supervisor. It uses this Python, whatever PATH says, and records itself in `home`."""
    head, *rest = program.command
    command = (sys.executable, "-m", head) if head in MODULES else (head,)
    return shlex.join((sys.executable, "-m", "syncengine.local.pids", str(home), program.name, *command, *rest))
