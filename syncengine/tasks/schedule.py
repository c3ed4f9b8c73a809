"""Beat's schedule, made from the flows. Entries are dumb: a tick claims its turn in SQL, so a second beat does no harm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncengine.flows.flow import Flow

CLOCKS_S = 300.0
"""By how much the clock of beat's host may be behind a worker's: a tick expires at a time of beat's clock, and is judged by
the worker's. Whatever a stopped worker comes back to within this time must cost next to nothing."""

RETENTION_S = 3600.0
"""An hour: what has grown old since is little, so each time costs little."""

RESEAL_S = 60.0
"""As long as one run works; where nobody has asked for anything it costs a query."""

STAND_IN = 4
"""The realtime lane watches every so many times less often, and only where the scheduled one does not."""


def beat_schedule(flows: Iterable[Flow], pump_every_s: float, watch_every_s: float) -> dict[str, dict[str, Any]]:
    """One entry a flow at the interval that its YAML declares; the pump, the watch, what is old, what is sealed. Seconds.

    Ticks that have waited for a while expire. Of those that have not, when a stopped worker is back, the first one works:
    the pump and the watch leave out what was done within half an interval, and a flow's turn is claimed in SQL.
    """
    stand_in_s = watch_every_s * STAND_IN
    schedule: dict[str, dict[str, Any]] = {
        "pump": {
            "task": "engine.pump",
            "schedule": pump_every_s,
            "kwargs": {"unless_within_s": pump_every_s / 2},
            "options": {"queue": "realtime", "expires": pump_every_s * 2 + CLOCKS_S},
        },
        "watch": {
            "task": "engine.watch",
            "schedule": watch_every_s,
            "kwargs": {"unless_within_s": watch_every_s / 2},
            "options": {"queue": "scheduled", "expires": watch_every_s * 2 + CLOCKS_S},
        },
        "watch.stand-in": {
            "task": "engine.watch",
            "schedule": stand_in_s,
            "kwargs": {"unless_within_s": stand_in_s},
            "options": {"queue": "realtime", "expires": stand_in_s + CLOCKS_S},
        },
        "retention": {
            "task": "engine.retention",
            "schedule": RETENTION_S,
            "options": {"queue": "backfill", "expires": RETENTION_S},
        },
        "reseal": {
            "task": "engine.reseal",
            "schedule": RESEAL_S,
            "options": {"queue": "backfill", "expires": RESEAL_S + CLOCKS_S},
        },
    }
    for flow in flows:
        if flow.every_s > 0:
            schedule[f"{flow.name}.sync"] = {
                "task": f"{flow.name}.sync",
                "schedule": flow.every_s,
                "kwargs": {"trigger": "schedule"},
                "options": {"queue": "scheduled", "expires": flow.every_s * 0.9 + CLOCKS_S},
            }
    return schedule
