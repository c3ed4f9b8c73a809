"""The store's promises, on SQLite and PostgreSQL: transactions, times, numbers, migrations, clear words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.errors import Misconfigured, NewerStore, Transient
from syncengine.store import Store, migrate
from syncengine.store.dialect import upsert
from syncengine.store.models import (
    Alert,
    Base,
    ConnectionRow,
    Cursor,
    Decision,
    Endpoint,
    Link,
    Lookup,
    Record,
    Schedule,
)
from tests.services import drop_postgres, shared_folder, start_postgres


def _endpoint(name: str = "shop", **settings: object) -> Endpoint:
    return Endpoint(name=name, system="brightpearl", settings=settings)


def test_what_is_written_is_there_afterwards_and_usable_after_the_transaction(store: Store) -> None:
    with store.write() as session:
        session.add(_endpoint(latency=Decimal("0.10")))
    with store.read() as session:
        found = session.scalars(select(Endpoint)).one()

    assert found.settings == {"latency": Decimal("0.10")}


def test_only_a_durable_transaction_waits_for_the_disk_and_one_after_the_other_may_share_a_connection(
    store: Store,
) -> None:
    seen = []
    for durable in (True, False, False, True):
        with store.write(durable=durable) as session:
            session.add(_endpoint(f"shop {len(seen)}"))
            seen.append(_waits_for_the_disk(store, session))

    assert seen == [True, False, False, True]
    with store.read() as session:
        assert len(session.scalars(select(Endpoint)).all()) == 4


def _waits_for_the_disk(store: Store, session: Session) -> bool:
    if store.is_sqlite:
        return session.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL; 1 is NORMAL
    query = "SELECT source FROM pg_settings WHERE name = 'synchronous_commit'"
    return session.execute(text(query)).scalar_one() != "session"  # the tests' server never waits


def test_an_exception_rolls_everything_back(store: Store) -> None:
    def fail_in_the_middle() -> None:
        with store.write() as session:
            session.add(_endpoint())
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_in_the_middle()
    with store.read() as session:
        assert session.scalars(select(Endpoint)).all() == []


def test_a_reading_transaction_changes_nothing(store: Store) -> None:
    with store.read() as session:
        session.execute(text("UPDATE endpoint SET name = 'x'"))
        session.add(_endpoint())
    with store.read() as session:
        assert session.scalars(select(Endpoint)).all() == []


def test_times_come_back_aware_in_utc_whatever_their_zone_was(store: Store) -> None:
    local = datetime(2026, 3, 4, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    with store.write() as session:
        session.add(Endpoint(name="a", system="x", settings={}, paused_until=local))
    with store.read() as session:
        found = session.scalars(select(Endpoint)).one().paused_until

    assert found == datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    assert found is not None
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    naive = datetime(2026, 3, 4)  # noqa: DTZ001 - that is the point
    with pytest.raises(StatementError, match="without a zone"), store.write() as session:
        session.add(Endpoint(name="a", system="x", settings={}, paused_until=naive))


def test_writers_wait_for_one_another_and_none_fails(store: Store) -> None:
    with store.write() as session:
        session.add(_endpoint("a", count=0))
    failures: list[BaseException] = []

    def add_one() -> None:
        try:
            for _ in range(20):
                with store.write() as session:
                    found = session.scalars(select(Endpoint).with_for_update()).one()
                    found.settings = {"count": found.settings["count"] + 1}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert session.scalars(select(Endpoint)).one().settings == {"count": 80}
    assert failures == []


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    with store.write() as writing:
        writing.add(_endpoint())
        writing.flush()
        with store.read() as reading:
            assert reading.scalars(select(Endpoint)).all() == []


def test_an_upsert_changes_the_row_that_is_there(store: Store) -> None:
    for system in ("brightpearl", "syspro"):
        with store.write() as session:
            row = {"name": "a", "system": system, "settings": {}}
            upsert(session, Endpoint, [row], keys=("name",), update=("system",))
    with store.read() as session:
        assert [found.system for found in session.scalars(select(Endpoint))] == ["syspro"]


def test_constraints_hold_in_both_databases(store: Store) -> None:
    with store.write() as session:
        ends = [_endpoint("a"), _endpoint("b")]
        session.add_all(ends)
        session.flush()
        session.add(ConnectionRow(name="main", left_id=ends[0].id, right_id=ends[1].id, flows=[], settings={}))
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(Lookup(connection_id=99, name="x", key="y", value="z"))
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(_endpoint("a"))


def test_the_migrations_make_just_the_tables_of_the_models(store: Store) -> None:
    with store.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


def test_a_migrated_database_passes_the_check_and_migrating_again_changes_nothing(store: Store) -> None:
    migrate.check(store)
    assert migrate.upgrade(store.url) == migrate.newest() == migrate.current(store)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    url = start_postgres(shared_folder(tmp_path_factory.getbasetemp()))
    yield url
    drop_postgres(url)


def test_a_database_that_was_not_migrated_says_what_to_do(empty_url: str) -> None:
    store = Store(empty_url)
    with pytest.raises(Misconfigured, match=r"has no tables of syncengine. Run `syncengine migrate`"):
        migrate.check(store)
    store.close()


def _set_revision(store: Store, revision: str) -> None:
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


def test_a_database_of_an_older_version_says_which_and_what_to_do(store: Store) -> None:
    assert not migrate.is_due(store)
    _set_revision(store, "0001")
    with pytest.raises(Misconfigured, match=r"is at revision 0001, this version needs .* Run `syncengine migrate`"):
        migrate.check(store)
    assert migrate.is_due(store)


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("9000", r"is at revision 9000, which is newer than this version .* Install the version that migrated it"),
        ("c0ffee", r"is at revision c0ffee, which no version up to this one .* creates. Correct DATABASE_URL"),
    ],
)
def test_a_database_that_this_version_does_not_know_is_left_alone(store: Store, revision: str, says: str) -> None:
    _set_revision(store, revision)
    for ask in (migrate.check, migrate.is_due, lambda asked: migrate.upgrade(asked.url)):
        with pytest.raises(Misconfigured, match=says):
            ask(store)


def test_a_process_writes_nothing_more_once_another_version_has_migrated_the_store(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: seconds[0])
    old = Store(database_url)
    old.hold_to(migrate.newest())
    with old.write() as session:
        session.add(_endpoint("before"))
    other = Store(database_url)
    _set_revision(other, "9000")
    seconds[0] += 3

    with (
        pytest.raises(NewerStore, match="is now at revision 9000, but this process needs"),
        old.write() as one,
    ):
        one.add(_endpoint("after"))
    with other.read() as session:
        assert session.scalars(select(Endpoint.name)).all() == ["before"]
    old.close()
    other.close()


def test_a_migration_waits_for_a_process_that_writes_and_ends_its_writing(empty_url: str) -> None:
    """Neither of them fails for the other's locks."""
    old = Store(empty_url)
    script = ScriptDirectory.from_config(migrate._config()).get_revision(migrate.newest())
    assert script is not None
    before = str(script.down_revision)
    with old.write() as session:
        config = migrate._config()
        config.attributes["connection"] = session.connection()
        command.upgrade(config, before)
        for statement in BEFORE:
            session.execute(text(statement))
    old.hold_to(before)
    done: list[object] = []
    with old.write() as session:
        migration = threading.Thread(target=lambda: done.append(migrate.upgrade(empty_url)))
        migration.start()
        if not old.is_sqlite:
            _await_a_waiting_one(old)
        session.execute(text("UPDATE record SET reason = 'written'"))
    migration.join()

    assert done == [migrate.newest()]
    old._revision_seen -= 3
    with pytest.raises(NewerStore), old.write():
        pass
    with old.read() as session:
        assert session.scalars(select(Record.reason)).all() == ["written"] * 3
    old.close()


