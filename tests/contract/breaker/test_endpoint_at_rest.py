"""What the pump, the steps and a sync do while an endpoint is down or paused: nothing is sent, nothing is counted."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
import redis
from sqlalchemy import select

from syncengine.engine.steps import running, sync
from syncengine.engine.traffic import endpoints
from syncengine.errors import AuthenticationFailed, Misconfigured
from syncengine.http.breaker import Breakers, Rules
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.conftest import make_world, time, world
from tests.contract.kernel.world import System, Thing, World

pytestmark = pytest.mark.one_database

__all__ = ["make_world", "time", "world"]


class Line:
    """Calls of a system as a session makes them: through its breaker. Counts the ones that are tried."""

    def __init__(self, system: System, breakers: Breakers, endpoint: str) -> None:
        self.system, self.breakers, self.endpoint = system, breakers, endpoint
        self.tried = 0

    def reach(self) -> None:
        with self.breakers.admit(self.endpoint) as passage:
            self.tried += 1
            if self.system.down:
                passage.failed("refused")
            else:
                passage.answered()
        if self.system.down:
            Thing._reachable(self)  # type: ignore[arg-type]


@pytest.fixture
def left(world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Line:
    """The line to the left system, whose breaker runs on the world's clock; it has 25 objects."""

    def now() -> float:
        return world.time.at.timestamp()

    breakers = Breakers(client, Rules(calls=3), hooks=[endpoints.noting(world.store)], now=now)
    world.engine.breakers = breakers
    line = Line(world.left, breakers, "left-1")
    monkeypatch.setattr(world.resources["left.things"], "_reachable", line.reach, raising=True)
    for number in range(25):
        world.left.put("things", str(number), name="a lamp")
    return line


def _open(world: World, line: Line) -> None:
    world.left.down = True
    for _ in range(3):
        with pytest.raises(running.EndpointDown):
            line.reach()
    line.tried = 0
    assert world.engine.is_down("left-1")


def test_an_endpoint_that_is_down_for_ten_minutes_is_probed_once_an_interval_and_all_arrives(
    world: World, left: Line
) -> None:
    world.left.down = True
    world.want("things", *map(str, range(25)))
    begun, moments = world.time.at, []
    for _ in range(300):
        before = left.tried
        world.pump()
        while world.messages:
            world.run_message(world.messages.pop(0))
        moments += [(world.time.at - begun).total_seconds()] * (left.tried - before)
        world.time.pass_(2)

    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(moments) <= 3 + 2 + 5 + 9  # until it opens; steps under way; 2, 4, 8, 16, 32 s; then one a minute
    assert [round(gap) for gap in gaps[-5:]] == [60] * 5
    world.left.down = False
    world.settle(patience_s=70)

    assert len(world.right.writes) == 25
    assert world.backlog() == 0


def test_while_it_rests_nothing_is_claimed_and_the_probe_is_one_chain_of_the_most_urgent_lane(
    world: World, left: Line
) -> None:
    world.want("things", *map(str, range(20)), lane=Lane.BACKFILL)
    world.want("things", "21", lane=Lane.REALTIME)
    _open(world, left)

    assert world.pump() == 0
    world.time.pass_(2)
    assert world.pump() == 1
    assert world.pump() == 0
    assert [message.lane for message in world.messages] == [Lane.REALTIME]


def test_a_probe_that_fails_costs_no_attempt_and_splits_no_batch(world: World, left: Line) -> None:
    world.want("things", *map(str, range(5)))
    _open(world, left)
    for _ in range(4):
        world.time.pass_(60)
        world.pump()
        while world.messages:
            world.run_message(world.messages.pop(0))

    assert left.tried == 4
    records = [world.record("things", str(number)) for number in range(5)]
    assert {(record.attempts, record.run_alone, record.token) for record in records} == {(0, False, None)}
    assert "put off" in world.timeline("things", "0")


def test_when_it_is_back_the_lanes_drain_in_order_with_no_more_chains_than_usual(world: World, left: Line) -> None:
    world.want("things", *map(str, range(20)), lane=Lane.BACKFILL)
    world.want("things", "20", "21", lane=Lane.SCHEDULED)
    world.want("things", "22", lane=Lane.REALTIME)
    usual = world.engine.limits.chains
    _open(world, left)
    world.left.down = False
    world.time.pass_(2)
    world.pump()
    world.run_message(world.messages.pop(0))
    world.pump()

    lanes = [message.lane for message in world.messages]
    assert world.right.writes[0][1] == "22"
    assert lanes == sorted(lanes)
    assert all(lanes.count(lane) <= usual[lane] for lane in Lane)


