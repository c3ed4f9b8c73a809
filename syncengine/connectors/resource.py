"""What an implementer writes for one kind of object: a `Source` if it is only read, a `Resource` if it is written too.

docs/new-entity.md shows both, step by step. Nothing here knows a system.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from syncengine import clock
from syncengine.connectors.operations import LineChange, Operation, Outcome, Safety, SentWrite, Verb
from syncengine.connectors.searchable import NameKind
from syncengine.document import Doc, fingerprint
from syncengine.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from marshmallow import Schema

Position = Mapping[str, Any]
"""How far a feed has been read: JSON-able, only the resource that made it understands it. `{}` is the very beginning."""

MAKE_IT_A_TARGET = "Name a resource that can be written, or make its class a Resource with write (docs/new-entity.md)"
"""What to do about a flow that writes a Source."""


@dataclass(frozen=True, slots=True)
class Ref:
    """What a feed says about one object: its key, a version that changes with it, and when it was last touched (UTC).

    urgency: above 0 it overtakes the others, the higher the sooner, and is synced in real time.
    """

    key: str
    version: str
    at: datetime | None = None
    urgency: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement that a feed tells of: the signed effect on the level of one item at one place.

    ref: its own name, unique in the account. note: the document behind it, as `Outcome.note` names it. item: the key of a
    level. correction: it was made in this system alone, so nothing brings it to the other one. at: UTC, by the system's clock.
    """

    ref: str
    note: str
    kind: str
    item: str
    place: str
    quantity: Decimal
    at: datetime
    correction: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a feed. `position` is where the next page begins; `source_time` the source's clock (UTC) at the read.

    docs: whole documents by key, as `Source.read` would give them, of as many refs as the page happens to have read.
    movements: those that the page tells of, where the feed is one of movements.
    """

    refs: Sequence[Ref]
    position: Position
    source_time: datetime
    docs: Mapping[str, Doc] = field(default_factory=dict)
    movements: Sequence[Moved] = ()


class Source(ABC):
    """One kind of object in one system, as it is read. Instances belong to one endpoint; each process makes its own.

    Must be given: `name`, `schema`, `read`, `key_of`.
    Must be given if flows read it by a feed: `feeds`, `changes`, `version`, `touched_at`; without them it is read by key.
    May be left out: all else. Each member says what its default means.

    `read` and `changes` give documents **as the system gave them** (JSON-able, nothing converted), so that a bad one is
    stored whole and fails alone; `load` turns one into a typed document. All calls may raise Transient, Throttled,
    EndpointDown, SessionLost and AuthenticationFailed for the call as a whole, Forbidden, Rejected and Misconfigured for a
    call that would be refused again.
    """

    name: ClassVar[str]
    """The system's folder and the kind of object: `syspro.sales_order`. Flows use this name."""
    schema: ClassVar[type[Schema]]
    """The fields that mappings may name, and their types; unknown fields should be kept."""
    searchable: ClassVar[Mapping[str, NameKind]] = {}
    """The fields by which people look an object up beside its key, as paths into a document that `read` gave:
    `reference`, `orderRows.*.productSku` (`*`: every row). The most identifying first. Default: none."""
    feeds: ClassVar[Collection[str]] = ()
    """Names of the feeds that `changes` reads, all of which a flow reads by default. Default: none."""
    events: ClassVar[Collection[str]] = ()
    """Names of the events by which the system tells that objects of this kind may have changed: `order.modified`, with all
    events under it. Their ids are keys of this kind. Which of them can be subscribed is for the connector to say
    (`Connector.subscribable`). Default: none, so that flows only read its feeds."""
    most_per_read: int = 200
    """Keys that one `read` takes; 1 where each costs a call of its own."""
    resolution_s: float = 1.0
    """Seconds: two edits closer than this may have the same version."""
    search_lag_s: float = 60.0
    """Seconds: how late a change may appear in a feed."""
    has_pages: ClassVar[bool] = False
    """Whether `pages` reads all objects. A sweep then goes by it. Default: a sweep reads the objects by their keys."""
    misses_changes: ClassVar[bool] = False
    """Whether a change may appear in no feed at all. Flows then read what is not closed again, every `sweep` of their file,
    and compare it with what was read before. Default: every change appears."""
    required_fields: ClassVar[Collection[str]] = ()
    """Paths of fields (`StockLine.Price`) that every document has, or that a new object of a target needs, for people who
    write flows. Nothing is checked by it. Default: none."""
    field_notes: ClassVar[Mapping[str, str]] = {}
    """What the names of fields do not say, by path, for `syncengine fields`. Default: nothing."""

    @classmethod
    def lengths(cls) -> Mapping[str, str]:
        """Lengths of fields by path: characters (`30`), or digits before and after the point (`10.5`). Default: unknown."""
        return {}

    @abstractmethod
    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole objects by key, in bulk, read now; an object that the system does not have is absent."""

    @abstractmethod
    def key_of(self, doc: Doc) -> str:
        """The system's key of a document that `read` or `find` gave."""

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Pages of objects touched after `position`, oldest first; one may come twice, none is skipped.

        With an empty position the feed begins at `since` (UTC), or at the very beginning. Ends at the source's present.
        Default: LookupError, there is no feed.
        """
        raise LookupError(f"{self.name} has no feed {feed!r}")

    def newest(self, position: Position) -> Position:
        """The position for a reading of what is new alone, without what feeds may report late and other readings find.

        Default: the position as it is.
        """
        return position

    def pages(self, position: Position) -> Iterator[Page]:
        """All objects behind `position` (`{}`: from the first), with documents; the version of a ref is its fingerprint.

        Default: LookupError, they cannot be listed.
        """
        raise LookupError(f"{self.name} cannot be listed")

    def read_between(self, doc: Doc) -> tuple[datetime, datetime] | None:
        """Two times of the system's clock (UTC) between which a document, typed or not, was as it is.

        Default: None, between the request and the answer by our clock.
        """
        return None

    def load(self, doc: Doc) -> Doc:
        """The typed document: Decimals, aware times, unknown fields kept. Raises Rejected with field, value and remedy.

        Default: by `schema`.
        """
        from syncengine.connectors.schema_loading import load

        return load(self.schema, doc, of=self.name)

    def version(self, doc: Doc) -> str:
        """The same version as the feed's Ref has for this state of the object. Default: empty, every read is a new state."""
        return ""

    def created_at(self, doc: Doc) -> datetime | None:
        """When the object came into being at the system (UTC), from the untyped document. Default: None, it does not say."""
        return None

    def touched_at(self, doc: Doc) -> datetime | None:
        """When it was last changed (UTC), creation included. Default: None, it does not say."""
        return None

    def is_closed(self, doc: Doc) -> bool:
        """Whether nobody can change this object (untyped) any more, so that a sweep leaves it out. Default: somebody can."""
        return False

    def now(self) -> datetime:
        """The system's own clock (UTC), as far as it is known. Default: ours."""
        return clock.now()


