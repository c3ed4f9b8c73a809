"""Beat's schedule, made from the flows. Entries are dumb: a tick claims its turn in SQL, so a second beat does no harm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncengine.flows.flow import Flow


def beat_schedule(flows: Iterable[Flow], pump_every_s: float) -> dict[str, dict[str, Any]]:
    """One entry a flow at the interval that its YAML declares, and the pump's. Seconds.

    An entry expires before its next one, so that a worker that was stopped does not come back to a heap of stale ticks.
    """
    schedule: dict[str, dict[str, Any]] = {
        "pump": {
            "task": "engine.pump",
            "schedule": pump_every_s,
            "options": {"queue": "realtime", "expires": pump_every_s * 2},
        }
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
