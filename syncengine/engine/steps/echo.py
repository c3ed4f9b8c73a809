"""Echoes: in a two-way flow the other side's feed may report an object before the outcome of its create is known.

Such an object has no link yet, and would be created on its own side a second time. It is put off until the outcome is
known: then it is linked, and its record has been merged with that of the pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from syncengine.engine.core import records
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Engine, Route
from syncengine.engine.core.lease import Lease
from syncengine.engine.decide import adoption
from syncengine.engine.steps.planner import Material
from syncengine.engine.writes import unknown_writes
from syncengine.engine.writes.unsettled import UnknownWrite
from syncengine.store.models import Effect, Record
from syncengine.store.states import Pause, Stage


def has_echo(route: Route) -> bool:
    """Whether this flow's feed reports objects that the engine creates: it is two-way, or another flow goes the other way."""
    others = (route.engine.flows.get(name) for name in route.connection.row.flows)
    return route.flow.two_way or any(
        other is not None and other.entity == route.flow.entity and other.target == route.flow.source
        for other in others
    )


def pending_creates(
    route: Route, material: Material, found: Sequence[Record], creating: Sequence[UnknownWrite]
) -> dict[int, Effect]:
    """The create that may have made the object of a record, by record id; other records are absent.

    creating: creates whose outcome is unknown; they must have been read before the links.
    """
    early: dict[int, Effect] = {}
    for record in found if creating else ():
        ends = route.keys.ends(record.key)
        resource = route.connection.resource(route.flow.source if route.source_side == ends.side else route.flow.target)
        doc = material.docs.get(record.id, {}).get(resource.name, {}).get(ends.on(ends.side) or "")
        if doc is None or material.linked[record.id]:
            continue
        [candidate] = unknown_writes.candidates(resource, [doc])
        for create in creating:
            if create.effect.record_id == record.id or create.effect.resource != resource.name:
                continue
            if adoption.may_be_of(resource, create.doc, candidate, sent_at=create.effect.sent_at):
                early[record.id] = create.effect
    return early


def put_off(session: Session, engine: Engine, lease: Lease, early: Mapping[int, Effect], now: datetime) -> None:
    """Put off the records in `early`, to be fetched again: soon at first, then less often, as a person may have to decide."""
    for record in lease.records:
        if record.id in early:
            wait = timedelta(seconds=backoff(record.attempts, most_s=engine.limits.backoff_s))
            why = f"the create of {early[record.id].natural_key} may have just made this object"
            records.put_off(
                session, lease, [record.id], now + wait, pause=Pause.BACKOFF, stage=Stage.FETCH, counts=True, reason=why
            )  # fmt: skip
