"""What must be true of what people do: after each action, and when everything has come to rest.

Judged from rows as they are and as they were seen, and from both systems; of the engine only the seal of documents is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine.core import payloads
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from tests.contract.kernel.machine_world import Watched, value
from tests.contract.kernel.people_world import BAD, Book, lamps, posts
from tests.contract.kernel.texts import original
from tests.contract.kernel.world import World

TABLES = (m.Record, m.Decision, m.Correction, m.Failure, m.Link, m.Effect, m.Event, m.Endpoint, m.Ceiling, m.Payload)
ENDS = ("decision lapsed", "decision carried out")
PERSONS = ("discarded by ", "ignored by ", "refused by ")


@dataclass(frozen=True)
class State:
    """A record as a person sees it."""

    status: str
    ignored: str
    is_free: bool
    plan: str
    decision: int
    correction: int
    letters: tuple[int, ...]
    is_due: bool


def state_of(session: Session, world: World, record_id: int) -> State | None:
    """The state of a record by its rows; None if it is gone."""
    record = session.get(m.Record, record_id, populate_existing=True)
    if record is None:
        return None
    plan = payloads.load(session, world.vault, "plan", [record_id]).get(record_id, {})
    return State(
        record.status, record.ignored, record.token is None, str(plan.get("hash", "")),
        _standing(session, m.Decision, record_id), _standing(session, m.Correction, record_id),
        tuple(session.scalars(select(m.Failure.id).where(m.Failure.record_id == record_id, m.Failure.closed_at.is_(None)))),
        record.wanted > record.done,
    )  # fmt: skip


def _standing(session: Session, model: Any, record_id: int) -> int:
    query = select(model.id).where(model.record_id == record_id, model.lapsed_at.is_(None))
    found = session.scalars(query).all()
    assert len(found) <= 1, f"{len(found)} of {model.__tablename__} exist for record {record_id}"
    return found[0] if found else 0


def rows(session: Session) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """Everything that an action may change, by table and number."""
    found = {}
    for model in TABLES:
        table = model.__table__
        found[model.__tablename__] = {row[0]: tuple(row) for row in session.execute(select(table.c.id, *table.c))}
    return found


def touched(before: Mapping[str, Mapping[Any, Any]], after: Mapping[str, Mapping[Any, Any]]) -> set[int]:
    """The records that have changed, or of which a decision, correction or letter has."""
    found = {id_ for id_, row in after["record"].items() if before["record"].get(id_) != row}
    for name, model in (("decision", m.Decision), ("correction", m.Correction), ("failure", m.Failure)):
        place = list(model.__table__.c.keys()).index("record_id") + 1
        found |= {row[place] for id_, row in after[name].items() if before[name].get(id_) != row}
    return found


class Ends:
    """Whatever a person has said ends with an event that tells it: checked of each row once."""

    def __init__(self) -> None:
        self.reported: set[tuple[str, int]] = set()

    def check(self, session: Session) -> None:
        for row in session.scalars(select(m.Decision).where(m.Decision.lapsed_at.is_not(None))):
            if ("decision", row.id) not in self.reported:
                self._event(session, row.record_id, row.lapsed_at, ENDS, row.made_by)
                self.reported.add(("decision", row.id))
        for one in session.scalars(select(m.Correction).where(m.Correction.lapsed_at.is_not(None))):
            if ("correction", one.id) not in self.reported:
                self._event(session, one.record_id, one.lapsed_at, ("correction lapsed", "corrected"), "")
                self.reported.add(("correction", one.id))
        query = select(m.Record).join(m.Decision, m.Decision.record_id == m.Record.id)
        for record in session.scalars(query.where(m.Decision.lapsed_at.is_(None))):
            assert record.status != "done", f"a decision is left for {record.flow} {record.key}, which is done"
            assert not record.ignored, f"a decision is left for {record.flow} {record.key}, which is ignored"

    def _event(self, session: Session, record_id: int, at: datetime | None, names: Iterable[str], by: str) -> None:
        query = select(m.Event).where(m.Event.record_id == record_id, m.Event.at == at, m.Event.what.in_(names))
        found = session.scalars(query).all()
        events = [
            one
            for one in found
            if by in str(one.detail.get("was", by))
            and (one.what == "decision carried out" or one.detail.get("because") or one.detail.get("by"))
        ]
        assert events, f"what {by or 'somebody'} has said of record {record_id} ended at {at}, and no event tells it"


# -- at rest -----------------------------------------------------------------------------------------------------------


@dataclass
class AtRest:
    """Both systems and the store, when all faults are gone and all prompts are answered."""

    world: World
    left: Watched
    right: Watched
    book: Book

    def check(self) -> None:
        """Raises AssertionError that names the first thing that is wrong."""
        with self.world.store.read() as session:
            self.records = {(one.flow, one.key): one for one in session.scalars(select(m.Record))}
            self.effects = session.scalars(select(m.Effect)).all()
            self.links = session.scalars(select(m.Link)).all()
            Ends().check(session)
        for one in self.records.values():
            is_at_rest = one.token is None and one.wanted == one.done
            assert is_at_rest, (
                f"{one.flow} {one.key} stays due, {one.status} after {one.attempts} attempts: {one.reason}"
            )
        by_id = {one.id: one for one in self.records.values()}
        for effect in self.effects:
            if effect.state in ("sent", "unknown") and effect.record_id in by_id:
                record = by_id[effect.record_id]
                rests = record.ignored or record.status in ("held", "dead", "skipped")
                assert rests, f"{record.flow} {record.key} is {record.status} with a write {effect.state}"
        for key, doc in self.left.objects.get("lamps", {}).items():
            self._arrived("lamps", key, doc)
        for key, doc in self.left.objects.get("posts", {}).items():
            self._arrived("posts", key, doc)
        for link in self.links:
            if link.entity == "pairs" and link.right_key is not None and not link.provisional:
                self._agree(link)
        self._each_pair_is_known()

    def _arrived(self, flow: str, key: str, doc: Doc) -> None:
        record = self.records.get((flow, key))
        assert record is not None, f"{flow} {key} is lost"
        if record.status == "done":
            self._equal(record, doc)
        elif record.status == "dead":
            assert self._is_bad(record, doc), f"{flow} {key} is dead: {record.reason}"
        elif record.status == "skipped":
            by_rule = doc.get("draft") or doc.get("cancelled")
            said = original(record.reason).startswith(PERSONS)
            assert said or by_rule, f"{flow} {key} is skipped: {record.reason}"
        else:
            self._held_rightly(record)

    def _is_bad(self, record: m.Record, doc: Doc) -> bool:
        return bool((self._corrected(record) or doc["name"]) == BAD)

    def _equal(self, record: m.Record, doc: Doc) -> None:
        """Each part is there once, as the source has it or a person has corrected it, or as its people have edited it."""
        there = self.right.objects.get(record.flow, {})
        linked = {
            one.part: one.right_key for one in self.links if (one.entity, one.left_key) == (record.flow, record.key)
        }
        if doc.get("cancelled"):
            alive = [at for at in linked.values() if at in there and not there[at].get("cancelled")]
            assert not alive, f"{record.flow} {record.key} is cancelled at the source and done, and {alive} are not"
            return
        if self._was_refused(record, since=doc["touched"]):
            return  # the target keeps what it has
        name = self._corrected(record) or doc["name"]
        assert name != BAD, f"{record.flow} {record.key} is done, and its name is bad"
        wanted = (
            lamps({**doc, "name": name}, Context())
            if record.flow == "lamps"
            else {"": posts({**doc, "name": name}, Context())}
        )
        for part, want in wanted.items():
            assert part in linked, f"{record.flow} {record.key} is done, and its part {part!r} is not linked"
            if (at := linked[part]) is None:
                continue  # the target gave no key
            assert at in there, f"{record.flow} {record.key} is done, and its part {part!r} is not there as {at}"
            edits = self.right.history(record.flow, at, "name")
            by_people = bool(edits) and edits[-1].is_peoples
            same = value(there[at], "name") == want["name"]
            assert same or by_people, f"{record.flow} {record.key} is done, and {at} is {there[at]}, not {want}"

    def _was_refused(self, record: m.Record, *, since: datetime) -> bool:
        with self.world.store.read() as session:
            query = select(m.Event.id).where(
                m.Event.record_id == record.id, m.Event.what == "refused", m.Event.at >= since
            )
            return session.scalars(query).first() is not None

    def _corrected(self, record: m.Record) -> str:
        with self.world.store.read() as session:
            query = select(m.Correction).where(m.Correction.record_id == record.id, m.Correction.lapsed_at.is_(None))
            row = session.scalars(query).one_or_none()
        patch = payloads.unseal(self.world.vault, row.patch)["patch"] if row is not None else ()
        return next((str(one["value"]) for one in reversed(patch) if one["op"] != "test"), "")

    def _held_rightly(self, record: m.Record) -> None:
        assert record.status == "held", f"{record.flow} {record.key} is {record.status}: {record.reason}"
        known = ("no longer exists ", "was cancelled in the target", "carries ", "has the reference", "has this reference",
                 "was changed on both sides", "is already linked", "nobody knows whether", "over the credit limit",
                 "differs", "another record is already creating", "it was written in other parts",
                 "the target has confirmed", "was approved to be", "several objects")  # fmt: skip
        assert any(one in original(record.reason) for one in known), (
            f"{record.flow} {record.key} is held: {record.reason}"
        )

    def _agree(self, link: m.Link) -> None:
        record = self.records.get(("pairs", f"left:{link.left_key}")) or self.records.get(
            ("pairs", f"right:{link.right_key}")
        )
        assert record is not None, f"pair {link.left_key}={link.right_key} has no record"
        if record.status == "done":
            left, right = (
                self.left.objects["pairs"].get(link.left_key),
                self.right.objects["pairs"].get(str(link.right_key)),
            )
            assert left is not None, f"pair {record.key} is done, and its left side is gone"
            assert right is not None, f"pair {record.key} is done, and its right side is gone"
            name = self._corrected(record) or self._was_refused(record, since=max(left["touched"], right["touched"]))
            for one in ("name", "colour"):
                same = value(left, one) == value(right, one) or (one == "name" and name)
                assert same, f"pair {record.key} is done, and {one} is {left.get(one)!r} and {right.get(one)!r}"

    def _each_pair_is_known(self) -> None:
        for side, system in (("left", self.left), ("right", self.right)):
            for key in system.objects.get("pairs", {}):
                near = [link for link in self.links if link.entity == "pairs" and key == getattr(link, f"{side}_key")]
                record = self.records.get(("pairs", f"{side}:{key}"))
                assert near or (record is not None and record.status != "done"), (
                    f"pair {side}:{key} is lost: {record and record.status}"
                )
