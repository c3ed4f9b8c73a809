"""What all Brightpearl objects have in common: bulk reads by id sets, feeds by time and id, versions by their times.

A resource class declares what differs: limits, columns, the shape of an answer. docs/new-entity.md shows one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from syncengine.connectors import base
from syncengine.connectors.base import Moved, Page, Position
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.answers import Shape
from syncengine.document import Doc

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway


class BrightpearlSource(base.Source):
    """A kind of object that is read by id and, if it has a `search`, found by its times.

    Must be given: `name`, `schema`, `path`; for feeds also `search`, `id_column` and `feeds`.
    """

    path: ClassVar[str]
    """Where it is read, behind the account's prefix: `order-service/order`; id sets are appended."""

    answer: ClassVar[Shape] = Shape.LIST
    """How an answer holds the objects. Default: as a list."""

    id_field: ClassVar[str] = "id"
    """The field of a document that is its id. Where the answer is keyed by id and a document has none, it is added."""

    most_per_read: int = 200
    """Objects per GET, unless the endpoint's setting KIND_per_read says otherwise. Default: what most of them allow."""

    search: ClassVar[str] = ""
    """`order-service/order-search`. Default: there is none, so no feeds."""

    id_column: ClassVar[str] = ""
    """The search's column of the id."""

    key_column: ClassVar[str] = ""
    """The search's column of the object's id, where its rows are about other objects: a movement's product. Default: the
    rows are the objects."""

    more_columns: ClassVar[Sequence[str]] = ()
    """Further columns of the search that `movement_reader` needs. Default: none."""

    filters: ClassVar[Mapping[str, str]] = {}
    """Filters that each search has, by column. Default: none."""

    feeds: ClassVar[Mapping[str, str]] = {}
    """The search's column of time that each feed follows: `{"updated": "updatedOn"}`. Default: no feeds."""

    touched: ClassVar[Mapping[str, str]] = {"updatedOn": "updatedOn", "createdOn": "createdOn"}
    """The search's columns that say when an object was last touched, latest first, each with the path of the same time in a
    document (`{"shippedOn": "status.shippedOn"}`). The first that is set is the object's version. Each search asks for
    them, so name no column that it does not have. Default: those of most searches."""

    created: ClassVar[str] = "createdOn"
    """The path of the time of creation in a document. Default: that of most documents."""

    resolution_s = 1.0  # recorded times of creations and edits all end in `.000` (sections 3.1 and 14.8)

    def __init__(self, gateway: Gateway) -> None:
        kind = self.name.partition(".")[2]
        self.gateway = gateway
        self.most_per_read = gateway.account.most_per_read.get(kind, self.most_per_read)
        self.search_lag_s = gateway.account.lag.total_seconds()
        self._optional = gateway.account.optional.get(kind, ())

    def now(self) -> datetime:
        """Brightpearl's clock, by its latest answer."""
        return self.gateway.now()

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Pages of what was touched after `position`, oldest first, to Brightpearl's present (see `feed`).

        Raises LookupError for a feed that the resource does not have; else as `Gateway.call`.
        """
        if feed not in self.feeds:
            raise LookupError(f"{self.name} has no feed {feed!r}; it has {', '.join(self.feeds) or 'none'}")
        from syncengine.connectors.brightpearl.feed import (
            Feed,  # with it comes the HTTP client, which schemas do not need
        )

        columns = self.feeds[feed], self.id_column, self.filters, tuple(self.touched), self.key_column
        reader = Feed(self.gateway, self.search, *columns, self.more_columns, self.movement_reader())
        return reader.pages(position, since)

    def movement_reader(self) -> Callable[[Mapping[str, Any]], Moved] | None:
        """What reads a movement from a row of the search, where its rows are movements. Default: None, they are not."""
        return None

    def newest(self, position: Position) -> Position:
        """Without the overlap of two readings."""
        return {**position, "newest": True} if position else position

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole objects by id; one that Brightpearl does not know is absent.

        If an answer holds an object that was not asked for, or one id twice, each missing key is read alone. A document
        that then still has another id gets an id that its schema refuses.
        """
        found = self.gateway.objects(
            self.path,
            keys,
            most=self.most_per_read,
            query=self.query(),
            shape=self.answer,
            id_field=self.id_field,
            normalised=self.normalised,
        )
        mine = [doc for doc in found if self.is_mine(doc)]
        asked, ids = set(keys), Counter(str(doc.get(self.id_field)) for doc in mine)
        by_key = {key: doc for doc in mine if ids[key := str(doc.get(self.id_field))] == 1 and key in asked}
        missing = [key for key in keys if key not in by_key]
        if len(by_key) == len(mine) or not missing:
            return by_key
        if len(keys) > 1:
            alone = (self.read([key]) for key in missing)
            return {**by_key, **{key: doc for found in alone for key, doc in found.items()}}
        return {keys[0]: {**mine[0], self.id_field: f"{mine[0].get(self.id_field)!r:.40} in answer to {keys[0]}"}}

    def query(self) -> str:
        """The query of a read, with its `?`."""
        return f"?includeOptional={','.join(self._optional)}" if self._optional else ""

    def normalised(self, doc: Doc, answered_at: datetime) -> Doc:  # noqa: ARG002
        """A document without what only the read itself has put into it, so that an unchanged object is read as the same.

        Args:
            answered_at: Brightpearl's clock (UTC, whole seconds) at the answer.

        Default: the document as it is.
        """
        return doc

    def is_mine(self, doc: Doc) -> bool:  # noqa: ARG002
        """Whether a document that was read is one of this kind. Default: it is."""
        return True

    def key_of(self, doc: Doc) -> str:
        """The id, as text."""
        return str(doc[self.id_field])

    def version(self, doc: Doc) -> str:
        """The latest of `touched` in UTC; the same as of the object's row in a search."""
        return times.version(doc, tuple(self.touched.values()))

    def created_at(self, doc: Doc) -> datetime | None:
        """The time of creation in UTC."""
        return times.lenient(times.at(doc, self.created))

    def touched_at(self, doc: Doc) -> datetime | None:
        """The latest of `touched` in UTC."""
        return times.latest(doc, tuple(self.touched.values()))
