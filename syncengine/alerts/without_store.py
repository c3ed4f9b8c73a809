"""The one alert that cannot stand in the book: the database that holds it is away. Redis keeps what was told.

Whoever looks notes it here. It is told once it has lasted for a while, since a restart is no news, and again as others are.
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
    "Start it, or see why it cannot be used (`syncengine doctor`). Nothing is sent until then, and nothing is lost: all goes "
    "on by itself when it is back"
)


class StoreAway:
    """Tells the sinks that the store is away, and that it is back."""

    def __init__(self, sinks: Sinks, client: redis.Redis | None) -> None:
        self._sinks = sinks
        self._client = client

    def is_away(self, why: str, *, repeat_s: float, now: datetime) -> None:
        """It was away at this look. Raises nothing: this is the last that can be told."""
        if self._client is None:
            return
        try:
            self._client.hsetnx(KEY, "since", str(now.timestamp()))
            self._client.expire(KEY, KEPT_S)
            since, told = _times(self._client)
            if now.timestamp() - since < LASTING_S or (told and now.timestamp() - told < repeat_s):
                return
            begun = datetime.fromtimestamp(since, UTC)
            body = f"CRITICAL {why}\nWhat to do: {REMEDY}\nsince {begun:%Y-%m-%d %H:%M:%S UTC}"
            if self._send(Message(f"syncengine: {why}", body, Tone.FAILURE)):
                self._client.hset(KEY, "told", str(now.timestamp()))
        except RedisError as error:
            log.warning("nobody can be told that the store is away, since Redis is too (%s)", type(error).__name__)

    def is_there(self) -> None:
        """It could be used at this look; if people were told that it was not, they are told that this is over."""
        if self._client is None:
            return
        try:
            _, told = _times(self._client)
            if not told or self._send(Message("syncengine: over: the database was away", "It is back.", Tone.SUCCESS)):
                self._client.delete(KEY)
        except RedisError as error:
            log.warning("nobody can be told that the store is back, since Redis is away (%s)", type(error).__name__)

    def _send(self, message: Message) -> bool:
        """True if at least one sink took it: without the book nobody keeps account of the others."""
        whole = Message(message.title, f"{message.body}\n\nsyncengine on {socket.gethostname()}", message.tone)
        refusals = {sink.name: sink.send(whole) for sink in self._sinks.usable()}
        for name, refusal in refusals.items():
            if refusal:
                log.warning("%s was not told about the store: %s", name, refusal)
        return not all(refusals.values())


def _times(client: redis.Redis) -> tuple[float, float]:
    """Since when it has been away, and when people were told last; 0 if not."""
    since, told = client.hmget(KEY, "since", "told")
    return float(since or 0), float(told or 0)
