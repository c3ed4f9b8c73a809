"""Which processes run for a data folder, known by more than the supervisor's memory: each one notes itself in a file.

A process is known by its pid and by when it started, so that another program that was given its number later is never
taken for it. `python -m syncengine.local.pids HOME NAME COMMAND...` notes itself and then becomes COMMAND.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from syncengine import clock
from syncengine.errors import Misconfigured

FOLDER = "pids"
LOOK_EVERY_S = 0.1
OTHERWISE_S = 10.0
KILLED_WITHIN_S = 5.0
"""SIGKILL takes effect at once, unless the process waits for a disk."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A process of ours: its name among our processes, its pid, and when it started (text that is only compared)."""

    name: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"

    def is_alive(self) -> bool:
        """True while it runs; false for a process that merely waits to be collected, or has its number by chance."""
        return _started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Signal it, if it is alive; SIGKILL reaches its children too. Raises Misconfigured if it is another user's."""
        if not self.is_alive():
            return
        try:
            if number == signal.SIGKILL and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it has just ended
        except PermissionError:
            raise Misconfigured(f"{self} belongs to another user. Stop it as that user: `syncengine down`") from None


def note(home: Path, name: str) -> None:
    """Note this very process under a name. Raises OSError.

    An earlier note is written over in place, which needs no room on a full disk.
    """
    folder = home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = f"{os.getpid()} {_started(os.getpid())}\n".encode()
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, text)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)


def alive(home: Path) -> list[Noted]:
    """The noted processes of a data folder that run now, by name. A note that is damaged names nobody."""
    folder = home / FOLDER
    found = [_read(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [noted for noted in found if noted is not None and noted.is_alive()]


def end(processes: Iterable[Noted], patience_s: Mapping[str, float]) -> None:
    """SIGTERM to all of them, SIGKILL to those that still run after their time (seconds by name, else `OTHERWISE_S`).

    Returns when none runs, or `KILLED_WITHIN_S` after the last SIGKILL. Raises Misconfigured.
    """
    waited_for = list(processes)
    begun = clock.monotonic()
    for one in waited_for:
        one.signal(signal.SIGTERM)
    killed_at: dict[Noted, float] = {}
    while waited_for := [one for one in waited_for if one.is_alive()]:
        now = clock.monotonic()
        for one in waited_for:
            if one not in killed_at and now - begun >= patience_s.get(one.name, OTHERWISE_S):
                one.signal(signal.SIGKILL)
                killed_at[one] = now
        if all(now - killed_at.get(one, now) >= KILLED_WITHIN_S for one in waited_for):
            return
        clock.sleep(LOOK_EVERY_S)


def _read(path: Path) -> Noted | None:
    try:
        pid, _, started = path.read_text(encoding="ascii").strip().partition(" ")
        return Noted(path.name, int(pid), started) if started else None
    except (OSError, ValueError):
        return None


def _started(pid: int) -> str | None:
    """When a process started, in a form that no other process of this pid has had; None if none runs.

    Linux: the boot, and clock ticks since then (proc_pid_stat(5), field 22). Elsewhere what `ps` says.
    """
    if not Path("/proc/self/stat").exists():
        asked = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {fields[19]}"


def main(home: str, name: str, *command: str) -> None:
    """Note this process, then become the command. One that cannot be noted runs all the same: only we would not know it."""
    try:
        note(Path(home), name)
    except OSError as error:
        sys.stderr.write(f"{name} cannot be noted in {home}: {error}\n")
        sys.stderr.flush()
    os.execvp(command[0], command)  # noqa: S606 - our own command line


if __name__ == "__main__":
    main(*sys.argv[1:])
