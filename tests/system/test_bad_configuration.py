"""Whatever is wrong with an installation: one clear line that says what to do, and never a traceback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from syncengine import clock, keys
from syncengine.flows import SHIPPED
from syncengine.sandbox.server import Sandbox
from syncengine.store import Store
from syncengine.store.models import Effect, Link
from tests.services import start_valkey, stop
from tests.system.frame_fixtures import Run, bare_environment, redis_url, run

__all__ = ["bare_environment", "redis_url", "run"]

pytestmark = pytest.mark.process

CONFIGURATION = """\
endpoints:
  shop:
    system: brightpearl
    settings: {{url: "{url}", account: sandbox, app_ref: sandbox_app, auth: private}}
    secrets: {{account_token: "${{TOKEN}}"}}
  erp:
    system: syspro
    settings: {{url: "{url}/SYSPROWCFService/Rest", operator: BPSYNC, company: T}}
    secrets: {{operator_password: "wrong"}}
connections:
  main: {{left: shop, right: erp, mode: live, flows: [customers, orders]}}
"""


def _one_line(done: object, *says: str) -> None:
    """The process ended with one line on stderr that says all this."""
    text = done.stderr.strip()  # type: ignore[attr-defined]
    lines = [line for line in text.splitlines() if line and not line.startswith("made an encryption key")]
    assert done.returncode not in (0, None), text  # type: ignore[attr-defined]
    assert "Traceback" not in text + done.stdout  # type: ignore[attr-defined]
    assert lines, done.stdout  # type: ignore[attr-defined]
    assert lines[-1].startswith("syncengine: ")
    for word in says:
        assert word in lines[-1]


def _write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "syncengine.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def _empty_database(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "syncengine.db").touch()


COMMANDS = ("status", "trace 5001", "deadletters list", "configure")


@pytest.mark.parametrize("command", [*COMMANDS, "health"])
def test_where_there_is_no_installation_it_is_said_and_none_is_begun(run: Run, tmp_path: Path, command: str) -> None:
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1"))
    done = run("syncengine", *command.split(), SYNCENGINE_CONFIG=config, TOKEN="x")
    _one_line(done, "there is no installation yet", "syncengine.db", "Run `syncengine up`, or `syncengine migrate`")
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_was_not_migrated(run: Run, tmp_path: Path, command: str) -> None:
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1"))
    _empty_database(tmp_path)
    _one_line(run("syncengine", *command.split(), SYNCENGINE_CONFIG=config, TOKEN="x"), "Run `syncengine migrate`")


@pytest.mark.parametrize("process", ["worker --pool=solo", "beat"])
def test_a_worker_and_beat_refuse_a_database_that_was_not_migrated(
    run: Run, redis_url: str, tmp_path: Path, process: str
) -> None:
    _empty_database(tmp_path)
    done = run("celery", "-A", "syncengine", *process.split(), REDIS_URL=redis_url)
    _one_line(done, "has no tables of syncengine", "syncengine migrate")


def test_a_worker_starts_with_a_wrong_flow_file_and_its_log_names_file_line_and_remedy(
    run: Run, bare_environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    mine = _own_orders(tmp_path)
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1"))
    variables = {"SYNCENGINE_CONFIG": config, "TOKEN": "x", "REDIS_URL": redis_url}
    for command in (["migrate"], ["configure", "--yes"]):
        assert run("syncengine", *command, **variables).returncode == 0
    mine.write_text("flow: orders\nsource: brightpearl.contakt\nreplaces: true\n", encoding="utf-8")

    log = tmp_path / "worker.log"
    words = [sys.executable, "-m", "celery", "-A", "syncengine", "worker", "--pool=solo", "--loglevel=INFO"]
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            words, cwd=tmp_path, env={**bare_environment, **variables}, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        end = clock.monotonic() + 60
        while " ready." not in log.read_text() and worker.poll() is None and clock.monotonic() < end:
            clock.sleep(0.1)
    finally:
        worker.terminate()
        worker.wait(30)
    said = log.read_text()
    assert " ready." in said
    assert (
        "the flow orders is disabled: flows.d/orders.yml:2: source: there is no resource 'brightpearl.contakt'" in said
    )
    assert "Correct the file, then restart the processes" in said
    assert ". customers.push" in said
    assert ". orders.push" not in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("${TOKEN}", "${NOT_SET}", "NOT_SET is not set"),
        ("flows: [customers, orders]", "flows: [custmers]", "there is no flow 'custmers'"),
        ("right: erp", "right: [erp", "syncengine.yml"),
        ("system: syspro", "system: sapro", "there is no system 'sapro'"),
        ("operator: BPSYNC, ", "", "operator"),
    ],
)
def test_a_wrong_configuration_file(run: Run, tmp_path: Path, old: str, new: str, says: str) -> None:
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1").replace(old, new))
    assert run("syncengine", "migrate").returncode == 0
    _one_line(run("syncengine", "configure", SYNCENGINE_CONFIG=config, TOKEN="x"), says)


def test_unknown_flows_connections_and_times_of_a_sync(run: Run, redis_url: str) -> None:
    assert run("syncengine", "migrate").returncode == 0
    _one_line(run("syncengine", "sync", "oders", REDIS_URL=redis_url), "there is no flow 'oders'", "orders")
    dry_run = ("syncengine", "sync", "oders", "--id", "1", "--dry-run")
    _one_line(run(*dry_run, REDIS_URL=redis_url), "there is no flow 'oders'", "orders")
    _one_line(
        run("syncengine", "sync", "orders", "--connection", "x", REDIS_URL=redis_url), "there is no connection 'x'"
    )
    _one_line(
        run("syncengine", "sync", "orders", "--since", "soon", REDIS_URL=redis_url), "--since 'soon' is not a time"
    )


def test_a_store_that_was_encrypted_with_another_key(run: Run, tmp_path: Path) -> None:
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1"))
    variables = {"SYNCENGINE_CONFIG": config, "TOKEN": "x"}
    assert run("syncengine", "migrate").returncode == 0
    assert run("syncengine", "configure", "--yes", **variables).returncode == 0
    other = {**variables, "SYNCENGINE_KEYS": keys.new()}
    _one_line(run("syncengine", "configure", **other), "another key", "SYNCENGINE_KEYS")


@pytest.mark.parametrize(
    "command", ["syncengine configure", "syncengine status", "syncengine up", "celery -A syncengine beat"]
)
def test_a_key_file_that_is_lost_is_to_be_put_back_and_no_other_is_made(
    run: Run, redis_url: str, tmp_path: Path, command: str
) -> None:
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1"))
    variables = {"SYNCENGINE_CONFIG": config, "TOKEN": "x", "REDIS_URL": redis_url}
    assert run("syncengine", "migrate").returncode == 0
    assert run("syncengine", "configure", "--yes", **variables).returncode == 0
    key = tmp_path / "var" / "key"
    key.unlink()

    done = run(*command.split(), **variables)

    _one_line(done, f"the key file {key} is missing", "Restore it", "docs/operate/keys.md")
    assert not key.exists()


def _link(tmp_path: Path) -> None:
    """The connection has written an order."""
    [file] = (tmp_path / "var").glob("*.db")
    store, now = Store(f"sqlite:///{file}"), clock.now()
    mine = {"connection_id": 1, "entity": "orders", "created_at": now, "updated_at": now}
    written = {
        "verb": "create",
        "resource": "syspro.sales_order",
        "natural_key": "5001",
        "dedupe": "1",
        "state": "done",
    }
    with store.write() as session:
        session.add(Link(**mine, left_key="5001", right_key="000512", lines={}))
        session.add(Effect(**mine, **written, endpoint_id=2, record_id=1, warnings=[]))
    store.close()


def test_another_account_behind_an_endpoint_and_another_address_of_the_same_one(run: Run, tmp_path: Path) -> None:
    text = CONFIGURATION.format(url="http://127.0.0.1:1")
    variables = {"SYNCENGINE_CONFIG": _write(tmp_path, text), "TOKEN": "x"}
    for command in (["migrate"], ["configure", "--yes"]):
        assert run("syncengine", *command, **variables).returncode == 0
    _link(tmp_path)
    _write(tmp_path, text.replace("company: T", "company: P"))
    for more in ((), ("--same-account", "erp")):
        _one_line(
            run("syncengine", "configure", *more, **variables), "company changes from 'T' to 'P'", "Restore company"
        )
    _write(tmp_path, text.replace("127.0.0.1:1/", "127.0.0.1:2/"))
    _one_line(run("syncengine", "configure", **variables), "`syncengine configure --same-account erp`")
    assert run("syncengine", "configure", "--yes", "--same-account", "erp", **variables).returncode == 0
    assert run("syncengine", "configure", **variables).returncode == 0


def test_no_process_starts_with_a_flow_that_would_create_everything_a_second_time(
    run: Run, redis_url: str, tmp_path: Path
) -> None:
    text = CONFIGURATION.format(url="http://127.0.0.1:1")
    variables = {"SYNCENGINE_CONFIG": _write(tmp_path, text), "TOKEN": "x", "REDIS_URL": redis_url}
    mine = _own_orders(tmp_path)
    for command in (["migrate"], ["configure", "--yes"]):
        assert run("syncengine", *command, **variables).returncode == 0
    _link(tmp_path)
    mine.write_text(f"{mine.read_text(encoding='utf-8')}\nentity: sales\n", encoding="utf-8")
    for words in (
        ("celery", "-A", "syncengine", "worker", "--pool=solo"),
        ("syncengine", "status"),
        ("syncengine", "configure"),
    ):
        _one_line(run(*words, **variables), "the flow orders (entity sales) has no links yet", "write `entity: orders`")


def test_no_process_starts_without_the_sites_own_flows(run: Run, redis_url: str, tmp_path: Path) -> None:
    text = CONFIGURATION.format(url="http://127.0.0.1:1")
    variables = {"SYNCENGINE_CONFIG": _write(tmp_path, text), "TOKEN": "x", "REDIS_URL": redis_url}
    mine = _own_orders(tmp_path)
    for command in (["migrate"], ["configure", "--yes"]):
        assert run("syncengine", *command, **variables).returncode == 0
    mine.unlink()
    for words in (("celery", "-A", "syncengine", "worker", "--pool=solo"), ("syncengine", "status")):
        _one_line(run(*words, **variables), f"{mine.parent} no longer has the flow orders", "Restore its files")
    shutil.rmtree(mine.parent)
    for words in (("celery", "-A", "syncengine", "beat"), ("syncengine", "status"), ("syncengine", "configure")):
        _one_line(run(*words, **variables), f"the folder {mine.parent} with the site's own flows does not exist")


def _own_orders(tmp_path: Path) -> Path:
    """The shipped flow of orders, in the site's own folder."""
    folder = tmp_path / "flows.d"
    folder.mkdir()
    shipped = (SHIPPED / "orders.yml").read_text(encoding="utf-8")
    (folder / "orders.yml").write_text(f"{shipped}\nreplaces: true\n", encoding="utf-8")
    (folder / "countries.csv").write_bytes((SHIPPED / "countries.csv").read_bytes())
    return folder / "orders.yml"


