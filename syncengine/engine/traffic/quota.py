"""How much of the systems' quotas is left, as far as an endpoint can tell without a call."""

from __future__ import annotations

from typing import Any

from syncengine.engine.core.engine import Engine
from syncengine.errors import Misconfigured


def left(engine: Engine) -> list[dict[str, Any]]:
    """One entry for each endpoint that counts calls or sessions: its name, and one line that says what is left."""
    seen: dict[str, str] = {}
    for row in engine.connections():
        connection = engine.connection(row.id)
        for side, endpoint in connection.endpoints.items():
            says = connection.connectors[side].quota()
            if says:
                seen[endpoint.name] = says
    return [{"endpoint": name, "says": says} for name, says in sorted(seen.items())]


def crowded(engine: Engine) -> set[int]:
    """Endpoints whose quota the low lanes would wait for longer than a step waits for its next try, by id.

    Their backlog stays in SQL meanwhile: sent, it would fill the workers with steps that only put it off. Asked before a
    transaction begins, since it is Redis that answers.
    """
    found: set[int] = set()
    for row in engine.connections():
        try:
            connection = engine.connection(row.id)
        except Misconfigured:  # the pump leaves it out, and says so
            continue
        for side, endpoint in connection.endpoints.items():
            if endpoint.id not in found and connection.connectors[side].wait_s() > engine.limits.retry_s:
                found.add(endpoint.id)
    return found
