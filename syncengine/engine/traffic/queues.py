"""How many chains wait in a lane's queue for a worker: where no worker serves it, the pump need not add more."""

from __future__ import annotations

import json
import logging
from typing import cast

import redis

from syncengine import clock
from syncengine.settings import REDIS_PREFIX
from syncengine.store.states import Lane, Stage

log = logging.getLogger(__name__)

MOST_READ = 100
"""Messages that are examined one by one. A longer queue has not been served for a while, whatever is in it."""

ASK_AGAIN_S = 5.0
"""How long Redis is not asked after it did not answer."""

STEPS = tuple(f".{stage}" for stage in Stage)


class Queues:
    """The queues as kombu keeps them: a Redis list of JSON for each, its key the queue's name behind our prefix."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._silent_until = float("-inf")

    def waiting(self, lane: Lane) -> int | None:
        """Number of the lane's chains that no worker has taken, without ticks and canaries; None if Redis does not answer."""
        if clock.monotonic() < self._silent_until:
            return None
        key = f"{REDIS_PREFIX}{lane.label}"
        try:
            messages = cast("list[bytes]", self._client.lrange(key, 0, MOST_READ))
        except redis.RedisError as error:
            log.debug("queues cannot be asked: %s", error)
            self._silent_until = clock.monotonic() + ASK_AGAIN_S
            return None
        if len(messages) > MOST_READ:
            return len(messages)
        return len([message for message in messages if _task(message).endswith(STEPS)])


def _task(message: bytes) -> str:
    """The task's name, from the headers of Celery's protocol 2; empty if this is not such a message."""
    try:
        return str(json.loads(message)["headers"]["task"])
    except (ValueError, KeyError, TypeError):
        return ""