def _await_a_waiting_one(store: Store) -> None:
    while True:
        with store.read() as session:
            if session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return


def test_what_is_at_work_is_told_with_the_end_of_its_lease(store: Store) -> None:
    now = clock.now()
    until, past = now + timedelta(seconds=40), now - timedelta(seconds=1)
    assert migrate.at_work(store) == []
    with store.write() as session:
        ends = [_endpoint("a"), _endpoint("b")]
        session.add_all(ends)
        session.flush()
        main = ConnectionRow(name="main", left_id=ends[0].id, right_id=ends[1].id, flows=[], settings={})
        session.add(main)
        session.flush()
        times = {"not_before": now, "created_at": now, "updated_at": now}
        for key, runner, lease_until in (("1", "one", until), ("2", None, until), ("3", "dead", past)):
            session.add(
                Record(
                    connection_id=main.id, flow="orders", key=key, lane=1, token="t", runner=runner,
                    lease_until=lease_until, **times,
                )
            )  # fmt: skip
        feed = {"connection_id": main.id, "flow": "orders", "position": {}}
        session.add(Cursor(feed="updated", holder="one", held_until=until, **feed))
        session.add(Cursor(feed="created", holder="dead", held_until=past, **feed))
    assert migrate.at_work(store) == [
        f"1 records are being worked on, under leases until {until:%H:%M:%S} UTC",
        f"1 feeds are being read, under leases until {until:%H:%M:%S} UTC",
    ]


