"""The history of an object, by any id of either system; for an unknown id, the possible reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import record_search
from syncengine.engine.traffic import endpoints
from syncengine.engine.upkeep import names
from syncengine.engine.writes import effects, links
from syncengine.redaction import safe_text
from syncengine.store.models import (
    ConnectionRow,
    Correction,
    Cursor,
    Decision,
    Effect,
    Endpoint,
    Event,
    Failure,
    Link,
    Record,
    Run,
)
from syncengine.store.states import EffectState, Pause, Status

RECORD = (
    "id", "key", "status", "reason", "wanted", "claimed", "done", "stage", "lane", "not_before", "pause", "attempts", "crashes",
    "ignored", "parts", "seen_version", "done_version", "fetched_at", "run_id", "created_at", "updated_at",
)  # fmt: skip
LINK = (
    "entity",
    "left_key",
    "part",
    "right_key",
    "natural_key",
    "provisional",
    "revision",
    "lines",
    "created_at",
    "updated_at",
)
EFFECT = (
    "id", "verb", "resource", "part", "natural_key", "target_key", "state", "sends", "created_at", "sent_at", "settle_until",
    "warnings", "attention", "error", "updated_at",
)  # fmt: skip
FAILURE = (
    "id", "kind", "stage", "cause", "field", "value", "remedy", "opened_at", "closed_at", "closed_because", "closed_by",
)  # fmt: skip
CORRECTION = ("id", "because", "made_by", "made_at", "lapsed_at", "lapsed_because")
DECISION = ("id", "verdict", "plan_hash", "because", "made_by", "made_at", "lapsed_at", "lapsed_because")
EVENT = ("id", "at", "what", "detail")


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything known about one record, ready for JSON except for its times.

    state: in words. systems: by side. corrections: without their patches. way: its history in order, from events, writes and
    dead letters, each entry with `at` (UTC), `what` and `detail`.
    """

    connection: str
    flow: str
    key: str
    state: str
    systems: dict[str, str]
    record: dict[str, Any]
    links: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    corrections: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    events: list[dict[str, Any]]
    way: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Match:
    """A record that has a name, for a list: what kind of name it is, and the record's state in words."""

    connection: str
    flow: str
    key: str
    kind: str
    state: str


def trace(engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None) -> list[Trace]:
    """The records that an id names: a key of either system or the reference of a write, with or without leading zeros.

    If there are none, the only record that has it as a name; several are listed by `matches`. Raises Misconfigured for an
    invalid id, and Transient.
    """
    with engine.store.read() as session:
        found = record_search.by_id(session, engine, id_, connection=connection, flow=flow)
        if not found:
            named = record_search.by_name(session, engine, id_, connection=connection, flow=flow)
            meant = record_search.meant(engine, [each.record for each in named])
            found = meant if len(meant) == 1 else []
        return [of_record(session, engine, record) for record in found]


def matches(engine: Engine, id_: str, *, connection: str | None = None, flow: str | None = None) -> list[Match]:
    """The records that have this name and that `trace` does not show, newest first. Raises as `trace`."""
    with engine.store.read() as session:
        shown = {record.id for record in record_search.by_id(session, engine, id_, connection=connection, flow=flow)}
        named = record_search.by_name(session, engine, id_, connection=connection, flow=flow)
        meant = {record.id for record in record_search.meant(engine, [each.record for each in named])}
        named = [each for each in named if each.record.id in meant]
        if not shown and len(named) == 1:
            return []
        places = {row.id: row.name for row in session.scalars(select(ConnectionRow))}
        return [
            Match(places[record.connection_id], record.flow, record.key, str(each.kind), state_of(session, record))
            for each in named
            if (record := each.record).id not in shown
        ]


