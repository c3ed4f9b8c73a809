"""Effects: every write is committed as an intention before it is made, and its outcome is recorded after it.

`dedupe` names the write, not the attempt: connection, entity, natural key and part for a create; link, revision and what is
written for a change. So a second intention of the same write finds the row of the first one, and all that is known about it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, delete, or_, select, update
from sqlalchemy.orm import Session

from syncengine.connectors.base import Operation, Verb
from syncengine.document import fingerprint
from syncengine.engine.core import payloads
from syncengine.engine.core.engine import Engine, Route
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Step, written
from syncengine.flows.flow import Flow
from syncengine.store.dialect import changed, lock_names, upsert
from syncengine.store.models import Effect, Link, Record
from syncengine.store.states import EffectState

LONGEST_DEDUPE = 255
MOST_CHANGES = 50  # of one write, that people are shown
BUSY_AGAIN = timedelta(seconds=2)
"""How soon to try an object again that another record is writing."""

UNSETTLED = (EffectState.SENT, EffectState.UNKNOWN)
UNSENT_TOO = (*UNSETTLED, EffectState.INTENDED)
"""The states in which a runner may still record the outcome of its own write. An intention is one of them: while the runner
was frozen, others may have looked for the write without finding it, and be about to send it again. Whoever sends a write
becomes its runner, so we were the last to send an intention of ours."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A step of a plan with its effect row: what is about to be written for a record."""

    effect_id: int
    record: Record
    step: Step
    link_id: int | None
    token: str
    sends: int  # that may have taken effect
    taken_by: int | None = None  # another record intends to create the same natural key

    @property
    def operation(self) -> Operation:
        """The operation with its token: the same however often it is sent."""
        return replace(self.step.operation, token=self.token)


def intend(
    session: Session,
    route: Route,
    planned: Sequence[tuple[Record, Step, Link | None]],
    now: datetime,
) -> list[Intent]:
    """Store what is about to be written. A write that was intended before keeps its row, which is opened again."""
    rows = [_row(route, record, step, link, now) for record, step, link in planned]
    first = {(row["endpoint_id"], row["dedupe"]): row for row in reversed(rows)}  # of two for the same write, the first
    _forget_unsent(session, [record.id for record, _, _ in planned], first)
    upsert(session, Effect, list(first.values()), keys=("endpoint_id", "dedupe"), update=_reopened)
    found = {
        (effect.endpoint_id, effect.dedupe): effect
        for effect in session.scalars(
            select(Effect)
            .where(
                Effect.endpoint_id.in_({endpoint for endpoint, _ in first}),
                Effect.dedupe.in_({name for _, name in first}),
            )
            .execution_options(populate_existing=True)
        )
    }
    intents = []
    for row, (record, step, link) in zip(rows, planned, strict=True):
        effect = found[row["endpoint_id"], row["dedupe"]]
        taken_by = effect.record_id if effect.record_id != record.id else None
        intents.append(Intent(effect.id, record, step, link.id if link else None, effect.token, effect.sends, taken_by))
    return intents


def _forget_unsent(session: Session, record_ids: Sequence[int], names: Iterable[tuple[int, str]]) -> None:
    """Delete the writes of these names that another record intended, never sent and no longer wants."""
    endpoints, dedupes = {endpoint for endpoint, _ in names}, {name for _, name in names}
    at_rest = select(Record.id).where(Record.wanted == Record.done, Record.token.is_(None))
    session.execute(
        delete(Effect)
        .where(Effect.endpoint_id.in_(endpoints), Effect.dedupe.in_(dedupes), Effect.record_id.not_in(record_ids))
        .where(Effect.state == EffectState.INTENDED, Effect.sends == 0, Effect.record_id.in_(at_rest))
        .execution_options(synchronize_session=False)
    )


def _row(route: Route, record: Record, step: Step, link: Link | None, now: datetime) -> dict[str, Any]:
    operation = step.operation
    return {
        "connection_id": record.connection_id,
        "endpoint_id": route.connection.endpoint(step.resource).id,
        "record_id": record.id,
        "entity": route.flow.entity,
        "part": step.part,
        "resource": step.resource,
        "verb": operation.verb,
        "dedupe": dedupe(route.flow, record, step, link),
        "token": f"se-{uuid.uuid4().hex}",
        "natural_key": operation.natural_key,
        "target_key": operation.key,
        "state": EffectState.INTENDED,
        "request": payloads.seal(route.engine.vault, _request(route.flow, step)),
        "warnings": [],
        "created_at": now,
        "updated_at": now,
    }


