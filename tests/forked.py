"""Runs `python -m MODULE ARGUMENTS` as a process that is forked from one that has imported everything already.

It has compiled the shipped flows, too. Both are three quarters of what a short command costs, and hundreds of tests run
one. A forked command has its own environment, folder, streams and exit. `test_command_line.py` starts some in an
interpreter of their own.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from syncengine.cli import commands
from syncengine.engine.setup import bootstrap
from tests import shipped
from tests.services import fast_folder

START_PATIENCE_S = 60.0

#: What Celery's own commands import when they are asked for. Never the app: it reads the configuration of its process.
CELERY = ("celery.bin.celery", "celery.apps.worker", "celery.apps.beat", "celery.concurrency.solo", "kombu.transport.redis",
          "celery.backends.redis", "celery.worker.consumer", "celery.worker.components")  # fmt: skip


class Server:
    """The process that forks the others. It ends with the process that has started it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip

    def run(
        self, module: str, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` makes of `python -m MODULE ARGUMENTS`, with both streams as text.

        Raises subprocess.TimeoutExpired after `timeout_s` seconds; the process has been killed then.
        """
        with tempfile.TemporaryDirectory(dir=fast_folder()) as output:
            streams = [f"{output}/stdout", f"{output}/stderr"]
            order = {"module": module, "arguments": arguments, "env": dict(env), "cwd": str(cwd), "streams": streams}
            code = self._carried_out(order, timeout_s)
            said = [Path(stream).read_text(encoding="utf-8") for stream in streams]
        return subprocess.CompletedProcess([module, *arguments], code, *said)

    def _carried_out(self, order: dict[str, Any], timeout_s: float) -> int:
        """The exit code of the order's process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        pid = self._answer(START_PATIENCE_S)["pid"]
        try:
            return self._answer(timeout_s)["code"]
        except TimeoutError as error:
            os.kill(pid, signal.SIGKILL)
            self._answer(START_PATIENCE_S)
            raise subprocess.TimeoutExpired([order["module"], *order["arguments"]], timeout_s) from error

    def _answer(self, timeout_s: float) -> dict[str, int]:
        """The server's next line. Raises TimeoutError if there is none in time."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise TimeoutError
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@functools.cache
def server() -> Server:
    """The server of this test process, started when it is first needed."""
    server = Server()
    atexit.register(server.close)
    return server


def _import_all() -> None:
    for command in commands.list_commands(click.Context(commands)):
        commands.get_command(click.Context(commands), command)
    for name in CELERY:
        importlib.import_module(name)
    shipped.flows()  # with what these import
    bootstrap.compiled_flows = shipped.load_once


def _serve() -> dict[str, Any] | None:
    """Fork for each order. Returns the order in the process that is to carry it out, None in the server at the end."""
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return order
        _say({"pid": pid})
        _say({"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})
    return None


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _become(order: dict[str, Any]) -> None:
    """Take on the order's environment, folder and streams."""
    opened = [os.open(os.devnull, os.O_RDONLY), *(os.open(name, os.O_CREAT | os.O_WRONLY) for name in order["streams"])]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    os.chdir(order["cwd"])
    sys.path[0] = order["cwd"]
    sys.argv[1:] = order["arguments"]


if __name__ == "__main__":
    _import_all()
    gc.freeze()
    if (taken := _serve()) is not None:
        _become(taken)
        runpy.run_module(taken["module"], run_name="__main__", alter_sys=True)
