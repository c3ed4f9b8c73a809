"""Find out about unknown writes before anything is planned: adopt what exists, and open again what does not.

This runs at the start of fetch, after the settle time, with one search for all records of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from syncengine import clock
from syncengine.connectors.base import Resource, Safety, SentWrite, Verb
from syncengine.engine.core import records, timeline
from syncengine.engine.core.engine import Connection, Engine, Route, calling, chunks
from syncengine.engine.core.lease import Lease
from syncengine.engine.decide import adoption, plan_codec, rebase
from syncengine.engine.decide.adoption import Candidate
from syncengine.engine.decide.plan import Step
from syncengine.engine.writes import link_keys, links, unsettled
from syncengine.engine.writes.unsettled import UnknownWrite
from syncengine.errors import Rejected
from syncengine.store.models import Effect, Record
from syncengine.store.states import EffectState, Pause, Stage, Status, Why

MOST_CONTRADICTIONS = 4
"""How often the target is asked again about a write of a level while what it shows is contradictory."""


def resolve(route: Route, lease: Lease) -> None:
    """Find out about every unknown write of the lease's records; those that need a person are held and leave the lease."""
    with route.engine.store.read() as session:
        unknown = unsettled.unknown_of(session, route.engine, [record.id for record in lease.records])
    unknown = _past_settle_time(route.engine, lease, unknown) if unknown else unknown
    by_id = {record.id: record for record in lease.records}
    for name in dict.fromkeys(write.effect.resource for write in unknown):
        resource = route.connection.resource(name)
        mine = [write for write in unknown if write.effect.resource == name]
        creates = [write for write in mine if write.effect.verb == Verb.CREATE and can_search(resource)]
        found = _search(route.connection, resource, creates)
        _resolve_levels(route, lease, resource, [write for write in mine if write.step], by_id)
        now = clock.now()
        for write in mine:
            record = by_id[write.effect.record_id]
            if resource.safety[Verb(write.effect.verb)] is Safety.ASK:
                _hold(route.engine, lease, record, _ask_person(write), now)
            elif write.effect.verb == Verb.CREATE:  # without a search if it is harmless to repeat
                _resolve_create(route, lease, record, write, found, now)


def _resolve_levels(
    route: Route, lease: Lease, resource: Resource, unknown: Sequence[UnknownWrite], by_id: Mapping[int, Record]
) -> None:
    """Find out by what the target shows whether changes of levels took effect; none is sent again before that is known.

    What the target shows may be contradictory for a while, since its searches are late. Then a person decides.
    """
    sent = [
        SentWrite(
            replace(plan_codec.step_from_doc(write.step).operation, token=write.effect.token), write.effect.sent_at
        )
        for write in unknown
        if write.effect.sent_at is not None
    ]
    if not sent:
        return
    with calling(route.connection.endpoint(resource.name)):
        found = resource.took_effect(sent)
    now = clock.now()
    for write in unknown:
        record, took = by_id[write.effect.record_id], found.get(write.effect.token)
        if took is None:
            _ask_later(route, lease, record, write, resource, now)
            continue
        with route.engine.store.write() as session:
            state = EffectState.DONE if took else EffectState.INTENDED
            if unsettled.resolve(session, write.effect.id, now, state=state):
                what = "found in the target" if took else "not found in the target"
                timeline.note_one(session, record, what, now, write=write.name)


def _ask_later(
    route: Route, lease: Lease, record: Record, write: UnknownWrite, resource: Resource, now: datetime
) -> None:
    if record not in lease.records:
        return
    if record.attempts >= MOST_CONTRADICTIONS:
        reason = (
            f"the level and the movements of the target contradict each other about {write.name}: {_ask_person(write)}"
        )
        _hold(route.engine, lease, record, reason, now)
        return
    until = now + timedelta(seconds=max(resource.search_lag_s, 1.0))
    with route.engine.store.write() as session:
        records.put_off(
            session, lease, [record.id], until, pause=Pause.SETTLE, stage=Stage.FETCH, counts=True,
            reason="the target's searches do not show yet what became of a write",
        )  # fmt: skip
    lease.records = [other for other in lease.records if other.id != record.id]


