"""A write that nobody but a person can find out about: it happened, or it did not, and the record goes on from there."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Verb
from syncengine.engine import doubts, effects, linking, links, timeline
from syncengine.engine.effects import Doubt
from syncengine.engine.engine import Engine, calling
from syncengine.engine.held import in_doubt
from syncengine.engine.want import want
from syncengine.errors import Misconfigured
from syncengine.store.models import Record
from syncengine.store.states import EffectState, Lane


def doubt_of(session: Session, engine: Engine, record: Record, write: int | None = None) -> Doubt:
    """The write in doubt of a record, by the number of the write if there are several. Raises Misconfigured."""
    found = in_doubt(session, engine, [record.id])
    mine = [one for one in found if write is None or one.effect.id == write]
    if not mine:
        raise Misconfigured(
            f"{record.flow} {record.key} has no write{f' {write}' if write else ''} to be settled by hand"
        )
    if len(mine) > 1:
        several = ", ".join(one.name for one in mine)
        raise Misconfigured(
            f"{record.flow} {record.key} has several writes in doubt: {several}. Say which with --write"
        )
    if record.token is not None:
        raise Misconfigured(f"{record.flow} {record.key} is being worked on at this moment. Try again in a minute")
    mine[0].check_over(clock.now())
    return mine[0]


def possibilities(doubt: Doubt, key: str) -> Sequence[tuple[str, str]]:
    """Both of them: what may have happened, and what to say then. `key`: by which the record is named."""
    created = doubt.effect.verb == Verb.CREATE
    found = " with the key that it has there" if created else ""
    return (
        (f"it took effect: the target shows it{found}", f"syncengine held settle {key} --happened{' KEY' if created else ''}"),
        ("it did not: it is sent once more", f"syncengine held settle {key} --did-not"),
    )  # fmt: skip


def happened(engine: Engine, record: Record, doubt: Doubt, key: str, *, by: str, because: str = "") -> None:
    """The write took effect: a create is linked with the object `key` of the target, a change is taken as agreed.

    Raises Misconfigured if a create is given no key, the target has no such object, or it is linked with another one; and
    what reading it raises.
    """
    flow, site = engine.flow(record.flow), engine.site(record.connection_id)
    created = doubt.effect.verb == Verb.CREATE
    if created:
        key = _present(engine, record, doubt, key)
    now = clock.now()
    with engine.store.write() as session:
        _resolve(session, doubt, EffectState.DONE, key or doubt.effect.target_key)
        agreed = links.Agreed(doubt.agreed, doubt.numbers)
        if created:
            left, right = doubts.pair_keys(flow, site, record, doubt.effect, key)
            side = links.ends_of(flow, site, record.key).side
            part = doubt.effect.part
            if problem := links.taken(session, record.connection_id, flow.entity, left, right, part, side=side):
                raise Misconfigured(problem)
            links.join(
                session, engine, flow, record, left=left, right=right, part=doubt.effect.part,
                natural_key=doubt.effect.natural_key, agreed=agreed, now=now,
            )  # fmt: skip
        elif doubt.effect.verb == Verb.CHANGE:
            found = links.of_records(session, flow, site, [record])[record.id]
            if link := links.by_part(flow, site, found).get(doubt.effect.part):
                links.agree(session, engine, flow, link.id, agreed, now)
        _go_on(session, record, doubt, f"it happened{f' as {key}' if created else ''}", by, because)


def did_not(engine: Engine, record: Record, doubt: Doubt, *, by: str, because: str = "") -> None:
    """The write did not take effect: it is sent once more, if it is still wanted."""
    with engine.store.write() as session:
        _resolve(session, doubt, EffectState.INTENDED, None)
        _go_on(session, record, doubt, "it did not happen", by, because)


def _present(engine: Engine, record: Record, doubt: Doubt, key: str) -> str:
    """The key of an object as the target writes it."""
    if not key:
        raise Misconfigured("--happened needs the key that the object has in the target")
    resource = engine.site(record.connection_id).resource(doubt.effect.resource)
    with calling(engine.site(record.connection_id).endpoint(resource.name)):
        found = linking.read_by(resource, key)
    if found is None:
        raise Misconfigured(
            f"--happened {key}: {resource.name} has no object of this key. Give it as the target shows it"
        )
    return found[0]


def _resolve(session: Session, doubt: Doubt, state: EffectState, key: str | None) -> None:
    if not effects.resolve(session, doubt.effect.id, clock.now(), state=state, target_key=key, by_hand=True):
        raise Misconfigured(
            f"write {doubt.effect.id} is not in doubt any more. `syncengine trace` shows what became of it"
        )


def _go_on(session: Session, record: Record, doubt: Doubt, outcome: str, by: str, because: str) -> None:
    now = clock.now()
    detail = {"write": doubt.name, "outcome": outcome, "by": by, "because": because}
    told = {name: text for name, text in detail.items() if text}
    timeline.note(session, [record], "settled by hand", now, {record.id: told})
    want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
