"""The versions of the objects that a record has processed. Pure.

A record with one source stores its version as is. A record for objects on both sides, or for several objects, stores a version
for each, by side and key.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.document import Doc, from_json, to_json
from syncengine.engine.core.engine import Route


def of(route: Route, docs: Mapping[str, Mapping[str, Doc]]) -> str:
    """The stored form of the versions of a record's documents (by resource and key); empty if the source has none."""
    if not route.keys.name_their_side:
        return next((route.source.version(doc) for doc in docs.get(route.source.name, {}).values()), "")
    found = {
        f"{route.connection.side(resource.name)}:{key}": resource.version(doc)
        for resource in map(route.connection.resource, route.flow.sources)
        for key, doc in docs.get(resource.name, {}).items()
    }
    return to_json(found) if found else ""


def version_in(route: Route, kept: str, side: str, key: str) -> str:
    """The version of one object in `kept`, the result of `of`; empty if it has none."""
    if not route.keys.name_their_side:
        return kept
    return str(from_json(kept).get(f"{side}:{key}", "")) if kept.startswith("{") else ""
