"""How long a lease on records and a reader's hold on its cursor last, and whose calls are counted under a lease."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from syncengine import clock
from syncengine.connectors.base import Page, Position
from syncengine.engine.core.lease import Lease
from syncengine.engine.steps.discover import discover
from syncengine.http.meter import Meter, Spent
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.world import World

LEASE_S, CALL_S = 45, 36
SPARE_S = (LEASE_S - CALL_S) / 2  # half of what a lease has beyond one call


def _entered(world: World) -> Lease:
    world.left.put("things", "1", name="a lamp")
    world.want("things", "1")
    world.pump()
    lease = Lease(world.engine, world.messages.pop().token, Stage.FETCH)
    assert lease.enter()
    return lease


def _until(world: World) -> datetime:
    until = world.record("things", "1").lease_until
    assert until is not None
    return until


@pytest.mark.parametrize(("after_s", "is_renewed"), [(0, False), (SPARE_S - 0.5, False), (SPARE_S, True), (8, True)])
def test_a_lease_is_renewed_once_half_of_its_spare_time_is_over_and_not_at_every_call(
    world: World, after_s: float, is_renewed: bool
) -> None:
    lease, entered = _entered(world), clock.now()
    world.time.pass_(after_s)
    lease.renew()
    lease.check()  # a whole call has room in any case

    begun = clock.now() if is_renewed else entered
    assert _until(world) == begun + timedelta(seconds=LEASE_S)
    assert lease.lasts((begun - clock.now()).total_seconds() + LEASE_S - 1)
    assert not lease.lasts((begun - clock.now()).total_seconds() + LEASE_S + 0.001)


def test_a_call_is_counted_as_one_of_the_flow_and_the_lane_whose_records_are_worked_on(
    world: World, client: redis.Redis
) -> None:
    lease = _entered(world)
    world.engine.meter = Meter(client, now=lambda: datetime(2026, 3, 2, 12, tzinfo=UTC))
    nobodys = Lease(world.engine, lease.token, Stage.FETCH)
    lease.called("left-1", "read", 0.5)
    lease.called("left-1", "read", 0.5)
    nobodys.called("left-1", "read", 0.25)
    world.engine.flush_calls()

    assert world.engine.meter.last_hour() == [
        Spent("left-1", "things", "scheduled", "read", 2, 1.0),
        Spent("left-1", "", "scheduled", "read", 1, 0.25),
    ]


@pytest.mark.parametrize(("silent_s", "read_by_another"), [(3 * LEASE_S - 1, 0), (3 * LEASE_S + 1, 2)])
def test_a_reader_keeps_its_cursor_for_three_leases_from_its_last_page(
    world: World, silent_s: float, read_by_another: int
) -> None:
    for key in "12345":
        world.left.put("things", key, name="a lamp")
    things, found = world.resources["left.things"], []
    changes = things.changes

    def slow(feed: str, position: Position, **more: Any) -> Iterator[Page]:
        world.time.pass_(100)  # so that what the reader was given when it began is over first
        pages = changes(feed, position, **more)
        yield next(pages)
        world.time.pass_(silent_s)
        things.changes = changes  # type: ignore[method-assign]
        found.append(discover(world.engine, world.connection_id, "things", trigger="call", lane=Lane.SCHEDULED))
        yield from pages

    things.changes = slow  # type: ignore[method-assign]
    discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)

    assert [one.wanted for one in found] == [read_by_another]
