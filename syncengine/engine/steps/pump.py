"""The pump: frees dead leases, wakes records that can continue, claims what is due, and sends chains. Nothing else starts work.

It treats a dead worker, a lost message and an emptied Redis in the same way: as a lease that ran out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session, aliased

from syncengine import clock
from syncengine.engine.core import failures, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.records import FREE
from syncengine.engine.core.want import MOST_WOKEN, RESTING, wake, want
from syncengine.engine.steps.claiming import claim
from syncengine.engine.traffic import endpoints, quota
from syncengine.engine.watch import health
from syncengine.engine.writes import ceiling, dependants, unsettled
from syncengine.store.models import Link, Lookup, Record
from syncengine.store.session import lock_pump
from syncengine.store.states import Lane, Pause, Stage, Status, Why

log = logging.getLogger(__name__)

RESTS_AFTER_CRASH_S = (1.0, 10.0, 60.0)
CRASHES_COUNT_ONCE_WITHIN_S = 60.0
SHORTAGES = 16
"""How often a record may meet a process short of memory or file handles; with the back-off, over 20 minutes at least."""


def pump(engine: Engine, *, sweep: bool = False) -> int:
    """Claim what is due and send it. Returns how many chains were sent.

    sweep: first wake records whose needs are met, and recheck what has been held or waiting for long. The pump runs after
    every `want`, at the end of every chain, and with `sweep` every few seconds from beat. A process that is shutting down
    leaves it to others: what it claimed would wait until it is back.
    """
    if engine.is_ending():
        return 0
    now = clock.now()
    states, crowded = endpoints.breakers(engine), quota.crowded(engine)
    unserved = {lane for lane in Lane if (engine.queued(lane) or 0) >= engine.limits.chains[lane]}
    with engine.store.write(durable=False) as session:
        lock_pump(session)
        free_dead_leases(session, engine, now)
        if sweep:
            health.note(session, health.PUMP, now)
            wake_waiting(session, engine, now)
            recheck(session, engine, now)
        chains = claim(session, engine, now, states, crowded, unserved)
    for chain in chains:
        engine.send(chain)
    return len(chains)


# -- dead leases -------------------------------------------------------------------------------------------------------


def free_dead_leases(session: Session, engine: Engine, now: datetime) -> None:
    """Free records whose lease ran out: at once if their message was lost, as crashed if their worker was lost."""
    ended = select(Record).where(Record.token.is_not(None), Record.lease_until < now).order_by(Record.id)
    dead = session.scalars(
        ended.with_for_update(skip_locked=True)
    ).all()  # a late runner may be completing some right now
    lost = [record for record in dead if record.runner is None]
    crashed = [record for record in dead if record.runner is not None]
    if lost:
        _free(session, lost)
        timeline.note(session, lost, "message lost", now)
    if crashed:
        recover_crashed(session, engine, crashed, now, because="its worker was lost")


def recover_crashed(
    session: Session,
    engine: Engine,
    crashed: Sequence[Record],
    now: datetime,
    *,
    because: str,
    at_once: bool = False,
    counts: bool = True,
) -> None:
    """Free the records of a step that crashed. What it had sent is unknown; the suspects are retried alone, and counted.

    The suspect is the record that was being written, or all of the batch if none was. A record that alone makes its worker
    crash `limits.crashes` times is set aside as poison. Crashes within a minute count once, since the machine may be at fault.

    because: the reason, shown in the history. at_once: the step crashed just now and not a lease ago, so its records rest
    first, longer each time. counts: False if no record seems to be at fault; one that causes it alone, again and again, is
    counted all the same.
    """
    lost = unsettled.lost_runner(session, [record.id for record in crashed], now)
    counted = [record for record in crashed if (counts or _is_alone_in_it(record)) and _counts_as_crash(record, now)]
    crashes = {record.id: record.crashes + 1 for record in counted}
    poison = [(record, Stage(record.stage)) for record in crashed if crashes.get(record.id, 0) >= engine.limits.crashes]
    _free(session, crashed)
    for record in crashed:
        suspect = record.batch <= 1 or not lost.in_the_call or record.id in lost.in_the_call
        rest_s = _rest_after_crash_s(record) if suspect and at_once else 0.0
        values: dict[str, Any] = {"pause": Pause.BACKOFF}
        if counts:
            values |= {"run_alone": suspect}
        else:  # in a batch, the first time may be chance
            values |= {
                "run_alone": record.run_alone or (suspect and record.attempts > 0),
                "attempts": record.attempts + 1,
            }
            if record.run_alone:
                rest_s = max(rest_s, backoff(record.attempts, most_s=engine.limits.backoff_s))
        values["not_before"] = now + timedelta(seconds=rest_s)
        if record.id in crashes:
            values |= {"crashes": crashes[record.id], "crashed_at": now}
        if record.id in lost.rest:
            values |= {"stage": Stage.FETCH, "not_before": lost.rest[record.id], "pause": Pause.SETTLE}
        session.execute(update(Record).where(Record.id == record.id).values(**values))
    timeline.note(session, crashed, "step died", now, {record.id: {"because": because} for record in crashed})
    for record, stage in poison:
        is_unknown = record.id in lost.rest
        failures.open_crashed(session, record, stage, crashes[record.id], because, now, in_doubt=is_unknown)
        _set_aside(session, record, because, now)


def _is_alone_in_it(record: Record) -> bool:
    """Whether the shortage occurs with this record alone, and has lasted too long to be a passing one of the machine."""
    return record.batch <= 1 and record.attempts >= SHORTAGES


def _counts_as_crash(record: Record, now: datetime) -> bool:
    """Whether a crash counts: the record was alone, and no other crash was counted a moment ago."""
    since = None if record.crashed_at is None else (now - record.crashed_at).total_seconds()
    return record.batch <= 1 and (since is None or record.crashes == 0 or since >= CRASHES_COUNT_ONCE_WITHIN_S)


def _rest_after_crash_s(record: Record) -> float:
    """Seconds until a record is retried after its step crashed: one in a batch, ten alone, then a minute."""
    if record.batch > 1:
        return RESTS_AFTER_CRASH_S[0]
    return RESTS_AFTER_CRASH_S[1 if record.crashes == 0 else 2]


def _free(session: Session, found: Iterable[Record]) -> None:
    ids = [record.id for record in found]
    session.execute(
        update(Record).where(Record.id.in_(ids)).values(**FREE).execution_options(synchronize_session=False)
    )


def _set_aside(session: Session, record: Record, because: str, now: datetime) -> None:
    reason = f"poison: {because}"
    session.execute(
        update(Record)
        .where(Record.id == record.id)
        .values(
            done=Record.claimed,
            done_version=Record.seen_version,  # a feed that reports the same version again does not revive it
            done_source_time=Record.source_time,
            status=Status.DEAD,
            reason=reason,
            why=Why.CRASHED,
            stage=Stage.FETCH,
            crashes=0,
            run_alone=False,
        )
        .execution_options(synchronize_session=False)
    )
    timeline.note_one(session, record, "dead", now, reason=reason)


# -- waking ------------------------------------------------------------------------------------------------------------


def wake_waiting(session: Session, engine: Engine, now: datetime) -> None:
    """Wake records whose need has been met. It is a query, so that no wake-up can be lost."""
    ready = session.scalars(_READY).all()
    if ready:
        wake(session, ready, now, fresh_after=now - timedelta(seconds=engine.limits.fresh_s))


def _ready() -> Select[int]:
    lookup = aliased(Lookup)
    met_by_link = (
        select(Link.id)
        .where(Link.connection_id == Record.connection_id, Link.entity == Record.need_entity)
        .where(dependants.meets(Record.need_side, Record.need_key, Record.need_part))
        .exists()
    )
    met_by_lookup = (
        select(lookup.id)
        .where(lookup.connection_id == Record.connection_id, "lookup:" + lookup.name == Record.need_entity)
        .where(lookup.key == Record.need_key)
        .exists()
    )
    return select(Record.id).where(*RESTING, met_by_link | met_by_lookup).limit(MOST_WOKEN)


_READY = _ready()
"""Ids of waiting records whose need has been met; built once, since the pump asks it every few seconds."""


def recheck(session: Session, engine: Engine, now: datetime) -> None:
    """Want held and waiting records again every hour: the reason may be gone, or what they waited for no longer needed.

    Records held because their flow is shut wait for a person.
    """
    before = now - timedelta(seconds=engine.limits.hold_again_s)
    rests = ((Record.status == Status.HELD) & ~ceiling.holds()) | (Record.status == Status.WAITING)
    found = session.execute(
        select(Record.connection_id, Record.flow, Record.key)
        .where(rests, Record.wanted == Record.done, Record.updated_at < before)
        .order_by(Record.updated_at, Record.id)
        .limit(MOST_WOKEN)
    ).all()
    groups: dict[tuple[int, str], list[str]] = {}
    for connection_id, flow, key in found:
        groups.setdefault((connection_id, flow), []).append(key)
    for (connection_id, flow), keys in groups.items():
        want(session, connection_id, flow, keys, lane=Lane.BACKFILL, now=now)


# -- claiming ----------------------------------------------------------------------------------------------------------
