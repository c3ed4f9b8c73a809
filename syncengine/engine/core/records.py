"""The transitions of a record, each under its name. Nothing else sets a record's status, stage or lease.

Every transition of a step holds only while its lease does: it names token and runner, and changes nothing otherwise.
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
    """How the revision that was claimed has been dealt with."""

    status: Status
    reason: str = ""  # for people
    why: Why = Why.NONE
    about: str = ""  # the key that `why` is about, of an object that is gone
    need: Need | None = None
    need_side: str = ""  # whose key the need names; empty for a lookup

    def repeats(self, record: Record) -> bool:
        """Whether the record ended so the last time too, whatever the texts say."""
        need = (self.need.entity, self.need.key, self.need.part) if self.need else ("", "", "")
        before = (record.need_entity, record.need_key, record.need_part)
        return (record.status, record.why, record.about, before) == (self.status, self.why, self.about, need)


def complete(session: Session, lease: Lease, ends: Mapping[int, Completion], now: datetime) -> None:
    """Take the claimed revision as done for these records (by id): written, skipped, held, waiting or dead.

    What went through needs no person any more: its dead letter is closed.
    """
    rows = [
        {
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
        for record_id, end in ends.items()
    ]
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
            # Whoever wants it meanwhile may want a whole look (`forget_last`), which this must not take back.
            done_fingerprint=case((table.c.wanted == table.c.claimed, table.c.seen_fingerprint), else_=""),
            done_source_time=table.c.source_time,
            stage=Stage.FETCH,
            pause=Pause.NONE,
            debounce_fingerprint="",
            debounce_since=None,
            run_alone=False,
            crashes=0,
            attempts=0,
            **FREE,
        ),
        rows,
    )
    failures.close(session, [i for i, end in ends.items() if end.status in THROUGH], "it went through later", now)


def discard(session: Session, reasons: Mapping[int, str], now: datetime) -> None:
    """A person says that dead records (by id, each with a reason) are to be left alone; `fetch.py` keeps to it.

    A revision that is wanted besides stays wanted: the source may have been corrected.
    """
    for record_id, reason in reasons.items():
        session.execute(
            update(Record)
            .where(Record.id == record_id, Record.token.is_(None))
            .values(status=Status.SKIPPED, reason=reason, why=Why.DISCARDED, stage=Stage.FETCH, updated_at=now)
            .execution_options(synchronize_session=False)
        )


def ignore(session: Session, record_id: int, told: str, now: datetime) -> bool:
    """A person says (`told`: who and why) that a record is not to be synced. False if it is being worked on.

    It is dealt with from here on: `want.py` raises no revision of it until `unignore`. A settle time stays as it is.
    """
    statement = (
        update(Record)
        .where(Record.id == record_id, Record.token.is_(None))
        .values(
            ignored=told,
            done=Record.wanted,
            status=Status.SKIPPED,
            reason=f"ignored by {told}",
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
    """A record is to be synced again; False if it was not ignored."""
    ignored = update(Record).where(Record.id == record_id, Record.ignored != "")
    return changed(session, ignored.values(ignored="", reason="", why=Why.NONE, updated_at=now)) > 0


def must_find(session: Session, record_id: int, part: str, reference: str) -> None:
    """A part is created once more: it is looked for by this reference too before that. Over once it is linked."""
    record = session.get_one(Record, record_id, with_for_update=True, populate_existing=True)
    record.must_find = {**record.must_find, part: reference}
    session.flush()


def forget_last(session: Session, ids: Iterable[int]) -> None:
    """The next look at these is a whole one, although nothing has changed at the source since they were done."""
    changed(session, update(Record).where(Record.id.in_(list(ids))).values(done_version="", done_fingerprint=""))


def skip_waits(session: Session, record_id: int, now: datetime) -> None:
    """A person waits for a record: its back-off is over, and its quiet period does not count. A settle time stays."""
    mine = update(Record).where(Record.id == record_id)
    changed(session, mine.values(debounce_fingerprint=BY_HAND, debounce_since=None))
    resting = mine.where(Record.token.is_(None), Record.pause != Pause.SETTLE)
    changed(session, resting.values(not_before=now, pause=Pause.NONE))


def resume(session: Session, connection_ids: Sequence[int], now: datetime) -> int:
    """What these connections' records were put off for is over: their back-off ends; a settle time stays. Returns how many."""
    resting = (Record.token.is_(None), Record.pause == Pause.BACKOFF, Record.wanted > Record.done)
    mine = update(Record).where(Record.connection_id.in_(connection_ids), *resting)
    return changed(session, mine.values(not_before=now, pause=Pause.NONE))


def start_over(session: Session, connection_id: int) -> None:
    """All of a connection's records are read whole next time; what is being worked on is given up, with its plan."""
    mine = update(Record).where(Record.connection_id == connection_id)
    changed(
        session, mine.values(**FREE, stage=Stage.FETCH, done_version="", done_fingerprint="", done_source_time=None)
    )


def owned(session: Session, lease: Lease) -> set[int]:
    """Ids of the records that are still this runner's, locked until the transaction ends.

    What a step stores beside the record (documents, plans, agreements, dead letters) it stores for these alone: a process
    that was frozen must not write an old picture over a newer one. Raises LeaseLost if there are none.
    """
    mine = select(Record.id).where(Record.token == lease.token, Record.runner == lease.runner)
    found = set(session.scalars(mine.order_by(Record.id).with_for_update()))
    if not found:
        raise LeaseLost
    return found


def advance(session: Session, lease: Lease, ids: Iterable[int], stage: Stage) -> None:
    """The records are ready for the next step of their chain.

    From the first write on the target may be anywhere between the last agreement and the plan, so that seeing the version
    that was done last is no reason any more to leave the record alone.
    """
    session.execute(_mine(lease, ids).values(stage=stage, done_version="", done_fingerprint=""))


def leave(session: Session, lease: Lease, now: datetime, *, wait_s: float = 0.0) -> None:
    """The step is over: the next message of the chain (after `wait_s`) may enter with what still bears the token."""
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
) -> None:
    """Give records back until a time. They stay due. `counts`: as an attempt; `alone`: next time without others."""
    values: dict[str, Any] = {**FREE, "not_before": until, "pause": pause}
    if stage is not None:
        values["stage"] = stage
    if counts:
        values["attempts"] = Record.attempts + 1
    if alone:  # its tries alone are counted from the first one
        values |= {
            "run_alone": True,
            "attempts": case((Record.run_alone, Record.attempts + int(counts)), else_=int(counts)),
        }
    if reason is not None:  # why it was left alone, or what holds it, stays known: people decide by that
        stays = or_(Record.status == Status.SKIPPED, Record.status == Status.HELD)
        values["reason"] = case((stays, Record.reason), else_=reason)
    session.execute(_mine(lease, ids).values(**values))


def give_back(session: Session, lease: Lease, ids: Iterable[int], now: datetime) -> None:
    """Give records back at once: the step has worked for its time, the pump takes them up again where they stand."""
    put_off(session, lease, ids, now, pause=Pause.NONE)


def _mine(lease: Lease, ids: Iterable[int]) -> Any:
    return (
        update(Record)
        .where(Record.id.in_(list(ids)), Record.token == lease.token, Record.runner == lease.runner)
        .execution_options(synchronize_session=False)
    )
