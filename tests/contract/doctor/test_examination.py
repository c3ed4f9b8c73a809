"""The doctor looks at real parts, well and broken: what it says, what to do, and what it leaves out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from syncengine import clock, settings
from syncengine.connectors.brightpearl.connector import Brightpearl
from syncengine.connectors.syspro.connector import Syspro
from syncengine.engine.doctor import Finding, Level, Patient, examine, systems
from syncengine.engine.watch.health import note
from syncengine.errors import DatabaseLocked, Forbidden, Misconfigured
from syncengine.settings import Settings
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Lane
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.services import start_valkey, stop


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url, process = start_valkey(tmp_path_factory.mktemp("valkey"), append_only=True)
    yield url
    stop(process)


@pytest.fixture
def patient(store: Store, server: str, tmp_path: Path) -> Iterator[Patient]:
    """An installation in which all is well: pulses of all lanes, a sink, an endpoint with a secret."""
    env = {
        "SYNCENGINE_HOME": str(tmp_path / "var"),
        "DATABASE_URL": store.url,
        "REDIS_URL": server,
        "SYNCENGINE_KEYS": KEY,
        "SYNCENGINE_ALERT_URLS": "json://127.0.0.1:9/",
    }
    now = clock.now()
    with store.write() as session:
        for name in ("pump", "watch", *(lane.label for lane in Lane)):
            note(session, name, now)
    client = redis.Redis.from_url(server)
    client.flushall()
    yield Patient(settings.load(env), client, None)
    client.close()


def _connect(store: Store) -> tuple[int, int]:
    """Two endpoints of the real systems, of which nothing is ever called here, and their connection."""
    with store.write() as session:
        shop = m.Endpoint(
            name="shop", system="brightpearl",
            settings={"account": "a", "url": "https://127.0.0.1", "app_ref": "x", "auth": "private"},
        )  # fmt: skip
        erp = m.Endpoint(
            name="erp", system="syspro", settings={"url": "http://127.0.0.1:9", "operator": "o", "company": "c"}
        )
        session.add_all([shop, erp])
        session.flush()
        one = m.ConnectionRow(name="main", left_id=shop.id, right_id=erp.id, flows=["orders"], settings={})
        session.add(one)
        session.flush()
        return one.id, shop.id


def _record(store: Store, connection_id: int, **values: object) -> None:
    now = clock.now()
    row = {"key": "5001", "lane": 1, "not_before": now, "created_at": now, "updated_at": now, "done": 1, **values}
    with store.write() as session:
        session.add(m.Record(connection_id=connection_id, flow="orders", **row))


def _found(patient: Patient) -> dict[str, Finding]:
    return {finding.part: finding for finding in examine(patient, offline=True)}


def _to_do(patient: Patient) -> dict[str, str]:
    return {part: one.says for part, one in _found(patient).items() if one.level is not Level.OK}


def test_of_an_installation_that_is_well_nothing_is_to_be_done_but_to_set_it_up(patient: Patient) -> None:
    assert _to_do(patient) == {"connections": "none is configured yet"}


def test_every_part_that_is_not_well_says_what_to_do(patient: Patient, store: Store) -> None:
    connection_id, shop_id = _connect(store)
    now = clock.now()
    _record(
        store, connection_id, wanted=2, token="1-dead", runner="gone", crashes=1, lease_until=now - timedelta(minutes=9)
    )
    with store.write() as session:
        session.add(
            m.Failure(
                record_id=1, connection_id=connection_id, flow="orders", key="5001", kind="dead", stage="push",
                cause="unknown stock code", opened_at=now,
            )
        )  # fmt: skip
        session.add(
            m.Record(
                connection_id=connection_id, flow="orders", key="5002", lane=1, wanted=1, done=1, status="held",
                not_before=now, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        session.add(m.Ceiling(connection_id=connection_id, flow="orders", shut_at=now, shut_because="too many"))
        session.add(m.Schedule(connection_id=connection_id, flow="orders", next_due=now - timedelta(hours=3)))
        session.add(
            m.Event(
                at=now, record_id=1, connection_id=connection_id, flow="orders", key="5001", what="step died", detail={}
            )
        )
        endpoint = session.get_one(m.Endpoint, shop_id)
        endpoint.paused_until, endpoint.paused_because = now + timedelta(minutes=5), "401"
        session.get_one(m.Pulse, "scheduled").at = now - timedelta(hours=1)
        session.get_one(m.Pulse, "watch").at = now - timedelta(hours=1)
    found = _found(patient)

    def says(part: str) -> str:
        return f"{found[part].level} {found[part].says}"

    assert says("leases").startswith("FAIL 1 with an expired lease, the oldest 9 minutes ago")
    assert says("workers") == "warn in the last hour: step died for 1 records; suspected: 5001"
    assert says("dead letters") == "warn 1 open"
    assert says("held records") == "warn 1 are held for a person"
    assert says("write ceiling") == "FAIL orders of main is closed and writes nothing"
    assert says("schedule") == "FAIL overdue: orders of main"
    assert says("lane scheduled").startswith("FAIL canary arrived 60 minutes ago")
    assert says("watch").startswith("FAIL alert rules are not being evaluated; last run: 60 minutes ago")
    assert says("endpoint shop").startswith("FAIL credentials refused; paused until")
    assert "syncengine endpoints resume shop" in found["endpoint shop"].remedy
    assert found["endpoint shop"].endpoint == "shop"
    assert found["leases"].endpoint == ""
    assert all(one.remedy for one in found.values() if one.level is not Level.OK)


def test_a_persons_pause_is_nothing_to_do(patient: Patient, store: Store) -> None:
    _, shop_id = _connect(store)
    with store.write() as session:
        endpoint = session.get_one(m.Endpoint, shop_id)
        endpoint.paused_until, endpoint.paused_by = clock.now() + timedelta(hours=1), "ann"
        endpoint.is_paused_by_person = True
    found = _found(patient)["endpoint shop"]
    assert found.level is Level.OK
    assert "is paused until" in found.says
    assert "by ann" in found.says


def test_without_redis_what_depends_on_it_is_left_out(patient: Patient, store: Store) -> None:
    down = Patient(
        patient.settings, patient.client, Misconfigured("REDIS_URL = redis://h: connection refused", "Start that Redis")
    )
    assert _to_do(down) == {
        "redis": "REDIS_URL = redis://h: connection refused",
        "connections": "none is configured yet",
    }


def test_an_open_alert_that_no_sink_took_is_told_here(patient: Patient, store: Store) -> None:
    opened = clock.now() - timedelta(minutes=10)
    with store.write() as session:
        session.add(
            m.Alert(
                rule="gone", subject="main: orders", severity="critical", text="all gone", remedy="look", opened_at=opened,
                seen_at=opened,
            )
        )  # fmt: skip
    found = _found(patient)
    assert found["alert: gone"].says.startswith("all gone (since ")
    assert found["alert sinks"].level is Level.FAIL


def test_a_key_that_does_not_open_what_is_stored_is_told(patient: Patient, store: Store, vault: Vault) -> None:
    _, shop_id = _connect(store)
    vault.write(shop_id, "account_token", "t")
    assert _found(patient)["key"].says == "decrypts all 1 secrets and a sample of 0 other values"

    other = replace(patient.settings, given_keys=(Fernet.generate_key().decode(),))
    found = _found(Patient(other, patient.client, None))["key"]
    assert (found.level, found.says) == (Level.FAIL, "cannot decrypt account_token of shop")


def test_an_old_key_that_is_missed_by_a_few_old_things_only_is_told(patient: Patient, store: Store) -> None:
    """One new agreement among the old ones said that all was well, while no edit of an old order went through."""
    connection_id, _ = _connect(store)
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    now = clock.now()
    with store.write() as session:
        for number in range(40):
            sealed = Vault(store, [new if number > 20 else old]).seal_text("{}")
            session.add(
                m.Link(
                    connection_id=connection_id, entity="orders", left_key=str(number), lines={}, base=sealed,
                    created_at=now, updated_at=now,
                )
            )  # fmt: skip
    both, alone = (replace(patient.settings, given_keys=some) for some in ((new, old), (new,)))
    found = _found(Patient(both, patient.client, None))["key"]
    says = (
        "decrypts all 0 secrets and a sample of 40 other values; 21 are encrypted with older keys, which must be kept"
    )
    assert (found.level, found.says) == (Level.OK, says)

    found = _found(Patient(alone, patient.client, None))["key"]
    assert (found.level, found.says) == (Level.FAIL, "cannot decrypt some agreements")


def test_where_the_key_does_not_open_the_secrets_no_system_is_blamed(
    patient: Patient, store: Store, vault: Vault
) -> None:
    _, shop_id = _connect(store)
    vault.write(shop_id, "account_token", "t")
    other = replace(patient.settings, given_keys=(Fernet.generate_key().decode(),))

    found = list(examine(Patient(other, patient.client, None)))

    assert [one.part for one in found if one.level is Level.FAIL] == ["key"]
    assert not any(one.part.startswith("endpoint ") for one in found)


def test_without_a_key_none_is_made(patient: Patient) -> None:
    bare = replace(patient.settings, given_keys=(), may_make_key=True)
    assert _found(Patient(bare, patient.client, None))["key"].level is Level.FAIL
    assert not bare.key_file.exists()


def _sqlite(patient: Patient, file: Path) -> Settings:
    return replace(patient.settings, database_url=f"sqlite:///{file}")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestSQLite:
    """What only a file can have."""

    def test_an_empty_database_is_to_be_migrated_and_nothing_else_is_said_of_it(
        self, patient: Patient, tmp_path: Path
    ) -> None:
        (tmp_path / "empty.db").touch()
        found = _found(Patient(_sqlite(patient, tmp_path / "empty.db"), patient.client, None))
        assert found["database"].says == "SQLite answers, but the database has no tables of syncengine"
        assert found["database"].remedy == "Run `syncengine migrate`"
        assert "key" not in found

    def test_a_file_that_is_no_database_is_told_without_a_traceback(self, patient: Patient, tmp_path: Path) -> None:
        (tmp_path / "bad.db").write_bytes(b"this is not a database, " * 500)
        found = _found(Patient(_sqlite(patient, tmp_path / "bad.db"), patient.client, None))["database"]
        assert found.level is Level.FAIL
        assert "damaged (file is not a database)" in found.says

    def test_damage_within_the_file_is_found(self, patient: Patient, store: Store) -> None:
        assert _found(patient)["database file"].says.startswith("intact; ")
        store.close()
        file = Path(store.url.removeprefix("sqlite:///"))
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA writable_schema = ON")
            page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_event_at'").fetchone()[0]
            size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.close()
        with file.open("r+b") as raw:
            raw.seek((page - 1) * size)
            raw.write(b"\xff" * size)
        found = _found(patient)["database file"]
        assert found.level is Level.FAIL
        assert found.says.startswith("damaged: ")


def test_clocks_that_differ_are_told_with_the_one_that_is_wrong(patient: Patient, store: Store) -> None:
    assert systems.clocks(store, patient.client, {}).level is Level.OK
    little = systems.clocks(store, patient.client, {"shop": 5.0})
    assert (little.level, little.says) == (Level.WARN, "shop is 5 seconds ahead of this host")
    great = systems.clocks(store, patient.client, {"shop": 5.0, "erp": -3600.0})
    assert (great.level, great.says) == (Level.FAIL, "erp is 60 minutes behind this host")
    ours = systems.clocks(store, None, {"shop": 100.0, "erp": 101.0}).says
    assert "this host's clock is wrong" in ours


def test_a_redis_that_is_full_or_evicts_is_told(patient: Patient, tmp_path: Path) -> None:
    url, process = start_valkey(tmp_path)
    try:
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "3mb")
            levels = {one.part: one.level for one in examine(Patient(patient.settings, client, None), offline=True)}
    finally:
        stop(process)
    assert levels["redis eviction"] is Level.FAIL
    assert levels["redis memory"] in (Level.OK, Level.WARN, Level.FAIL)
    assert levels["redis persistence"] is Level.WARN


def test_a_database_that_is_away_is_one_line(patient: Patient) -> None:
    gone = replace(patient.settings, database_url="postgresql://nobody:S3CRET@127.0.0.1:9/none")
    found = list(examine(Patient(gone, patient.client, None), offline=True))
    assert [one.part for one in found if one.level is not Level.OK] == ["database"]
    assert "the database cannot be used now" in found[-1].says
    assert "S3CRET" not in str(found)


def test_a_locked_database_is_not_the_endpoints_fault(
    patient: Patient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_self: object) -> str:  # it takes its seat there
        raise DatabaseLocked("the database cannot be used now: database is locked")

    _connect(store)
    monkeypatch.setattr(Syspro, "try_credentials", locked)
    monkeypatch.setattr(Brightpearl, "check", lambda _self: "it answers")
    found = {finding.part: finding for finding in examine(patient)}

    assert "endpoint erp" not in found
    assert found["database"].level is Level.FAIL
    assert found["database"].says == "the database cannot be used now: database is locked"
    assert found["database"].remedy.startswith("End the process that locks it")


def test_an_endpoint_that_answers_403_says_what_to_check(
    patient: Patient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: object) -> str:
        raise Forbidden("HTTP 403", of="erp")

    _connect(store)
    monkeypatch.setattr(Syspro, "try_credentials", refused)
    monkeypatch.setattr(Brightpearl, "check", lambda _self: "it answers")
    found = {finding.part: finding for finding in examine(patient)}["endpoint erp"]

    assert (found.level, found.says) == (Level.FAIL, "HTTP 403")
    assert found.remedy.startswith("Check the permissions of the credentials for erp, and any firewall")


def test_it_changes_nothing(patient: Patient, store: Store) -> None:
    _connect(store)
    before = _rows(store)
    _found(patient)
    assert _rows(store) == before


def _rows(store: Store) -> dict[str, list[object]]:
    with store.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(table.select().order_by(*table.primary_key))]
            for table in m.Base.metadata.sorted_tables
        }


def test_a_database_file_that_is_not_there_is_told_and_not_made(patient: Patient, tmp_path: Path) -> None:
    missing = tmp_path / "mistyped.db"
    settings = replace(patient.settings, database_url=f"sqlite:///{missing}")

    found = _found(replace(patient, settings=settings))

    assert found["database"].says == f"{missing} does not exist"
    assert not missing.exists()
