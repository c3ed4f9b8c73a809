"""Dead letters, for the people who deal with them: searching and retrying."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, bindparam, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import failures, timeline
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.failures import AT_ONCE, DEAD
from syncengine.engine.core.want import KEPT_PAUSES, want
from syncengine.engine.people import selection
from syncengine.errors import Misconfigured
from syncengine.store.dialect import changed
from syncengine.store.models import ConnectionRow, Event, Failure, Record
from syncengine.store.states import Lane, Pause, Why

RETRIED = "retried by hand"
UNKNOWN_LETTER = "Run `syncengine deadletters list` to see the ids"


def records_of(session: Session, failures: Iterable[Failure]) -> dict[int, Record]:
    """The records of these letters, by id. A record's key may have changed since: a pair is named by its left side."""
    ids = sorted({failure.record_id for failure in failures})
    return {
        record.id: record
        for some in chunks(ids, AT_ONCE)
        for record in session.scalars(select(Record).where(Record.id.in_(some)).order_by(Record.id))
    }


def is_due_again(record: Record) -> bool:
    """True if the record is due or in progress, so that its letter may soon be closed."""
    return record.token is not None or record.wanted > record.done


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters. An empty field does not narrow.

    cause, field and value: a part of the text, in any case. since and until: when it was opened (UTC), `until` excluded. kind:
    `dead` or `attention`. is_open: None for open and closed ones. records: of these, by id; None for any.
    """

    ids: Sequence[int] = ()
    records: Sequence[int] | None = None
    connection: str | None = None
    flow: str | None = None
    cause: str | None = None
    field: str | None = None
    value: str | None = None
    stage: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_open: bool | None = True

    @property
    def narrows(self) -> bool:
        """False if it means all open letters."""
        return replace(self, is_open=True) != LetterFilter()

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query over Failure and its Connection."""
        found = selection.conditions(
            equal=(
                (ConnectionRow.name, self.connection), (Failure.flow, self.flow), (Failure.stage, self.stage),
                (Failure.kind, self.kind),
            ),
            containing=((Failure.cause, self.cause), (Failure.field, self.field), (Failure.value, self.value)),
            among=((Failure.id, self.ids),),
            since=(Failure.opened_at, self.since),
        )  # fmt: skip
        if self.records is not None:
            found.append(Failure.record_id.in_(self.records))
        if self.until:
            found.append(Failure.opened_at < self.until)
        if self.is_open is not None:
            found.append(Failure.closed_at.is_(None) if self.is_open else Failure.closed_at.is_not(None))
        return found


def listed(
    session: Session, chosen: LetterFilter | None = None, *, most: int | None = None
) -> list[tuple[Failure, str]]:
    """Dead letters with the names of their connections, newest first; by default the open ones. Raises Transient.

    most: how many at most, None for all.
    """
    return [(failure, name) for failure, name in session.execute(newest_first(chosen).limit(most))]


def newest_first(chosen: LetterFilter | None) -> Select[Failure, str]:
    """A query for dead letters with the names of their connections; None for all open ones."""
    query = selection.named(Failure, (chosen or LetterFilter()).conditions())
    return query.order_by(Failure.opened_at.desc(), Failure.id.desc())


def count(session: Session, chosen: LetterFilter | None = None) -> int:
    """How many dead letters there are; by default open ones. Raises Transient."""
    return selection.count(session, Failure, (chosen or LetterFilter()).conditions())


# -- retrying ----------------------------------------------------------------------------------------------------------


