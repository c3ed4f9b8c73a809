"""Dead letters: records that need a person, kept whole with cause, field, value and proposed remedy; and how they go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine import timeline
from syncengine.engine.engine import Engine
from syncengine.engine.want import want
from syncengine.errors import Misconfigured, Rejected
from syncengine.store.models import Connection, Failure, Record
from syncengine.store.states import Lane, Stage

DEAD = "dead"
ATTENTION = "attention"  # all was written, and yet a person should look; closed, never retried


def open_rejected(session: Session, record: Record, error: Rejected, stage: Stage, now: datetime) -> None:
    """Open a dead letter for what was refused, by us or by the target."""
    bury(
        session, record, stage, now, cause=error.reason, field=error.field, value=str(error.value), remedy=error.remedy
    )


def bury(
    session: Session,
    record: Record,
    stage: Stage,
    now: datetime,
    *,
    cause: str,
    field: str = "",
    value: str = "",
    remedy: str,
) -> None:
    """Open a dead letter, in the place of one that is open for this record already."""
    close(session, [record.id], "it failed again", now)
    _add(session, record, DEAD, stage, now, cause=cause, field=field, value=value, remedy=remedy)


def ask_for_a_look(session: Session, record: Record, why: str, now: datetime) -> None:
    """Note that a record was written and a person should look at it all the same."""
    _add(
        session,
        record,
        ATTENTION,
        Stage.PUSH,
        now,
        cause=why,
        field="",
        value="",
        remedy="Look at it in the target, then close this",
    )


def _add(
    session: Session,
    record: Record,
    kind: str,
    stage: Stage,
    now: datetime,
    *,
    cause: str,
    field: str,
    value: str,
    remedy: str,
) -> None:
    session.add(
        Failure(
            record_id=record.id,
            connection_id=record.connection_id,
            flow=record.flow,
            key=record.key,
            kind=kind,
            stage=stage,
            cause=cause,
            field=field,
            value=value,
            remedy=remedy,
            opened_at=now,
        )
    )
    session.flush()


def close(session: Session, record_ids: Iterable[int], because: str, now: datetime) -> None:
    """Close the open dead letters of records, since they went through later, or failed anew."""
    ids = list(record_ids)
    if ids:
        session.execute(
            update(Failure)
            .where(Failure.record_id.in_(ids), Failure.closed_at.is_(None), Failure.kind == DEAD)
            .values(closed_at=now, closed_because=because)
            .execution_options(synchronize_session=False)
        )


def listed(
    session: Session,
    *,
    connection: str | None = None,
    flow: str | None = None,
    ids: Sequence[int] = (),
    open_only: bool = True,
) -> list[tuple[Failure, str]]:
    """Dead letters with the names of their connections, oldest first."""
    query: Select[Any, Any] = select(Failure, Connection.name).join(Connection, Connection.id == Failure.connection_id)
    if open_only:
        query = query.where(Failure.closed_at.is_(None))
    if connection:
        query = query.where(Connection.name == connection)
    if flow:
        query = query.where(Failure.flow == flow)
    if ids:
        query = query.where(Failure.id.in_(ids))
    return [(failure, name) for failure, name in session.execute(query.order_by(Failure.opened_at, Failure.id))]


def retry(engine: Engine, ids: Sequence[int]) -> int:
    """Have the records of these dead letters looked at again, at once. Returns how many.

    The letter stays open until its record went through. Raises Misconfigured if one is not open or cannot be retried.
    """
    now = clock.now()
    with engine.store.write() as session:
        found = [failure for failure, _ in listed(session, ids=ids)]
        missing = sorted(set(ids) - {failure.id for failure in found})
        if missing:
            raise Misconfigured(f"there is no open dead letter {missing[0]}. `syncengine deadletters list` shows them")
        for failure in found:
            if failure.kind != DEAD:
                raise Misconfigured(f"{failure.id} was written already and needs a look; it can be closed, not retried")
            want(session, failure.connection_id, failure.flow, [failure.key], lane=Lane.REALTIME, now=now)
            timeline.note_one(session, session.get_one(Record, failure.record_id), "retried by hand", now)
    return len(found)
