"""Rules about endpoints: down, credentials rejected, clock wrong."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from syncengine import clock
from syncengine.alerts import Severity, Sign
from syncengine.engine.watch.rule import View
from syncengine.store.models import ConnectionRow, Endpoint, Event, Record

FLAPS_WITHIN = timedelta(hours=1)
MOST_FETCHES = 200
"""How many of the latest fetches clocks are read from."""


def breaker_open(view: View) -> list[Sign] | None:
    """A breaker is open."""
    if view.breakers is None:
        return None
    signs = []
    for name, state in view.breakers.items():
        if state.is_open:
            times = _times_down(view, name)
            often = f" ({times} times within the last hour)" if times > 2 else ""
            text = f"{name} is down{often}: {state.why}"
            remedy = (
                f"Check that {name} is running and reachable from this host. Nothing is lost: its records continue "
                f"automatically once it is back. For planned downtime run `syncengine endpoints pause {name}`"
            )
            signs.append(Sign("breaker", name, Severity.CRITICAL, text, remedy))
    return signs


def _times_down(view: View, name: str) -> int:
    down = select(func.count()).where(Event.key == name, Event.what == "down", Event.at > view.now - FLAPS_WITHIN)
    return view.session.scalar(down.where(Event.record_id.is_(None))) or 0


def credentials_rejected(view: View) -> list[Sign]:
    """An endpoint rests by itself: its credentials were refused."""
    resting = view.session.scalars(
        select(Endpoint).where(Endpoint.paused_until > view.now, Endpoint.is_paused_by_person.is_(False))
    )
    return [
        Sign(
            "authentication",
            endpoint.name,
            Severity.CRITICAL,
            f"{endpoint.name} rejects our credentials: {endpoint.paused_because}",
            "Correct them in syncengine.yml or .env, run `syncengine configure`, which resumes it, and `syncengine check`. If "
            f"they are right, run `syncengine endpoints resume {endpoint.name}`",
        )
        for endpoint in resting
    ]


def clock_differs(view: View) -> list[Sign]:
    """A source's clock, as its answers show it, differs from this host's: feeds are read by it, leases by ours."""
    fetched = select(Event.record_id).where(Event.at >= view.window_start, Event.what.in_(("fetched", "unchanged")))
    latest = fetched.order_by(Event.at.desc()).limit(MOST_FETCHES)
    rows = view.session.execute(
        select(ConnectionRow.name, Record.flow, Record.source_time, Record.fetched_at)
        .join(ConnectionRow, ConnectionRow.id == Record.connection_id)
        .where(Record.id.in_(latest))
        .order_by(Record.fetched_at)
    )
    skews = {  # the latest of each source
        (name, view.engine.flows[flow].source.partition(".")[0]): (source_time - fetched_at).total_seconds()
        for name, flow, source_time, fetched_at in rows
        if flow in view.engine.flows and source_time is not None and fetched_at is not None
    }
    return [
        Sign(
            "clock",
            f"{name}: {system}",
            Severity.WARNING,
            f"the clock of {system} in {name} is {clock.spell(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this host's",
            "Run NTP on every host; `syncengine doctor` compares all clocks",
        )
        for (name, system), skew in skews.items()
        if abs(skew) > view.thresholds.clock_s
    ]