def test_without_a_terminal_nothing_is_applied_until_it_is_agreed_to(run: Run, tmp_path: Path) -> None:
    text = CONFIGURATION.format(url="http://127.0.0.1:1").replace("mode: live", "mode: observe")
    variables = {"SYNCENGINE_CONFIG": _write(tmp_path, text), "TOKEN": "x"}
    assert run("syncengine", "migrate").returncode == 0
    first = run("syncengine", "configure", **variables)
    assert (first.returncode, first.stdout.splitlines()[-1]) == (1, "No changes made. Re-run with --yes to apply.")
    assert run("syncengine", "configure", "--yes", **variables).stdout.splitlines()[-1] == "Applied."
    again = run("syncengine", "configure", **variables)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "No changes.")

    _write(tmp_path, text.replace("mode: observe", "mode: live"))
    shown = json.loads(run("syncengine", "configure", "--dry-run", "--json", **variables).stdout)
    assert shown["changes"] == [{"where": "connection main", "what": "mode", "before": "observe", "after": "live"}]
    assert shown["consequences"][0].startswith("main goes live: it writes customers, orders")
    refused = run("syncengine", "up", **variables)
    assert (refused.returncode, refused.stdout.splitlines()[-1][:16]) == (1, "Nothing started.")
    assert shown == json.loads(run("syncengine", "configure", "--json", **variables).stdout)


