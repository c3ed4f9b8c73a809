"""The consumer of our workers (`worker_consumer` in celeryconfig.py): Celery's, with faster reconnection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery.worker import consumer

LONGEST_WAIT_S = 4


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer with two fixes. `watchdog.py` detects what they do not cover.

    Celery waits 2, 4, 6 and up to 30 s between attempts to reach a broker, and no setting changes that. It reconnected 16 s
    after an outage of one minute, and half a minute after a longer one. Here the wait is at most 4 s.

    Celery also only logs a failed acknowledgement (`Couldn't ack`), and then counts the message as unfinished for ever. A
    worker with one process, as in the realtime lane, then accepts no other message: that happened once in four cuts of its
    connections (kombu 5.7: `QoS.ack` raises before it forgets the message). Here the connection counts as broken and is
    replaced.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once the broker answers."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=LONGEST_WAIT_S)
        return super().ensure_connected(conn)

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge or reject a message soon. `p` is the message's own method, which logs errors."""
        return super().call_soon_ack(partial(self._acknowledge, p), *args, **kwargs)

    def _acknowledge(self, method: Any, *args: Any, **kwargs: Any) -> None:
        method(*args, **kwargs)
        message = method.__self__
        is_ours = self.task_consumer is not None and message.channel is self.task_consumer.channel
        if is_ours and not message.acknowledged:
            raise ConnectionError("a message could not be acknowledged")
