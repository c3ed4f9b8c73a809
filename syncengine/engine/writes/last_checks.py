"""The last checks before a write is sent: what may have changed since its plan was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Resource, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import calling, chunks
from syncengine.engine.core.records import Completion
from syncengine.engine.decide import adoption
from syncengine.engine.decide.adoption import Candidate
from syncengine.engine.traffic import endpoints
from syncengine.engine.writes import ceiling, effects, levels, links, unknown_writes
from syncengine.engine.writes.effects import Intent
from syncengine.engine.writes.write_run import WriteRun
from syncengine.store.models import ConnectionRow, Endpoint
from syncengine.store.states import Status, Why


def verified(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> Sequence[Intent]:
    """The writes of a batch that may be sent. Creates to be verified are looked for first; those that exist are adopted."""
    creates = [intent for intent in batch if intent.operation.verb is Verb.CREATE]
    sought = [intent for intent in creates if run.work[intent.record.id].seeks]
    must_find = [intent for intent in creates if intent.step.part in intent.record.must_find]
    again = must_find if must_find and unknown_writes.can_search(resource) else []
    verifies = run.route.connection.verifies_creates(clock.now()) and resource.safety[Verb.CREATE] is not Safety.ASK
    asked = creates if verifies else [intent for intent in creates if intent in sought or intent in again]
    if not asked:
        return batch
    references = {intent.operation.natural_key for intent in asked} | {_former(intent) for intent in again}
    with calling(run.route.connection.endpoint(resource.name)):
        found = resource.find(sorted(references - {""}))
    there = {
        intent.effect_id: unknown_writes.candidates(resource, found.get(intent.operation.natural_key, ()))
        for intent in asked
    }
    present = [intent for intent in asked if any(not resource.is_cancelled(it.doc) for it in there[intent.effect_id])]
    _suspect(run, present, "it already exists in the target and is examined before anything is created")
    absent = [intent for intent in asked if intent not in present and (intent in sought or there[intent.effect_id])]
    _leave(run, absent, there)
    before = [intent for intent in again if intent not in present and intent not in absent]
    absent += _linked_before(run, resource, before, found)
    return [intent for intent in batch if intent not in present and intent not in absent]


def _leave(run: WriteRun, absent: Sequence[Intent], there: Mapping[int, Sequence[Candidate]]) -> None:
    """Create nothing: these were only looked for, or the target's people have cancelled what exists."""
    now = clock.now()
    with run.route.engine.store.write() as session:
        for intent in absent:
            found = there[intent.effect_id]
            work = run.work[intent.record.id]
            if work.seeks:
                work.left -= 1
                work.found += [candidate.key for candidate in found]
                if work.left:
                    continue  # the other parts are looked for too
                keys = ", ".join(work.found) or "nothing"
                end = Completion(Status.SKIPPED, f"cancelled at the source; {keys} is in the target", Why.RULE)
            else:  # unknown from now on, so that every fetch looks for it
                end = Completion(Status.HELD, adoption.cancelled(found), Why.WRITE)
                effects.suspect(session, [intent.effect_id], now, why=end.reason)
            run.end(session, intent, end, str(end.status), now)


def _linked_before(
    run: WriteRun, resource: Resource, intents: Sequence[Intent], found: Mapping[str, Sequence[Doc]]
) -> list[Intent]:
    """Hold those that exist in the target under the reference by which they were linked before, for a person to decide."""
    there = {
        intent.effect_id: unknown_writes.candidates(resource, found.get(_former(intent), ())) for intent in intents
    }
    held = [intent for intent in intents if there[intent.effect_id]]
    if not held:
        return []
    with run.route.engine.store.write() as session:
        for intent in held:
            keys = ", ".join(candidate.key for candidate in there[intent.effect_id])
            reason = f"{keys} has the reference {_former(intent)}, by which it was linked before"
            run.end(session, intent, Completion(Status.HELD, reason, Why.WRITE), "held", clock.now())
    return held


def _suspect(run: WriteRun, intents: Sequence[Intent], why: str) -> None:
    """Mark these as unknown, and have them fetched at once to find out what exists."""
    if not intents:
        return
    now = clock.now()
    with run.route.engine.store.write() as session:
        effects.suspect(session, [intent.effect_id for intent in intents], now, why=why)
        run.fetch_later(session, intents, now, why)


