"""Notices changes that a feed shows and no webhook has reported: the feeds are then read at their usual interval again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Page
from syncengine.engine.core.engine import Route
from syncengine.engine.writes.link_keys import record_keys
from syncengine.store.dialect import upsert
from syncengine.store.models import Hook, Record, Schedule

ON_ITS_WAY = timedelta(seconds=30)
"""How long after a change its webhook may come."""

STAMPED_EARLIER = timedelta(seconds=5)
"""How much later than a change it may be said to have happened: the clocks of both are the same, their precision is not."""


def note(
    session: Session, route: Route, side: str, page: Page, news: Collection[str], *, since: datetime | None
) -> None:
    """Note whether a page of a feed has news that a webhook should have reported. Runs in the transaction that wants them.

    side: whose feed it is. news: record keys of what is new on the page. since: when the feed was read before (the source's
    clock), None if never. A change that is older was there before, and one of the last seconds may still be reported.
    """
    schedule = session.get(Schedule, (route.connection_id, route.flow.name))
    if since is None or not news or schedule is None or schedule.heard_at is None:
        return
    judged = {
        ref.key: ref.at
        for ref in page.refs
        if ref.at is not None and since - ON_ITS_WAY <= ref.at < page.source_time - ON_ITS_WAY
    }
    changed_at = {
        record: judged[key]
        for key, records in record_keys(session, route, side, list(judged)).items()
        for record in records
        if record in news
    }
    rows = session.execute(
        select(Record.key, Record.hinted_at).where(
            Record.connection_id == route.connection_id,
            Record.flow == route.flow.name,
            Record.key.in_(list(changed_at)),
        )
    )
    if any(hinted_at is None or hinted_at < changed_at[key] - STAMPED_EARLIER for key, hinted_at in rows):
        _missed(session, route)


def _missed(session: Session, route: Route) -> None:
    now = clock.now()
    usual = now + timedelta(seconds=route.flow.every_s)
    mine = (Schedule.connection_id == route.connection_id, Schedule.flow == route.flow.name)
    session.execute(update(Schedule).where(*mine).values(missed_at=now))
    session.execute(update(Schedule).where(*mine, Schedule.next_due > usual).values(next_due=usual))
    rows = [
        {"connection_id": route.connection_id, "side": side, "ids": [], "check_due": True}
        for side in sorted({route.connection.side(name) for name in route.flow.listens})
    ]
    upsert(session, Hook, rows, keys=("connection_id", "side"), update=("check_due",))
