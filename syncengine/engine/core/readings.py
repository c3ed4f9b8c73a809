"""When a document was read, and for which revision: a mark that fetch leaves in documents that it may use again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from syncengine.connectors.base import Resource
from syncengine.document import Doc, fingerprint
from syncengine.engine.decide.tallies import Window

MARK = "@read"
"""In an untyped document: since when and by when it was read by our clock, and the revision of its record."""


def marked(doc: Doc, began: datetime, ended: datetime, revision: int) -> Doc:
    """The document with its mark. began, ended: UTC. revision: `Record.wanted`."""
    return {**doc, MARK: {"from": began, "by": ended, "revision": revision}}


def between(resource: Resource, doc: Mapping[str, Any]) -> Window | None:
    """When a document was as it is, by its system's clock if it says, else by ours; None if nobody knows."""
    if window := resource.read_between(dict(doc)):
        return window
    mark = doc.get(MARK)
    return (mark["from"], mark["by"]) if mark else None


def revision(doc: Mapping[str, Any]) -> int | None:
    """The revision for which a document was read; None if it has no mark."""
    mark = doc.get(MARK)
    return int(mark["revision"]) if mark else None


def print_of(doc: Mapping[str, Any]) -> str:
    """The fingerprint of a document, whenever it was read."""
    return fingerprint({name: value for name, value in doc.items() if name != MARK})
