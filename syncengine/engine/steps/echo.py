"""In a two-way flow the other side's feed may tell of an object while the create that makes it is not settled yet.

Such an object has no link so far, and would be created on its own side once more. It is looked at again when the create is
settled: then it is linked, and its record has become one with that of the pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from syncengine.engine.core import records
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.core.lease import Lease
from syncengine.engine.decide import adoption
from syncengine.engine.steps.planner import Material
from syncengine.engine.writes import links, unknown_writes
from syncengine.engine.writes.effects import UnknownWrite
from syncengine.flows.flow import Flow
from syncengine.store.models import Effect, Record
from syncengine.store.states import Pause, Stage


def pending_creates(
    flow: Flow, connection: Connection, material: Material, found: Sequence[Record], creating: Sequence[UnknownWrite]
) -> dict[int, Effect]:
    """The create that may be making the object of a record, by record id. `creating`: read before the links were."""
    early: dict[int, Effect] = {}
    for record in found if creating else ():
        ends = links.ends_of(flow, connection, record.key)
        resource = connection.resource(flow.source if connection.side(flow.source) == ends.side else flow.target)
        doc = material.docs.get(record.id, {}).get(resource.name, {}).get(ends.on(ends.side) or "")
        if doc is None or material.linked[record.id]:
            continue
        [one] = unknown_writes.candidates(resource, [doc])
        for doubt in creating:
            if doubt.effect.record_id == record.id or doubt.effect.resource != resource.name:
                continue
            if adoption.may_be_of(resource, doubt.doc, one, sent_at=doubt.effect.sent_at):
                early[record.id] = doubt.effect
    return early


def put_off(session: Session, engine: Engine, lease: Lease, early: Mapping[int, Effect], now: datetime) -> None:
    """Look at these again, from a new fetch: soon, and less often if it takes long (a person may have to settle it)."""
    for record in lease.records:
        if record.id in early:
            wait = timedelta(seconds=backoff(record.attempts, most_s=engine.limits.backoff_s))
            why = f"it may be what the create of {early[record.id].natural_key} is making at this moment"
            records.put_off(
                session, lease, [record.id], now + wait, pause=Pause.BACKOFF, stage=Stage.FETCH, counts=True, reason=why
            )  # fmt: skip
