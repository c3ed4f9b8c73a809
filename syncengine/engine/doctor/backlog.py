"""Does all move, and what waits for a person: schedule, lanes, stuck records, dead workers, dead letters, ceilings, alerts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.alerts import Sinks, book
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import ATTENTION, DEAD
from syncengine.engine.doctor.finding import Finding, Level, fail, long, misconfigured, ok, warn
from syncengine.engine.watch import health, watcher
from syncengine.engine.watch.health import Pace
from syncengine.engine.writes import ceiling
from syncengine.errors import Misconfigured
from syncengine.store.models import Alert, Ceiling, ConnectionRow, Event, Failure, Record, Run, Schedule
from syncengine.store.states import Status

MISSED_TICKS = 3
LEAST_LATE_S = 120.0
FREED_WITHIN_S = 60.0
"""The pump frees a lease that ran out within seconds; one that is older was left by everybody."""

UNTOLD_S = 300.0
LATELY = timedelta(hours=1)


def moving(engine: Engine, *, stalled_s: float) -> Iterator[Finding]:
    """The pump, the lanes and what is due in every flow, as `syncengine health` sees them. Raises Transient."""
    for vital in health.vitals(engine, stalled_s=stalled_s):
        if vital.name != health.REDIS:  # looked at in full before
            part = vital.name if ":" in vital.name or vital.name == health.PUMP else f"lane {vital.name}"
            yield Finding(part, Level.FAIL if vital.pace is Pace.STALLED else Level.OK, vital.says, vital.remedy)


def schedule(engine: Engine) -> Finding:
    """Whether beat has every flow synced when it is due, and how that ended last. Raises Transient."""
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
        remedy = "Does beat run? Look at its log. An endpoint at rest keeps its turn, and that stands above"
        return fail("schedule", f"no sync when it was due: {', '.join(late)}", remedy)
    if failed:
        return warn("schedule", f"the last sync failed: {'; '.join(failed)}", "It is tried again at its next turn")
    return ok("schedule", f"{count} flows are synced when they are due" if count else "no flow has a schedule")


def _late_s(session: Session, place: tuple[int, str], now: datetime) -> float:
    due = session.scalar(select(Schedule.next_due).where(Schedule.connection_id == place[0], Schedule.flow == place[1]))
    return (now - due).total_seconds() if due else 0.0


def _last_error(session: Session, place: tuple[int, str]) -> str:
    latest = select(Run.error).where(Run.connection_id == place[0], Run.flow == place[1], Run.finished_at.is_not(None))
    return session.scalar(latest.order_by(Run.started_at.desc()).limit(1)) or ""


def stuck(engine: Engine) -> Finding:
    """Records whose lease ran out and which nobody has freed. Raises Transient."""
    now = clock.now()
    with engine.store.read() as session:
        count, oldest = session.execute(
            select(func.count(), func.min(Record.lease_until)).where(
                Record.token.is_not(None), Record.lease_until < now - timedelta(seconds=FREED_WITHIN_S)
            )
        ).one()
    if oldest is None:
        return ok("leases", "none is left behind")
    says = f"{count:,} records bear a lease that ran out {long((now - oldest).total_seconds())} ago"
    return fail(
        "leases", says, "The pump frees them: see `pump` above. `celery -A syncengine call engine.pump` runs it now"
    )


def crashes(engine: Engine) -> Finding:
    """Steps that died and messages that were lost within the last hour. Raises Transient."""
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
        return ok("workers", "none has died at work within the hour")
    says = "within the hour: " + ", ".join(f"{what} for {count} records" for what, count in sorted(counts.items()))
    if suspects:
        return warn(
            "workers", f"{says}; suspected: {', '.join(suspects)}", f"`syncengine trace {suspects[0]}`, and the log"
        )
    return warn("workers", says, "Look at the workers' logs: were they killed (memory), stopped, or was Redis emptied?")


def people(engine: Engine) -> Iterator[Finding]:
    """What waits for a person. Raises Transient."""
    with engine.store.read() as session:
        kinds = {
            row[0]: row[1]
            for row in session.execute(
                select(Failure.kind, func.count()).where(Failure.closed_at.is_(None)).group_by(Failure.kind)
            )
        }
        held = session.scalar(select(func.count()).select_from(Record).where(Record.status == Status.HELD)) or 0
        shut = session.execute(
            select(ConnectionRow.name, Ceiling.flow)
            .join(ConnectionRow, ConnectionRow.id == Ceiling.connection_id)
            .where(Ceiling.shut_at.is_not(None))
        ).all()
    dead, attention = kinds.get(DEAD, 0), kinds.get(ATTENTION, 0)
    yield (
        warn("dead letters", f"{dead:,} open", "`syncengine deadletters list` shows them by cause, with what to do")
        if dead
        else ok("dead letters", "none")
    )
    if attention:
        yield warn(
            "to look at",
            f"{attention:,} were written and need a look",
            "`syncengine deadletters list --kind attention`",
        )
    yield (
        warn("held records", f"{held:,} are held for a person", "`syncengine held list` shows them, with what to do")
        if held
        else ok("held records", "none")
    )
    for connection, flow in shut:
        says = f"{flow} of {connection} is shut: it writes no more"
        yield fail("write ceiling", says, ceiling.remedy(connection, flow))


def watching(engine: Engine, *, every_s: float) -> Finding:
    """Whether somebody looks for what people must be told. Raises Transient."""
    now, last = clock.now(), watcher.last(engine)
    ago = f"{long((now - last).total_seconds())} ago" if last else "never yet"
    if last is None or now - last > timedelta(seconds=max(LEAST_LATE_S, MISSED_TICKS * every_s)):
        return fail("watch", f"nobody looks for what people must be told; last: {ago}", "Do beat and the workers run?")
    return ok("watch", f"looked {ago}")


def alerts(engine: Engine, sinks: Sinks) -> Iterator[Finding]:
    """Whether people can be told, and what they are told now. Raises Transient."""
    with engine.store.read() as session:
        found = book.open_alerts(session)
    yield _sinks(sinks, found, clock.now())
    for alert in found:
        says = f"{alert.text} (since {alert.opened_at:%Y-%m-%d %H:%M} UTC)"
        yield warn(f"alert: {alert.rule}", says, alert.remedy)


def _sinks(sinks: Sinks, found: Sequence[Alert], now: datetime) -> Finding:
    if not len(sinks):
        return warn(
            "alert sinks", "there is none: nobody is told", "Set SYNCENGINE_ALERT_URLS, then `syncengine alerts test`"
        )
    try:
        names = [sink.name for sink in sinks.all()]
    except Misconfigured as error:
        return misconfigured("alert sinks", error)
    untold = [one for one in found if one.notified_at is None and now - one.opened_at > timedelta(seconds=UNTOLD_S)]
    if untold:
        says = f"{len(untold)} alerts were not taken by all of {', '.join(names)}"
        return fail("alert sinks", says, "`syncengine alerts test` says which sink refuses; the worker's log says why")
    return ok("alert sinks", f"{', '.join(names)}; `syncengine alerts test` tries them")
