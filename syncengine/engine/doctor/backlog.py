"""Is everything making progress, and what waits for a person?

Schedule, lanes, stuck records, crashed workers, dead letters, held records, write ceilings and alerts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.alerts import Sinks, book
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import ATTENTION, DEAD
from syncengine.engine.doctor.finding import Finding, Level, fail, misconfigured, ok, warn
from syncengine.engine.watch import health, watcher
from syncengine.engine.watch.health import Pace
from syncengine.engine.writes import ceiling
from syncengine.errors import Misconfigured
from syncengine.store.models import Alert, Ceiling, ConnectionRow, Event, Failure, Record, Run, Schedule
from syncengine.store.states import Lane, Status

MISSED_TICKS = 3
LEAST_LATE_S = 120.0
FREED_WITHIN_S = 60.0
"""The pump frees an expired lease within seconds; an older one shows that no pump runs."""

UNSENT_S = 300.0
LATELY = timedelta(hours=1)


def moving(engine: Engine, *, stalled_s: float) -> Iterator[Finding]:
    """The pump, the lanes and what is due in every flow, as `syncengine health` sees them. Raises Transient."""
    lanes = {lane.label for lane in Lane}
    for vital in health.vitals(engine, stalled_s=stalled_s):
        if vital.name not in (health.REDIS, health.CONNECTIONS):  # examined in full before
            part = f"lane {vital.name}" if vital.name in lanes else vital.name
            yield Finding(part, Level.FAIL if vital.pace is Pace.STALLED else Level.OK, vital.says, vital.remedy)


def schedule(engine: Engine) -> Finding:
    """Whether every flow is synced when it is due, and whether its last sync succeeded. Raises Transient."""
    now = clock.now()
    late, failed, count = [], [], 0
    with engine.store.read() as session:
        for connection in session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)):
            for name in connection.flows:
                flow = engine.flows.get(name)
                if flow is None or flow.every_s <= 0:
                    continue
                count += 1
                place = (connection.id, name)
                if _late_s(session, place, now) > max(LEAST_LATE_S, MISSED_TICKS * flow.every_s):
                    late.append(f"{name} of {connection.name}")
                elif error := _last_error(session, place):
                    failed.append(f"{name} of {connection.name}: {error}")
    if late:
        remedy = "Check that beat is running, and read its log. A flow also waits while its endpoint is down or paused (above)"
        return fail("schedule", f"overdue: {', '.join(late)}", remedy)
    if failed:
        return warn(
            "schedule",
            f"the last sync failed: {'; '.join(failed)}",
            "No action needed yet: it is tried again when it is next due",
        )
    return ok("schedule", f"all {count} flows are on schedule" if count else "no flow has a schedule")


def _late_s(session: Session, place: tuple[int, str], now: datetime) -> float:
    due = session.scalar(select(Schedule.next_due).where(Schedule.connection_id == place[0], Schedule.flow == place[1]))
    return (now - due).total_seconds() if due else 0.0


def _last_error(session: Session, place: tuple[int, str]) -> str:
    latest = select(Run.error).where(Run.connection_id == place[0], Run.flow == place[1], Run.finished_at.is_not(None))
    return session.scalar(latest.order_by(Run.started_at.desc()).limit(1)) or ""


def stuck(engine: Engine) -> Finding:
    """Records with an expired lease that the pump has not freed. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        count, oldest = session.execute(
            select(func.count(), func.min(Record.lease_until)).where(
                Record.token.is_not(None), Record.lease_until < now - timedelta(seconds=FREED_WITHIN_S)
            )
        ).one()
    if oldest is None:
        return ok("leases", "no expired lease")
    says = f"{count:,} with an expired lease, the oldest {clock.spell((now - oldest).total_seconds())} ago"
    return fail(
        "leases", says, "The pump frees them: see `pump` above. To run it now: `celery -A syncengine call engine.pump`"
    )


