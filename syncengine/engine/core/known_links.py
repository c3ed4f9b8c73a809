"""Tables of links for mappings that want to know whether other objects are linked, without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.document import Doc
from syncengine.engine.core.engine import Route, chunks
from syncengine.errors import Rejected
from syncengine.store.models import Link

AT_ONCE = 500
Tables = Mapping[str, Mapping[str, str]]


def tables(session: Session, route: Route, sources: Iterable[Doc], lookups: Tables) -> Tables:
    """The other side's keys of what typed documents of the source name under `known_links:`, by table and key."""
    if not route.flow.mapping.has_known_links:
        return {}
    asked: dict[tuple[str, str], dict[str, None]] = {}
    for doc in sources:
        try:
            found = route.flow.mapping.known_links(doc, route.settings, lookups)
        except Rejected:
            continue  # its plan fails by itself
        for known in found:
            asked.setdefault((known.table, known.entity), {}).update(dict.fromkeys(known.keys))
    return {table: _linked(session, route, entity, list(keys)) for (table, entity), keys in asked.items()}


def _linked(session: Session, route: Route, entity: str, keys: list[str]) -> dict[str, str]:
    near, far = (Link.left_key, Link.right_key) if route.source_side == "left" else (Link.right_key, Link.left_key)
    found: dict[str, str] = {}
    for some in chunks(keys, AT_ONCE):
        mine = select(near, far).where(
            Link.connection_id == route.connection_id,
            Link.entity == entity,
            Link.provisional.is_(False),
            near.in_(some),
        )
        found |= {str(key): str(other) for key, other in session.execute(mine) if other is not None}
    return found
