"""The account of calls in a real Valkey: an hour of it, by endpoint, flow, lane and operation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import redis

from syncengine.http.meter import Meter, Spent
from tests.services import free_port

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def meter(client: redis.Redis, time: Clock) -> Meter:
    return Meter(client, now=time)


def _count(meter: Meter, operation: str = "SORTOI", lane: str = "scheduled", took_s: float = 0.25) -> None:
    meter.count(endpoint="erp", flow="orders", lane=lane, operation=operation, took_s=took_s)


def test_calls_are_told_by_what_they_were_made_for_the_most_frequent_first(meter: Meter) -> None:
    for _ in range(3):
        _count(meter)
    _count(meter, lane="realtime", took_s=1.5)

    assert meter.last_hour() == [
        Spent("erp", "orders", "scheduled", "SORTOI", 3, 0.75),
        Spent("erp", "orders", "realtime", "SORTOI", 1, 1.5),
    ]


def test_calls_of_two_processes_are_one_account(meter: Meter, client: redis.Redis, time: Clock) -> None:
    _count(meter)
    _count(Meter(client, now=time))

    assert [one.calls for one in meter.last_hour()] == [2]


def test_a_process_tells_its_first_call_at_once_and_the_others_together(meter: Meter, client: redis.Redis) -> None:
    for _ in range(5):
        _count(meter)
    assert [one.calls for one in Meter(client, now=lambda: NOON).last_hour()] == [1]

    meter.tell()

    assert Meter(client, now=lambda: NOON).last_hour() == [Spent("erp", "orders", "scheduled", "SORTOI", 5, 1.25)]


def test_a_call_is_forgotten_after_an_hour(meter: Meter, time: Clock) -> None:
    _count(meter, "SORQRY")
    time.now += timedelta(minutes=59)
    _count(meter, "SORTOI")

    assert {one.operation for one in meter.last_hour()} == {"SORQRY", "SORTOI"}
    time.now += timedelta(minutes=1)
    assert {one.operation for one in meter.last_hour()} == {"SORTOI"}


def test_what_was_counted_leaves_redis_by_itself(meter: Meter, client: redis.Redis) -> None:
    _count(meter)

    (key,) = client.keys("calls:*")
    assert 3600 <= client.ttl(key) <= 3720


def test_without_redis_nothing_is_counted_and_nothing_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    meter = Meter(redis.Redis(port=free_port(), socket_connect_timeout=0.2))

    _count(meter)
    _count(meter)  # no second attempt: a call must not wait for an account

    assert caplog.text.count("calls are not counted") == 1
