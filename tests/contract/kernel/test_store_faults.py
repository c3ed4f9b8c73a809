"""A database that stops, is locked or full under a running engine: clear words, no half-states, and it continues afterwards."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text

from syncengine import clock
from syncengine.engine.steps import running
from syncengine.errors import Transient
from syncengine.store import Store, migrate, session
from syncengine.store import models as m
from syncengine.store.states import Stage
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.contract.kernel.world import Plain, System, Thing, Time, World, by_name, flow
from tests.services import OwnPostgres

Sleep = Callable[[float], None]


def _world(store: Store, time: Time) -> World:
    left, right = System("left", time), System("right", time)
    resources = {one.name: one for one in (Thing(left, "left.things"), Thing(right, "right.things", settle_s=120.0))}
    return World(store, Vault(store, [KEY]), time, left, right, resources, {"things": flow("things", Plain(by_name))})


def _planned(world: World, count: int = 3) -> Any:
    """This many things up to the moment before they are written."""
    keys = [str(number) for number in range(1, count + 1)]
    for key in keys:
        world.left.put("things", key, name=f"thing {key}")
    world.want("things", *keys)
    world.pump()
    chain = world.messages.pop()
    for stage in (Stage.FETCH, Stage.TRANSFORM):
        world.step(chain, stage)
    return chain


def _everything(store: Store) -> dict[str, list[Any]]:
    with store.read() as reading:
        return {
            table.name: list(reading.execute(table.select().order_by(*table.primary_key)))
            for table in m.Base.metadata.sorted_tables
        }


def _all_written_once(world: World, count: int) -> None:
    assert sorted(key for _, key, _ in world.right.writes) == [str(number) for number in range(1, count + 1)]
    with world.store.read() as reading:
        assert set(reading.scalars(select(m.Record.status))) == {"done"}
        assert set(reading.scalars(select(m.Effect.state))) == {"done"}
        assert set(reading.scalars(select(m.Record.crashes))) == {0}
        assert reading.scalars(select(m.Record.id).where(m.Record.token.is_not(None))).all() == []
        assert len(reading.scalars(select(m.Link.id)).all()) == count


def _while_waiting(monkeypatch: pytest.MonkeyPatch, time: Time, what: Sleep) -> list[float]:
    """Have `what` happen when the engine sleeps; the clock moves by as much. Returns the sleeps."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.pass_(seconds)
        what(seconds)

    monkeypatch.setattr(clock, "sleep", sleep)
    return slept