def _request(flow: Flow, step: Step) -> dict[str, Any]:
    """What is kept of a write, sealed, until it is old.

    changes: for people, what it replaces; of a change alone. step: the whole step, where an unknown outcome is found out by it.
    """
    request: dict[str, Any] = {"doc": step.operation.doc, "agreed": step.agreed, "numbers": dict(step.numbers)}
    if step.operation.verb is Verb.CHANGE:
        request["changes"] = plan_codec.details(step)[:MOST_CHANGES]
    if flow.levels:
        request["step"] = plan_codec.step_to_doc(step)
    return request


def changes_of(engine: Engine, effect: Effect) -> list[str]:
    """What a change replaced, field by field with both values, for people; empty for other writes, and once it is old."""
    if not effect.request or effect.verb != Verb.CHANGE:
        return []
    found: list[str] = payloads.unseal(engine.vault, effect.request).get("changes", [])
    return found


def dedupe(flow: Flow, record: Record, step: Step, link: Link | None) -> str:
    """The name of a write. Two records that intend to create the same natural key get the same name."""
    if step.operation.verb is Verb.CREATE or link is None:
        natural_key = (
            step.operation.natural_key or f"record {record.id}"
        )  # without a key it clashes with no other record
        what = f"{flow.entity}:create:{step.resource}:{step.part}:{natural_key}"
    elif flow.levels:  # nothing is agreed, so the revision of the record takes the place of the link's
        what = (
            f"{flow.name}:{step.operation.verb}:{step.resource}:{link.id}:w{record.claimed}:{written(step.operation)}"
        )
        what += f":{step.call}" if step.call else ""
    else:  # flows that share a link make separate changes of it
        what = f"{flow.name}:{step.operation.verb}:{step.resource}:{link.id}:{link.revision}:{written(step.operation)}"
        what += f":{step.call}" if step.call else ""  # each call of a write that takes several is an effect
    name = f"{record.connection_id}:{what}"
    return name if len(name) <= LONGEST_DEDUPE else f"{name[: LONGEST_DEDUPE - 33]}:{fingerprint(name)}"


def _reopened(new: Any) -> Mapping[str, Any]:
    """Open an effect again for the record that owns it; a create of unknown outcome stays unknown, so that it is not sent.

    A change of unknown outcome may be sent again, since the new plan comes from a fetch after the settle time. A create that
    was done and whose link is gone becomes unknown. Any record may take over a write that the target refused to another.
    """
    own = (Effect.record_id == new.record_id) | (Effect.state == EffectState.REJECTED)
    create = Effect.verb == Verb.CREATE
    open_again = case(
        (~own | (Effect.state == EffectState.SENT), Effect.state),
        (create & (Effect.state == EffectState.UNKNOWN), Effect.state),
        (create & (Effect.state == EffectState.DONE), EffectState.UNKNOWN),
        else_=EffectState.INTENDED,
    )
    was_removed = Effect.request.is_(None)  # by its age; the new plan identifies the object just as well
    changes = own & (open_again == EffectState.INTENDED)
    return {
        "record_id": case((own, new.record_id), else_=Effect.record_id),
        "state": open_again,
        "request": case((changes | (own & was_removed), new.request), else_=Effect.request),
        "error": case((changes, ""), else_=Effect.error),
        "updated_at": new.updated_at,
    }


def send(session: Session, intents: Sequence[Intent], runner: str, settle_s: float, now: datetime) -> set[int]:
    """Mark effects as sent, by compare-and-set, before the call is made. Returns the ids of those that are ours to send."""
    taken = session.scalars(
        update(Effect)
        .where(Effect.id.in_([intent.effect_id for intent in intents]), Effect.state == EffectState.INTENDED)
        .values(
            state=EffectState.SENT,
            runner=runner,
            sends=Effect.sends + 1,
            answered=False,
            accepted=False,
            sent_at=now,
            settle_until=now + timedelta(seconds=settle_s),
            updated_at=now,
        )
        .returning(Effect.id)
        .execution_options(synchronize_session=False)
    )
    return set(taken)


def not_sent(session: Session, effect_ids: Iterable[int], runner: str, now: datetime) -> None:
    """Make effects intentions again, since their call as a whole was refused before anything was done."""
    left = Effect.sends - 1
    sent_at = case((left == 0, None), else_=Effect.sent_at)  # it has never been sent
    _set_outcome(session, effect_ids, runner, now, state=EffectState.INTENDED, sends=left, sent_at=sent_at)


