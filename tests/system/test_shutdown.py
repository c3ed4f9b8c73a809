"""A worker that gets SIGTERM in mid-run: nothing is held by it afterwards, nothing is lost, and all work continues at once.

And while processes run anyway: people are notified of an endpoint that goes down without waiting for beat.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from sqlalchemy import func, select

from syncengine.demo.installation import DemoInstallation, ShopSize
from syncengine.settings import REDIS_PREFIX
from syncengine.store import Store
from syncengine.store import models as m
from tests.contract.alerts.sink import Inbox
from tests.services import start_valkey, stop

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("processes")]

SHOP = ShopSize(seed=3, contacts=4, products=10, orders=18)
IN_TIME_S = 45.0
"""What the supervisor gives a worker that runs with calls of 30 s; it takes one or two where systems answer."""


class Installation:
    """A sandbox, a Redis and a store; workers are started and stopped by the test, beat is the test itself."""

    def __init__(self, folder: Path, redis_url: str, inbox: Inbox) -> None:
        self.site = DemoInstallation(folder / "home", "enet", SHOP, None)
        os.environ |= {"REDIS_URL": redis_url, "SYNCENGINE_ALERT_URLS": inbox.url, "SYNCENGINE_CALL_S": "36"}
        self.site.settings = self.site.load_settings(None)
        self.redis = redis.Redis.from_url(redis_url)
        self.url = self.site.start_sandbox()
        settings = self.site.settings
        self.site.configure(self.url)
        self.store = Store(settings.database_url)
        self.inbox = inbox
        self.worker: subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        log = (self.site.home / "worker.log").open("ab")
        queues = "realtime,scheduled,backfill"
        self.worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "syncengine", "worker", f"--queues={queues}", "--concurrency=2"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop_worker(self) -> int:
        """SIGTERM to the parent alone, as every supervisor does it; its exit code."""
        assert self.worker is not None
        self.worker.send_signal(signal.SIGTERM)
        return self.worker.wait(IN_TIME_S)

    def call(self, task: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "celery", "-A", "syncengine", "call", task],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def orders(self) -> list[dict[str, Any]]:
        found = requests.get(f"{self.url}/_sandbox/effects?system=syspro&object=SorMaster", timeout=10).json()
        return [one for one in found if one.get("verb", "create") == "create"]

    def count(self, *where: Any, of: Any = m.Record) -> int:
        with self.store.read() as session:
            return session.scalar(select(func.count()).select_from(of).where(*where)) or 0

    def close(self) -> None:
        if self.worker is not None and self.worker.poll() is None:
            os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()
        self.store.close()
        self.redis.close()
        self.site.stop()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    before = dict(os.environ)
    inbox = Inbox()
    url, server = start_valkey(tmp_path_factory.mktemp("valkey"))
    one = Installation(tmp_path_factory.mktemp("installation"), url, inbox)
    yield one
    one.close()
    stop(server)
    inbox.close()
    os.environ.clear()
    os.environ.update(before)


def _within(seconds: float, what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_sigterm_in_mid_run_leaves_nothing_behind_and_all_goes_on_at_once(installation: Installation) -> None:
    one = installation
    slow = {"system": "syspro", "operation": "*", "kind": "hang", "seconds": 0.4, "times": None}
    requests.post(f"{one.url}/_sandbox/faults", json=slow, timeout=10).raise_for_status()
    one.start_worker()
    one.call("orders.sync")
    assert _within(60, lambda: len(one.orders()) >= 2)

    assert one.stop_worker() == 0
    assert one.count(m.Record.wanted > m.Record.done) > 0  # it was in mid-run
    assert one.count(m.Record.runner.is_not(None)) == 0
    assert one.count(m.Cursor.holder != "", of=m.Cursor) == 0
    assert one.redis.hlen(f"{REDIS_PREFIX}unacked") == 0
    assert one.count(m.Effect.state.in_(("sent", "unknown")), of=m.Effect) == 0

    requests.delete(f"{one.url}/_sandbox/faults", timeout=10).raise_for_status()
    one.start_worker()
    one.call("engine.pump")
    assert _within(60, lambda: one.count(m.Record.wanted > m.Record.done) == 0)
    lost = ("message lost", "step died", "put off")
    assert one.count(m.Event.what.in_(lost), of=m.Event) == 0  # no lease ran out
    created = [effect["reference"] for effect in one.orders()]
    assert len(created) == len(set(created)) > 8


def test_an_endpoint_that_goes_down_is_told_at_once(installation: Installation) -> None:
    one = installation
    assert one.site.sandbox is not None
    one.site.sandbox.terminate()
    one.site.sandbox.wait(10)

    def notified() -> bool:
        one.call("orders.sync")  # a breaker wants to see several calls that fail
        return bool(one.inbox.received)

    assert _within(90, notified)
    assert one.inbox.titles[0].startswith("syncengine: shop is down: ")
    assert "its records continue automatically once it is back" in one.inbox.messages[0]
    said = subprocess.run(
        [sys.executable, "-m", "syncengine", "doctor", "--offline"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 1
    assert "FAIL  endpoint shop         " in said.stdout
    assert "alert: breaker" in said.stdout
