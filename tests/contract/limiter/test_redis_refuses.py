"""A Redis that answers and takes no writes: its disk is full, or it became a replica. For us it is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from syncengine.errors import LONGEST_WAIT_S, Throttled
from syncengine.http.breaker import Breakers
from syncengine.http.limiter import Limiter, Pool, RedisAway
from syncengine.http.meter import Meter
from tests import services

POOL = Pool("brightpearl:acme:app", limit=3)


def full_disk(client: redis.Redis, folder: Path) -> None:
    """Saving fails from here on, so that Redis refuses writes (`stop-writes-on-bgsave-error` is its default)."""
    (folder / "dump.rdb").mkdir()
    client.config_set("save", "1 1")
    client.set("a", 1)
    client.bgsave()
    until = time.monotonic() + 20
    while client.info("persistence")["rdb_last_bgsave_status"] != "err":
        assert time.monotonic() < until
        time.sleep(0.02)


def replica(client: redis.Redis, _: Path) -> None:
    client.replicaof("127.0.0.1", services.free_port())


Refuse = Callable[[redis.Redis, Path], None]
WAYS = pytest.mark.parametrize(("refuse", "kind"), [(full_disk, "ResponseError MISCONF"), (replica, "ReadOnlyError")])


@pytest.fixture
def own(tmp_path: Path) -> Iterator[redis.Redis]:
    """A Valkey that a test may break."""
    url, process = services.start_valkey(tmp_path)
    client = redis.Redis.from_url(url)
    yield client
    client.config_set("save", "")  # else it refuses to end without having saved
    client.close()
    services.stop(process)


@WAYS
def test_no_call_may_be_made_and_what_was_learned_may_be_lost(
    own: redis.Redis, tmp_path: Path, refuse: Refuse, kind: str
) -> None:
    limiter = Limiter(own)
    limiter.learn(POOL, remaining=3, resets_in_s=0)
    refuse(own, tmp_path)
    with pytest.raises(RedisAway, match=kind):
        limiter.reserve(POOL, "realtime", patience=1)
    limiter.learn(POOL, remaining=1, resets_in_s=1)
    limiter.close(POOL, 1)
    limiter.give_back(POOL, "realtime:a")


def test_breakers_count_as_closed_and_calls_are_not_counted(own: redis.Redis, tmp_path: Path) -> None:
    breakers, meter = Breakers(own), Meter(own)
    full_disk(own, tmp_path)
    with breakers.of("erp").admit() as passage:
        passage.failed("no answer in time")
    assert not breakers.of("erp").state().is_open
    meter.count(endpoint="erp", flow="orders", lane="scheduled", operation="SORTOI", took_s=0.1)
    assert own.keys() == [b"a"]


def test_a_redis_that_refused_the_doubt_after_a_restart_is_doubted_once_it_takes_writes_again(own: redis.Redis) -> None:
    """Else its old state would be believed: Redis keeps a script that it was given, also one that failed."""
    limiter = Limiter(own)
    limiter.learn(POOL, remaining=3, resets_in_s=0)
    own.script_flush()  # as a restart does
    replica(own, Path())
    with pytest.raises(RedisAway):
        limiter.reserve(POOL, "realtime", patience=0)
    own.replicaof("no", "one")
    other = Limiter(own)
    assert other.reserve(POOL, "realtime", patience=0).wait_s == 0  # the probe
    with pytest.raises(Throttled, match="one call is determining"):
        limiter.reserve(POOL, "realtime", patience=0)


@pytest.mark.parametrize("told_s", [1e9, float("inf"), float("nan")])
def test_nobody_outside_can_close_the_gate_for_longer_than_the_longest_wait(client: redis.Redis, told_s: float) -> None:
    limiter = Limiter(client, now=lambda: 1_000_000.0)
    limiter.learn(POOL, remaining=3, resets_in_s=told_s)
    limiter.close(POOL, told_s)
    assert limiter.usage(POOL).closed_for_s == LONGEST_WAIT_S
