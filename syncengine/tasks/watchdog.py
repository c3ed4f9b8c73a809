"""Ends a worker that receives nothing although Redis answers, so that its supervisor starts a new one.

After its connection to the broker broke, a Celery worker may stop consuming but stay alive and answer `inspect ping`, which
uses another socket (celery issues 8030, 8091, 10205). So each worker sends itself messages through its own queue, which it
reads on the same connection as the tasks. Any message that it receives shows that it still consumes.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from celery import bootsteps
from celery.signals import task_received
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Consumer as Reader
from kombu import Exchange, Producer, Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from syncengine import clock, settings
from syncengine.celery import app

log = logging.getLogger(__name__)

CALLS = 4  # messages within the time in which a worker must receive something
FAILED = 1
SLOW_S = 2.0  # a slower message means that Redis was away, or that this machine slept
STUCK_S = 8.0  # time for an idle worker to end by itself


class Watchdog(bootsteps.StartStopStep):  # type: ignore[misc]
    """Runs in the worker's main process beside its consumer, which restarts with every connection."""

    requires = ("celery.worker.consumer:Tasks",)

    def __init__(self, consumer: Consumer, **options: Any) -> None:
        super().__init__(consumer, **options)
        current = settings.load()
        self.deaf_s = current.deaf_s
        self.busy_s = current.step_limit_s
        name = f"{consumer.hostname}.watchdog"
        self.queue = Queue(name, Exchange("watchdog", "direct"), routing_key=name, expires=self.deaf_s * CALLS)
        self._heard_at = clock.monotonic()
        self._thread: threading.Thread | None = None

    def start(self, consumer: Consumer) -> None:
        """Read our own queue on the channel of the tasks. Called for every new connection."""
        reader = Reader(consumer.task_consumer.channel, [self.queue], no_ack=True, on_message=self._hear)
        reader.consume()
        if self._thread is None:
            self._heard_at = clock.monotonic()
            task_received.connect(self._hear, weak=False)
            self._thread = threading.Thread(target=self._watch, args=(consumer,), name="watchdog", daemon=True)
            self._thread.start()

    def stop(self, consumer: Consumer) -> None:
        """Do nothing: our queue ends with the channel."""

    def _hear(self, *_: Any, **__: Any) -> None:
        self._heard_at = clock.monotonic()

    def _watch(self, consumer: Consumer) -> None:
        worker = consumer.controller
        while worker.blueprint.state == bootsteps.RUN and state.should_stop is None and state.should_terminate is None:
            begun, pause_s = clock.monotonic(), self.deaf_s / CALLS
            clock.sleep(pause_s)
            is_busy = len(state.reserved_requests) >= worker.concurrency  # then it takes no messages
            if is_busy or not self._call() or clock.monotonic() - begun > pause_s + SLOW_S:
                self._hear()
            silent_s = clock.monotonic() - self._heard_at
            if silent_s > self.deaf_s:
                self._end(silent_s)
                return

    def _call(self) -> bool:
        """Send ourselves a message over a separate connection. False if Redis is away; the worker then waits for it."""
        try:
            with app.connection_for_write() as connection, connection.channel() as channel:
                Producer(channel).publish(
                    {}, exchange=self.queue.exchange, routing_key=self.queue.routing_key, declare=[self.queue]
                )
        except (OperationalError, RedisError, OSError) as error:
            log.debug("Redis is away: %s", error)
            return False
        return True

    def _end(self, silent_s: float) -> None:
        """End the worker warmly, so that running tasks finish; after a while, end it hard."""
        log.critical(
            "this worker has received nothing for %.0f s although Redis answers: it ends, to be restarted", silent_s
        )
        state.should_stop = FAILED
        patience_s = STUCK_S + (self.busy_s if state.active_requests else 0.0)
        clock.sleep(patience_s)
        log.critical(
            "the worker did not end within %.0f s: it is killed; other workers continue with its records", patience_s
        )
        os._exit(FAILED)


def watch_over_workers() -> None:
    """Add a watchdog to every worker of this app."""
    app.steps["consumer"].add(Watchdog)
