"""A write that nobody but a person can find out about: it happened, or it did not, and the record is synced from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Verb
from syncengine.document import Doc
from syncengine.engine.core import timeline
from syncengine.engine.core.engine import Engine, calling
from syncengine.engine.core.want import want
from syncengine.engine.decide import adoption
from syncengine.engine.people import manual_links, seen
from syncengine.engine.people.held import unknown_writes_of
from syncengine.engine.writes import effects, links, unknown_writes
from syncengine.engine.writes.effects import UnknownWrite
from syncengine.errors import Misconfigured
from syncengine.store.models import Effect, Event, Record
from syncengine.store.states import EffectState, Lane

SETTLED = "settled by hand"


def unknown_write_of(session: Session, engine: Engine, record: Record, write: int | None = None) -> UnknownWrite:
    """The write in doubt of a record, by the number of the write if there are several. Raises Misconfigured."""
    found = unknown_writes_of(session, engine, [record.id])
    mine = [one for one in found if write is None or one.effect.id == write]
    if not mine:
        by_whom = timeline.last_by_hand(session, SETTLED, Event.record_id == record.id)
        raise Misconfigured(
            f"{record.flow} {record.key} has no write{f' {write}' if write else ''} to be settled by hand{by_whom}"
        )
    if len(mine) > 1:
        several = ", ".join(one.name for one in mine)
        raise Misconfigured(
            f"{record.flow} {record.key} has several writes in doubt: {several}", "Say which with --write"
        )
    if record.token is not None:
        raise seen.busy(record)
    mine[0].check_over(clock.now())
    return mine[0]


def possibilities(doubt: UnknownWrite, key: str) -> Sequence[tuple[str, str]]:
    """Both of them: what may have happened, and what to say then. `key`: by which the record is named."""
    created = doubt.effect.verb == Verb.CREATE
    found = " with the key that it has there" if created else ""
    return (
        (f"it took effect: the target shows it{found}", f"syncengine held settle {key} --happened{' KEY' if created else ''}"),
        ("it did not: it is sent once more", f"syncengine held settle {key} --did-not"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object of the target that a create may have made: its key as the target writes it, and its document, typed."""

    key: str
    document: Doc


def find_object(engine: Engine, record: Record, doubt: UnknownWrite, key: str) -> FoundObject:
    """The object of the target that a create has made, by a person's word.

    Raises Misconfigured if there is none of this key, or it is another one: older than the write, or not what was asked for
    in a field that identifies it. And what reading it raises.
    """
    if not key:
        raise Misconfigured("--happened needs the key that the object has in the target")
    connection = engine.connection(record.connection_id)
    resource = connection.resource(doubt.effect.resource)
    with calling(connection.endpoint(resource.name)):
        found = manual_links.read_by(resource, key)
    if found is None:
        raise Misconfigured(
            f"--happened {key}: {resource.name} has no object of this key", "Give it as the target shows it"
        )
    [one] = unknown_writes.candidates(resource, [found[1]])
    if difference := adoption.differs(resource, doubt.doc, one, sent_at=doubt.effect.sent_at):
        raise Misconfigured(
            f"--happened {key}: this is not what {doubt.name} has made: {difference}",
            "Look for the right one; if it is the same object all the same, `syncengine link` them",
        )
    return FoundObject(one.key, one.doc)


def happened(engine: Engine, record: Record, doubt: UnknownWrite, key: str, *, by: str, because: str = "") -> None:
    """The write took effect: a create is linked with the object `key` of the target, a change is taken as agreed.

    Raises Misconfigured if a create is given no key, or one that `look` refuses; if the object is linked with another one,
    or the write was settled, or sent again, since the doubt was looked at.
    """
    flow, connection = engine.flow(record.flow), engine.connection(record.connection_id)
    created = doubt.effect.verb == Verb.CREATE
    key = find_object(engine, record, doubt, key).key if created else key
    now = clock.now()
    with engine.store.write() as session:
        links.take_turns(session, record.connection_id)
        record = _mine(session, record, doubt)
        _resolve(session, doubt, EffectState.DONE, key or doubt.effect.target_key)
        agreed = links.Agreed(doubt.agreed, doubt.numbers)
        if created:
            left, right = unknown_writes.pair_keys(flow, connection, record, doubt.effect, key)
            side = links.ends_of(flow, connection, record.key).side
            part = doubt.effect.part
            if problem := links.taken(session, record.connection_id, flow.entity, left, right, part, side=side):
                raise Misconfigured(problem)
            links.join(
                session, engine, flow, record, left=left, right=right, part=doubt.effect.part,
                natural_key=doubt.effect.natural_key, agreed=agreed, now=now,
            )  # fmt: skip
        elif doubt.effect.verb == Verb.CHANGE:
            found = links.of_records(session, flow, connection, [record])[record.id]
            if link := links.by_part(flow, connection, found).get(doubt.effect.part):
                links.agree(session, engine, flow, link.id, agreed, now)
        _continue(session, record, doubt, f"it happened{f' as {key}' if created else ''}", by, because)


def did_not(
    engine: Engine, record: Record, doubt: UnknownWrite, *, by: str, because: str = "", although_done: bool = False
) -> None:
    """The write did not take effect: it is sent once more, if it is still wanted.

    although_done: the person knows that the target has said otherwise. Raises Misconfigured if it has and this is not said,
    or the write was settled, or sent again, since the doubt was looked at.
    """
    with engine.store.write() as session:
        record = _mine(session, record, doubt)
        if _as_seen(session, doubt).accepted and not although_done:
            raise Misconfigured(
                f"the target has answered that {doubt.name} is done, and only told no key: it would be made twice",
                "Look for it there, then say --happened KEY; or, if you have seen that it is not there, --did-not "
                "--although-done",
            )
        _resolve(session, doubt, EffectState.INTENDED, None)
        _continue(session, record, doubt, "it did not happen", by, because)


def _mine(session: Session, record: Record, doubt: UnknownWrite) -> Record:
    """The record, locked. Raises Misconfigured if the write is not as it was seen, or the record is being worked on."""
    seen.locked(session, [record.id])
    _as_seen(session, doubt)  # before it is busy, which is what came of that
    return seen.mine(session, record.id)


def _as_seen(session: Session, doubt: UnknownWrite) -> Effect:
    """The write of a doubt, whose record is locked. Raises Misconfigured if it was settled, or sent again, since the look."""
    effect = session.get(Effect, doubt.effect.id, populate_existing=True)
    if effect is None or effect.state not in (EffectState.SENT, EffectState.UNKNOWN):
        by_whom = timeline.last_by_hand(session, SETTLED, Event.record_id == doubt.effect.record_id)
        raise Misconfigured(
            f"write {doubt.effect.id} is not in doubt any more{by_whom}", "`syncengine trace` shows what became of it"
        )
    if effect.sent_at != doubt.effect.sent_at:
        raise Misconfigured(f"{doubt.name} was sent again since you looked", "Look in the target for that one")
    return effect


def _resolve(session: Session, doubt: UnknownWrite, state: EffectState, key: str | None) -> None:
    if not effects.resolve(session, doubt.effect.id, clock.now(), state=state, target_key=key, by_hand=True):
        raise Misconfigured(f"{doubt.name} is under way again", "Try again in a minute")


def _continue(session: Session, record: Record, doubt: UnknownWrite, outcome: str, by: str, because: str) -> None:
    now = clock.now()
    detail = {"write": doubt.name, "outcome": outcome, "by": by, "because": because}
    told = {name: text for name, text in detail.items() if text}
    timeline.note(session, [record], SETTLED, now, {record.id: told})
    want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
