"""The world of the state machine: systems that keep a journal, judge each write as it arrives, and fail in every way.

What is judged here is judged from the journal of people's edits and of writes, not by what the engine remembers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from syncengine import clock
from syncengine.connectors.base import Operation, Outcome, Resource, Result, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core.engine import Chain
from syncengine.engine.steps import running
from syncengine.errors import (
    EndpointDown,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    SyncError,
    Throttled,
    Transient,
)
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context, Need, Policy, RuleDecision, RuleVerdict
from syncengine.store import Store
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, System, Thing, Time, World, by_name, flow

PICTURE_S = 30.0  # how old the picture may be from which a change is written: Limits.picture_s
SETTLE_S = {"left": 60.0, "right": 120.0}
KINDS = ("customers", "orders", "pieces", "bundles", "payments", "loads")
OWN = {  # resource that is written: the fields that are its flow's own
    "right.customers": {"ref", "name"},
    "right.orders": {"ref", "name", "customer"},
    "right.notes": {"note"},
    "right.pieces": {"ref", "name"},
    "right.bundles": {"ref", "name", "p", "q"},
    "right.payments": {"ref", "name"},
    "left.orders": {"status"},
    "left.pieces": {"status"},
    "left.loads": {"ref", "name"},
}
ONLY_CHANGES = ("right.notes", "left.orders", "left.pieces")
RAISED = ("rejected", "forbidden", "misconfigured", "transient", "down", "files", "memory", "bug")
ANSWERED = ("answer rejected", "answer unknown", "answer unheard", "answer locked")


class Killed(BaseException):
    """As SIGKILL: nothing of the worker runs any more, not even what tidies up."""


class Blinking(Store):
    """A store that is away for one transaction when asked to."""

    blinks = False

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Any]:
        if self.blinks:
            self.blinks = False
            raise Transient("the database cannot be used now")
        with super().write(durable=False) as session:  # no machine loses its power here
            yield session


@dataclass
class Message:
    """A chain on its way: the steps that are left, and when the first may be run."""

    chain: Chain
    stages: list[Stage]
    retries: int = 0
    due: datetime | None = None


@dataclass(frozen=True)
class Edit:
    """A field of an object was given another value, by people or by a write of a resource."""

    at: datetime
    old: Any
    new: Any
    by: str

    @property
    def is_peoples(self) -> bool:
        return self.by == "people"


@dataclass
class Watched(System):
    """A system that knows who has set each field to what and when, and which writes it has carried out."""

    edits_of: dict[tuple[str, str, str], list[Edit]] = field(default_factory=dict)
    applied: set[str] = field(default_factory=set)  # tokens
    writing: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)  # who, and when it began
    wrong: list[str] = field(default_factory=list)

    def put(self, kind: str, key: str, **doc: Any) -> None:
        before = dict(self.objects.get(kind, {}).get(key, {}))
        super().put(kind, key, **doc)
        self.note(kind, key, before, "people")

    def set_back(self, kind: str, key: str, doc: Doc) -> None:
        """The object shows an earlier state, with its version: a restored backup."""
        before = self.objects[kind][key]
        self.objects[kind][key] = {**dict.fromkeys(before, ""), **doc}  # a field that it has, it shows
        self.note(kind, key, before, "people")

    def note(self, kind: str, key: str, before: Doc, by: str) -> None:
        now = self.objects[kind][key]
        for name in {*before, *now} - {"version", "touched", "created"}:
            if value(before, name) != value(now, name):
                edit = Edit(self.time.at, value(before, name), value(now, name), by)
                self.edits_of.setdefault((kind, key, name), []).append(edit)

    def history(self, kind: str, key: str, name: str) -> Sequence[Edit]:
        return self.edits_of.get((kind, key, name), ())


def value(doc: Doc, name: str) -> Any:
    """A field's value; nothing, empty and absent are one."""
    found = doc.get(name)
    return "" if found is None else found


def named(doc: Doc) -> str:
    """By what people call an object: its reference, or its key at its source."""
    return str(doc.get("ref") or doc.get("id"))


@dataclass
class Trouble:
    """What goes wrong in the world: at the next reads, and for single objects for ever (side, kind and name)."""

    store: Blinking
    reading: list[str] = field(default_factory=list)
    reads: dict[tuple[str, str, str], str] = field(default_factory=dict)
    writes: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def at_read(self) -> None:
        match self.reading.pop(0) if self.reading else "":
            case "throttled":
                raise Throttled("too many", retry_in_s=5)
            case "long throttled":
                raise Throttled("too many", retry_in_s=50)
            case "dies":
                raise Killed
            case "bug":
                raise RuntimeError("a bug")

    def concerns(self, side: str, kind: str, names: Sequence[str]) -> bool:
        return any((side, kind, name) in self.reads or (side, kind, name) in self.writes for name in names)


