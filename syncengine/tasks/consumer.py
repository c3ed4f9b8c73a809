"""The consumer of our workers (`worker_consumer` in celeryconfig.py): Celery's own, which mends a lost connection sooner."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery.worker import consumer

LONGEST_WAIT_S = 4


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer with two repairs; what they do not cover, `watchdog.py` notices.

    Celery waits 2, 4, 6 and up to 30 s between its attempts to reach a broker, of which no setting knows. So it came back
    16 s after an outage of a minute, and half a minute after a longer one. Here it is 4 s at most.

    And it only logs an acknowledgement that failed (`Couldn't ack`), after which the message counts as being worked on
    for ever. A worker of one process, as the realtime lane has, then takes no other message while it lives: it happened
    once in four cuts of its connections (kombu 5.7: `QoS.ack` raises before it forgets the message). Here the connection
    counts as broken, and is made anew.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """The connection, once the broker answers."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=LONGEST_WAIT_S)
        return super().ensure_connected(conn)

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge or reject a message soon; `p` is the message's own method, which logs what went wrong."""
        return super().call_soon_ack(partial(self._settle, p), *args, **kwargs)

    def _settle(self, settle: Any, *args: Any, **kwargs: Any) -> None:
        settle(*args, **kwargs)
        message = settle.__self__
        is_ours = self.task_consumer is not None and message.channel is self.task_consumer.channel
        if is_ours and not message.acknowledged:
            raise ConnectionError("a message could not be acknowledged")
