"""Transactions in both dialects. On SQLite a writer takes the write lock when it begins; a reader never takes it."""

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
from syncengine.errors import DatabaseAway, DatabaseFull, DatabaseLocked, Misconfigured, NewerStore

BUSY_TIMEOUT_MS = 30_000
URGENT_EVERY_S = 0.002
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Options of libpq: the last one in milliseconds, the others in seconds or counts. They detect a vanished server within half
a minute; the operating system would take two hours. DATABASE_URL may override them."""

BOUNDS = {
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "40s",
    "statement_timeout": "120s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
"""Server options of each of our sessions. A process that freezes within a transaction, or a host that vanishes, holds row
locks and the pump's lock until the server ends its session, which by default takes hours or never happens. Idle sessions end
first, so that whoever waits for such a lock gets it. All limits are shorter than what they protect: a lease lasts 45 s, a task
240 s. Servers older than PostgreSQL 12 have no tcp_user_timeout; it is then omitted."""

PASSING = ("25006", "25P03", "25P04")
"""SQLSTATEs that pass by themselves: the server accepts no writes (a standby about to take over); a transaction was idle or
ran for too long (PostgreSQL's Appendix A). psycopg already counts 55P03, 57014 and 57P01 as operational errors."""

REVISION_EVERY_S = 3.0
"""How often a writing process checks that the database is still at the revision that this version needs."""

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Store:
    """One database. Create it after a worker has forked: connections do not survive a fork."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        """`url`: an SQLAlchemy URL. Raises Misconfigured if the database is not supported."""
        self.url = url
        self.engine = _engine(url, pool_size)
        self._revision: str | None = None
        self._revision_seen = -REVISION_EVERY_S

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self, *, durable: bool = True, urgent: bool = False) -> Iterator[Session]:
        """A writing transaction: commits at the end, rolls back on an exception. Make no HTTP call inside.

        durable: False does not wait for the disk, for work that may safely be repeated. A power failure may lose it, a
        killed process does not. Later commits are then lost too, and a durable commit also keeps all commits before it
        (SQLite's synchronous=NORMAL with WAL, PostgreSQL's synchronous_commit=off).

        urgent: a caller outside waits for it. SQLite's own wait for its write lock sleeps up to 100 ms at a time, and whoever
        comes meanwhile goes first; an urgent transaction asks every few milliseconds.

        Raises Transient if the database is away, busy, or chose this transaction as the victim of a deadlock. Raises
        NewerStore if it is no longer at the revision of `hold_to`.
        """
        with _translated(), self.engine.connect() as connection, Session(connection, expire_on_commit=False) as session:
            self._begin(connection, durable, urgent)
            self._check_revision(connection)
            yield session
            session.commit()
            connection.commit()

    def hold_to(self, revision: str) -> None:
        """Refuse to write to a database at any other revision from now on (checked every few seconds)."""
        self._revision = revision

    def _check_revision(self, connection: Connection) -> None:
        if self._revision is None or clock.monotonic() - self._revision_seen < REVISION_EVERY_S:
            return
        query = "SELECT version_num FROM alembic_version"
        query += "" if self.is_sqlite else " FOR SHARE"  # wait for a running migration, and let it wait for us
        found = connection.exec_driver_sql(query).scalar()
        if found != self._revision:
            raise NewerStore(
                f"the database is now at revision {found}, but this process needs {self._revision} and stops writing. "
                "Restart it with the version of syncengine that migrated the database"
            )
        self._revision_seen = clock.monotonic()

    def _begin(self, connection: Connection, durable: bool, urgent: bool) -> None:
        if self.is_sqlite:
            if connection.info.get("durable", True) is not durable:
                connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                connection.info["durable"] = durable
            _begin_soon(connection) if urgent else connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif not durable:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A reading transaction. Objects stay usable after it; changes made inside are discarded. Raises Transient."""
        with _translated(), self.engine.connect() as connection, Session(connection) as session:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN DEFERRED")
            try:
                yield session
            finally:
                session.expunge_all()  # loaded objects stay usable as they were read
                session.rollback()
                connection.rollback()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def _begin_soon(connection: Connection) -> None:
    """BEGIN IMMEDIATE, tried every few milliseconds. Raises OperationalError if the lock is not free in time."""
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    until = clock.monotonic() + BUSY_TIMEOUT_MS / 1000
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if not _is_locked(error) or clock.monotonic() > until:
                    raise
            clock.sleep(URGENT_EVERY_S)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _engine(url: str, pool_size: int) -> Engine:
    try:
        if url.startswith(("postgres://", "postgresql://")):
            url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        exact = {
            "json_serializer": to_json,
            "json_deserializer": from_json,  # keeps Decimals and times exact
            "hide_parameters": True,  # they contain personal data, which must not appear in logs
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
        address = re.sub(r"//[^@/]*@", "//***@", url)
        remedy = "Use sqlite:///path/file.db or postgresql://user:password@host/database"
        raise Misconfigured(f"DATABASE_URL = {address!r} cannot be used ({type(error).__name__}). {remedy}") from None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # Store.write and Store.read begin transactions themselves
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _bound(connection: Any, _record: Any) -> None:
    """Set `BOUNDS` for a new session, except options that the address, the role or the database sets explicitly.

    Uses a statement, because poolers (pgbouncer) refuse unknown start-up options.
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
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in DAMAGED:  # the higher bits name the part of the file
            raise Misconfigured(
                f"the database file is damaged ({complaint(error)})",
                "Stop everything, keep a copy of the file, and restore the last backup",
            ) from error
        if isinstance(error, OperationalError) or error.connection_invalidated or _passes(error):
            raise _away(error) from error
        raise
    except PoolTimeout as error:
        raise DatabaseAway("the database cannot be used now: all connections of this process are in use") from error


def _away(error: DBAPIError) -> DatabaseAway:
    says = f"the database cannot be used now: {complaint(error)}"
    if _is_locked(error):
        return DatabaseLocked(says)
    if _is_full(error):
        return DatabaseFull(
            f"{says}. Its disk may be full: free space on it; nothing is lost, and work continues by itself"
        )
    return DatabaseAway(says)


def _is_full(error: DBAPIError) -> bool:
    """True if the disk is full. SQLite reports only an I/O error if its log cannot grow."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or getattr(error.orig, "sqlstate", None) == "53100"


def _is_locked(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or getattr(error.orig, "sqlstate", None) == "55P03"


def _passes(error: DBAPIError) -> bool:
    """True for errors that pass by themselves although psycopg does not count them as operational."""
    return getattr(error.orig, "sqlstate", None) in PASSING


def complaint(error: DBAPIError) -> str:
    """The database's error text, without the statement and its parameters."""
    text = str(error.orig).strip() if error.orig else ""
    return text.splitlines()[0] if text else type(error).__name__


def lock_pump(session: Session) -> None:
    """Let only one pump at a time decide what to claim, until this transaction ends. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(7302015)"))


def unbound(session: Session) -> None:
    """Lift the time limits of this transaction, for work that cannot be split. The limit for locks remains."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
