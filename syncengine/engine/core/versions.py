"""Which version of an object a record has dealt with. Pure.

A record of one source keeps its version as it is. One that stands for objects of both sides, or for several, keeps a version
for each of them, by side and key.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.document import Doc, from_json, to_json
from syncengine.engine.core.engine import Connection
from syncengine.flows.flow import Flow


def of(flow: Flow, connection: Connection, docs: Mapping[str, Mapping[str, Doc]]) -> str:
    """What is kept of the versions of a record's documents (by resource and key); empty if the source has none."""
    if not flow.keys_name_their_side:
        source = connection.resource(flow.source)
        return next((source.version(doc) for doc in docs.get(source.name, {}).values()), "")
    resources = [connection.resource(name) for name in ((flow.source, flow.target) if flow.two_way else (flow.source,))]
    found = {
        f"{connection.side(one.name)}:{key}": one.version(doc)
        for one in resources
        for key, doc in docs.get(one.name, {}).items()
    }
    return to_json(found) if found else ""


def version_in(flow: Flow, kept: str, side: str, key: str) -> str:
    """The version of one object in what `of` gave; empty if it is not in it."""
    if not flow.keys_name_their_side:
        return kept
    return str(from_json(kept).get(f"{side}:{key}", "")) if kept.startswith("{") else ""