def retry(
    engine: Engine,
    ids: Sequence[int],
    *,
    by: str = "",
    because: str = "",
    lane: Lane = Lane.REALTIME,
    a_minute: float | None = None,
    closed_too: bool = False,
    reopens: Collection[int] | None = None,
) -> int:
    """Sync the records of these dead letters again. Returns the number of letters.

    a_minute: how many of them per minute, the oldest letter first; None for all at once. A settle time or a back-off still
    applies. closed_too: letters that have closed since they were chosen are left out instead of refused. reopens: letters that
    were discarded when they were chosen, and are opened again; None for any. A letter stays open until its record succeeds.
    Raises Misconfigured if one cannot be retried, and Transient.
    """
    now = clock.now()
    with engine.store.write() as session:
        found = [
            failure for some in chunks(list(ids), AT_ONCE) for failure in retriable(session, LetterFilter(ids=some))
        ]
        if reopens is not None:
            found = [failure for failure in found if failure.closed_at is None or failure.id in reopens]
        found.sort(key=lambda failure: (failure.opened_at, failure.id))
        check_retriable(session, found, () if closed_too else ids)
        its_record = records_of(session, found)
        _want_all(session, list(its_record.values()), lane, now)  # first: it locks them in the order of all feeds
        _reopen(session, found)
        if a_minute is not None:
            _spread(session, list(dict.fromkeys(failure.record_id for failure in found)), a_minute, now)
        reason = {name: text for name, text in (("by", by), ("because", because)) if text}
        timeline.note_each(session, [(record, reason) for record in its_record.values()], RETRIED, now)
    return len(found)


def retriable(session: Session, chosen: LetterFilter) -> list[Failure]:
    """Open letters, oldest first; those named by id also if they were discarded and their records are still skipped for that.

    Letters that are only to be reviewed are included: see `check_retriable`.
    """
    found = [failure for failure, _ in listed(session, replace(chosen, is_open=None if chosen.ids else True))]
    closed = [failure.record_id for failure in found if failure.closed_by and failure.kind == DEAD]
    resting = set(failures.discarded(session, closed)) if closed else set()
    return [
        failure
        for failure in reversed(found)
        if failure.closed_at is None or (failure.closed_by and failure.record_id in resting)
    ]


def retried_last(session: Session, record_ids: Sequence[int]) -> str:
    """Who last retried the newest of these records, as `timeline.last_by_hand` words it."""
    return timeline.last_by_hand(session, RETRIED, Event.record_id == max(record_ids))


def _reopen(session: Session, found: Iterable[Failure]) -> None:
    """A discarded letter that is retried becomes open: its record is no longer skipped."""
    closed = [failure for failure in found if failure.closed_at is not None]
    for some in chunks(closed, AT_ONCE):
        reopened = update(Failure).where(Failure.id.in_([failure.id for failure in some]))
        changed(session, reopened.values(closed_at=None, closed_because="", closed_by=""))
        resting = update(Record).where(Record.id.in_([failure.record_id for failure in some]))
        changed(session, resting.values(why=Why.NONE))


def check_retriable(session: Session, found: Iterable[Failure], ids: Iterable[int]) -> None:
    """Raises Misconfigured if one of the `ids` is not among the open letters found, or a letter is only to be reviewed."""
    kinds = {failure.id: failure.kind for failure in found}
    if missing := set(ids) - set(kinds):
        failure = session.get(Failure, min(missing))
        if failure is not None and failure.closed_at is not None:
            raise Misconfigured(f"{failure.id} {failures.closed_text(failure)}")
        raise Misconfigured(f"no open dead letter has the id {min(missing)}", UNKNOWN_LETTER)
    for id_, kind in kinds.items():
        if kind != DEAD:
            raise Misconfigured(
                f"letter {id_} is about a record that was written; it can be closed, not retried",
                f"Run `syncengine deadletters close {id_} --because ...`",
            )


def _want_all(session: Session, records: Iterable[Record], lane: Lane, now: datetime) -> None:
    keys: dict[tuple[int, str], list[str]] = {}
    for record in records:
        keys.setdefault((record.connection_id, record.flow), []).append(record.key)
    for (connection_id, flow), some in keys.items():
        want(session, connection_id, flow, some, lane=lane, now=now)


def _spread(session: Session, record_ids: Sequence[int], a_minute: float, now: datetime) -> None:
    """Make the records due one after the other. A later `want` clears this, so a change at the source is synced at once."""
    table = Record.__table__
    gap = timedelta(minutes=1) / a_minute
    rows = [{"record_id": id_, "at": now + place * gap} for place, id_ in enumerate(record_ids)]
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("record_id"), *[table.c.pause != kept for kept in KEPT_PAUSES])
        .values(not_before=bindparam("at"), pause=Pause.PACED),
        rows,
    )
