"""Since when: what the timeline tells of a record's present attempt, which its own row does not keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from syncengine.engine.watch.rule import View
from syncengine.store.models import Event, Record
from syncengine.store.states import Status

MOST_RECORDS = 200
"""How many records of a flow, those created first, are asked for since when they have been in their state."""

ENDS = (*Status, "written", "unchanged", "observed")
"""Events by which a record comes to rest; a record that is retried in a loop has none of them in between."""


def attempt_began(view: View, record_ids: Sequence[int]) -> dict[int, datetime]:
    """When the present attempt of these records began (UTC), by id: their first event after they last came to rest.

    Records that never came to rest are absent. Where retention has removed that part of the timeline, it is the first
    event that is left.
    """
    earlier = aliased(Event)
    rested = (
        select(func.max(earlier.id)).where(earlier.record_id == Record.id, earlier.what.in_(ENDS)).scalar_subquery()
    )
    since = select(Record.id, func.min(Event.at)).join(Event, Event.record_id == Record.id)
    since = since.where(Record.id.in_(record_ids), Record.done > 0, Event.id > func.coalesce(rested, 0))
    return dict(view.session.execute(since.group_by(Record.id)).tuples().all())
