"""No statement and no idle transaction holds others up without end: what the server bounds, and what is said of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from syncengine.engine.steps.pump import pump
from syncengine.errors import DatabaseAway
from syncengine.store import Store, migrate
from syncengine.store.session import BOUNDS, lock_pump
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.contract.kernel.world import Plain, System, Thing, Time, World, by_name, flow
from tests.databases import Databases

pytestmark = pytest.mark.postgres


def _with(url: str, **settings: str) -> str:
    """The address with settings of the server in it, as libpq takes them."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return make_url(url).update_query_dict({"options": options}).render_as_string(hide_password=False)


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.postgres()


@pytest.fixture
def other(url: str) -> Iterator[Engine]:
    """Another client of the same database, which may be slow, frozen, or unkind."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def stores() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def _store(stores: ExitStack, url: str) -> Store:
    store = Store(url, pool_size=2)
    stores.callback(store.close)
    return store


def _shown(store: Store, *names: str) -> list[str]:
    with store.read() as session:
        return [session.execute(text(f"SHOW {name}")).scalar_one() for name in names]


def test_a_session_has_a_bound_for_statements_locks_and_idleness(stores: ExitStack, url: str) -> None:
    names = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
    assert _shown(_store(stores, url), *names) == ["30s", "40s", "2min"]
    assert set(names) < set(BOUNDS)


def test_what_the_address_says_goes_before_ours(stores: ExitStack, url: str) -> None:
    store = _store(stores, _with(url, lock_timeout="7s"))
    assert _shown(store, "lock_timeout", "statement_timeout") == ["7s", "2min"]


def test_what_the_role_has_goes_before_ours(stores: ExitStack, url: str, other: Engine) -> None:
    with other.begin() as connection:
        connection.execute(text("CREATE ROLE slow LOGIN SUPERUSER"))
        connection.execute(text("ALTER ROLE slow SET statement_timeout = '10min'"))
    try:
        store = _store(stores, make_url(url).set(username="slow").render_as_string())
        assert _shown(store, "lock_timeout", "statement_timeout") == ["40s", "10min"]
        store.close()
    finally:
        with other.begin() as connection:
            connection.execute(text("DROP ROLE slow"))


def _world(store: Store) -> World:
    time = Time()
    left, right = System("left", time), System("right", time)
    resources = {one.name: one for one in (Thing(left, "left.things"), Thing(right, "right.things"))}
    return World(store, Vault(store, [KEY]), time, left, right, resources, {"things": flow("things", Plain(by_name))})


def test_a_process_that_is_frozen_in_the_pump_does_not_stop_the_others(stores: ExitStack, url: str) -> None:
    """The server ends the frozen one's session; whoever waited for its lock continues, and it finds out when it wakes."""
    bounded = _with(url, idle_in_transaction_session_timeout="300ms")
    frozen, world = _store(stores, bounded), _world(_store(stores, bounded))
    world.left.put("things", "1", name="a lamp")
    world.want("things", "1")

    def freeze_in_the_pump() -> None:
        with frozen.write() as session:
            lock_pump(session)
            sent.append(pump(world.engine))  # another process's, which waits for the lock
            session.execute(text("SELECT 1"))

    sent: list[int] = []
    with pytest.raises(DatabaseAway):
        freeze_in_the_pump()
    assert sent == [1]


def test_a_lock_that_is_not_given_back_is_not_waited_for_without_end(
    stores: ExitStack, url: str, other: Engine
) -> None:
    world = _world(_store(stores, _with(url, lock_timeout="200ms")))
    with other.connect() as connection, Session(connection) as session:
        lock_pump(session)
        with pytest.raises(DatabaseAway, match="canceling statement due to lock timeout"):
            pump(world.engine)
    assert pump(world.engine) == 0


def test_a_statement_that_takes_too_long_is_ended(stores: ExitStack, url: str) -> None:
    store = _store(stores, _with(url, statement_timeout="100ms"))
    with pytest.raises(DatabaseAway, match="statement timeout"), store.read() as session:
        session.execute(text("SELECT pg_sleep(10)"))
    with store.read() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_a_session_that_an_administrator_ends_is_a_database_that_is_away(
    stores: ExitStack, url: str, other: Engine
) -> None:
    store = _store(stores, url)

    def be_ended() -> None:
        with store.write() as session, other.begin() as connection:
            pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            session.execute(text("SELECT 1"))

    with pytest.raises(DatabaseAway):
        be_ended()


def test_a_migration_is_cut_by_no_bound_of_its_statements(
    stores: ExitStack, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def slow(config: object, revision: str) -> None:
        connection = config.attributes["connection"]  # type: ignore[attr-defined]
        connection.execute(text("SELECT pg_sleep(0.3)"))
        seen.append(revision)

    monkeypatch.setattr("alembic.command.upgrade", slow)
    migrate.upgrade(_with(url, statement_timeout="100ms"))
    assert seen == ["head"]


def test_a_process_whose_connections_are_all_in_use_says_that_the_database_is_away(stores: ExitStack, url: str) -> None:
    store = _store(stores, url)
    store.engine.pool._timeout = 0.05  # type: ignore[attr-defined]  # SQLAlchemy's own is 30 s
    begun, done = threading.Barrier(8), threading.Event()

    def hold() -> None:
        with store.read() as session:
            session.execute(text("SELECT 1"))
            begun.wait(30)
            done.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(7)]  # pool_size and max_overflow
    for thread in threads:
        thread.start()
    begun.wait(30)
    try:
        with pytest.raises(DatabaseAway, match="all connections of this process are in use"), store.read():
            pass
    finally:
        done.set()
        for thread in threads:
            thread.join()
