"""Everything that happened to an object, by any id of either system; and if it is not there, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syncengine.engine.engine import Engine
from syncengine.store.models import Connection, Correction, Cursor, Effect, Event, Failure, Link, Record
from syncengine.store.states import Status

ZEROS = "0"


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of one record: its state in words, its links, writes, failures and timeline. JSON-able but for times."""

    connection: str
    flow: str
    key: str
    state: str
    record: dict[str, Any]
    links: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    corrections: list[dict[str, Any]]  # without their patches; the timeline has the paths
    events: list[dict[str, Any]]


def trace(engine: Engine, id_: str) -> list[Trace]:
    """The records that an id names: a key of the source, a key of the target, a reference, with or without zeros before it."""
    with engine.store.read() as session:
        names = {connection.id: connection.name for connection in session.scalars(select(Connection))}
        return [_of(session, record, names) for record in _records(session, id_)]


def of_record(session: Session, record: Record) -> Trace:
    """What is known of one record."""
    name = session.get_one(Connection, record.connection_id).name
    return _of(session, record, {record.connection_id: name})


def why_not(engine: Engine, id_: str) -> list[str]:
    """What may be the reason that nothing is known of an id: which flows are read, until when."""
    lines = []
    with engine.store.read() as session:
        for connection in session.scalars(select(Connection).order_by(Connection.name)):
            for name in connection.flows:
                query = select(Cursor.read_at).where(Cursor.connection_id == connection.id, Cursor.flow == name)
                times = [at for at in session.scalars(query.where(Cursor.feed != "")) if at is not None]
                until = f"was read until {min(times):%Y-%m-%d %H:%M:%S} UTC" if times else "was never read"
                lines.append(f"{connection.name}: {name} {until}")
    if not lines:
        return ["there is no connection yet. Run `syncengine configure`"]
    return [*lines, f"To fetch it now: syncengine sync FLOW --id {id_}"]


def _records(session: Session, id_: str) -> Sequence[Record]:
    forms = {id_, id_.lstrip(ZEROS) or id_, f"left:{id_}", f"right:{id_}"}
    padded = or_(*(column.endswith(id_) for column in (Link.right_key, Link.left_key)))
    found: dict[int, Record] = {}
    for record in session.scalars(select(Record).where(Record.key.in_(forms))):
        found[record.id] = record
    links = session.scalars(
        select(Link).where(
            or_(Link.left_key.in_(forms), Link.right_key.in_(forms), Link.natural_key.in_(forms), padded)
        )
    )
    for link in links:
        if any((end or "").lstrip(ZEROS) in forms for end in (link.left_key, link.right_key, link.natural_key)):
            ends = (link.left_key, link.right_key, f"left:{link.left_key}")
            query = select(Record).where(Record.connection_id == link.connection_id, Record.key.in_(ends))
            found |= {record.id: record for record in session.scalars(query) if _belongs(session, record, link)}
    effects = select(Effect.record_id).where(or_(Effect.target_key.in_(forms), Effect.natural_key.in_(forms)))
    for record in session.scalars(select(Record).where(Record.id.in_(effects))):
        found[record.id] = record
    return [found[record_id] for record_id in sorted(found)]


def _belongs(session: Session, record: Record, link: Link) -> bool:
    query = select(Effect.id).where(Effect.record_id == record.id, Effect.entity == link.entity).limit(1)
    return record.flow == link.entity or session.scalar(query) is not None


def _of(session: Session, record: Record, names: dict[int, str]) -> Trace:
    effects = session.scalars(select(Effect).where(Effect.record_id == record.id).order_by(Effect.id)).all()
    failures = session.scalars(select(Failure).where(Failure.record_id == record.id).order_by(Failure.id)).all()
    corrections = session.scalars(
        select(Correction).where(Correction.record_id == record.id).order_by(Correction.id)
    ).all()
    events = session.scalars(select(Event).where(Event.record_id == record.id).order_by(Event.id)).all()
    links = session.scalars(
        select(Link)
        .where(Link.connection_id == record.connection_id, Link.entity.in_({record.flow, *(e.entity for e in effects)}))
        .where(
            or_(Link.left_key == record.key.removeprefix("left:"), Link.right_key == record.key.removeprefix("right:"))
        )
    ).all()
    return Trace(
        connection=names[record.connection_id],
        flow=record.flow,
        key=record.key,
        state=state_of(session, record),
        record=_columns(
            record, "status", "reason", "wanted", "done", "stage", "not_before", "pause", "attempts", "seen_version"
        ),
        links=[_columns(one, "left_key", "part", "right_key", "natural_key", "provisional", "lines") for one in links],
        effects=[
            _columns(
                one, "id", "verb", "resource", "part", "state", "target_key", "sends", "sent_at", "warnings", "error"
            )
            for one in effects
        ],
        failures=[
            _columns(
                one,
                "id",
                "kind",
                "stage",
                "cause",
                "field",
                "value",
                "remedy",
                "opened_at",
                "closed_at",
                "closed_because",
            )
            for one in failures
        ],
        corrections=[
            _columns(one, "id", "because", "made_by", "made_at", "lapsed_at", "lapsed_because") for one in corrections
        ],
        events=[_columns(one, "at", "what", "detail") for one in events],
    )


def _columns(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def state_of(session: Session, record: Record) -> str:
    """One sentence for a person: where it is, and what it waits for."""
    if record.token is not None:
        return f"being worked on ({record.stage})"
    if record.wanted > record.done:
        because = f" ({record.pause}: {record.reason})" if record.pause and record.reason else ""
        return f"due, next step {record.stage}, not before {record.not_before:%Y-%m-%d %H:%M:%S} UTC{because}"
    if record.status == Status.WAITING:
        return f"waiting: {record.reason}{_blocker(session, record)}"
    return f"{record.status}{f': {record.reason}' if record.reason else ''}"


def _blocker(session: Session, record: Record) -> str:
    blocker = session.scalars(
        select(Record).where(
            Record.connection_id == record.connection_id,
            Record.flow == record.need_entity,
            Record.key == record.need_key,
        )
    ).first()
    return f", which is {blocker.status}{f' ({blocker.reason})' if blocker.reason else ''}" if blocker else ""
