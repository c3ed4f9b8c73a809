"""The three steps as the tasks call them: under a lease, with the consequence of every error decided in one place.

A whole step is retried (`TryAgain`, a Celery retry) only when its endpoint is unusable. One record's transient failure puts
that record off, and the others continue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from syncengine import clock
from syncengine.engine.core import failures, records, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.lease import HandBack, Lease, LeaseLost
from syncengine.engine.core.records import Completion
from syncengine.engine.steps import pump as pumping
from syncengine.engine.steps.fetch import fetch
from syncengine.engine.steps.push import push
from syncengine.engine.steps.transform import transform
from syncengine.engine.traffic import probe
from syncengine.errors import (
    AuthenticationFailed,
    EndpointDown,
    Misconfigured,
    Rejected,
    SessionLost,
    SyncError,
    Throttled,
    Transient,
)
from syncengine.http.guard import guarded
from syncengine.redaction import redact_text
from syncengine.store.models import Record
from syncengine.store.session import complaint
from syncengine.store.states import Pause, Stage, Status, Why

log = logging.getLogger(__name__)

MOST_RETRIES = 4
REST_S = 1.0
"""How long records of an endpoint that is down are put off; the breaker and the pump decide how long they rest."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 4.0
"""How long to wait before a store that is away is tried again (seconds)."""

FAILURES = (Transient, EndpointDown, SessionLost)
"""Errors that may be over at the next try, of a record or of its endpoint."""

OF_THE_PROCESS = (OSError, MemoryError)
"""Errors for which no record is to blame, unless it is always the same one."""

STEPS: dict[Stage, Callable[[Engine, Lease], None]] = {
    Stage.FETCH: fetch,
    Stage.TRANSFORM: transform,
    Stage.PUSH: push,
}


class TryAgain(Exception):
    """The message must be sent again after `wait_s` seconds; the lease is held until then."""

    def __init__(self, wait_s: float, because: str) -> None:
        self.wait_s = wait_s
        super().__init__(f"again in {wait_s:.1f} s: {because}")


def run(engine: Engine, stage: Stage, token: str, *, retries: int = 0) -> str:
    """Run one step for the records that carry `token`; returns one line for people. A second run does nothing.

    retries: how often this message has been retried. Raises TryAgain; Transient if the store stays away; and any unforeseen
    error, after the records were freed and the crash counted.
    """
    lease = Lease(engine, token, stage)
    if not lease.enter():
        return "nothing to do"
    count, in_probe = len(lease.records), True
    try:
        if engine.is_ending():
            raise HandBack
        with guarded(lease):
            probe.ahead(engine, lease)
            in_probe = False
            STEPS[stage](engine, lease)
    except HandBack:
        return _patiently(lease, lambda: _hand_back(engine, lease))
    except LeaseLost:
        log.warning("%s of %s records: the lease was lost, another worker continues", stage, count)
        return "lease lost"
    except SyncError as error:
        trouble = error
        return _patiently(lease, lambda: _freed(engine, lease, trouble, retries, in_probe=in_probe))
    except BaseException as error:
        _crashed(engine, lease, error)
        raise
    finally:
        engine.flush_calls()
    return f"{count} records" if count != 1 else "1 record"


def _freed(engine: Engine, lease: Lease, error: SyncError, retries: int, *, in_probe: bool) -> str:
    try:
        return _endpoint_trouble(engine, lease, error, retries, in_probe=in_probe)
    except HandBack:
        return _hand_back(engine, lease)
    except LeaseLost:
        return "lease lost"


def _endpoint_trouble(engine: Engine, lease: Lease, error: SyncError, retries: int, *, in_probe: bool = False) -> str:
    """The endpoint is unusable: retry the step soon, or put its records off.

    in_probe: the error is that of the endpoint's probe, so no record is to blame. Raises LeaseLost, HandBack, TryAgain.
    """
    log.warning("%s: %s: %s", lease.stage, error.endpoint or "the store", error)
    if engine.is_ending() and isinstance(error, Throttled):
        return _hand_back(engine, lease)
    if isinstance(error, AuthenticationFailed) and error.endpoint_id is not None:
        until_s = error.retry_in_s
        engine.rest(error.endpoint_id, for_s=until_s, because=error.says, now=clock.now())
        log.critical("%s rejects our credentials and is paused for %.0f s: %s", error.endpoint, until_s, error)
        return _put_off(engine, lease, error, until_s, counts=False)
    if isinstance(error, probe.OF_ONE_CALL) and error.endpoint_id is not None:
        return _isolated(engine, lease, error, retries)
    may_be_own = _may_be_of_a_record(error) and not in_probe
    is_its_own = may_be_own and probe.has_accepted(engine, error)
    if error.endpoint and not is_its_own and not isinstance(error, Throttled) and engine.is_down(error.endpoint):
        return _put_off(engine, lease, error, REST_S, counts=False)
    if may_be_own and probe.has_failed_often(engine, lease):
        return _isolated(engine, lease, error, retries)
    if is_its_own:
        return _put_off(engine, lease, error, None, counts=True, alone=True)
    if isinstance(error, Throttled):
        wait_s, counts = error.retry_in_s, False
    else:
        wait_s, counts = backoff(retries, most_s=engine.limits.backoff_s), True
    if (
        isinstance(error, Throttled | EndpointDown | SessionLost)
        and wait_s <= engine.limits.retry_s
        and retries < MOST_RETRIES
    ):
        with engine.store.write() as session:
            records.leave(session, lease, clock.now(), wait_s=wait_s)
        raise TryAgain(wait_s, str(error)) from error
    return _put_off(engine, lease, error, wait_s if not counts else None, counts=counts)


