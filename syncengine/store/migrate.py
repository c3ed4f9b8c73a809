"""Schema migrations by Alembic: `upgrade` applies them, `check` tells whether a database is up to date."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

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
    try:
        with store.write() as session:
            unbound(session)
            config = _config()
            config.attributes["connection"] = session.connection()
            command.upgrade(config, "head")
        return newest()
    finally:
        store.close()


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
