"""All rules of the watcher. A new one is a function in the module of its subject, and a line in this table."""

from __future__ import annotations

from collections.abc import Sequence

from syncengine.engine.watch.rule import Rule
from syncengine.engine.watch.rules.dead_letters import none_through, often_found, same_cause
from syncengine.engine.watch.rules.endpoints import breaker_open, clock_differs, credentials_rejected
from syncengine.engine.watch.rules.progress import outcome_unknown, overdue, stalled
from syncengine.engine.watch.rules.resting import long_held, long_waiting
from syncengine.engine.watch.rules.safeguards import ceiling_reached, flow_disabled, objects_gone
from syncengine.engine.watch.rules.tables import table_differs
from syncengine.engine.watch.rules.webhooks import unheard

RULES: Sequence[Rule] = (
    Rule("breaker", 60.0, breaker_open),
    Rule("authentication", 600.0, credentials_rejected),  # after its rest an endpoint is tried, and rests again
    Rule("dead letters", 0.0, same_cause),
    Rule("attention", 0.0, often_found),
    Rule("none through", 0.0, none_through),
    Rule("flow disabled", 0.0, flow_disabled),
    Rule("ceiling", 0.0, ceiling_reached),
    Rule("gone", 0.0, objects_gone),
    Rule("oldest due", 60.0, overdue),
    Rule(
        "in doubt", 600.0, outcome_unknown
    ),  # a write that is resent has a known state for a moment, between two sends
    Rule("waiting", 0.0, long_waiting),
    Rule("held", 0.0, long_held),
    Rule("clock", 600.0, clock_differs),
    Rule("stalled", 60.0, stalled),
    Rule("table", 0.0, table_differs),
    Rule("webhooks", 0.0, unheard),
)
