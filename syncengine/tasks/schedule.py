"""Beat's schedule, created from the flows. Each tick claims its turn in SQL, so a second beat does no harm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncengine.flows.flow import Flow

CLOCKS_S = 300.0
"""How far the clock of beat's host may be behind a worker's: beat's clock sets the time at which a tick expires, but the
worker's clock decides. Ticks that a stopped worker finds within this time must cost next to nothing."""

RETENTION_S = 3600.0
"""An hour: few rows become old in that time, so each run is cheap."""

RESEAL_S = 60.0
"""The duration of one run; without a request it costs one query."""

NAMES_S = 120.0
"""Twice the duration of one run; once nothing is left it costs two queries."""

TABLES_S = 3600.0
"""Tables are compared once a day, and within this time after a change; otherwise a run costs a few queries."""

WEBHOOKS_S = 300.0
"""Webhooks are checked once a day, and within this time after a sign that they fail; otherwise it costs a few queries."""

SUBSTITUTE = 4
"""The realtime lane runs the watcher this many times less often, and only if the scheduled lane does not."""


def beat_schedule(flows: Iterable[Flow], pump_every_s: float, watch_every_s: float) -> dict[str, dict[str, Any]]:
    """One entry per flow at the interval of its YAML, and the entries of the engine. Intervals are seconds.

    Ticks that have waited for a while expire. When a stopped worker is back, only the first of the remaining ticks works: the
    pump and the watcher skip what was done within half an interval, and a flow's turn is claimed in SQL.
    """
    substitute_s = watch_every_s * SUBSTITUTE
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
        "watch.substitute": {
            "task": "engine.watch",
            "schedule": substitute_s,
            "kwargs": {"unless_within_s": substitute_s},
            "options": {"queue": "realtime", "expires": substitute_s + CLOCKS_S},
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
        "names": {
            "task": "engine.names",
            "schedule": NAMES_S,
            "options": {"queue": "backfill", "expires": NAMES_S + CLOCKS_S},
        },
        "tables": {
            "task": "engine.tables",
            "schedule": TABLES_S,
            "options": {"queue": "backfill", "expires": TABLES_S},
        },
        "webhooks": {
            "task": "engine.webhooks",
            "schedule": WEBHOOKS_S,
            "options": {"queue": "scheduled", "expires": WEBHOOKS_S * 0.9 + CLOCKS_S},
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
