"""Beat's schedule, made from the flows. Entries are dumb: a tick claims its turn in SQL, so a second beat does no harm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncengine.flows.flow import Flow

STAND_IN = 4
"""The realtime lane watches every so many times less often, and only where the scheduled one does not."""


def beat_schedule(flows: Iterable[Flow], pump_every_s: float, watch_every_s: float) -> dict[str, dict[str, Any]]:
    """One entry a flow at the interval that its YAML declares, the pump's, and those that watch for alerts. Seconds.

    An entry expires before its next one, so that a worker that was stopped does not come back to a heap of stale ticks.
    """
    stand_in_s = watch_every_s * STAND_IN
    schedule: dict[str, dict[str, Any]] = {
        "pump": {
            "task": "engine.pump",
            "schedule": pump_every_s,
            "options": {"queue": "realtime", "expires": pump_every_s * 2},
        },
        "watch": {
            "task": "engine.watch",
            "schedule": watch_every_s,
            "options": {"queue": "scheduled", "expires": watch_every_s * 2},
        },
        "watch.stand-in": {
            "task": "engine.watch",
            "schedule": stand_in_s,
            "kwargs": {"unless_within_s": stand_in_s},
            "options": {"queue": "realtime", "expires": stand_in_s},
        },
    }
    for flow in flows:
        if flow.every_s > 0:
            schedule[f"{flow.name}.sync"] = {
                "task": f"{flow.name}.sync",
                "schedule": flow.every_s,
                "kwargs": {"trigger": "schedule"},
                "options": {"queue": "scheduled", "expires": flow.every_s * 0.9},
            }
    return schedule
