"""Linking two existing objects by hand: both are read, shown, and linked without an agreement.

The next sync compares them for the first time, and the policy of each field decides about its differences
(`first_comparison.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Resource, Verb
from syncengine.document import Doc
from syncengine.engine.core import decisions, records, timeline
from syncengine.engine.core.engine import Engine, Route, calling
from syncengine.engine.core.want import is_key, want
from syncengine.engine.decide import adoption, first_comparison
from syncengine.engine.decide.merge import Merged, merge
from syncengine.engine.decide.plan import Step
from syncengine.engine.people import manual, record_search, seen
from syncengine.engine.people.preview import parts_of, preview
from syncengine.engine.steps.pump import pump
from syncengine.engine.writes import link_keys, links, unsettled
from syncengine.engine.writes.unsettled import UnknownWrite
from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.contract import MissingLookup
from syncengine.store.models import Event, Link, Record
from syncengine.store.states import EffectState, Lane

LINKED = "linked by hand"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two objects that may be linked, as their systems returned them.

    differences: field by field, None if unknown. identity: what suggests that they are two different objects, empty if nothing
    does. reason: why the flow would create nothing for the source's object, for example because it is cancelled, which also
    applies to the linked object; empty if it would. creates: other parts of the source's object that are not linked and will
    be created by the next sync. ignored: who had it ignored, which ends with the link. doubts: by id, the names of creates
    with an unknown outcome, which count as successful once linked.
    """

    connection_id: int
    flow: str
    part: str
    left: tuple[str, Doc]
    right: tuple[str, Doc]
    natural_key: str
    differences: Merged | None
    reason: str
    identity: str = ""
    creates: Sequence[str] = ()
    ignored: str = ""
    doubts: Mapping[int, str] = field(default_factory=dict)


def inspect(engine: Engine, connection_id: int, flow_name: str, left: str, right: str, *, part: str = "") -> Pairing:
    """Read both objects, each by its key or reference, and compare them. Nothing is stored.

    Raises Misconfigured if one does not exist or is linked already, or if the flow does not map the source's object to this
    part; and what the systems' calls raise.
    """
    route = engine.route(connection_id, flow_name)
    by_side = {route.source_side: route.source, route.target_side: route.target}
    found = {side: _read(route, by_side[side], side, id_) for side, id_ in (("left", left), ("right", right))}
    with engine.store.read() as session:
        _check(session, route, found["left"][0], found["right"][0], part)
    source_key = found[route.source_side][0]
    others = _other_parts(route, source_key, part)
    step, reason = _as_created(route, source_key, part)
    differences, identity = None, ""
    if step is not None and not route.flow.two_way:
        there = found[route.target_side][1]
        differences, identity = _compared(route, step, there), _identity(route.target, step, there)
    natural = step.operation.natural_key if step is not None else ""
    with engine.store.read() as session:
        concerned = _records(session, route, found["left"][0], found["right"][0])
        doubts = {doubt.effect.id: doubt.name for doubt in _creates_in_doubt(session, engine, concerned, part)}
    ignored = next((record.ignored for record in concerned if record.ignored), "")
    return Pairing(
        connection_id, flow_name, part, found["left"], found["right"], natural, differences, reason,
        identity, others, ignored, doubts,
    )  # fmt: skip


def _other_parts(route: Route, key: str, part: str) -> list[str]:
    """The other parts to which an object is mapped now and that are not linked. Raises Misconfigured.

    A part that only other records could ask for is accepted if all of the object's own parts are linked, since nothing is
    created then.
    """
    if route.flow.two_way or not route.flow.mapping.has_parts:
        if part:
            raise Misconfigured(f"{route.flow.name} has no parts, so {key} has no part {part!r}", "Omit --part")
        return []
    try:
        own = parts_of(route, key)
        known = own if part in own else parts_of(route, key, asked=part)
    except (Rejected, MissingLookup) as why:
        raise Misconfigured(
            f"the parts to which {key} is mapped cannot be determined: {why}", "Correct this first"
        ) from None
    linked = _linked_parts(route, key)
    open_ = [other for other in own if other not in linked]
    if part not in own and (open_ or part not in known):
        named = f"part {part!r}" if part else "no part"
        raise Misconfigured(
            f"{key} is mapped to {', '.join(own) or 'nothing'}, not to {named}: its own object would be created beside the "
            "linked one",
            "Set --part to one of these",
        )
    return [other for other in open_ if other != part]


