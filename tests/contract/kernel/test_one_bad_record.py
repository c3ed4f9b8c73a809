"""One bad record stops nobody: errors stay with the record that they concern, and people are alerted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from syncengine.connectors.base import Connector, Operation, Outcome, Verb
from syncengine.document import Doc
from syncengine.engine.people import held, manual_settlement
from syncengine.engine.steps.discover import discover
from syncengine.errors import (
    AuthenticationFailed,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    SyncError,
    Throttled,
    Transient,
)
from syncengine.store import models as m
from syncengine.store.states import Lane
from tests.contract.kernel.world import Fake, Plain, Thing, World, by_name, flow
from tests.depth import usually

pytestmark = pytest.mark.one_database

MakeWorld = Callable[..., World]
BAD = "3"
OTHERS = [str(number) for number in range(10) if str(number) != BAD]
REFUSED = Rejected(field="read", value=BAD, reason="HTTP 400", remedy="Correct it")


def _ten(world: World) -> None:
    for number in range(10):
        world.left.put("things", str(number), name="x")
    discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)


def _run(world: World, *, hours: float, every_s: float, during: Callable[[], None] = lambda: None) -> None:
    end = world.time.at + timedelta(hours=hours)
    while world.time.at < end:
        world.pump()
        while world.messages:
            world.run_message(world.messages.pop(0))
            world.pump(sweep=False)
        during()
        if not world.backlog():
            return
        world.time.pass_(every_s)


def _states(world: World) -> dict[str, str]:
    with world.store.read() as session:
        rows = session.scalars(select(m.Record).order_by(m.Record.id))
        return {one.key: "due" if one.wanted > one.done else one.status for one in rows}


class Unreadable(Thing):
    """Reads that hold a bad key are refused, or fail, as a whole."""

    error: SyncError = REFUSED
    bad = BAD

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        if self.bad in keys:
            raise self.error
        return super().read(keys)


def _replace(world: World, resource: Thing) -> None:
    world.resources[resource.name] = resource
    world.engine._connectors.clear()
    world.engine._connections.clear()


ERRORS = {
    "refused": REFUSED,
    "not found": Misconfigured("HTTP 404"),
    "forbidden": Forbidden("HTTP 403"),
    "not understood": Transient("an answer that nobody understands"),
}


@pytest.mark.parametrize(
    ("side", "error"),
    usually(
        [*(("left", name) for name in ERRORS), ("right", "refused")],
        full=[(side, name) for side in ("left", "right") for name in ERRORS],
    ),
)
def test_a_record_that_cannot_be_read_becomes_a_dead_letter_and_stops_no_other(
    make_world: MakeWorld, side: str, error: str
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    bad = Unreadable(getattr(world, side), f"{side}.things", error=ERRORS[error])
    _ten(world)
    if side == "right":  # what is linked is read there when its source is edited
        world.settle(patience_s=60)
        bad.bad = next(right or "" for left, _, right in world.links("things") if left == BAD)
        for key in (*OTHERS, BAD):
            world.left.put("things", key, name="y")
        discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    _replace(world, bad)

    _run(world, hours=1, every_s=20)

    assert _states(world) == {**dict.fromkeys(OTHERS, "done"), BAD: "dead"}
    assert [key for key, _, _ in world.failures()] == [BAD]
    with world.store.read() as session:
        assert session.scalars(select(m.Endpoint.paused_until)).all() == [None, None]


class Forbids(Thing):
    """Writes of one object are answered with 403, by a firewall that dislikes its address."""

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        if any(one.natural_key == BAD for one in operations):
            raise Forbidden("right-1: refused with 403")
        return super().write(operations)


@pytest.mark.parametrize("most_per_write", [1, 4])
def test_an_object_that_is_forbidden_does_not_stop_its_endpoint(make_world: MakeWorld, most_per_write: int) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Forbids(
        world.right, "right.things", settle_s=120.0, most_per_write=most_per_write
    )
    _ten(world)

    _run(world, hours=1, every_s=20)

    assert _states(world) == {**dict.fromkeys(OTHERS, "done"), BAD: "dead"}
    [(key, field, cause)] = world.failures()
    assert (key, field) == (BAD, "right-1")
    assert cause == "right-1: refused with 403; other calls are accepted"
    with world.store.read() as session:
        assert session.scalars(select(m.Endpoint.paused_until)).all() == [None, None]

    _replace(world, Thing(world.right, "right.things", settle_s=120.0))  # the rule is corrected
    world.sync("things", BAD)
    assert _states(world)[BAD] == "done"
    assert len(world.right.writes) == 10


class Revoked(Fake):
    def check(self) -> str:
        raise AuthenticationFailed("401")


def test_an_endpoint_that_forbids_its_probe_too_is_paused_and_makes_no_dead_letters(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(flow("things", Plain(by_name)))

    class ForbidsAll(Thing):
        def write(self, operations: Sequence[Operation]) -> list[Outcome]:
            raise Forbidden("right-1: refused with 403")

    allowed = world.resources["right.things"]
    world.resources["right.things"] = ForbidsAll(world.right, "right.things")
    connect = world._connect

    def revoked(endpoint: object) -> Connector:
        made = connect(endpoint)  # type: ignore[arg-type]
        return Revoked(made.resources) if any(name.startswith("right.") for name in made.resources) else made

    world.engine._connect = revoked
    _ten(world)
    _run(world, hours=0.5, every_s=60)

    assert set(_states(world).values()) == {"due"}
    assert world.failures() == []
    with world.store.read() as session:
        [right] = session.scalars(select(m.Endpoint).where(m.Endpoint.system == "right"))
        assert right.paused_until is not None
        assert "refuses other calls too" in right.paused_because

    world.resources["right.things"], world.engine._connect = allowed, connect
    world.engine._connectors.clear()
    world.engine._connections.clear()
    _run(world, hours=1, every_s=60)
    assert set(_states(world).values()) == {"done"}


class Hiccup(Thing):
    """For some seconds the process lacks something: file handles, memory."""

    error: Exception = OSError(24, "Too many open files")
    until_s = 0.0

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        if self.system.time.monotonic() < self.until_s:
            raise self.error
        return super().read(keys)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(OSError(24, "Too many open files"), 600), (MemoryError(), 2)],
    ids=["files, for long", "memory, for a moment"],
)
def test_a_process_that_lacks_something_makes_no_dead_letters(
    make_world: MakeWorld, error: Exception, seconds: int
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    hiccup = Hiccup(world.left, "left.things", error=error)
    world.resources["left.things"] = hiccup
    _ten(world)
    hiccup.until_s = world.time.monotonic() + seconds
    _run_as_workers(world, type(error), 400)
    _run_patiently(world, type(error))

    assert set(_states(world).values()) == {"done"}


@pytest.mark.parametrize("error", [OSError(36, "File name too long"), MemoryError()], ids=["name", "memory"])
def test_an_object_that_no_process_can_read_stops_no_other(make_world: MakeWorld, error: Exception) -> None:
    """Tried alone it rests longer each time, and becomes a dead letter only when that has lasted a good while."""

    class TooLarge(Unreadable):
        def read(self, keys: Sequence[str]) -> dict[str, Doc]:
            if self.bad in keys:
                raise error
            return super().read(keys)

    world = make_world(flow("things", Plain(by_name)))
    world.resources["left.things"] = TooLarge(world.left, "left.things")
    _ten(world)
    began = world.time.at
    _run_as_workers(world, type(error), 400)
    while world.backlog() > 1:
        world.time.pass_(20)
        _run_as_workers(world, type(error), 200)
    assert _states(world) == {**dict.fromkeys(OTHERS, "done"), BAD: "due"}
    assert world.time.at - began < timedelta(minutes=2)

    _run_patiently(world, type(error))
    assert _states(world)[BAD] == "dead"
    assert [key for key, _, _ in world.failures()] == [BAD]
    assert world.time.at - began > timedelta(minutes=20)


def test_two_bad_seconds_of_any_kind_make_no_poison(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(by_name)))
    hiccup = Hiccup(world.left, "left.things", error=KeyError("a bug for the moment"))
    world.resources["left.things"] = hiccup
    _ten(world)
    hiccup.until_s = world.time.monotonic() + 2
    _run_as_workers(world, KeyError, 400)
    _run_patiently(world, KeyError)

    assert set(_states(world).values()) == {"done"}


def _run_as_workers(world: World, error: type[Exception], rounds: int) -> None:
    """Workers take up what is due at once: no time passes but what the engine waits."""
    for _ in range(rounds):
        world.pump(sweep=False)
        if not world.messages:
            return
        message = world.messages.pop(0)
        for stage in message.stages:
            try:
                world.step(message, stage)
            except error:
                break
        world.time.pass_(0.01)


def _run_patiently(world: World, error: type[Exception]) -> None:
    for _ in range(200):
        _run_as_workers(world, error, 200)
        if not world.backlog():
            return
        world.time.pass_(20)


def test_a_record_that_breaks_the_mapping_fails_alone(make_world: MakeWorld) -> None:
    def to(doc: Doc, context: object) -> Doc:
        if doc["id"] == BAD:
            raise ZeroDivisionError
        return by_name(doc, context)  # type: ignore[arg-type]

    world = make_world(flow("things", Plain(to)))  # type: ignore[arg-type]
    _ten(world)
    _run_patiently(world, ZeroDivisionError)

    assert _states(world) == {**dict.fromkeys(OTHERS, "done"), BAD: "dead"}


@pytest.mark.parametrize("wait_s", [3e9, 1e12, float("inf"), float("nan")])
def test_a_wait_that_no_system_means_is_not_obeyed(make_world: MakeWorld, wait_s: float) -> None:
    class Sleepy(Thing):
        asked = False

        def _one(self, operation: Operation) -> Outcome:
            if not self.asked:
                self.asked = True
                return Outcome.retry(Throttled("429, Retry-After: 3000000000", retry_in_s=wait_s))
            return super()._one(operation)

    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Sleepy(world.right, "right.things", settle_s=120.0)
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    _run(world, hours=0.3, every_s=60)

    assert world.record("things", "1").status == "done"


class Odd(Thing):
    """Each write of one object is answered with something that nobody understands."""

    sent: int = 0
    understood = False
    bad_verbs = tuple(Verb)

    def _one(self, operation: Operation) -> Outcome:
        if BAD in (operation.natural_key, operation.doc.get("ref")) and operation.verb in self.bad_verbs:
            self.sent += 1
            if not self.understood:
                return Outcome.unknown(OutcomeUnknown("nobody knows this answer: ERROR: E.Net 4711"))
        return super()._one(operation)


def test_a_create_that_is_never_understood_is_sent_five_times_and_held(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(by_name)))
    odd = Odd(world.right, "right.things", settle_s=120.0)
    world.resources["right.things"] = odd
    _ten(world)
    _run(world, hours=3, every_s=60)

    assert _states(world) == {**dict.fromkeys(OTHERS, "done"), BAD: "held"}
    assert odd.sent == world.engine.limits.sends == 5
    record = world.record("things", BAD)
    assert record.reason.startswith("sent 5 times, and nobody knows whether it took effect")
    world.time.pass_(3700)  # looked for every hour, and not sent
    world.settle(patience_s=600)
    assert (world.record("things", BAD).status, odd.sent) == ("held", 5)

    with world.store.read() as session:
        one = held.of_record(session, world.engine, world.record("things", BAD))
        doubt = manual_settlement.unknown_write_of(session, world.engine, record)
    assert one.hold == "unknown write"
    odd.understood = True
    manual_settlement.did_not(world.engine, record, doubt, by="anna", because="it is not in the target")
    world.settle(patience_s=600)
    assert (world.record("things", BAD).status, odd.sent) == ("done", 6)


def test_a_create_that_was_never_understood_is_adopted_if_it_shows_up_later(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Odd(world.right, "right.things", settle_s=120.0)
    world.left.put("things", BAD, name="x")
    world.want("things", BAD)
    _run(world, hours=3, every_s=60)
    assert world.record("things", BAD).status == "held"

    world.right.put("things", "R9", name="x", ref=BAD)
    world.time.pass_(3700)
    world.settle(patience_s=600)

    assert world.record("things", BAD).status == "done"
    assert world.links("things") == [(BAD, "", "R9")]
    assert world.right.writes == []


def test_a_change_that_is_never_understood_is_sent_five_times_and_held(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(by_name)))
    odd = Odd(world.right, "right.things", settle_s=120.0, bad_verbs=(Verb.CHANGE,))
    world.resources["right.things"] = odd
    world.left.put("things", BAD, name="x")
    world.sync("things", BAD)
    world.left.put("things", BAD, name="y")
    world.want("things", BAD)
    _run(world, hours=3, every_s=60)

    assert (world.record("things", BAD).status, odd.sent) == ("held", 5)
    odd.understood = True
    world.right.put("things", "R1", name="y")  # a person corrects it in the target, and it is checked again
    world.time.pass_(3700)
    world.settle(patience_s=600)
    assert (world.record("things", BAD).status, odd.sent) == ("done", 5)
    with world.store.read() as session:
        assert set(session.scalars(select(m.Effect.state))) <= {"done", "superseded"}


def test_what_is_stored_under_a_lost_key_stops_its_own_record_only(world: World) -> None:
    _ten(world)
    world.settle(patience_s=60)
    with world.store.write() as session:  # the last agreement of one of them cannot be opened any more
        link = session.scalars(select(m.Link).where(m.Link.left_key == BAD)).one()
        link.base = Fernet(Fernet.generate_key()).encrypt(b"sealed with another key")
    for key in (*OTHERS, BAD):
        world.left.put("things", key, name="y")
    discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    _run(world, hours=2, every_s=30)

    assert _states(world) == {**dict.fromkeys(OTHERS, "done"), BAD: "dead"}
    [(key, field, cause)] = world.failures()
    assert (key, field) == (BAD, "record")
    assert "key" in cause
