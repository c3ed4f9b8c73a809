"""Health means progress: what is said of an installation that moves, rests, or has stalled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from syncengine import clock
from syncengine.engine.core.engine import Limits
from syncengine.engine.traffic import endpoints
from syncengine.engine.watch import health
from syncengine.engine.watch.health import Pace, Vital
from syncengine.errors import Misconfigured
from syncengine.store.models import ConnectionRow
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.conftest import make_world, time, world
from tests.contract.kernel.world import Plain, World, by_name, flow

__all__ = ["make_world", "time", "world"]

STALLED_S = 120.0


def _look(world: World, redis_complaint: Misconfigured | None = None) -> dict[str, Vital]:
    found = health.vitals(world.engine, stalled_s=STALLED_S, redis_complaint=redis_complaint)
    return {vital.name: vital for vital in found}


def _canaries(world: World, *lanes: Lane) -> None:
    for lane in lanes or Lane:
        health.arrived(world.engine, lane)


def _put(world: World, *keys: str) -> None:
    for key in keys:
        world.left.put("things", key, name="a lamp")


def test_an_installation_in_which_nothing_ever_ran_says_how_to_start_it(world: World) -> None:
    found = _look(world)

    assert [name for name, vital in found.items() if vital.pace is Pace.STALLED] == [
        "pump", "realtime", "scheduled", "backfill",
    ]  # fmt: skip
    assert "syncengine up" in found["pump"].remedy
    assert found["realtime"].says == "no canary has arrived yet, and no step of the lane is running"
    assert found["main: things"] == Vital("main: things", Pace.MOVES, "nothing is due")


def test_all_moves_while_pump_and_canaries_are_young(world: World) -> None:
    world.pump()
    _canaries(world)
    world.time.pass_(119)

    found = _look(world)
    assert health.is_well(list(found.values()))
    assert found["pump"].says == "last ran 119 seconds ago"


def test_only_beats_pump_is_a_sign_of_life(world: World) -> None:
    _canaries(world)
    world.pump(sweep=False)

    assert _look(world)["pump"].pace is Pace.STALLED


def test_the_lane_whose_canary_does_not_arrive_is_named(world: World) -> None:
    _canaries(world)
    world.time.pass_(121)
    world.pump()
    _canaries(world, Lane.REALTIME, Lane.BACKFILL)

    found = _look(world)
    assert [name for name, vital in found.items() if vital.pace is Pace.STALLED] == ["scheduled"]
    assert "--queues=scheduled" in found["scheduled"].remedy


def test_when_nothing_arrives_at_all_it_is_beat_or_everything(world: World) -> None:
    world.pump()
    _canaries(world)
    world.time.pass_(121)

    remedies = {vital.remedy for vital in _look(world).values() if vital.remedy}
    assert remedies == {
        "Nothing that beat sends arrives. Check that beat and the workers are running, read their logs, and restart them"
    }


def test_without_redis_that_is_the_cause_of_all(world: World) -> None:
    found = _look(world, Misconfigured("the embedded Redis does not answer", "Run `syncengine up`"))

    assert found["redis"].says == "the embedded Redis does not answer"
    assert {vital.remedy for vital in found.values() if vital.pace is Pace.STALLED} == {"Run `syncengine up`"}


def test_without_a_connection_nothing_is_synced_and_that_is_no_health(world: World) -> None:
    assert _look(world)["connections"] == Vital("connections", Pace.MOVES, "main")
    with world.engine.store.write() as session:
        session.execute(update(ConnectionRow).values(flows=[]))

    found = _look(world)["connections"]
    assert (found.pace, found.says) == (Pace.STALLED, "none is configured, so nothing is synced")
    assert "syncengine configure" in found.remedy


def test_just_after_a_start_nothing_has_stalled_yet(world: World) -> None:
    health.started(world.engine.store, clock.now())
    world.time.pass_(5)
    found = _look(world)
    assert {found[name].pace for name in ("pump", "realtime", "scheduled", "backfill")} == {Pace.RESTS}
    assert found["backfill"].says == "the processes started 5 seconds ago; no canary has arrived yet"

    world.time.pass_(26)
    health.started(world.engine.store, clock.now())  # it has ended, and was started again
    assert _look(world)["backfill"].pace is Pace.STALLED
    world.time.pass_(600)
    health.started(world.engine.store, clock.now())
    assert _look(world)["backfill"].pace is Pace.RESTS


def test_a_worker_that_is_busy_with_records_has_not_stalled_though_its_canary_waits(world: World) -> None:
    _put(world, "1")
    world.want("things", "1", lane=Lane.SCHEDULED)
    _canaries(world)
    world.time.pass_(121)
    world.pump()
    _canaries(world, Lane.REALTIME)
    during: list[dict[str, Vital]] = []
    world.right.during_write = lambda _: during.append(_look(world))
    world.run_message(world.messages.pop(0))

    assert during[0]["scheduled"].pace is Pace.MOVES
    assert during[0]["scheduled"].says.endswith("its worker is busy with records")
    assert during[0]["backfill"].pace is Pace.RESTS
    assert _look(world)["scheduled"].pace is Pace.STALLED


def test_records_that_have_been_due_for_long_without_progress_have_stalled(world: World) -> None:
    _put(world, "1", "2")
    world.want("things", "1", "2")
    world.time.pass_(120)
    assert _look(world)["main: things"].pace is Pace.MOVES
    world.time.pass_(1)
    _canaries(world)

    flow = _look(world)["main: things"]
    assert (flow.pace, flow.says) == (Pace.STALLED, "2 due, the oldest for 2 minutes; no progress")


def test_a_long_backlog_that_moves_is_well(world: World) -> None:
    keys = [str(number) for number in range(25)]
    _put(world, *keys)
    world.want("things", *keys)
    world.time.pass_(3600)
    world.pump()
    world.run_message(world.messages.pop(0))
    world.time.pass_(60)

    flow = _look(world)["main: things"]
    assert (flow.pace, flow.says) == (Pace.MOVES, "15 due, the oldest for 61 minutes; progress 60 seconds ago")


def test_messages_that_are_lost_again_and_again_are_no_progress(world: World) -> None:
    _put(world, "1")
    world.want("things", "1")
    for _ in range(8):
        world.pump()
        world.messages.clear()
        world.time.pass_(30)
    _canaries(world)

    flow = _look(world)["main: things"]
    assert flow.pace is Pace.STALLED
    assert "came to nothing" in flow.says
    assert "the same flows" in flow.remedy


def test_what_is_not_yet_due_does_not_count(world: World) -> None:
    _put(world, "1")
    world.want("things", "1")
    world.pump()
    world.right.faults.append("unknown")
    world.run_message(world.messages.pop(0))
    world.time.pass_(100)

    assert _look(world)["main: things"].says == "nothing is due"


def test_records_of_a_paused_endpoint_rest_and_get_time_when_it_is_resumed(world: World) -> None:
    _put(world, "1")
    world.want("things", "1")
    until = world.time.at + timedelta(hours=2)
    endpoints.pause(world.engine, "left-1", until=until, because="upgrade", by="ada")
    world.time.pass_(3600)
    resting = _look(world)["main: things"]
    endpoints.resume(world.engine, "left-1", by="ada")
    world.time.pass_(60)
    resumed = _look(world)["main: things"]
    world.time.pass_(61)

    assert resting.pace is Pace.RESTS
    assert resting.says.endswith("left-1 is paused until 2026-03-02 11:00:00 UTC by ada: upgrade")
    assert resumed.pace is Pace.MOVES
    assert _look(world)["main: things"].pace is Pace.STALLED


def test_a_pause_that_ended_by_itself_gives_time_too(world: World) -> None:
    _put(world, "1")
    world.want("things", "1")
    until = world.time.at + timedelta(hours=2)
    endpoints.pause(world.engine, "left-1", until=until, because="", by="ada")
    world.time.pass_(7200 + 119)

    assert _look(world)["main: things"].pace is Pace.MOVES


def test_a_flow_whose_file_is_gone_is_named(world: World) -> None:
    world.want("things", "1")
    del world.flows["things"]

    assert _look(world)["main: things"].says.endswith("no flow of this process has this name")


@pytest.mark.parametrize(("chains", "pace"), [(1, Pace.RESTS), (2, Pace.STALLED)])
def test_a_flow_behind_another_one_waits_for_its_turn_unless_its_own_work_was_begun(
    make_world: Callable[..., World], chains: int, pace: Pace
) -> None:
    limits = Limits(chains=dict.fromkeys(Lane, chains))
    world = make_world(flow("things", Plain(by_name)), flow("others", Plain(by_name)), limits=limits)
    _put(world, "1")
    world.want("things", "1")
    world.time.pass_(1)
    world.want("others", "1")
    world.time.pass_(600)
    world.pump()
    world.step(world.messages[0], Stage.FETCH)

    assert _look(world)["main: others"].pace is pace
