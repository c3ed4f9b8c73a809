"""A lease on a batch of records: whoever does not hold it does nothing.

The token alone does not exclude a second worker, since a redelivered message bears the same one. A step enters by
compare-and-set of a fresh runner id, where token and stage fit and nobody else has entered. A runner that never came back
is the pump's business alone: it frees the records, notes what was being written as unknown, and counts the death.

A lease ends by whichever of two clocks says so first. The monotonic one counts what the holder took, suspended time
included, and no correction of the time of day prolongs it. The time of day is what others judge `lease_until` by: once it
has passed, they may have the records, so a clock that is set forward can cost a lease and never causes a second write.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.store.dialect import changed
from syncengine.store.models import Record
from syncengine.store.states import Lane, Stage


class LeaseLost(Exception):
    """Another runner may have the batch now; this one stops without a trace."""


class HandBack(Exception):
    """This process has been told to end: its records go back to the pump as they stand, at once."""


class Lease:
    """The right to work on the records of one token, in one stage. Also the guard that is asked around every call."""

    def __init__(self, engine: Engine, token: str, stage: Stage) -> None:
        self.engine = engine
        self.token = token
        self.stage = stage
        self.runner = uuid.uuid4().hex
        self.lane = Lane.SCHEDULED.label  # of its chain; known once it is entered
        self.records: Sequence[Record] = ()
        self._expires = 0.0  # by the monotonic clock
        self._expires_at = datetime.min.replace(tzinfo=UTC)  # as the record's row says it to others

    def enter(self) -> bool:
        """Take the records that bear the token and are at this stage; False if there are none for us."""
        begun, now = clock.monotonic(), clock.now()
        with self.engine.store.write(durable=False) as session:
            taken = session.scalars(
                update(Record)
                .where(Record.token == self.token, Record.stage == self.stage, Record.runner.is_(None))
                .values(runner=self.runner, lease_until=self._until(now))
                .returning(Record)
                .execution_options(synchronize_session=False)
            )
            self.records = sorted(taken, key=lambda record: record.id)
        for record in self.records[:1]:
            self.lane = Lane(record.lane if record.lease_lane is None else record.lease_lane).label
        self._holds_from(begun, now)
        return bool(self.records)

    def renew(self) -> None:
        """Make the lease outlast a whole further call. Raises LeaseLost if another runner may have taken over.

        Raises HandBack while reading, if this process has been told to end. A write that has begun is seen through: what a
        call of it has done must be noted.
        """
        if self.stage is Stage.FETCH and self.engine.is_ending():
            raise HandBack
        limits = self.engine.limits
        begun, now = clock.monotonic(), clock.now()
        left_s = self._left_s(begun, now)
        if left_s > limits.call_s + (limits.lease_s - limits.call_s) / 2:
            return
        if left_s <= 0:
            raise LeaseLost
        with self.engine.store.write(durable=False) as session:
            mine = update(Record).where(Record.token == self.token, Record.runner == self.runner)
            kept = changed(session, mine.values(lease_until=self._until(now)))
        if not kept:
            raise LeaseLost
        self._holds_from(begun, now)

    def check(self) -> None:
        """Immediately before the bytes leave. Raises LeaseLost if a call could outlast the lease, by either clock."""
        if not self.lasts(self.engine.limits.call_s):
            raise LeaseLost

    def lasts(self, seconds: float) -> bool:
        """Whether it is still held for `seconds`, by both clocks."""
        return self._left_s(clock.monotonic(), clock.now()) >= seconds

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Have the call counted as one of this flow and lane."""
        flow = self.records[0].flow if self.records else ""
        self.engine.count_call(endpoint, flow, self.lane, operation, took_s)

    def _holds_from(self, begun: float, now: datetime) -> None:
        self._expires, self._expires_at = begun + self.engine.limits.lease_s, self._until(now)

    def _left_s(self, monotonic: float, now: datetime) -> float:
        return min(self._expires - monotonic, (self._expires_at - now).total_seconds())

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.engine.limits.lease_s)
