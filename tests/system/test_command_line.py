"""The command line and Celery's: whatever is configured wrongly is one clear line, never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from syncengine import __version__, clock
from syncengine.settings import Settings
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Status
from tests.services import free_port
from tests.system.frame_fixtures import Run, bare_environment, bare_settings, redis_url, run, start

__all__ = ["bare_environment", "bare_settings", "redis_url", "run", "start"]

pytestmark = pytest.mark.process
LOGINS = (None, ("ops", "pa"), ("ops", "pa$word"))


def test_version_and_help_need_no_configuration(start: Run) -> None:
    assert start("syncengine", "--version", REDIS_URL="nonsense").stdout == f"syncengine, version {__version__}\n"
    shown = start("syncengine", "--help", REDIS_URL="nonsense")
    assert shown.returncode == 0
    assert {"up", "down", "migrate", "keys", "sandbox"} <= {
        line.split()[0] for line in shown.stdout.splitlines() if line
    }


SLOW = {
    "alembic", "apprise", "celery", "marshmallow", "redis", "requests",
    "syncengine.connectors.brightpearl", "syncengine.connectors.syspro", "syncengine.engine.steps",
    "syncengine.engine.watch.watcher", "syncengine.flows.reader", "syncengine.http.limiter", "syncengine.mapping.compiler",
}  # fmt: skip
"""Modules and packages that take long to load, and that a command does without if it only reads the store."""

READS = (
    "status",
    "trace 5001",
    "trace left:5001",
    "trace 1001",
    "trace nosuch",
    "held list",
    "held list --object 5001",
)


@pytest.fixture
def installed(run: Run, bare_settings: Settings) -> None:
    """A store with a connection of all shipped flows, and the records and link of an order, one of them held."""
    assert run("syncengine", "migrate").returncode == 0
    store, now = Store(bare_settings.database_url), clock.now()
    times = {"created_at": now, "updated_at": now}
    with store.write() as session:
        ends = [m.Endpoint(name=system, system=system, settings={}) for system in ("brightpearl", "syspro")]
        session.add_all(ends)
        session.flush()
        flows = ["customers", "orders", "order_tax"]
        place = m.ConnectionRow(name="main", left_id=ends[0].id, right_id=ends[1].id, flows=flows, settings={})
        session.add(place)
        session.flush()
        link = {"entity": "orders", "left_key": "5001", "right_key": "001001", "lines": {}}
        session.add(m.Link(connection_id=place.id, **link, **times))
        for flow, status in (("orders", Status.HELD), ("order_tax", Status.DONE)):
            state = {"status": status, "lane": 1, "not_before": now, "done": 1, "reason": "a rule"}
            session.add(m.Record(connection_id=place.id, flow=flow, key="5001", **state, **times))
    store.close()


@pytest.mark.usefixtures("installed")
def test_commands_that_read_the_store_import_nothing_that_they_do_not_need(tmp_path: Path) -> None:
    """Each of these takes longer than the command's own work."""
    code = (
        "import contextlib, sys\n"
        "from syncengine.cli import main\n"
        f"for words in {READS}:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main(words.split())\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "SYNCENGINE_HOME": str(tmp_path / "var"), "REDIS_URL": ""},
    )  # fmt: skip
    *shown, loaded = done.stdout.splitlines()
    assert "sqlalchemy.orm" in loaded.split(), done.stderr
    assert not SLOW & set(loaded.split())
    assert "No record of nosuch." in shown
    assert sum("linked: brightpearl 5001 = syspro 001001" in line for line in shown) == 3  # once for each name
    assert sum(line.split()[2:5] == ["main", "orders", "5001"] for line in shown) == 2  # in both lists
    rows = {line.split()[1]: line for line in shown if line.startswith("main  ")}
    assert "never" in rows["orders"]
    assert "after orders" in rows["order_tax"]


