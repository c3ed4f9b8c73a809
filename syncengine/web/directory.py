"""Which connection a webhook's address names, and with what secrets: read from the store, and kept for a moment."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from syncengine import clock
from syncengine.connectors.hooks import FORMER_SECRET, SECRET
from syncengine.engine.core.engine import Engine
from syncengine.store.models import ConnectionRow, Endpoint, Secret

KEPT_S = 5.0
"""How long an entry is used before it is read again."""

AGAIN_S = 0.2
"""How soon an entry is read again because a secret was not accepted: it may have been replaced just now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a webhook's address leads. connection_id: None if nowhere. secrets: those that are accepted, at least one."""

    connection_id: int | None
    side: str
    secrets: tuple[str, ...]
    read_at: float


class Directory:
    """The connections by name, for one process. May be shared by threads."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._entries: dict[tuple[str, str], Entry] = {}
        self._lock = threading.Lock()
        self._nobody = secrets.token_urlsafe(32)

    def find(self, system: str, connection: str, *, kept_s: float = KEPT_S) -> Entry:
        """The entry of a connection's endpoint of a system, at most `kept_s` seconds old. Raises Misconfigured, Transient.

        An address that leads nowhere has a secret that nobody knows, so that it is answered as a wrong secret is.
        """
        entry = self._entries.get((system, connection))
        if entry is not None and clock.monotonic() - entry.read_at < kept_s:
            return entry
        with self._lock:
            entry = self._read(system, connection)
            if entry.connection_id is not None:  # anybody can make up names
                self._entries[system, connection] = entry
        return entry

    def _read(self, system: str, connection: str) -> Entry:
        engine, read_at = self._engine(), clock.monotonic()
        with engine.store.read() as session:
            row = session.scalars(select(ConnectionRow).where(ConnectionRow.name == connection)).first()
            sides = {} if row is None else {"left": row.left_id, "right": row.right_id}
            systems = {
                side: session.scalar(select(Endpoint.system).where(Endpoint.id == id_)) for side, id_ in sides.items()
            }
            side = next((side for side, its_system in systems.items() if its_system == system), "")
            kept = select(Secret.value).where(
                Secret.endpoint_id == sides.get(side), Secret.name.in_((SECRET, FORMER_SECRET))
            )
            sealed = session.scalars(kept).all()
        if row is None or not row.flows or not side:
            return Entry(None, "", (self._nobody,), read_at)
        known = tuple(filter(None, (engine.vault.open(value).decode() for value in sealed)))
        return Entry(row.id, side, known or (self._nobody,), read_at)
