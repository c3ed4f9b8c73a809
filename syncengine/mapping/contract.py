"""What the engine asks of a mapping, and the data that both share. All is pure: no clock, no session, no network."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from syncengine.document import Doc


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """Another document of the source's system that a document refers to, to be read for its mapping."""

    resource: str
    key: str


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """An object that must be linked first (`entity`, `key`, `part`), or an entry that a lookup table must have first.

    `flow` is the flow that brings it; for a lookup it is empty, `entity` is `lookup:NAME` and `key` the missing entry.
    """

    entity: str
    key: str
    part: str = ""
    flow: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything beside the document itself that a plan may look at. Plain data, stored with the plan.

    references: typed documents that were read, by resource name and key. links: the other side's key by need;
    lookups: tables of the connection by name; settings: the connection's; parts: parts asked for by other records.
    """

    references: Map[str, Map[str, Doc]] = field(default_factory=dict)
    links: Map[Need, str] = field(default_factory=dict)
    lookups: Map[str, Map[str, str]] = field(default_factory=dict)
    settings: Map[str, Any] = field(default_factory=dict)
    parts: Sequence[str] = ()


class RuleVerdict(StrEnum):
    GO = "go"
    SKIP = "skip"
    HOLD = "hold"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """What the rules of a flow say of a document: the first that applies, with its reason."""

    verdict: RuleVerdict = RuleVerdict.GO
    reason: str = ""


class Policy(StrEnum):
    """What happens to a field of a linked object that the target's people have changed."""

    SOURCE = "source"  # it stays until the source changes it too; then the source's value is written
    ENFORCE = "enforce"  # the source's value is written back whenever the object is planned
    ON_CREATE = "on_create"  # written when the object is created, never after
    HOLD = "hold"  # it stays until the source changes it too; then a person decides
    NEWEST = "newest"  # changed on both sides: the side that was touched last, where both sides have a time stamp
    LEFT = "left"  # in a two-way pair: the left side is the master; in a one-way flow as `enforce`
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields of a two-way pair that change together: their names on either side, and who is the master."""

    name: str
    right: tuple[str, ...]
    left: tuple[str, ...]
    policy: Policy


class MissingLookup(Exception):
    """`apply` met a lookup whose entry is missing and whose miss says `wait`."""

    def __init__(self, need: Need) -> None:
        self.need = need
        super().__init__(f"{need.entity} has no entry {need.key!r}")


class Mapping(Protocol):
    """How one system's document becomes the other's. Documents given and returned are typed (`Resource.load`)."""

    @property
    def version(self) -> str:
        """Changes with the content."""

    def references(self, doc: Doc, settings: Map[str, Any] | None = None) -> Sequence[Reference]:
        """What must be read beside the document. Raises Rejected if the document does not allow to tell.

        `settings` are the connection's, as in a context: some references are read only where a setting asks for them.
        """

    def decide(self, doc: Doc, context: Context) -> RuleDecision:
        """The rules. Raises Rejected."""

    def needs(self, doc: Doc, context: Context) -> Sequence[Need]:
        """What must be linked before `apply` can succeed. Raises Rejected."""

    def apply(self, doc: Doc, context: Context) -> Map[str, Doc]:
        """The mapped documents by part (`""` where there is but one); lines carry `document.LINE_KEY`.

        Raises Rejected with field, value, reason and remedy, or MissingLookup.
        """

    @property
    def has_parts(self) -> bool:
        """Whether a document is mapped to parts with names; else it is one whole, the part `""`."""

    def parts_of(self, doc: Doc, context: Context) -> Sequence[str]:
        """The parts that `apply` would yield. Raises Rejected or MissingLookup."""

    def policy(self, field: str) -> Policy:
        """The policy of a field of the mapped document; `StockLine.Price` for a field of its lines."""

    def natural_key(self, mapped: Doc) -> str:
        """The value by which the mapped document can be found in the target."""
