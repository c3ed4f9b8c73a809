"""The versions of the objects that a record has processed. Pure.

A record with one source stores its version as is. A record for objects on both sides, or for several objects, stores a version
for each, by side and key.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.document import Doc, from_json, to_json
from syncengine.engine.core.engine import Connection
from syncengine.flows.flow import Flow


def of(flow: Flow, connection: Connection, docs: Mapping[str, Mapping[str, Doc]]) -> str:
    """The stored form of the versions of a record's documents (by resource and key); empty if the source has none."""
    if not flow.keys_name_their_side:
        source = connection.resource(flow.source)
        return next((source.version(doc) for doc in docs.get(source.name, {}).values()), "")
    resources = [connection.resource(name) for name in ((flow.source, flow.target) if flow.two_way else (flow.source,))]
    found = {
        f"{connection.side(resource.name)}:{key}": resource.version(doc)
        for resource in resources
        for key, doc in docs.get(resource.name, {}).items()
    }
    return to_json(found) if found else ""


def version_in(flow: Flow, kept: str, side: str, key: str) -> str:
    """The version of one object in `kept`, the result of `of`; empty if it has none."""
    if not flow.keys_name_their_side:
        return kept
    return str(from_json(kept).get(f"{side}:{key}", "")) if kept.startswith("{") else ""
