"""Effects: every write is committed as an intention before it is made, and settled after it.

`dedupe` names the write, not the attempt: connection, entity, natural key and part for a create; link, revision and what is
written for a change. So a second intention of the same write finds the row of the first one, with all that is known of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, or_, select, update
from sqlalchemy.orm import Session

from syncengine.connectors.base import Operation, Safety, Verb
from syncengine.document import Doc, fingerprint
from syncengine.engine.core import payloads
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.decide.plan import Step, written
from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.store.dialect import changed, lock_names, upsert
from syncengine.store.models import Effect, Link, Record
from syncengine.store.states import EffectState

LONGEST_DEDUPE = 255
BUSY_AGAIN = timedelta(seconds=2)
"""How soon an object is asked for again that another record is writing."""

UNSETTLED = (EffectState.SENT, EffectState.UNKNOWN)
UNSENT_TOO = (*UNSETTLED, EffectState.INTENDED)
"""What a runner may say of its own write: also when it was frozen for so long that others looked for the write, did not
find it, and are about to send it again. Whoever sends it becomes its runner, so an intention of ours was sent by us last."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A step of a plan with its effect row: what is about to be written for a record."""

    effect_id: int
    record: Record
    step: Step
    link_id: int | None
    token: str
    sends: int  # that may have taken effect
    taken_by: int | None = None  # another record means to create the same natural key

    @property
    def operation(self) -> Operation:
        """The operation with its token: the same however often it is sent."""
        return replace(self.step.operation, token=self.token)


def intend(
    session: Session,
    engine: Engine,
    flow: Flow,
    connection: Connection,
    planned: Sequence[tuple[Record, Step, Link | None]],
    now: datetime,
) -> list[Intent]:
    """Commit what is about to be written. A write that was intended before keeps its row, and is open again."""
    rows = [_row(engine, flow, connection, record, step, link, now) for record, step, link in planned]
    first = {(row["endpoint_id"], row["dedupe"]): row for row in reversed(rows)}  # of two that mean the same, the first
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
    """Writes of these names that another record intended, never sent, and does not want any more are nobody's."""
    endpoints, dedupes = {endpoint for endpoint, _ in names}, {name for _, name in names}
    at_rest = select(Record.id).where(Record.wanted == Record.done, Record.token.is_(None))
    session.execute(
        delete(Effect)
        .where(Effect.endpoint_id.in_(endpoints), Effect.dedupe.in_(dedupes), Effect.record_id.not_in(record_ids))
        .where(Effect.state == EffectState.INTENDED, Effect.sends == 0, Effect.record_id.in_(at_rest))
        .execution_options(synchronize_session=False)
    )


def _row(
    engine: Engine, flow: Flow, connection: Connection, record: Record, step: Step, link: Link | None, now: datetime
) -> dict[str, Any]:
    operation = step.operation
    return {
        "connection_id": record.connection_id,
        "endpoint_id": connection.endpoint(step.resource).id,
        "record_id": record.id,
        "entity": flow.entity,
        "part": step.part,
        "resource": step.resource,
        "verb": operation.verb,
        "dedupe": dedupe(flow, record, step, link),
        "token": f"se-{uuid.uuid4().hex}",
        "natural_key": operation.natural_key,
        "target_key": operation.key,
        "state": EffectState.INTENDED,
        "request": payloads.seal(
            engine.vault, {"doc": operation.doc, "agreed": step.agreed, "numbers": dict(step.numbers)}
        ),
        "warnings": [],
        "created_at": now,
        "updated_at": now,
    }


