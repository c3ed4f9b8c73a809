"""Two tiny systems in memory, a clock that moves on demand, and an engine between them whose messages are kept in a list.

Nothing of the kernel is replaced: store, leases, pump and steps are the real ones. Only the systems and Celery are ours.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import INCLUDE, Schema, fields
from sqlalchemy import func, select

from syncengine import clock
from syncengine.connectors.base import (
    Connector,
    Endpoint,
    Operation,
    Outcome,
    Page,
    Position,
    Ref,
    Resource,
    Result,
    Safety,
    Verb,
)
from syncengine.document import LINE_KEY, LINE_NUMBER, Doc
from syncengine.engine.core.engine import Chain, Engine, Limits
from syncengine.engine.core.want import want
from syncengine.engine.steps import running
from syncengine.engine.steps.pump import pump
from syncengine.errors import EndpointDown, OutcomeUnknown, Rejected, Transient
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import (
    Context,
    DifferenceText,
    FieldGroup,
    KnownLinks,
    Need,
    Policy,
    Reference,
    Remark,
    RuleDecision,
)
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage, Status
from syncengine.vault import Vault

TICK_S = 5.0  # as beat's
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Time:
    """The time of the test: both clocks of the engine stop until `pass_`."""

    def __init__(self) -> None:
        self.at = START
        self.later: list[tuple[datetime, Callable[[], None]]] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds() + 1000.0

    def pass_(self, seconds: float) -> None:
        """Move on, doing on the way what was put down for later."""
        end = self.at + timedelta(seconds=seconds)
        for due in sorted([one for one in self.later if one[0] <= end], key=lambda one: one[0]):
            self.later.remove(due)
            self.at = max(self.at, due[0])
            due[1]()
        self.at = end


class ThingSchema(Schema):
    class Meta:
        unknown = INCLUDE

    name = fields.String(required=True)


@dataclass
class System:
    """One side: objects by kind and key, a journal of writes, and faults for the writes to come."""

    name: str
    time: Time
    objects: dict[str, dict[str, Doc]] = field(default_factory=dict)
    writes: list[tuple[str, str, str]] = field(default_factory=list)  # verb, natural key, key
    reads: list[tuple[str, list[str]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    during_write: Callable[[Operation], None] | None = None
    down: bool = False
    next_key: int = 1
    edits: int = 0

    def put(self, kind: str, key: str, **doc: Any) -> None:
        """Create or edit an object as this system's people do; its version rises."""
        self.edits += 1
        old = self.objects.setdefault(kind, {}).get(key, {"created": self.time.at})
        self.objects[kind][key] = {**old, **doc, "id": key, "version": str(self.edits), "touched": self.time.at}


