"""The canary: a task that travels the whole way, from beat through a lane's queue to a worker, and says so in the store."""

from __future__ import annotations

from syncengine.celery import app
from syncengine.engine.watch import health
from syncengine.settings import Settings
from syncengine.store.states import Lane
from syncengine.tasks.base import StepTask
from syncengine.tasks.schedule import CLOCKS_S

CANARY = "engine.canary"


def make_canary(settings: Settings) -> None:
    """Register the task, and have beat send one through each lane.

    One that waits in a queue expires once it has been missed for a while, so that a worker that was stopped comes back to a
    few dozens, each of which notes its arrival and no more.
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


def _canary(self: StepTask, lane: str) -> str:
    """Note that a canary of this lane arrived (engine/health.py)."""
    health.arrived(self.engine, Lane.of(lane))
    return f"{lane} moves"
