"""Redis: does it answer, does it keep its data, is there memory left, and how long are its queues?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis.exceptions import RedisError

from syncengine import clock
from syncengine.engine.doctor.finding import Finding, fail, ok, size, warn
from syncengine.settings import REDIS_PREFIX
from syncengine.store.states import Lane

OLDEST = (6, 2)
NEARLY_FULL, FULL = 0.75, 0.9
LONG_QUEUE = 500
"""The number of chains is limited by the workers and ticks expire, so no worker empties a queue of this length."""


def examine(client: redis.Redis) -> Iterator[Finding]:
    """Examine Redis. client: this installation's."""
    try:
        info: dict[str, Any] = client.info()
        lengths = _lengths(client)
    except RedisError as error:
        yield fail("redis", f"does not answer: {type(error).__name__}", "Read its log, and check REDIS_URL")
        return
    yield server(info)
    yield eviction(info)
    yield memory(info)
    yield persistence(info)
    yield queues(lengths)


def server(info: Mapping[str, Any]) -> Finding:
    """Version and role."""
    number = str(info.get("valkey_version") or info.get("redis_version", "0"))
    name = "Valkey" if "valkey_version" in info else "Redis"
    says = f"{name} {number} answers, up for {clock.spell(int(info.get('uptime_in_seconds', 0)))}"
    if info.get("role") in ("slave", "replica"):
        return fail("redis", f"{says}, but is a read-only replica", "Point REDIS_URL at the master or at Sentinels")
    if tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2]) < OLDEST:
        return fail("redis", f"{says}; this version is too old", "Upgrade to Redis 7 or Valkey")
    return ok("redis", says)


def eviction(info: Mapping[str, Any]) -> Finding:
    """It must not evict keys: queues and the quota's window would disappear silently."""
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("redis eviction", "noeviction")
    remedy = "Set `maxmemory-policy noeviction`; otherwise queues and call counts may be lost when memory runs low"
    return fail("redis eviction", f"{policy}: keys are evicted when memory runs low", remedy)


def memory(info: Mapping[str, Any]) -> Finding:
    """How full it is. When it is full it refuses every write, and all workers exit."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return ok("redis memory", f"{size(used)} used, maxmemory not set")
    says = f"{size(used)} of {size(most)} used"
    remedy = "Raise maxmemory, or find what fills it (`redis-cli --bigkeys`): when it is full, the workers exit"
    if used >= FULL * most:
        return fail("redis memory", says, remedy)
    return warn("redis memory", says, remedy) if used >= NEARLY_FULL * most else ok("redis memory", says)


def persistence(info: Mapping[str, Any]) -> Finding:
    """Whether its data survives a restart. If not, no record is lost: work in flight is sent again when its lease expires."""
    part = "redis persistence"
    if info.get("loading"):
        return warn(part, "loading its data", "Wait until it has finished")
    if not info.get("aof_enabled"):
        if info.get("rdb_last_bgsave_status", "ok") != "ok":
            remedy = "Free disk space, or read its log: it refuses writes until a save succeeds"
            return fail(part, "the last save failed", remedy)
        remedy = (
            "Set `appendonly yes`; otherwise a restart empties queues and quotas, and work pauses until leases expire"
        )
        return warn(part, "no append-only file", remedy)
    if info.get("aof_last_write_status", "ok") != "ok" or info.get("aof_last_bgrewrite_status", "ok") != "ok":
        return fail(part, "the append-only file cannot be written", "Free disk space, and read its log")
    return ok(part, f"append-only file of {size(int(info.get('aof_current_size', 0)))}")


def queues(lengths: Mapping[str, int]) -> Finding:
    """How many messages wait in each queue."""
    says = ", ".join(f"{name} {count:,}" for name, count in lengths.items())
    if max(lengths.values()) < LONG_QUEUE:
        return ok("queues", says)
    return warn(
        "queues",
        says,
        "Check that a worker consumes each queue. The backlog is in the database, so `celery purge` loses nothing",
    )


def _lengths(client: redis.Redis) -> dict[str, int]:
    with client.pipeline(transaction=False) as pipeline:
        for lane in Lane:
            pipeline.llen(f"{REDIS_PREFIX}{lane.label}")
        pipeline.hlen(f"{REDIS_PREFIX}unacked")
        counts = pipeline.execute()
    return dict(zip([*(lane.label for lane in Lane), "being worked on"], counts, strict=True))
