"""Corrections: a person's changes to a source document, as a JSON patch (RFC 6902) kept beside the original.

A correction is applied to the document as the source returned it, before its schema. It is valid for that document alone:
when the source changes it, or a test of the patch fails, the correction lapses and the original counts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine.core import payloads, readings, timeline
from syncengine.engine.core.engine import Route
from syncengine.engine.decide.patches import Misfit, Patch, patched
from syncengine.store.dialect import changed
from syncengine.store.models import Correction as Row
from syncengine.store.models import Record
from syncengine.vault import Vault

Docs = Mapping[str, Mapping[str, Doc]]
"""Documents of one record as they were read: by resource name and key."""

GONE = "the object is gone in the source"
CHANGED = "the object changed at the source"
REPLACED = "a newer correction replaced it"


class Lapsed(Exception):
    """The correction is not valid for this document; the text says why."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of one document. resource: its name; source_fingerprint: of the document that it was made for."""

    id: int
    record_id: int
    resource: str
    patch: Patch
    source_fingerprint: str
    because: str
    made_by: str
    made_at: datetime
    key: str = ""  # of that document, if the record has several of this resource

    def of(self, doc: Doc | None) -> Doc:
        """A corrected copy of the document. Raises Lapsed."""
        if doc is None:
            raise Lapsed(GONE)
        if readings.print_of(doc) != self.source_fingerprint:
            raise Lapsed(CHANGED)
        try:
            return patched(doc, self.patch)
        except Misfit as misfit:
            raise Lapsed(str(misfit)) from None

    @property
    def paths(self) -> list[str]:
        """The JSON pointers of what it changes."""
        return [str(operation["path"]) for operation in self.patch if operation["op"] != "test"]


@dataclass(frozen=True, slots=True)
class Corrected:
    """Documents by record id with all valid corrections applied. lapses: the other corrections, and why they lapsed."""

    docs: Mapping[int, Docs]
    originals: Mapping[int, Docs]  # the documents as they were read
    held: Mapping[int, Correction] = field(default_factory=dict)  # those applied, by record id
    lapses: Mapping[int, tuple[Correction, str]] = field(default_factory=dict)


def active(session: Session, vault: Vault, record_ids: Iterable[int]) -> dict[int, Correction]:
    """The corrections that have not lapsed, by record id."""
    query = select(Row).where(Row.record_id.in_(list(record_ids)), Row.lapsed_at.is_(None)).order_by(Row.id)
    return {row.record_id: read(row, vault) for row in session.scalars(query)}


def read(row: Row, vault: Vault) -> Correction:
    """The correction of a row, its patch opened. Raises Misconfigured if no key of this host opens it."""
    body = payloads.unseal(vault, row.patch)
    return Correction(
        row.id, row.record_id, body["resource"], body["patch"], row.source_fingerprint, row.because, row.made_by, row.made_at,
        body.get("key", ""),
    )  # fmt: skip


def apply(found: Mapping[int, Correction], docs: Mapping[int, Docs]) -> Corrected:
    """Correct the documents of records. found, docs: by record id."""
    made: dict[int, Docs] = dict(docs)
    held, lapses = {}, {}
    for record_id, correction in found.items():
        own = docs.get(record_id, {})
        there = own.get(correction.resource, {})
        key = correction.key or next(iter(there), "")
        original = there.get(key)
        try:
            document = correction.of(original)
        except Lapsed as why:
            lapses[record_id] = correction, str(why)
        else:
            made[record_id] = {**own, correction.resource: {**own[correction.resource], key: document}}
            held[record_id] = correction
    return Corrected(made, docs, held, lapses)


def by_place(
    route: Route, keys: Mapping[int, str], found: Mapping[int, Correction]
) -> dict[tuple[str, str], Correction]:
    """Corrections by resource and key of the document that they correct. keys: of the records, by id."""
    placed = {}
    for record_id, correction in found.items():
        end = route.keys.ends(keys[record_id]).on(route.connection.side(correction.resource))
        placed[correction.resource, correction.key or end or ""] = correction
    return placed


def corrected(correction: Correction | None, doc: Doc) -> Doc:
    """The corrected document if the correction is valid for it, else the document unchanged."""
    try:
        return doc if correction is None else correction.of(doc)
    except Lapsed:
        return doc


def save(
    session: Session,
    vault: Vault,
    record: Record,
    resource: str,
    original: Doc,
    patch: Patch,
    *,
    because: str,
    by: str,
    now: datetime,
    key: str = "",
) -> int:
    """Store a correction of a record's document, replacing an earlier one; returns its id.

    original: the document as the source returned it. key: of the document, if the record has several of that resource.
    """
    lapse_of(session, record.id, REPLACED, now)
    row = Row(
        record_id=record.id,
        patch=payloads.seal(
            vault, {"resource": resource, "key": key, "patch": [dict(operation) for operation in patch]}
        ),
        source_fingerprint=readings.print_of(original),
        because=because,
        made_by=by,
        made_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def lapse_of(session: Session, record_id: int, why: str, now: datetime) -> bool:
    """End the active correction of a record; False if there is none."""
    return _lapse(session, Row.record_id == record_id, why, now)


def lapse(
    session: Session, records: Mapping[int, Record], lapses: Mapping[int, tuple[Correction, str]], now: datetime
) -> None:
    """End corrections that are no longer valid, with an event in the timelines of their records."""
    ended = {
        record_id: {"because": why, "paths": ", ".join(correction.paths), "by": correction.made_by}
        for record_id, (correction, why) in lapses.items()
        if _lapse(session, Row.id == correction.id, why, now)
    }
    timeline.note(session, [records[record_id] for record_id in ended], "correction lapsed", now, ended)


def _lapse(session: Session, which: ColumnElement[bool], why: str, now: datetime) -> bool:
    lapsed = update(Row).where(which, Row.lapsed_at.is_(None)).values(lapsed_at=now, lapsed_because=why)
    return changed(session, lapsed) > 0
