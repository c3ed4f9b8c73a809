"""The store: can it be reached, is it at its newest revision, is it whole, has it room; and does the key open it."""

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

LITTLE_SPACE, NO_SPACE = 1e9, 100e6
LARGE_LOG = 500e6
CROWDED = 0.8
SAMPLED = 400
"""Of each kind of what is sealed."""


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
        yield fail("database", f"{kind} answers, but {error.says}", error.remedy)
        return
    yield ok("database", f"{kind} answers, at revision {migrate.newest()}")


def examine(store: Store) -> Iterator[Finding]:
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
    """Whether the keys open what is stored: every secret, and a sample of everything else, old and new. Raises Transient."""
    with store.read() as session:
        secrets = session.execute(
            select(Endpoint.name, Secret.name, Secret.value).join(Endpoint, Endpoint.id == Secret.endpoint_id)
        ).all()
    found = [(f"{name} of {endpoint}", vault.fingerprint_of(value)) for endpoint, name, value in secrets]
    for kind in reseal.KINDS[1:]:
        found += [(f"some {kind.name}", vault.fingerprint_of(value)) for value in reseal.sample(store, kind, SAMPLED)]
    shut = list(dict.fromkeys(what for what, print_ in found if not print_))
    if shut:
        remedy = (
            "Put the key that was in use before, or that another host has by now, into SYNCENGINE_KEYS (or the key file), "
            "behind the present one; `syncengine keys list` counts what each key seals"
        )
        return fail("key", f"it does not open {', '.join(shut)}", remedy)
    older = sum(print_ != vault.fingerprints[0] for _, print_ in found)
    says = f"opens {len(secrets)} secrets and a sample of {len(found) - len(secrets):,} of all else that is sealed"
    return ok("key", f"{says}; {older:,} are sealed with older keys, which must be kept" if older else says)