def test_what_opened_and_closed_it_is_in_the_timeline(world: World, left: Line) -> None:
    _open(world, left)
    world.left.down = False
    world.time.pass_(5)
    left.reach()

    with world.store.read() as session:
        found = session.scalars(select(m.Event).where(m.Event.key == "left-1").order_by(m.Event.id))
        events = [(one.what, one.detail) for one in found]
    assert events == [("down", {"because": "refused"}), ("back", {"after_s": 5.0})]


def test_a_sync_of_an_endpoint_at_rest_makes_no_call_and_keeps_its_turn(world: World, left: Line) -> None:
    _open(world, left)

    assert "left-1 is down" in sync.run(world.engine, sync.Request("things", trigger="schedule"))
    assert left.tried == 0
    world.left.down = False
    world.time.pass_(3)
    assert sync.run(world.engine, sync.Request("things", trigger="schedule")).endswith("25 found")


def test_a_pause_stops_new_work_until_its_end_and_is_not_in_redis(
    world: World, left: Line, client: redis.Redis
) -> None:
    until = world.time.at + timedelta(hours=2)
    endpoints.pause(world.engine, "left-1", until=until, because="upgrade", by="ada")
    client.flushall()
    world.want("things", "1")

    assert world.pump() == 0
    assert sync.run(world.engine, sync.Request("things")) == (
        "main: left-1 is paused until 2026-03-02 11:00:00 UTC by ada: upgrade"
    )
    assert left.tried == 0
    world.time.pass_(7201)
    world.settle()
    assert len(world.right.writes) == 1


def test_resume_ends_a_pause_and_has_an_open_breaker_probe_at_once(world: World, left: Line) -> None:
    _open(world, left)
    endpoints.pause(world.engine, "left-1", until=world.time.at + timedelta(hours=2), because="", by="ada")
    world.want("things", "1")
    world.left.down = False

    assert endpoints.resume(world.engine, "left-1", by="ada")
    assert world.pump() == 1
    assert endpoints.resume(world.engine, "right-1") is False


def test_refused_credentials_do_not_shorten_a_persons_pause_and_bear_no_persons_name(
    world: World, left: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object, **more: object) -> None:
        raise AuthenticationFailed("wrong password")

    world.want("things", "1")
    world.pump()
    token = world.messages[-1].token
    endpoints.pause(world.engine, "left-1", until=world.time.at + timedelta(hours=2), because="upgrade", by="ada")
    monkeypatch.setattr(world.resources["left.things"], "read", refused)
    running.run(world.engine, Stage.FETCH, token)
    endpoint = next(one for one in endpoints.listed(world.engine) if one.name == "left-1")
    assert (endpoint.paused_by, endpoint.paused_because) == ("ada", "upgrade")

    endpoints.resume(world.engine, "left-1")
    world.engine.rest(1, for_s=300, because="wrong password", now=world.time.at)
    endpoint = next(one for one in endpoints.listed(world.engine) if one.name == "left-1")
    assert (endpoint.paused_by, endpoint.paused_because) == ("", "wrong password")


def test_once_credentials_are_corrected_and_it_is_resumed_what_was_put_off_goes_on_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object, **more: object) -> None:
        raise AuthenticationFailed("wrong password")  # 300 s of rest

    world.want("things", "1")
    with monkeypatch.context() as wrong:
        wrong.setattr(world.resources["left.things"], "read", refused)
        world.pump()
        running.run(world.engine, Stage.FETCH, world.messages.pop().token)
    assert world.record("things", "1").not_before == world.time.at + timedelta(seconds=300)

    endpoints.resume(world.engine, "left-1", by="ada")

    assert world.record("things", "1").not_before == world.time.at
    assert world.pump() == 1


@pytest.mark.parametrize("hours", [-1, 0, 24 * 400])
def test_a_pause_ends_within_the_coming_year(world: World, hours: int) -> None:
    with pytest.raises(Misconfigured, match="within the coming year"):
        endpoints.pause(
            world.engine, "left-1", until=world.time.at + timedelta(hours=hours), because="", by="ada"
        )  # fmt: skip


def test_an_unknown_endpoint_is_named_with_those_that_are_known(world: World) -> None:
    with pytest.raises(Misconfigured, match="Known endpoints: left-1, right-1"):
        endpoints.resume(world.engine, "lefd")
