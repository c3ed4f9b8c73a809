"""One run of the step that writes: its records, what is left to write of each, and how a record leaves the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from syncengine.connectors.base import Moved, Outcome
from syncengine.engine.core import records, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Route
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.records import Completion
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.level_plan import RISE_WAITS
from syncengine.engine.writes.effects import Intent
from syncengine.store.models import Link, Record
from syncengine.store.states import Lane, Pause, Stage

EDITED = "the target was edited after it was read"


@dataclass
class Work:
    """A record in this step, and the writes that are left of its plan."""

    record: Record
    left: int = 0
    ended: bool = False
    seeks: bool = False  # its creates are looked for, and not made
    found: list[str] = field(default_factory=list)  # keys of what was found, cancelled
    later: datetime | None = None  # when the rest of its plan may be written
    has_more: bool = False  # its create needs a further call, which is planned once it exists
    summaries: list[str] = field(default_factory=list)
    decision: int = 0  # id of the decision that its plan follows; 0 if none


@dataclass
class Books:
    """The results of the writes of one transaction, stored at its end with one statement for all of them."""

    written: dict[int, dict[str, Any]] = field(default_factory=dict)  # effect id: details for the timeline
    of_record: dict[int, Record] = field(default_factory=dict)  # effect id: its record
    linked: list[tuple[str, str, str]] = field(default_factory=list)  # side, key and part of new links
    changed: list[Link] = field(default_factory=list)  # links that are new or agreed on
    ours: list[Moved] = field(default_factory=list)  # movements of the target that these writes have made
    ends: dict[int, Completion] = field(default_factory=dict)


class WriteRun:
    """One run of the step that writes: the lease, and what is left of its records' plans.

    seen_at: by effect id, when the target last showed what the plan was made from. revision: by link id, that of the plans,
    or that after this run's own writes. unnumbered: writes that are done, but whose key the answer did not give.
    """

    def __init__(self, route: Route, lease: Lease) -> None:
        self.route, self.lease = route, lease
        self.work = {record.id: Work(record) for record in lease.records}
        self.intents: list[Intent] = []
        self.unnumbered: list[tuple[Intent, Outcome]] = []
        self.books = Books()
        self.seen_at: dict[int, datetime] = {}
        self.revision: dict[int, int] = {}

    def end(self, session: Session, intent: Intent, end: Completion, what: str, now: datetime) -> None:
        """Let a record leave the run: held, dead or skipped. `what` names the event in its timeline."""
        record = intent.record
        self.work[record.id].ended = True
        records.complete(session, self.lease, {record.id: end}, now)
        if record.lane == Lane.BACKFILL and end.repeats(record):
            return  # the hourly recheck found no change: history shows it once
        timeline.note_one(session, record, what, now, reason=end.reason, write=plan_codec.summary(intent.step))

    def plan_again(self, session: Session, record: Record, now: datetime, why: str) -> None:
        """Have a record fetched and planned again at once, since its plan no longer applies, for the reason `why`."""
        self.work[record.id].ended = True
        records.put_off(session, self.lease, [record.id], now, pause=Pause.NONE, stage=Stage.FETCH, reason=why)

    def plan_rest(self, session: Session, record: Record, until: datetime, keep_s: float) -> None:
        """Plan the rest of a record at `until`, from the documents that are stored."""
        self.work[record.id].ended = True
        records.put_off(
            session,
            self.lease,
            [record.id],
            until,
            pause=Pause.RISE,
            stage=Stage.FETCH,
            reason=RISE_WAITS,
            keep_s=keep_s,
        )

    def plan_edited(self, session: Session, record: Record, now: datetime) -> None:
        """Plan a record again soon, since its target was edited after it was read; from the second time on alone."""
        self.work[record.id].ended = True
        until = now + timedelta(seconds=backoff(record.attempts, most_s=self.route.engine.limits.backoff_s))
        records.put_off(
            session, self.lease, [record.id], until,
            pause=Pause.BACKOFF, stage=Stage.FETCH, counts=True, alone=record.attempts > 0, reason=EDITED,
        )  # fmt: skip

    def wait_for_other(self, session: Session, intent: Intent, until: datetime, why: str) -> None:
        """Plan a record again at `until`, since another record is writing its object."""
        self.work[intent.record.id].ended = True
        records.put_off(
            session, self.lease, [intent.record.id], until, pause=Pause.BACKOFF, stage=Stage.FETCH, reason=why
        )

    def fetch_later(
        self, session: Session, intents: Sequence[Intent], until: datetime, why: str, *, counts: bool = False
    ) -> None:
        """Fetch these records again at `until`, and not before. counts: whether this counts as an attempt."""
        for intent in intents:
            self.work[intent.record.id].ended = True
            records.put_off(
                session, self.lease, [intent.record.id], until,
                pause=Pause.SETTLE, stage=Stage.FETCH, counts=counts, reason=why,
            )  # fmt: skip
