"""A Redis on a TCP port, behind a line that can be cut, for brokerfaults.py: what can happen to it, and its return."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import redis
from line import Line

from syncengine import clock
from syncengine.local import redis_server

PATIENCE_S = 30.0


class Broker:
    """One Redis with an append-only file in `folder`. Clients know it by `url`, which leads over the line."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._process: subprocess.Popen[bytes] | None = None
        self._direct = redis.Redis(port=port, socket_timeout=2, socket_connect_timeout=2)
        self.start()
        self._line = Line(port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._line.port}/0"

    def start(self) -> None:
        """Start it with the data it had, and wait until it answers."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        self._process = subprocess.Popen(
            [redis_server.binary(), *options, *durable], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = clock.monotonic() + PATIENCE_S
        while not self.answers():
            if clock.monotonic() > deadline:
                raise SystemExit("Redis did not start")
            clock.sleep(0.05)

    def stop(self, *, how: int = signal.SIGTERM) -> None:
        """End it; SIGTERM lets it write what it has."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it and the line for good."""
        self._line.close()
        self._direct.close()
        self.stop()

    def answers(self) -> bool:
        """True if it answers now."""
        try:
            return bool(self._direct.ping())
        except redis.RedisError:
            return False

    # -- what can happen to it; each returns when it can be used again ------------------------------------------------

    def restarted(self, _: float) -> None:
        """Killed, and started with its data."""
        self.stop(how=signal.SIGKILL)
        self.start()

    def emptied(self, _: float) -> None:
        """FLUSHALL."""
        self._direct.flushall()

    def cut(self, _: float) -> None:
        """All its connections half-open: nobody closed them, nothing comes any more. New ones work."""
        self._line.cut()

    def stopped(self, seconds: float) -> None:
        """Ended, and started with its data after a while; meanwhile connections are refused."""
        self.stop()
        clock.sleep(seconds)
        self.start()

    def frozen(self, seconds: float) -> None:
        """SIGSTOP for a while: connections are accepted by the kernel, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        clock.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    @property
    def faults(self) -> dict[str, Callable[[float], None]]:
        """By name."""
        known = (self.restarted, self.emptied, self.cut, self.stopped, self.frozen)
        return {fault.__name__: fault for fault in known}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
