"""Where no worker takes what waits in a lane's queue, the pump does not add to it with every lease that runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from celery import Celery, chain

from syncengine.engine.core.engine import Chain, Limits
from syncengine.engine.traffic.queues import MOST_READ, Queues
from syncengine.settings import REDIS_PREFIX
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, World, by_name, flow

LEASE_S = 45


@pytest.fixture
def app(valkey_url: str, client: redis.Redis) -> Iterator[Celery]:
    """A Celery app that sends as ours does, to an emptied Valkey."""
    with Celery("queues", broker=valkey_url, set_as_current=False) as app:
        app.conf.broker_transport_options = {"global_keyprefix": REDIS_PREFIX}
        yield app


def _send(app: Celery, order: Chain) -> None:
    names = [f"{order.flow}.{stage}" for stage in order.stages]
    chain(
        *[app.signature(name, (order.token,), immutable=True, queue=order.lane.label) for name in names]
    ).apply_async()


def test_chains_that_nobody_has_taken_are_counted_by_lane(app: Celery, client: redis.Redis) -> None:
    queues = Queues(client)
    assert [queues.waiting(lane) for lane in Lane] == [0, 0, 0]

    app.send_task("orders.fetch", queue="scheduled")
    app.send_task("orders.push", queue="scheduled")
    app.send_task("engine.canary", queue="scheduled")  # ticks pass by themselves
    app.send_task("orders.sync", queue="backfill")

    assert [queues.waiting(lane) for lane in Lane] == [0, 2, 0]


def test_a_long_queue_is_not_served_whatever_is_in_it(app: Celery, client: redis.Redis) -> None:
    with app.connection_for_write() as connection, connection.channel() as channel:
        for _ in range(MOST_READ + 1):
            channel._put("backfill", {"headers": {"task": "engine.canary"}})
    waiting = Queues(client).waiting(Lane.BACKFILL)
    assert waiting is not None
    assert waiting > MOST_READ


def test_a_redis_that_does_not_answer_says_nothing() -> None:
    nobody = redis.Redis(unix_socket_path="/nowhere/redis.sock")
    assert Queues(nobody).waiting(Lane.SCHEDULED) is None


def test_the_pump_adds_no_chain_while_as_many_as_the_lane_may_have_wait_in_its_queue(
    make_world: Callable[..., World], app: Celery, client: redis.Redis
) -> None:
    world = make_world(flow("things", Plain(by_name), batch=1), limits=Limits(chains=dict.fromkeys(Lane, 2)))
    world.engine.queued = Queues(client).waiting
    world.engine.send = lambda order: _send(app, order)
    for key in "123":
        world.left.put("things", key, name=key)
    world.want("things", *"123", lane=Lane.SCHEDULED)
    sent = 0
    for _ in range(10):  # the leases of what nobody takes run out, one after the other
        sent += world.pump() or 0
        world.time.pass_(LEASE_S + 1)

    assert client.llen(f"{REDIS_PREFIX}scheduled") == 2
    assert {world.record("things", key).status for key in "123"} == {"open"}

    client.delete(f"{REDIS_PREFIX}scheduled")  # a worker has taken them
    world.engine.send = world.messages.append
    world.settle()
    assert sorted(natural for _, natural, _ in world.right.writes) == ["1", "2", "3"]
