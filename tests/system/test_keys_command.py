"""`syncengine keys`: a key is replaced while a worker runs, and the old one can be dropped in the end, and not before."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncengine import keys
from syncengine.settings import Settings
from syncengine.store import Store, migrate
from syncengine.store.lock import Lock
from syncengine.store.models import Endpoint
from syncengine.vault import Vault
from tests.databases import Databases
from tests.system.frame_fixtures import Run, bare_environment, bare_settings, redis_url, run

__all__ = ["bare_environment", "bare_settings", "redis_url", "run"]

PATIENCE_S = 60.0


@pytest.fixture
def store(bare_settings: Settings) -> Iterator[Store]:
    """A store with a secret under the key of its file."""
    bare_settings.folder()
    migrate.upgrade(bare_settings.database_url)
    keys.make(bare_settings.key_file)
    store = Store(bare_settings.database_url)
    _seal(store, bare_settings.keys)
    yield store
    store.close()


def _seal(store: Store, given: tuple[str, ...]) -> None:
    with store.write() as session:
        session.add(Endpoint(name="shop", system="brightpearl", settings={}))
    Vault(store, given).write(1, "token", "s3cret")


def _listed(run: Run, **variables: str) -> dict[str, dict[str, int]]:
    shown = json.loads(run("syncengine", "keys", "list", "--json", **variables).stdout)
    return {one["key"]: one["sealed"] for one in shown["keys"]}


def test_a_key_is_replaced_and_the_old_one_dropped(run: Run, bare_settings: Settings, store: Store) -> None:
    (old,) = _listed(run)
    assert run("syncengine", "keys", "drop", old).stderr.startswith(f"syncengine: {old} is the key that seals.")

    said = run("syncengine", "keys", "rotate").stdout
    assert said.startswith(f"Created a new key in {bare_settings.key_file}.")
    refused = run("syncengine", "keys", "drop", old)
    assert (refused.returncode, "still seals 1 secrets" in refused.stderr) == (2, True)

    done = run("syncengine", "keys", "rotate", "--foreground")  # continues, and makes no third key
    assert done.stdout.splitlines()[-1].startswith("Everything that could be opened is sealed with the newest key.")
    new = keys.fingerprint_of(bare_settings.keys[0])
    assert _listed(run) == {new: {"secrets": 1}, old: {}}
    assert "1 key left" in run("syncengine", "keys", "drop", old).stdout
    assert [keys.fingerprint_of(key) for key in bare_settings.keys] == [new]
    assert Vault(store, bare_settings.keys).read(1, "token") == "s3cret"


def test_keys_of_the_environment_are_named_and_left_to_their_owner(run: Run, store: Store) -> None:
    first, second = keys.new(), keys.new()
    Vault(store, [first]).write(1, "token", "s3cret")
    both = f"{second},{first}"
    old = keys.fingerprint_of(first)

    assert run("syncengine", "keys", "rotate", "--foreground", SYNCENGINE_KEYS=both).returncode == 0
    assert _listed(run, SYNCENGINE_KEYS=both) == {keys.fingerprint_of(second): {"secrets": 1}, old: {}}
    said = run("syncengine", "keys", "drop", old, SYNCENGINE_KEYS=both).stdout
    assert said.startswith(f"Nothing is sealed with {old}. Remove it from SYNCENGINE_KEYS on every host")


@pytest.mark.postgres
def test_where_other_hosts_may_lack_the_new_key_none_is_made_without_a_word(
    run: Run, databases: Databases, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    keys.make(file)
    before = file.read_text()
    places = {"DATABASE_URL": databases.postgres(), "SYNCENGINE_KEY_FILE": str(file)}
    refused = run("syncengine", "keys", "rotate", **places)
    assert (refused.returncode, file.read_text()) == (1, before)
    assert "Other hosts need the new key before anything is sealed with it" in refused.stdout
    assert run("syncengine", "keys", "rotate", "--yes", **places).returncode == 0
    assert file.read_text().endswith(f"\n{before}")


def test_of_two_who_change_the_keys_at_once_the_second_is_refused(
    run: Run, bare_settings: Settings, store: Store
) -> None:
    before = bare_settings.keys
    with Lock(store, "keys", 60).tried():
        refused = run("syncengine", "keys", "rotate")
    assert (refused.returncode, bare_settings.keys) == (2, before)
    assert "another command is changing the keys" in refused.stderr


@pytest.mark.process
def test_a_worker_that_runs_takes_up_the_new_key_and_seals_everything_again(
    run: Run, bare_environment: dict[str, str], store: Store, redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    words = ["-A", "syncengine", "worker", "--hostname=one@here", "--queues=backfill", "--concurrency=1"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", *words],
        cwd=tmp_path, env={**bare_environment, "REDIS_URL": redis_url}, stdout=log.open("wb"), stderr=subprocess.STDOUT,
    )  # fmt: skip

    def call() -> None:
        done = run("celery", "-A", "syncengine", "call", "engine.reseal", "--queue=backfill", REDIS_URL=redis_url)
        assert done.returncode == 0

    try:
        call()
        _within(lambda: "nothing left to seal again" in log.read_text())
        (old,) = _listed(run)
        assert run("syncengine", "keys", "rotate").returncode == 0
        call()
        _within(lambda: _listed(run)[old] == {})
    finally:
        worker.terminate()
        worker.wait(PATIENCE_S)


def _within(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.3)
