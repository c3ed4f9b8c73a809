"""Webhooks: are there as many subscriptions as flows need, and are they heard?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import select

from syncengine.engine.core.engine import Engine
from syncengine.engine.doctor.finding import Finding, ok, warn
from syncengine.engine.upkeep import subscriptions
from syncengine.errors import DatabaseAway, Misconfigured, SyncError
from syncengine.store.models import Hook, Schedule

SYNC = "Run `syncengine webhooks sync {}`"


def examine(engine: Engine, web_url: str, answered: Collection[str]) -> Iterator[Finding]:
    """The subscriptions of each connection that has set webhooks up. answered: names of endpoints that can be called.

    Raises Transient.
    """
    try:
        places = list(subscriptions.places(engine))
    except Misconfigured:  # `systems.configuration` says so
        return
    for place in places:
        part, row_id = f"webhooks {place.name}", place.connection.row.id
        with engine.store.read() as session:
            is_set_up = session.get(Hook, (row_id, place.side)) is not None
            heard = session.scalars(select(Schedule.heard_at).where(Schedule.connection_id == row_id)).all()
        if not is_set_up:
            if place.events:
                yield ok(part, f"not set up; feeds alone are read for {', '.join(place.events)} (docs/webhooks.md)")
            continue
        if place.connection.endpoints[place.side].name not in answered:
            continue
        try:
            rows = subscriptions.listed(engine, place, web_url)
        except DatabaseAway:
            raise
        except SyncError as error:
            yield warn(part, f"they cannot be listed: {error.says}", SYNC.format(place.name))
            continue
        wrong = sorted({row.event for row in rows if row.is_ours and not row.is_current})
        latest = max((at for at in heard if at is not None), default=None)
        if wrong:
            yield warn(part, f"missing or outdated: {', '.join(wrong)}", SYNC.format(place.name))
        elif latest is None:
            says = "subscribed, but none has been heard yet"
            yield warn(part, says, f"Run `syncengine webhooks test {place.name}`")
        else:
            yield ok(part, f"{', '.join(place.events)}; last heard at {latest:%Y-%m-%d %H:%M:%S} UTC")
