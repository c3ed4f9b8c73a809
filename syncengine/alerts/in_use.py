"""Which sinks the running watchers use, noted in Redis: a process keeps the environment with which it was started."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from typing import Any

import redis

from syncengine.alerts.sinks import Sinks

log = logging.getLogger(__name__)

KEY = "alerts:sinks"
RECENT = timedelta(minutes=10)
"""A host whose watcher has not run for longer has probably stopped."""


def note(client: redis.Redis, host: str, sinks: Sinks, now: datetime) -> None:
    """Record that the watcher of this host uses these sinks. Without Redis nothing is recorded."""
    try:
        client.hset(KEY, host, json.dumps({"at": now.isoformat(), "sinks": sinks.fingerprints()}))
    except redis.RedisError as error:
        log.debug("sinks in use not noted: %s", type(error).__name__)


def other_hosts(client: redis.Redis, sinks: Sinks, now: datetime) -> list[str]:
    """Hosts whose watchers have lately used other sinks than these, sorted. Raises redis.RedisError."""
    found: dict[Any, Any] = client.hgetall(KEY)
    noted = {host: json.loads(text) for host, text in found.items()}
    wanted = sinks.fingerprints()
    return sorted(
        host.decode()
        for host, used in noted.items()
        if used["sinks"] != wanted and now - datetime.fromisoformat(used["at"]) <= RECENT
    )
