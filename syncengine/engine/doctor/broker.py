"""Redis: does it answer, does it keep what it is given, does it have room, and what waits in its queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis.exceptions import RedisError

from syncengine.engine.doctor.finding import Finding, fail, ok, size, warn
from syncengine.settings import REDIS_PREFIX
from syncengine.store.states import Lane

OLDEST = (6, 2)
NEARLY_FULL, FULL = 0.75, 0.9
LONG_QUEUE = 500
"""Chains are bounded by the workers and ticks expire, so a queue of this length is one that nobody empties."""


def examine(client: redis.Redis) -> Iterator[Finding]:
    """All of Redis. `client` is that of this installation."""
    try:
        info: dict[str, Any] = client.info()
        lengths = _lengths(client)
    except RedisError as error:
        yield fail("redis", f"it refuses to answer: {type(error).__name__}", "Look at its log; see REDIS_URL")
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
    says = f"{name} {number} answers, up for {int(info.get('uptime_in_seconds', 0)) // 3600} h"
    if info.get("role") in ("slave", "replica"):
        return fail(
            "redis", f"{says}, but is a replica: it takes no writes", "Point REDIS_URL at the master or at Sentinels"
        )
    if tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2]) < OLDEST:
        return fail("redis", f"{says}; that is too old", "Run Redis 7 or Valkey")
    return ok("redis", says)


def eviction(info: Mapping[str, Any]) -> Finding:
    """It must throw nothing away: queues and the quota's window would vanish in silence."""
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("redis eviction", "noeviction")
    remedy = "Set `maxmemory-policy noeviction`: else queues and the count of calls may vanish when memory is short"
    return fail("redis eviction", f"{policy}: it throws away keys when memory is short", remedy)


def memory(info: Mapping[str, Any]) -> Finding:
    """How full it is. Full, it refuses every write and all workers end."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return ok("redis memory", f"{size(used)} used, without a limit of its own")
    says = f"{size(used)} of {size(most)} used"
    remedy = "Raise maxmemory, or see what fills it (`redis-cli --bigkeys`): when it is full the workers end"
    if used >= FULL * most:
        return fail("redis memory", says, remedy)
    return warn("redis memory", says, remedy) if used >= NEARLY_FULL * most else ok("redis memory", says)


def persistence(info: Mapping[str, Any]) -> Finding:
    """Whether it keeps its data over a restart. Without, nothing is lost: what was on its way goes again a lease later."""
    part = "redis persistence"
    if info.get("loading"):
        return warn(part, "it is loading its data", "Wait until it has")
    if not info.get("aof_enabled"):
        if info.get("rdb_last_bgsave_status", "ok") != "ok":
            remedy = "Make room on its disk, or see its log: it refuses writes until a save succeeds"
            return fail(part, "its last save failed", remedy)
        remedy = "Set `appendonly yes`: else a restart empties queues and quotas, and work pauses until leases run out"
        return warn(part, "no append-only file", remedy)
    if info.get("aof_last_write_status", "ok") != "ok" or info.get("aof_last_bgrewrite_status", "ok") != "ok":
        return fail(part, "its append-only file cannot be written", "Make room on its disk, and look at its log")
    return ok(part, f"append-only file of {size(int(info.get('aof_current_size', 0)))}")


def queues(lengths: Mapping[str, int]) -> Finding:
    """How much waits in the queues."""
    says = ", ".join(f"{name} {count:,}" for name, count in lengths.items())
    if max(lengths.values()) < LONG_QUEUE:
        return ok("queues", says)
    return warn(
        "queues", says, "Does a worker take from each queue? Messages are only nudges: `celery purge` loses nothing"
    )


def _lengths(client: redis.Redis) -> dict[str, int]:
    with client.pipeline(transaction=False) as asked:
        for lane in Lane:
            asked.llen(f"{REDIS_PREFIX}{lane.label}")
        asked.hlen(f"{REDIS_PREFIX}unacked")
        counts = asked.execute()
    return dict(zip([*(lane.label for lane in Lane), "being worked on"], counts, strict=True))