def as_seen(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> Sequence[Intent]:
    """The writes whose targets still show what their plans were made from; the others are planned again.

    Targets that were read a while ago are checked first: many in one call, but only as many as can be written before the
    check is old itself. An edit between the check and our write remains unnoticed (docs/reliability.md).
    """
    if run.route.flow.levels:
        levels.leave_corrected(run, resource, batch)
    elif any(_is_old(run, intent) for intent in batch):
        _read_again(run, resource, batch)
    return [intent for intent in batch if not run.work[intent.record.id].ended]


def _is_old(run: WriteRun, intent: Intent) -> bool:
    age = clock.now() - run.seen_at[intent.effect_id]
    return intent.operation.current is not None and age.total_seconds() > run.route.engine.limits.picture_s


def _read_again(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> None:
    check = f"look at {resource.name}"
    in_time = int(
        run.route.engine.limits.picture_s / (run.route.engine.pace_s(resource.name) + run.route.engine.pace_s(check))
    )
    most = max(len(batch), min(resource.most_per_look, in_time))
    rest = run.intents[run.intents.index(batch[0]) :]
    old = [intent for intent in rest if intent.step.resource == resource.name and _is_old(run, intent)]
    asked = {intent.operation.key: intent for intent in reversed(old) if not run.work[intent.record.id].ended}
    chosen = [intent for intent in old if asked.get(intent.operation.key) is intent][:most]
    now, begun, same = clock.now(), clock.monotonic(), set[str]()
    for some in chunks(chosen, resource.most_per_look):
        with calling(run.route.connection.endpoint(resource.name)):
            operations = [intent.operation for intent in some]
            same |= resource.unchanged({str(operation.key): operation.current or {} for operation in operations})
    run.route.engine.note_pace(check, (clock.monotonic() - begun) / max(1, len(chosen)))
    with run.route.engine.store.write() as session:
        for intent in chosen:
            if intent.operation.key in same:
                run.seen_at[intent.effect_id] = now
            else:
                run.plan_edited(session, intent.record, clock.now())


def alone_there(
    run: WriteRun, session: Session, resource: Resource, batch: Sequence[Intent], now: datetime
) -> Sequence[Intent]:
    """The writes whose objects no other record is writing, and whose links have not been agreed on since the plan."""
    connector = run.route.connection.connectors[run.route.connection.side(resource.name)]
    kin = [other.name for other in connector.resources.values() if other.object_kind == resource.object_kind]
    busy = effects.in_the_way(session, run.route.connection.endpoint(resource.name).id, kin, batch, now)
    free = []
    for intent in batch:
        if intent.effect_id in busy:
            why = f"another record is writing {resource.name} {intent.operation.key}"
            run.wait_for_other(session, intent, busy[intent.effect_id], why)
        elif intent.link_id is not None and links.revision(session, intent.link_id) != run.revision[intent.link_id]:
            run.plan_again(session, intent.record, now, "written since it was planned")
        else:
            free.append(intent)
    return free


def admitted(run: WriteRun, session: Session, batch: Sequence[Intent], now: datetime) -> Sequence[Intent]:
    """The writes that are allowed now, by the connection's current row.

    Writes beyond the flow's write ceiling are held, with all writes of their records in this batch.
    """
    if not batch:
        return []
    connection = session.get_one(ConnectionRow, run.route.connection_id, with_for_update={"read": True})
    if why := _forbidden(run, session, connection, batch[0], now):
        for intent in batch:
            run.plan_again(session, intent.record, now, why)
        return []
    if run.route.flow.levels:
        return levels.admitted(run, session, connection, batch, now)
    admitted = ceiling.admit(session, connection, run.route.flow, len(batch), now)
    beyond = {intent.record.id for intent in batch[admitted.most :]}
    for record_id in beyond:
        intent = next(intent for intent in batch if intent.record.id == record_id)
        run.end(session, intent, Completion(Status.HELD, admitted.reason, Why.CEILING), "held", now)
    return [intent for intent in batch if intent.record.id not in beyond]


def _forbidden(run: WriteRun, session: Session, connection: ConnectionRow, intent: Intent, now: datetime) -> str:
    """Why nothing may be written, because of what a person has changed since the step began; empty if it may."""
    if connection.mode == observe_mode.MODE:
        return f"{connection.name} has been observed since it was planned"
    if run.route.flow.name not in connection.flows:
        return f"{connection.name} no longer has {run.route.flow.name}"
    endpoint = session.get_one(Endpoint, run.route.connection.endpoint(intent.step.resource).id)
    return endpoints.why_paused(endpoint, now)


def _former(intent: Intent) -> str:
    """The reference by which the object to be created was linked before; empty if it was not linked."""
    return str(intent.record.must_find.get(intent.step.part, ""))