def fail(what: str, name: str) -> NoReturn:
    """Raise an error of the class that `what` names."""
    errors: dict[str, Exception] = {
        "rejected": Rejected(field="name", value=name, reason="HTTP 400", remedy="correct it"),
        "forbidden": Forbidden("HTTP 403"),
        "misconfigured": Misconfigured("HTTP 404"),
        "transient": Transient("HTTP 500"),
        "down": EndpointDown("connection reset", retry_in_s=1),
        "files": OSError(24, "Too many open files"),
        "memory": MemoryError(),
        "bug": RuntimeError("a bug that one object brings out"),
    }
    raise errors[what]


class Wild(Thing):
    """A resource that judges what arrives, whose caller may die around a write, or lose its database right after one."""

    system: Watched
    trouble: Trouble
    policies: Mapping[str, Policy]
    tells_keys = True
    several_calls = False

    @property
    def object_kind(self) -> str:
        return f"{self.system.name}.{self.kind}"

    def calls(self, operation: Operation) -> Sequence[Operation]:
        """Each field of a change by a call of its own; a create without `p` and `q`, which are changed after it."""
        if not self.several_calls or operation.verb is Verb.CANCEL:
            return [operation]
        if operation.verb is Verb.CHANGE:
            return [replace(operation, changes={name: one}) for name, one in sorted(operation.changes.items())]
        bare = {name: one for name, one in operation.doc.items() if name not in ("p", "q")}
        return [replace(operation, doc=bare), replace(operation, verb=Verb.CHANGE)]

    # -- reads ---------------------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        self.trouble.at_read()
        self._fail_at(self.trouble.reads, [named(self.objects.get(key, {"id": key})) for key in keys])
        return super().read(keys)

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        self.trouble.at_read()
        self._fail_at(self.trouble.reads, natural_keys)
        return super().find(natural_keys)

    def _fail_at(self, cursed: Mapping[tuple[str, str, str], str], names: Sequence[str]) -> None:
        for name in names:
            what = cursed.get((self.system.name, self.kind, name), "")
            if what in RAISED:
                fail(what, name)

    # -- writes --------------------------------------------------------------------------------------------------------

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        self._fail_at(self.trouble.writes, [self._name(one) for one in operations])
        began = self.system.time.at
        if not self.system.down and self.system.faults[:1] != ["down"]:
            for operation in operations:
                self._judge(operation)
        try:
            outcomes = super().write(operations)
        except SyncError:
            self._over(operations, began)
            raise
        self._over(
            [one for one, outcome in zip(operations, outcomes, strict=True) if outcome.result is not Result.UNKNOWN],
            began,
        )
        return outcomes

    def _over(self, operations: Sequence[Operation], began: datetime) -> None:
        for one in operations:
            if self.system.writing.get((self.kind, one.key or "")) == (self.name, began):
                del self.system.writing[self.kind, one.key or ""]

    def _name(self, operation: Operation) -> str:
        key = operation.key
        return named(self.objects.get(key, {"id": key})) if key is not None else operation.natural_key

    def _one(self, operation: Operation) -> Outcome:
        match self.system.faults[0] if self.system.faults else "":
            case "dies before":
                self.system.faults.pop(0)
                raise Killed
            case "dies after":
                self.system.faults[0] = ""
                super()._one(operation)
                raise Killed
            case "blink":
                self.system.faults[0] = ""
                self.trouble.store.blinks = True
        match self.trouble.writes.get((self.system.name, self.kind, self._name(operation)), ""):
            case "answer rejected":
                return Outcome.rejected(Rejected(field="name", value="x", reason="never", remedy="correct it"))
            case "answer unknown":
                return Outcome.unknown(OutcomeUnknown("nobody understands this"))
            case "answer unheard":
                self._apply(operation)
                return Outcome.unknown(OutcomeUnknown("nobody understands this, and it happened"))
            case "answer locked":
                return Outcome.retry(Transient("record locked"))
        return super()._one(operation)

    def _apply(self, operation: Operation) -> Outcome:
        before = dict(self.objects.get(operation.key or "", {}))
        if before.get("invoiced"):
            return Outcome.rejected(Rejected(field="name", value="x", reason="it is invoiced", remedy="none"))
        if operation.verb is Verb.CREATE and any(
            one.get("ref") == operation.natural_key for one in self.objects.values()
        ):
            self.system.wrong.append(f"{self.name} {operation.natural_key} is created twice")
        outcome = super()._apply(operation)
        key = operation.key or outcome.key or ""
        self.system.note(self.kind, key, before, self.name)
        self.system.applied.add(operation.token)
        return outcome if operation.key or self.tells_keys else Outcome.done()

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, operation: Operation) -> None:
        """Note what is wrong about a write that arrives now."""
        if self.name in ONLY_CHANGES and operation.verb is not Verb.CHANGE:
            self._wrong(operation, "by a flow that only changes")
        if strange := set(operation.changes) - OWN.get(self.name, set(operation.changes)):
            self._wrong(operation, f"changes what is not its own: {strange}")
        if operation.key is None:
            return
        self._judge_turn(operation, operation.key)
        for name, change in operation.changes.items():
            self._judge_change(operation, operation.key, name, change.old)

    def _judge_turn(self, operation: Operation, key: str) -> None:
        now, place = self.system.time.at, (self.kind, key)
        other, began = self.system.writing.get(place, (self.name, now))
        if other != self.name and now < began + timedelta(seconds=self.settle_s):
            self._wrong(operation, f"while {other} writes the same object since {began}")
        self.system.writing[place] = (self.name, now)

    def _judge_change(self, operation: Operation, key: str, name: str, old: Any) -> None:
        seen_after = self.system.time.at - timedelta(seconds=PICTURE_S)
        edits, present = self.system.history(self.kind, key, name), value(self.objects[key], name)
        planned_from = "" if old is None else old
        if present != planned_from:
            left = [one.at for one in edits if one.old == planned_from]
            if not left or max(left) < seen_after:
                self._wrong(operation, f"{name} was {planned_from!r} in its picture, and is {present!r}")
        self._judge_overwriting(operation, key, name)

    def _judge_overwriting(self, operation: Operation, key: str, name: str) -> None:
        seen_after = self.system.time.at - timedelta(seconds=PICTURE_S)
        edits, present = self.system.history(self.kind, key, name), value(self.objects[key], name)
        if self.policies.get(name, Policy.HOLD) is Policy.HOLD and re.match(r"k\d", str(present)):
            theirs = next(one for one in reversed(edits) if one.new == present)
            is_known = any(one.by == self.name and one.at <= theirs.at for one in edits)  # else there is no agreement
            if theirs.is_peoples and theirs.at < seen_after and is_known:
                self._wrong(operation, f"overwrites {name} {present!r}, which people set at {theirs.at}")

    def _wrong(self, operation: Operation, what: str) -> None:
        self.system.wrong.append(
            f"{self.system.time.at}: {self.name} {operation.verb} {operation.key or operation.natural_key} "
            f"({dict(operation.changes)}): {what}"
        )


