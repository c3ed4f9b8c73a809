"""A single dead letter: its documents on both sides and as mapped now, its history, and corrections of its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.document import Doc
from syncengine.engine.core import failures, timeline
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.want import want
from syncengine.engine.decide import patches
from syncengine.engine.decide.plan import Plan
from syncengine.engine.people import dead_letter_groups, dead_letters, seen, trace
from syncengine.engine.people.trace import Trace
from syncengine.engine.steps import corrections
from syncengine.engine.steps.corrections import Correction
from syncengine.engine.steps.planner import Material, Planner, gather
from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.contract import MissingLookup
from syncengine.store.models import Correction as Row
from syncengine.store.models import Failure, Record
from syncengine.store.states import Lane

NOT_PLANNED = "it is not planned again, since planning it has crashed a worker"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter with everything known about its record.

    documents: by name, then key: `source` as the source returned it, `corrected` if a correction applies, `mapped` by part,
    `target` as last read, and `references`, to which the source refers. outcome: the plan, or why there is none, given what was
    last read and the current mapping and lookup tables; a text if it was not planned, empty for a closed letter. way: state,
    links, writes and timeline. blocks: how many records wait for this one, by flow. newer: for a closed letter, the id of the
    one that is now open for its record.
    """

    failure: Failure
    documents: Mapping[str, Any]
    outcome: Plan | Rejected | str
    way: Trace
    corrections: list[dict[str, Any]]
    blocks: Mapping[str, int]
    newer: int | None


def detail(engine: Engine, letter_id: int) -> Letter:
    """Everything about one letter, open or closed. Raises Misconfigured if the id does not exist, and Transient."""
    with engine.store.read() as session:
        failure, record = _found(session, letter_id)
        way = trace.of_record(session, engine, record)
        history = [_doc_of(row, corrections.read(row, engine.vault)) for row in _rows(session, record)]
        blocks = dead_letter_groups.blocked_by(session, engine, [failure]).get(failure.id, {})
        newer = failures.replacement_of(session, failure)
        disabled = engine.broken.get(record.flow)
        if disabled is not None:
            return Letter(failure, {}, f"not planned: {disabled}", way, history, blocks, newer)
        material = _material(session, engine, record)
    outcome: Plan | Rejected | str = NOT_PLANNED if failures.is_poison(failure) else ""
    documents = _documents(engine, record, material)
    if not failures.is_poison(failure):
        outcome = _planned(engine, record, material)
        documents |= _mapped(engine, record, material, outcome)
        outcome = "" if failure.closed_at is not None else outcome
    return Letter(failure, documents, outcome, way, history, blocks, newer)


def _found(session: Session, letter_id: int) -> tuple[Failure, Record]:
    failure = session.get(Failure, letter_id)
    if failure is None:
        raise Misconfigured(f"no dead letter has the id {letter_id}", dead_letters.UNKNOWN_LETTER)
    return failure, session.get_one(Record, failure.record_id)


def _rows(session: Session, record: Record) -> list[Row]:
    return list(session.scalars(select(Row).where(Row.record_id == record.id).order_by(Row.id)))


def _doc_of(row: Row, correction: Correction) -> dict[str, Any]:
    return {
        "id": row.id,
        "patch": [dict(operation) for operation in correction.patch],
        "because": row.because,
        "made_by": row.made_by,
        "made_at": row.made_at,
        "lapsed_at": row.lapsed_at,
        "lapsed_because": row.lapsed_because,
    }


def _material(session: Session, engine: Engine, record: Record) -> Material:
    return gather(session, engine.route_of(record), [record])


def _planned(engine: Engine, record: Record, material: Material) -> Plan | Rejected:
    with engine.store.read() as session:
        return _planner(engine, record, material).plans(session, [record])[record.id]


def _planner(engine: Engine, record: Record, material: Material) -> Planner:
    return Planner(engine.route_of(record), material)