def _may_be_of_a_record(error: SyncError) -> bool:
    """Whether a single record may cause this: a call for it failed, or its stored documents (sealed with a lost key)."""
    if isinstance(error, Misconfigured):
        return True
    return isinstance(error, FAILURES) and error.endpoint_id is not None


def _isolated(engine: Engine, lease: Lease, error: SyncError, retries: int) -> str:
    """A record is refused, or fails repeatedly: each record is tried alone, and one that fails alone becomes a dead letter.

    If the endpoint refuses its probe too, the endpoint is to blame and no record.
    """
    if len(lease.records) > 1:
        return _put_off(engine, lease, error, 0.0, counts=False, alone=True)
    record, connection = lease.records[0], engine.connection(lease.records[0].connection_id)
    try:
        with guarded(lease):
            refused = probe.refusal(engine, connection, error, record.key)
    except SyncError as trouble:
        return _endpoint_trouble(engine, lease, trouble, retries, in_probe=True)
    return _dead_letter(engine, lease, refused)


def _dead_letter(engine: Engine, lease: Lease, error: Rejected) -> str:
    now = clock.now()
    with engine.store.write() as session:
        mine = records.owned(session, lease)
        for record in [owned for owned in lease.records if owned.id in mine]:
            failures.open_rejected(session, record, error, lease.stage, now)
            timeline.note_one(session, record, "dead", now, field=error.field, reason=error.reason)
            records.complete(session, lease, {record.id: Completion(Status.DEAD, str(error), Why.REJECTED)}, now)
    return f"dead letter: {error}"


def _patiently(lease: Lease, free: Callable[[], str]) -> str:
    """Free the records, and retry while the store is away: else they would wait for their lease to run out.

    Raises Transient if it is away until then. The pump frees the records when it is back, as after a crash.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return free()
        except Transient as away:
            if not lease.lasts(wait_s):
                raise
            log.warning("%s: %s; retrying in %.1f s", lease.stage, away, wait_s)
            clock.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _hand_back(engine: Engine, lease: Lease) -> str:
    """The worker is shutting down: its records are due at once, for another worker or for this one after its restart."""
    with engine.store.write() as session:
        records.give_back(session, lease, [record.id for record in lease.records], clock.now())
    return "handed back, since the worker ends"


def _put_off(
    engine: Engine, lease: Lease, error: SyncError, wait_s: float | None, *, counts: bool, alone: bool = False
) -> str:
    """Put the records off. A read that fails a second time as a whole is repeated record by record.

    wait_s: None for each record's own back-off. counts: the try counts as an attempt. alone: each record runs alone next.
    """
    now = clock.now()
    failed_before = any(record.attempts for record in lease.records)  # once may be chance, twice may be one record
    alone = alone or (counts and failed_before and _may_be_of_a_record(error))
    stage = Stage.FETCH if isinstance(error, Misconfigured) else None  # the stored documents may be the cause
    with engine.store.write() as session:
        mine = session.scalars(select(Record).where(Record.token == lease.token, Record.runner == lease.runner)).all()
        for record in mine:
            own_s = backoff(record.attempts, most_s=engine.limits.backoff_s) if wait_s is None else wait_s
            until = now + timedelta(seconds=own_s)
            records.put_off(
                session, lease, [record.id], until,
                pause=Pause.BACKOFF, stage=stage, counts=counts, alone=alone, reason=str(error),
            )  # fmt: skip
        timeline.note(session, mine, "put off", now, {record.id: {"error": str(error)} for record in mine})
    return f"put off: {error}"


def _crashed(engine: Engine, lease: Lease, error: BaseException) -> None:
    """An unforeseen error: free the records and keep its text, as after a crash of the worker.

    A lack of memory or file handles is not a record's fault and does not count as a crash.
    """
    said = complaint(error) if isinstance(error, DBAPIError) else str(error)
    because = redact_text(f"{type(error).__name__}: {said}")
    now = clock.now()
    with engine.store.write() as session:
        mine = session.scalars(select(Record).where(Record.token == lease.token, Record.runner == lease.runner)).all()
        if mine:
            counts = not isinstance(error, OF_THE_PROCESS)
            pumping.recover_crashed(session, engine, mine, now, because=because, at_once=True, counts=counts)
