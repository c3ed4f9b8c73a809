"""Migrated, empty databases for the tests, and one `Store` on each kind that a test process uses again and again.

Migrations take a tenth of a second, a PostgreSQL database as long again, and SQLAlchemy compiles every statement again for
each engine. So a test process migrates once, and each test meets the same engine on a database that is as it was then.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
from psycopg import sql

from syncengine.store import Store
from syncengine.store.migrate import upgrade
from tests.services import start_postgres


class Databases:
    """The databases of one test process."""

    def __init__(self, folder: Path, shared: Path) -> None:
        """`folder` is this process's own; `shared` that of the run's PostgreSQL (`services.shared_folder`)."""
        self._folder, self._shared = folder, shared
        self._template: Path | None = None
        self._postgres: _Emptied | None = None
        self._stores: dict[str, Store] = {}
        self._kept: dict[str, Path] = {}

    def sqlite(self, kept: str = "") -> str:
        """Address of the file `test.db`, copied from a migrated one or from what was kept under this name."""
        if self._template is None:
            self._template = self._folder / "template.db"
            store = Store(f"sqlite:///{self._template}")
            upgrade(store.url)
            store.close()
        file = self._folder / "test.db"
        for name in ("test.db", "test.db-wal", "test.db-shm"):
            (self._folder / name).unlink(missing_ok=True)
        shutil.copyfile(self._kept.get(kept, self._template), file)
        return f"sqlite:///{file}"

    def keep(self, store: Store, name: str) -> None:
        """Keep a copy of a SQLite database as it is now, for `sqlite(name)`."""
        file = self._folder / f"{name}.kept.db"
        with store.engine.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(file),))
        self._kept[name] = file

    def is_kept(self, name: str) -> bool:
        """Whether `keep` has kept a copy under this name."""
        return name in self._kept

    def postgres(self) -> str:
        """Address of this process's PostgreSQL database, with what the migrations left in it and nothing else."""
        if self._postgres is not None:
            try:
                self._postgres.empty()
            except psycopg.OperationalError:  # a test put another database in its place
                self._postgres.close()
                self._postgres = None
        if self._postgres is None:
            url = start_postgres(self._shared)
            upgrade(url)
            self._postgres = _Emptied(url)
        return self._postgres.url

    def store(self, url: str) -> Store:
        """The store on one of these databases; close it after the test, which it outlives."""
        if url not in self._stores:
            self._stores[url] = Store(url)
        return self._stores[url]

    def close(self) -> None:
        """Close all connections."""
        for store in self._stores.values():
            store.close()
        if self._postgres is not None:
            self._postgres.close()


class _Emptied:
    """A PostgreSQL database that was just migrated, and can be brought back to that."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)
        names = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        self._tables = sorted(name for (name,) in names if name != "alembic_version")
        (self._revision,) = self._connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)

    def empty(self) -> None:
        """Remove all rows and restart the sequences; whoever is left in the midst of a transaction is cut off."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        used = "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND pg_relation_size(oid) > 0"
        with self._connection.transaction():
            tables = [sql.Identifier(name) for (name,) in self._connection.execute(used, (self._tables,))]
            self._connection.execute("SET LOCAL session_replication_role = replica")  # the timeline refuses TRUNCATE
            if tables:  # not DELETE: rows would come in another order where their predecessors' place is free
                self._connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))
            self._connection.execute(
                "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence JOIN pg_class ON oid = seqrelid "
                "WHERE relnamespace = 'public'::regnamespace AND pg_sequence_last_value(seqrelid) IS NOT NULL"
            )
            self._connection.execute("UPDATE alembic_version SET version_num = %s", (self._revision,))

    def close(self) -> None:
        """Close the connection; the database goes with its server."""
        self._connection.close()