def _mapped(engine: Engine, record: Record, material: Material, outcome: Plan | Rejected) -> dict[str, Any]:
    if engine.flow(record.flow).two_way:  # the plan decides which side is written
        steps = outcome.steps if isinstance(outcome, Plan) else ()
        return {"mapped": {step.resource: step.operation.doc for step in steps}} if steps else {}
    try:
        with engine.store.read() as session:
            made = _planner(engine, record, material).mapped(session, record)
    except (Rejected, MissingLookup) as error:
        return {"mapped": f"it cannot be mapped: {error}"}
    return {"mapped": made} if made else {}


def _documents(engine: Engine, record: Record, material: Material) -> dict[str, Any]:
    """What was last read, by its role in the sync."""
    flow = engine.flow(record.flow)
    read = dict(material.corrected.originals.get(record.id, {}))
    made: dict[str, Any] = {"source": read.pop(flow.source, {})}
    if held := material.corrected.held.get(record.id):
        made["corrected"] = material.docs[record.id][held.resource]
    made |= {"target": read.pop(flow.target, {}), "references": read}
    return {name: documents for name, documents in made.items() if documents}


# -- corrections -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """The document to correct: as the source returned it, and the active correction, if any.

    letter_id: the open letter. key: of the document if the record has several of that resource, else empty.
    """

    record: Record
    resource: str
    key: str
    original: Doc
    active: Correction | None
    is_poison: bool
    letter_id: int

    @property
    def present(self) -> Doc:
        """The document with the active correction applied."""
        return corrections.corrected(self.active, self.original)


def source_of(engine: Engine, letter_id: int) -> Source:
    """The source document of an open dead letter. Raises Misconfigured if it cannot be corrected, and Transient."""
    with engine.store.read() as session:
        failure, record = _found(session, letter_id)
        if failure.closed_at is not None:
            newer = failures.replacement_of(session, failure)
            remedy = (
                "Nothing needs to be corrected"
                if newer is None
                else f"Its record's newer letter is open: correct {newer}"
            )
            raise Misconfigured(f"{letter_id} {failures.closed_text(failure)}", remedy)
        if failure.kind != failures.DEAD:
            raise Misconfigured(
                f"{letter_id} is about a record that was written; it can be closed, not corrected",
                f"Run `syncengine deadletters close {letter_id} --because ...`",
            )
        material = _material(session, engine, record)
    route = engine.route_of(record)
    side = route.keys.ends(record.key).side
    starts = (name for name in route.flow.sources if route.connection.side(name) == side)
    resource = next(starts, route.flow.source)
    documents = material.corrected.originals.get(record.id, {}).get(resource, {})
    if not documents:
        raise Misconfigured(
            f"the source document of {letter_id} is no longer stored",
            f"Run `syncengine deadletters retry {letter_id}` to read it again",
        )
    key = _invalid(route.connection.resource(resource), documents) or next(iter(documents))
    return Source(
        record,
        resource,
        key if len(documents) > 1 else "",
        original=documents[key],
        active=material.corrected.held.get(record.id),
        is_poison=failures.is_poison(failure),
        letter_id=letter_id,
    )


def _invalid(resource: Resource, documents: Mapping[str, Doc]) -> str:
    """The key of the first invalid document; empty if all are valid."""
    for key, doc in documents.items():
        try:
            resource.load(doc)
        except Rejected:
            return key
    return ""


def preview_patch(engine: Engine, source: Source, patch: patches.Patch) -> Plan | Rejected | str:
    """The plan with a patch applied, or why there is none, given what was last read; a text if it was not planned.

    Raises Misconfigured if the patch is not allowed, and Transient.
    """
    document = _checked(engine, source, patch)
    record = source.record
    if source.is_poison:
        return NOT_PLANNED
    with engine.store.read() as session:
        material = _material(session, engine, record)
    own = material.docs[record.id]
    there = own[source.resource]
    changed = {**own, source.resource: {**there, source.key or next(iter(there)): document}}
    return _planned(engine, record, replace(material, docs={record.id: changed}))


def correct(engine: Engine, source: Source, patch: patches.Patch, *, because: str, by: str) -> int:
    """Store a correction beside the original document and sync the record with it at once. Returns the correction's id.

    It replaces the correction of `source`. Raises Misconfigured if the patch does not fit or changes what it does not test; if
    the letter has been closed meanwhile, or somebody else has corrected it or withdrawn the former correction.
    """
    _checked(engine, source, patch)
    now = clock.now()
    with engine.store.write() as session:
        record = _as_seen(session, engine, source)
        correction_id = corrections.save(
            session,
            engine.vault,
            record,
            source.resource,
            source.original,
            patch,
            because=because,
            by=by,
            now=now,
            key=source.key,
        )
        paths = ", ".join(str(operation["path"]) for operation in patch if operation["op"] != "test")
        timeline.note_one(session, record, "corrected", now, paths=paths, because=because, by=by)
        want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
    return correction_id


def _as_seen(session: Session, engine: Engine, source: Source) -> Record:
    """The record of a letter, locked. Raises Misconfigured if letter or correction have changed since they were shown."""
    record = seen.locked(session, [source.record.id])[source.record.id]
    failure = session.get_one(Failure, source.letter_id, populate_existing=True)
    if failure.closed_at is not None:
        by = f" by {failure.closed_by}" if failure.closed_by else ""
        raise Misconfigured(f"{failure.id} was closed{by} while you corrected it: {failure.closed_because}")
    now = corrections.active(session, engine.vault, [record.id]).get(record.id)
    was = source.active
    if was is not None and now is None:
        row = session.get(Row, was.id)
        why = row.lapsed_because if row is not None else "it is no longer kept"
        paths = ", ".join(was.paths)
        raise Misconfigured(
            f"the correction of {paths} by {was.made_by} has ended meanwhile: {why}", "Review the letter without it"
        )
    if now is not None and (was is None or now.id != was.id):
        paths = ", ".join(now.paths)
        raise Misconfigured(
            f"{now.made_by} has corrected {paths} meanwhile", "Review that correction, then add yours to it"
        )
    return record


def _checked(engine: Engine, source: Source, patch: patches.Patch) -> Doc:
    document = patches.check(source.original, patch)
    resource = engine.connection(source.record.connection_id).resource(source.resource)
    before, after = _key(resource, source.original), _key(resource, document)
    if before != after:
        raise Misconfigured(
            f"the patch changes the key {before} to {after}",
            "Leave the key as it is: a correction cannot make another object",
        )
    return document


def _key(resource: Resource, doc: Doc) -> str | None:
    try:
        return resource.key_of(doc)
    except LookupError:  # the resource has no keys in its documents, or this document lacks its own
        return None


def ended_last(engine: Engine, letter_id: int) -> str:
    """How the last correction of a letter's record ended: `withdrawn by anna, 2026-03-02 09:00 UTC`; empty if it had none.

    Raises Misconfigured if the id does not exist, and Transient.
    """
    with engine.store.read() as session:
        _, record = _found(session, letter_id)
        ended = [row for row in _rows(session, record) if row.lapsed_at is not None]
    return f"{ended[-1].lapsed_because}, {ended[-1].lapsed_at:%Y-%m-%d %H:%M} UTC" if ended else ""


def withdraw(engine: Engine, letter_id: int, *, by: str) -> bool:
    """End the correction of a letter's record and sync it without; False if it has none. Raises Misconfigured, Transient."""
    now = clock.now()
    with engine.store.write() as session:
        _, record = _found(session, letter_id)
        record = seen.locked(session, [record.id])[record.id]
        was = corrections.lapse_of(session, record.id, f"withdrawn by {by}", now)
        if was:
            timeline.note_one(session, record, "correction lapsed", now, because="withdrawn", by=by)
            want(session, record.connection_id, record.flow, [record.key], lane=Lane.REALTIME, now=now)
    return was
