"""How much of the systems' quotas is left, as far as an endpoint knows without a call."""

from __future__ import annotations

from typing import Any

from syncengine.engine.core.engine import Engine
from syncengine.errors import Misconfigured


def left(engine: Engine) -> list[dict[str, Any]]:
    """One entry per endpoint that counts calls or sessions: its name, and one line on what is left. Raises Misconfigured."""
    seen: dict[str, str] = {}
    for row in engine.connections():
        connection = engine.connection(row.id)
        for side, endpoint in connection.endpoints.items():
            says = connection.connectors[side].quota()
            if says:
                seen[endpoint.name] = says
    return [{"endpoint": name, "says": says} for name, says in sorted(seen.items())]


def crowded(engine: Engine) -> set[int]:
    """Ids of endpoints for whose quota a low lane would wait longer than a step waits for its next try.

    Their backlog stays in SQL meanwhile: if sent, it would fill the workers with steps that only put it off. Call it
    before a transaction begins, since it asks Redis.
    """
    found: set[int] = set()
    for row in engine.connections():
        try:
            connection = engine.connection(row.id)
        except Misconfigured:  # the pump skips this connection, and logs why
            continue
        for side, endpoint in connection.endpoints.items():
            if endpoint.id not in found and connection.connectors[side].wait_s() > engine.limits.retry_s:
                found.add(endpoint.id)
    return found
