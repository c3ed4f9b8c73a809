"""Dead letters, for the people who see to them: found by what they say, and tried again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import failures, timeline
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.failures import AT_ONCE, DEAD
from syncengine.engine.core.want import KEPT_PAUSES, want
from syncengine.errors import Misconfigured
from syncengine.store.dialect import changed
from syncengine.store.models import ConnectionRow, Event, Failure, Record
from syncengine.store.states import Lane, Pause, Why

RETRIED = "retried by hand"


def records_of(session: Session, failures: Iterable[Failure]) -> dict[int, Record]:
    """The records that letters are about, by id. A record may have another key by now: a pair goes by its left side."""
    ids = sorted({failure.record_id for failure in failures})
    return {
        record.id: record
        for some in chunks(ids, AT_ONCE)
        for record in session.scalars(select(Record).where(Record.id.in_(some)).order_by(Record.id))
    }


def is_due_again(record: Record) -> bool:
    """True if the record is being looked at again, so that its letter may soon be closed."""
    return record.token is not None or record.wanted > record.done


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters. What is left out does not narrow.

    cause, field and value: a part of the text, in capitals or not. since and until: when it was opened (UTC), `until` not
    included. kind: `dead` or `attention`. is_open: None for those that are closed, too.
    """

    ids: Sequence[int] = ()
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
        """False if it means all that are open."""
        return replace(self, is_open=True) != LetterFilter()

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query over Failure and its Connection."""
        equal = ((ConnectionRow.name, self.connection), (Failure.flow, self.flow), (Failure.stage, self.stage))
        part = ((Failure.cause, self.cause), (Failure.field, self.field), (Failure.value, self.value))
        found: list[ColumnElement[bool]] = [column == wanted for column, wanted in equal if wanted]
        found += [func.lower(column).contains(text.lower(), autoescape=True) for column, text in part if text]
        if self.ids:
            found.append(Failure.id.in_(self.ids))
        if self.kind:
            found.append(Failure.kind == self.kind)
        if self.since:
            found.append(Failure.opened_at >= self.since)
        if self.until:
            found.append(Failure.opened_at < self.until)
        if self.is_open is not None:
            found.append(Failure.closed_at.is_(None) if self.is_open else Failure.closed_at.is_not(None))
        return found


def listed(
    session: Session, chosen: LetterFilter | None = None, *, most: int | None = None
) -> list[tuple[Failure, str]]:
    """Dead letters with the names of their connections, newest first; the open ones by default."""
    query = (
        select(Failure, ConnectionRow.name)
        .join(ConnectionRow, ConnectionRow.id == Failure.connection_id)
        .where(*(chosen or LetterFilter()).conditions())
        .order_by(Failure.opened_at.desc(), Failure.id.desc())
        .limit(most)
    )
    return [(failure, name) for failure, name in session.execute(query)]


def count(session: Session, chosen: LetterFilter | None = None) -> int:
    """How many there are."""
    query = select(func.count(Failure.id)).join(ConnectionRow, ConnectionRow.id == Failure.connection_id)
    return session.scalar(query.where(*(chosen or LetterFilter()).conditions())) or 0


# -- tried again -------------------------------------------------------------------------------------------------------


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
    """Have the records of these dead letters looked at again. Returns how many letters.

    a_minute: how many of them each minute, the oldest letter first; all at once without it. What rests because a write of it is
    in doubt, or has just failed, rests on. closed_too: some may have closed since they were chosen; they are left out.
    reopens: letters that were discarded when they were chosen, and are opened again; any by default. A letter stays open until
    its record went through. Raises Misconfigured if one cannot be retried.
    """
    now = clock.now()
    with engine.store.write() as session:
        found = [
            failure for some in chunks(list(ids), AT_ONCE) for failure in retriable(session, LetterFilter(ids=some))
        ]
        if reopens is not None:
            found = [failure for failure in found if failure.closed_at is None or failure.id in reopens]
        found.sort(key=lambda one: (one.opened_at, one.id))
        check_retriable(session, found, () if closed_too else ids)
        its_record = records_of(session, found)
        _want_all(session, list(its_record.values()), lane, now)  # first: it locks them in the order of all feeds
        _reopen(session, found)
        if a_minute is not None:
            _spread(session, list(dict.fromkeys(failure.record_id for failure in found)), a_minute, now)
        detail = {name: text for name, text in (("by", by), ("because", because)) if text}
        timeline.note_each(session, [(record, detail) for record in its_record.values()], RETRIED, now)
    return len(found)


def retriable(session: Session, chosen: LetterFilter) -> list[Failure]:
    """Open letters, oldest first; of those that are named by id the discarded ones too, while their records rest.

    Letters that need a look only are among them: see `check_retriable`.
    """
    found = [failure for failure, _ in listed(session, replace(chosen, is_open=None if chosen.ids else True))]
    closed = [failure.record_id for failure in found if failure.closed_by and failure.kind == DEAD]
    resting = set(failures.discarded(session, closed)) if closed else set()
    return [one for one in reversed(found) if one.closed_at is None or (one.closed_by and one.record_id in resting)]


def retried_last(session: Session, record_ids: Sequence[int]) -> str:
    """Who has had the newest of these records tried again last, as `timeline.last_by_hand` says it."""
    return timeline.last_by_hand(session, RETRIED, Event.record_id == max(record_ids))


def _reopen(session: Session, found: Iterable[Failure]) -> None:
    """A discarded letter that is tried again is an open one: its record rests no more."""
    closed = [failure for failure in found if failure.closed_at is not None]
    for some in chunks(closed, AT_ONCE):
        reopened = update(Failure).where(Failure.id.in_([failure.id for failure in some]))
        changed(session, reopened.values(closed_at=None, closed_because="", closed_by=""))
        resting = update(Record).where(Record.id.in_([failure.record_id for failure in some]))
        changed(session, resting.values(why=Why.NONE))


def check_retriable(session: Session, found: Iterable[Failure], ids: Iterable[int]) -> None:
    """Raises Misconfigured if one of the `ids` is not among the open letters that were found, or one needs a look only."""
    kinds = {failure.id: failure.kind for failure in found}
    if missing := set(ids) - set(kinds):
        failure = session.get(Failure, min(missing))
        if failure is not None and failure.closed_at is not None:
            raise Misconfigured(f"{failure.id} {failures.closed_text(failure)}")
        raise Misconfigured(f"there is no open dead letter {min(missing)}", "`syncengine deadletters list` shows them")
    for id_, kind in kinds.items():
        if kind != DEAD:
            raise Misconfigured(
                f"{id_} was written already and needs a look; it can be closed, not retried",
                f"`syncengine deadletters close {id_} --because ...`",
            )


def _want_all(session: Session, records: Iterable[Record], lane: Lane, now: datetime) -> None:
    keys: dict[tuple[int, str], list[str]] = {}
    for record in records:
        keys.setdefault((record.connection_id, record.flow), []).append(record.key)
    for (connection_id, flow), some in keys.items():
        want(session, connection_id, flow, some, lane=lane, now=now)


def _spread(session: Session, record_ids: Sequence[int], a_minute: float, now: datetime) -> None:
    """Put them one after the other. A `want` of one clears it, so that what changes at the source goes at once."""
    table = Record.__table__
    gap = timedelta(minutes=1) / a_minute
    rows = [{"record_id": id_, "at": now + place * gap} for place, id_ in enumerate(record_ids)]
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("record_id"), *[table.c.pause != kept for kept in KEPT_PAUSES])
        .values(not_before=bindparam("at"), pause=Pause.PACED),
        rows,
    )
