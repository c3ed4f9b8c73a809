"""One bad record spoils the probe that would tell it from its endpoint's trouble: it ends all the same, and others continue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import redis
from sqlalchemy import select

from syncengine.connectors.base import Connector, Endpoint, Resource
from syncengine.document import Doc
from syncengine.engine.steps.discover import discover
from syncengine.errors import EndpointDown, Throttled, Transient
from syncengine.http.breaker import Breakers
from syncengine.store import models as m
from syncengine.store.states import Lane
from tests.contract.kernel.world import Fake, Plain, System, Thing, World, by_name, flow

pytestmark = pytest.mark.one_database

BAD = "3"
READ_SETTLE_S = 30.0


class Gate:
    """What each call to the left system passes, its probe too."""

    @contextmanager
    def call(self, keys: Sequence[str] = ()) -> Iterator[None]:
        raise NotImplementedError
        yield


@dataclass
class Watched(Gate):
    """By a breaker. A call about the bad record is answered with 502, however often; while it is down, all are."""

    breakers: Breakers
    is_down: bool = False

    @contextmanager
    def call(self, keys: Sequence[str] = ()) -> Iterator[None]:
        with self.breakers.admit("left-1") as passage:
            if BAD in keys or self.is_down:
                passage.failed("HTTP 502")
                raise EndpointDown("HTTP 502")
            passage.answered()
            yield


@dataclass
class Seated(Gate):
    """By a seat that only one may have. A call about the bad record times out, and closes it for its settle time."""

    world: World
    closed_until: float = 0.0

    @contextmanager
    def call(self, keys: Sequence[str] = ()) -> Iterator[None]:
        now = self.world.time.monotonic()
        if now < self.closed_until:
            raise Throttled("it rests", retry_in_s=self.closed_until - now)
        if BAD in keys:
            self.closed_until = now + READ_SETTLE_S
            raise Transient("no answer in time")
        yield


class Gated(Thing):
    def __init__(self, system: System, gate: Gate) -> None:
        super().__init__(system, "left.things")
        self.gate = gate

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        with self.gate.call(keys):
            return super().read(keys)


class Probed(Fake):
    def __init__(self, resources: dict[str, Resource], gate: Gate) -> None:
        super().__init__(resources)
        self.gate = gate

    def check(self) -> str:
        with self.gate.call():
            return "reached"


def _put_before(world: World, gate: Gate) -> None:
    gated = Gated(world.left, gate)
    whole = world.engine._connect

    def connect(endpoint: Endpoint) -> Connector:
        return Probed({gated.name: gated}, gate) if endpoint.system == "left" else whole(endpoint)

    world.engine._connect = connect


def _watched(world: World, client: redis.Redis) -> Watched:
    world.engine.breakers = Breakers(client, now=world.time.monotonic)
    gate = Watched(world.engine.breakers)
    _put_before(world, gate)
    return gate


def _put(world: World, *keys: str) -> None:
    for key in keys:
        world.left.put("things", key, name="x")
    discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)


def _run(world: World, *, hours: float) -> None:
    for _ in range(round(hours * 360)):
        world.pump()
        while world.messages:
            world.run_message(world.messages.pop(0))
            world.pump(sweep=False)
        if not world.backlog():
            return
        world.time.pass_(10)


def _states(world: World) -> dict[str, str]:
    with world.store.read() as session:
        rows = session.scalars(select(m.Record).order_by(m.Record.id))
        return {one.key: "due" if one.wanted > one.done else one.status for one in rows}


def test_a_record_whose_calls_alone_open_the_breaker_becomes_a_dead_letter(
    make_world: Callable[..., World], client: redis.Redis
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    gate = _watched(world, client)
    _put(world, BAD)  # nothing else is to be done, so no other call tells that the endpoint is there

    _run(world, hours=1)

    assert _states(world) == {BAD: "dead"}
    assert [(key, cause) for key, _, cause in world.failures()] == [(BAD, "HTTP 502; other calls are accepted")]
    assert not gate.breakers.states(["left-1"])["left-1"].is_open
    _put(world, "4", "5")
    _run(world, hours=0.01)
    assert _states(world) == {BAD: "dead", "4": "done", "5": "done"}


def test_a_breaker_that_is_open_since_all_calls_fail_makes_no_dead_letters(
    make_world: Callable[..., World], client: redis.Redis
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    gate = _watched(world, client)
    gate.is_down = True
    _put(world, "4", "5")

    _run(world, hours=0.3)
    assert _states(world) == {"4": "due", "5": "due"}
    gate.is_down = False
    _run(world, hours=0.1)

    assert _states(world) == {"4": "done", "5": "done"}
    assert world.failures() == []


def test_a_record_whose_time_outs_close_the_seat_of_the_probe_becomes_a_dead_letter(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    _put_before(world, Seated(world))
    _put(world, BAD, "4", "5")

    _run(world, hours=1)

    assert _states(world) == {BAD: "dead", "4": "done", "5": "done"}
    assert [(key, cause) for key, _, cause in world.failures()] == [
        (BAD, "no answer in time; other calls are accepted")
    ]
