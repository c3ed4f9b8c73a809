"""Processes are known by their pid and by when they started; nobody else's is ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncengine.local import pids
from syncengine.local.pids import Noted
from tests.services import stop

pytestmark = pytest.mark.process

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        stop(process)  # type: ignore[arg-type]


def _start(started: list[subprocess.Popen[str]], home: Path, name: str, code: str) -> subprocess.Popen[str]:
    """A Python that runs `code`, noted as the supervisor notes its children, once it has said `ready`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "syncengine.local.pids", str(home), name, sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_process_notes_itself_and_becomes_its_command(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    process = _start(started, tmp_path, "worker", SLEEP)

    assert [(one.name, one.pid) for one in pids.alive(tmp_path)] == [("worker", process.pid)]
    assert Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[1:3] == [b"-c", SLEEP.encode()]
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not pids.alive(tmp_path)  # although nobody has collected it


def test_a_pid_that_another_program_was_given_is_not_ours(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    stranger = _start(started, tmp_path / "elsewhere", "worker", SLEEP)
    [noted] = pids.alive(tmp_path / "elsewhere")
    boot, ticks = noted.started.split()
    earlier = Noted("worker", stranger.pid, f"{boot} {int(ticks) - 1}")
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "worker").write_text(f"{earlier.pid} {earlier.started}\n")

    assert not pids.alive(tmp_path)
    pids.end([earlier], {})
    earlier.signal(signal.SIGKILL)

    assert stranger.poll() is None
    assert noted.is_alive()


@pytest.mark.parametrize("damaged", ["", "12", "no pid", "\0\0\0", "99999999999999 a 1"])
def test_a_damaged_note_names_nobody(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "worker").write_text(damaged)

    assert not pids.alive(tmp_path)


def test_who_does_not_end_in_its_time_is_killed_with_its_children(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    with_child = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]); import time; time.sleep(60)"
    )
    deaf = _start(
        started, tmp_path, "worker", f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {with_child}"
    )
    gentle = _start(started, tmp_path, "beat", SLEEP)

    pids.end(pids.alive(tmp_path), {"worker": 0.2})

    assert (deaf.wait(5), gentle.wait(5)) == (-signal.SIGKILL, -signal.SIGTERM)
    assert deaf.stdout is not None
    assert deaf.stdout.read() == ""  # its child, which held the other end, has gone as well
