"""Transactions, in both dialects. On SQLite a writer begins as one; a reader never takes the write lock."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy import create_engine as _create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.document import from_json, to_json
from syncengine.errors import DatabaseAway, DatabaseLocked, Misconfigured, NewerStore

BUSY_TIMEOUT_MS = 30_000
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Of libpq; the last in milliseconds, all others in seconds or counts. A server that vanished without a word is given up
within half a minute, where the system's own patience is two hours; what DATABASE_URL says goes before."""

BOUNDS = {
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "40s",
    "statement_timeout": "120s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
"""Of the server, for each of our sessions. A process that is frozen within a transaction, or a host that is lost without a
word, holds row locks and the pump's own until the server ends its session; by itself it would wait for hours, or for ever.
Whoever waits for such a lock gets it, as idle sessions are ended first. All are shorter than what they protect: a lease is
45 s, and a task has 240 s. Servers older than PostgreSQL 12 know no tcp_user_timeout, which is then left out."""

PASSING = ("25006", "25P03", "25P04")
"""The server takes no writes just now (a standby that is about to take over); a transaction was left idle, or took, for too
long (PostgreSQL's Appendix A). Lock, statement and shutdown errors (55P03, 57014, 57P01) are operational ones to psycopg."""

REVISION_EVERY_S = 3.0
"""How often a process that writes looks whether the database is still at the revision that it was made for."""

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Store:
    """One database. Made after the fork of a worker, never before: connections do not survive it."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        """`url` as SQLAlchemy reads it. Raises Misconfigured if it does not name a database that is supported."""
        self.url = url
        self.engine = _engine(url, pool_size)
        self._revision: str | None = None
        self._revision_seen = -REVISION_EVERY_S

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """A writing transaction, committed at the end, rolled back by an exception. Keep no HTTP call inside.

        `durable=False` does not wait for the disk, for what is done again at no harm: a machine that loses its power may
        lose it, a process that is killed does not. It is never lost alone: whatever was committed later is lost too, and a
        durable commit keeps all before it (SQLite's synchronous=NORMAL with WAL, PostgreSQL's synchronous_commit=off).

        Raises Transient when the database is away, busy or chose this transaction as a deadlock's victim, NewerStore if it
        is no longer at the revision of `hold_to`.
        """
        with _translated(), self.engine.connect() as connection, Session(connection, expire_on_commit=False) as session:
            self._begin(connection, durable)
            self._check_revision(connection)
            yield session
            session.commit()
            connection.commit()

    def hold_to(self, revision: str) -> None:
        """From now on refuse to write into a database that is at another revision (checked every few seconds)."""
        self._revision = revision

    def _check_revision(self, connection: Connection) -> None:
        if self._revision is None or clock.monotonic() - self._revision_seen < REVISION_EVERY_S:
            return
        query = "SELECT version_num FROM alembic_version"
        query += "" if self.is_sqlite else " FOR SHARE"  # a migration that has begun is waited for, and waits for us
        found = connection.exec_driver_sql(query).scalar()
        if found != self._revision:
            raise NewerStore(
                f"the database is at revision {found} by now, and this process was made for {self._revision}",
                "It writes nothing more: start it again with the version of syncengine that has migrated the database",
            )
        self._revision_seen = clock.monotonic()

    def _begin(self, connection: Connection, durable: bool) -> None:
        if self.is_sqlite:
            if connection.info.get("durable", True) is not durable:
                connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                connection.info["durable"] = durable
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif not durable:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A reading transaction; objects stay usable after it, what is changed inside is thrown away. Raises Transient."""
        with _translated(), self.engine.connect() as connection, Session(connection) as session:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN DEFERRED")
            try:
                yield session
            finally:
                session.expunge_all()  # what was loaded stays usable, as it was read
                session.rollback()
                connection.rollback()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def _engine(url: str, pool_size: int) -> Engine:
    try:
        if url.startswith(("postgres://", "postgresql://")):
            url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        exact = {
            "json_serializer": to_json,
            "json_deserializer": from_json,  # Decimals and times stay what they are
            "hide_parameters": True,  # they hold people's data, which no log and no timeline shall show
        }
        if url.startswith("sqlite"):
            engine = _create_engine(url, connect_args={"check_same_thread": False}, pool_size=pool_size, **exact)
            event.listen(engine, "connect", _prepare_sqlite)
            if engine.url.database:
                Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            return engine
        options = {name: value for name, value in PATIENCE.items() if name not in make_url(url).query}
        engine = _create_engine(
            url, connect_args=options, pool_size=pool_size, max_overflow=5, pool_pre_ping=True, **exact
        )
        event.listen(engine, "connect", _bound)
        return engine
    except (ArgumentError, ImportError, ValueError) as error:
        shown = re.sub(r"//[^@/]*@", "//***@", url)
        remedy = "Use sqlite:///path/file.db or postgresql://user:password@host/database"
        raise Misconfigured(f"DATABASE_URL = {shown!r} cannot be used ({type(error).__name__})", f"{remedy}") from None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin as we say, see Store.write
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _bound(connection: Any, _record: Any) -> None:
    """Set `BOUNDS` for a new session, but for what somebody has set on purpose: the address, the role, or the database.

    By a statement, since poolers (pgbouncer) refuse start-up options that they do not know.
    """
    wanted = ", ".join(f"('{name}', '{value}')" for name, value in BOUNDS.items())
    connection.execute(
        "SELECT set_config(wanted.name, wanted.value, false) "  # noqa: S608 - our own constants
        f"FROM (VALUES {wanted}) AS wanted (name, value) JOIN pg_settings USING (name) "
        "WHERE source NOT IN ('client', 'user', 'database', 'database user')"
    )
    connection.commit()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in DAMAGED:  # above stands which part of the file
            raise Misconfigured(
                f"the database file is damaged ({complaint(error)})",
                "Stop everything, keep a copy of the file, and restore the last backup",
            ) from error
        if isinstance(error, OperationalError) or error.connection_invalidated or _passes(error):
            away = DatabaseLocked if _is_locked(error) else DatabaseAway
            raise away(f"the database cannot be used now: {complaint(error)}") from error
        raise
    except PoolTimeout as error:
        raise DatabaseAway("the database cannot be used now: all connections of this process are in use") from error


def _is_locked(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or getattr(error.orig, "sqlstate", None) == "55P03"


def _passes(error: DBAPIError) -> bool:
    """True for what psycopg does not count as operational, and yet is over by itself."""
    return getattr(error.orig, "sqlstate", None) in PASSING


def complaint(error: DBAPIError) -> str:
    """What the database says of a statement, without the statement and what it carried."""
    said = str(error.orig).strip() if error.orig else ""
    return said.splitlines()[0] if said else type(error).__name__


def lock_pump(session: Session) -> None:
    """Have one pump at a time decide what to claim, until this transaction ends. SQLite's writers are alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(7302015)"))


def unbound(session: Session) -> None:
    """Let this transaction take as long as it needs, for what cannot be done in parts. It waits for locks as others do."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
