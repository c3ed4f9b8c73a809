"""A lease on a batch of records: whoever does not hold it does nothing.

The token alone does not exclude a second worker, since a redelivered message bears the same one. A step enters by
compare-and-set of a fresh runner id, where token and stage fit and nobody else has entered. A runner that never came back
is the pump's business alone: it frees the records, notes what was being written as unknown, and counts the death.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import update

from syncengine import clock
from syncengine.engine.engine import Engine
from syncengine.store.dialect import changed
from syncengine.store.models import Record
from syncengine.store.states import Lane, Stage


class LeaseLost(Exception):
    """Another runner may have the batch now; this one stops without a trace."""


class HandBack(Exception):
    """This process has been told to end: its records go back to the pump as they stand, at once."""


def new_token(lane: Lane) -> str:
    """A token that tells its lane, whatever becomes of the records' lanes meanwhile."""
    return f"{int(lane)}-{uuid.uuid4().hex}"


class Lease:
    """The right to work on the records of one token, in one stage. Also the guard that is asked around every call."""

    def __init__(self, engine: Engine, token: str, stage: Stage) -> None:
        self.engine = engine
        self.token = token
        self.stage = stage
        self.runner = uuid.uuid4().hex
        self.lane = Lane(int(token[0])).label
        self.records: Sequence[Record] = ()
        self._expires = 0.0

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
        self._expires = begun + self.engine.limits.lease_s
        return bool(self.records)

    def renew(self) -> None:
        """Make the lease outlast a whole further call. Raises LeaseLost if another runner may have taken over.

        Raises HandBack while reading, if this process has been told to end. A write that has begun is seen through: what a
        call of it has done must be noted.
        """
        if self.stage is Stage.FETCH and self.engine.is_ending():
            raise HandBack
        limits = self.engine.limits
        begun = clock.monotonic()
        if self._expires - begun > limits.call_s + (limits.lease_s - limits.call_s) / 2:
            return
        now = clock.now()
        with self.engine.store.write(durable=False) as session:
            mine = update(Record).where(Record.token == self.token, Record.runner == self.runner)
            kept = changed(session, mine.values(lease_until=self._until(now)))
        if begun >= self._expires or not kept:
            raise LeaseLost
        self._expires = begun + limits.lease_s

    def check(self) -> None:
        """Immediately before the bytes leave. Raises LeaseLost if a call could outlast the lease."""
        if clock.monotonic() + self.engine.limits.call_s > self._expires:
            raise LeaseLost

    def lasts(self, seconds: float) -> bool:
        """Whether it is still held for so long."""
        return clock.monotonic() + seconds < self._expires

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Have the call counted as one of this flow and lane."""
        flow = self.records[0].flow if self.records else ""
        self.engine.spent(endpoint, flow, self.lane, operation, took_s)

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.engine.limits.lease_s)
