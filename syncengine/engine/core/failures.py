"""Dead letters: the failures of records that people handle. Open and close them, and mark discarded records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from syncengine.document import fingerprint
from syncengine.engine.core.engine import chunks
from syncengine.errors import Rejected
from syncengine.mapping.contract import Remark
from syncengine.redaction import safe_text
from syncengine.store.models import Failure, Payload, Record
from syncengine.store.states import Stage, Status, Why

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBERS = re.compile(r"\d+")
MOST_VALUES = 5

IN_DOUBT = (
    "A write may have taken effect: a retry searches for it first; check the target before you discard the record"
)

CHECK_IT = "Check it in the target, then close this dead letter"

AT_ONCE = 500
"""Maximum number of ids in one statement."""


DEAD = "dead"
ATTENTION = "attention"  # everything was written, but a person should check it; it is closed, never retried


def open_rejected(session: Session, record: Record, error: Rejected, stage: Stage, now: datetime) -> None:
    """Open a dead letter for a document that we or the target rejected."""
    open_dead_letter(
        session,
        record,
        stage,
        now,
        cause=error.reason,
        field=error.field,
        value=safe_text(error.value),
        remedy=error.remedy,
    )


def open_dead_letter(
    session: Session,
    record: Record,
    stage: Stage,
    now: datetime,
    *,
    cause: str,
    field: str = "",
    value: str = "",
    remedy: str,
    why: Why = Why.REJECTED,
) -> None:
    """Open a dead letter; it replaces any open one of this record."""
    close(session, [record.id], "it failed again", now)
    _add(session, record, DEAD, stage, now, why=why, cause=cause, field=field, value=value, remedy=remedy)


def open_attention(session: Session, record: Record, what: str, now: datetime) -> None:
    """Ask a person to check a record although it was written; `what` says why."""
    _add(
        session,
        record,
        ATTENTION,
        Stage.PUSH,
        now,
        why=Why.NONE,
        cause=what,
        field="",
        value="",
        remedy=CHECK_IT,
    )


def attend(session: Session, found: Mapping[Record, Sequence[Remark]], now: datetime) -> None:
    """Ask people to check what a flow's checks have found of records, and close what they do not find any more.

    A finding with the same figures is opened once, also if a person has closed it since.
    """
    ids = [record.id for record in found]
    before: dict[int, dict[str, Failure]] = {}
    rows = select(Failure).where(Failure.record_id.in_(ids), Failure.kind == ATTENTION, Failure.remark != "")
    for failure in session.scalars(rows.order_by(Failure.id)):
        before.setdefault(failure.record_id, {})[failure.remark] = failure
    for record, remarks in found.items():
        earlier, now_found = before.get(record.id, {}), {_remark_key(remark): remark for remark in remarks}
        for key, failure in earlier.items():
            if key not in now_found and failure.closed_at is None:
                failure.closed_at, failure.closed_because = now, "it is no longer so"
        for key, remark in now_found.items():
            known = earlier.get(key)
            if known is not None and (known.closed_at is None or known.closed_by):
                continue
            _add(
                session, record, ATTENTION, Stage.TRANSFORM, now, why=Why.DIFFERS, cause=remark.reason, field=remark.field,
                value=remark.figures, remedy=remark.remedy or CHECK_IT, remark=key, name=remark.name,
            )  # fmt: skip


def _remark_key(remark: Remark) -> str:
    return fingerprint([remark.name, remark.field, remark.figures])


def _add(
    session: Session,
    record: Record,
    kind: str,
    stage: Stage,
    now: datetime,
    *,
    why: Why,
    cause: str,
    field: str,
    value: str,
    remedy: str,
    remark: str = "",
    name: str = "",
) -> None:
    session.add(
        Failure(
            record_id=record.id,
            connection_id=record.connection_id,
            flow=record.flow,
            key=record.key,
            kind=kind,
            stage=stage,
            why=why,
            cause=cause,
            cause_key=name or cause_key(kind, stage, field, cause),
            remark=remark,
            field=field,
            value=value,
            remedy=remedy,
            opened_at=now,
        )
    )
    session.flush()


def open_crashed(
    session: Session, record: Record, stage: Stage, crashes: int, because: str, now: datetime, *, in_doubt: bool
) -> None:
    """Open a dead letter for a record that crashed its step while it ran alone, with what is known about it.

    in_doubt: a write was in progress and its outcome is unknown.
    """
    sizes = session.execute(select(Payload.kind, func.length(Payload.body)).where(Payload.record_id == record.id))
    kept = ", ".join(f"{kind} {size:,} bytes" for kind, size in sorted(tuple(row) for row in sizes)) or "nothing"
    read = f"{record.fetched_at:%Y-%m-%d %H:%M:%S} UTC" if record.fetched_at else "never"
    version = record.seen_version or "unknown"
    times = "once" if crashes == 1 else f"{crashes} times"
    check = "Check its source and the worker's log (memory, time limit, crash), then retry, correct or discard it"
    open_dead_letter(
        session,
        record,
        stage,
        now,
        why=Why.CRASHED,
        cause=f"its step died {times} in {stage} while it was alone in its batch: {because}",
        value=f"version {version}, last read {read}; stored documents, compressed: {kept}",
        remedy=f"{check}. {IN_DOUBT}" if in_doubt else check,
    )


def is_poison(failure: Failure) -> bool:
    """True if this record has crashed a worker, so that it must not be planned just to display it."""
    return failure.why == Why.CRASHED


def close(session: Session, record_ids: Iterable[int], because: str, now: datetime) -> None:
    """Close the open dead letters of records that succeeded later or failed again; never a request for attention."""
    ids = list(record_ids)
    if ids:
        session.execute(
            update(Failure)
            .where(Failure.record_id.in_(ids), Failure.closed_at.is_(None), Failure.kind == DEAD)
            .values(closed_at=now, closed_because=because)
            .execution_options(synchronize_session=False)
        )


def replacement_of(session: Session, failure: Failure) -> int | None:
    """The id of the open dead letter that replaced a closed one; None if there is none, or this one is open itself."""
    if failure.closed_at is None:
        return None
    open_ = select(Failure.id).where(Failure.record_id == failure.record_id, Failure.closed_at.is_(None))
    return session.scalar(open_.where(Failure.kind == DEAD).order_by(Failure.id.desc()).limit(1))


def closed_text(failure: Failure) -> str:
    """How a dead letter was closed, as text to follow its number: `was closed by anna: a test order`."""
    by = f"was closed by {failure.closed_by}" if failure.closed_by else "is closed"
    return f"{by}: {failure.closed_because}"


def close_by_hand(session: Session, failures: Iterable[Failure], because: str, by: str, now: datetime) -> None:
    """Close dead letters of any kind by a person's decision."""
    for ids in chunks([failure.id for failure in failures], AT_ONCE):
        session.execute(
            update(Failure)
            .where(Failure.id.in_(ids), Failure.closed_at.is_(None))
            .values(closed_at=now, closed_because=because, closed_by=by)
            .execution_options(synchronize_session=False)
        )