def withhold(session: Session, effect_ids: Iterable[int], now: datetime, *, why: str) -> None:
    """Stop intended writes that were sent too often: they are unknown until a person says what became of them."""
    session.execute(
        update(Effect)
        .where(Effect.id.in_(list(effect_ids)), Effect.state == EffectState.INTENDED)
        .values(state=EffectState.UNKNOWN, error=why, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def in_the_way(
    session: Session, endpoint_id: int, resources: Iterable[str], intents: Sequence[Intent], now: datetime
) -> dict[int, datetime]:
    """Intents (by effect id) whose object another record is writing or may still be writing, and until when that may last.

    resources: those whose writes concern the same objects. Locks the objects against other callers until the transaction
    ends. A write whose settle time is over and that waits for a person blocks nobody.
    """
    keyed = [(intent.operation.key, intent) for intent in intents if intent.operation.key is not None]
    targets = {key for key, _ in keyed}
    if not targets:
        return {}
    lock_names(session, [f"{endpoint_id}:{key}" for key in sorted(targets)])
    mine = {intent.record.id for intent in intents}
    runs = select(Record.id).where(Record.id == Effect.record_id, Record.runner.is_not(None))
    query = select(Effect).where(
        Effect.endpoint_id == endpoint_id,
        Effect.target_key.in_(targets),
        Effect.resource.in_(list(resources)),
        Effect.record_id.not_in(mine),
        or_(
            and_(Effect.state.in_(UNSETTLED), Effect.settle_until > now),
            and_(Effect.state == EffectState.SENT, runs.exists()),
        ),
    )
    until: dict[str | None, datetime] = {}
    for effect in session.scalars(query):
        until[effect.target_key] = max(_free_again(effect, now), until.get(effect.target_key, now))
    return {intent.effect_id: until[key] for key, intent in keyed if key in until}


def _free_again(effect: Effect, now: datetime) -> datetime:
    """When to try again: for a call in progress soon, but later the longer it takes; for an unknown write after it settles."""
    if effect.state == EffectState.UNKNOWN:
        return effect.settle_until or now
    return now + max(BUSY_AGAIN, now - (effect.sent_at or now))


def suspect(session: Session, effect_ids: Iterable[int], now: datetime, *, why: str) -> None:
    """Mark intended creates as unknown although nothing was sent, so that they are looked for before their first send."""
    session.execute(
        update(Effect)
        .where(Effect.id.in_(list(effect_ids)), Effect.state == EffectState.INTENDED)
        .values(state=EffectState.UNKNOWN, settle_until=now, error=why, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def done(
    session: Session,
    effect_id: int,
    runner: str,
    now: datetime,
    *,
    target_key: str | None,
    warnings: Sequence[str] = (),
    attention: str | None = None,
) -> bool:
    """Record that the write took effect. False if the row is no longer ours (another runner has sent it again)."""
    return _set_outcome(
        session,
        [effect_id],
        runner,
        now,
        of=UNSENT_TOO,
        state=EffectState.DONE,
        target_key=target_key,
        warnings=list(warnings),
        attention=attention,
        accepted=False,
        error="",
    )


def rejected(session: Session, effect_id: int, runner: str, now: datetime, *, error: str) -> bool:
    """Record that the target refused the write; the row is opened again if the record is retried.

    False if the row is no longer ours: it is open again, or others have sent it.
    """
    return _set_outcome(session, [effect_id], runner, now, state=EffectState.REJECTED, error=error)


def refused_unsent(session: Session, effect_ids: Iterable[int], now: datetime, *, error: str) -> bool:
    """Record that the call was refused before any write was carried out; `not_sent` has made them intentions before."""
    statement = update(Effect).where(Effect.id.in_(list(effect_ids)), Effect.state == EffectState.INTENDED)
    return bool(changed(session, statement.values(state=EffectState.REJECTED, error=error, updated_at=now)))


def unknown(
    session: Session, effect_ids: Iterable[int], runner: str, now: datetime, *, error: str, settled: bool = False,
    accepted: bool = False,
) -> bool:  # fmt: skip
    """Record that the outcome of these writes is unknown, or the key of what they created.

    settled: the target answered, so there is no settle time to wait for. accepted: it answered that the write is done.
    """
    more: dict[str, Any] = {"settle_until": now, "answered": True, "accepted": accepted} if settled else {}
    return _set_outcome(session, effect_ids, runner, now, of=UNSENT_TOO, state=EffectState.UNKNOWN, error=error, **more)


def _set_outcome(
    session: Session,
    effect_ids: Iterable[int],
    runner: str,
    now: datetime,
    *,
    of: Sequence[EffectState] = UNSETTLED,
    **values: Any,
) -> bool:
    statement = (
        update(Effect)
        .where(
            Effect.id.in_(list(effect_ids)),
            Effect.runner == runner,
            Effect.state.in_(of),
        )
        .values(updated_at=now, **values)
    )
    return bool(changed(session, statement))