class Thing(Resource):
    """Objects of one kind in one system. Settings of the class are set per test."""

    schema = ThingSchema
    feeds = ("updated",)
    most_per_read = 50
    search_lag_s = 0.0
    pads_keys = False  # as SYSPRO: a key is the same with and without zeros before it

    def __init__(self, system: System, name: str, **settings: Any) -> None:
        self.system = system
        self.name = name  # type: ignore[misc]
        self.kind = name.partition(".")[2]
        self.safety = {Verb.CREATE: Safety.SEARCH, Verb.CHANGE: Safety.ABSOLUTE, Verb.CANCEL: Safety.ABSOLUTE}  # type: ignore[misc]
        for setting, value in settings.items():
            setattr(self, setting, value)

    @property
    def objects(self) -> dict[str, Doc]:
        return self.system.objects.setdefault(self.kind, {})

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        self._reachable()
        self.system.reads.append((self.kind, list(keys)))
        stored = {key: key.lstrip("0") if self.pads_keys else key for key in keys}
        return {key: copy.deepcopy(self.objects[own]) for key, own in stored.items() if own in self.objects}

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        self._reachable()
        self.system.reads.append((f"find {self.kind}", list(natural_keys)))
        found: dict[str, list[Doc]] = {}
        for doc in self.objects.values():
            if doc.get("ref") in natural_keys:
                found.setdefault(doc["ref"], []).append(copy.deepcopy(doc))
        return found

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        self._reachable()
        after = int(position.get("edit", 0))
        refs = sorted((int(doc["version"]), key) for key, doc in self.objects.items() if int(doc["version"]) > after)
        for start in range(0, len(refs), 3):
            some = refs[start : start + 3]
            page = [Ref(key, str(version), self.objects[key]["touched"]) for version, key in some]
            yield Page(page, {"edit": some[-1][0]}, self.system.time.at)

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        self._reachable()
        if self.system.faults and self.system.faults[0] == "down":
            self.system.faults.pop(0)
            raise EndpointDown("connection refused", retry_in_s=1)
        return [self._one(operation) for operation in operations]

    def _one(self, operation: Operation) -> Outcome:
        fault = self.system.faults.pop(0) if self.system.faults else ""
        if self.system.during_write is not None:
            self.system.during_write(operation)
        match fault:
            case "lost":
                return Outcome.unknown(OutcomeUnknown("time-out, and it did not happen"))
            case "unheard":
                self._apply(operation)
                return Outcome.unknown(OutcomeUnknown("time-out, and it happened"))
            case "late":
                self.system.time.later.append(
                    (self.system.time.at + timedelta(seconds=60), lambda: self._late(operation))
                )
                return Outcome.unknown(OutcomeUnknown("time-out, and it happens 60 s later"))
            case "busy":
                return Outcome.retry(Transient("record locked"))
            case "refused":
                return Outcome.rejected(Rejected(field="name", value="x", reason="no such thing", remedy="correct it"))
            case "numberless":
                self._apply(operation)
                return Outcome.done()
            case "bug":
                raise RuntimeError("a bug in the connector")
        return self._apply(operation)

    def _late(self, operation: Operation) -> None:
        self._apply(operation)

    def _apply(self, operation: Operation) -> Outcome:
        if operation.verb is Verb.CREATE:
            return self._create(operation)
        assert operation.key is not None
        doc = self.objects[operation.key]
        if operation.verb is Verb.CANCEL:
            doc["cancelled"] = True
        for name, change in operation.changes.items():
            doc[name] = change.new
        numbers = _apply_lines(doc, operation)
        self._count(operation, operation.key)
        return Outcome.done(lines=numbers)

    def _create(self, operation: Operation) -> Outcome:
        twins = [doc for doc in self.objects.values() if doc.get("ref") == operation.natural_key]
        if twins and self.safety[Verb.CREATE] is Safety.ENFORCED:
            return Outcome(
                result=Result.EXISTS, error=Rejected(field="ref", value="", reason="duplicate", remedy="none")
            )
        key = f"{self.system.name[0].upper()}{self.system.next_key}"
        self.system.next_key += 1
        doc = copy.deepcopy(operation.doc)
        for name in self.line_fields:
            lines = doc.get(name, [])
            doc[name] = [{**_bare(line), LINE_NUMBER: str(number)} for number, line in enumerate(lines, 1)]
        self.objects[key] = {
            **doc,
            "id": key,
            "version": "0",
            "created": self.system.time.at,
            "touched": self.system.time.at,
        }
        self._count(operation, key)
        return Outcome.done(key)

    def _count(self, operation: Operation, key: str) -> None:
        self.system.edits += 1
        self.objects[key] |= {"version": str(self.system.edits), "touched": self.system.time.at}
        self.system.writes.append((str(operation.verb), operation.natural_key, key))

    def _reachable(self) -> None:
        if self.system.down:
            raise EndpointDown("connection refused", retry_in_s=1)

    def key_of(self, doc: Doc) -> str:
        return str(doc["id"])

    def version(self, doc: Doc) -> str:
        return str(doc["version"])

    def created_at(self, doc: Doc) -> datetime | None:
        return doc.get("created")

    def touched_at(self, doc: Doc) -> datetime | None:
        return doc.get("touched")

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        return "it is invoiced" if doc.get("invoiced") else None

    def is_cancelled(self, doc: Doc) -> bool:
        return bool(doc.get("cancelled"))


def _bare(line: Doc) -> Doc:
    return {name: value for name, value in line.items() if name != LINE_KEY}


def _apply_lines(doc: Doc, operation: Operation) -> dict[str, str]:
    numbers: dict[str, str] = {}
    for change in operation.lines:
        lines: list[Doc] = doc.setdefault(change.field, [])
        if change.action == "add":
            number = str(max((int(line[LINE_NUMBER]) for line in lines), default=0) + 1)
            lines.append({**_bare(change.line), LINE_NUMBER: number})
            numbers[change.key] = number
        elif change.action == "remove":
            lines[:] = [line for line in lines if line[LINE_NUMBER] != change.number]
        else:
            line = next(line for line in lines if line[LINE_NUMBER] == change.number)
            line |= {name: one.new for name, one in change.changes.items()}
    return numbers