@pytest.mark.usefixtures("installed")
def test_a_redis_that_does_not_answer_is_asked_once(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        done = run("syncengine", "status", REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert done.stdout.startswith("Nothing is synced now: REDIS_URL = redis://127.0.0.1:")
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_keys_new_prints_a_key_that_can_be_used(run: Run) -> None:
    key = run("syncengine", "keys", "new").stdout.strip()

    assert run("syncengine", "migrate", SYNCENGINE_KEYS=key).returncode == 0


def test_migrate_makes_the_store_and_may_be_repeated(run: Run, bare_settings: Settings) -> None:
    first, second = run("syncengine", "migrate"), run("syncengine", "migrate")

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout
    assert (bare_settings.home / "syncengine.db").exists()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"REDIS_URL": "localhost"}, "REDIS_URL = 'localhost' is not an address of a Redis."),
        ({"REDIS_URL": "redis://nowhere.invalid:1/0"}, "Start that Redis, or correct REDIS_URL"),
        ({"DATABASE_URL": "oracle://x"}, "DATABASE_URL = 'oracle://x' is not an address of a PostgreSQL or SQLite."),
        ({"SYNCENGINE_LEASE_S": "abc"}, "SYNCENGINE_LEASE_S = 'abc' is not a number of seconds."),
        ({"SYNCENGINE_KEYS": "abc"}, "key 1 of SYNCENGINE_KEYS is not a key."),
        ({"SYNCENGINE_CONFIG": "/nowhere.yml"}, "SYNCENGINE_CONFIG = '/nowhere.yml' is not a file."),
        ({"DATABASE_URL": "postgresql://h/n"}, "set SYNCENGINE_KEYS; `syncengine keys new` makes one"),
    ],
)
def test_up_with_a_wrong_setting_is_one_line(run: Run, variables: dict[str, str], says: str) -> None:
    done = run("syncengine", "up", **variables)

    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("syncengine: ")
    assert says in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["worker", "beat", "flower", "inspect ping", "call orders.sync"])
def test_celery_without_a_redis_is_one_line(run: Run, command: str) -> None:
    done = run("celery", "-A", "syncengine", *command.split(), FLOWER_BASIC_AUTH="ops:secret")

    assert done.returncode != 0
    assert done.stderr.strip() == "syncengine: no Redis is known. Run `syncengine up` or set REDIS_URL"


@pytest.mark.parametrize("command", ["worker", "call orders.sync"])
def test_celery_with_a_redis_that_does_not_answer_is_one_line(start: Run, command: str) -> None:
    address = f"redis://:secret@127.0.0.1:{free_port()}/0"

    done = start("celery", "-A", "syncengine", *command.split(), REDIS_URL=address)

    assert done.returncode != 0
    assert done.stderr.strip().startswith("syncengine: REDIS_URL = redis://127.0.0.1:")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "secret" not in done.stderr


def test_flower_without_a_password_is_one_line_and_with_one_in_the_file_it_asks_for_it(
    start: Run, bare_environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    port = bare_environment["SYNCENGINE_FLOWER_PORT"]
    command = ("celery", "-A", "syncengine", "flower", f"--port={port}", "--address=127.0.0.1")
    bare = start(*command, REDIS_URL=redis_url)
    assert bare.returncode == 2
    assert bare.stderr.strip().endswith("can stop workers. Set FLOWER_BASIC_AUTH=USER:PASSWORD in .env")
    assert len(bare.stderr.strip().splitlines()) == 1

    (tmp_path / ".env").write_text("FLOWER_BASIC_AUTH=ops:pa$word\nSYNCENGINE_WORKER=3\n", encoding="utf-8")
    env = {**bare_environment, "REDIS_URL": redis_url}
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline().endswith("Did you mean SYNCENGINE_WORKERS?\n")
        try:
            _await_answer(f"http://127.0.0.1:{port}/healthcheck")
            codes = [
                requests.get(f"http://127.0.0.1:{port}/workers", auth=login, timeout=10).status_code for login in LOGINS
            ]
        finally:
            process.terminate()
    assert codes == [401, 401, 200]


def _await_answer(url: str) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return


def test_celery_finds_the_app_and_its_settings_from_any_folder(run: Run, redis_url: str) -> None:
    done = run("celery", "-A", "syncengine", "report", REDIS_URL=redis_url)

    assert done.returncode == 0
    assert "task_acks_late: True" in done.stdout
    assert "'visibility_timeout': 900" in done.stdout


def test_an_unknown_command_is_named(run: Run) -> None:
    done = run("syncengine", "snyc")

    assert done.returncode == 2
    assert "No such command 'snyc'" in done.stderr
