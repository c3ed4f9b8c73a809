"""A person links two objects that exist: both are read, looked at, and joined without an agreement.

The next look then compares them, and each difference goes by the policy of its field (`joined.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Resource, Verb
from syncengine.document import Doc
from syncengine.engine import byhand, effects, joined, links, records, timeline
from syncengine.engine.engine import Engine, Site, calling
from syncengine.engine.merge import Merged, merge
from syncengine.engine.plan import Step
from syncengine.engine.preview import preview
from syncengine.engine.pump import pump
from syncengine.engine.want import is_key, want
from syncengine.errors import Misconfigured, Rejected
from syncengine.flows.flow import Flow
from syncengine.store.models import Link, Record
from syncengine.store.states import EffectState, Lane


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two objects that may be linked, as their systems gave them.

    differences: field by field, None if it cannot be told. reason: why the flow would create nothing for the source's object,
    as that it is cancelled; the flow goes by it for the linked object too. Empty if it would.
    """

    connection_id: int
    flow: str
    part: str
    left: tuple[str, Doc]
    right: tuple[str, Doc]
    natural_key: str
    differences: Merged | None
    reason: str


def look(engine: Engine, connection_id: int, flow_name: str, left: str, right: str, *, part: str = "") -> Pairing:
    """Read both objects, by key or reference.

    Raises Misconfigured if one is not there, or linked already; and what the systems' calls raise.
    """
    flow, site = engine.flow(flow_name), engine.site(connection_id)
    by_side = {site.side(name): site.resource(name) for name in (flow.source, flow.target)}
    found = {
        side: _read(engine, connection_id, by_side[side], side, id_) for side, id_ in (("left", left), ("right", right))
    }
    with engine.store.read() as session:
        _check(session, connection_id, flow, site, found["left"][0], found["right"][0], part)
    source_key = found[site.side(flow.source)][0]
    step, reason = _as_created(engine, connection_id, flow, source_key, part)
    differences = None
    if step is not None and not flow.two_way:
        differences = _compared(site.resource(flow.target), flow, step, found[site.side(flow.target)][1])
    natural = step.operation.natural_key if step is not None else ""
    return Pairing(connection_id, flow_name, part, found["left"], found["right"], natural, differences, reason)


def _read(engine: Engine, connection_id: int, resource: Resource, side: str, id_: str) -> tuple[str, Doc]:
    if not is_key(id_):
        raise Misconfigured(f"{side} {id_[:40]!r} cannot be a key")
    with calling(engine.site(connection_id).endpoint(resource.name)):
        found = read_by(resource, id_)
        if found is not None:
            return found
        named = _named(resource, id_)
    if len(named) == 1:
        return resource.key_of(named[0]), named[0]
    several = ": several bear this reference" if named else ""
    raise Misconfigured(
        f"{side} {id_}: {resource.name} has no such object{several}. Give its key as that system shows it"
    )


def read_by(resource: Resource, id_: str) -> tuple[str, Doc] | None:
    """An object with its key, by the key however a person writes it (`1157` for `001157`); None if there is none."""
    doc = resource.read([id_]).get(id_)
    if doc is None:
        return None
    key = resource.key_of(doc)
    if key == id_:
        return key, doc
    again = resource.read([key]) if is_key(key) else {}  # what is not its own key in the system is nothing to link with
    return (key, again[key]) if key in again and resource.key_of(again[key]) == key else None


def _named(resource: Resource, reference: str) -> list[Doc]:
    """Objects that bear a reference; none where the resource cannot be searched."""
    try:
        return list(resource.find([reference]).get(reference, ()))
    except LookupError:
        return []


def _check(session: Session, connection_id: int, flow: Flow, site: Site, left: str, right: str, part: str) -> None:
    if flow.write_back:
        raise Misconfigured(
            f"{flow.name} uses the links of {flow.entity} and makes none. Name the flow that makes them"
        )
    mine = (Link.connection_id == connection_id, Link.entity == flow.entity, Link.provisional.is_(False))
    same = (Link.left_key == left, Link.right_key == right, Link.part == part)
    if session.scalar(select(Link.id).where(*mine, *same)) is not None:
        raise Misconfigured(f"{left} and {right} are linked already")
    side = "right" if not flow.two_way and site.side(flow.source) == "right" else "left"
    if problem := links.taken(session, connection_id, flow.entity, left, right, part, side=side):
        raise Misconfigured(f"{problem}. `syncengine unlink` that first, if it is wrong")