def dedupe(flow: Flow, record: Record, step: Step, link: Link | None) -> str:
    """The name of a write. Two records that mean to create the same natural key come to the same name."""
    if step.operation.verb is Verb.CREATE or link is None:
        natural_key = step.operation.natural_key or f"record {record.id}"  # what has no key is nobody else's either
        what = f"{flow.entity}:create:{step.resource}:{step.part}:{natural_key}"
    else:  # flows that share a link change it each for itself
        what = f"{flow.name}:{step.operation.verb}:{step.resource}:{link.id}:{link.revision}:{written(step.operation)}"
        what += f":{step.call}" if step.call else ""  # of a write that takes several calls, each is one
    name = f"{record.connection_id}:{what}"
    return name if len(name) <= LONGEST_DEDUPE else f"{name[: LONGEST_DEDUPE - 33]}:{fingerprint(name)}"


def _reopened(new: Any) -> Mapping[str, Any]:
    """Open an effect again for the record that owns it; a write in doubt stays as it is, so that it cannot be sent.

    A change in doubt may be sent again, since what is planned now comes from a fetch after the settle time. A create that
    was done and whose link is gone is in doubt. What the target has refused another record is anybody's again.
    """
    own = (Effect.record_id == new.record_id) | (Effect.state == EffectState.REJECTED)
    create = Effect.verb == Verb.CREATE
    open_again = case(
        (~own | (Effect.state == EffectState.SENT), Effect.state),
        (create & (Effect.state == EffectState.UNKNOWN), Effect.state),
        (create & (Effect.state == EffectState.DONE), EffectState.UNKNOWN),
        else_=EffectState.INTENDED,
    )
    was_removed = Effect.request.is_(None)  # by its age; what is planned now tells as well whose object it is
    changes = own & (open_again == EffectState.INTENDED)
    return {
        "record_id": case((own, new.record_id), else_=Effect.record_id),
        "state": open_again,
        "request": case((changes | (own & was_removed), new.request), else_=Effect.request),
        "error": case((changes, ""), else_=Effect.error),
        "updated_at": new.updated_at,
    }


def send(session: Session, intents: Sequence[Intent], runner: str, settle_s: float, now: datetime) -> set[int]:
    """Take effects as sent, by compare-and-set, before the bytes leave. Returns the ids of those that are ours to send."""
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
    """The call as a whole was refused before anything could be done: the effects are intentions again."""
    left = Effect.sends - 1
    sent_at = case((left == 0, None), else_=Effect.sent_at)  # what never left is no write of the hour
    _settle(session, effect_ids, runner, now, state=EffectState.INTENDED, sends=left, sent_at=sent_at)


