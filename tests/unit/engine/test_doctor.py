"""What the doctor makes of what Redis and the clocks say: pure judgements, by tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from freezegun import freeze_time

from syncengine.engine.doctor import Level, broker
from syncengine.http import dates

WELL: dict[str, Any] = {
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "used_memory": 1_000_000,
    "maxmemory": 0,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "aof_current_size": 5_000,
}


@pytest.mark.parametrize(
    ("look", "more", "level", "says"),
    [
        (broker.server, {}, Level.OK, "Redis 7.2.4 answers"),
        (broker.server, {"valkey_version": "9.1.2"}, Level.OK, "Valkey 9.1.2 answers"),
        (broker.server, {"role": "slave"}, Level.FAIL, "replica"),
        (broker.server, {"redis_version": "5.0.14"}, Level.FAIL, "too old"),
        (broker.eviction, {}, Level.OK, "noeviction"),
        (broker.eviction, {"maxmemory_policy": "allkeys-lru"}, Level.FAIL, "allkeys-lru"),
        (broker.memory, {}, Level.OK, "1.0 MB used, maxmemory not set"),
        (broker.memory, {"maxmemory": 2_000_000}, Level.OK, "1.0 MB of 2.0 MB used"),
        (broker.memory, {"maxmemory": 1_300_000}, Level.WARN, "1.0 MB of 1.3 MB used"),
        (broker.memory, {"maxmemory": 1_100_000}, Level.FAIL, "1.0 MB of 1.1 MB used"),
        (broker.persistence, {}, Level.OK, "append-only file of 5.0 KB"),
        (broker.persistence, {"loading": 1}, Level.WARN, "loading"),
        (broker.persistence, {"aof_last_write_status": "err"}, Level.FAIL, "cannot be written"),
        (broker.persistence, {"aof_enabled": 0}, Level.WARN, "no append-only file"),
        (broker.persistence, {"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, Level.FAIL, "save failed"),
    ],
)
def test_a_redis_is_judged_by_what_it_says_of_itself(look: Any, more: dict[str, Any], level: Level, says: str) -> None:
    finding = look({**WELL, **more})
    assert finding.level is level
    assert says in finding.says
    assert bool(finding.remedy) is (level is not Level.OK)


@pytest.mark.parametrize(("waiting", "level"), [(0, Level.OK), (499, Level.OK), (500, Level.WARN)])
def test_a_queue_that_nobody_empties_is_told(waiting: int, level: Level) -> None:
    assert broker.queues({"realtime": 0, "scheduled": waiting}).level is level


@freeze_time(datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC))
def test_a_systems_clock_is_read_from_its_answers_and_nonsense_says_nothing() -> None:
    with dates.watched() as seen:
        dates.note("shop", "Mon, 02 Mar 2026 09:00:00 GMT", took_s=1.0)
        dates.note("erp", "yesterday", took_s=1.0)
        dates.note("other", None, took_s=1.0)
    dates.note("late", "Mon, 02 Mar 2026 09:00:00 GMT", took_s=1.0)
    # It was asked at 29.0 and answered at 30.0, so about 29.5; and it said 0.0 to 1.0, so about 0.5.
    assert seen == {"shop": pytest.approx(-29.0)}
