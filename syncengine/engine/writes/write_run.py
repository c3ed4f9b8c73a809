"""One run of the step that writes: its records, what is left to write of each, and how a record leaves the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from syncengine.connectors.base import Outcome
from syncengine.engine.core import records, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.records import Completion
from syncengine.engine.decide import plan_codec
from syncengine.engine.writes.effects import Intent
from syncengine.flows.flow import Flow
from syncengine.store.models import Record
from syncengine.store.states import Lane, Pause, Stage

EDITED = "the target was edited after it was read"


@dataclass
class Work:
    """A record in this step: the writes that are left of its plan."""

    record: Record
    left: int = 0
    ended: bool = False
    seeks: bool = False  # its creates are only looked for
    found: list[str] = field(default_factory=list)  # what was looked for and is there, cancelled
    has_more: bool = False  # what it creates is completed by a further call, planned once it is there
    summaries: list[str] = field(default_factory=list)
    decision: int = 0  # the person's decision that its plan goes by


@dataclass
class Books:
    """What the writes of one transaction come to, kept together until its end: a statement for all, not one for each."""

    written: dict[int, dict[str, Any]] = field(default_factory=dict)  # effect id: details for the timeline
    of_record: dict[int, Record] = field(default_factory=dict)  # effect id: its record
    linked: list[tuple[str, str, str]] = field(default_factory=list)  # side, key and part of new links
    ends: dict[int, Completion] = field(default_factory=dict)


class WriteRun:
    """One run of the step that writes: the lease, and what is left of its records' plans.

    seen_at: by effect id, when its target was seen as its plan has it. revision: by link id, as the plans have it, or as this
    run's own writes have left it.
    """

    def __init__(self, engine: Engine, lease: Lease, flow: Flow, connection: Connection) -> None:
        self.engine, self.lease, self.flow, self.connection = engine, lease, flow, connection
        self.work = {record.id: Work(record) for record in lease.records}
        self.intents: list[Intent] = []
        self.unnumbered: list[tuple[Intent, Outcome]] = []
        self.books = Books()
        self.seen_at: dict[int, datetime] = {}
        self.revision: dict[int, int] = {}

    def end(self, session: Session, intent: Intent, end: Completion, what: str, now: datetime) -> None:
        """A record leaves the run: held, dead, or left alone. The timeline has it as `what`."""
        record = intent.record
        self.work[record.id].ended = True
        records.complete(session, self.lease, {record.id: end}, now)
        if record.lane == Lane.BACKFILL and end.repeats(record):
            return  # the hourly look has found it as it was: history tells that once
        timeline.note_one(session, record, what, now, reason=end.reason, write=plan_codec.summary(intent.step))

    def plan_again(self, session: Session, record: Record, now: datetime, why: str) -> None:
        """What the plan goes by is not so any more: keys that were only planned themselves, or an earlier agreement."""
        self.work[record.id].ended = True
        records.put_off(session, self.lease, [record.id], now, pause=Pause.NONE, stage=Stage.FETCH, reason=why)

    def plan_edited(self, session: Session, record: Record, now: datetime) -> None:
        """Its target was edited after it was read: planned again soon, and alone the second time, from a younger picture."""
        self.work[record.id].ended = True
        until = now + timedelta(seconds=backoff(record.attempts, most_s=self.engine.limits.backoff_s))
        records.put_off(
            session, self.lease, [record.id], until,
            pause=Pause.BACKOFF, stage=Stage.FETCH, counts=True, alone=record.attempts > 0, reason=EDITED,
        )  # fmt: skip

    def wait_for_other(self, session: Session, intent: Intent, until: datetime, why: str) -> None:
        """Another record is writing its object: the record is planned again then."""
        self.work[intent.record.id].ended = True
        records.put_off(
            session, self.lease, [intent.record.id], until, pause=Pause.BACKOFF, stage=Stage.FETCH, reason=why
        )

    def fetch_later(
        self, session: Session, intents: Sequence[Intent], until: datetime, why: str, *, counts: bool = False
    ) -> None:
        """These records are fetched again at `until`, and until then rest; `counts`: as an attempt."""
        for intent in intents:
            self.work[intent.record.id].ended = True
            records.put_off(
                session, self.lease, [intent.record.id], until,
                pause=Pause.SETTLE, stage=Stage.FETCH, counts=counts, reason=why,
            )  # fmt: skip
