"""What was answered with 2xx is stored, if the database is killed within a burst, and if the power fails."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select, update
from werkzeug.serving import make_server

from syncengine import settings
from syncengine.connectors.brightpearl.hooks import body_template
from syncengine.sandbox.brightpearl.webhooks import _rendered
from syncengine.store import Store, migrate
from syncengine.store import models as m
from syncengine.vault import Vault
from syncengine.web.app import Parts, create_app
from tests.conftest import KEY
from tests.contract.web.conftest import SHOP_SECRET, make_site
from tests.services import OwnPostgres, free_port, start_valkey, stop

SHOP = {
    "url": "http://127.0.0.1:9", "account": "demo", "app_ref": "demo", "auth": "private", "limit_per_minute": 0,
}  # fmt: skip
ERP = {"gateway": "enet", "url": "http://127.0.0.1:9/Rest", "operator": "SYNC", "company": "T"}
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int noted(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    struct stat about; char link[64], path[512], line[640];
    fstat(file, &about);
    int result = real(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    int log = open(getenv("SYNCED"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    int count = snprintf(line, sizeof line, "%ld %s\n", (long)about.st_size, path);
    if (log >= 0) { (void)!write(log, line, count); close(log); }
    return result;
}
int fsync(int file) { return noted("fsync", file); }
int fdatasync(int file) { return noted("fdatasync", file); }
"""


class Burst:
    """Clients that send webhooks one after the other until `end`; answered: keys of those with a 2xx."""

    def __init__(self, url: str, secret: str, clients: int = 6) -> None:
        self.answered: list[str] = []
        self.statuses: set[int] = set()
        self._url, self._body = f"{url}/hooks/brightpearl/main", body_template(secret)
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(1, clients + 1)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        key = number * 1_000_000
        with requests.Session() as session:
            while not self._is_over.is_set():
                key += 1
                body = _rendered(self._body, {"full-event": "order.modified", "resource-id": str(key)})
                try:
                    headers = {"Content-Type": "application/json"}
                    answer = session.post(self._url, data=body, headers=headers, timeout=60)
                except requests.RequestException:
                    time.sleep(0.02)
                    continue
                self.statuses.add(answer.status_code)
                if answer.ok:
                    self.answered.append(str(key))

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)


def _within(seconds: float, what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.mark.postgres
@pytest.mark.process
def test_a_database_that_is_killed_within_a_burst_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    server = OwnPostgres(tmp_path)
    migrate.upgrade(server.url)
    store = Store(server.url)
    site = make_site(store, Vault(store, [KEY]))
    app = create_app(Parts(settings.load({}), lambda: site.engine, lambda: None, lambda flow: None))
    web = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    burst = Burst(f"http://127.0.0.1:{web.server_port}", SHOP_SECRET)
    try:
        assert _within(60, lambda: len(burst.answered) > 50)
        server.stop()
        assert _within(60, lambda: 503 in burst.statuses)
        server.start()
        before = len(burst.answered)
        assert _within(90, lambda: len(burst.answered) > before + 50)
    finally:
        burst.end()
        web.shutdown()
        thread.join()
    with store.read() as session:
        stored = set(session.scalars(select(m.Record.key)))
    store.close()
    server.close()
    assert burst.statuses == {204, 503}
    assert set(burst.answered) - stored == set()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    url, process = start_valkey(tmp_path)
    yield url
    stop(process)


@pytest.mark.process
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_what_was_answered_survives_a_power_failure(tmp_path: Path, valkey: str) -> None:
    """The process is killed, and all that it had not synced to the disk is cut off the database's log."""
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=tmp_path, check=True)
    database, synced, port = tmp_path / "home" / "syncengine.db", tmp_path / "synced", free_port()
    url = f"sqlite:///{database}"
    migrate.upgrade(url)
    store = Store(url)
    make_site(store, Vault(store, [KEY]))
    with store.write() as session:
        session.execute(update(m.Endpoint).where(m.Endpoint.system == "brightpearl").values(settings=SHOP))
        session.execute(update(m.Endpoint).where(m.Endpoint.system == "syspro").values(settings=ERP))
    store.close()
    (tmp_path / "syncengine.yml").touch()
    environment = {
        **os.environ,
        "LD_PRELOAD": str(tmp_path / "shim.so"),
        "SYNCED": str(synced),
        "SYNCENGINE_HOME": str(tmp_path / "home"),
        "SYNCENGINE_CONFIG": str(tmp_path / "syncengine.yml"),
        "SYNCENGINE_KEYS": KEY,
        "DATABASE_URL": url,
        "REDIS_URL": valkey,
        "SYNCENGINE_WEB_PORT": str(port),
        "SYNCENGINE_WEB_WORKERS": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "--config=python:syncengine.web.server"]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        burst = Burst(f"http://127.0.0.1:{port}", SHOP_SECRET)
        assert _within(90, lambda: len(burst.answered) > 100), burst.statuses
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        burst.end()
    log = Path(f"{database}-wal")
    sizes = [int(line.split()[0]) for line in synced.read_text().splitlines() if line.endswith("syncengine.db-wal")]
    assert not any(line.endswith("syncengine.db") for line in synced.read_text().splitlines()[-len(sizes) :])
    os.truncate(log, max(sizes))
    with sqlite3.connect(database) as connection:
        stored = {key for (key,) in connection.execute("SELECT key FROM record")}
    assert set(burst.answered) - stored == set()