def crashes(engine: Engine) -> Finding:
    """Steps that crashed and messages that were lost within the last hour. Raises Transient."""
    since = clock.now() - LATELY
    with engine.store.read() as session:
        rows = session.execute(
            select(Event.what, func.count())
            .where(Event.at > since, Event.what.in_(health.IN_VAIN))
            .group_by(Event.what)
        )
        counts = {row[0]: row[1] for row in rows}
        suspects = session.scalars(select(Record.key).where(Record.crashes > 0).order_by(Record.id).limit(3)).all()
    if not counts:
        return ok("workers", "no crash in the last hour")
    says = "in the last hour: " + ", ".join(f"{what} for {count} records" for what, count in sorted(counts.items()))
    if suspects:
        return warn(
            "workers",
            f"{says}; suspected: {', '.join(suspects)}",
            f"Run `syncengine trace {suspects[0]}`, and read the workers' logs",
        )
    return warn(
        "workers", says, "Read the workers' logs: were workers killed (out of memory) or stopped, or was Redis emptied?"
    )


def people(engine: Engine) -> Iterator[Finding]:
    """What waits for a person: letters, held records and closed write ceilings. Raises Transient."""
    open_letters = select(Failure.kind, func.count()).where(Failure.closed_at.is_(None)).group_by(Failure.kind)
    closed = (
        select(ConnectionRow.name, Ceiling.flow, Ceiling.stops_all)
        .join(ConnectionRow, ConnectionRow.id == Ceiling.connection_id)
        .where(Ceiling.shut_at.is_not(None))
    )
    with engine.store.read() as session:
        kinds = {row[0]: row[1] for row in session.execute(open_letters)}
        held = session.scalar(select(func.count()).select_from(Record).where(Record.status == Status.HELD)) or 0
        ceilings = session.execute(closed).all()
    yield from _letters(kinds.get(DEAD, 0), kinds.get(ATTENTION, 0))
    if held:
        remedy = "Run `syncengine held list`: it shows what to do about each"
        yield warn("held records", f"{held:,} are held for a person", remedy)
    else:
        yield ok("held records", "none")
    for connection, flow, stops_all in ceilings:
        says = f"{flow} of {connection} is closed and writes nothing"
        says += ", since too many levels would become 0" if stops_all else ""
        yield fail("write ceiling", says, ceiling.remedy(connection, flow, stops_all=stops_all))


def _letters(dead: int, attention: int) -> Iterator[Finding]:
    if dead:
        remedy = "Run `syncengine deadletters list`: it groups them by cause, with remedies"
        yield warn("dead letters", f"{dead:,} open", remedy)
    else:
        yield ok("dead letters", "none")
    if attention:
        remedy = "Run `syncengine deadletters list --kind attention`"
        yield warn("to review", f"{attention:,} were written and need to be reviewed", remedy)


def watching(engine: Engine, *, every_s: float) -> Finding:
    """Whether the alert rules are evaluated on time. every_s: seconds between two runs. Raises Transient."""
    now, last = clock.now(), watcher.last(engine)
    ago = f"{clock.spell((now - last).total_seconds())} ago" if last else "never"
    if last is None or now - last > timedelta(seconds=max(LEAST_LATE_S, MISSED_TICKS * every_s)):
        return fail(
            "watch",
            f"alert rules are not being evaluated; last run: {ago}",
            "Check that beat and the workers are running",
        )
    return ok("watch", f"alert rules last evaluated {ago}")


def alerts(engine: Engine, sinks: Sinks) -> Iterator[Finding]:
    """Whether alerts can be sent, and which are active. Raises Transient."""
    with engine.store.read() as session:
        found = book.open_alerts(session)
    yield _sinks(sinks, found, clock.now())
    for alert in found:
        says = f"{alert.text} (since {alert.opened_at:%Y-%m-%d %H:%M} UTC)"
        yield warn(f"alert: {alert.rule}", says, alert.remedy)


def _sinks(sinks: Sinks, found: Sequence[Alert], now: datetime) -> Finding:
    if not len(sinks):
        return warn(
            "alert sinks",
            "none is configured, so no alert is sent",
            "Set SYNCENGINE_ALERT_URLS, then run `syncengine alerts test`",
        )
    try:
        names = [sink.name for sink in sinks.all()]
    except Misconfigured as error:
        return misconfigured("alert sinks", error)
    unsent = [
        alert for alert in found if alert.notified_at is None and now - alert.opened_at > timedelta(seconds=UNSENT_S)
    ]
    if unsent:
        says = f"{len(unsent)} alerts could not be sent to all of {', '.join(names)}"
        return fail(
            "alert sinks", says, "Run `syncengine alerts test` to see which sink fails; the worker's log says why"
        )
    return ok("alert sinks", f"{', '.join(names)}; `syncengine alerts test` sends a test alert")
