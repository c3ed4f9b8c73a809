"""The named transitions of a record. Nothing else sets a record's status, stage or lease.

Each transition that a step makes checks the token and the runner, and changes nothing if the step has lost its lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, or_, select, update
from sqlalchemy.orm import Session

from syncengine.engine.core import failures
from syncengine.engine.core.lease import Lease, LeaseLost
from syncengine.engine.decide.debounce import BY_HAND
from syncengine.mapping.contract import Need
from syncengine.store.dialect import changed
from syncengine.store.models import Record
from syncengine.store.states import Pause, Stage, Status, Why

FREE: Mapping[str, Any] = {"token": None, "runner": None, "lease_until": None, "batch": 0}
THROUGH = (Status.DONE, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class Completion:
    """The outcome of a claimed revision."""

    status: Status
    reason: str = ""  # for people
    why: Why = Why.NONE
    about: str = ""  # the key of the object that no longer exists, if that is the reason
    need: Need | None = None
    need_side: str = ""  # the side whose key the need names; empty for a lookup

    def repeats(self, record: Record) -> bool:
        """True if the record's last revision had the same outcome, whatever the texts say."""
        need = (self.need.entity, self.need.key, self.need.part) if self.need else ("", "", "")
        before = (record.need_entity, record.need_key, record.need_part)
        return (record.status, record.why, record.about, before) == (self.status, self.why, self.about, need)


def complete(session: Session, lease: Lease, ends: Mapping[int, Completion], now: datetime) -> None:
    """Finish the claimed revision of these records (by id): written, skipped, held, waiting or dead.

    A record that is written or skipped needs nobody's attention any more, so its dead letter is closed.
    """
    rows = [_completed(record_id, end, now) for record_id, end in ends.items()]
    if not rows:
        return
    table = Record.__table__
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("record_id"), table.c.token == lease.token, table.c.runner == lease.runner)
        .values(
            done=table.c.claimed,
            status=bindparam("status"),
            reason=bindparam("reason"),
            why=bindparam("why"),
            about=bindparam("about"),
            need_entity=bindparam("need_entity"),
            need_key=bindparam("need_key"),
            need_part=bindparam("need_part"),
            need_side=bindparam("need_side"),
            updated_at=bindparam("ended"),
            done_version=table.c.seen_version,
            # If it is wanted again meanwhile, that may ask for a full comparison (`forget_last`); this must not undo it.
            done_fingerprint=case((table.c.wanted == table.c.claimed, table.c.seen_fingerprint), else_=""),
            done_source_time=table.c.source_time,
            stage=Stage.FETCH,
            pause=Pause.NONE,
            debounce_fingerprint="",
            debounce_since=None,
            run_alone=False,
            crashes=0,
            attempts=0,
            urgency=case((table.c.wanted == table.c.claimed, 0), else_=table.c.urgency),
            kept_until=None,
            **FREE,
        ),
        rows,
    )
    failures.close(session, [i for i, end in ends.items() if end.status in THROUGH], "it succeeded later", now)


def _completed(record_id: int, end: Completion, now: datetime) -> dict[str, Any]:
    return {
        "record_id": record_id,
        "status": end.status,
        "reason": end.reason,
        "why": end.why,
        "about": end.about,
        "need_entity": end.need.entity if end.need else "",
        "need_key": end.need.key if end.need else "",
        "need_part": end.need.part if end.need else "",
        "need_side": end.need_side if end.need else "",
        "ended": now,
    }


def discard(session: Session, reasons: Mapping[int, str], now: datetime) -> None:
    """Skip dead records by a person's decision (by id, each with a reason); `fetch.py` respects it.

    A later revision remains wanted: the source may have been corrected.
    """
    for record_id, reason in reasons.items():
        session.execute(
            update(Record)
            .where(Record.id == record_id, Record.token.is_(None))
            .values(status=Status.SKIPPED, reason=reason, why=Why.DISCARDED, stage=Stage.FETCH, updated_at=now)
            .execution_options(synchronize_session=False)
        )


def ignore(session: Session, record_id: int, who_and_why: str, now: datetime) -> bool:
    """Stop syncing a record by a person's decision (`anna: a test order`). False if a step is working on it.

    The record counts as done: `want.py` raises no revision of it until `unignore`. A settle time is kept.
    """
    statement = (
        update(Record)
        .where(Record.id == record_id, Record.token.is_(None))
        .values(
            ignored=who_and_why,
            done=Record.wanted,
            status=Status.SKIPPED,
            reason=f"ignored by {who_and_why}",
            why=Why.IGNORED,
            need_entity="",
            need_key="",
            need_part="",
            need_side="",
            stage=Stage.FETCH,
            updated_at=now,
        )
    )
    return changed(session, statement) > 0


def unignore(session: Session, record_id: int, now: datetime) -> bool:
    """Sync a record again. False if it was not ignored."""
    ignored = update(Record).where(Record.id == record_id, Record.ignored != "")
    return changed(session, ignored.values(ignored="", reason="", why=Why.NONE, updated_at=now)) > 0


def release(session: Session, ids: Iterable[int], now: datetime) -> None:
    """Mark held records as open, since a person has removed the cause; the caller wants them, so they are planned again."""
    held = update(Record).where(Record.id.in_(list(ids)), Record.status == Status.HELD, Record.token.is_(None))
    changed(session, held.values(status=Status.OPEN, reason="", why=Why.NONE, updated_at=now))


