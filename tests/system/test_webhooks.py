"""Webhooks as the product runs: subscribed, heard within seconds, and not one lost that was answered, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text

from syncengine.connectors.brightpearl.hooks import body_template
from syncengine.demo.installation import DemoInstallation, ShopSize
from syncengine.engine.setup import bootstrap
from syncengine.sandbox.brightpearl.webhooks import _rendered
from tests import forked

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("processes")]

SHOP = ShopSize(seed=5, contacts=3, products=10, orders=3)
PATH = "/hooks/brightpearl/main"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstallation]:
    before = dict(os.environ)
    site = DemoInstallation(tmp_path_factory.mktemp("site") / "home", "enet", SHOP, None)
    os.environ["SYNCENGINE_WEB_URL"] = f"http://127.0.0.1:{site.settings.web_port}"
    site.url = site.start()  # type: ignore[attr-defined]
    assert _within(60, lambda: requests.get(f"{_web(site)}/readyz", timeout=5).ok)
    yield site
    site.stop()
    os.environ.clear()
    os.environ.update(before)


def _web(site: DemoInstallation) -> str:
    return f"http://127.0.0.1:{site.settings.web_port}"


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return forked.server().run("syncengine", words, env=os.environ, cwd=Path.cwd(), timeout_s=90)


def _json(*words: str) -> Any:
    done = _run(*words, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def _within(seconds: float, what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except requests.RequestException:
            pass
        time.sleep(0.1)
    return None


def _sandbox(site: DemoInstallation, path: str, **body: Any) -> Any:
    url = f"{site.url}/_sandbox/{path}"  # type: ignore[attr-defined]
    answer = requests.post(url, json=body, timeout=10) if body else requests.get(url, timeout=10)
    answer.raise_for_status()
    return answer.json()


def test_webhooks_are_subscribed_listed_and_tested(site: DemoInstallation) -> None:
    lacking = _json("webhooks", "list")
    assert [(row["event"], row["id"], row["is_current"]) for row in lacking] == [("order.modified", "", False)]
    untested = _run("webhooks", "test")
    assert (untested.returncode, "webhooks sync" in untested.stdout) == (1, True)
    assert "created: order.modified" in _run("webhooks", "sync").stdout
    assert "unchanged: order.modified" in _run("webhooks", "sync").stdout
    assert "ok" in _run("webhooks", "list").stdout
    tested = _run("webhooks", "test")
    assert (tested.returncode, "has arrived" in tested.stdout) == (0, True), tested
    assert _run("webhooks", "list", "nowhere").returncode == 2


def test_an_order_arrives_within_seconds_of_its_webhook(site: DemoInstallation) -> None:
    products = _sandbox(site, "brightpearl/products")["latest"]
    sku = next(product["identity"]["sku"] for product in products if product["identity"].get("sku"))
    order = _sandbox(site, "brightpearl/orders", statusId=2, rows=[{"sku": sku, "quantity": 1}])["id"]
    assert _within(30, lambda: _record(site, order)), (site.home / "log" / "web.log").read_text()[-2000:]


def _record(site: DemoInstallation, key: object) -> Any:
    engine = create_engine(site.settings.database_url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT hinted_at FROM record WHERE flow = 'orders' AND key = :key AND hinted_at IS NOT NULL"),
            {"key": str(key)},
        ).first()
    engine.dispose()
    return found


def _secret(site: DemoInstallation) -> str:
    store = bootstrap.open_store(site.settings)
    vault = bootstrap.open_vault(site.settings, store)
    try:
        return next(found for number in (1, 2) if (found := vault.read(number, "hook_secret")))
    finally:
        store.close()


class Burst:
    """Clients that send webhooks about orders that do not exist, one after the other. answered: those with a 2xx."""

    def __init__(self, site: DemoInstallation, clients: int) -> None:
        self.answered: list[int] = []
        self.statuses: set[int] = set()
        self._body, self._url = body_template(_secret(site)), f"{_web(site)}{PATH}"
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        key = 700_000_000 + number * 1_000_000
        with requests.Session() as session:
            while not self._is_over.is_set():
                key += 1
                values = {
                    "full-event": "order.modified",
                    "resource-id": str(key),
                    "raised-on": "2026-03-02T09:00:00.000Z",
                }
                try:
                    answer = session.post(
                        self._url,
                        data=_rendered(self._body, values),
                        headers={"Content-Type": "application/json"},
                        timeout=30,
                    )
                except requests.RequestException:
                    time.sleep(0.05)
                    continue
                self.statuses.add(answer.status_code)
                if answer.ok:
                    self.answered.append(key)

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)


def test_nothing_that_was_answered_is_lost_when_processes_are_killed(site: DemoInstallation) -> None:
    assert site.supervisor is not None
    burst = Burst(site, clients=8)
    try:
        for name in ("web", "worker", "realtime", "redis", "web"):
            before = len(burst.answered)
            assert _within(60, lambda before=before: len(burst.answered) > before + 50), (name, burst.statuses)  # type: ignore[misc]
            _kill(site, name)
        before = len(burst.answered)
        assert _within(60, lambda: len(burst.answered) > before + 50), burst.statuses
    finally:
        burst.end()
    assert burst.statuses <= {204, 503}
    engine = create_engine(site.settings.database_url)
    with engine.connect() as connection:
        stored = set(connection.execute(text("SELECT key FROM record WHERE flow = 'orders'")).scalars())
    engine.dispose()
    assert {str(key) for key in burst.answered} - stored == set()


def _kill(site: DemoInstallation, name: str) -> None:
    """Kill a process and its children, as a machine in trouble does."""
    pid = site.pid(name)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)


def test_slow_and_malformed_clients_keep_nobody_else_waiting(site: DemoInstallation) -> None:
    address = ("127.0.0.1", site.settings.web_port)
    assert _within(60, lambda: requests.get(f"{_web(site)}/readyz", timeout=5).ok)
    slow = [socket.create_connection(address, timeout=30) for _ in range(80)]  # more than the threads of both processes
    for connection in slow:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: applic".encode())
    begun = time.monotonic()
    assert requests.get(f"{_web(site)}/healthz", timeout=40).ok
    assert time.monotonic() - begun < 20  # they are cut off after five seconds
    for connection in slow:
        connection.close()

    with socket.create_connection(address, timeout=30) as connection:  # a body that never comes
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 408")
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(f"POST {PATH}/{'x' * 5000} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 4")


def test_no_secret_is_in_any_log(site: DemoInstallation) -> None:
    secret = _secret(site)
    with socket.create_connection(("127.0.0.1", site.settings.web_port), timeout=30) as connection:
        connection.sendall(f"POST {PATH}/{secret} HTTP/9.9\r\n\r\n".encode())
        connection.recv(64)
    requests.post(f"{_web(site)}{PATH}/{secret}x", json={"event": "order.modified", "ids": "1"}, timeout=10)
    for log in (site.home / "log").iterdir():
        assert secret not in log.read_text(errors="replace"), log