class Target(ABC):
    """One kind of object in one system, as it is written. A class that is written is a `Resource`: it is read as well.

    Must be given: `write`, and `safety` for each verb that it writes, create and change at least.
    Must be given where `safety` says SEARCH or ENFORCED for a create: `find`, and `identity` or `line_fields`.
    May be left out: all else. Each member says what its default means.
    """

    name: ClassVar[str]
    """As in `Source`."""
    safety: ClassVar[Mapping[Verb, Safety]] = {}
    """Why each verb may be sent again. A verb that is left out is not written: without cancel, people cancel by hand."""
    most_per_write: int = 1
    """Operations that one `write` takes."""
    most_per_look: int = 40
    """Keys that one `unchanged` takes."""
    most_per_find: int = 200
    """Natural keys that one `find` takes."""
    settle_s: float = 0.0
    """Seconds after a write was sent in which the target may still carry it out although its client gave up. Default:
    none, an unanswered write is looked up at once."""
    identity: ClassVar[tuple[str, ...]] = ()
    """Fields in which an object that was found must equal what we meant to create, beside its lines, to be ours."""
    line_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """List fields that hold lines, each with the fields by which a line is recognised in the target. Default: none, lists
    are values like any other."""

    @property
    @abstractmethod
    def object_kind(self) -> str:
        """What its writes change, for resources that are views of one object (an order, and the notes of an order).

        No two records write one object (endpoint, kind and key) at the same time. Default of a Resource: its name.
        """

    @abstractmethod
    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Carry out at most `most_per_write` operations of one verb; one outcome each, in their order.

        What concerns one operation is its Outcome. Raises (as `Source` says) only if none of them can have been executed.
        """

    def calls(self, operation: Operation) -> Sequence[Operation]:
        """The operation as the calls that it takes, in their order; each is an effect of its own, and resumed by itself.

        A change may become several changes that together make the same ones. A create may be followed by changes, which the
        engine leaves out and plans again once the object is there. Default: one call.
        """
        return [operation]

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """Objects that have a natural key or reference, whole and as `read` gives them, by natural key.

        Default: LookupError, they cannot be searched.
        """
        raise LookupError(f"{self.name} cannot be searched")

    @abstractmethod
    def keys_of(self, natural_keys: Sequence[str]) -> dict[str, list[str]]:
        """The keys alone of live (not cancelled) objects that have a natural key: for writes whose answer gave no key.

        Default of a Resource: by `find`.
        """

    def took_effect(self, writes: Sequence[SentWrite]) -> dict[str, bool | None]:
        """By token, whether changes of unknown outcome took effect; None where what the system shows is contradictory.

        Asked after the settle time, for resources whose `safety` says SEARCH for a change. Raises as `read` does.
        Default: LookupError, they cannot be searched.
        """
        raise LookupError(f"{self.name} cannot search for changes")

    @abstractmethod
    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        """The keys whose objects still show what was read before (`pictures`: typed documents by key, as `load` gave them).

        Asked for at most `most_per_look` keys before changes are written that were planned some time ago; an object that is
        absent, or shows anything else that a plan may depend on, is not among them. Raises as `read` does. Default of a
        Resource: it reads the objects again; where reads are expensive, compare by a cheaper call.
        """

    def after(self, doc: Doc, operation: Operation) -> Doc:
        """The untyped document as it is after a change that took effect, of resources whose levels flows set.

        Default: LookupError, it must be read again.
        """
        raise LookupError(f"{self.name} must be read again after a change")

    def canonical(self, doc: Doc) -> Doc:
        """A mapped document as this system would give it back: its widths, decimals, case, character set.

        Default: the document as it is.
        """
        return doc

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        """Why the system would not let this object (typed) be changed or cancelled any more. Default: None, it would."""
        return None

    def objection(self, operation: Operation) -> str | None:
        """Why a person must decide before this is written, with field, value and remedy: text that the system could not
        keep, for example. `operation` has a canonical document. The plan is held, and written once it is approved.

        Default: None, nothing speaks against it.
        """
        return None

    def least_level(self, line: Doc) -> Decimal:
        """The lowest number to which a flow that sets levels may change a line (typed), whose rest is held back.

        Default: 0.
        """
        return Decimal(0)

    def is_cancelled(self, doc: Doc) -> bool:
        """True if this object (typed) is already cancelled at the system. Default: it never is."""
        return False

    def worth(self, doc: Doc) -> tuple[str, Decimal] | None:
        """Currency and net value of a mapped document, for people who check it before it is written.

        Default: None, it has none.
        """
        return None

    def worth_of_line(self, line: LineChange) -> tuple[str, Decimal] | None:
        """Currency and value of what a change of a line adds (below 0: takes away), for people; of a level, for example.

        Default: None, it has none.
        """
        return None


class Resource(Target, Source):
    """One kind of object in one system, read and written: what the engine works with.

    Must be given: what `Source` and `Target` ask for. A `Source` alone becomes one that refuses every write (`bound`).
    """

    @property
    def object_kind(self) -> str:
        """Its own name; see `Target.object_kind`."""
        return self.name

    def keys_of(self, natural_keys: Sequence[str]) -> dict[str, list[str]]:
        """By `find`; see `Target.keys_of`."""
        return {natural: [self.key_of(doc) for doc in found] for natural, found in self.find(natural_keys).items()}

    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        """By `read`; see `Target.unchanged`."""
        found = self.read(list(pictures))
        return {key for key, doc in found.items() if self._shows(doc, pictures[key])}

    def _shows(self, doc: Doc, picture: Doc) -> bool:
        try:
            return fingerprint(self.load(doc)) == fingerprint(picture)
        except Rejected:
            return False


class _ReadOnly(Resource):
    """The half that a Source alone lacks. The loader of flows refuses such a target, so no write comes here by a flow."""

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        raise Misconfigured(f"{self.name} is read-only. {MAKE_IT_A_TARGET}")


S = TypeVar("S", bound=Source)


def registered(package: str, of: type[S], *paths: str) -> tuple[type[S], ...]:
    """The resource classes of a system, from their one line each in its `resources/__init__.py`.

    Args:
        package: the name of the `resources` package.
        of: the class that all of them derive from.
        paths: `supplier.Supplier` for the class Supplier in the package's module supplier.

    Raises:
        ImportError, AttributeError: there is no such module or class.
        TypeError: the class does not derive from `of`.
    """
    kinds: list[type[S]] = []
    for path in paths:
        module, _, name = path.rpartition(".")
        kind = getattr(import_module(f"{package}.{module}"), name)
        if not (isinstance(kind, type) and issubclass(kind, of)):
            raise TypeError(f"{package}: {path} is not a {of.__name__}. Derive the class from {of.__name__}")
        kinds.append(kind)
    return tuple(kinds)


def bound(kinds: Iterable[type[Source]], *parts: object) -> dict[str, Resource]:
    """An instance of each resource class by its name, made with `parts` (a gateway, settings).

    A Source alone becomes a Resource that refuses every write.
    """
    return {kind.name: _whole(kind)(*parts) for kind in kinds}


@functools.cache
def _whole(kind: type[Source]) -> type[Resource]:
    if issubclass(kind, Resource):
        return kind
    made = type(kind.__name__, (kind, _ReadOnly), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    return cast("type[Resource]", made)
