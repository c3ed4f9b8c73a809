"""Resealing: everything that older keys have sealed is sealed again with the newest key, so that they can be removed.

A person requests it (`syncengine keys rotate`); the store keeps the progress, sealed. A scheduled task does it in short
transactions beside all other work, on any host that seals with the requested key. A row that is written meanwhile is
skipped: its writer has sealed it, perhaps still with an old key. So the task repeats its pass until one finds nothing to do.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from syncengine import clock
from syncengine.document import from_json, to_json
from syncengine.engine.core.engine import Engine
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store.dialect import insert_into
from syncengine.store.lock import Lock
from syncengine.store.models import Base, Correction, Effect, Link, Payload, Secret, Slot
from syncengine.vault import Vault

log = logging.getLogger(__name__)

NAME = "reseal"
AT_ONCE = 300
"""Rows per transaction."""

PAUSE_S = 0.02
"""Between two transactions: SQLite has one write lock, and other writers must find it free in between."""

LONGEST_S = 60.0
"""How long one run of the task works; the next run continues."""

LEASE_S = 600.0
"""How long a run that was killed blocks the next one. If a run takes longer, two do the same work, which is harmless."""


@dataclass(frozen=True, slots=True)
class SealedKind:
    """One column of sealed bytes. name: for people. first: a value below every key of the table."""

    name: str
    model: type[Base]
    key: InstrumentedAttribute[Any]
    value: InstrumentedAttribute[Any]
    first: int | str = 0


KINDS = (
    SealedKind("secrets", Secret, Secret.id, Secret.value),
    SealedKind("sessions", Slot, Slot.name, Slot.value, ""),
    SealedKind("agreements", Link, Link.id, Link.base),
    SealedKind("documents", Payload, Payload.id, Payload.body),
    SealedKind("documents of writes", Effect, Effect.id, Effect.request),
    SealedKind("corrections", Correction, Correction.id, Correction.patch),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far resealing has come.

    Attributes:
        key: fingerprint of the key that everything is sealed with.
        kind: index in `KINDS` where it continues; `after`: the last key handled there.
        found: values resealed in this pass; `total`: in all passes.
        shut: values in this pass that no key of this host opens; they are left unchanged.
    """

    key: str
    kind: int = 0
    after: int | str = KINDS[0].first
    found: int = 0
    total: int = 0
    shut: int = 0

    def __str__(self) -> str:
        """One line for people."""
        shut = f"; {self.shut:,} that no key of this host opens were left unchanged" if self.shut else ""
        where = f", now at {KINDS[self.kind].name}" if self.kind < len(KINDS) else ""
        return f"{self.total:,} sealed again under {self.key}{where}{shut}"


def request(store: Store, vault: Vault) -> Progress:
    """Request that everything is sealed with the newest key; returns the progress. Raises Transient.

    Resealing that is already in progress for that key continues.
    """
    current = progress_if_readable(store, vault)
    if current is not None and current.key == vault.fingerprints[0]:
        return current
    begun = Progress(vault.fingerprints[0])
    _note(store, vault, begun)
    return begun


def progress(store: Store, vault: Vault) -> Progress | None:
    """The progress; None if nothing is left to do. Raises Misconfigured if this host lacks the key, Transient."""
    sealed = _sealed(store)
    return None if sealed is None else Progress(**from_json(vault.open(sealed).decode()))


def progress_if_readable(store: Store, vault: Vault) -> Progress | None:
    """As `progress`, but None if no key of this host opens it, as when that key is lost. Raises Transient."""
    sealed = _sealed(store)
    return progress(store, vault) if sealed is not None and vault.fingerprint_of(sealed) else None


def _sealed(store: Store) -> bytes | None:
    with store.read() as session:
        return session.scalar(select(Slot.value).where(Slot.name == NAME))


def run(engine: Engine, *, for_s: float) -> Progress | None:
    """Continue for `for_s` seconds; returns the progress, None if nothing is left to do or another process does it.

    Raises Misconfigured if this process lacks the requested key, or seals with another one; Transient.
    """
    if (now := progress(engine.store, engine.vault)) is None:
        return None
    if now.key != engine.vault.fingerprints[0]:
        raise Misconfigured(
            f"the store is being resealed with the key {now.key}, but this process seals with {engine.vault.fingerprints[0]}",
            "Put the same key first on every host (docs/operate/keys.md)",
        )
    with Lock(engine.store, NAME, LEASE_S).tried() as is_ours:
        return _run(engine, now, clock.monotonic() + for_s) if is_ours else None


