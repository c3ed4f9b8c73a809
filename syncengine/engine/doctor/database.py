"""The store: can it be reached, is it at its newest revision, is it whole, has it room; and does the key open it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select, text

from syncengine.engine.doctor.finding import Finding, fail, ok, size, warn
from syncengine.errors import Misconfigured
from syncengine.store import Store, migrate
from syncengine.store.models import Endpoint, Link, Payload, Secret
from syncengine.vault import Vault

LITTLE_SPACE, NO_SPACE = 1e9, 100e6
LARGE_LOG = 500e6
CROWDED = 0.8


def reach(store: Store) -> Iterator[Finding]:
    """Reachable, and migrated. The first that is no `ok` ends the examination of what stands in it. Raises Transient."""
    kind = "SQLite" if store.is_sqlite else "PostgreSQL"
    if (
        store.is_sqlite and not Path(file := store.engine.url.database or "").exists()
    ):  # to ask it would make an empty one
        remedy = (
            "Correct DATABASE_URL or SYNCENGINE_HOME, or put the file back; a new one is made by `syncengine migrate`"
        )
        yield fail("database", f"there is no file {file}", remedy)
        return
    try:
        migrate.check(store)
    except Misconfigured as error:
        says, _, remedy = str(error).partition(". ")
        yield fail("database", f"{kind} answers, but {says}", remedy)
        return
    yield ok("database", f"{kind} answers, at revision {migrate.newest()}")


def look(store: Store) -> Iterator[Finding]:
    """All of a database that can be reached. Raises Transient."""
    if store.is_sqlite:
        yield from _sqlite(store, Path(store.engine.url.database or ""))
    else:
        yield from _postgres(store)


def _sqlite(store: Store, file: Path) -> Iterator[Finding]:
    part = "database file"
    with store.read() as session:
        mode = session.scalar(text("PRAGMA journal_mode"))
        said = list(session.scalars(text("PRAGMA quick_check(3)")))
    log = Path(f"{file}-wal")
    sizes = f"{size(file.stat().st_size)}, log of {size(log.stat().st_size) if log.exists() else '0 bytes'}"
    if said != ["ok"]:
        remedy = (
            "Stop everything, keep a copy, restore the last backup (docs/operations.md) with `verify creates until`"
        )
        yield fail(part, f"it is damaged: {said[0]}", remedy)
    elif mode != "wal":
        yield warn(part, f"journal mode {mode}, so readers block writers", "Let nothing else change its journal mode")
    elif log.exists() and log.stat().st_size > LARGE_LOG:
        yield warn(part, f"whole; {sizes}", "Something reads it without an end; start the processes again")
    else:
        yield ok(part, f"whole; {sizes}")
    yield space("database disk", file.parent)


def space(part: str, folder: Path) -> Finding:
    """Whether there is room in a folder."""
    free = shutil.disk_usage(folder).free
    says = f"{size(free)} free in {folder}"
    remedy = "Make room: when the disk is full nothing can be noted, and so nothing is sent"
    if free < NO_SPACE:
        return fail(part, says, remedy)
    return warn(part, says, remedy) if free < LITTLE_SPACE else ok(part, says)


def _postgres(store: Store) -> Iterator[Finding]:
    part = "database server"
    with store.read() as session:
        version, standby, most, used, bytes_ = session.execute(
            text(
                "SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('max_connections')::int,"
                " (SELECT count(*) FROM pg_stat_activity), pg_database_size(current_database())"
            )
        ).one()
    says = f"version {str(version).split()[0]}, {used} of {most} connections, {size(bytes_)}"
    if standby:
        yield fail(part, f"{says}; it is a standby and takes no writes", "Point DATABASE_URL at the primary")
    elif used >= CROWDED * most:
        yield warn(part, says, "Raise max_connections, or put a pooler before it: processes will be turned away")
    else:
        yield ok(part, says)


def key(store: Store, vault: Vault) -> Finding:
    """Whether the key opens what is stored: every secret, and the newest documents. Raises Transient."""
    with store.read() as session:
        secrets = session.execute(
            select(Endpoint.name, Secret.name, Secret.value).join(Endpoint, Endpoint.id == Secret.endpoint_id)
        ).all()
        payload = session.scalar(select(Payload.body).order_by(Payload.id.desc()).limit(1))
        base = session.scalar(select(Link.base).where(Link.base.is_not(None)).order_by(Link.id.desc()).limit(1))
        kept = session.scalar(select(func.count()).select_from(Payload))
    named = [(f"{name} of {endpoint}", value) for endpoint, name, value in secrets]
    named += [(what, value) for what, value in (("a document", payload), ("an agreement", base)) if value is not None]
    shut = [what for what, value in named if not _opens(vault, value)]
    if shut:
        remedy = "Put the key that was in use before into SYNCENGINE_KEYS (or the key file), behind the present one"
        return fail("key", f"it does not open {shut[0]}" + (f" and {len(shut) - 1} more" if shut[1:] else ""), remedy)
    return ok("key", f"opens {len(secrets)} secrets and the newest of {kept:,} documents")


def _opens(vault: Vault, value: bytes) -> bool:
    try:
        vault.open(value)
    except Misconfigured:
        return False
    return True