def must_find(session: Session, record_id: int, part: str, reference: str) -> None:
    """Before a part is created again, also search for it by this reference. Applies until the part is linked."""
    record = session.get_one(Record, record_id, with_for_update=True, populate_existing=True)
    record.must_find = {**record.must_find, part: reference}
    session.flush()


def forget_last(session: Session, ids: Iterable[int]) -> None:
    """Have the next fetch compare these records in full, even if their sources have not changed."""
    changed(session, update(Record).where(Record.id.in_(list(ids))).values(done_version="", done_fingerprint=""))


def skip_waits(session: Session, record_id: int, now: datetime) -> None:
    """End the back-off and the quiet period of a record that a person waits for. A settle time is kept."""
    mine = update(Record).where(Record.id == record_id)
    changed(session, mine.values(debounce_fingerprint=BY_HAND, debounce_since=None))
    resting = mine.where(Record.token.is_(None), Record.pause != Pause.SETTLE)
    changed(session, resting.values(not_before=now, pause=Pause.NONE))


def resume(session: Session, connection_ids: Sequence[int], now: datetime) -> int:
    """End the back-off of these connections' records and return how many it ended. A settle time is kept."""
    resting = (Record.token.is_(None), Record.pause == Pause.BACKOFF, Record.wanted > Record.done)
    mine = update(Record).where(Record.connection_id.in_(connection_ids), *resting)
    return changed(session, mine.values(not_before=now, pause=Pause.NONE))


def start_over(session: Session, connection_id: int) -> None:
    """Have all of a connection's records compared in full next time; running work is abandoned with its plan."""
    mine = update(Record).where(Record.connection_id == connection_id)
    changed(
        session, mine.values(**FREE, stage=Stage.FETCH, done_version="", done_fingerprint="", done_source_time=None)
    )


def owned(session: Session, lease: Lease) -> set[int]:
    """Ids of the records that this runner still owns, locked until the transaction ends. Raises LeaseLost if there are none.

    A step stores documents, plans, agreements and dead letters for these records only: a process that was suspended must not
    overwrite newer data with old data.
    """
    mine = select(Record.id).where(Record.token == lease.token, Record.runner == lease.runner)
    found = set(session.scalars(mine.order_by(Record.id).with_for_update()))
    if not found:
        raise LeaseLost
    return found


def advance(session: Session, lease: Lease, ids: Iterable[int], stage: Stage) -> None:
    """Move records to the next step of their chain.

    Once writing begins, the target may be in any state between the last agreement and the plan. Even if the source returns to
    the version that was done last, the record must then be compared, so this clears that version.
    """
    session.execute(_mine(lease, ids).values(stage=stage, done_version="", done_fingerprint="", kept_until=None))


def leave(session: Session, lease: Lease, now: datetime, *, wait_s: float = 0.0) -> None:
    """End the step: the chain's next message (after `wait_s` seconds) may enter with the records that still have the token."""
    until = now + timedelta(seconds=wait_s + lease.engine.limits.lease_s)
    session.execute(
        update(Record)
        .where(Record.token == lease.token, Record.runner == lease.runner)
        .values(runner=None, lease_until=until)
        .execution_options(synchronize_session=False)
    )


def put_off(
    session: Session,
    lease: Lease,
    ids: Iterable[int],
    until: datetime,
    *,
    pause: Pause,
    stage: Stage | None = None,
    counts: bool = False,
    alone: bool = False,
    reason: str | None = None,
    keep_s: float | None = None,
) -> None:
    """Release records until a time; they remain due.

    Args:
        session: the caller's transaction.
        lease: the lease that owns the records.
        ids: of the records.
        until: when they may be claimed again.
        pause: why they wait.
        stage: the stage to start from; unchanged if None.
        counts: count this as a failed attempt.
        alone: run each record without others next time.
        reason: for people; a skipped or held record keeps its own.
        keep_s: how many seconds after `until` the next fetch may use the documents that are stored; not at all if None.
    """
    kept = None if keep_s is None else until + timedelta(seconds=keep_s)
    values: dict[str, Any] = {**FREE, "not_before": until, "pause": pause, "kept_until": kept}
    if stage is not None:
        values["stage"] = stage
    if counts:
        values["attempts"] = Record.attempts + 1
    if alone:  # the attempts alone are counted separately
        values |= {
            "run_alone": True,
            "attempts": case((Record.run_alone, Record.attempts + int(counts)), else_=int(counts)),
        }
    if reason is not None:  # people decide by the reason of a skipped or held record, so it is kept
        keeps = or_(Record.status == Status.SKIPPED, Record.status == Status.HELD)
        values["reason"] = case((keeps, Record.reason), else_=reason)
    session.execute(_mine(lease, ids).values(**values))


def give_back(session: Session, lease: Lease, ids: Iterable[int], now: datetime) -> None:
    """Release records at once, since the step's time is up; the pump resumes them at their current stage."""
    put_off(session, lease, ids, now, pause=Pause.NONE)


def _mine(lease: Lease, ids: Iterable[int]) -> Any:
    return (
        update(Record)
        .where(Record.id.in_(list(ids)), Record.token == lease.token, Record.runner == lease.runner)
        .execution_options(synchronize_session=False)
    )
