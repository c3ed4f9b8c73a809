"""A lock in SQL, held by one process on any host. Its lease ends if the process dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import or_, update

from syncengine import clock
from syncengine.store.dialect import insert_into
from syncengine.store.models import Slot
from syncengine.store.session import Store


class Lock:
    """The row `name` of the table `slot`, held for at most `lease_s` seconds."""

    def __init__(self, store: Store, name: str, lease_s: float) -> None:
        self._store = store
        self._name = name
        self._lease_s = lease_s

    @contextmanager
    def tried(self) -> Iterator[bool]:
        """Try to take the lock until the block ends; yields whether it was free. Does not wait. Raises Transient."""
        holder = self._take()
        try:
            yield holder is not None
        finally:
            if holder is not None:
                self._leave(holder)

    def _take(self) -> str | None:
        holder, now = uuid.uuid4().hex, clock.now()
        free = or_(Slot.holder == "", Slot.held_until.is_(None), Slot.held_until < now)
        with self._store.write() as session:
            session.execute(insert_into(session, Slot).values(name=self._name).on_conflict_do_nothing())
            taken = session.execute(
                update(Slot)
                .where(Slot.name == self._name, free)
                .values(holder=holder, held_until=now + timedelta(seconds=self._lease_s))
                .returning(Slot.name)
            ).first()
        return holder if taken else None

    def _leave(self, holder: str) -> None:
        with self._store.write() as session:
            mine = update(Slot).where(Slot.name == self._name, Slot.holder == holder)
            session.execute(mine.values(holder="", held_until=None))
