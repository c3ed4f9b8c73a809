"""The canary: a task from beat through a lane's queue to a worker, which notes its arrival in the store."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import beat_init
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from syncengine.celery import app
from syncengine.engine.watch import health
from syncengine.settings import Settings
from syncengine.store.states import Lane
from syncengine.tasks.base import StepTask
from syncengine.tasks.schedule import CLOCKS_S

log = logging.getLogger(__name__)

CANARY = "engine.canary"


def make_canary(settings: Settings) -> None:
    """Register the task, and schedule one for each lane.

    A canary expires in its queue after a while, so that a worker that was stopped finds at most a few dozen of them, each of
    which only notes its arrival.
    """
    app.task(name=CANARY, base=StepTask, bind=True)(_canary)
    app.conf.beat_schedule |= {
        f"canary.{lane.label}": {
            "task": CANARY,
            "schedule": settings.canary_every_s,
            "args": (lane.label,),
            "options": {"queue": lane.label, "expires": settings.stalled_s + CLOCKS_S},
        }
        for lane in Lane
    }


@beat_init.connect
def _send_first(**_: Any) -> None:
    """Send a canary through each lane when beat starts: its schedule sends the first ones only after an interval."""
    for name, entry in app.conf.beat_schedule.items():
        if name.startswith("canary."):
            try:
                app.send_task(entry["task"], args=entry["args"], retry=False, **entry["options"])
            except (OperationalError, RedisError) as error:
                log.warning("the first canaries wait for beat's schedule: %s", error)
                return


def _canary(self: StepTask, lane: str) -> str:
    """Note that a canary of this lane arrived (engine/watch/health.py)."""
    health.arrived(self.engine, Lane.of(lane))
    return f"{lane} is alive"
