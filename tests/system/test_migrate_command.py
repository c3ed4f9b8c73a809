"""`syncengine migrate` on a live store: what runs is named and kept from working on with a store that is not its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from syncengine.settings import Settings
from syncengine.store import Store, migrate
from tests.system.frame_fixtures import Run, bare_environment, bare_settings, redis_url, run

__all__ = ["bare_environment", "bare_settings", "redis_url", "run"]

LEASED = (
    "INSERT INTO endpoint (id, name, system, settings) VALUES (1, 'a', 'left', '{}'), (2, 'b', 'right', '{}')",
    "INSERT INTO connection (id, name, left_id, right_id, flows, settings) VALUES (1, 'main', 1, 2, '[]', '{}')",
    "INSERT INTO record (connection_id, flow, key, wanted, lane, not_before, created_at, updated_at, token, runner, "
    "lease_until) VALUES (1, 'orders', '1', 1, 1, '2026-01-01', '2026-01-01', '2026-01-01', 't', 'r', '2100-01-01')",
)


def _before() -> str:
    """The revision before the newest one."""
    script = ScriptDirectory.from_config(migrate._config()).get_revision(migrate.newest())
    assert script is not None
    return str(script.down_revision)


def test_a_store_in_which_records_are_being_worked_on_is_migrated_only_if_a_person_insists(
    run: Run, bare_settings: Settings
) -> None:
    bare_settings.folder()
    store = Store(bare_settings.database_url)
    with store.write() as session:
        config = migrate._config()
        config.attributes["connection"] = session.connection()
        command.upgrade(config, _before())
        for statement in LEASED:
            session.execute(text(statement))

    for words in (("migrate",), ("up", "--detach")):
        refused = run("syncengine", *words)
        assert refused.returncode != 0
        assert "1 records are being worked on, under leases until 00:00:00 UTC" in refused.stderr
        assert "re-run with --yes" in refused.stderr or "run `syncengine migrate --yes` first" in refused.stderr
        assert migrate.current(store) == _before()

    assert run("syncengine", "migrate", "--yes").returncode == 0
    assert migrate.current(store) == migrate.newest()
    assert run("syncengine", "migrate").returncode == 0  # nothing is due: nobody is asked
    store.close()


@pytest.mark.process
def test_a_worker_is_named_before_a_migration_and_ends_itself_after_it(
    run: Run, bare_environment: dict[str, str], bare_settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    assert run("syncengine", "migrate").returncode == 0
    log = tmp_path / "worker.log"
    words = ["-A", "syncengine", "worker", "--hostname=old@here", "--queues=realtime", "--concurrency=1"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", *words],
        cwd=tmp_path, env={**bare_environment, "REDIS_URL": redis_url}, stdout=log.open("wb"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    store = Store(bare_settings.database_url)
    try:
        _within(60, lambda: "old@here ready" in log.read_text())
        _set_revision(store, _before())
        refused = run("syncengine", "migrate", REDIS_URL=redis_url)
        assert (refused.returncode, refused.stderr.splitlines()[0]) == (1, "old@here is running")

        _set_revision(store, "9000")
        assert (
            run("celery", "-A", "syncengine", "call", "engine.pump", "--queue=realtime", REDIS_URL=redis_url).returncode
            == 0
        )
        _within(60, lambda: worker.poll() is not None)
    finally:
        store.close()
        if worker.poll() is None:
            worker.kill()
        worker.wait()
    assert "this worker ends: the database is at revision 9000" in log.read_text()


def _set_revision(store: Store, revision: str) -> None:
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


def _within(seconds: float, what: object) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.2)
