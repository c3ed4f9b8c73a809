"""The base of all tasks: the engine of this process, and what an error means for a message."""

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
from syncengine.celery import app
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.setup import bootstrap
from syncengine.engine.watch.watcher import Watcher
from syncengine.errors import NewerStore, SyncError, Transient
from syncengine.http.breaker import Change
from syncengine.local import redis_server
from syncengine.tasks.schedule import CLOCKS_S

log = logging.getLogger(__name__)

WATCH = "engine.watch"
LOOK_NOW_EXPIRES_S = 60 + CLOCKS_S  # a minute, by whatever clock

_ending = mmap.mmap(-1, 1)
"""Shared by a worker's parent and its children, who are told nothing by Celery: 1 once the parent has been told to end."""

_engines: list[Engine] = []  # none, or the one of this process
_watchers: list[Watcher] = []


def engine() -> Engine:
    """The engine of this process, made at the first use and after the fork. Raises Misconfigured, Transient."""
    if not _engines:
        current = settings.load()
        client = redis_server.connect(current)
        _engines.append(
            bootstrap.engine(current, send=send, redis_client=client, hooks=[watch_now], is_ending=is_ending)
        )
    return _engines[0]


def watcher() -> Watcher:
    """Who watches in this process, made at the first use. Raises Misconfigured, Transient."""
    if not _watchers:
        current = settings.load()
        _watchers.append(bootstrap.watcher(current, engine(), redis_server.connect(current)))
    return _watchers[0]


def store_is_away(error: Transient) -> None:
    """Tell people, without a watcher: it needs the store."""
    current = settings.load()
    with redis_server.connect(current) as client:
        away = StoreAway(Sinks(current.alert_urls), client)
        away.is_away(str(error), repeat_s=current.alert_repeat_s, now=clock.now())


def watch_now(change: Change) -> None:
    """An endpoint is down or back: have it looked at without waiting for beat. The call that found out must not wait."""
    try:
        app.send_task(WATCH, queue="scheduled", expires=LOOK_NOW_EXPIRES_S, retry=False)
    except (OperationalError, RedisError) as error:
        log.warning("people are told of %s by beat's next look: %s", change.endpoint, error)


@celeryd_init.connect
@beat_init.connect
def _refuse_to_start_wrong(**_: Any) -> None:
    """A store that is away or not migrated, a missing key, or a flow that would create everything once more ends worker and
    beat at once, with what to do."""
    current = settings.load()
    try:
        store = bootstrap.open_store(current)
        bootstrap.open_vault(current, store)
        bootstrap.check_flows(store, bootstrap.installed_flows(current, store))
    except SyncError as error:
        print(f"syncengine: {error}", file=sys.__stderr__)
        raise SystemExit(2) from None


def is_ending() -> bool:
    """True once this worker has been told to end."""
    return _ending[0] == 1


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    """SIGTERM, in the parent: its children end the call they are in and give the rest of their records back."""
    _ending[0] = 1


@worker_process_init.connect
def _forget(**_: Any) -> None:
    """Connections do not survive a fork: what the parent may have made is not ours."""
    _engines.clear()
    _watchers.clear()


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    _watchers.clear()
    while _engines:
        _engines.pop().close()


def send(order: Chain) -> None:
    """Send a chain that the pump has leased. If Redis is away the lease runs out and the pump sends anew."""
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
            "Redis cannot be reached; %s %s goes on when its lease has run out: %s", order.flow, order.shown, error
        )


class StepTask(Task):  # type: ignore[misc]
    """A task whose body calls the engine. Records that fail do not fail it; `trace` shows records."""

    max_retries = None  # the engine counts
    throws = (SyncError,)  # a store that is away is one line in the log, not a traceback for every tick

    def on_failure(self, exc: Exception, *_: Any, **__: Any) -> None:
        """Another version has migrated the store: this worker takes no more messages, which are for its successors."""
        if isinstance(exc, NewerStore):
            log.critical("this worker ends: %s", exc)
            app.control.shutdown(destination=[self.request.hostname])

    @property
    def engine(self) -> Engine:
        return engine()
