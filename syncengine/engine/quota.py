"""How much of the systems' quotas is left, as far as an endpoint can tell without a call."""

from __future__ import annotations

from typing import Any

from syncengine.engine.engine import Engine


def left(engine: Engine) -> list[dict[str, Any]]:
    """One entry for each endpoint that counts calls or sessions: its name, and one line that says what is left."""
    seen: dict[str, str] = {}
    for connection in engine.connections():
        site = engine.site(connection.id)
        for side, endpoint in site.endpoints.items():
            says = site.connectors[side].quota()
            if says:
                seen[endpoint.name] = says
    return [{"endpoint": name, "says": says} for name, says in sorted(seen.items())]