def of_record(session: Session, engine: Engine, record: Record) -> Trace:
    """Everything known about one record. Raises Transient."""
    connection = session.get_one(ConnectionRow, record.connection_id)
    ends = {"left": connection.left_id, "right": connection.right_id}
    events, ids = _events(session, record)
    writes = _effects(session, engine, ids)
    failures, corrections = _rows(session, Failure, ids), _rows(session, Correction, ids)
    runs = session.scalars(select(Run).where(Run.id == record.run_id)).all() if record.run_id else ()
    its_links = _links(session, record, {record.flow, *(effect["entity"] for effect in writes)})
    return Trace(
        connection=connection.name,
        flow=record.flow,
        key=record.key,
        state=state_of(session, record),
        systems={side: session.get_one(Endpoint, id_).system for side, id_ in ends.items()},
        record=_columns(record, RECORD),
        links=its_links,
        effects=[{name: effect[name] for name in (*EFFECT, "changes")} for effect in writes],
        failures=failures,
        corrections=corrections,
        decisions=_rows(session, Decision, ids),
        runs=[_columns(run, ("id", "trigger", "lane", "started_at", "finished_at", "error")) for run in runs],
        events=events,
        way=_history(events, writes, failures),
    )


def _rows(session: Session, model: Any, record_ids: Sequence[int]) -> list[dict[str, Any]]:
    names = {Failure: FAILURE, Correction: CORRECTION, Decision: DECISION}[model]
    query = select(model).where(model.record_id.in_(record_ids)).order_by(model.id)
    return [_columns(row, names) for row in session.scalars(query)]