def _run(engine: Engine, now: Progress, until: float) -> Progress | None:
    while True:
        while now.kind < len(KINDS):
            now = _batch(engine, now)
            _note(engine.store, engine.vault, now)
            if engine.is_ending() or clock.monotonic() >= until:
                return now
            clock.sleep(PAUSE_S)
        log.info("keys: %s", now)
        if not now.found:
            _note(engine.store, engine.vault, None)
            return None
        now = Progress(now.key, total=now.total)


def _batch(engine: Engine, now: Progress) -> Progress:
    """Reseal some rows of one kind, unless they were changed since they were read."""
    kind, vault = KINDS[now.kind], engine.vault
    rows = _rows(engine.store, kind, now.after)
    fingerprints = [vault.fingerprint_of(value) for _, value in rows]
    old = [row for row, fingerprint in zip(rows, fingerprints, strict=True) if fingerprint not in ("", now.key)]
    if old:
        table = kind.model.__table__
        unchanged = (table.c[kind.key.key] == bindparam("its_key"), table.c[kind.value.key] == bindparam("its_value"))
        renewed = [{"its_key": key, "its_value": value, "new": vault.renewed(value)} for key, value in old]
        with engine.store.write(durable=False) as session:
            renewed = _free(session, kind, renewed)
            statement = update(table).where(*unchanged)  # type: ignore[arg-type]
            if renewed:
                session.connection().execute(statement.values({kind.value.key: bindparam("new")}), renewed)
    shut = now.shut + fingerprints.count("")
    now = replace(now, found=now.found + len(old), total=now.total + len(old), shut=shut)
    if len(rows) == AT_ONCE:
        return replace(now, after=rows[-1][0])
    following = KINDS[now.kind + 1].first if now.kind + 1 < len(KINDS) else 0
    return replace(now, kind=now.kind + 1, after=following)


def _free(session: Session, kind: SealedKind, renewed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those whose row nobody has locked: a worker that waits for one of ours may hold another. The next pass finds the rest."""
    keys = [row["its_key"] for row in renewed]
    mine = set(session.scalars(select(kind.key).where(kind.key.in_(keys)).with_for_update(skip_locked=True)))
    return [row for row in renewed if row["its_key"] in mine]


def _rows(store: Store, kind: SealedKind, after: int | str) -> Sequence[tuple[Any, bytes]]:
    query = select(kind.key, kind.value).where(kind.value.is_not(None), kind.key > after)
    with store.read() as session:
        return [(key, value) for key, value in session.execute(query.order_by(kind.key).limit(AT_ONCE))]


def _note(store: Store, vault: Vault, now: Progress | None) -> None:
    sealed = None if now is None else vault.seal(to_json(asdict(now)).encode())
    with store.write() as session:
        session.execute(insert_into(session, Slot).values(name=NAME).on_conflict_do_nothing())
        session.execute(update(Slot).where(Slot.name == NAME).values(value=sealed))


# -- what is sealed under which key ------------------------------------------------------------------------------------


def counts(store: Store, vault: Vault) -> dict[str, Counter[str]]:
    """Number of values by the key (its fingerprint) that sealed them and their kind. Reads everything. Raises Transient.

    What no key of this host opens is counted under the empty text.
    """
    found: dict[str, Counter[str]] = {fingerprint: Counter() for fingerprint in vault.fingerprints}
    for kind in KINDS:
        for value in _all(store, kind):
            found.setdefault(vault.fingerprint_of(value), Counter())[kind.name] += 1
    return found


def _all(store: Store, kind: SealedKind) -> Iterator[bytes]:
    after = kind.first
    while rows := _rows(store, kind, after):
        yield from (value for _, value in rows)
        after = rows[-1][0]


def sample(store: Store, kind: SealedKind, most: int) -> list[bytes]:
    """At most `most` sealed values of one kind: the oldest, the newest, and some in between. Raises Transient."""
    part = most // 4
    with store.read() as session:
        there = select(kind.value).where(kind.value.is_not(None))
        ends = [session.scalars(there.order_by(order).limit(part)) for order in (kind.key, kind.key.desc())]
        found = [value for end in ends for value in end]
        if isinstance(kind.first, int):
            count = session.scalar(select(func.count()).select_from(kind.model)) or 0
            step = max(1, count // (2 * part))
            found += session.scalars(there.where(kind.key % step == 0).order_by(kind.key).limit(2 * part))
    return list(dict.fromkeys(found))
