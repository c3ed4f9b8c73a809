"""The single entry point: "sync this object". A trigger is a hint, never the truth; it increments a number on one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from syncengine.engine.core import timeline
from syncengine.mapping.contract import Need
from syncengine.store.dialect import upsert
from syncengine.store.models import Record, is_text
from syncengine.store.states import Lane, Pause, Stage, Status

LONGEST_KEY = 128
LONGEST_PART = 32
MOST_WOKEN = 5000  # at once, since the number of parameters in a statement is limited
ONE_BEFORE = timedelta(milliseconds=1)
JOINED = timedelta(seconds=3)
"""A message with several objects may have the time of the first change in it: how much later the others may have changed."""

KEPT_PAUSES = (Pause.SETTLE, Pause.BACKOFF)

RESTING = (Record.status == Status.WAITING, Record.token.is_(None), Record.wanted == Record.done)
"""Waiting, and not due for another reason."""


def want(
    session: Session,
    connection_id: int,
    flow: str,
    keys: Iterable[str],
    *,
    lane: int,
    now: datetime,
    run_id: int | None = None,
    urgency: int = 0,
) -> int:
    """Ask for a sync of objects of a flow; returns their number. Runs in the caller's transaction.

    An existing row gets one more revision, unless a person ignores it, and the more urgent lane. Any pause is cleared except
    a settle time or a back-off, during which the record is not claimed, whatever wants it. urgency: see `Ref`.
    """
    lane = Lane.REALTIME if urgency > 0 else lane
    rows = [
        {**_row(connection_id, flow, key, lane=lane, now=now, run_id=run_id), "urgency": urgency}
        for key in _distinct(keys)
    ]
    upsert(session, Record, rows, keys=("connection_id", "flow", "key"), update=_one_more)
    return len(rows)


def want_hinted(
    session: Session,
    connection_id: int,
    flow: str,
    reported: Mapping[str, datetime | None],
    *,
    lane: int,
    now: datetime,
) -> None:
    """As `want`, for objects that a webhook has reported: by record key, when the change happened (the system's clock).

    Left out is what is known already: a change that was reported before, and one that happened well before the last fetch. So
    messages that come twice or out of order cause one sync. A change without a time is always news.
    """
    known = _known(session, connection_id, flow, {key: at for key, at in reported.items() if at is not None})
    rows = [
        {
            **_row(connection_id, flow, key, lane=lane, now=now, run_id=None),
            "hinted_at": reported[key] or now,
            "is_hinted": True,
        }
        for key in _distinct(key for key in reported if key not in known)
    ]
    upsert(session, Record, rows, keys=("connection_id", "flow", "key"), update=_hinted)


def _hinted(new: Any) -> Mapping[str, Any]:
    hinted_at = case((Record.hinted_at > new.hinted_at, Record.hinted_at), else_=new.hinted_at)
    return {**_one_more(new), "is_hinted": new.is_hinted, "hinted_at": hinted_at}


def _known(session: Session, connection_id: int, flow: str, reported: Mapping[str, datetime]) -> set[str]:
    rows = session.execute(
        select(Record.key, Record.hinted_at, Record.source_time).where(
            Record.connection_id == connection_id,
            Record.flow == flow,
            Record.key.in_(list(reported)),
            Record.hinted_at.is_not(None),
        )
    )
    return {
        key
        for key, hinted_at, fetched_at in rows
        if hinted_at == reported[key] or (fetched_at is not None and fetched_at > reported[key] + JOINED)
    }


def want_again(session: Session, ids: Iterable[int], at: datetime) -> None:
    """Have records fetched once more at a time, as what a webhook reported of them may not have shown yet.

    Left out are those of which a webhook has reported since: they are due already.
    """
    nothing_since = (Record.is_hinted.is_(False), or_(Record.wanted == Record.done, Record.wanted == Record.claimed))
    session.execute(
        update(Record)
        .where(Record.id.in_(list(ids)), *nothing_since)
        .values(wanted=Record.wanted + 1, not_before=at)
        .execution_options(synchronize_session=False)
    )


def want_needs(
    session: Session, connection_id: int, needs: Iterable[Need], *, lane: int, now: datetime, since: datetime
) -> None:
    """Ask for objects that others need, except those that are due, waiting, held or dead already.

    `since`: when the first of those others became due. New records are queued before anything that became due then, so that
    an object does not wait for a long backlog until its need is met.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for need in needs:
        if need.flow:
            fresh = _row(connection_id, need.flow, need.key, lane=lane, now=now, run_id=None)
            before = min(now, since - ONE_BEFORE)
            row = rows.setdefault((need.flow, need.key), {**fresh, "needed": True, "not_before": before, "parts": []})
            row["parts"] += [need.part] if need.part and need.part not in row["parts"] else []
    upsert(
        session, Record, [row for _, row in sorted(rows.items())], keys=("connection_id", "flow", "key"),
        update=_more_urgent,
    )  # fmt: skip
    for flow in sorted({flow for flow, _ in rows}):
        parts = {key: row["parts"] for (name, key), row in rows.items() if name == flow}
        mine = and_(Record.connection_id == connection_id, Record.flow == flow, Record.key.in_(list(parts)))
        _note_needed(session, mine, parts, now)
        timeline.note_where(session, mine & (Record.wanted > Record.done) & Record.token.is_(None), "needed", now)


def _note_needed(
    session: Session, mine: ColumnElement[bool], parts: Mapping[str, Sequence[str]], now: datetime
) -> None:
    """Store the needed parts (by key), and want these records unless they are due already.

    The preceding upsert has locked the rows.
    """
    for record in session.scalars(select(Record).where(mine).execution_options(populate_existing=True)):
        new = [part for part in parts[record.key] if part not in record.parts]
        # A new part may come too late for the plan of a record that a step is working on: sync it once more.
        too_late = record.token is not None and not record.needed
        is_pending = record.wanted > record.done or record.status in (Status.DEAD, Status.HELD, Status.WAITING)
        if (new or too_late or not is_pending) and not record.ignored:
            record.wanted += 1
        if new:
            record.parts = [*record.parts, *new]
        record.needed, record.updated_at = True, now
    session.flush()


def is_key(key: str) -> bool:
    """True if a key can be stored: 1 to 122 characters that the database accepts; its side's name needs the rest."""
    return 0 < len(key) <= LONGEST_KEY - len("right:") and is_text(key)


def _distinct(keys: Iterable[str]) -> list[str]:
    distinct = list(dict.fromkeys(keys))
    for key in distinct:
        if not 0 < len(key) <= LONGEST_KEY:
            raise ValueError(f"a key must have 1 to {LONGEST_KEY} characters: {key[:40]!r}")
    return sorted(distinct)  # all writers use this order, so that no deadlock can occur


def _row(connection_id: int, flow: str, key: str, *, lane: int, now: datetime, run_id: int | None) -> dict[str, Any]:
    return {
        "connection_id": connection_id,
        "flow": flow,
        "key": key,
        "parts": [],
        "needed": False,
        "wanted": 1,
        "lane": lane,
        "urgency": 0,
        "not_before": now,
        "pause": Pause.NONE,
        "stage": Stage.FETCH,
        "status": Status.OPEN,
        "run_id": run_id,
        "created_at": now,
        "updated_at": now,
    }


def _one_more(new: Any) -> Mapping[str, Any]:
    is_due = Record.wanted > Record.done
    keeps = or_(*(Record.pause == pause for pause in KEPT_PAUSES))  # IN does not work in a statement for many rows
    return {
        "wanted": case((Record.ignored != "", Record.wanted), else_=Record.wanted + 1),
        "lane": case((is_due & (Record.lane < new.lane), Record.lane), else_=new.lane),
        "not_before": case((keeps, Record.not_before), else_=new.not_before),
        "pause": case((keeps, Record.pause), else_=Pause.NONE),
        "urgency": case((is_due & (Record.urgency > new.urgency), Record.urgency), else_=new.urgency),
        "run_id": func.coalesce(new.run_id, Record.run_id),
        "updated_at": new.updated_at,
    }


def _more_urgent(new: Any) -> Mapping[str, Any]:
    is_due = Record.wanted > Record.done
    return {"lane": case((is_due & (Record.lane < new.lane), Record.lane), else_=new.lane)}


def wake(session: Session, records: Iterable[int], now: datetime, *, fresh_after: datetime) -> None:
    """Resume waiting records: from transform if their documents are fresh, else from fetch. They keep their queue position.

    Records that are due for another reason are left alone: they run when their pause ends, and a settle time must not be cut
    short.
    """
    ids = list(records)
    timeline.note_where(session, and_(Record.id.in_(ids), *RESTING), "woken", now)
    fresh = Record.fetched_at >= fresh_after
    session.execute(
        update(Record)
        .where(Record.id.in_(ids), *RESTING)
        .values(
            stage=case((fresh, Stage.TRANSFORM), else_=Stage.FETCH),
            claimed=case((fresh, Record.wanted + 1), else_=Record.claimed),
            wanted=Record.wanted + 1,
            status=Status.OPEN,
            not_before=case((Record.not_before < now, Record.not_before), else_=now),
            pause=Pause.NONE,
            updated_at=now,
        )
    )