def reason_of_discard(by: str, because: str) -> str:
    """The reason of a record that a person discarded."""
    return f"discarded by {by}: {because}"


def discarded(session: Session, record_ids: Iterable[int]) -> list[int]:
    """Ids of those records that are skipped only because a person discarded their dead letter."""
    return list(session.scalars(select(Record.id).where(Record.id.in_(list(record_ids)), *rests_on_discard())))


def rests_on_discard() -> tuple[ColumnElement[bool], ...]:
    """Conditions on Record: a person discarded it. Its dead letter may have been removed since (retention.py)."""
    return Record.status == Status.SKIPPED, Record.why == Why.DISCARDED


def cause_key(kind: str, stage: str, field: str, cause: str) -> str:
    """Equal for failures of one cause: their texts differ in numbers and quoted values alone."""
    return fingerprint([str(kind), str(stage), alike(field), alike(cause)])


def alike(text: str) -> str:
    """The text without numbers and quoted values, which differ between failures of one cause and may be personal data."""
    return _NUMBERS.sub("N", _QUOTED.sub("'...'", text))


def common_text(texts: Sequence[str]) -> str:
    """One text for texts that are `alike`, at least one: quoted values that differ are listed, `MOST_VALUES` at most."""
    values = [list(dict.fromkeys(place)) for place in zip(*(_QUOTED.findall(text) for text in texts), strict=True)]
    places = iter(values)
    return _QUOTED.sub(lambda _: _listed(next(places)), texts[0])


def _listed(values: Sequence[str]) -> str:
    if len(values) > MOST_VALUES:
        return f"{', '.join(values[:MOST_VALUES])} or others"
    return " or ".join(filter(None, (", ".join(values[:-1]), values[-1])))
