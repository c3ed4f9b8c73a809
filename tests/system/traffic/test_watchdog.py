"""A worker that no longer hears its broker ends itself; one that is busy, or whose Redis is away, does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu import Queue
from line import Line

from tests.services import free_port, start_valkey, stop

pytestmark = pytest.mark.process

DEAF_S = 8
# A worker as the product's, with a task that takes its time. What Celery and kombu do by themselves to find a dead
# connection is off: neither looks for an answer that never comes, nor publishes anything over it.
WORKER = """\
import time
import celeryconfig
from syncengine.celery import app

celeryconfig.broker_transport_options |= {"health_check_interval": 3600, "socket_keepalive_options": {}}
app.conf.worker_send_task_events = False

@app.task(name="test.nap")
def nap(seconds, file):
    time.sleep(seconds)
    open(file, "w").close()

worker = app.Worker(queues=["scheduled"], concurrency=1, hostname="w@%h", without_heartbeat=True)
worker.start()
raise SystemExit(worker.exitcode)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Line, int, Path]]:
    """A worker, the line to its Valkey, the Valkey's port, and the worker's log."""
    port, log = free_port(), tmp_path / "worker.log"
    _, valkey = start_valkey(tmp_path, port=port, append_only=True)
    line = Line(port)
    environment = {
        **os.environ,
        "REDIS_URL": f"redis://127.0.0.1:{line.port}/0",
        "SYNCENGINE_HOME": str(tmp_path / "var"),
        "SYNCENGINE_DEAF_S": str(DEAF_S),
    }
    for name in ("DATABASE_URL", "SYNCENGINE_KEYS"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-m", "syncengine", "migrate"], env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER], env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT, text=True
    )
    yield process, line, port, log
    if process.poll() is None:
        process.kill()
        process.wait()
    line.close()
    stop(valkey)


def _within(seconds: float, what: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.1)
    return False


def test_a_deaf_worker_ends_itself_and_one_that_is_busy_or_waits_for_redis_does_not(
    worker: tuple[subprocess.Popen[str], Line, int, Path], tmp_path: Path
) -> None:
    process, line, port, log = worker
    sender = Celery(broker=f"redis://127.0.0.1:{port}/0")
    sender.conf.update(task_queues=[Queue("scheduled")], broker_transport_options={"global_keyprefix": "syncengine:"})

    def nap(seconds: float, name: str) -> Path:
        sender.send_task("test.nap", (seconds, str(tmp_path / name)), queue="scheduled")
        return tmp_path / name

    busy = nap(1.5 * DEAF_S, "busy")
    assert _within(60, busy.exists)
    assert process.poll() is None

    folder = tmp_path / "again"
    folder.mkdir()
    _shut_down(port)
    assert not _within(1.5 * DEAF_S, lambda: process.poll() is not None)
    _, valkey = start_valkey(folder, port=port)
    after = nap(0, "after")
    assert _within(60, after.exists)
    assert "received nothing" not in log.read_text(encoding="utf-8")

    line.cut()
    try:
        assert process.wait(60) == 1
    finally:
        stop(valkey)
    assert log.read_text(encoding="utf-8").count("although Redis answers: it ends, to be restarted") == 1


def _shut_down(port: int) -> None:
    with redis.Redis(port=port) as client:
        client.shutdown(nosave=True)
