"""What all resources of Brightpearl have in common: bulk reads by id sets, feeds by time and id, versions by `updatedOn`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from syncengine.connectors import base
from syncengine.connectors.base import Page, Position
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.feed import Feed
from syncengine.connectors.brightpearl.gateway import Gateway
from syncengine.document import Doc

FEED_COLUMNS = {"updated": "updatedOn", "created": "createdOn"}


class Resource(base.Resource):
    """A kind of object that is read by id and, if it has a `search`, found by its times."""

    path: ClassVar[str]
    """`order-service/order`; id sets go behind it."""

    id_field: ClassVar[str] = "id"
    """Where a document has its id."""

    search: ClassVar[str] = ""
    """`order-service/order-search`."""

    id_column: ClassVar[str] = ""
    filters: ClassVar[Mapping[str, str]] = {}

    resolution_s = 1.0  # recorded times all end in `.000` (section 3.1)

    def __init__(self, gateway: Gateway) -> None:
        kind = self.name.partition(".")[2]
        self.gateway = gateway
        self.most_per_read = gateway.account.most_per_read[kind]
        self.search_lag_s = gateway.account.lag.total_seconds()
        self._optional = gateway.account.optional[kind]

    def now(self) -> datetime:
        """Brightpearl's clock, by its latest answer."""
        return self.gateway.now()

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Pages of what was touched after `position`, oldest first, to Brightpearl's present (see `feed`).

        Raises LookupError for a feed that the resource does not have; else as `Gateway.call`.
        """
        if feed not in self.feeds:
            raise LookupError(f"{self.name} has no feed {feed!r}; it has {', '.join(self.feeds) or 'none'}")
        reader = Feed(self.gateway, self.search, FEED_COLUMNS[feed], self.id_column, self.filters)
        return reader.pages(position, since)

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole objects by id; one that Brightpearl does not know is absent.

        A document whose own id is not the one that was asked for, or not one alone, is found out by asking for each by itself,
        and then given with an id that its schema refuses.
        """
        found = self.gateway.objects(self.path, keys, most=self.most_per_read, query=self.query())
        mine = [doc for doc in found if isinstance(doc, dict) and self.is_mine(doc)]
        asked, ids = set(keys), Counter(str(doc.get(self.id_field)) for doc in mine)
        by_key = {key: doc for doc in mine if ids[key := str(doc.get(self.id_field))] == 1 and key in asked}
        missing = [key for key in keys if key not in by_key]
        if len(by_key) == len(mine) or not missing:
            return by_key
        if len(keys) > 1:
            return {**by_key, **{key: doc for one in missing for key, doc in self.read([one]).items()}}
        return {keys[0]: {**mine[0], self.id_field: f"{mine[0].get(self.id_field)!r:.40} in answer to {keys[0]}"}}

    def query(self) -> str:
        """The query of a read, with its `?`."""
        return f"?includeOptional={','.join(self._optional)}" if self._optional else ""

    def is_mine(self, doc: Doc) -> bool:  # noqa: ARG002
        """Whether a document that was read is one of this kind."""
        return True

    def key_of(self, doc: Doc) -> str:
        """The id, as text."""
        return str(doc[self.id_field])

    def version(self, doc: Doc) -> str:
        """`updatedOn`, else `createdOn`, in UTC; the same as of the object's row in a search."""
        return times.version(doc)

    def created_at(self, doc: Doc) -> datetime | None:
        """`createdOn` in UTC."""
        return times.created_at(doc)

    def touched_at(self, doc: Doc) -> datetime | None:
        """`updatedOn`, else `createdOn`, in UTC."""
        return times.touched_at(doc)