def _effects(session: Session, engine: Engine, record_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The writes of these records, each with what it changed (`effects.changes_of`)."""
    found = session.scalars(select(Effect).where(Effect.record_id.in_(record_ids)).order_by(Effect.id))
    return [
        {**_columns(effect, (*EFFECT, "entity")), "changes": effects.changes_of(engine, effect)} for effect in found
    ]


def _events(session: Session, record: Record) -> tuple[list[dict[str, Any]], list[int]]:
    """Events of a record and of those that were merged into it, and the ids of all these records."""
    ids, more = [], [record.id]
    found: list[Event] = []
    while more:
        ids += more
        some = session.scalars(select(Event).where(Event.record_id.in_(more))).all()
        found += some
        folded = [event.detail["record"] for event in some if event.what == links.FOLDED]
        more = [id_ for id_ in folded if id_ not in ids]
    return [_columns(event, EVENT) for event in sorted(found, key=lambda event: event.id)], ids


def _links(session: Session, record: Record, entities: set[str]) -> list[dict[str, Any]]:
    left, right = record.key.removeprefix("left:"), record.key.removeprefix("right:")
    found = session.scalars(
        select(Link)
        .where(Link.connection_id == record.connection_id, Link.entity.in_(entities))
        .where(or_(Link.left_key == left, Link.right_key == right))
        .order_by(Link.id)
    )
    return [_columns(link, LINK) for link in found]


def _columns(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def why_not(engine: Engine, id_: str) -> list[str]:
    """Possible reasons why an id is unknown: which flows are read, until when, and what is left out; a line each."""
    lines = []
    with engine.store.read() as session:
        for connection in session.scalars(select(ConnectionRow).order_by(ConnectionRow.name)):
            if connection.cut_over is not None:
                lines.append(
                    f"{connection.name}: objects created before its cut-over date, {safe_text(connection.cut_over)}, are not "
                    "synced"
                )
            for name in connection.flows:
                query = select(Cursor.read_at).where(Cursor.connection_id == connection.id, Cursor.flow == name)
                times = [at for at in session.scalars(query) if at is not None]
                until = f"was read up to {safe_text(min(times))}" if times else "was never read"
                lines.append(f"{connection.name}: {name} {until}")
        filled = names.stored_progress(engine)
        older = select(Record.id).where(Record.id > (filled.after if filled else 0)).limit(1)
        is_behind = not (filled and filled.done) and session.scalar(older) is not None
    if not lines:
        return ["no connection is configured yet. Run `syncengine configure`"]
    return [
        *lines,
        "An object is found by its key in either system and, once it has been read, by its references, SKUs, e-mail addresses "
        "and telephone numbers",
        *(["Names of older records are still being filled in after an upgrade; try again later"] if is_behind else []),
        f"If {id_} is a key of the source, fetch it now: syncengine sync FLOW --id {id_}",
    ]


# -- history -----------------------------------------------------------------------------------------------------------


def _history(
    events: Sequence[Mapping[str, Any]], effects: Sequence[Mapping[str, Any]], failures: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The history, oldest first: the events, and what only the rows of writes and dead letters record."""
    entries = [{"at": event["at"], "what": event["what"], "detail": event["detail"]} for event in events]
    for effect in effects:
        entries += _entries_of_write(effect)
    for failure in failures:
        entries += _entries_of_letter(failure)
    return sorted(entries, key=lambda entry: entry["at"])  # stable: events of the same moment keep their order


def _entries_of_write(effect: Mapping[str, Any]) -> list[dict[str, Any]]:
    """When a write was intended and sent, and its state if it is not done; a response has an event of its own."""
    name = f"write {effect['id']}"
    subject = f"{effect['verb']} {effect['resource']} {effect['natural_key'] or effect['target_key'] or ''}".strip()
    entries = [_entry(effect["created_at"], "intended", write=name, subject=subject)]
    if effect["sent_at"] is not None:
        times = f"attempt {effect['sends']}" if effect["sends"] > 1 else ""
        entries.append(_entry(effect["sent_at"], "sent", write=name, subject=subject, times=times))
    if effect["state"] in (EffectState.SENT, EffectState.UNKNOWN, EffectState.REJECTED):
        entries.append(_entry(effect["updated_at"], f"is {effect['state']}", write=name, error=effect["error"]))
    return entries


def _entries_of_letter(failure: Mapping[str, Any]) -> list[dict[str, Any]]:
    name = f"dead letter {failure['id']}" if failure["kind"] == "dead" else f"letter for review {failure['id']}"
    value = " = ".join(filter(None, (failure["field"], failure["value"])))
    entries = [_entry(failure["opened_at"], "letter opened", letter=name, value=value, cause=failure["cause"])]
    if failure["closed_at"] is not None:
        reason = {"because": failure["closed_because"], "by": failure["closed_by"]}
        entries.append(_entry(failure["closed_at"], "letter closed", letter=name, **reason))
    return entries


def _entry(at: datetime, what: str, **detail: str) -> dict[str, Any]:
    return {"at": at, "what": what, "detail": {name: text for name, text in detail.items() if text}}


# -- state -------------------------------------------------------------------------------------------------------------


def state_of(session: Session, record: Record) -> str:
    """The state of a record as a sentence: where it is, and what it waits for."""
    if record.token is not None:
        return f"being worked on ({record.stage})"
    if record.ignored:
        return f"ignored by {record.ignored}; `syncengine ignore {record.key} --undo` syncs it again"
    if record.wanted > record.done:
        if record.pause == Pause.RISE:
            return f"due, not before {safe_text(record.not_before)}: {record.reason}"
        because = f" ({record.pause}: {record.reason})" if record.pause and record.reason else ""
        because += "".join(f"; endpoint {why}" for why in _paused(session, record))
        return f"due, next step {record.stage}, not before {safe_text(record.not_before)}{because}"
    if record.status == Status.WAITING:
        return f"waiting: {record.reason}{_blocker(session, record)}"
    return f"{record.status}{f': {record.reason}' if record.reason else ''}"


def _paused(session: Session, record: Record) -> list[str]:
    """Which endpoints of a record's connection are paused, until when and why: nothing of it is synced meanwhile."""
    connection, now = session.get_one(ConnectionRow, record.connection_id), clock.now()
    ends = [session.get_one(Endpoint, id_) for id_ in (connection.left_id, connection.right_id)]
    return [why for endpoint in ends if (why := endpoints.why_paused(endpoint, now))]


def _blocker(session: Session, record: Record) -> str:
    """The state of the record that this one waits for; in a two-way flow its key has the side as a prefix."""
    keys = (record.need_key, f"left:{record.need_key}", f"right:{record.need_key}")
    blocker = session.scalars(
        select(Record).where(
            Record.connection_id == record.connection_id, Record.flow == record.need_entity, Record.key.in_(keys)
        )
    ).first()
    if blocker is None:
        return ""
    return f", which is {blocker.status}{f' ({blocker.reason})' if blocker.reason else ''}"