@pytest.mark.postgres
class TestPostgresThatRestarts:
    """A real server, stopped with all its connections cut, and started again."""

    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
        server = OwnPostgres(tmp_path_factory.mktemp("own"))
        migrate.upgrade(server.url)
        yield server
        server.start()
        server.close()

    @pytest.fixture
    def world(self, server: OwnPostgres, time: Time) -> Iterator[World]:
        store = Store(server.url)
        yield _world(store, time)
        server.start()
        with store.write() as writing:
            names = ", ".join(table.name for table in m.Base.metadata.sorted_tables)
            writing.execute(text("SET LOCAL session_replication_role = replica"))  # the timeline refuses TRUNCATE
            writing.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
        store.close()

    def test_the_answer_to_a_write_is_not_noted_and_the_write_is_found_not_repeated(
        self, world: World, server: OwnPostgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chain = _planned(world)
        world.right.during_write = lambda operation: server.stop() if operation.natural_key == "2" else None
        slept = _while_waiting(monkeypatch, world.time, lambda _: server.start())

        assert world.step(chain, Stage.PUSH).startswith("put off: the database cannot be used now")
        world.right.during_write = None
        assert len(slept) == 1  # the records were given back as soon as it was there again
        assert world.record("things", "2").token is None
        world.settle(patience_s=300)
        _all_written_once(world, 3)

    def test_one_that_is_away_for_longer_than_a_lease_costs_the_settle_time_and_nothing_else(
        self, world: World, server: OwnPostgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chain = _planned(world)
        world.right.during_write = lambda operation: server.stop() if operation.natural_key == "2" else None
        slept = _while_waiting(monkeypatch, world.time, lambda _: None)

        with pytest.raises(Transient, match="the database cannot be used now: "):
            world.step(chain, Stage.PUSH)
        assert 30 < sum(slept) < 45
        world.right.during_write = None
        server.start()
        world.settle(patience_s=600)
        _all_written_once(world, 3)

    @pytest.mark.parametrize("stage", list(Stage))
    def test_a_step_that_cannot_even_begin_says_so_and_has_done_nothing(
        self, world: World, server: OwnPostgres, stage: Stage
    ) -> None:
        chain = _planned(world) if stage is Stage.PUSH else None
        if chain is None:
            world.left.put("things", "1", name="a lamp")
            world.want("things", "1")
            world.pump()
            chain = world.messages.pop()
            if stage is Stage.TRANSFORM:
                world.step(chain, Stage.FETCH)
        before = _everything(world.store)
        server.stop()
        with pytest.raises(Transient, match="the database cannot be used now: "):
            world.step(chain, stage)
        with pytest.raises(Transient, match="the database cannot be used now: "):
            world.pump()
        server.start()
        assert _everything(world.store) == before
        world.run_message(chain)  # the message comes again, or the pump sends another
        world.settle(patience_s=60)
        _all_written_once(world, 3 if stage is Stage.PUSH else 1)

    def test_a_server_that_takes_no_writes_for_the_moment_is_waited_for(self, world: World) -> None:
        def write_all_the_same() -> None:
            with world.store.write() as writing:
                writing.execute(text("SET TRANSACTION READ ONLY"))
                writing.execute(text("UPDATE endpoint SET name = name"))

        with pytest.raises(Transient, match="read-only transaction"):
            write_all_the_same()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SQLite file whose writers lose patience soon."""
    monkeypatch.setattr(session, "BUSY_TIMEOUT_MS", 50)
    migrate.upgrade(f"sqlite:///{tmp_path}/store.db")
    return tmp_path / "store.db"


@pytest.fixture
def sqlite_world(file: Path, time: Time) -> Iterator[World]:
    store = Store(f"sqlite:///{file}")
    yield _world(store, time)
    store.close()


class TestSQLiteThatIsBusy:
    """Somebody else holds the write lock for longer than a writer waits: a backup tool, a person with a shell."""

    def test_it_is_told_readers_go_on_and_so_do_writers_when_it_is_free(self, sqlite_world: World, file: Path) -> None:
        before = _everything(sqlite_world.store)
        with sqlite3.connect(file, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Transient, match=r"the database cannot be used now: database is locked"):
                sqlite_world.want("things", "1")
            assert _everything(sqlite_world.store) == before
            other.execute("ROLLBACK")
        other.close()
        sqlite_world.left.put("things", "1", name="a lamp")
        sqlite_world.sync("things", "1")
        _all_written_once(sqlite_world, 1)

    def test_the_answer_to_a_write_is_not_noted_and_the_write_is_found_not_repeated(
        self, sqlite_world: World, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = sqlite_world
        chain = _planned(world)
        other = sqlite3.connect(file, isolation_level=None)

        def hold(operation: Any) -> None:
            if operation.natural_key == "2":
                other.execute("BEGIN IMMEDIATE")

        world.right.during_write = hold
        slept = _while_waiting(monkeypatch, world.time, lambda _: other.execute("ROLLBACK"))
        assert "database is locked" in world.step(chain, Stage.PUSH)
        world.right.during_write = None
        other.close()
        assert len(slept) == 1
        world.settle(patience_s=300)
        _all_written_once(world, 3)


class TestDiskThatIsFull:
    """SQLite's own limit of pages, reached for real."""

    def test_nothing_is_half_done_and_it_goes_on_when_there_is_room(
        self, sqlite_world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = sqlite_world
        most = [1_000_000]

        @event.listens_for(world.store.engine, "checkout")
        def bound(connection: Any, _record: Any, _proxy: Any) -> None:
            connection.execute(f"PRAGMA max_page_count = {most[0]}")

        keys = [str(number) for number in range(1, 9)]
        for key in keys:
            world.left.put("things", key, name=f"thing {key} {secrets.token_hex(10_000)}")  # what cannot be compressed
        world.want("things", *keys)
        world.pump()
        chain = world.messages.pop()
        with world.store.read() as reading:
            most[0] = reading.scalar(text("PRAGMA page_count")) or 0
        before = {name: rows for name, rows in _everything(world.store).items() if name != "record"}

        def make_room(_seconds: float) -> None:
            after = _everything(world.store)
            assert {name: rows for name, rows in after.items() if name != "record"} == before
            most[0] = 1_000_000

        slept = _while_waiting(monkeypatch, world.time, make_room)
        said = world.step(chain, Stage.FETCH)
        most[0] = 1_000_000
        assert said.startswith("put off: the database cannot be used now: database or disk is full")
        assert len(slept) <= 1  # to be put off takes little room, which there may be
        assert {name for name, rows in _everything(world.store).items() if rows != before.get(name)} <= {
            "record",
            "event",
        }
        world.settle(patience_s=60)
        _all_written_once(world, 8)


def test_what_was_put_off_for_the_store_says_why(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    chain = _planned(world, 1)
    broken = Transient("the database cannot be used now: disk I/O error")
    monkeypatch.setitem(running.STEPS, Stage.PUSH, lambda *_: (_ for _ in ()).throw(broken))
    world.step(chain, Stage.PUSH)
    record = world.record("things", "1")
    assert record.reason == "the database cannot be used now: disk I/O error"
    assert record.not_before <= world.time.at + timedelta(seconds=5)
