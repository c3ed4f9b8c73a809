"""The narrow face between the engine and a system: resources, the operations they are given, the outcomes they give back.

A connector is a package beside this file. It exports `connect(endpoint, services) -> Connector` and
`account_of(endpoint) -> Account`, declares its resources, and is found by its folder's name, which is the name of the system.
Nothing here knows a system.
"""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError

from syncengine import clock
from syncengine.document import Doc, fingerprint
from syncengine.errors import Misconfigured, Rejected, SyncError

Position = Mapping[str, Any]
"""How far a feed has been read: JSON-able, only the resource that made it understands it. `{}` is the very beginning."""


class Verb(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    CANCEL = "cancel"


class Safety(StrEnum):
    """What makes it safe to send a write of one verb again when nobody knows whether the first one took effect."""

    ENFORCED = "enforced"  # the target refuses a second one by its key
    SEARCH = "search"  # it can be found by a key or reference that the write carries
    ABSOLUTE = "absolute"  # setting the same value twice is harmless; a fetch shows whether it happened
    ASK = "ask"  # none of these: a person decides, never the machine


@dataclass(frozen=True, slots=True)
class Ref:
    """What a feed tells of one object: its key, a version that changes with it, and when it was last touched (UTC)."""

    key: str
    version: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a feed. `position` is where to go on after it; `source_time` the source's own clock (UTC) when it was read."""

    refs: Sequence[Ref]
    position: Position
    source_time: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A value before and after."""

    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line to add, change or remove: `field` names the list (`StockLine`), `key` is the source's key of the line.

    `number` is the target's own number of the line (None for a line to add); `line` is the whole wanted line
    (for a removal: the line as it stands in the target); `changes` what differs, by field.
    """

    field: str
    action: str  # add, change or remove
    key: str
    number: str | None
    line: Doc
    changes: Mapping[str, Change] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One write, decided by a plan.

    `doc` is the whole document as it is wanted after the write, in the resource's own field names; lines carry
    `document.LINE_KEY`. `key` is the target's key (None for a create); `natural_key` the value by which a create can be
    found again (`resource.find`); `token` is unique to this write and stays the same when it is sent again: resources that
    can leave a mark in the target write it there. `current` is the target's document as last read.
    """

    verb: Verb
    natural_key: str
    doc: Doc
    key: str | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    lines: Sequence[LineChange] = ()
    current: Doc | None = None
    reason: str = ""
    token: str = ""


class Result(StrEnum):
    DONE = "done"
    EXISTS = "exists"  # refused because an object of that key or reference is there already
    REJECTED = "rejected"  # `error` is a Rejected
    UNKNOWN = "unknown"  # sent, and nobody knows; `error` is an OutcomeUnknown
    RETRY = "retry"  # certainly not done, and may be done later; `error` says when


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one operation. `key` is the target's key after a DONE create; None if the answer did not tell it
    (then the engine asks `keys_of`, for many at once).

    `lines` maps our line keys to the target's line numbers, as far as the answer told them. `warnings` are shown,
    `attention` says why a person should look although all was written.
    """

    result: Result
    key: str | None = None
    lines: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    attention: str | None = None
    error: SyncError | None = None

    @classmethod
    def done(cls, key: str | None = None, **more: Any) -> Outcome:
        return cls(Result.DONE, key=key, **more)

    @classmethod
    def rejected(cls, error: Rejected) -> Outcome:
        return cls(Result.REJECTED, error=error)

    @classmethod
    def unknown(cls, error: SyncError) -> Outcome:
        return cls(Result.UNKNOWN, error=error)

    @classmethod
    def retry(cls, error: SyncError) -> Outcome:
        return cls(Result.RETRY, error=error)


class Resource(ABC):
    """One kind of object in one system. Instances belong to one endpoint and are made anew in each process.

    `read`, `find` and `changes` give documents **as the system gave them** (JSON-able, nothing converted), so that a bad
    one is stored whole and fails alone; `load` turns one into a typed document. All calls may raise Transient, Throttled,
    EndpointDown, SessionLost and AuthenticationFailed for the call as a whole; `write` reports everything that concerns one
    operation as its Outcome instead, and raises only when no operation of the batch can have been executed.
    """

    name: ClassVar[str]  # "syspro.sales_order"
    schema: ClassVar[type[Schema]]
    feeds: ClassVar[tuple[str, ...]] = ()
    safety: ClassVar[Mapping[Verb, Safety]] = {}
    most_per_read: int = 200  # keys that one `read` takes; 1 where each costs a call of its own
    most_per_write: int = 1
    most_per_look: int = 40  # keys that one `unchanged` takes
    most_per_find: int = 200  # natural keys that one `find` takes
    settle_s: float = 0.0  # how long after `sent_at` the target may still commit a write that its client gave up
    resolution_s: float = 1.0  # two edits closer than this may bear the same version
    search_lag_s: float = 60.0  # how late a change may appear in a feed
    identity: ClassVar[tuple[str, ...]] = ()
    """Fields in which an object that was found must equal what we meant to create, beside its lines, to be ours."""
    line_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """List fields that hold lines, each with the fields by which a line is recognised in the target."""

    @property
    def object_kind(self) -> str:
        """What its writes change, for resources that are views of one object (an order, and the notes of an order).

        Of one object (endpoint, kind and key) no two records write at once.
        """
        return self.name

    def calls(self, operation: Operation) -> Sequence[Operation]:
        """The operation as the calls that it takes, in their order; each is an effect of its own, and resumed by itself.

        A change may become several changes that together make the same ones. A create may be followed by changes, which the
        engine leaves out and plans again once the object is there. One call by default.
        """
        return [operation]

    def now(self) -> datetime:
        """The system's own clock (UTC), as far as it can be told; ours by default."""
        return clock.now()

    @abstractmethod
    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole objects by key, in bulk, read now; an object that the system does not have is absent."""

    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        """The keys whose objects still show what was read before (`pictures`: typed documents by key, as `load` gave them).

        Asked for at most `most_per_look` keys before changes are written that were planned some time ago; an object that is
        absent, or shows anything else that a plan may depend on, is not among them. Raises as `read` does. The default reads
        the objects anew; a resource whose reads are expensive compares by a cheaper call.
        """
        found = self.read(list(pictures))
        return {key for key, doc in found.items() if self._shows(doc, pictures[key])}

    def _shows(self, doc: Doc, picture: Doc) -> bool:
        try:
            return fingerprint(self.load(doc)) == fingerprint(picture)
        except Rejected:
            return False

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Pages of objects touched after `position`, oldest first; one may come twice, none is skipped.

        With an empty position the feed begins at `since` (UTC), or at the very beginning. Ends at the source's present.
        """
        raise LookupError(f"{self.name} has no feed {feed!r}")

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """Objects that carry a natural key or reference, whole and as `read` gives them, by natural key."""
        raise LookupError(f"{self.name} cannot be searched")

    def keys_of(self, natural_keys: Sequence[str]) -> dict[str, list[str]]:
        """The keys alone of live (not cancelled) objects that carry a natural key: for writes whose answer told no key."""
        return {natural: [self.key_of(doc) for doc in found] for natural, found in self.find(natural_keys).items()}

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Carry out at most `most_per_write` operations of one verb; one outcome each, in their order."""
        raise LookupError(f"{self.name} is read only")

    def load(self, doc: Doc) -> Doc:
        """The typed document: Decimals, aware times, unknown fields kept. Raises Rejected with field, value and remedy."""
        try:
            return dict(_made(self.schema).load(doc))
        except ValidationError as error:
            raise invalid(self.name, doc, error) from None

    def key_of(self, doc: Doc) -> str:
        """The system's key of a document that `read` or `find` gave."""
        raise LookupError(f"{self.name} does not say its keys")

    def canonical(self, doc: Doc) -> Doc:
        """A mapped document as this system would give it back: its widths, decimals, case, character set."""
        return doc

    def version(self, doc: Doc) -> str:
        """The same version as the feed's Ref would bear for this state of the object."""
        return ""

    def created_at(self, doc: Doc) -> datetime | None:
        """When the object came into being at the system (UTC), from the untyped document; None if it does not say."""
        return None

    def touched_at(self, doc: Doc) -> datetime | None:
        """When it was last changed (UTC), creation included; None if it does not say."""
        return None

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        """Why the system would not let this object (typed) be changed or cancelled any more; None if it would."""
        return None

    def worth(self, doc: Doc) -> tuple[str, Decimal] | None:
        """Currency and net value of a mapped document, for those who look before it is written; None if it has none."""
        return None

    def is_cancelled(self, doc: Doc) -> bool:
        """True if this object (typed) is already cancelled at the system."""
        return False


@functools.cache
def _made(schema: type[Schema]) -> Schema:
    """The one instance of a schema: making one copies all fields and those of its parts, which costs more than a load."""
    return schema()


def invalid(resource: str, doc: Doc, error: ValidationError) -> Rejected:
    """The first complaint of a schema as a Rejected that names field and value."""
    path: list[str] = []
    value: Any = doc
    messages: Any = error.messages
    while isinstance(messages, dict) and messages:
        name, messages = next(iter(messages.items()))
        path.append(str(name))
        if isinstance(value, list) and isinstance(name, int) and name < len(value):
            value = value[name]
        else:
            value = value.get(name) if isinstance(value, dict) else None
    reason = "; ".join(map(str, messages)) if isinstance(messages, list) else str(messages)
    return Rejected(
        field=".".join(path) or resource,
        value=value,
        reason=f"not valid in {resource}: {reason}",
        remedy="Correct it at the source and it will be fetched again",
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One account of a system, as a connector needs it: settings are plain values, secrets come from the vault by name."""

    id: int
    name: str
    system: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """Which account an endpoint's settings name. Keys of objects are unique within one account, and mean nothing in another.

    parts: what identifies it, by setting name; upper and lower case are the same. address: where it is called, see `address`;
    an account may move to another address, but never changes its parts.
    """

    parts: Mapping[str, str]
    address: str


def address(url: str) -> str:
    """HOST:PORT/PATH in one spelling: lower case, port explicit, without scheme, user and trailing slash. Never raises."""
    try:
        parts = urlsplit(url.strip().casefold())
        port = parts.port or (80 if parts.scheme == "http" else 443)
        return f"{parts.hostname or ''}:{port}{parts.path.rstrip('/')}"
    except ValueError:  # no URL at all; the connector refuses it
        return url


class Connector(ABC):
    """All that speaks to one endpoint, in one process."""

    system: ClassVar[str]
    resources: Mapping[str, Resource]
    concurrency: int = 1  # calls that the endpoint takes at a time
    longest_call_s: float = 0.0  # its connect and read time-outs together; a lease must outlast them

    @abstractmethod
    def check(self) -> str:
        """Prove that address and credentials work; one line that says what was reached. Raises Misconfigured or a SyncError."""

    def consent_url(self, state: str) -> str:
        """Where a person agrees that this app may use the account; `state` comes back with the code. Makes no call.

        Raises Misconfigured where there is nothing to agree to, or a setting for it is missing.
        """
        raise self._no_consent()

    def trade(self, code: str) -> None:
        """Trade the code that came of a person's consent for credentials, and store them.

        Raises AuthenticationFailed if it is refused, Misconfigured, Transient, EndpointDown.
        """
        raise self._no_consent()

    def _no_consent(self) -> Misconfigured:
        return Misconfigured(
            f"{self.system} has nothing to authorise: its credentials are the secrets in syncengine.yml,"
            " which `syncengine configure` takes over"
        )

    def quota(self) -> str:
        """One line on what is left of the quota, without a call; empty where nothing is counted."""
        return ""

    def wait_s(self) -> float:
        """Seconds that one more call of the low lanes would wait for the quota; 0.0 where nothing is counted or known."""
        return 0.0

    def calls_a_minute(self) -> float | None:
        """How many calls the system admits in a minute; None where only its own speed bounds them."""
        return None

    def close(self) -> None:
        """Give back what the other side counts (sessions, licences)."""
