"""The processes of a data folder, recorded in files, so that they are known even after the supervisor was killed.

A process is identified by its pid and its start time, so that another program that gets the same pid later is never mistaken
for it. `python -m syncengine.local.pids HOME NAME COMMAND...` records itself and then becomes COMMAND.
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
CHECK_EVERY_S = 0.1
OTHERWISE_S = 10.0
KILLED_WITHIN_S = 5.0
"""SIGKILL takes effect at once, unless the process waits for a disk."""


@dataclass(frozen=True, slots=True)
class Noted:
    """One of our processes: its name, its pid, and its start time (a text for comparison only)."""

    name: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"

    def is_alive(self) -> bool:
        """True while it runs; false for a zombie, and for another process with the same pid."""
        return _started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it is alive; SIGKILL also reaches its children. Raises Misconfigured if it is another user's."""
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
    """Record this process under a name. Raises OSError.

    An earlier record is overwritten in place, which needs no space on a full disk.
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
    """The recorded processes of a data folder that are alive, sorted by name. Damaged records are ignored."""
    folder = home / FOLDER
    found = [_read(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [noted for noted in found if noted is not None and noted.is_alive()]


def end(processes: Iterable[Noted], patience_s: Mapping[str, float]) -> None:
    """Send SIGTERM to all, and SIGKILL to those that still run after `patience_s` (seconds by name, else `OTHERWISE_S`).

    Returns when none runs, or `KILLED_WITHIN_S` after the last SIGKILL. Raises Misconfigured.
    """
    running = list(processes)
    begun = clock.monotonic()
    for process in running:
        process.signal(signal.SIGTERM)
    killed_at: dict[Noted, float] = {}
    while running := [process for process in running if process.is_alive()]:
        now = clock.monotonic()
        for process in running:
            if process not in killed_at and now - begun >= patience_s.get(process.name, OTHERWISE_S):
                process.signal(signal.SIGKILL)
                killed_at[process] = now
        if all(now - killed_at.get(process, now) >= KILLED_WITHIN_S for process in running):
            return
        clock.sleep(CHECK_EVERY_S)


def _read(path: Path) -> Noted | None:
    try:
        pid, _, started = path.read_text(encoding="ascii").strip().partition(" ")
        return Noted(path.name, int(pid), started) if started else None
    except (OSError, ValueError):
        return None


def _started(pid: int) -> str | None:
    """The start time of a process, unique among processes with this pid; None if it does not run.

    Linux: the boot id, and clock ticks since boot (proc_pid_stat(5), field 22). Elsewhere the output of `ps`.
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
    """Record this process, then become the command. A process that cannot be recorded runs all the same."""
    try:
        note(Path(home), name)
    except OSError as error:
        sys.stderr.write(f"{name} cannot be noted in {home}: {error}\n")
        sys.stderr.flush()
    os.execvp(command[0], command)  # noqa: S606 - our own command line


if __name__ == "__main__":
    main(*sys.argv[1:])
