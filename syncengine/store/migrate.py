"""Schema migrations by Alembic: `upgrade` applies them, `check` tells whether a database is up to date."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from syncengine.errors import Misconfigured
from syncengine.store.session import Store, unbound

MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision that this version of the code needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the package ships at least one migration"  # noqa: S101
    return head


def current(store: Store) -> str | None:
    """The revision of a database, None if it has none. Raises Transient if it is away."""
    with store.read() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def upgrade(url: str) -> str:
    """Bring the database at `url` to the newest revision, all or nothing, and return it. Raises Misconfigured, Transient."""
    store = Store(url)
    if store.is_sqlite:  # a table is made again by dropping it, which must not take along what refers to its rows
        event.listen(store.engine, "connect", lambda opened, _record: opened.execute("PRAGMA foreign_keys=OFF"))
    try:
        with store.write() as session:
            unbound(session)
            config = _config()
            config.attributes["connection"] = session.connection()
            command.upgrade(config, "head")
            _check_references(session)
        return newest()
    finally:
        store.close()


def _check_references(session: Session) -> None:
    """Raises Misconfigured, and so leaves the database as it was, if a row refers to one that is not there."""
    if session.get_bind().dialect.name != "sqlite":
        return
    broken = session.connection().exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        table, row, parent = broken[0][:3]
        raise Misconfigured(
            f"the database was left as it was: row {row} of {table} refers to a {parent} that is missing ({len(broken)} rows "
            "in all). Restore the last backup, or report this with the version that you came from"
        )


def check(store: Store) -> None:
    """Raises Misconfigured, with what to do, unless the database is at the newest revision."""
    found, wanted = current(store), newest()
    if found == wanted:
        return
    if found is None:
        with store.read() as session:
            tables = inspect(session.connection()).get_table_names()
        what = "has no tables of syncengine" if "record" not in tables else "was not made by migrations"
    else:
        what = f"is at revision {found}, this version needs {wanted}"
    raise Misconfigured(f"the database {what}. Run `syncengine migrate`")
