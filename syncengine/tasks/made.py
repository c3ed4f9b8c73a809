"""Creates the tasks of all flows. Names begin with the flow, so that Flower groups them. Bodies are a few lines."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from syncengine import clock, settings
from syncengine.celery import app
from syncengine.engine.setup import bootstrap
from syncengine.engine.steps import running, sync
from syncengine.engine.steps.pump import pump
from syncengine.engine.upkeep import names, reseal, retention, subscriptions, tables
from syncengine.engine.watch import health
from syncengine.errors import Misconfigured, Transient
from syncengine.flows import Flows
from syncengine.settings import Settings
from syncengine.store.states import Stage
from syncengine.tasks.base import WATCH, StepTask, store_is_away, watcher
from syncengine.tasks.schedule import beat_schedule

log = logging.getLogger(__name__)

PUMP = "engine.pump"
RETENTION = "engine.retention"
RESEAL = "engine.reseal"
NAMES = "engine.names"
TABLES = "engine.tables"
WEBHOOKS = "engine.webhooks"
LONGEST_COUNTDOWN_S = 300.0
"""A third of the visibility timeout (celeryconfig.py), after which Redis delivers a waiting message again."""


def _step(self: StepTask, token: str, *, stage: Stage) -> str:
    try:
        result = running.run(self.engine, stage, token, retries=self.request.retries)
    except running.TryAgain as again:
        raise self.retry(countdown=again.wait_s, exc=again) from None
    if stage is Stage.PUSH:
        pump(self.engine)
    return result


def _sync(
    self: StepTask,
    connection: str | None = None,
    since: str | None = None,
    ids: list[str] | None = None,
    trigger: str = "call",
    *,
    flow: str,
) -> str:
    request = sync.Request(
        flow=flow,
        connection=connection,
        since=_moment(since) if since else None,
        ids=tuple(map(str, ids or ())),
        trigger=trigger,
    )
    results = sync.start(self.engine, request)
    for waiting in sync.to_retry(results, request, self.request.retries):
        _sync_later(self, waiting)
    return sync.line(results)


def _moment(text: str) -> datetime:
    """A time in the format of the command line. Raises Misconfigured."""
    try:
        return clock.read(text)
    except ValueError:
        raise Misconfigured(
            f"since = {text!r} is not a time. Write 2026-01-31T06:00 or 2026-01-31T06:00+01:00"
        ) from None


def _sync_later(self: StepTask, waiting: sync.Waiting) -> None:
    """Sync one connection again later, continuing from its cursors. Beat's next tick does the same in any case.

    After a longer wait it runs a few times in vain, which costs no call, because the limiter still refuses.
    """
    wait_s = min(waiting.retry_in_s, LONGEST_COUNTDOWN_S)
    again = {"connection": waiting.connection, "trigger": "again"}
    try:
        self.apply_async(kwargs=again, countdown=wait_s, retries=self.request.retries + 1, retry=False)
    except (OperationalError, RedisError) as error:
        log.warning("%s of %s continues at the next tick: %s", self.name, waiting.connection, error)


def _pump(self: StepTask, unless_within_s: float = 0.0) -> str:
    if health.was_within(self.engine, health.PUMP, unless_within_s):
        return "another pump ran a moment ago"
    return f"{pump(self.engine, sweep=True)} chains"


def _watch(self: StepTask, unless_within_s: float = 0.0) -> str:  # noqa: ARG001 - Celery passes the task
    try:
        current = watcher()
    except Transient as error:  # this process has never reached the store
        store_is_away(error)
        raise
    return current.watch(unless_within_s=unless_within_s)


def _retention(self: StepTask) -> str:
    removed = retention.remove(self.engine, bootstrap.kept(settings.load()), for_s=retention.LONGEST_S)
    return str(removed or "another process removes old rows")


def _reseal(self: StepTask) -> str:
    return str(reseal.run(self.engine, for_s=reseal.LONGEST_S) or "nothing left to seal again")


def _names(self: StepTask) -> str:
    return str(names.run(self.engine, for_s=names.LONGEST_S))


def _tables(self: StepTask) -> str:
    return tables.run(self.engine)


def _webhooks(self: StepTask) -> str:
    return subscriptions.run(self.engine, settings.load().web_url)


def make_tasks() -> None:
    """Register the tasks of all flows, and their schedule. A flow whose file is wrong gets none.

    Raises Misconfigured, Transient.
    """
    current = settings.load()
    flows = _flows(current)
    for broken in flows.broken.values():
        log.error("%s. %s. Its records stay as they are", broken, broken.remedy)
    for flow in flows.values():
        _register(f"{flow.name}.sync", partial(_sync, flow=flow.name), f"Find changes of {flow.name}.")
        for stage in Stage:
            _register(
                f"{flow.name}.{stage}",
                partial(_step, stage=stage),
                f"{stage} of {flow.name} (engine/steps/{stage}.py).",
            )
    _register(PUMP, _pump, "Free expired leases, wake waiting records, claim due records (engine/steps/pump.py).")
    _register(WATCH, _watch, "Check for problems and send alerts (engine/watch/watcher.py).")
    _register(RETENTION, _retention, "Remove old rows (engine/upkeep/retention.py).")
    _register(RESEAL, _reseal, "Seal stored data again with the newest key, if requested (engine/upkeep/reseal.py).")
    _register(NAMES, _names, "Fill in names of stored records after an upgrade (engine/upkeep/names.py).")
    _register(TABLES, _tables, "Hold lookup tables against the systems, once a day (engine/upkeep/tables.py).")
    _register(
        WEBHOOKS, _webhooks, "Check and repair webhooks, once a day or on request (engine/upkeep/subscriptions.py)."
    )
    app.conf.beat_schedule = beat_schedule(flows.values(), current.pump_every_s, current.alert_every_s)


def _flows(current: Settings) -> Flows:
    try:
        store = bootstrap.open_store(current)
    except Misconfigured:  # not installed yet: worker and beat refuse to start, but `celery report` can show names
        return bootstrap.flows(current)
    try:
        return bootstrap.installed_flows(current, store)
    finally:
        store.close()


def _register(name: str, body: Any, about: str) -> None:
    def run(self: StepTask, *args: Any, **kwargs: Any) -> str:
        result: str = body(self, *args, **kwargs)
        return result

    run.__doc__ = about
    run.__name__ = name.rpartition(".")[2]
    app.task(name=name, base=StepTask, bind=True)(run)
