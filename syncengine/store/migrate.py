"""Schema migrations by Alembic: `upgrade` applies them, `check` checks that a database is up to date.

Do not migrate a database while a process of another version uses it. `at_work` reports what the database knows of such
processes, and `cli/migrate.py` also asks the workers. A process that is missed ends at its next write (`Store.hold_to`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event, func, inspect, select, text
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.errors import Misconfigured, NewerStore
from syncengine.store.dialect import lock_names
from syncengine.store.models import Cursor, Record
from syncengine.store.session import Store, unbound

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
REVISION = re.compile(r"(\d{4})_\w+\.py")
"""The name of a migration's file: its revision, and what it does."""


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> list[str]:
    """All revisions that this version of the code knows, oldest first.

    Taken from the names of the files: every command asks, and to import Alembic takes longer than most commands.
    """
    names = (REVISION.fullmatch(path.name) for path in (MIGRATIONS / "versions").iterdir())
    return sorted(name[1] for name in names if name)


def newest() -> str:
    """The revision that this version of the code needs."""
    return revisions()[-1]


def current(store: Store) -> str | None:
    """The revision of a database, or None. Raises Transient if it is away."""
    with store.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return None
        return session.execute(text("SELECT version_num FROM alembic_version")).scalar()


def is_due(store: Store) -> bool:
    """Whether the database has tables of an older version. Raises Misconfigured if it is newer, Transient."""
    found = current(store)
    _refuse_newer(found)
    return found is not None and found != newest()


def at_work(store: Store) -> list[str]:
    """The work in progress in a database of any revision: one line for each kind. Raises Transient.

    Work of a killed process is listed until its lease runs out, within a minute.
    """
    now = clock.now()
    steps = select(func.count(Record.id), func.max(Record.lease_until)).where(
        Record.runner.is_not(None), Record.lease_until > now
    )
    feeds = select(func.count(Cursor.id), func.max(Cursor.held_until)).where(
        Cursor.holder != "", Cursor.held_until > now
    )
    found = []
    with store.read() as session:
        for query, what in ((steps, "records are being worked on"), (feeds, "feeds are being read")):
            count, until = session.execute(query).one()
            if count:
                found.append(f"{count} {what}, under leases until {until:%H:%M:%S} UTC")
    return found


def upgrade(url: str) -> str:
    """Migrate the database at `url` to the newest revision in one transaction. Returns the revision.

    Raises Misconfigured, Transient.
    """
    from alembic import command

    store = Store(url)
    if store.is_sqlite:  # a rebuilt table is dropped first, which must not delete the rows that refer to it
        event.listen(store.engine, "connect", lambda opened, _record: opened.execute("PRAGMA foreign_keys=OFF"))
    try:
        _refuse_newer(current(store))
        with store.write() as session:
            unbound(session)
            lock_names(session, ["migrate"])  # two processes could otherwise create the first table at once
            _stop_writers(session)
            config = _config()
            config.attributes["connection"] = session.connection()
            command.upgrade(config, "head")
            _check_references(session)
        return newest()
    finally:
        store.close()


def _stop_writers(session: Session) -> None:
    """Wait for transactions that have checked the revision (`Store.hold_to`), and make others wait before they check it.

    Take this lock before any other, to avoid a deadlock.
    """
    if session.get_bind().dialect.name == "postgresql" and inspect(session.connection()).has_table("alembic_version"):
        session.execute(text("LOCK TABLE alembic_version IN EXCLUSIVE MODE"))


def _check_references(session: Session) -> None:
    """Raise Misconfigured, which rolls the migration back, if a row refers to a missing row."""
    if session.get_bind().dialect.name != "sqlite":
        return
    broken = session.connection().exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        table, row, parent = broken[0][:3]
        raise Misconfigured(
            f"the database was not changed: row {row} of {table} refers to a missing {parent} ({len(broken)} such rows in "
            "total). Restore the last backup, or report this and name the version that you upgraded from"
        )


def check(store: Store) -> None:
    """Raise Misconfigured, with a remedy, unless the database is at the newest revision."""
    found, wanted = current(store), newest()
    if found == wanted:
        return
    _refuse_newer(found)
    if found is None:
        with store.read() as session:
            tables = inspect(session.connection()).get_table_names()
        what = "has no tables of syncengine" if "record" not in tables else "was not made by migrations"
    else:
        what = f"is at revision {found}, this version needs {wanted}"
    raise Misconfigured(f"the database {what}", "Run `syncengine migrate`")


def _refuse_newer(found: str | None) -> None:
    """Raise Misconfigured if this version does not know the database's revision."""
    if found is None or found in revisions():
        return
    if re.fullmatch(r"\d{4}", found) and found > newest():
        raise NewerStore(
            f"the database is at revision {found}, which is newer than this version of syncengine ({newest()}). Install the "
            "version that migrated it, or restore the backup from before (docs/operate/restore.md)"
        )
    raise Misconfigured(
        f"the database is at revision {found}, which no version up to this one ({newest()}) creates. Correct DATABASE_URL, "
        "or restore the last backup"
    )
