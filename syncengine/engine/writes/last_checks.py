"""The last checks before a write leaves: what may have changed since its plan was made."""

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
from syncengine.engine.writes import ceiling, effects, links, unknown_writes
from syncengine.engine.writes.effects import Intent
from syncengine.engine.writes.write_run import WriteRun
from syncengine.store.models import ConnectionRow, Endpoint
from syncengine.store.states import Status, Why


def verified(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> Sequence[Intent]:
    """While creates are to be verified, look for each before its first send; what is there is adopted."""
    creates = [one for one in batch if one.operation.verb is Verb.CREATE]
    sought = [one for one in creates if run.work[one.record.id].seeks]
    again = [one for one in creates if one.step.part in one.record.must_find and unknown_writes.can_search(resource)]
    verifies = run.connection.verifies_creates(clock.now()) and resource.safety[Verb.CREATE] is not Safety.ASK
    asked = creates if verifies else [one for one in creates if one in sought or one in again]
    if not asked:
        return batch
    references = {one.operation.natural_key for one in asked} | {_former(one) for one in again}
    with calling(run.connection.endpoint(resource.name)):
        found = resource.find(sorted(references - {""}))
    there = {
        one.effect_id: unknown_writes.candidates(resource, found.get(one.operation.natural_key, ())) for one in asked
    }
    present = [one for one in asked if any(not resource.is_cancelled(it.doc) for it in there[one.effect_id])]
    _suspect(run, present, "it is there already, and looked at before anything is created")
    absent = [one for one in asked if one not in present and (one in sought or there[one.effect_id])]
    _leave(run, absent, there)
    before = [one for one in again if one not in present and one not in absent]
    absent += _linked_before(run, resource, before, found)
    return [one for one in batch if one not in present and one not in absent]


def _leave(run: WriteRun, absent: Sequence[Intent], there: Mapping[int, Sequence[Candidate]]) -> None:
    """Create nothing: it was only looked for, or what is there was cancelled by the target's people."""
    now = clock.now()
    with run.engine.store.write() as session:
        for intent in absent:
            found = there[intent.effect_id]
            work = run.work[intent.record.id]
            if work.seeks:
                work.left -= 1
                work.found += [one.key for one in found]
                if work.left:
                    continue  # the other parts are looked for too
                keys = ", ".join(work.found) or "nothing"
                end = Completion(Status.SKIPPED, f"cancelled at the source; {keys} is in the target", Why.RULE)
            else:  # in doubt from here on, so that it is looked for whenever it is looked at again
                end = Completion(Status.HELD, adoption.cancelled(found), Why.WRITE)
                effects.suspect(session, [intent.effect_id], now, why=end.reason)
            run.end(session, intent, end, str(end.status), now)


def _linked_before(
    run: WriteRun, resource: Resource, intents: Sequence[Intent], found: Mapping[str, Sequence[Doc]]
) -> list[Intent]:
    """Those that are in the target under the reference by which they were linked before: a person looks at these."""
    there = {one.effect_id: unknown_writes.candidates(resource, found.get(_former(one), ())) for one in intents}
    held = [one for one in intents if there[one.effect_id]]
    if not held:
        return []
    with run.engine.store.write() as session:
        for intent in held:
            keys = ", ".join(one.key for one in there[intent.effect_id])
            reason = f"{keys} carries {_former(intent)}, the reference by which it was linked before"
            run.end(session, intent, Completion(Status.HELD, reason, Why.WRITE), "held", clock.now())
    return held


def _suspect(run: WriteRun, intents: Sequence[Intent], why: str) -> None:
    """Have the next fetch find out about these, at once."""
    if not intents:
        return
    now = clock.now()
    with run.engine.store.write() as session:
        effects.suspect(session, [intent.effect_id for intent in intents], now, why=why)
        run.fetch_later(session, intents, now, why)


def as_seen(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> Sequence[Intent]:
    """Of these writes those whose targets still show what their plans were made from; the others are planned again.

    A target that was read a while ago is looked at first, many at once and as many as can be written before that is old
    again. What somebody edits between that and our write is the gap that remains (docs/reliability.md).
    """
    if any(_is_old(run, intent) for intent in batch):
        _read_again(run, resource, batch)
    return [intent for intent in batch if not run.work[intent.record.id].ended]


def _is_old(run: WriteRun, intent: Intent) -> bool:
    age = clock.now() - run.seen_at[intent.effect_id]
    return intent.operation.current is not None and age.total_seconds() > run.engine.limits.picture_s


def _read_again(run: WriteRun, resource: Resource, batch: Sequence[Intent]) -> None:
    look = f"look at {resource.name}"
    in_time = int(run.engine.limits.picture_s / (run.engine.pace_s(resource.name) + run.engine.pace_s(look)))
    most = max(len(batch), min(resource.most_per_look, in_time))
    rest = run.intents[run.intents.index(batch[0]) :]
    old = [one for one in rest if one.step.resource == resource.name and _is_old(run, one)]
    asked = {one.operation.key: one for one in reversed(old) if not run.work[one.record.id].ended}
    chosen = [one for one in old if asked.get(one.operation.key) is one][:most]
    now, begun, same = clock.now(), clock.monotonic(), set[str]()
    for some in chunks(chosen, resource.most_per_look):
        with calling(run.connection.endpoint(resource.name)):
            same |= resource.unchanged({str(one.operation.key): one.operation.current or {} for one in some})
    run.engine.note_pace(look, (clock.monotonic() - begun) / max(1, len(chosen)))
    with run.engine.store.write() as session:
        for intent in chosen:
            if intent.operation.key in same:
                run.seen_at[intent.effect_id] = now
            else:
                run.plan_edited(session, intent.record, clock.now())


def alone_there(
    run: WriteRun, session: Session, resource: Resource, batch: Sequence[Intent], now: datetime
) -> Sequence[Intent]:
    """Of these writes those whose objects no other record writes now, and that nobody has agreed on since the plan."""
    connector = run.connection.connectors[run.connection.side(resource.name)]
    kin = [one.name for one in connector.resources.values() if one.object_kind == resource.object_kind]
    busy = effects.in_the_way(session, run.connection.endpoint(resource.name).id, kin, batch, now)
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
    """What may be written now, by the connection's row as it is now.

    What goes beyond the flow's write ceiling is held, with all writes of its record in this batch.
    """
    if not batch:
        return []
    connection = session.get_one(ConnectionRow, run.connection.row.id, with_for_update={"read": True})
    if why := _forbidden(run, session, connection, batch[0], now):
        for intent in batch:
            run.plan_again(session, intent.record, now, why)
        return []
    admitted = ceiling.admit(session, connection, run.flow, len(batch), now)
    beyond = {intent.record.id for intent in batch[admitted.most :]}
    for record_id in beyond:
        intent = next(one for one in batch if one.record.id == record_id)
        run.end(session, intent, Completion(Status.HELD, admitted.reason, Why.CEILING), "held", now)
    return [intent for intent in batch if intent.record.id not in beyond]


def _forbidden(run: WriteRun, session: Session, connection: ConnectionRow, intent: Intent, now: datetime) -> str:
    """Why nothing may be written any more, by what a person has changed since the step began; empty if it may."""
    if connection.mode == observe_mode.MODE:
        return f"{connection.name} is observed since it was planned"
    if run.flow.name not in connection.flows:
        return f"{connection.name} does not have {run.flow.name} any more"
    endpoint = session.get_one(Endpoint, run.connection.endpoint(intent.step.resource).id)
    return endpoints.why_paused(endpoint, now)


def _former(intent: Intent) -> str:
    """The reference by which what is to be created was linked before; empty if it was not."""
    return str(intent.record.must_find.get(intent.step.part, ""))
