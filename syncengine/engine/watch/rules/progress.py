"""Rules about progress: records long overdue, writes whose outcome stays unknown, parts that are stalled."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, or_, select

from syncengine import clock
from syncengine.alerts import Severity, Sign
from syncengine.engine.watch.health import Pace
from syncengine.engine.watch.rule import View
from syncengine.engine.watch.rules.timelines import MOST_RECORDS, attempt_began
from syncengine.engine.writes.effects import UNSETTLED
from syncengine.store.models import ConnectionRow, Effect, Record
from syncengine.store.states import Lane, Pause, Status

OFTEN_TRIED = 3
MOST_RETRIED = 20
"""How many records, those tried most often, are asked for since when they have been retried."""


def overdue(view: View) -> list[Sign]:
    """The oldest record that is due has been so for long. Not where an endpoint rests, and not in a first load."""
    signs = []
    for connection in view.session.scalars(select(ConnectionRow)):
        for flow in connection.flows if connection.id not in view.resting else ():
            since = _due_since(view, connection.id, flow)
            age_s = (view.now - since).total_seconds() if since else 0.0
            if age_s > view.thresholds.oldest_s:
                text = f"{flow} of {connection.name} is late: its oldest record has been due for {clock.spell(age_s)}"
                remedy = "Run `syncengine doctor` to find what is stuck, and `syncengine status` to see how much is due"
                signs.append(Sign("oldest due", f"{connection.name}: {flow}", Severity.WARNING, text, remedy))
    return signs


def _due_since(view: View, connection_id: int, flow: str) -> datetime | None:
    """Since when the oldest record has been due: one that no worker has claimed, or one that is retried in a loop."""
    due = (
        Record.connection_id == connection_id,
        Record.flow == flow,
        Record.wanted > Record.done,
        Record.pause.not_in((Pause.PACED, Pause.QUIET, Pause.RISE)),
    )
    waiting = view.session.scalar(select(func.min(Record.updated_at)).where(*due, Record.lane != Lane.BACKFILL))
    retried = view.session.execute(
        select(Record.id, Record.created_at)
        .where(*due, Record.attempts >= OFTEN_TRIED)
        .order_by(Record.attempts.desc())
        .limit(MOST_RETRIED)
    ).all()
    began = attempt_began(view, [record_id for record_id, _ in retried])
    times = [began.get(record_id, created_at) for record_id, created_at in retried]
    return min([*times, *([waiting] if waiting else [])], default=None)


def outcome_unknown(view: View) -> list[Sign]:
    """Writes whose outcome has long been unknown, whether they are resent in a loop or held for a person."""
    signs = []
    for connection in view.session.scalars(select(ConnectionRow)):
        for flow in connection.flows if connection.id not in view.resting else ():
            unknown = _long_unknown(view, connection.id, flow)
            if unknown:
                since, key = unknown[0]
                age = clock.spell((view.now - since).total_seconds())
                count = "1 write" if len(unknown) == 1 else f"{len(unknown)} writes"
                outcome = "has an unknown outcome," if len(unknown) == 1 else "have an unknown outcome, the oldest"
                text = f"{count} of {flow} in {connection.name} {outcome} for {age}: record {key}"
                remedy = (
                    f"Run `syncengine trace {key} --flow {flow}` to see what was sent and answered, and check the target. If "
                    f"the record is held, report what you found: `syncengine held settle {key} --flow {flow}` with "
                    "--happened or --did-not"
                )
                place = f"{connection.name}: {flow}"
                signs.append(Sign("in doubt", place, Severity.WARNING, text, remedy, len(unknown)))
    return signs


def _long_unknown(view: View, connection_id: int, flow: str) -> list[tuple[datetime, str]]:
    """Since when each write's outcome has been unknown (its first send, or that of this attempt), and its record's key.

    The longest first. The time of the last send says nothing where a write is resent every few minutes, nor do the
    record's own times.
    """
    before = view.now - timedelta(seconds=view.thresholds.oldest_s)
    rows = view.session.execute(
        select(
            Effect.record_id, Effect.sends, Effect.sent_at, Effect.created_at, Record.key, Record.wanted > Record.done
        )
        .join(Record, Record.id == Effect.record_id)
        .where(Record.connection_id == connection_id, Record.flow == flow)
        .where(or_(Record.wanted > Record.done, Record.status == Status.HELD))
        .where(Effect.state.in_(UNSETTLED), Effect.sends > 0, Effect.created_at < before)
        .order_by(Effect.created_at)
        .limit(MOST_RECORDS)
    ).all()
    began = attempt_began(view, [row.record_id for row in rows])
    found = []
    for record_id, sends, sent_at, created_at, key, is_due in rows:
        is_sent_once = sends == 1 or not is_due
        since = sent_at if is_sent_once else max(created_at, began.get(record_id, created_at))
        if since is not None and since < before:
            found.append((since, key))
    return sorted(found)


def stalled(view: View) -> list[Sign] | None:
    """A lane, the pump or a flow makes no progress, as `syncengine health` shows it."""
    if view.vitals is None:
        return None
    return [
        Sign("stalled", vital.name, Severity.CRITICAL, f"{vital.name} is stalled: {vital.says}", vital.remedy)
        for vital in view.vitals
        if vital.pace is Pace.STALLED
    ]