def _linked_parts(route: Route, key: str) -> set[str]:
    own = Link.left_key if route.source_side == "left" else Link.right_key
    query = select(Link).where(Link.connection_id == route.connection_id, Link.entity == route.flow.entity, own == key)
    with route.engine.store.read() as session:
        return {
            link_keys.part_on(link, route.source_side)
            for link in session.scalars(query.where(Link.provisional.is_(False)))
        }


def _identity(target: Resource, step: Step, there: Doc) -> str:
    """How the target's object differs in identity from the one that would be created; empty if it does not."""
    try:
        return adoption.identity_differs(target, step.operation.doc, target.load(there))
    except Rejected as why:
        return f"it is invalid in its own system: {why}"


def _records(session: Session, route: Route, left: str, right: str) -> list[Record]:
    """The existing records of the two objects: of a pair there may be one for each side."""
    keys = route.keys.all_of_link(left, right)
    query = select(Record).where(
        Record.connection_id == route.connection_id, Record.flow == route.flow.name, Record.key.in_(keys)
    )
    return list(session.scalars(query.order_by(Record.id)))


def _creates_in_doubt(session: Session, engine: Engine, concerned: Sequence[Record], part: str) -> list[UnknownWrite]:
    """Creates of these records and this part with an unknown outcome."""
    found = unsettled.unknown_of(session, engine, [record.id for record in concerned])
    return [doubt for doubt in found if doubt.effect.verb == Verb.CREATE and doubt.effect.part == part]


def _read(route: Route, resource: Resource, side: str, id_: str) -> tuple[str, Doc]:
    if not is_key(id_):
        raise Misconfigured(f"{side} {id_[:40]!r} is not a valid key")
    with calling(route.connection.endpoint(resource.name)):
        found = read_by(resource, id_)
        if found is not None:
            return found
        named = _named(resource, id_) or _known(route, resource, side, id_)
    if len(named) == 1:
        return resource.key_of(named[0]), named[0]
    several = ": several have this reference" if named else ""
    raise Misconfigured(
        f"{side} {id_}: {resource.name} has no such object{several}", "Use the key that this system shows"
    )


def read_by(resource: Resource, id_: str) -> tuple[str, Doc] | None:
    """An object with its key, read by a key as people write it (`1157` for `001157`); None if there is none.

    Raises what the call raises.
    """
    doc = resource.read([id_]).get(id_)
    if doc is None:
        return None
    key = resource.key_of(doc)
    if key == id_:
        return key, doc
    again = resource.read([key]) if is_key(key) else {}  # an object that its own key does not lead to cannot be linked
    return (key, again[key]) if key in again and resource.key_of(again[key]) == key else None


def _named(resource: Resource, reference: str) -> list[Doc]:
    """Objects with this reference; none if the resource cannot be searched."""
    try:
        return list(resource.find([reference]).get(reference, ()))
    except LookupError:
        return []


def _known(route: Route, resource: Resource, side: str, name: str) -> list[Doc]:
    """The objects, on this side, of the records that have a name (`record_search.by_name`), read now."""
    connection, flow = route.connection.row.name, route.flow.name
    with route.engine.store.read() as session:
        named = record_search.by_name(session, route.engine, name, connection=connection, flow=flow, most=2)
        keys = {route.keys.ends(each.record.key).on(side) for each in named}
    return list(resource.read(sorted(key for key in keys if key)).values())


def _check(session: Session, route: Route, left: str, right: str, part: str) -> None:
    if route.flow.write_back:
        raise Misconfigured(
            f"{route.flow.name} uses the links of {route.flow.entity} and creates none",
            "Use the flow that creates them",
        )
    mine = (Link.connection_id == route.connection_id, Link.entity == route.flow.entity, Link.provisional.is_(False))
    same = (Link.left_key == left, Link.right_key == right, Link.part == part)
    if session.scalar(select(Link.id).where(*mine, *same)) is not None:
        both = [record.id for record in _records(session, route, left, right)]
        by_whom = timeline.last_by_hand(session, LINKED, Event.record_id.in_(both))
        raise Misconfigured(f"{left} and {right} are linked already{by_whom}")
    if problem := links.taken(
        session, route.connection_id, route.flow.entity, left, right, part, side=route.keys.owner
    ):
        raise Misconfigured(problem, "If that link is wrong, run `syncengine unlink` for it first")


