"""The world of the people machine: three flows, systems that judge each write by what people have seen and said, and prompts.

What is judged here is judged from the journals of both systems, from the rows of the store as they were when a person looked,
and from what that person was shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import select

from syncengine.connectors.base import Operation, Outcome, Resource, Result, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.decide.plan import Step
from syncengine.errors import Rejected
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context, FieldGroup, Policy, RuleDecision, RuleVerdict
from syncengine.store import Store
from syncengine.store import models as m
from tests.contract.kernel.machine_world import PICTURE_S, SETTLE_S, Trouble, Watched, Wild
from tests.contract.kernel.world import Plain, flow

HOUR = timedelta(hours=1)
FLOWS = ("lamps", "pairs", "posts")
BAD = "bad"
ATTENTION = "the journal could not be posted"
OURS = {"ref": Policy.ENFORCE, "origin": Policy.ENFORCE, "was_dear": Policy.ENFORCE}


# -- flows -------------------------------------------------------------------------------------------------------------


def _rules(doc: Doc, context: Context) -> RuleDecision:
    if doc.get("cancelled"):
        return RuleDecision(RuleVerdict.CANCEL, "it is cancelled")
    if doc.get("draft"):
        return RuleDecision(RuleVerdict.SKIP, "it is a draft")
    return _dear(doc, context)


def _dear(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "over the credit limit") if doc.get("dear") else RuleDecision()


def _named(doc: Doc) -> str:
    if doc["name"] == BAD:
        raise Rejected(field="name", value=BAD, reason="no such thing", remedy="correct it")
    return str(doc["name"])


def lamps(doc: Doc, context: Context) -> dict[str, Doc]:
    """What a lamp is to be in the target, by part. `origin` tells whose it is under any reference, for the judge."""
    name, ref = _named(doc), doc.get("number") or doc["id"]
    return {
        part: {"ref": f"{ref}-{part}", "name": f"{name} {part}", "origin": f"{doc['id']}-{part}", **_was_dear(doc)}
        for part in doc["parts"]
    }


def posts(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["id"], "name": _named(doc), "origin": doc["id"], **_was_dear(doc)}


def _paired(side: str) -> Callable[[Doc, Context], Doc]:
    def to(doc: Doc, context: Context) -> Doc:
        own = {"ref": f"{side}:{doc['id']}", "origin": f"{side}:{doc['id']}", **_was_dear(doc)}
        return {**own, "name": _named(doc), "colour": doc.get("colour", "")}

    return to


def _was_dear(doc: Doc) -> Doc:
    """What the rule has said of the source, so that a write shows whether it needed an approval."""
    return {"was_dear": bool(doc.get("dear"))}


def people_flows() -> dict[str, Flow]:
    """A one-way flow with parts, a pair, and one whose writes cannot be looked up; each with a rule that holds."""
    groups = (
        FieldGroup("name", ("name",), ("name",), Policy.HOLD),
        FieldGroup("colour", ("colour",), ("colour",), Policy.LEFT),
    )
    made = (
        flow("lamps", Plain(lamps, rules=_rules, policies=OURS, parts=True), batch=3),
        flow("posts", Plain(posts, rules=_dear, policies=OURS), batch=3),
        flow(
            "pairs", Plain(_paired("left"), rules=_dear), two_way=True, backward=Plain(_paired("right"), rules=_dear),
            groups=groups, backward_feeds=("updated",), batch=3,
        ),
    )  # fmt: skip
    return {one.name: one for one in made}


def people_resources(left: Watched, right: Watched, trouble: Trouble, book: Book) -> dict[str, Resource]:
    """All resources by name. What is posted cannot be searched for."""
    made: dict[str, Resource] = {}
    for system in (left, right):
        for name in FLOWS:
            one = Judged(
                system, f"{system.name}.{name}", settle_s=SETTLE_S[system.name], most_per_write=2, trouble=trouble,
                policies={}, identity=("origin",), book=book,
            )  # fmt: skip
            made[one.name] = one
    posted = made["right.posts"]
    posted.safety = {**posted.safety, Verb.CREATE: Safety.ASK}  # type: ignore[misc]
    return made


# -- what people said, and what followed -------------------------------------------------------------------------------


Shown = tuple[str, str, str, str]
"""A write as it is shown: resource, verb, key or reference, and what it writes over what."""


def shown(operation: Operation, resource: str) -> Shown:
    """A write for comparison: of a create the whole document, of a change its old and new values."""
    changes = {name: (one.old, one.new) for name, one in sorted(operation.changes.items())}
    what = sorted(operation.doc.items()) if operation.verb is Verb.CREATE else changes
    return resource, str(operation.verb), operation.key or operation.natural_key, repr(what)


def shown_steps(steps: Sequence[Step]) -> set[Shown]:
    return {shown(one.operation, one.resource) for one in steps}


@dataclass
class Book:
    """What people were shown and have said, and what has been created for whom.

    approved: what was shown of a decision that was taken, by its number. rests: records that were discarded, each with the
    time after which an edit of its source counts, or None if they are ignored until a person says otherwise. twins: keys of the
    objects that were made for an object, or linked with it, by resource and origin.
    """

    store: Store
    flows: Sequence[str]
    limits: Mapping[str, int]
    approved: dict[int, set[Shown]] = field(default_factory=dict)
    rests: dict[int, datetime | None] = field(default_factory=dict)
    twins: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)  # key by token
    sent: dict[str, list[tuple[datetime, int]]] = field(default_factory=dict)
    counted_from: dict[str, datetime] = field(default_factory=dict)
    is_corrected: bool = False  # the source of what was judged last, by a person
    reached: int = 0  # writes that have arrived under an approval
    source_of: Callable[[m.Record], list[datetime]] = lambda record: []  # when its source was edited

    def matched(self, left: str, right: str, flow: str, part: str = "") -> list[tuple[tuple[str, str], str]]:
        """The twins that a link joins."""
        if flow == "pairs":
            return [(("right.pairs", f"left:{left}"), right), (("left.pairs", f"right:{right}"), left)]
        return [((f"right.{flow}", f"{left}-{part}" if part else left), right)]

    def join(self, left: str, right: str, flow: str, part: str = "") -> None:
        for place, key in self.matched(left, right, flow, part):
            self.twins.setdefault(place, set()).add(key)

    def part(self, left: str, right: str, flow: str, part: str = "") -> None:
        for place, key in self.matched(left, right, flow, part):
            self.twins.get(place, set()).discard(key)

    # -- judging -------------------------------------------------------------------------------------------------------

    def judge(self, resource: Judged, operation: Operation) -> list[str]:
        """What is wrong about a write that arrives now, by what people have said."""
        now, found = resource.system.time.at, []
        with self.store.read() as session:
            effect = session.scalars(select(m.Effect).where(m.Effect.token == operation.token)).one()
            record = session.get_one(m.Record, effect.record_id)
            mine = select(m.Decision).where(m.Decision.record_id == record.id, m.Decision.lapsed_at.is_(None))
            decision = session.scalars(mine).one_or_none()
            corrected = select(m.Correction.id).where(
                m.Correction.record_id == record.id, m.Correction.lapsed_at.is_(None)
            )
            self.is_corrected = session.scalars(corrected).first() is not None
            ends = {one.system: one for one in session.scalars(select(m.Endpoint))}
            mode = session.scalars(select(m.ConnectionRow.mode)).one()
        end = ends[resource.system.name]
        if end.paused_until is not None and end.paused_until > now:
            found.append(f"the endpoint is paused by {end.paused_by}")
        if mode == "observe":
            found.append("the connection is observed")
        if record.ignored:
            found.append(f"its record is ignored: {record.ignored}")
        if record.id in self.rests and self._still_rests(record):
            found.append("its record was discarded or ignored, and nothing has changed")
        return found + self._by_decision(resource, operation, decision, now)

    def _still_rests(self, record: m.Record) -> bool:
        since = self.rests[record.id]
        return since is None or not any(at >= since for at in self.source_of(record))

    def _by_decision(
        self, resource: Judged, operation: Operation, decision: m.Decision | None, now: datetime
    ) -> list[str]:
        needed = [name for name in ("was_dear",) if operation.verb is not Verb.CANCEL and operation.doc.get(name)]
        if resource.overwrites(operation, now):
            needed.append("what the target's people have entered")
        if decision is None:
            return [f"nobody has approved it: {needed}"] if needed else []
        if not decision.verdict.startswith("approved"):
            return [f"it was {decision.verdict} by {decision.made_by}"]
        self.reached += 1
        seen = self.approved.get(decision.id, set())
        what = shown(operation, resource.name)
        return [] if what in seen else [f"{what} was not shown to {decision.made_by}, but {sorted(seen)}"]

    def count(self, flow: str, at: datetime, writes: int) -> str:
        """Note that writes have left; says what is wrong about their number, empty if nothing is."""
        self.sent.setdefault(flow, []).append((at, writes))
        since = self.counted_from.get(flow)
        if since is not None and since > at:
            return ""
        counted = sum(n for when, n in self.sent[flow] if when > at - HOUR and (since is None or when >= since))
        return (
            f"{counted} writes of {flow} in an hour, and not {self.limits[flow]}" if counted > self.limits[flow] else ""
        )


class Judged(Wild):
    """A resource to which every write is judged by the book."""

    book: Book

    @property
    def flow_name(self) -> str:
        return self.kind

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        began = self.system.time.at
        outcomes = super().write(operations)
        left = sum(one.result is not Result.RETRY for one in outcomes)
        if wrong := self.book.count(self.flow_name, began, left):
            self.system.wrong.append(f"{began}: {wrong}")
        return outcomes

    def _judge(self, operation: Operation) -> None:
        for wrong in self.book.judge(self, operation):
            self._wrong(operation, wrong)
        is_there = operation.key is None or operation.key in self.objects  # else it is refused, see `_apply`
        if is_there and not (self.flow_name == "pairs" and self.book.is_corrected):  # that shows a corrected picture
            super()._judge(operation)

    def _judge_overwriting(self, operation: Operation, key: str, name: str) -> None:
        """It may be written over what people have entered if that is what was approved: see `overwrites`."""

    def overwrites(self, operation: Operation, now: datetime) -> bool:
        """Whether a one-way write replaces a name that the target's people have entered."""
        if self.flow_name == "pairs" or operation.key not in self.objects or "name" not in operation.changes:
            return False
        present, edits = self.objects[operation.key].get("name"), self.system.history(self.kind, operation.key, "name")
        return (
            bool(re.match(r"k\d", str(present)))
            and bool(edits)
            and edits[-1].is_peoples
            and edits[-1].at < now - timedelta(seconds=PICTURE_S)
        )

    def _one(self, operation: Operation) -> Outcome:
        if self.system.faults[:1] == ["attention"]:
            self.system.faults[0] = ""
            return replace(super()._one(operation), attention=ATTENTION)
        return super()._one(operation)

    def _apply(self, operation: Operation) -> Outcome:
        origin = str(operation.doc.get("origin", ""))
        if operation.verb is not Verb.CREATE and operation.key not in self.objects:
            return Outcome.rejected(Rejected(field="key", value=operation.key, reason="it is gone", remedy="look"))
        before = dict(self.objects.get(operation.key or "", {}))
        if operation.verb is Verb.CREATE:
            there = self.book.twins.get((self.name, origin), set())
            if alive := sorted(key for key in there if key in self.objects and not self.objects[key].get("cancelled")):
                self._wrong(operation, f"{origin} is there already as {alive}")
        outcome = super(Wild, self)._apply(operation)
        key = operation.key or outcome.key or ""
        self.system.note(self.kind, key, before, self.name)
        self.system.applied.add(operation.token)
        self.book.made_by[operation.token] = key
        if operation.verb is Verb.CREATE:
            if self.flow_name == "pairs":
                side, _, other = origin.partition(":")
                self.book.join(*((other, key) if side == "left" else (key, other)), "pairs")
            else:
                self.book.twins.setdefault((self.name, origin), set()).add(key)
        return outcome
