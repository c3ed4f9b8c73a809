"""A decision carries what a person saw: the action checks it in its own transaction, takes what still fits, names the rest.

Between a preview and the answer to its question a worker may have written the record, another person may have decided on it,
or its source may have changed. Nobody decides about something that was not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import chunks
from syncengine.errors import Misconfigured
from syncengine.store.models import Record

AT_ONCE = 500
TRIES, PAUSE_S = 5, 0.05
"""How often, and after how many seconds, a record is asked for that somebody else has locked."""

BUSY = "it is being worked on now; try again in a minute"
GONE = "its record has become one with that of the other side"


@dataclass(frozen=True, slots=True)
class Outdated:
    """One that was shown and does not fit any more: its flow, its key, and why."""

    flow: str
    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.flow} {self.key}: {self.why}"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an action has come to: how many it took, and which it left."""

    count: int
    left: Sequence[Outdated] = ()


def result_of(count: int, left: Sequence[Outdated]) -> ActionResult:
    """The outcome of an action. Raises Misconfigured, so that nothing of it is kept, if it took none of what it was given."""
    if left and not count:
        rest = f" {len(left) - 1} more were left, too" if len(left) > 1 else ""
        raise Misconfigured(f"{left[0]}", f"Nothing was done; look at it as it is now.{rest}")
    return ActionResult(count, tuple(left))


def locked(session: Session, record_ids: Iterable[int]) -> dict[int, Record]:
    """Records by id as they are now; nobody takes one up or decides on it before the transaction ends.

    One alone is waited for. Of several those that somebody else has locked are left out after some tries: feeds and workers
    lock records in other orders, and who waits for one while holding another could end as the victim of a deadlock.
    """
    ids = sorted(set(record_ids))
    found: dict[int, Record] = {}
    for attempt in range(TRIES):
        left = [id_ for id_ in ids if id_ not in found]
        if not left:
            break
        if attempt:
            clock.sleep(PAUSE_S)
        query = select(Record).order_by(Record.id).with_for_update(skip_locked=len(ids) > 1)
        for some in chunks(left, AT_ONCE):
            mine = query.where(Record.id.in_(some)).execution_options(populate_existing=True)
            found |= {record.id: record for record in session.scalars(mine)}
    return found


def missing(session: Session, record_id: int) -> str:
    """Why a record could not be locked."""
    return BUSY if session.scalar(select(Record.id).where(Record.id == record_id)) is not None else GONE


def mine(session: Session, record_id: int) -> Record:
    """One record as it is now, locked. Raises Misconfigured if it is gone, or being worked on."""
    record = locked(session, [record_id]).get(record_id)
    if record is None:
        raise Misconfigured(f"{GONE}", "Name it by its key on the left side")
    if record.token is not None:
        raise busy(record)
    return record


def busy(record: Record) -> Misconfigured:
    """That a record cannot be decided on now."""
    return Misconfigured(f"{record.flow} {record.key}: {BUSY}")