# -- workers -----------------------------------------------------------------------------------------------------------


class Workers:
    """Workers, Celery and the clock on one thread: messages are kept, and run a step at a time."""

    world: World
    time: Time

    def take_over(self, time: Time) -> None:
        """From here on this is the time, for the engine too."""
        self.messages: list[Message] = []
        self.seen: list[Chain] = []
        self.before = clock.now, clock.monotonic, clock.sleep, running._crashed
        clock.now, clock.monotonic, clock.sleep = time.now, time.monotonic, time.pass_
        running._crashed = self._died

    def give_back(self) -> None:
        clock.now, clock.monotonic, clock.sleep, running._crashed = self.before

    def pump(self, sweep: bool) -> None:
        self.world.pump(sweep=sweep)
        self.collect()

    def collect(self) -> None:
        """Take what was sent, by the pump or by what people did."""
        fresh, self.world.messages[:] = list(self.world.messages), []
        self.seen += fresh
        self.messages += [Message(chain, chain.stages) for chain in fresh]

    def _died(self, engine: Any, lease: Any, error: BaseException) -> None:
        if not isinstance(error, Killed):
            self.before[3](engine, lease, error)

    def _ready(self, number: int) -> Message | None:
        ready = [one for one in self.messages if one.due is None or one.due <= self.time.at]
        return ready[number % len(ready)] if ready else None

    def _step(self, number: int) -> None:
        message = self._ready(number)
        if message is not None and not self._run(message) and message in self.messages:
            self.messages.remove(message)

    def _run(self, message: Message) -> bool:
        """Run the first step of a message; False if there is nothing left of its chain."""
        try:
            running.run(self.world.engine, message.stages[0], message.chain.token, retries=message.retries)
        except running.TryAgain as again:
            message.retries += 1
            message.due = datetime.fromtimestamp(self.time.at.timestamp() + again.wait_s, self.time.at.tzinfo)
            return True
        except (RuntimeError, OSError, MemoryError, Killed, SyncError):
            return False
        message.stages, message.retries, message.due = message.stages[1:], 0, None
        return bool(message.stages)

    def _work_off(self, hours: float) -> None:
        """Workers and beat do what they do, until nothing is due."""
        end, wait_s = self.time.at.timestamp() + hours * 3600, 5.0
        while self.time.at.timestamp() < end:
            self.pump(True)
            wait_s = 5.0 if self.messages else min(2 * wait_s, 150.0)
            while (message := self._ready(0)) is not None:
                if not self._run(message):
                    self.messages.remove(message)
                    self.pump(False)
            if not self.messages and not self.world.backlog():
                return
            self.time.pass_(wait_s)


