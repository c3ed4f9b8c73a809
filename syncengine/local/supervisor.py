"""`syncengine up`: the embedded Redis and all processes under PyPI's `supervisor`, which restarts processes that die.

Each start writes supervisor's configuration again. Supervisor listens on a unix socket in the data folder and on no port,
and rotates one log file per process. Redis starts first and stops last.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from syncengine import clock
from syncengine.errors import Misconfigured
from syncengine.local import pids, processes, redis_server, supervisord
from syncengine.local.pids import Noted
from syncengine.local.processes import END_S, Program
from syncengine.settings import Settings

log = logging.getLogger(__name__)

CONFIGURATION = "supervisord.conf"
REDIS = "redis"
LOG_FOLDER = "log"
START_PATIENCE_S = 60.0
CHECK_EVERY_S = 0.2
SOCKET = "supervisor.sock"
"""In the data folder. Both sides use a relative path, because the system allows about 100 characters for it."""

WORKING_FOLDER = Path("/proc/self/cwd")
"""A short name of a process's working folder, on Linux only; supervisor makes any other relative path absolute."""

LONGEST_SOCKET_PATH = 90

_HEAD = """\
[supervisord]
nodaemon=true
pidfile={home}/supervisord.pid
logfile={home}/log/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
childlogdir={home}/log
umask=077
{user}
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# Restarted however it ended. A start succeeds after 3 s; earlier failures are retried with growing delays.
# killasgroup: SIGKILL reaches the children too; SIGTERM goes only to the parent, which ends them.
_PROGRAM = """
[program:{name}]
command={command}
directory={directory}
priority={priority}
autorestart=true
startsecs=3
startretries=1000
stopsignal=TERM
stopwaitsecs={stop_wait_s}
killasgroup=true
redirect_stderr=true
stdout_logfile={home}/log/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=5
"""


class Supervisor:
    """The supervised processes of one data folder."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = log.warning) -> None:
        """`say` is called with notices for people about a successful start."""
        self.settings = settings
        self.say = say
        self.home = settings.folder()
        self.log_folder = settings.folder(LOG_FOLDER)

    def start(self) -> subprocess.Popen[bytes]:
        """Start everything and wait until it runs. Returns supervisor's process.

        Raises Misconfigured if it runs already, or with the end of its log if a process keeps ending.
        """
        self.check_can_start()
        configuration = self._write_configuration()
        supervisor = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "syncengine.local.supervisord",
                str(self.home),
                "--configuration",
                str(configuration),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.log_folder / "supervisord.err").open("wb"),
            env={**os.environ, "SYNCENGINE_HOME": str(self.home)},
            start_new_session=True,  # only this process may receive Ctrl-C, otherwise Redis ends before its clients
        )
        try:
            self._await_start(supervisor)
        except BaseException:
            self.stop()
            supervisor.terminate()  # if it never answered
            supervisor.wait()
            raise
        return supervisor

    def stop(self) -> bool:
        """Stop supervisor and all its processes, also orphaned ones. False if a process did not end in time.

        A worker finishes its current call and gives the rest of its records back. It has the time of the longest call for
        that; if it is killed, its records return when their lease expires. Raises Misconfigured.
        """
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = clock.monotonic() + self._patience_s()
            while _is_alive(pid) and clock.monotonic() < deadline:
                clock.sleep(CHECK_EVERY_S)
        self._end_noted()
        if pids.alive(self.home) or (pid is not None and _is_alive(pid)):
            return False
        if self.settings.redis_url is None:
            redis_server.forget(self.settings)
        return True

    def left_behind(self) -> list[Noted]:
        """Processes that run although no supervisor answers: it was killed, or it is just starting or ending."""
        return pids.alive(self.home) if self.pid() is None else []

    def end_left_behind(self) -> list[Noted]:
        """Stop the processes that a killed supervisor left behind, and return them.

        Raises Misconfigured if a process belongs to another user, or does not end.
        """
        left = self.left_behind()
        if left:
            self._end_noted()
            if alive := [process for process in left if process.is_alive()]:
                raise Misconfigured(f"{_listed(alive)} of an earlier run cannot be stopped. Restart this machine")
        return left

    def _end_noted(self) -> None:
        """Stop every recorded process: supervisor first, because it starts others, and Redis last."""
        stop_wait_s = {program.name: program.stop_wait_s for program in processes.programs(self.settings)}
        patience_s = {**stop_wait_s, supervisord.NAME: self._patience_s(), REDIS: END_S}
        pids.end([process for process in pids.alive(self.home) if process.name == supervisord.NAME], patience_s)
        pids.end([process for process in pids.alive(self.home) if process.name != REDIS], patience_s)
        pids.end(pids.alive(self.home), patience_s)

    def _patience_s(self) -> float:
        """Seconds that supervisor may take to end: it stops one process after the other, Redis last."""
        return END_S + sum(program.stop_wait_s for program in processes.programs(self.settings))

    def pid(self) -> int | None:
        """Process id of the supervisor of this data folder; None if none answers."""
        answer: int | None = self._ask("supervisor.getPID")
        return answer

    def states(self) -> dict[str, str]:
        """Supervisor's state by process name: RUNNING, STARTING, BACKOFF, ...; empty if nothing runs."""
        return {process["name"]: process["statename"] for process in self._processes()}

    def pids(self) -> dict[str, int]:
        """Process id by name, of running processes."""
        return {process["name"]: process["pid"] for process in self._processes() if process["pid"]}

    def _processes(self) -> list[dict[str, Any]]:
        return self._ask("supervisor.getAllProcessInfo") or []

    def _ask(self, question: str) -> Any:
        """Ask the supervisor through its socket; None if there is none, or it is just ending."""
        transport = SupervisorTransport(serverurl=f"unix://{SOCKET}")
        try:
            with chdir(self.home):
                return getattr(ServerProxy("http://localhost", transport=transport), question)()
        except (OSError, HTTPException, Fault):
            return None
        finally:
            transport.close()

    def _socket(self) -> Path:
        """The path on which supervisor listens; its working folder is the data folder."""
        return (WORKING_FOLDER if WORKING_FOLDER.exists() else self.home) / SOCKET

    def check_can_start(self) -> None:
        """Raise Misconfigured if this folder's processes run already, Flower's port is taken, or there is no Redis to run.

        Processes that a killed supervisor left behind do not prevent it: `end_left_behind` stops them.
        """
        if len(str(self._socket())) > LONGEST_SOCKET_PATH:
            raise Misconfigured(
                f"the path of SYNCENGINE_HOME = {self.home} is too long for this system. Name another folder"
            )
        if self.pid() is not None:
            raise Misconfigured(f"syncengine runs already in {self.home}. Stop it with `syncengine down`")
        left = {process.name: process for process in pids.alive(self.home)}
        if starting := left.get(supervisord.NAME):
            raise Misconfigured(
                f"{starting} of {self.home} is just starting or ending. Wait a minute, or run `syncengine down`"
            )
        if self.settings.flower_auth and "flower" not in left and not redis_server.is_free(self.settings.flower_port):
            raise Misconfigured(
                f"port {self.settings.flower_port} is taken. Set SYNCENGINE_FLOWER_PORT to another port"
            )
        if self.settings.web_port and "web" not in left and not redis_server.is_free(self.settings.web_port):
            raise Misconfigured(
                f"port {self.settings.web_port} is taken. Set SYNCENGINE_WEB_PORT to another port, or to 0"
            )
        if self.settings.redis_url is None:
            redis_server.binary()

    def _await_start(self, supervisor: subprocess.Popen[bytes]) -> None:
        """Return once all processes run. Raises Misconfigured if one of them keeps ending."""
        deadline = clock.monotonic() + START_PATIENCE_S
        while clock.monotonic() < deadline:
            if supervisor.poll() is not None:
                last_line = (
                    (self.log_folder / "supervisord.err").read_text(errors="replace").strip().rpartition("\n")[2]
                )
                raise Misconfigured(f"the supervisor did not start: {last_line or supervisor.returncode}")
            states = self.states()
            if states and set(states.values()) == {"RUNNING"}:
                return
            for name in (name for name, state in states.items() if state in ("BACKOFF", "FATAL")):
                self._explain(name)
            clock.sleep(CHECK_EVERY_S)
        slow = ", ".join(name for name, state in self.states().items() if state != "RUNNING")
        raise Misconfigured(f"not running after {START_PATIENCE_S:.0f} s: {slow}. See the logs in {self.log_folder}")

    def _explain(self, name: str) -> None:
        """Raise Misconfigured with the last line of a process's log, if a wrong configuration stopped it."""
        log = self.log_folder / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        if lines and lines[-1].startswith("syncengine: "):
            raise Misconfigured(f"{name}: {lines[-1].removeprefix('syncengine: ')}")

    def _write_configuration(self) -> Path:
        programs = processes.programs(self.settings)
        if self.settings.redis_url is None:
            programs.insert(0, Program(REDIS, tuple(redis_server.prepare(self.settings, self.say))))
        user = "user=root\n" if os.geteuid() == 0 else ""  # explicit, otherwise supervisor warns about it
        text = _HEAD.format(home=_escaped(self.home), socket=_escaped(self._socket()), user=user)
        for position, program in enumerate(programs, 1):
            text += _PROGRAM.format(
                name=program.name,
                command=_escaped(processes.runnable(program, self.home)),
                directory=_escaped(Path.cwd()),
                priority=position,
                stop_wait_s=program.stop_wait_s,
                home=_escaped(self.home),
            )
        path = self.home / CONFIGURATION
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path