@pytest.mark.parametrize("url", ["mysql://root:secret@h/x", "nonsense", "postgresql://u:secret@h:port/x"])
def test_an_address_that_names_no_database_is_refused_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        Store(url)

    assert "DATABASE_URL" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_database_that_is_away_is_a_transient_trouble() -> None:
    store = Store("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Transient, match="the database cannot be used now"), store.read() as session:
        session.execute(text("SELECT 1"))
    store.close()


def test_a_postgresql_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        store = Store(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none?connect_timeout=2")
        with pytest.raises(Transient, match="the database cannot be used now"), store.read():
            pass
        store.close()


def test_a_store_of_the_version_before_keeps_its_rows_when_tables_are_made_again(empty_url: str) -> None:
    """SQLite drops and makes `record`, `link` and `effect` again: what refers to their rows must not go with them."""
    store = Store(empty_url)
    config = migrate._config()
    with store.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0004")
        for statement in BEFORE:
            session.execute(text(statement))
    store.close()

    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)

    store = Store(empty_url)
    with store.write() as session:
        assert session.execute(text("SELECT record_id, kind FROM payload")).all() == [(7, "context")]
        assert session.execute(text("SELECT record_id, cause FROM failure ORDER BY id")).all() == [
            (7, "no such stock code"),
            (8, "no such stock code"),
            (9, "no such stock code"),
        ]
        assert session.execute(text("SELECT key, need_side, crashed_at FROM record ORDER BY key")).all() == [
            ("5001", "", None),
            ("5002", "", None),
            ("5003", "", None),
        ]
        assert session.execute(text("SELECT key, why, about FROM record ORDER BY key")).all() == [
            ("5001", "", ""),
            ("5002", "discarded", ""),
            ("5003", "not there", ""),
        ]
        assert session.execute(text("SELECT left_key, part, right_key, right_part FROM link")).all() == [
            ("310", "EUR", "C1", "")
        ]
        assert session.execute(text("SELECT token, answered FROM effect ORDER BY id")).all() == [
            ("se-3", False),
            ("se-4", True),
        ]
        with pytest.raises(DBAPIError, match="append only"), session.begin_nested():
            session.execute(text("DELETE FROM event"))
    with pytest.raises(IntegrityError), store.write() as session:
        session.execute(text("DELETE FROM connection"))
    with store.write() as session:
        session.add(
            Link(connection_id=1, entity="x", left_key="1", right_key="2", lines={}, created_at=NOW, updated_at=NOW)
        )
        session.flush()
        link = session.scalars(select(Link).where(Link.entity == "x")).one()
        assert link.id > 9 or not store.is_sqlite, "an id of before is given again"
    store.close()


def test_no_migration_offers_a_way_back() -> None:
    """What nobody runs breaks unseen; the way back is the backup that was made before."""
    scripts = ScriptDirectory.from_config(migrate._config())
    assert [one.revision for one in scripts.walk_revisions() if hasattr(one.module, "downgrade")] == []


def test_the_names_of_the_files_say_what_alembic_reads_in_them() -> None:
    scripts = ScriptDirectory.from_config(migrate._config())

    assert migrate.revisions() == sorted(script.revision for script in scripts.walk_revisions())
    assert migrate.newest() == scripts.get_current_head()


# status, reason and what it becomes: why, and the key that it is about
REASONS = (
    ("skipped", "observed, not written", "observed", ""),
    ("skipped", "created before the cut-over date", "too old", ""),
    ("skipped", "no flow has linked it yet", "not linked", ""),
    ("skipped", "not there on either side", "not there", ""),
    ("skipped", "already equal", "equal", ""),
    ("skipped", "refused by anna: the customer is insolvent", "decided", ""),
    ("skipped", "it is a draft", "rule", ""),
    ("held", "000512 is gone in the target", "gone", "000512"),
    ("held", "StockLine[8101] is gone in the target", "", ""),
    ("held", "gone on the left side", "gone left", ""),  # phrases: allow
    ("held", "gone on the right side", "gone right", ""),  # phrases: allow
    ("held", "write ceiling: orders of main is shut", "ceiling", ""),
    ("held", "over the credit limit", "", ""),
    ("dead", "its step died 3 times in fetch", "crashed", ""),
    ("dead", "currency = 'XXX': unknown", "rejected", ""),
    ("done", "change 000512: OrderQty", "", ""),
)


def test_what_the_program_read_in_texts_becomes_data(empty_url: str) -> None:
    """What else holds a record is found out by the check that is due after the migration."""
    store = Store(empty_url)
    config = migrate._config()
    with store.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "0008")
        for statement in BEFORE[:2]:
            session.execute(text(statement))
        insert = text(
            "INSERT INTO record (id, connection_id, flow, key, wanted, claimed, done, lane, not_before, created_at, "
            "updated_at, status, reason, parts, token) VALUES "
            "(:id, 1, 'orders', :key, 1, 1, 1, 1, :now, :now, :now, :status, :reason, "
            ":parts, :token)"
        )
        for id_, (status, reason, _, _) in enumerate(REASONS, 1):
            parts, token = (";EUR;GBP;", "2-abc") if id_ == len(REASONS) else (";", None)
            row = {"id": id_, "key": f"{id_:02}", "now": NOW, "status": status, "reason": reason, "parts": parts}
            session.execute(insert, {**row, "token": token})
        for verdict in ("approved right", "approved", "refused"):
            session.execute(
                text(
                    "INSERT INTO decision (record_id, verdict, plan_hash, made_by, made_at) "
                    "VALUES (1, :verdict, 'h', 'a', :now)"
                ),
                {"verdict": verdict, "now": NOW},
            )
        session.execute(text("UPDATE endpoint SET paused_by = 'anna', paused_until = :now WHERE id = 1"), {"now": NOW})
        session.execute(
            text(
                "INSERT INTO alert (rule, subject, severity, text, count, opened_at, seen_at) "
                "VALUES ('held', 'main: orders', 'warning', '3 of 4 held', 7, :now, :now)"
            ),
            {"now": NOW},
        )
        for feed in ("", "updated"):
            cursor = "INSERT INTO cursor (connection_id, flow, feed, position, next_due) VALUES "
            session.execute(text(f"{cursor}(1, 'orders', :feed, '{{}}', :now)"), {"feed": feed, "now": NOW})
    store.close()

    migrate.upgrade(empty_url)

    store = Store(empty_url)
    with store.read() as session:
        records = session.scalars(select(Record).order_by(Record.id)).all()
        assert [(r.status, r.reason, r.why, r.about) for r in records] == list(REASONS)
        assert [r.key for r in records if r.wanted > r.done] == ["09", "13"]
        assert [(r.parts, r.lease_lane) for r in records[-2:]] == [([], None), (["EUR", "GBP"], 2)]
        decisions = session.execute(select(Decision.verdict, Decision.side).order_by(Decision.id)).all()
        assert decisions == [("approved", "right"), ("approved", "left"), ("refused", "")]
        paused = select(Endpoint.is_paused_by_person).order_by(Endpoint.id)
        assert session.scalars(paused).all() == [True, False]
        assert session.execute(select(Schedule.flow, Schedule.next_due)).all() == [("orders", NOW)]
        assert session.scalars(select(Cursor.feed)).all() == ["updated"]
        assert session.execute(select(Alert.count, Alert.last_count)).all() == [(7, 7)]
    store.close()


NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BEFORE = (
    "INSERT INTO endpoint (id, name, system, settings) VALUES (1, 'a', 'left', '{}'), (2, 'b', 'right', '{}')",
    "INSERT INTO connection (id, name, left_id, right_id, flows, settings) VALUES (1, 'main', 1, 2, '[]', '{}')",
    "INSERT INTO record (id, connection_id, flow, key, wanted, lane, not_before, created_at, updated_at) "
    "VALUES (7, 1, 'orders', '5001', 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
    "INSERT INTO record (id, connection_id, flow, key, wanted, lane, not_before, created_at, updated_at, status, reason) "
    "VALUES (8, 1, 'orders', '5002', 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 'skipped', "
    "'discarded by anna: a test'), (9, 1, 'orders', '5003', 1, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, "
    "CURRENT_TIMESTAMP, 'skipped', 'not there in the source')",
    "INSERT INTO payload (id, record_id, kind, body, created_at) VALUES (1, 7, 'context', '', CURRENT_TIMESTAMP)",
    "INSERT INTO failure (id, record_id, connection_id, flow, key, kind, stage, cause, opened_at) "
    "VALUES (1, 7, 1, 'orders', '5001', 'dead', 'push', 'no such stock code', CURRENT_TIMESTAMP)",
    "INSERT INTO failure (id, record_id, connection_id, flow, key, kind, stage, cause, opened_at, closed_at, closed_by, "
    "closed_because) VALUES (2, 8, 1, 'orders', '5002', 'dead', 'push', 'no such stock code', CURRENT_TIMESTAMP, "
    "CURRENT_TIMESTAMP, 'anna', 'a test'), (3, 9, 1, 'orders', '5003', 'dead', 'push', 'no such stock code', "
    "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 'anna', 'a test')",
    "INSERT INTO link (id, connection_id, entity, left_key, part, right_key, lines, created_at, updated_at) "
    "VALUES (5, 1, 'customers', '310', 'EUR', 'C1', '{}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
    "INSERT INTO effect (id, connection_id, endpoint_id, record_id, entity, resource, verb, dedupe, natural_key, state, "
    "warnings, settle_until, created_at, updated_at) VALUES "
    "(3, 1, 2, 7, 'orders', 'r', 'create', 'one', '1', 'unknown', '[]', NULL, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP), "
    "(4, 1, 2, 7, 'orders', 'r', 'create', 'two', '2', 'unknown', '[]', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, "
    "CURRENT_TIMESTAMP)",
    "INSERT INTO event (id, at, record_id, what, detail) VALUES (9, CURRENT_TIMESTAMP, 7, 'x', '{}')",
)
"""A store as the version before left it, in words that both databases know."""
