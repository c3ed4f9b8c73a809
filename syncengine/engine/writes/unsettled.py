"""Writes whose outcome is unknown: finding them, and recording what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import Session

from syncengine.connectors.base import Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core import payloads
from syncengine.engine.core.engine import Connection, Engine
from syncengine.engine.writes.effects import UNSENT_TOO, UNSETTLED
from syncengine.errors import Misconfigured
from syncengine.store.dialect import changed
from syncengine.store.models import Effect
from syncengine.store.states import EffectState


@dataclass(frozen=True, slots=True)
class Lost:
    """What a lost runner left behind.

    in_the_call: ids of the records that it was writing. rest: by record id, when the settle time of its unknown writes ends.
    """

    in_the_call: frozenset[int]
    rest: Mapping[int, datetime]


def hand_over(session: Session, former_ids: Iterable[int], record_id: int) -> None:
    """Move the writes of a pair's former records to the one that remains: they concern the same object."""
    theirs = update(Effect).where(Effect.record_id.in_(list(former_ids)))
    session.execute(theirs.values(record_id=record_id).execution_options(synchronize_session=False))


def lost_runner(session: Session, record_ids: Iterable[int], now: datetime) -> Lost:
    """Mark what the lost runner of these records had sent as unknown."""
    ids = list(record_ids)
    sent = session.scalars(
        update(Effect)
        .where(Effect.record_id.in_(ids), Effect.state == EffectState.SENT)
        .values(state=EffectState.UNKNOWN, error="the worker was lost during the call", updated_at=now)
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
    """A write whose outcome must be determined before anything is planned. step: as stored, where it tells the outcome."""

    effect: Effect
    doc: Doc
    agreed: Doc
    numbers: Mapping[str, str]
    step: Doc = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its number and what it was to write, for people."""
        effect = self.effect
        return f"write {effect.id} ({effect.verb} {effect.natural_key or effect.target_key or ''})"

    def check_over(self, now: datetime) -> None:
        """Raise Misconfigured while the target may still carry it out: until then nobody can know the outcome."""
        until = self.effect.settle_until
        if until is not None and until > now:
            raise Misconfigured(
                f"the target may still carry out {self.name} until {until:%H:%M:%S} UTC",
                "Check the target after that time",
            )


def unknown_of(session: Session, engine: Engine, record_ids: Sequence[int]) -> list[UnknownWrite]:
    """The writes of these records whose outcome is unknown, or was never recorded after they were sent; oldest first."""
    return _unsettled(session, engine, Effect.record_id.in_(record_ids))


def creating(session: Session, engine: Engine, connection_id: int, entity: str) -> list[UnknownWrite]:
    """The creates of an entity that are in progress or whose outcome is unknown; oldest first."""
    return _unsettled(
        session, engine, Effect.connection_id == connection_id, Effect.entity == entity, Effect.verb == Verb.CREATE
    )


def _unsettled(session: Session, engine: Engine, *which: ColumnElement[bool]) -> list[UnknownWrite]:
    found = []
    for effect in session.scalars(select(Effect).where(Effect.state.in_(UNSETTLED), *which).order_by(Effect.id)):
        request = payloads.unseal(engine.vault, effect.request) if effect.request else {}
        found.append(
            UnknownWrite(
                effect, request.get("doc", {}), request.get("agreed", {}), request.get("numbers", {}), request.get("step", {})
            )
        )  # fmt: skip
    return found


def resolve(
    session: Session,
    effect_id: int,
    now: datetime,
    *,
    state: EffectState,
    target_key: str | None = None,
    by_hand: bool = False,
) -> bool:
    """Record what became of an unknown write: it took effect (DONE), or it did not (INTENDED). False if it is not unknown.

    by_hand: a person has checked, so its sends are counted from zero again.

    A refusal is looked up because the write's own duplicate may have caused it. If nothing is found, no earlier send took
    effect, and the next refusal is final.
    """
    values: dict[str, Any] = {"state": state, "updated_at": now, "error": "", "accepted": False}
    if state is EffectState.INTENDED:
        values["sends"] = 0 if by_hand else case((Effect.answered, 0), else_=Effect.sends)
    if target_key is not None:
        values["target_key"] = target_key
    statement = update(Effect).where(Effect.id == effect_id, Effect.state == EffectState.UNKNOWN).values(**values)
    return bool(changed(session, statement))


def blocks(connection: Connection, write: UnknownWrite) -> bool:
    """Whether only a person can determine the outcome of this write."""
    return connection.resource(write.effect.resource).safety[Verb(write.effect.verb)] is Safety.ASK


def confirm_change(session: Session, record_id: int, part: str, now: datetime) -> bool:
    """Mark a change of unknown outcome as done, since a later fetch shows it. True if there was one."""
    statement = _unknown_changes(record_id, part).values(state=EffectState.DONE, error="", updated_at=now)
    return bool(changed(session, statement))


def deny_change(session: Session, record_id: int, part: str, now: datetime) -> None:
    """Open a change of unknown outcome again, since a fetch after the settle time does not show it."""
    changed(session, _unknown_changes(record_id, part).values(state=EffectState.INTENDED, updated_at=now))


def _unknown_changes(record_id: int, part: str) -> Any:
    return update(Effect).where(
        Effect.record_id == record_id,
        Effect.part == part,
        Effect.state == EffectState.UNKNOWN,
        Effect.verb != Verb.CREATE,
    )


def supersede_of(session: Session, connection_id: int, entity: str, target_keys: Iterable[str], now: datetime) -> None:
    """Supersede the changes of objects that are no longer linked: whatever becomes of them, nothing is agreed by them."""
    statement = (
        update(Effect)
        .where(Effect.connection_id == connection_id, Effect.entity == entity, Effect.verb != Verb.CREATE)
        .where(Effect.target_key.in_(list(target_keys)), Effect.state.in_(UNSENT_TOO))
        .values(state=EffectState.SUPERSEDED, updated_at=now)
    )
    changed(session, statement)


def supersede(session: Session, record_id: int, part: str, now: datetime, *, but: int = 0) -> None:
    """Supersede changes of unknown outcome that came before a write (`but`) or an agreement on what both sides show now.

    Late answers to them are ignored too, since they would restore an older agreement.
    """
    statement = (
        update(Effect)
        .where(Effect.record_id == record_id, Effect.part == part, Effect.verb != Verb.CREATE, Effect.id != but)
        .where(Effect.state.in_(UNSENT_TOO), Effect.sends > 0)
        .values(state=EffectState.SUPERSEDED, updated_at=now)
    )
    changed(session, statement)
