"""How far a flow's feeds have been read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.engine.core.engine import Route
from syncengine.store.models import Cursor

OF_TARGET = "right:"
"""Before the name of a target's feed, in the names of cursors."""


def cursor_name(route: Route, resource: str, feed: str) -> str:
    """The name of the cursor of a feed."""
    return feed if resource == route.flow.source else f"{OF_TARGET}{feed}"


def positions(session: Session, route: Route) -> dict[str, dict[str, Any]]:
    """How far each feed of the flow was read, by the name of its cursor; empty of one that is at its beginning."""
    mine = (Cursor.connection_id == route.connection_id, Cursor.flow == route.flow.name)
    found = session.execute(select(Cursor.feed, Cursor.position).where(*mine))
    return {feed: dict(position) for feed, position in found}


def known_until(session: Session, route: Route) -> datetime | None:
    """The time (the target's clock) until which all of the target's feeds have been read; None if one never was."""
    names = [cursor_name(route, route.flow.target, feed) for feed in route.flow.backward_feeds]
    mine = (Cursor.connection_id == route.connection_id, Cursor.flow == route.flow.name, Cursor.feed.in_(names))
    read = dict(session.execute(select(Cursor.feed, Cursor.complete_at).where(*mine)).tuples().all())
    times = [read.get(name) for name in names]
    known = [time for time in times if time is not None]
    return min(known) - timedelta(seconds=route.target.search_lag_s) if known and len(known) == len(names) else None