def left_behind(settings: Settings) -> list[Noted]:
    """`Supervisor.left_behind`, without creating the data folder."""
    return Supervisor(settings).left_behind() if pids.alive(settings.home) else []


def run(supervisor: Supervisor, process: subprocess.Popen[bytes]) -> None:
    """Wait for Ctrl-C or SIGTERM, then stop everything; a second signal interrupts that.

    Raises Misconfigured if the supervisor ends by itself, and not by `syncengine down`.
    """
    try:
        with _signals_raise():
            code = process.wait()
    except KeyboardInterrupt:
        supervisor.stop()
        process.wait()
        return
    if code:
        log = supervisor.log_folder / "supervisord.log"
        raise Misconfigured(f"the supervisor ended with {code} (see {log}). Run `syncengine up` again")


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt inside, as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _is_alive(pid: int) -> bool:
    """True while the process exists and is not a zombie."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
    except ChildProcessError:
        pass  # another process's child: `syncengine down`
    try:
        os.kill(pid, 0)
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # not Linux: a zombie looks alive
        return True


def _listed(noted: Iterable[Noted]) -> str:
    return ", ".join(map(str, noted))


def _escaped(value: object) -> str:
    """A value for supervisor's configuration, in which % starts an expansion."""
    return str(value).replace("%", "%%")
