"""What a fetch has read: documents by resource and key, each read once, in as few calls as the resource allows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.document import Doc
from syncengine.engine.core import readings
from syncengine.engine.core.engine import Connection, calling, chunks
from syncengine.engine.steps import corrections
from syncengine.engine.steps.corrections import Correction
from syncengine.engine.steps.kept_docs import Kept
from syncengine.errors import Rejected
from syncengine.mapping.contract import Mapping as FlowMapping
from syncengine.mapping.contract import Reference


@dataclass
class Fetched:
    """What was read, as the systems gave it: documents by resource name and key."""

    at: datetime  # our clock, before the first read
    source_time: datetime  # the source's clock then
    docs: dict[str, dict[str, Doc]] = field(default_factory=dict)
    until: float = math.inf  # on the monotonic clock: no read begins after it, except for `first`
    first: str = ""  # key of a record that is always read completely, so that each step makes progress
    asked: dict[str, set[str]] = field(default_factory=dict)  # keys by resource, found or not
    corrections: Mapping[tuple[str, str], Correction] = field(default_factory=dict)  # by resource and key
    lookups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by name
    _references: dict[tuple[str, str], Sequence[Reference]] = field(default_factory=dict)
    _typed: dict[tuple[str, str], Doc] = field(default_factory=dict)

    def references(
        self, mapping: FlowMapping, resource: Resource, key: str, settings: Mapping[str, Any]
    ) -> Sequence[Reference]:
        """What a document that was read (and perhaps corrected) refers to, worked out once; nothing if it is invalid.

        Transform meets the same error and makes the record a dead letter.
        """
        place = (resource.name, key)
        if place not in self._references:
            try:
                doc = corrections.corrected(self.corrections.get(place), self.docs[resource.name][key])
                kept = self._typed.get(place)
                found = mapping.references(resource.load(doc) if kept is None else kept, settings, self.lookups)
            except Rejected:
                found = ()
            self._references[place] = tuple(found)
        return self._references[place]

    def typed(self, resource: Resource) -> Mapping[str, Doc]:
        """The valid documents that were read (and perhaps corrected), typed, by key."""
        for key, raw in self.docs.get(resource.name, {}).items():
            place = (resource.name, key)
            if place not in self._typed:
                try:
                    self._typed[place] = resource.load(corrections.corrected(self.corrections.get(place), raw))
                except Rejected:
                    continue  # its plan fails by itself
        return {key: doc for (name, key), doc in self._typed.items() if name == resource.name}

    def get(self, resource: str, key: str | None) -> Doc | None:
        """A document that was read; None if it was not, or does not exist."""
        return self.docs.get(resource, {}).get(key) if key is not None else None

    def read(self, connection: Connection, resource: Resource, by_record: Mapping[str, Iterable[str]]) -> None:
        """Read what has not been read yet, in as few calls as the resource allows. by_record: keys by record."""
        known, asked = self.docs.setdefault(resource.name, {}), self.asked.setdefault(resource.name, set())
        wanted = dict.fromkeys(key for keys in by_record.values() for key in sorted(keys) if key)
        missing = [key for key in wanted if key not in asked]
        for some in chunks(missing, resource.most_per_read):
            if clock.monotonic() > self.until and not set(some) & set(by_record.get(self.first, ())):
                return
            with calling(connection.endpoint(resource.name)):
                known |= resource.read(some)
            asked |= set(some)

    def take(self, kept: Kept) -> None:
        """Take over documents that were read before, so that they are not read again."""
        for name, docs in kept.docs.items():
            self.docs.setdefault(name, {}).update(docs)
            self.asked.setdefault(name, set()).update(docs)

    def mark(self, resource: Resource, revisions: Mapping[str, int]) -> None:
        """Mark the documents that have just been read with when that was, and for which revision (by key; 0: for none)."""
        ended, docs = clock.now(), self.docs.get(resource.name, {})
        for key, doc in docs.items():
            if readings.revision(doc) is None:
                docs[key] = readings.marked(doc, self.at, ended, revisions.get(key, 0))

    def lacks(self, resource: str, keys: Iterable[str]) -> bool:
        """Whether any of these keys was not read because the time ran out."""
        return not {key for key in keys if key} <= self.asked.get(resource, set())
