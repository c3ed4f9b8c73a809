"""Writes in doubt are found out before anything is planned: found and adopted, or not there and open again.

Runs at the start of fetch, never before the settle time is over, for all records of the batch in one search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from syncengine import clock
from syncengine.connectors.base import Resource, Safety, Verb
from syncengine.engine.core import records, timeline
from syncengine.engine.core.engine import Connection, Engine, calling, chunks
from syncengine.engine.core.lease import Lease
from syncengine.engine.decide import adoption, rebase
from syncengine.engine.decide.adoption import Candidate
from syncengine.engine.decide.plan import Step
from syncengine.engine.writes import effects, links
from syncengine.engine.writes.effects import UnknownWrite
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.store.models import Effect, Record
from syncengine.store.states import EffectState, Pause, Stage, Status, Why


def resolve(engine: Engine, lease: Lease, flow: Flow, connection: Connection) -> None:
    """Find out about every unknown write of the lease's records; those that need a person are held and leave the lease."""
    with engine.store.read() as session:
        doubts = effects.unknown_of(session, engine, [record.id for record in lease.records])
    doubts = _past_settle_time(engine, lease, doubts) if doubts else doubts
    by_id = {record.id: record for record in lease.records}
    for name in dict.fromkeys(doubt.effect.resource for doubt in doubts):
        resource = connection.resource(name)
        mine = [doubt for doubt in doubts if doubt.effect.resource == name]
        creates = [doubt for doubt in mine if doubt.effect.verb == Verb.CREATE and can_search(resource)]
        found = _search(connection, resource, creates)
        now = clock.now()
        for doubt in mine:
            record = by_id[doubt.effect.record_id]
            if resource.safety[Verb(doubt.effect.verb)] is Safety.ASK:
                _hold(engine, lease, record, _both_possibilities(doubt), now)
            elif doubt.effect.verb == Verb.CREATE:  # one that is harmless to repeat finds nothing and is open again
                _resolve_create(engine, lease, flow, connection, record, doubt, found, now)


def _past_settle_time(engine: Engine, lease: Lease, doubts: Sequence[UnknownWrite]) -> list[UnknownWrite]:
    """The doubts whose settle time is over. Records of the others are put off until it is, and leave the lease.

    What is still noted as sent was sent by somebody who could not note the outcome: the lease is ours.
    """
    now = clock.now()
    rest: dict[int, datetime] = {}
    for doubt in doubts:
        until, record_id = doubt.effect.settle_until, doubt.effect.record_id
        if until is not None and until > now:
            rest[record_id] = max(until, rest.get(record_id, now))
    with engine.store.write() as session:
        effects.lost_runner(session, [record.id for record in lease.records], now)
        for record_id, until in rest.items():
            records.put_off(session, lease, [record_id], until, pause=Pause.SETTLE, stage=Stage.FETCH)
    lease.records = [record for record in lease.records if record.id not in rest]
    return [doubt for doubt in doubts if doubt.effect.record_id not in rest]


def can_search(resource: Resource) -> bool:
    """Whether an object can be looked for by its reference."""
    return resource.safety[Verb.CREATE] in (Safety.SEARCH, Safety.ENFORCED)


def _both_possibilities(doubt: UnknownWrite) -> str:
    effect = doubt.effect
    return (
        f"nobody knows whether the {effect.verb} of {effect.natural_key or effect.target_key} at {effect.sent_at} took effect: "
        "look in the target, then say it by `syncengine held settle`"
    )


def _search(connection: Connection, resource: Resource, doubts: Sequence[UnknownWrite]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    keys = list(dict.fromkeys(doubt.effect.natural_key for doubt in doubts))
    for some in chunks(keys, resource.most_per_find):
        with calling(connection.endpoint(resource.name)):
            for natural, docs in resource.find(some).items():
                found[natural] = candidates(resource, docs)
    return found


def candidates(resource: Resource, docs: Sequence[Mapping[str, object]]) -> list[Candidate]:
    """Found documents, typed. One that is not valid in its own system is kept untyped, so that it is not overlooked."""
    made = []
    for doc in docs:
        raw = dict(doc)
        try:
            typed = resource.load(raw)
        except Rejected:
            typed = raw
        made.append(Candidate(resource.key_of(raw), raw, typed))
    return made


def _resolve_create(
    engine: Engine,
    lease: Lease,
    flow: Flow,
    connection: Connection,
    record: Record,
    doubt: UnknownWrite,
    found: Mapping[str, Sequence[Candidate]],
    now: datetime,
) -> None:
    resource = connection.resource(doubt.effect.resource)
    verdict = adoption.judge(
        resource,
        doubt.doc,
        found.get(doubt.effect.natural_key, ()),
        sent_at=doubt.effect.sent_at,
        verify=connection.verifies_creates(now),
    )
    if verdict.reason:
        _hold(engine, lease, record, verdict.reason, now)
    elif verdict.adopt is None and doubt.effect.accepted:
        _hold(engine, lease, record, f"the target has said that {doubt.name} is done, and it is not found there", now)
    elif verdict.adopt:
        agreed = links.Agreed(doubt.agreed, doubt.numbers)
        if connection.verifies_creates(now) and not flow.two_way:
            agreed = links.Agreed(dict(rebase.NOTHING), {})  # it may have been changed since, on either side
        _adopt(engine, lease, flow, connection, record, doubt, verdict.adopt.key, agreed, now)
    else:
        with engine.store.write() as session:
            if effects.resolve(session, doubt.effect.id, now, state=EffectState.INTENDED):
                timeline.note_one(session, record, "not found in the target", now, reference=doubt.effect.natural_key)


def _adopt(
    engine: Engine,
    lease: Lease,
    flow: Flow,
    connection: Connection,
    record: Record,
    doubt: UnknownWrite,
    key: str,
    agreed: links.Agreed,
    now: datetime,
) -> None:
    """The object was created by us: save the link. What has changed since is planned right after, from a fresh fetch."""
    left, right = pair_keys(flow, connection, record, doubt.effect, key)
    side = links.ends_of(flow, connection, record.key).side
    with engine.store.write() as session:
        problem = links.taken(session, record.connection_id, flow.entity, left, right, doubt.effect.part, side=side)
        if not problem and effects.resolve(session, doubt.effect.id, now, state=EffectState.DONE, target_key=key):
            links.join(
                session, engine, flow, record, left=left, right=right, part=doubt.effect.part,
                natural_key=doubt.effect.natural_key, agreed=agreed, now=now,
            )  # fmt: skip
            timeline.note_one(session, record, "adopted", now, key=key, reference=doubt.effect.natural_key)
    if problem:
        _hold(engine, lease, record, problem, now)


def pair_keys(
    flow: Flow, connection: Connection, record: Record, written: Step | Effect, key: str | None
) -> tuple[str, str | None]:
    """Left and right key of a link whose object `key` was created by a write; None if the target told no key."""
    ends = links.ends_of(flow, connection, record.key)
    if connection.side(written.resource) == "right":
        return ends.left or "", key
    return (links.untold(ends.right or "", written.part) if key is None else key), ends.right


def _hold(engine: Engine, lease: Lease, record: Record, reason: str, now: datetime) -> None:
    with engine.store.write() as session:
        records.complete(session, lease, {record.id: records.Completion(Status.HELD, reason, Why.UNKNOWN_WRITE)}, now)
        timeline.note_one(session, record, "held", now, reason=reason)
    lease.records = [other for other in lease.records if other.id != record.id]