# -- flows -------------------------------------------------------------------------------------------------------------


def order(doc: Doc, context: Context) -> Doc:
    return {**by_name(doc, context), "customer": context.links[_customer(doc, context)[0]]}


def _customer(doc: Doc, context: Context) -> list[Need]:
    return [Need("customers", str(doc["customer"]), "", "customers")]


def parts(doc: Doc, context: Context) -> dict[str, Doc]:
    """A document for each part of an object; `parts` says which it has."""
    return {part: {"ref": f"{doc['id']}-{part}", "name": f"{doc['name']} {part}"} for part in doc["parts"]}


def bundle(doc: Doc, context: Context) -> Doc:
    return {**by_name(doc, context), "p": doc["p"], "q": doc["q"]}


def note(doc: Doc, context: Context) -> Doc:
    return {"note": value(doc, "remark")}


def status(doc: Doc, context: Context) -> Doc:
    return {"status": value(doc, "status")}


def _live(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.SKIP, "it is cancelled") if doc.get("cancelled") else RuleDecision()


def flows(policy: Policy) -> dict[str, Flow]:
    """All flows by name; `policy` is that of the fields that are written back to the left."""
    own = {"status": policy}
    made = [
        flow("customers", Plain(by_name)),
        flow("orders", Plain(order, needs_=_customer), batch=3),
        flow("pieces", Plain(parts, parts=True), batch=3),
        flow("bundles", Plain(bundle), batch=3),
        flow("payments", Plain(by_name), batch=3),
        flow("loads", Plain(parts, parts=True), source="right.loads", target="left.loads", batch=3),
        flow("notes", Plain(note), entity="orders", source="left.orders", target="right.notes", write_back=True, batch=3),
        flow(
            "statuses", Plain(status, policies=own), entity="orders", source="right.orders", target="left.orders",
            write_back=True, batch=3,
        ),
        flow(
            "piece_statuses", Plain(status, rules=_live, policies=own), entity="pieces", source="right.pieces",
            target="left.pieces", write_back=True, batch=3,
        ),
    ]  # fmt: skip
    return {one.name: one for one in made}


def resources(
    left: Watched, right: Watched, trouble: Trouble, policy: Policy, most_per_write: int
) -> dict[str, Resource]:
    """All resources by name. Payments are posted and tell no key; bundles take several calls."""
    made: dict[str, Resource] = {}
    for system in (left, right):
        for name in (*KINDS, *(("notes",) if system is right else ())):
            one = Wild(
                system, f"{system.name}.{name}", settle_s=SETTLE_S[system.name], most_per_write=most_per_write,
                trouble=trouble, policies={"status": policy},
            )  # fmt: skip
            made[one.name] = one
    notes, payments, bundles = made["right.notes"], made["right.payments"], made["right.bundles"]
    assert isinstance(notes, Wild)
    assert isinstance(payments, Wild)
    assert isinstance(bundles, Wild)
    notes.kind = "orders"
    payments.tells_keys = False
    payments.safety = {**payments.safety, Verb.CREATE: Safety.ASK}  # type: ignore[misc]
    bundles.several_calls = True
    return made


def systems(time: Time) -> tuple[Watched, Watched]:
    return Watched("left", time), Watched("right", time)
