"""The only way in: "this object needs a look". A trigger is a hint, never the truth; it raises a number on one row."""

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
from syncengine.store.states import Pause, Stage, Status

LONGEST_KEY = 128
LONGEST_PART = 32
MOST_WOKEN = 5000  # at once: a statement has so many parameters and no more
ONE_BEFORE = timedelta(milliseconds=1)
KEPT_PAUSES = (Pause.SETTLE, Pause.BACKOFF)

RESTING = (Record.status == Status.WAITING, Record.token.is_(None), Record.wanted == Record.done)
"""Waiting, and nothing else is wanted of it."""


def want(
    session: Session,
    connection_id: int,
    flow: str,
    keys: Iterable[str],
    *,
    lane: int,
    now: datetime,
    run_id: int | None = None,
) -> int:
    """Ask for a look at objects of a flow; returns how many. Runs in the caller's transaction.

    A row that is there already gets one more revision and the more urgent lane, unless a person has said that it is to be
    ignored. A pause is cleared unless it is a settle time or a back-off: until then the record is not claimed, whatever
    wants it.
    """
    rows = [_row(connection_id, flow, key, lane=lane, now=now, run_id=run_id) for key in _distinct(keys)]
    upsert(session, Record, rows, keys=("connection_id", "flow", "key"), update=_one_more)
    return len(rows)


def want_needs(
    session: Session, connection_id: int, needs: Iterable[Need], *, lane: int, now: datetime, since: datetime
) -> None:
    """Ask for objects that others need. One that is on its way, held or dead already is not asked for again.

    `since`: when the first of these others became due. New records go before whatever became due then, so that a long
    backlog does not stand between an object and what it needs.
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
    """Note the parts that are asked for (by key), and have these records looked at unless that is on its way already.

    The upsert before has locked the rows.
    """
    for record in session.scalars(select(Record).where(mine).execution_options(populate_existing=True)):
        new = [part for part in parts[record.key] if part not in record.parts]
        # What is new to a record which is being worked on may come too late for its plan: that takes another look.
        too_late = record.token is not None and not record.needed
        is_on_its_way = record.wanted > record.done or record.status in (Status.DEAD, Status.HELD, Status.WAITING)
        if (new or too_late or not is_on_its_way) and not record.ignored:
            record.wanted += 1
        if new:
            record.parts = [*record.parts, *new]
        record.needed, record.updated_at = True, now
    session.flush()


def is_key(key: str) -> bool:
    """True if an object of this key can be kept: 1 to 122 characters that a database takes, besides its side's name."""
    return 0 < len(key) <= LONGEST_KEY - len("right:") and is_text(key)


def _distinct(keys: Iterable[str]) -> list[str]:
    distinct = list(dict.fromkeys(keys))
    for key in distinct:
        if not 0 < len(key) <= LONGEST_KEY:
            raise ValueError(f"a key must have 1 to {LONGEST_KEY} characters: {key[:40]!r}")
    return sorted(distinct)  # one order for all writers, so that none waits for the other in a ring


def _row(connection_id: int, flow: str, key: str, *, lane: int, now: datetime, run_id: int | None) -> dict[str, Any]:
    return {
        "connection_id": connection_id,
        "flow": flow,
        "key": key,
        "parts": [],
        "needed": False,
        "wanted": 1,
        "lane": lane,
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
    keeps = or_(*(Record.pause == pause for pause in KEPT_PAUSES))  # no IN: it cannot be sent for many rows at once
    return {
        "wanted": case((Record.ignored != "", Record.wanted), else_=Record.wanted + 1),
        "lane": case((is_due & (Record.lane < new.lane), Record.lane), else_=new.lane),
        "not_before": case((keeps, Record.not_before), else_=new.not_before),
        "pause": case((keeps, Record.pause), else_=Pause.NONE),
        "run_id": func.coalesce(new.run_id, Record.run_id),
        "updated_at": new.updated_at,
    }


def _more_urgent(new: Any) -> Mapping[str, Any]:
    is_due = Record.wanted > Record.done
    return {"lane": case((is_due & (Record.lane < new.lane), Record.lane), else_=new.lane)}


def wake(session: Session, records: Iterable[int], now: datetime, *, fresh_after: datetime) -> None:
    """Let waiting records go on: from transform while their fetch is fresh, else from fetch. They keep their place in line.

    One that is due anyway is left alone: it is looked at when its pause is over, and a settle time must not be cut short.
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
