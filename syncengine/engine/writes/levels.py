"""Writes of levels: which may be sent, and what is noted once they are done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import LineChange, Moved, Outcome, Resource
from syncengine.engine.core import movements, payloads
from syncengine.engine.core.records import Completion
from syncengine.engine.writes import ceiling
from syncengine.engine.writes.effects import Intent
from syncengine.engine.writes.write_run import WriteRun
from syncengine.store.models import ConnectionRow, Link
from syncengine.store.states import Status, Why

KEEP_FOR_RISE_S = 300.0
"""How long the documents of a rise are kept once it may be written. Then both systems are read and it waits again."""

FEWEST_VANISHED = 20
"""Levels that may become nothing within an hour whatever the share of all: a shop of ten items sells out."""

FEEDS_FRESH_S, FEEDS_FRESH_IN_BACKFILL_S = 1.0, 5.0
"""How long ago the target's feeds may have been read when a level is raised: whoever corrects it meanwhile is not seen.

A first load raises thousands, and each reading is a call.
"""

CORRECTED = "somebody has corrected the level since it was read"


def rises(run: WriteRun, batch: Sequence[Intent]) -> list[Intent]:
    """The writes that raise a level."""
    levels = run.route.flow.levels
    assert levels is not None  # noqa: S101 - the caller has checked it
    return [intent for intent in batch if any(_change(line, levels.level) > 0 for line in intent.operation.lines)]


def put_off(run: WriteRun, batch: Sequence[Intent], until: datetime) -> None:
    """Plan the records of these writes again at a time, from the documents that are stored."""
    with run.route.engine.store.write() as session:
        for intent in batch:
            if not run.work[intent.record.id].ended:
                run.plan_rest(session, intent.record, until, KEEP_FOR_RISE_S)


def leave_corrected(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> None:
    """Plan those again whose level somebody else has corrected since it was read, as far as feeds tell."""
    began = {
        str(intent.operation.key): window[0]
        for intent in batch
        if (window := resource.read_between(intent.operation.current or {}))
    }
    with run.route.engine.store.write() as session:
        touched = movements.corrected(session, run.route, run.route.target_side, began)
        for intent in batch:
            if touched.get(str(intent.operation.key), set()) & {_place(line) for line in intent.operation.lines}:
                run.plan_again(session, intent.record, clock.now(), CORRECTED)


def admitted(
    run: WriteRun, session: Session, connection: ConnectionRow, batch: Sequence[Intent], now: datetime
) -> Sequence[Intent]:
    """The writes that may be sent now: all falls, unless too many levels vanish, and as many rises as the ceiling allows."""
    levels = run.route.flow.levels
    assert levels is not None  # noqa: S101 - the caller has checked it
    rising = rises(run, batch)
    vanishing = sum(_vanishes(line, levels.level) for intent in batch for line in intent.operation.lines)
    allowed, stopped = ceiling.admit_level(
        session,
        connection,
        run.route.flow,
        rises=len(rising),
        vanishing=vanishing,
        most=_most_vanished(run, session),
        now=now,
    )
    beyond = {intent.record.id for intent in (batch if stopped else rising[allowed.most :])}
    for record_id in beyond:
        intent = next(intent for intent in batch if intent.record.id == record_id)
        run.end(session, intent, Completion(Status.HELD, stopped or allowed.reason, Why.CEILING), "held", now)
    return [intent for intent in batch if intent.record.id not in beyond]


def count_sent(run: WriteRun, session: Session, batch: Sequence[Intent], at: datetime) -> datetime:
    """Count writes for the flow's ceiling as sent: of levels, rises and those that vanish. Returns since when they count."""
    return _count(run, session, batch, at, 1)


def count_back(run: WriteRun, session: Session, batch: Sequence[Intent], at: datetime) -> None:
    """Take back the count of writes that were counted as sent at this time, and were certainly not done."""
    _count(run, session, batch, at, -1)


def _count(run: WriteRun, session: Session, batch: Sequence[Intent], at: datetime, sign: int) -> datetime:
    flow, connection_id, levels, count = run.route.flow, run.route.connection_id, run.route.flow.levels, len(batch)
    if levels is not None:
        lines = [line for intent in batch for line in intent.operation.lines]
        vanishing = sum(_vanishes(line, levels.level) for line in lines)
        ceiling.note_sent(session, connection_id, flow, sign * vanishing, at, kind=ceiling.VANISHED)
        count = sum(any(_change(line, levels.level) > 0 for line in intent.operation.lines) for intent in batch)
    return ceiling.note_sent(session, connection_id, flow, sign * count, at)


def _most_vanished(run: WriteRun, session: Session) -> float:
    levels = run.route.flow.levels
    share = Decimal(str(run.route.settings[levels.vanish] or 0)) if levels else Decimal(0)
    mine = (Link.connection_id == run.route.connection_id, Link.entity == run.route.flow.entity)
    count = session.scalar(select(func.count()).select_from(Link).where(*mine)) or 0
    return max(FEWEST_VANISHED, float(share) * count) if share else float("inf")


def note_written(
    run: WriteRun, session: Session, resource: Resource, intent: Intent, outcome: Outcome, now: datetime
) -> None:
    """Note a correction as ours, and keep the picture of the rest of the plan in step with it."""
    levels, key = run.route.flow.levels, str(intent.operation.key)
    assert levels is not None  # noqa: S101 - the caller has checked it
    for line in intent.operation.lines:
        if outcome.note:
            moved = (key, _place(line), _change(line, levels.level), now)
            run.books.ours.append(Moved(f"our {outcome.note}", outcome.note, "", *moved, correction=True))
    if run.work[intent.record.id].later is None:
        return
    stored = payloads.load(session, run.route.engine.vault, "context", [intent.record.id]).get(intent.record.id, {})
    if key in stored.get(resource.name, {}):
        stored[resource.name][key] = resource.after(stored[resource.name][key], intent.operation)
        payloads.save(session, "context", {intent.record.id: payloads.seal(run.route.engine.vault, stored)}, now)


def _place(line: LineChange) -> str:
    return line.number or line.key


def _change(line: LineChange, level: str) -> Decimal:
    change = line.changes[level]
    return Decimal(str(change.new or 0)) - Decimal(str(change.old or 0))


def _vanishes(line: LineChange, level: str) -> bool:
    change = line.changes[level]
    return not change.new and bool(change.old) and Decimal(str(change.old)) > 0
