"""Settling a write with an unknown outcome by hand: a person says whether it took effect, and the record is synced."""

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
from syncengine.engine.writes import link_keys, links, unknown_writes, unsettled
from syncengine.engine.writes.unsettled import UnknownWrite
from syncengine.errors import Misconfigured
from syncengine.store.models import Effect, Event, Record
from syncengine.store.states import EffectState, Lane

SETTLED = "settled by hand"


def unknown_write_of(session: Session, engine: Engine, record: Record, write: int | None = None) -> UnknownWrite:
    """The write of a record with an unknown outcome. write: its id, required if there are several. Raises Misconfigured."""
    found = unknown_writes_of(session, engine, [record.id])
    mine = [doubt for doubt in found if write is None or doubt.effect.id == write]
    if not mine:
        by_whom = timeline.last_by_hand(session, SETTLED, Event.record_id == record.id)
        raise Misconfigured(
            f"{record.flow} {record.key} has no write{f' {write}' if write else ''} to be settled by hand{by_whom}"
        )
    if len(mine) > 1:
        several = ", ".join(doubt.name for doubt in mine)
        raise Misconfigured(
            f"{record.flow} {record.key} has several writes in doubt: {several}", "Choose one with --write"
        )
    if record.token is not None:
        raise seen.busy(record)
    mine[0].check_over(clock.now())
    return mine[0]


def possibilities(doubt: UnknownWrite, key: str) -> Sequence[tuple[str, str]]:
    """Both possible outcomes, each with the command that states it. key: names the record."""
    created = doubt.effect.verb == Verb.CREATE
    with_key, key_there = (", with its key there", " KEY") if created else ("", "")
    return (
        (f"it took effect, and the target shows it{with_key}", f"syncengine held settle {key} --happened{key_there}"),
        ("it did not take effect, and is sent again", f"syncengine held settle {key} --did-not"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object of the target that a create may have made. key: as the target writes it. document: loaded by its schema."""

    key: str
    document: Doc


def find_object(engine: Engine, record: Record, doubt: UnknownWrite, key: str) -> FoundObject:
    """The object of the target that a create has made, according to a person.

    Raises Misconfigured if no object has this key, or it is another object: older than the write, or different in a field that
    identifies it. Raises what the call raises.
    """
    if not key:
        raise Misconfigured("--happened needs a key", "Add the key that the object has in the target")
    connection = engine.connection(record.connection_id)
    resource = connection.resource(doubt.effect.resource)
    with calling(connection.endpoint(resource.name)):
        found = manual_links.read_by(resource, key)
    if found is None:
        raise Misconfigured(
            f"--happened {key}: {resource.name} has no object with this key", "Use the key that the target shows"
        )
    [candidate] = unknown_writes.candidates(resource, [found[1]])
    if difference := adoption.differs(resource, doubt.doc, candidate, sent_at=doubt.effect.sent_at):
        raise Misconfigured(
            f"--happened {key}: {doubt.name} did not create this object: {difference}",
            "Find the right one. If it is the same object nevertheless, run `syncengine link`",
        )
    return FoundObject(candidate.key, candidate.doc)


def happened(engine: Engine, record: Record, doubt: UnknownWrite, key: str, *, by: str, because: str = "") -> None:
    """Record that the write took effect: a create is linked to the target's object `key`, a change counts as agreed.

    Raises Misconfigured if `find_object` refuses the key of a create, the object is linked to another one, or the write was
    settled or sent again since it was shown; and what the call for the object raises.
    """
    route = engine.route_of(record)
    created = doubt.effect.verb == Verb.CREATE
    key = find_object(engine, record, doubt, key).key if created else key
    now = clock.now()
    with engine.store.write() as session:
        links.take_turns(session, record.connection_id)
        record = _mine(session, record, doubt)
        _resolve(session, doubt, EffectState.DONE, key or doubt.effect.target_key)
        agreed = links.Agreed(doubt.agreed, doubt.numbers)
        if created:
            left, right = unknown_writes.pair_keys(route, record, doubt.effect, key)
            side = route.keys.ends(record.key).side
            part = doubt.effect.part
            if problem := links.taken(session, record.connection_id, route.flow.entity, left, right, part, side=side):
                raise Misconfigured(problem)
            links.join(
                session, route, record, left=left, right=right, part=doubt.effect.part,
                natural_key=doubt.effect.natural_key, agreed=agreed, now=now,
            )  # fmt: skip
        elif doubt.effect.verb == Verb.CHANGE:
            found = links.of_records(session, route, [record])[record.id]
            if link := link_keys.by_part(route, found).get(doubt.effect.part):
                links.agree(session, route, link.id, agreed, now)
        _continue(session, record, doubt, f"it happened{f' as {key}' if created else ''}", by, because)


def did_not(
    engine: Engine, record: Record, doubt: UnknownWrite, *, by: str, because: str = "", although_done: bool = False
) -> None:
    """Record that the write did not take effect: it is sent again if it is still wanted.

    although_done: required if the target has confirmed the write. Raises Misconfigured if it is missing then, or the write was
    settled or sent again since it was shown.
    """
    with engine.store.write() as session:
        record = _mine(session, record, doubt)
        if _as_seen(session, doubt).accepted and not although_done:
            raise Misconfigured(
                f"the target has confirmed {doubt.name} without returning a key: it would be created twice",
                "Search for it there, then use --happened KEY; if you are sure that it does not exist, use --did-not "
                "--although-done",
            )
        _resolve(session, doubt, EffectState.INTENDED, None)
        _continue(session, record, doubt, "it did not happen", by, because)


def _mine(session: Session, record: Record, doubt: UnknownWrite) -> Record:
    """The record, locked. Raises Misconfigured if the write has changed since it was shown, or the record is in progress."""
    seen.locked(session, [record.id])
    _as_seen(session, doubt)  # before checking that it is busy, which a settlement would cause
    return seen.mine(session, record.id)


def _as_seen(session: Session, doubt: UnknownWrite) -> Effect:
    """The current state of a write whose record is locked. Raises Misconfigured if it was settled or sent again since."""
    effect = session.get(Effect, doubt.effect.id, populate_existing=True)
    if effect is None or effect.state not in (EffectState.SENT, EffectState.UNKNOWN):
        by_whom = timeline.last_by_hand(session, SETTLED, Event.record_id == doubt.effect.record_id)
        raise Misconfigured(
            f"write {doubt.effect.id} is not in doubt any more{by_whom}", "Run `syncengine trace` to see its outcome"
        )
    if effect.sent_at != doubt.effect.sent_at:
        raise Misconfigured(f"{doubt.name} was sent again meanwhile", "Check the target for that write")
    return effect


def _resolve(session: Session, doubt: UnknownWrite, state: EffectState, key: str | None) -> None:
    if not unsettled.resolve(session, doubt.effect.id, clock.now(), state=state, target_key=key, by_hand=True):
        raise Misconfigured(f"{doubt.name} is being sent again", "Try again in a minute")


def _continue(session: Session, record: Record, doubt: UnknownWrite, outcome: str, by: str, because: str) -> None:
    now = clock.now()
    facts = {"write": doubt.name, "outcome": outcome, "by": by, "because": because}
    detail = {name: text for name, text in facts.items() if text}
    timeline.note(session, [record], SETTLED, now, {record.id: detail})
    want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
