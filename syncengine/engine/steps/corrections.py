"""Corrections: what a person changed of a source document, as a JSON patch (RFC 6902) kept beside the original.

A correction is applied to the document as the source gave it, before its schema. It holds for that document alone: when the
source changes it, or a test of the patch fails, the correction lapses and the record goes by the original again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from syncengine.document import Doc, fingerprint
from syncengine.engine.core import payloads, timeline
from syncengine.engine.core.engine import Connection
from syncengine.engine.decide.patches import Misfit, Patch, patched
from syncengine.engine.writes.links import ends_of
from syncengine.flows.flow import Flow
from syncengine.store.dialect import changed
from syncengine.store.models import Correction as Row
from syncengine.store.models import Record
from syncengine.vault import Vault

Docs = Mapping[str, Mapping[str, Doc]]
"""Documents of one record as they were read: by resource name and key."""

GONE = "the source does not have it any more"
CHANGED = "it changed at the source"


class Lapsed(Exception):
    """The correction does not hold for this document; the text says why."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One that stands. `resource`: whose document it corrects; `source_fingerprint`: of the document that it was made for."""

    id: int
    record_id: int
    resource: str
    patch: Patch
    source_fingerprint: str
    because: str
    made_by: str
    made_at: datetime
    key: str = ""  # of that document, where a record has several of its resource

    def of(self, doc: Doc | None) -> Doc:
        """The document corrected; the one that is given stays as it is. Raises Lapsed."""
        if doc is None:
            raise Lapsed(GONE)
        if fingerprint(doc) != self.source_fingerprint:
            raise Lapsed(CHANGED)
        try:
            return patched(doc, self.patch)
        except Misfit as misfit:
            raise Lapsed(str(misfit)) from None

    @property
    def paths(self) -> list[str]:
        """What it changes, without values."""
        return [str(one["path"]) for one in self.patch if one["op"] != "test"]


@dataclass(frozen=True, slots=True)
class Corrected:
    """Documents by record id with the corrections applied that hold; `lapses`: the others, and why they do not."""

    docs: Mapping[int, Docs]
    originals: Mapping[int, Docs]  # the documents as they were read
    held: Mapping[int, Correction] = field(default_factory=dict)  # by record id
    lapses: Mapping[int, tuple[Correction, str]] = field(default_factory=dict)


def standing(session: Session, vault: Vault, record_ids: Iterable[int]) -> dict[int, Correction]:
    """The corrections that have not lapsed, by record id."""
    query = select(Row).where(Row.record_id.in_(list(record_ids)), Row.lapsed_at.is_(None)).order_by(Row.id)
    return {row.record_id: read(row, vault) for row in session.scalars(query)}


def read(row: Row, vault: Vault) -> Correction:
    """A row with its patch opened. Raises Misconfigured if none of the keys fits."""
    body = payloads.unseal(vault, row.patch)
    return Correction(
        row.id, row.record_id, body["resource"], body["patch"], row.source_fingerprint, row.because, row.made_by, row.made_at,
        body.get("key", ""),
    )  # fmt: skip


def apply(found: Mapping[int, Correction], docs: Mapping[int, Docs]) -> Corrected:
    """Correct the documents of records."""
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
    flow: Flow, connection: Connection, keys: Mapping[int, str], found: Mapping[int, Correction]
) -> dict[tuple[str, str], Correction]:
    """Corrections by resource and key of the document, for those who read it. `keys`: of the records, by id."""
    placed = {}
    for record_id, correction in found.items():
        end = ends_of(flow, connection, keys[record_id]).on(connection.side(correction.resource))
        placed[correction.resource, correction.key or end or ""] = correction
    return placed


def tried(correction: Correction | None, doc: Doc) -> Doc:
    """The document corrected if the correction holds for it, else as it is."""
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
    """Let a correction stand for a record, in the place of an earlier one; returns its id.

    key: of the document, where the record has several of that resource.
    """
    lapse_of(session, record.id, "another one took its place", now)
    row = Row(
        record_id=record.id,
        patch=payloads.seal(vault, {"resource": resource, "key": key, "patch": [dict(one) for one in patch]}),
        source_fingerprint=fingerprint(original),
        because=because,
        made_by=by,
        made_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def lapse_of(session: Session, record_id: int, why: str, now: datetime) -> bool:
    """End the correction that stands for a record; False if there is none."""
    return _lapse(session, Row.record_id == record_id, why, now)


def lapse(
    session: Session, records: Mapping[int, Record], lapses: Mapping[int, tuple[Correction, str]], now: datetime
) -> None:
    """End corrections that do not hold any more, and say so in the timelines of their records."""
    ended = {
        record_id: {"because": why, "paths": ", ".join(correction.paths), "by": correction.made_by}
        for record_id, (correction, why) in lapses.items()
        if _lapse(session, Row.id == correction.id, why, now)
    }
    timeline.note(session, [records[record_id] for record_id in ended], "correction lapsed", now, ended)


def _lapse(session: Session, which: ColumnElement[bool], why: str, now: datetime) -> bool:
    lapsed = update(Row).where(which, Row.lapsed_at.is_(None)).values(lapsed_at=now, lapsed_because=why)
    return changed(session, lapsed) > 0
