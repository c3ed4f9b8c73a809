"""Actions on what a person saw: each checks in its own transaction that it is unchanged, and reports what is not.

Between a preview and the confirmation a worker may have written the record, another person may have decided on it, or its
source may have changed. Nobody decides on anything that was not shown.
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
"""Attempts to lock a record that somebody else has locked, and the seconds between them."""

BUSY = "it is being worked on; try again in a minute"
GONE = "its record was merged into that of the other side"


@dataclass(frozen=True, slots=True)
class Outdated:
    """A record that is no longer as it was shown: its flow, its key, and why."""

    flow: str
    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.flow} {self.key}: {self.why}"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The result of an action: how many records or letters it took, and which it left out."""

    count: int
    left: Sequence[Outdated] = ()


def result_of(count: int, left: Sequence[Outdated]) -> ActionResult:
    """The result of an action. Raises Misconfigured, which rolls it back, if everything was left out."""
    if left and not count:
        rest = f". The same goes for {len(left) - 1} more" if len(left) > 1 else ""
        raise Misconfigured(f"{left[0]}", f"No changes made. Review its current state, then try again{rest}")
    return ActionResult(count, tuple(left))


def locked(session: Session, record_ids: Iterable[int]) -> dict[int, Record]:
    """Records by id in their current state, locked until the transaction ends.

    A single record is waited for. Of several, those that somebody else has locked are left out after some attempts: feeds and
    workers lock records in other orders, so waiting for one record while holding another risks a deadlock.
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
    """Why a record could not be locked: busy, or gone."""
    return BUSY if session.scalar(select(Record.id).where(Record.id == record_id)) is not None else GONE


def mine(session: Session, record_id: int) -> Record:
    """A record in its current state, locked. Raises Misconfigured if it is gone, or in progress."""
    record = locked(session, [record_id]).get(record_id)
    if record is None:
        raise Misconfigured(GONE, "Name it by its key on the left side")
    if record.token is not None:
        raise busy(record)
    return record


def busy(record: Record) -> Misconfigured:
    """The error for an action on a record that is in progress."""
    return Misconfigured(f"{record.flow} {record.key}: {BUSY}")


def require_reason(because: str) -> None:
    """Raises Misconfigured if a decision that needs a reason has none."""
    if not because.strip():
        raise Misconfigured("--because is empty", "Give the reason; the history shows it")
