"""The database: is it reachable, migrated and intact, is there disk space left, and do the keys decrypt it?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select, text

from syncengine.engine.doctor.finding import Finding, fail, ok, size, warn
from syncengine.engine.upkeep import reseal
from syncengine.errors import Misconfigured
from syncengine.store import Store, migrate
from syncengine.store.models import Endpoint, Secret
from syncengine.vault import Vault

LITTLE_SPACE, NO_SPACE = 1e9, 100e6  # bytes
LARGE_LOG = 500e6  # bytes
CROWDED = 0.8
SAMPLED = 400
"""Values of each sealed kind that are tried."""


def reach(store: Store) -> Iterator[Finding]:
    """Whether it is reachable and migrated. Unless all findings are `ok`, its content is not examined. Raises Transient."""
    kind = "SQLite" if store.is_sqlite else "PostgreSQL"
    if (
        store.is_sqlite and not Path(file := store.engine.url.database or "").exists()
    ):  # connecting would create an empty one
        remedy = "Correct DATABASE_URL or SYNCENGINE_HOME, or restore the file; `syncengine migrate` creates a new one"
        yield fail("database", f"{file} does not exist", remedy)
        return
    try:
        migrate.check(store)
    except Misconfigured as error:
        yield fail("database", f"{kind} answers, but {error.says}", error.remedy)
        return
    yield ok("database", f"{kind} answers, at revision {migrate.newest()}")


def examine(store: Store) -> Iterator[Finding]:
    """Examine a database that can be reached. Raises Transient."""
    if store.is_sqlite:
        yield from _sqlite(store, Path(store.engine.url.database or ""))
    else:
        yield from _postgres(store)


def _sqlite(store: Store, file: Path) -> Iterator[Finding]:
    part = "database file"
    with store.read() as session:
        mode = session.scalar(text("PRAGMA journal_mode"))
        complaints = list(session.scalars(text("PRAGMA quick_check(3)")))
    log = Path(f"{file}-wal")
    sizes = f"{size(file.stat().st_size)}, log of {size(log.stat().st_size) if log.exists() else '0 bytes'}"
    if complaints != ["ok"]:
        remedy = "Stop all processes, keep a copy, and restore the last backup as in docs/operate/restore.md"
        yield fail(part, f"damaged: {complaints[0]}", remedy)
    elif mode != "wal":
        yield warn(
            part,
            f"journal mode {mode}, so readers block writers",
            "Make sure that no other program changes its journal mode",
        )
    elif log.exists() and log.stat().st_size > LARGE_LOG:
        yield warn(part, f"intact; {sizes}", "A read transaction never ends; restart the processes")
    else:
        yield ok(part, f"intact; {sizes}")
    yield space("database disk", file.parent)


def space(part: str, folder: Path) -> Finding:
    """Whether the disk of a folder has space left. part: the name of the finding."""
    free = shutil.disk_usage(folder).free
    says = f"{size(free)} free in {folder}"
    remedy = "Free disk space: when the disk is full nothing can be recorded, so nothing is sent"
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
        yield fail(part, f"{says}; it is a read-only standby", "Point DATABASE_URL at the primary")
    elif used >= CROWDED * most:
        yield warn(part, says, "Raise max_connections or add a connection pooler, or new connections will be refused")
    else:
        yield ok(part, says)


def key(store: Store, vault: Vault) -> Finding:
    """Whether the keys decrypt what is stored: every secret, and a sample of everything else, old and new. Raises Transient."""
    with store.read() as session:
        secrets = session.execute(
            select(Endpoint.name, Secret.name, Secret.value).join(Endpoint, Endpoint.id == Secret.endpoint_id)
        ).all()
    found = [(f"{name} of {endpoint}", vault.fingerprint_of(value)) for endpoint, name, value in secrets]
    for kind in reseal.KINDS[1:]:
        found += [(f"some {kind.name}", vault.fingerprint_of(value)) for value in reseal.sample(store, kind, SAMPLED)]
    unreadable = list(dict.fromkeys(what for what, fingerprint in found if not fingerprint))
    if unreadable:
        remedy = (
            "Add the former key, or the key that another host uses, to SYNCENGINE_KEYS or the key file, "
            "after the current one; `syncengine keys list` counts what each key has encrypted"
        )
        return fail("key", f"cannot decrypt {', '.join(unreadable)}", remedy)
    older = sum(fingerprint != vault.fingerprints[0] for _, fingerprint in found)
    says = f"decrypts all {len(secrets)} secrets and a sample of {len(found) - len(secrets):,} other values"
    return ok("key", f"{says}; {older:,} are encrypted with older keys, which must be kept" if older else says)
