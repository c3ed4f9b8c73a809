"""A lease on a batch of records: only its holder may work on them.

The token alone does not exclude a second worker, since a redelivered message has the same token. A step enters by
compare-and-set of a new runner id, if token and stage match and nobody else has entered. Only the pump handles a runner that
never returns: it releases the records, marks their writes in progress as unknown, and counts the crash.

A lease ends as soon as either of two clocks says so. The monotonic clock measures the holder's time, suspension included, and
no adjustment of the wall clock can extend it. Others judge `lease_until` by the wall clock: once it has passed, they may take
the records, so a wall clock that jumps forward can cost a lease but never causes a second write.
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
    """Another runner may own the batch now; this one stops and stores nothing."""


class HandBack(Exception):
    """This process is shutting down: its records go back to the pump at once, in their current state."""


class Lease:
    """The right to work on the records of one token in one stage; also the guard of every call."""

    def __init__(self, engine: Engine, token: str, stage: Stage) -> None:
        self.engine = engine
        self.token = token
        self.stage = stage
        self.runner = uuid.uuid4().hex
        self.lane = Lane.SCHEDULED.label  # of the chain; known once the lease is entered
        self.records: Sequence[Record] = ()
        self._expires = 0.0  # by the monotonic clock
        self._expires_at = datetime.min.replace(tzinfo=UTC)  # as stored in the record's row for others

    def enter(self) -> bool:
        """Take the records that have the token and are at this stage. False if there are none."""
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
        """Extend the lease, so that it outlasts one more call. Raises LeaseLost if another runner may have taken over.

        Raises HandBack while reading, if this process is shutting down. A write that has started is completed, since the
        outcome of its calls must be stored.
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
        """Check the lease just before a request is sent. Raises LeaseLost if the call could outlast it by either clock."""
        if not self.lasts(self.engine.limits.call_s):
            raise LeaseLost

    def lasts(self, seconds: float) -> bool:
        """True if the lease lasts `seconds` more by both clocks."""
        return self._left_s(clock.monotonic(), clock.now()) >= seconds

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Count the call for this flow and lane."""
        flow = self.records[0].flow if self.records else ""
        self.engine.count_call(endpoint, flow, self.lane, operation, took_s)

    def _holds_from(self, begun: float, now: datetime) -> None:
        self._expires, self._expires_at = begun + self.engine.limits.lease_s, self._until(now)

    def _left_s(self, monotonic: float, now: datetime) -> float:
        return min(self._expires - monotonic, (self._expires_at - now).total_seconds())

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.engine.limits.lease_s)