def withhold(session: Session, effect_ids: Iterable[int], now: datetime, *, why: str) -> None:
    """Intended writes that were sent too often already: in doubt until a person says what became of them."""
    session.execute(
        update(Effect)
        .where(Effect.id.in_(list(effect_ids)), Effect.state == EffectState.INTENDED)
        .values(state=EffectState.UNKNOWN, error=why, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def in_the_way(
    session: Session, endpoint_id: int, resources: Iterable[str], intents: Sequence[Intent], now: datetime
) -> dict[int, datetime]:
    """Intents (by effect id) whose object another record is writing, or may still be: and until when that may last.

    resources: those whose writes concern the same objects. Locks the objects against others who ask, until the transaction
    ends. A write whose settle time is over and that waits for a person is in nobody's way.
    """
    targets = {intent.operation.key: intent for intent in intents if intent.operation.key is not None}
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
    return {one.effect_id: until[one.operation.key] for one in intents if one.operation.key in until}


def _free_again(effect: Effect, now: datetime) -> datetime:
    """When to ask again: soon for a call that is under way, less soon the longer it takes; for a doubt when it is settled."""
    if effect.state == EffectState.UNKNOWN:
        return effect.settle_until or now
    return now + max(BUSY_AGAIN, now - (effect.sent_at or now))


def suspect(session: Session, effect_ids: Iterable[int], now: datetime, *, why: str) -> None:
    """Have intended creates looked for before their first send: in doubt, although nothing was sent."""
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
    """The write took effect. False if the row is not ours any more (another runner sent it again meanwhile)."""
    return _settle(
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
    """The target refused the write; the row is opened again if the record is tried again.

    False if the row is not ours any more: it is open again, or others have sent it meanwhile.
    """
    return _settle(session, [effect_id], runner, now, state=EffectState.REJECTED, error=error)


def refused_unsent(session: Session, effect_ids: Iterable[int], now: datetime, *, error: str) -> bool:
    """The call was refused before the writes could be carried out, and `not_sent` has taken them back."""
    statement = update(Effect).where(Effect.id.in_(list(effect_ids)), Effect.state == EffectState.INTENDED)
    return bool(changed(session, statement.values(state=EffectState.REJECTED, error=error, updated_at=now)))


def unknown(
    session: Session, effect_ids: Iterable[int], runner: str, now: datetime, *, error: str, settled: bool = False,
    accepted: bool = False,
) -> bool:  # fmt: skip
    """Nobody knows what became of the write, or under which key it is there.

    settled: the target answered, so there is no settle time to wait for. accepted: it said that it is done.
    """
    more: dict[str, Any] = {"settle_until": now, "answered": True, "accepted": accepted} if settled else {}
    return _settle(session, effect_ids, runner, now, of=UNSENT_TOO, state=EffectState.UNKNOWN, error=error, **more)


def _settle(
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


@dataclass(frozen=True, slots=True)
class Lost:
    """What a runner left behind: records it was writing when it went, and until when records in doubt must rest, by id."""

    in_the_call: frozenset[int]
    rest: Mapping[int, datetime]


def hand_over(session: Session, former_ids: Iterable[int], record_id: int) -> None:
    """The writes of the one record of a pair are the other's from here on: one object, created by either."""
    theirs = update(Effect).where(Effect.record_id.in_(list(former_ids)))
    session.execute(theirs.values(record_id=record_id).execution_options(synchronize_session=False))


def lost_runner(session: Session, record_ids: Iterable[int], now: datetime) -> Lost:
    """The runner of these records is gone: what it had sent is unknown."""
    ids = list(record_ids)
    sent = session.scalars(
        update(Effect)
        .where(Effect.record_id.in_(ids), Effect.state == EffectState.SENT)
        .values(state=EffectState.UNKNOWN, error="the worker went away during the call", updated_at=now)
        .returning(Effect.record_id)
        .execution_options(synchronize_session=False)
    ).all()
    rest: dict[int, datetime] = {}
    unknown = select(Effect.record_id, Effect.settle_until).where(
        Effect.record_id.in_(ids), Effect.state == EffectState.UNKNOWN
    )
    for record_id, until in session.execute(unknown):
        rest[record_id] = max(until or now, rest.get(record_id, now))
    return Lost(in_the_call=frozenset(sent), rest=rest)


@dataclass(frozen=True, slots=True)
class UnknownWrite:
    """A write whose outcome must be found out before anything is planned."""

    effect: Effect
    doc: Doc
    agreed: Doc
    numbers: Mapping[str, str]

    @property
    def name(self) -> str:
        """For people: its number, and what it was to write."""
        effect = self.effect
        return f"write {effect.id} ({effect.verb} {effect.natural_key or effect.target_key or ''})"

    def check_over(self, now: datetime) -> None:
        """Raises Misconfigured while the target may still carry it out: until then a person can know no more than we."""
        until = self.effect.settle_until
        if until is not None and until > now:
            raise Misconfigured(
                f"the target may still carry out {self.name} until {until:%H:%M:%S} UTC", "Look there after that"
            )


def unknown_of(session: Session, engine: Engine, record_ids: Sequence[int]) -> list[UnknownWrite]:
    """Writes of these records that are unknown, and those that were sent and never settled. Oldest first."""
    return _unsettled(session, engine, Effect.record_id.in_(record_ids))


def creating(session: Session, engine: Engine, connection_id: int, entity: str) -> list[UnknownWrite]:
    """Creates of an entity that are under way at this moment, or whose outcome nobody knows yet. Oldest first."""
    return _unsettled(
        session, engine, Effect.connection_id == connection_id, Effect.entity == entity, Effect.verb == Verb.CREATE
    )


def _unsettled(session: Session, engine: Engine, *which: ColumnElement[bool]) -> list[UnknownWrite]:
    doubts = []
    for effect in session.scalars(select(Effect).where(Effect.state.in_(UNSETTLED), *which).order_by(Effect.id)):
        request = payloads.unseal(engine.vault, effect.request) if effect.request else {}
        doubts.append(
            UnknownWrite(effect, request.get("doc", {}), request.get("agreed", {}), request.get("numbers", {}))
        )  # fmt: skip
    return doubts


def resolve(
    session: Session,
    effect_id: int,
    now: datetime,
    *,
    state: EffectState,
    target_key: str | None = None,
    by_hand: bool = False,
) -> bool:
    """An unknown outcome has been found out: it happened (DONE), or it did not (INTENDED).

    by_hand: a person has looked, so that its sends are counted from the beginning.

    A refusal is looked up because it may be of the write's own duplicate. If nothing is found, no send of it took effect,
    and the next refusal stands.
    """
    values: dict[str, Any] = {"state": state, "updated_at": now, "error": "", "accepted": False}
    if state is EffectState.INTENDED:
        values["sends"] = 0 if by_hand else case((Effect.answered, 0), else_=Effect.sends)
    if target_key is not None:
        values["target_key"] = target_key
    statement = update(Effect).where(Effect.id == effect_id, Effect.state == EffectState.UNKNOWN).values(**values)
    return bool(changed(session, statement))


def blocks(connection: Connection, doubt: UnknownWrite) -> bool:
    """True if this doubt can be settled by a person only."""
    return connection.resource(doubt.effect.resource).safety[Verb(doubt.effect.verb)] is Safety.ASK


def confirm_change(session: Session, record_id: int, part: str, now: datetime) -> bool:
    """A later fetch shows what was written: a change whose outcome was unknown has happened. True if there was one."""
    statement = _changes_in_doubt(record_id, part).values(state=EffectState.DONE, error="", updated_at=now)
    return bool(changed(session, statement))


def deny_change(session: Session, record_id: int, part: str, now: datetime) -> None:
    """A later fetch, after the settle time, shows nothing of a change whose outcome was unknown: it did not happen."""
    changed(session, _changes_in_doubt(record_id, part).values(state=EffectState.INTENDED, updated_at=now))


def _changes_in_doubt(record_id: int, part: str) -> Any:
    return update(Effect).where(
        Effect.record_id == record_id,
        Effect.part == part,
        Effect.state == EffectState.UNKNOWN,
        Effect.verb != Verb.CREATE,
    )


def supersede_of(session: Session, connection_id: int, entity: str, target_keys: Iterable[str], now: datetime) -> None:
    """These objects are linked no more: what changes of them were to agree on is nobody's, whatever comes of them."""
    statement = (
        update(Effect)
        .where(Effect.connection_id == connection_id, Effect.entity == entity, Effect.verb != Verb.CREATE)
        .where(Effect.target_key.in_(list(target_keys)), Effect.state.in_(UNSENT_TOO))
        .values(state=EffectState.SUPERSEDED, updated_at=now)
    )
    changed(session, statement)


def supersede(session: Session, record_id: int, part: str, now: datetime, *, but: int = 0) -> None:
    """A write (`but`) or an agreement has settled what both sides show: earlier changes in doubt concern nobody any more.

    Their late answers are not heard either, since they would bring back an agreement of before.
    """
    statement = (
        update(Effect)
        .where(Effect.record_id == record_id, Effect.part == part, Effect.verb != Verb.CREATE, Effect.id != but)
        .where(Effect.state.in_(UNSENT_TOO), Effect.sends > 0)
        .values(state=EffectState.SUPERSEDED, updated_at=now)
    )
    changed(session, statement)