def _as_created(engine: Engine, connection_id: int, flow: Flow, key: str, part: str) -> tuple[Step | None, str]:
    """What would be created for the source's object, for its reference and to be compared; or why nothing would."""
    side = engine.site(connection_id).side(flow.source)
    record_key = f"{side}:{key}" if flow.two_way else key
    for planned in preview(engine, connection_id, flow.name, [record_key]):
        outcome = planned.outcome
        if planned.flow == flow.name and planned.key == record_key:
            if isinstance(outcome, Rejected):
                return None, str(outcome)
            creates = [one for one in outcome.steps if one.part == part and one.operation.verb is Verb.CREATE]
            return (creates[0], "") if creates else (None, outcome.reason)
    return None, ""


def _compared(target: Resource, flow: Flow, step: Step, there: Doc) -> Merged | None:
    try:
        current = target.load(there)
    except Rejected:
        return None
    wanted = step.operation.doc
    base, numbers = joined.base(wanted, current, line_fields=target.line_fields)
    return merge(
        base, wanted, current, policy=flow.mapping.policy, line_fields=target.line_fields, numbers=numbers
    )  # fmt: skip


def join(engine: Engine, pairing: Pairing, *, by: str, because: str = "") -> Record:
    """Link the two and have them compared at once; returns their record. What ignored it does so no more.

    A create of it whose outcome was unknown has happened, by this word. Raises Misconfigured if one of them has been linked
    meanwhile, is being worked on, or may still be created by a write that was given up.
    """
    flow, site, now = engine.flow(pairing.flow), engine.site(pairing.connection_id), clock.now()
    left, right = pairing.left[0], pairing.right[0]
    side = "left" if flow.two_way else site.side(flow.source)
    key = left if side == "left" else right
    with engine.store.write() as session:
        _check(session, pairing.connection_id, flow, site, left, right, pairing.part)
        key = f"left:{left}" if flow.two_way else key
        record = byhand.known(session, engine, pairing.connection_id, flow.name, key, now)
        if any(one.token is not None for one in (record, *_other(session, flow, record, right))):
            raise Misconfigured(f"{flow.name} {key} is being worked on at this moment. Try again in a minute")
        records.heed(session, record.id, now)
        records.forget_last(session, [record.id])
        both = [record.id, *(one.id for one in _other(session, flow, record, right))]
        _settle(session, engine, site, both, pairing)
        links.join(
            session, engine, flow, record, left=left, right=right, part=pairing.part, natural_key=pairing.natural_key,
            agreed=links.Agreed(dict(joined.NOTHING), {}), now=now,
        )  # fmt: skip
        detail = {"left": left, "right": right, "part": pairing.part, "by": by, "because": because}
        told: Mapping[str, str] = {name: text for name, text in detail.items() if text}
        timeline.note(session, [record], "linked by hand", now, {record.id: told})
        want(session, record.connection_id, record.flow, [key], lane=Lane.REALTIME, now=now)
    pump(engine)
    return record


def _other(session: Session, flow: Flow, record: Record, right: str) -> list[Record]:
    """The record of a pair that began on the right, which is folded into the left one."""
    query = select(Record).where(Record.connection_id == record.connection_id, Record.flow == flow.name)
    return list(session.scalars(query.where(Record.key == f"right:{right}"))) if flow.two_way else []


def _settle(session: Session, engine: Engine, site: Site, record_ids: Sequence[int], pairing: Pairing) -> None:
    """Creates of these records in doubt have happened, by this word. Raises Misconfigured if one may still happen."""
    now = clock.now()
    for doubt in effects.in_doubt(session, engine, record_ids):
        if doubt.effect.verb == Verb.CREATE and doubt.effect.part == pairing.part:
            doubt.check_over(now)
            made = pairing.right if site.side(doubt.effect.resource) == "right" else pairing.left
            effects.resolve(session, doubt.effect.id, now, state=EffectState.DONE, target_key=made[0])