def _past_settle_time(engine: Engine, lease: Lease, unknown: Sequence[UnknownWrite]) -> list[UnknownWrite]:
    """The unknown writes whose settle time is over. The records of the others leave the lease.

    The lease is ours, so what is still marked as sent was sent by a runner that could not record its outcome.
    """
    now = clock.now()
    rest: dict[int, datetime] = {}
    for write in unknown:
        until, record_id = write.effect.settle_until, write.effect.record_id
        if until is not None and until > now:
            rest[record_id] = max(until, rest.get(record_id, now))
    with engine.store.write() as session:
        unsettled.lost_runner(session, [record.id for record in lease.records], now)
        for record_id, until in rest.items():
            records.put_off(session, lease, [record_id], until, pause=Pause.SETTLE, stage=Stage.FETCH)
    lease.records = [record for record in lease.records if record.id not in rest]
    return [write for write in unknown if write.effect.record_id not in rest]


def can_search(resource: Resource) -> bool:
    """Whether an object can be found by its reference."""
    return resource.safety[Verb.CREATE] in (Safety.SEARCH, Safety.ENFORCED)


def _ask_person(write: UnknownWrite) -> str:
    effect = write.effect
    return (
        f"nobody knows whether the {effect.verb} of {effect.natural_key or effect.target_key} at {effect.sent_at} took effect: "
        "check the target, then record the outcome with `syncengine held settle`"
    )


def _search(connection: Connection, resource: Resource, unknown: Sequence[UnknownWrite]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    keys = list(dict.fromkeys(write.effect.natural_key for write in unknown))
    for some in chunks(keys, resource.most_per_find):
        with calling(connection.endpoint(resource.name)):
            for natural, docs in resource.find(some).items():
                found[natural] = candidates(resource, docs)
    return found


def candidates(resource: Resource, docs: Sequence[Mapping[str, object]]) -> list[Candidate]:
    """Found documents, typed. One that is invalid in its own system is kept untyped, so that it is not overlooked."""
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
    route: Route,
    lease: Lease,
    record: Record,
    write: UnknownWrite,
    found: Mapping[str, Sequence[Candidate]],
    now: datetime,
) -> None:
    resource = route.connection.resource(write.effect.resource)
    verdict = adoption.judge(
        resource,
        write.doc,
        found.get(write.effect.natural_key, ()),
        sent_at=write.effect.sent_at,
        verify=route.connection.verifies_creates(now),
    )
    if verdict.reason:
        _hold(route.engine, lease, record, verdict.reason, now)
    elif verdict.adopt is None and write.effect.accepted:
        _hold(route.engine, lease, record, f"the target has confirmed {write.name}, but it cannot be found there", now)
    elif verdict.adopt:
        agreed = links.Agreed(write.agreed, write.numbers)
        if route.connection.verifies_creates(now) and not route.flow.two_way:
            agreed = links.Agreed(dict(rebase.NOTHING), {})  # either side may have changed it since
        _adopt(route, lease, record, write, verdict.adopt.key, agreed, now)
    else:
        with route.engine.store.write() as session:
            if unsettled.resolve(session, write.effect.id, now, state=EffectState.INTENDED):
                timeline.note_one(session, record, "not found in the target", now, reference=write.effect.natural_key)


def _adopt(
    route: Route,
    lease: Lease,
    record: Record,
    write: UnknownWrite,
    key: str,
    agreed: links.Agreed,
    now: datetime,
) -> None:
    """Link an object that we created. What has changed since is planned right after, from a fresh fetch."""
    left, right = pair_keys(route, record, write.effect, key)
    side = route.keys.ends(record.key).side
    with route.engine.store.write() as session:
        problem = links.taken(
            session, record.connection_id, route.flow.entity, left, right, write.effect.part, side=side
        )
        if not problem and unsettled.resolve(session, write.effect.id, now, state=EffectState.DONE, target_key=key):
            links.join(
                session, route, record, left=left, right=right, part=write.effect.part,
                natural_key=write.effect.natural_key, agreed=agreed, now=now,
            )  # fmt: skip
            timeline.note_one(session, record, "adopted", now, key=key, reference=write.effect.natural_key)
    if problem:
        _hold(route.engine, lease, record, problem, now)


def pair_keys(route: Route, record: Record, written: Step | Effect, key: str | None) -> tuple[str, str | None]:
    """Left and right key of a link whose object `key` was created by a write; None if the target returned no key."""
    ends = route.keys.ends(record.key)
    if route.connection.side(written.resource) == "right":
        return ends.left or "", key
    return (link_keys.untold(ends.right or "", written.part) if key is None else key), ends.right


def _hold(engine: Engine, lease: Lease, record: Record, reason: str, now: datetime) -> None:
    with engine.store.write() as session:
        records.complete(session, lease, {record.id: records.Completion(Status.HELD, reason, Why.UNKNOWN_WRITE)}, now)
        timeline.note_one(session, record, "held", now, reason=reason)
    lease.records = [other for other in lease.records if other.id != record.id]
