"""The watcher: checks every rule against the present, writes the signs into the book of alerts, and notifies people.

Beat runs it every few seconds, and a breaker that opens or closes runs it at once. One process at a time watches. A rule
that cannot be checked now (Redis is away) ends no alert.
"""

from __future__ import annotations

import socket
from datetime import datetime

import redis
from sqlalchemy import select

from syncengine import clock
from syncengine.alerts import Sign, Sinks, book, in_use, notifier
from syncengine.alerts.without_store import StoreAway
from syncengine.engine.core.engine import Engine
from syncengine.engine.traffic import endpoints
from syncengine.engine.watch import health
from syncengine.engine.watch.rule import Thresholds, View
from syncengine.engine.watch.rules import RULES
from syncengine.errors import Transient
from syncengine.http.breaker_state import BreakerState
from syncengine.store.lock import Lock
from syncengine.store.models import Endpoint

PULSE = "watch"
LEASE_S = 120.0
"""How long a watcher may wait for slow sinks before another one takes over; some sinks are then notified twice."""


class Watcher:
    """Finds signs, writes them into the book of alerts, and notifies people."""

    def __init__(
        self, engine: Engine, sinks: Sinks, thresholds: Thresholds | None = None, *, client: redis.Redis | None = None
    ) -> None:
        """`client`: keeps which sink has taken what, until all have; None where nothing else keeps it (tests)."""
        self.engine = engine
        self.sinks = sinks
        self.thresholds = thresholds or Thresholds()
        self._client = client
        self._store_away = StoreAway(sinks, client)
        self._since = clock.monotonic()

    def follow(self, sinks: Sinks, thresholds: Thresholds) -> None:
        """Use other sinks and thresholds from the next run on, if they have changed."""
        self.thresholds = thresholds
        if sinks.fingerprints() != self.sinks.fingerprints():
            self.sinks = sinks
            self._store_away = StoreAway(sinks, self._client)

    def watch(self, *, unless_within_s: float = 0.0) -> str:
        """Check all rules once; returns a line for people.

        Does nothing if another process watches now, or has watched within the last `unless_within_s` seconds. Raises
        Transient if the store is away; people have been notified then.
        """
        try:
            summary = self._watch(unless_within_s)
        except Transient as error:
            self._store_away.is_away(str(error), repeat_s=self.thresholds.repeat_s, now=clock.now())
            raise
        self._store_away.is_there()
        return summary

    def _watch(self, unless_within_s: float) -> str:
        with Lock(self.engine.store, PULSE, LEASE_S).tried() as is_ours:
            now = clock.now()
            if not is_ours or health.was_within(self.engine, PULSE, unless_within_s):
                return "another watcher is running"
            signs, calm_s = evaluate(self.engine, self.thresholds, now, up_s=clock.monotonic() - self._since)
            with self.engine.store.write() as session:
                book.write(session, signs, calm_s, now)
                health.note(session, PULSE, now)
            notified = notifier.notify(
                self.engine.store, self.sinks, self._client, repeat_s=self.thresholds.repeat_s, now=now
            )
        if self._client is not None:
            in_use.note(self._client, socket.gethostname(), self.sinks, now)
        return f"{len(signs)} signs, {notified} of {len(self.sinks)} sinks notified"


def last(engine: Engine) -> datetime | None:
    """When a watcher last ran (UTC); None if never. Raises Transient."""
    return health.last(engine, PULSE)


def evaluate(
    engine: Engine, thresholds: Thresholds, now: datetime, *, up_s: float
) -> tuple[list[Sign], dict[str, float]]:
    """All signs of this moment, and the rules that could be checked with their calm times (seconds). Raises Transient.

    up_s: how long this process has watched. In an installation that has just been started nothing has moved yet.
    """
    breakers = _breakers(engine)
    can_judge = breakers is not None and up_s > thresholds.stalled_s
    vitals = health.vitals(engine, stalled_s=thresholds.stalled_s) if can_judge else None
    resting = endpoints.at_rest(engine)
    signs: list[Sign] = []
    calm_s: dict[str, float] = {}
    with engine.store.read() as session:
        open_alerts = frozenset((alert.rule, alert.subject) for alert in book.open_alerts(session))
        view = View(engine, session, now, thresholds, breakers, vitals, resting, open_alerts)
        for rule in RULES:
            found = rule.find(view)
            if found is not None:
                signs += found
                calm_s[rule.name] = rule.calm_s
    return signs, calm_s


def _breakers(engine: Engine) -> dict[str, BreakerState] | None:
    """All breakers; None if Redis does not answer, so that no alert of an endpoint ends by mistake."""
    if engine.breakers is None:
        return None
    with engine.store.read() as session:
        names = session.scalars(select(Endpoint.name)).all()
    states = {name: engine.breakers.state(name) for name in names}
    known = {name: state for name, state in states.items() if state is not None}
    return known if len(known) == len(states) else None
