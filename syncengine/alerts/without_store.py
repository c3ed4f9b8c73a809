"""The one alert that cannot be in the book, because the database that holds the book is away. Redis keeps its state.

The watcher reports here what it finds. The alert is sent once the outage has lasted for a while, because a restart is not
worth an alert, and repeated like others.
"""

from __future__ import annotations

import logging
import socket
from datetime import UTC, datetime

import redis
from redis.exceptions import RedisError

from syncengine.alerts.sinks import Message, Sinks, Tone

log = logging.getLogger(__name__)

KEY = "alerts:store"
LASTING_S = 60.0
KEPT_S = 7 * 86_400
REMEDY = (
    "Start it, or find out why it cannot be used (`syncengine doctor`). Syncing resumes by itself when it is back; nothing "
    "is lost"
)


class StoreAway:
    """Informs the sinks that the store is away, and that it is back."""

    def __init__(self, sinks: Sinks, client: redis.Redis | None) -> None:
        self._sinks = sinks
        self._client = client

    def is_away(self, why: str, *, repeat_s: float, now: datetime) -> None:
        """Report that the store is away. `repeat_s`: seconds between two messages. Raises nothing."""
        if self._client is None:
            return
        try:
            self._client.hsetnx(KEY, "since", str(now.timestamp()))
            self._client.expire(KEY, KEPT_S)
            since, sent = _times(self._client)
            if now.timestamp() - since < LASTING_S or (sent and now.timestamp() - sent < repeat_s):
                return
            begun = datetime.fromtimestamp(since, UTC)
            body = f"CRITICAL {why}\nWhat to do: {REMEDY}\nsince {begun:%Y-%m-%d %H:%M:%S UTC}"
            if self._send(Message(f"syncengine: {why}", body, Tone.FAILURE)):
                self._client.hset(KEY, "sent", str(now.timestamp()))
        except RedisError as error:
            log.warning(
                "the alert that the store is away cannot be sent, since Redis is away too (%s)", type(error).__name__
            )

    def is_there(self) -> None:
        """Report that the store can be used. Sends a message if its outage was sent."""
        if self._client is None:
            return
        try:
            _, sent = _times(self._client)
            if not sent or self._send(Message("syncengine: over: the database was away", "It is back.", Tone.SUCCESS)):
                self._client.delete(KEY)
        except RedisError as error:
            log.warning(
                "the message that the store is back cannot be sent, since Redis is away (%s)", type(error).__name__
            )

    def _send(self, message: Message) -> bool:
        """Whether at least one sink accepted it: without the book the others cannot be tracked."""
        signed = Message(message.title, f"{message.body}\n\nsyncengine on {socket.gethostname()}", message.tone)
        refusals = {sink.name: sink.send(signed) for sink in self._sinks.usable()}
        for name, refusal in refusals.items():
            if refusal:
                log.warning("%s did not receive the alert about the store: %s", name, refusal)
        return not all(refusals.values())


def _times(client: redis.Redis) -> tuple[float, float]:
    """Since when the store has been away, and when that was last sent (timestamps); 0 for never."""
    since, sent = client.hmget(KEY, "since", "sent")
    return float(since or 0), float(sent or 0)