def test_a_connection_that_is_taken_out_of_the_file_is_named_and_shown_as_not_synced(run: Run, tmp_path: Path) -> None:
    text = CONFIGURATION.format(url="http://127.0.0.1:1")
    variables = {"SYNCENGINE_CONFIG": _write(tmp_path, text), "TOKEN": "x"}
    for command in (["migrate"], ["configure", "--yes"]):
        assert run("syncengine", *command, **variables).returncode == 0
    _write(tmp_path, f"{text[: text.index('connections:')]}connections: {{}}\n")
    out = run("syncengine", "configure", "--yes", **variables).stdout
    assert out.splitlines()[1].endswith(
        "so not synced: main. Its links and history are kept. Add it to the file to sync it again."
    )
    assert "=> main stops syncing customers, orders; links and history are kept" in out
    idle, shown = run("syncengine", "status", **variables).stdout.splitlines()
    assert idle == "No process is running, so nothing is synced. Start them with `syncengine up`."
    assert shown.startswith("main is not synced: ")
    assert json.loads(run("syncengine", "status", "--json", **variables).stdout)["not_synced"] == ["main"]

    _write(tmp_path, text)
    assert "Not in" not in run("syncengine", "configure", "--yes", **variables).stdout
    assert "is not synced" not in run("syncengine", "status", **variables).stdout


