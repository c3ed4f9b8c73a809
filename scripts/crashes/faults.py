"""What is done to the installation: the kinds of faults, where each can strike, and how each is carried out.

A fault that must strike at an exact place is armed for the processes (`points.py`) or for the simulated systems
(`sandbox/faults.py`), and fires when a process, or a call, passes there; the others strike at once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.crashes import points
from scripts.crashes.installation import Site
from syncengine.sandbox.faults import Fault as SystemFault

SYSPRO_WRITES = ("SORTOI.add", "SORTOI.change", "SORTOX", "ARSSCS")
CORRECTION = "stock_correction.create"
ANYWHERE = "any moment"

#: kind: (where it can strike, what it is).
_STEPS = (*points.BOUNDARY, *points.SENDING)
_MIDST = ("fetch begins", "transform ends", "push begins", "write leaving", "write sent", "write answered", "read sent",
          "after commit: claims", "before commit: outcome", "before commit: page")  # fmt: skip
KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "kill-child": (points.ALL, "SIGKILL of the worker's child that passes"),
    "stop-child": (points.ALL, "SIGSTOP of that child for longer than a lease, then SIGCONT"),
    "kill-main": (_MIDST, "SIGKILL of the worker's main process while a child passes"),
    "stop-main": (_MIDST, "SIGSTOP of the worker's main process for longer than a lease"),
    "kill-beat": ((ANYWHERE,), "SIGKILL of beat"),
    "stop-beat": ((ANYWHERE,), "SIGSTOP of beat for longer than a lease"),
    "redis-restart": ((*_MIDST, *points.SENDING), "SIGKILL of Redis, started again on its append-only file"),
    "flushall": ((*_MIDST, *points.SENDING, ANYWHERE), "Redis emptied"),
    "sql-cut": (_MIDST, "PostgreSQL: all connections ended; SQLite: the write lock held for longer than a lease"),
    "late-commit": (SYSPRO_WRITES, "the write takes effect seconds after its client gave up"),
    "lost-answer": (SYSPRO_WRITES, "the write takes effect and its answer is lost"),
    "cut-call": (SYSPRO_WRITES, "the connection is cut before the write takes effect"),
}
_OF_SYSTEMS = {"late-commit": "late", "lost-answer": "drop", "cut-call": "drop"}


@dataclass
class Fault:
    """One fault: what, where, and what came of it. Times are seconds since the epoch; None while they have not come."""

    number: int
    kind: str
    where: str
    fired_at: float | None = None
    recovered_at: float | None = None
    pid: int = 0
    held: dict[int, int] = field(default_factory=dict)  # id of a record under lease when it fired: revision claimed
    due: int = 0  # records that were not dealt with when it fired


def draw(kinds: Sequence[str], count: int, seed: int) -> list[Fault]:
    """`count` faults: every kind at every of its places in turn, kinds with many places not more often than others' whole."""
    chance = random.Random(seed)
    every = [(kind, where) for kind in kinds for where in KINDS[kind][0]]
    drawn: list[tuple[str, str]] = []
    while len(drawn) < count:
        some = list(every)
        few = [pair for pair in every if len(KINDS[pair[0]][0]) <= len(SYSPRO_WRITES)]
        some += few * 3  # kinds with few places strike several times a turn
        chance.shuffle(some)
        drawn += some
    return [Fault(number, kind, where) for number, (kind, where) in enumerate(drawn[:count], 1)]


def of_stock(faults: Sequence[Fault]) -> list[Fault]:
    """The faults for a round in which goods move: those of SYSPRO's writes and of adoptions strike at corrections instead."""
    instead = dict.fromkeys(SYSPRO_WRITES, CORRECTION) | {
        f"{when} commit: adoption": f"{when} commit: correction found" for when in ("before", "after")
    }
    return [replace(fault, where=instead.get(fault.where, fault.where)) for fault in faults]


def promised(faults: Sequence[Fault], gateway: str) -> list[Fault]:
    """The faults that this gateway is promised to survive.

    A child that is frozen after its last look at the lease sends its write when it wakes. By e.net that dies with its
    session; a Harmony call with an API key takes effect: it is frozen a moment earlier instead (docs/reliability.md).
    """
    gap = "stop-child", "write leaving"
    return [
        replace(fault, where="write before check")
        if gateway == "harmony" and (fault.kind, fault.where) == gap
        else fault
        for fault in faults
    ]