def _no_rules(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision()


@dataclass
class Plain:
    """A mapping in Python: what the tests need of the contract, each part replaceable."""

    to: Callable[[Doc, Context], Doc | Mapping[str, Doc]]
    rules: Callable[[Doc, Context], RuleDecision] = _no_rules
    needs_: Callable[[Doc, Context], Sequence[Need]] = lambda doc, context: ()
    refs: Callable[[Doc], Sequence[Reference]] = lambda doc: ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    parts: bool = False
    version: str = "1"
    remarks_: Callable[[Doc, Context, Doc], Sequence[Remark]] = lambda doc, context, mapped: ()

    def references(
        self, doc: Doc, settings: Mapping[str, Any] | None = None, lookups: Mapping[str, Any] | None = None
    ) -> Sequence[Reference]:
        return self.refs(doc)

    @property
    def has_known_links(self) -> bool:
        return False

    def known_links(
        self, doc: Doc, settings: Mapping[str, Any] | None = None, lookups: Mapping[str, Any] | None = None
    ) -> Sequence[KnownLinks]:
        return ()

    def key_to_find(
        self, doc: Doc, settings: Mapping[str, Any] | None = None, lookups: Mapping[str, Any] | None = None
    ) -> str:
        return str(doc.get("name", ""))

    def decide(self, doc: Doc, context: Context) -> RuleDecision:
        return self.rules(doc, context)

    def needs(self, doc: Doc, context: Context) -> Sequence[Need]:
        return self.needs_(doc, context)

    def apply(self, doc: Doc, context: Context) -> Mapping[str, Doc]:
        made = self.to(doc, context)
        return made if self.parts else {"": dict(made)}

    def remarks(self, doc: Doc, context: Context, mapped: Mapping[str, Doc]) -> Sequence[Remark]:
        return [remark for part in mapped.values() for remark in self.remarks_(doc, context, part)]

    @property
    def has_parts(self) -> bool:
        return self.parts

    def parts_of(self, doc: Doc, context: Context) -> Sequence[str]:
        return list(self.apply(doc, context))

    def policy(self, field: str) -> Policy:
        return self.policies.get(field, Policy.HOLD)

    def difference_text(self, name: str) -> DifferenceText:
        return DifferenceText()

    def natural_key(self, mapped: Doc) -> str:
        return str(mapped.get("ref", ""))


class Fake(Connector):
    system = "fake"

    def __init__(self, resources: Mapping[str, Resource], concurrency: int = 1) -> None:
        self.resources = resources
        self.concurrency = concurrency

    def check(self) -> str:
        for resource in list(self.resources.values())[:1]:
            resource._reachable()  # type: ignore[attr-defined]
        return "reached"


@dataclass
class World:
    """Both systems, the engine, and the messages that it has sent and nobody has run yet."""

    store: Store
    vault: Vault
    time: Time
    left: System
    right: System
    resources: dict[str, Resource]
    flows: dict[str, Flow]
    limits: Limits = field(default_factory=Limits)
    messages: list[Chain] = field(default_factory=list)
    connection_id: int = 0

    def __post_init__(self) -> None:
        with self.store.write() as session:
            ends = [m.Endpoint(name=f"{side}-1", system=side, settings={}) for side in ("left", "right")]
            session.add_all(ends)
            session.flush()
            connection = m.ConnectionRow(
                name="main", left_id=ends[0].id, right_id=ends[1].id, flows=list(self.flows), settings={}
            )
            session.add(connection)
            session.flush()
            self.connection_id = connection.id
        self.engine = Engine(
            self.store, self.vault, self.flows, connect=self._connect, send=self.messages.append, limits=self.limits
        )

    def _connect(self, endpoint: Endpoint) -> Connector:
        return Fake({name: one for name, one in self.resources.items() if name.startswith(f"{endpoint.system}.")})

    def configure(self, **values: Any) -> None:
        """Change the connection, as `syncengine configure` would."""
        with self.store.write() as session:
            connection = session.get_one(m.ConnectionRow, self.connection_id)
            for name, value in values.items():
                setattr(connection, name, value)
        self.engine._connections.clear()

    def want(self, flow: str, *keys: str, lane: Lane = Lane.SCHEDULED) -> None:
        with self.store.write() as session:
            want(session, self.connection_id, flow, keys, lane=lane, now=clock.now())

    def pump(self, *, sweep: bool = True) -> int:
        return pump(self.engine, sweep=sweep)

    def step(self, message: Chain, stage: Any, retries: int = 0) -> str:
        return running.run(self.engine, stage, message.token, retries=retries)

    def begun(self, flow: str, key: str, *stages: Stage) -> Chain:
        """Want an object, and let a worker take its chain through these steps and no further."""
        self.want(flow, key)
        self.pump()
        message = self.messages.pop()
        for stage in stages:
            self.step(message, stage)
        return message

    def run_message(self, message: Chain) -> None:
        """Run one chain as a worker would, with its retries, then the pump."""
        for stage in message.stages:
            for retries in range(10):
                try:
                    self.step(message, stage, retries)
                    break
                except running.TryAgain as again:
                    self.time.pass_(again.wait_s)
                except RuntimeError:
                    return

    def settle(self, *, patience_s: float = 0.0, rounds: int = 60) -> None:
        """Run everything that is due, moving the clock on for at most `patience_s` seconds in all, and `rounds` ticks."""
        end = self.time.at + timedelta(seconds=patience_s)
        while rounds > 0:
            self.pump()
            ran = bool(self.messages)
            while self.messages:
                self.run_message(self.messages.pop(0))
                self.pump(sweep=False)
            if not self.backlog() or self.time.at >= end:
                return
            ticks = 1 if ran else min(rounds, self._idle_ticks(end))
            for _ in range(ticks):
                self.time.pass_(TICK_S)
            rounds -= ticks

    def _idle_ticks(self, end: datetime) -> int:
        """Ticks until the pump has something to do, or until `end`, at least one: those before it would find nothing."""
        due_at = func.coalesce(m.Record.lease_until, m.Record.not_before)
        rests = m.Record.status.in_([Status.HELD, Status.WAITING]) & (m.Record.wanted == m.Record.done)
        with self.store.read() as session:
            due = session.scalar(select(func.min(due_at)).where(m.Record.wanted > m.Record.done))
            rested = session.scalar(select(func.min(m.Record.updated_at)).where(rests))
        again = None if rested is None else rested + timedelta(seconds=self.limits.hold_again_s)
        times = [end, *(at for at, _ in self.time.later), *(at for at in (due, again) if at is not None)]
        return max(1, math.ceil((min(times) - self.time.at).total_seconds() / TICK_S))

    def sync(self, flow: str, *keys: str, patience_s: float = 0.0) -> None:
        self.want(flow, *keys)
        self.settle(patience_s=patience_s)

    def backlog(self) -> int:
        with self.store.read() as session:
            return len(session.scalars(select(m.Record.id).where(m.Record.wanted > m.Record.done)).all())

    def record(self, flow: str, key: str) -> m.Record:
        with self.store.read() as session:
            return session.scalars(select(m.Record).where(m.Record.flow == flow, m.Record.key == key)).one()

    def links(self, entity: str) -> list[tuple[str, str, str | None]]:
        with self.store.read() as session:
            query = (
                select(m.Link.left_key, m.Link.part, m.Link.right_key)
                .where(m.Link.entity == entity)
                .order_by(m.Link.id)
            )
            return [(left, part, right) for left, part, right in session.execute(query)]

    def timeline(self, flow: str, key: str) -> list[str]:
        with self.store.read() as session:
            query = select(m.Event.what).where(m.Event.flow == flow, m.Event.key == key).order_by(m.Event.id)
            return list(session.scalars(query))

    def failures(self) -> list[tuple[str, str, str]]:
        with self.store.read() as session:
            query = select(m.Failure).where(m.Failure.closed_at.is_(None)).order_by(m.Failure.id)
            return [(failure.key, failure.field, failure.cause) for failure in session.scalars(query)]


def flow(name: str, mapping: Plain, **more: Any) -> Flow:
    """A flow from `left.NAME` to `right.NAME`."""
    defaults: dict[str, Any] = {
        "entity": name, "source": f"left.{name}", "target": f"right.{name}", "version": "1", "feeds": ("updated",), "batch": 10,
    }  # fmt: skip
    return Flow(name=name, mapping=mapping, **{**defaults, **more})


def by_name(doc: Doc, context: Context) -> Doc:
    """The simplest mapping: the name, and the left key as reference."""
    return {"ref": doc["id"], "name": doc["name"]}


def two_way(
    name: str, groups: Sequence[FieldGroup], *, rules: Callable[[Doc, Context], RuleDecision] = _no_rules
) -> Flow:
    """A pair flow with the same field names on both sides."""
    pairs = [pair for group in groups for pair in zip(group.left, group.right, strict=True)]
    forward = Plain(
        to=lambda doc, context: {r: doc.get(le) for le, r in pairs} | {"ref": doc.get("ref") or doc["id"]}, rules=rules
    )
    backward = Plain(to=lambda doc, context: {le: doc.get(r) for le, r in pairs} | {"ref": doc.get("ref") or doc["id"]})
    return flow(name, forward, two_way=True, backward=backward, groups=groups, backward_feeds=("updated",))