def test_an_up_that_is_refused_takes_over_nothing(run: Run, tmp_path: Path) -> None:
    config = _write(tmp_path, CONFIGURATION.format(url="http://127.0.0.1:1"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        variables = {"SYNCENGINE_FLOWER_PORT": str(port), "FLOWER_BASIC_AUTH": "ops:secret"}
        done = run("syncengine", "up", SYNCENGINE_CONFIG=config, TOKEN="x", **variables)
    _one_line(done, f"port {port} is taken")
    assert "Endpoints:" not in done.stdout
    assert not list((tmp_path / "var").glob("*.db"))


def test_wrong_credentials_and_a_wrong_address_are_told_by_check(run: Run, tmp_path: Path) -> None:
    url, valkey = start_valkey(tmp_path)
    with Sandbox(1, {"latency_s": 0.0}, contacts=5, products=20, orders=6).start() as running:
        config = _write(tmp_path, CONFIGURATION.format(url=running.url))
        variables = {"REDIS_URL": url, "SYNCENGINE_CONFIG": config, "TOKEN": "wrong-token"}
        for command in (["migrate"], ["configure", "--yes"]):
            assert run("syncengine", *command, **variables).returncode == 0
        done = run("syncengine", "check", **variables)
    away = run("syncengine", "check", **variables)
    stop(valkey)

    for checked in (done, away):
        assert checked.returncode == 1
        assert "Traceback" not in checked.stdout + checked.stderr
        assert [line[:6] for line in checked.stdout.splitlines()] == ["FAILED", "FAILED"]
    assert "wrong-token" not in done.stdout
    assert "Invalid operator password" in done.stdout or "password" in done.stdout
