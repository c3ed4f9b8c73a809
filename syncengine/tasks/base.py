"""The base of all tasks: the engine of this process, and how a task handles errors."""

from __future__ import annotations

import logging
import mmap
import sys
from typing import Any

from celery import Task, chain
from celery.signals import beat_init, celeryd_init, worker_process_init, worker_process_shutdown, worker_shutting_down
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from syncengine import clock, settings
from syncengine.alerts import Sinks
from syncengine.alerts.without_store import StoreAway
from syncengine.celery import app, show_misspelt
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.setup import bootstrap
from syncengine.engine.watch import health
from syncengine.engine.watch.watcher import Watcher
from syncengine.errors import Misconfigured, NewerStore, SyncError, Transient
from syncengine.http.breaker_state import Change
from syncengine.local import redis_server
from syncengine.tasks.schedule import CLOCKS_S

log = logging.getLogger(__name__)

WATCH = "engine.watch"
WATCH_NOW_EXPIRES_S = 60 + CLOCKS_S  # a minute, plus the difference of clocks

_ending = mmap.mmap(-1, 1)
"""Shared by a worker's parent and its children: 1 once the parent must end. Celery does not inform the children."""

_engines: list[Engine] = []  # empty, or the engine of this process
_watchers: list[Watcher] = []


def engine() -> Engine:
    """The engine of this process, created at its first use, after the fork. Raises Misconfigured, Transient."""
    if not _engines:
        current = settings.load()
        client = redis_server.connect(current)
        _engines.append(
            bootstrap.engine(current, send=send, redis_client=client, hooks=[watch_now], is_ending=is_ending)
        )
    return _engines[0]


def watcher() -> Watcher:
    """The watcher of this process, created at its first use. Raises Misconfigured, Transient.

    Its sinks and thresholds follow `.env`, so that `syncengine alerts test` and the running processes agree.
    """
    if not _watchers:
        current = settings.load()
        _watchers.append(bootstrap.watcher(current, engine(), redis_server.connect(current)))
        return _watchers[0]
    try:
        current = settings.load()
    except Misconfigured as error:
        log.error("alerts keep their previous settings: %s", error)
    else:
        _watchers[0].follow(Sinks(current.alert_urls), bootstrap.thresholds(current))
    return _watchers[0]


def store_is_away(error: Transient) -> None:
    """Send an alert without the watcher, which needs the store."""
    current = settings.load()
    with redis_server.connect(current) as client:
        away = StoreAway(Sinks(current.alert_urls), client)
        away.is_away(str(error), repeat_s=current.alert_repeat_s, now=clock.now())


def watch_now(change: Change) -> None:
    """Run the watcher now, without waiting for beat, because an endpoint is down or back. Does not wait for it."""
    try:
        app.send_task(WATCH, queue="scheduled", expires=WATCH_NOW_EXPIRES_S, retry=False)
    except (OperationalError, RedisError) as error:
        log.warning("an alert about %s waits for the watcher's next run: %s", change.endpoint, error)


@celeryd_init.connect
@beat_init.connect
def _check_before_start(**_: Any) -> None:
    """End worker or beat at once, with a remedy, if the store is away or not migrated, a key is missing, or a flow would
    create everything again."""
    current = settings.load()
    show_misspelt(current)
    try:
        store = bootstrap.open_store(current)
        bootstrap.open_vault(current, store)
        bootstrap.check_flows(store, bootstrap.installed_flows(current, store))
        health.started(store, clock.now())
    except SyncError as error:
        print(f"syncengine: {error}", file=sys.__stderr__)
        raise SystemExit(2) from None


def is_ending() -> bool:
    """True once this worker must end."""
    return _ending[0] == 1


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    """Handle SIGTERM in the parent: its children finish their current call and give the rest of their records back."""
    _ending[0] = 1


@worker_process_init.connect
def _forget(**_: Any) -> None:
    """Discard what the parent created: connections do not survive a fork."""
    _engines.clear()
    _watchers.clear()


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    _watchers.clear()
    while _engines:
        _engines.pop().close()


def send(order: Chain) -> None:
    """Send a chain that the pump has leased. If Redis is away, the lease expires and the pump sends it again."""
    steps = [
        app.signature(
            f"{order.flow}.{stage}",
            args=(order.token,),
            immutable=True,
            queue=order.lane.label,
            argsrepr=f"({order.shown})",
        )
        for stage in order.stages
    ]
    try:
        chain(*steps).apply_async()
    except (OperationalError, RedisError) as error:
        log.warning(
            "Redis cannot be reached; %s %s continues when its lease has expired: %s", order.flow, order.shown, error
        )


def sync_flow(flow: str) -> None:
    """Have the feeds of a flow read that are due. Does not wait for it; if Redis is away, beat's next tick does it."""
    try:
        app.send_task(f"{flow}.sync", kwargs={"trigger": "schedule"}, queue="scheduled", retry=False)
    except (OperationalError, RedisError) as error:
        log.warning("the feeds of %s are read at the next tick: %s", flow, error)


class StepTask(Task):  # type: ignore[misc]
    """A task that calls the engine. It does not fail if records fail; `syncengine trace` shows them."""

    max_retries = None  # the engine counts attempts
    throws = (SyncError,)  # log one line, not a traceback

    def on_failure(self, exc: Exception, *_: Any, **__: Any) -> None:
        """End this worker if another version has migrated the store: further messages are for its successors."""
        if isinstance(exc, NewerStore):
            log.critical("this worker ends: %s", exc)
            app.control.shutdown(destination=[self.request.hostname])

    @property
    def engine(self) -> Engine:
        """The engine of this process. Raises Misconfigured, Transient."""
        return engine()