def _as_created(route: Route, key: str, part: str) -> tuple[Step | None, str]:
    """What would be created for the source's object, to compare it and for its reference; or None, and why nothing would."""
    record_key = route.keys.of(route.source_side, key)
    for planned in preview(route, [record_key]):
        outcome = planned.outcome
        if planned.flow == route.flow.name and planned.key == record_key:
            if isinstance(outcome, Rejected):
                return None, str(outcome)
            creates = [step for step in outcome.steps if step.part == part and step.operation.verb is Verb.CREATE]
            return (creates[0], "") if creates else (None, outcome.reason)
    return None, ""


def _compared(route: Route, step: Step, there: Doc) -> Merged | None:
    target = route.target
    try:
        current = target.load(there)
    except Rejected:
        return None
    wanted = step.operation.doc
    base, numbers = first_comparison.base(wanted, current, line_fields=target.line_fields)
    return merge(
        base, wanted, current, policy=route.flow.mapping.policy, line_fields=target.line_fields, numbers=numbers
    )  # fmt: skip


def join(engine: Engine, pairing: Pairing, *, by: str, because: str = "") -> Record:
    """Link the two and compare them at once. Returns their record, which is no longer ignored and has no active decision.

    A create with an unknown outcome that was shown counts as successful. Raises Misconfigured if one of the objects has been
    linked meanwhile or is being worked on, or if a create is still under way or was not shown; and Transient.
    """
    route, now = engine.route(pairing.connection_id, pairing.flow), clock.now()
    left, right = pairing.left[0], pairing.right[0]
    key = route.keys.of_link(left, right)
    with engine.store.write() as session:
        links.take_turns(session, pairing.connection_id)
        _check(session, route, left, right, pairing.part)
        record = manual.get_or_create(session, engine, route.connection_id, route.flow.name, key, now)
        both = [seen.mine(session, each.id) for each in (record, *_other(session, route, record, right))]
        record = both[0]
        if record.ignored and record.ignored != pairing.ignored:
            raise Misconfigured(
                f"{route.flow.name} {key} was ignored meanwhile ({record.ignored})", "Check why, then link it"
            )
        decisions.end(session, both, now, f"linked by {by}")
        records.unignore(session, record.id, now)
        records.forget_last(session, [record.id])
        _confirm_creates(session, route, both, pairing)
        links.join(
            session, route, record, left=left, right=right, part=pairing.part, natural_key=pairing.natural_key,
            agreed=links.Agreed(dict(first_comparison.NOTHING), {}), now=now,
        )  # fmt: skip
        facts = {"left": left, "right": right, "part": pairing.part, "by": by, "because": because}
        detail: Mapping[str, str] = {name: text for name, text in facts.items() if text}
        timeline.note(session, [record], LINKED, now, {record.id: detail})
        want(session, record.connection_id, record.flow, [key], lane=Lane.REALTIME, now=now)
    pump(engine)
    return record


def _other(session: Session, route: Route, record: Record, right: str) -> list[Record]:
    """The right-hand record of a pair, which is merged into the left-hand one."""
    if not route.keys.one_per_pair:
        return []
    query = select(Record).where(Record.connection_id == record.connection_id, Record.flow == route.flow.name)
    return list(session.scalars(query.where(Record.key == route.keys.of("right", right))))


def _confirm_creates(session: Session, route: Route, concerned: Sequence[Record], pairing: Pairing) -> None:
    """Mark creates with an unknown outcome as done. Raises Misconfigured if one may still happen, or was not shown."""
    now = clock.now()
    for doubt in _creates_in_doubt(session, route.engine, concerned, pairing.part):
        doubt.check_over(now)
        if doubt.effect.id not in pairing.doubts:
            raise Misconfigured(
                f"the outcome of {doubt.name} is unknown, and it was sent after the preview", "Run the command again"
            )
        made = pairing.right if route.connection.side(doubt.effect.resource) == "right" else pairing.left
        unsettled.resolve(session, doubt.effect.id, now, state=EffectState.DONE, target_key=made[0])