class Harm:
    """Carries faults out, `ROOM` armed at a time; what is frozen is woken by `tend`."""

    ROOM = len(points.ARMED)

    def __init__(self, site: Site) -> None:
        self.site, self.times = site, site.shape.times
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._armed: dict[int, tuple[Fault, SystemFault | Path]] = {}
        self._struck: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Let it strike when its place is passed; one without a place strikes now."""
        if fault.where in points.RARE:  # they are passed only after a write whose outcome nobody knows
            self._tell_systems(CORRECTION if self.site.shape.trades else "SORTOI.add", "lost-answer")
        if fault.kind in _OF_SYSTEMS:
            self._armed[fault.number] = fault, self._tell_systems(fault.where, fault.kind)
        elif fault.where == ANYWHERE:
            self._strike_now(fault)
        else:
            action = {"kill-child": "kill", "stop-child": "stop", "kill-main": "kill main", "stop-main": "stop main"}
            order = {"id": fault.number, "point": fault.where, "action": action.get(fault.kind, "wait")}
            slot = next(path for path in (self.site.points / name for name in points.ARMED) if not path.exists())
            draft = self.site.points / "draft.json"
            draft.write_text(json.dumps(order), encoding="utf-8")
            draft.rename(slot)
            self._armed[fault.number] = fault, slot

    def struck(self) -> list[Fault]:
        """Faults that have struck since this was asked last; what is left to do for them is done."""
        for fault, order in list(self._armed.values()):
            fired = self.site.points / f"fired-{fault.number}"
            if isinstance(order, SystemFault):
                if order.hits:
                    self._note(fault, time.time())
            elif fired.exists():
                seen = json.loads(fired.read_text(encoding="utf-8"))
                self._note(fault, seen["at"], seen["pid"])
                self._follow_up(fault, seen)
        struck, self._struck = self._struck, []
        return struck

    def disarm(self, fault: Fault) -> bool:
        """Take back a fault that has not struck; False if it has, or is just about to."""
        order = self._armed[fault.number][1]
        if isinstance(order, SystemFault):
            self.site.sandbox.faults.remove(order.id)
            if order.hits:
                return False
        else:
            order.unlink(missing_ok=True)
            if list(self.site.points.glob(f"taken-{fault.number}-*")):
                return False
        del self._armed[fault.number]
        return True

    def _note(self, fault: Fault, at: float, pid: int = 0) -> None:
        fault.fired_at, fault.pid = at, pid
        self._armed.pop(fault.number, None)
        self._struck.append(fault)

    def tend(self) -> None:
        """Wake what was frozen long enough."""
        due = [act for at, act in self._later if at <= time.monotonic()]
        self._later = [entry for entry in self._later if entry[0] > time.monotonic()]
        for act in due:
            act()

    def end(self) -> None:
        """Wake everybody now."""
        for _, act in self._later:
            act()
        self._later = []

    @property
    def frozen(self) -> int:
        """How many processes are frozen."""
        return len(self._later)

    def _follow_up(self, fault: Fault, fired: dict[str, Any]) -> None:
        if fault.kind.startswith("stop"):
            self._wake_later(fired["main"] if fault.kind == "stop-main" else fired["pid"])
            return
        done = self.site.points / f"done-{fault.number}"
        if fault.kind == "redis-restart":
            self.site.restart_redis()
        elif fault.kind == "flushall":
            self.site.empty_redis()
        elif fault.kind == "sql-cut":
            self.site.cut_database(self.times.frozen_s)
        done.touch()

    def _strike_now(self, fault: Fault) -> None:
        if fault.kind == "flushall":
            self._note(fault, time.time())
            self.site.empty_redis()
            return
        pid = self.site.pid("beat")
        self._note(fault, time.time(), pid)
        os.kill(pid, signal.SIGKILL if fault.kind == "kill-beat" else signal.SIGSTOP)
        if fault.kind == "stop-beat":
            self._wake_later(pid)

    def _wake_later(self, pid: int) -> None:
        self._later.append((time.monotonic() + self.times.frozen_s, lambda: _continue(pid)))

    def _tell_systems(self, operation: str, kind: str) -> SystemFault:
        late, system = kind == "late-commit", "brightpearl" if operation == CORRECTION else "syspro"
        return self.site.sandbox.faults.add(
            SystemFault(
                system=system, operation=operation, kind=_OF_SYSTEMS[kind], times=1,
                after="commit" if kind == "lost-answer" else "before",
                seconds=self.times.late_s if late else 0.0, hold_s=0.5 if late else 0.0,
            )
        )  # fmt: skip


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # killed meanwhile


def kinds_of(names: Iterable[str]) -> list[str]:
    """Checked names of kinds. Raises ValueError."""
    found = list(names) or list(KINDS)
    if unknown := [name for name in found if name not in KINDS]:
        raise ValueError(f"there is no kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}")
    return found
