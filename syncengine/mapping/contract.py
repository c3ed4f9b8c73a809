"""The interface between engine and mapping, and the data they share. Pure: no clock, no session, no network."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from syncengine.document import Doc

TARGET_LINES = "target_lines"
"""The table that a flow which compares has by itself: the target's line numbers by the keys of the lines written there."""


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """Another document, of either system, that the mapping of a document reads."""

    resource: str
    key: str


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """An object that must be linked first (`entity`, `key`, `part`), or a lookup entry that must exist first.

    flow: the flow that makes the link. For a lookup entry it is empty, `entity` is `lookup:NAME` and `key` the entry.
    """

    entity: str
    key: str
    part: str = ""
    flow: str = ""


@dataclass(frozen=True, slots=True)
class KnownLinks:
    """Objects of the source's system of which a mapping wants to know whether they are linked, without waiting for it.

    table: the lookup table in which it finds the other side's keys by these. entity: of the links.
    """

    table: str
    entity: str
    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Context:
    """Everything besides the document itself that a plan may use. Plain data, stored with the plan.

    references: typed documents by resource name and key. links: the other side's key by need. lookups: the connection's
    lookup tables by name. settings: the connection's settings. parts: parts that other records need.
    """

    references: Map[str, Map[str, Doc]] = field(default_factory=dict)
    links: Map[Need, str] = field(default_factory=dict)
    lookups: Map[str, Map[str, str]] = field(default_factory=dict)
    settings: Map[str, Any] = field(default_factory=dict)
    parts: Sequence[str] = ()
    found: Doc = field(default_factory=dict)  # the target's document, in flows that compare or set levels
    tallied: Map[str, Decimal] = field(default_factory=dict)  # by place: what is in transit between the two systems


class RuleVerdict(StrEnum):
    """What a rule decides about a document."""

    GO = "go"
    SKIP = "skip"
    HOLD = "hold"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """The verdict of the first rule that applies to a document, and that rule's reason."""

    verdict: RuleVerdict = RuleVerdict.GO
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a check has found in a mapped document that is valid nevertheless.

    holds: a person decides before anything is written; otherwise a person is informed. name: the same for all documents that
    this check remarks on. reason, field, value, expected, remedy: for people; value and expected are the two figures.
    """

    holds: bool
    name: str
    reason: str
    field: str = ""
    value: str = ""
    expected: str = ""
    remedy: str = ""

    @property
    def figures(self) -> str:
        """Both figures as one text."""
        return f"{self.value}; expected {self.expected}" if self.expected else self.value


@dataclass(frozen=True, slots=True)
class DifferenceText:
    """What a flow that compares says of a field that differs."""

    reason: str = "the target differs from what it should be"
    remedy: str = "Correct it in the target, or close this if it is right as it is"


class Policy(StrEnum):
    """What happens to a field of a linked object after somebody has changed it in the target."""

    SOURCE = "source"  # the change stays until the source changes the field too; then the source's value is written
    ENFORCE = "enforce"  # the source's value is restored whenever the object is planned
    ON_CREATE = "on_create"  # written when the object is created, never afterwards
    HOLD = "hold"  # the change stays until the source changes the field too; then a person decides
    NEWEST = "newest"  # the side that was changed last wins, if both sides have a time stamp
    LEFT = "left"  # in a two-way flow the left side is the master; in a one-way flow the same as `enforce`
    RIGHT = "right"  # in a two-way flow the right side is the master


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields of a two-way flow that change together: their names on each side, and the policy they share."""

    name: str
    right: tuple[str, ...]
    left: tuple[str, ...]
    policy: Policy


class MissingLookup(Exception):
    """`apply` needs a link, or an entry of a lookup with `miss: wait`, that does not exist yet."""

    def __init__(self, need: Need) -> None:
        self.need = need
        super().__init__(f"{need.entity} has no entry {need.key!r}")


class Mapping(Protocol):
    """Maps documents of one system to documents of the other. All documents are typed (`Resource.load`)."""

    @property
    def version(self) -> str:
        """A fingerprint of the mapping's content."""

    def references(
        self,
        doc: Doc,
        settings: Map[str, Any] | None = None,
        lookups: Map[str, Map[str, str]] | None = None,
    ) -> Sequence[Reference]:
        """The documents that must be read along with this one. Raises Rejected if the document does not determine them.

        settings, lookups: the connection's, as in a context; some references are read only if a setting asks for them.
        """

    @property
    def has_known_links(self) -> bool:
        """Whether `known_links` may name anything."""

    def known_links(
        self, doc: Doc, settings: Map[str, Any] | None = None, lookups: Map[str, Map[str, str]] | None = None
    ) -> Sequence[KnownLinks]:
        """The objects whose links the mapping looks up where they exist. Arguments and errors: as `references`."""

    def key_to_find(
        self, doc: Doc, settings: Map[str, Any] | None = None, lookups: Map[str, Map[str, str]] | None = None
    ) -> str:
        """The natural key of the target's existing object; empty if it has none. Arguments and errors: as `references`."""

    def decide(self, doc: Doc, context: Context) -> RuleDecision:
        """The decision of the first rule that applies. Raises Rejected."""

    def needs(self, doc: Doc, context: Context) -> Sequence[Need]:
        """The links and lookup entries that must exist before `apply` can succeed. Raises Rejected."""

    def apply(self, doc: Doc, context: Context) -> Map[str, Doc]:
        """The mapped documents by part (`""` if there is only one); lines have a `document.LINE_KEY`.

        Raises Rejected with field, value, reason and remedy, or MissingLookup.
        """

    def remarks(self, doc: Doc, context: Context, mapped: Map[str, Doc]) -> Sequence[Remark]:
        """What the checks that neither pass nor reject have found, for `mapped`, the result of `apply`. Raises Rejected."""

    def named_values(self, doc: Doc, context: Context) -> Map[str, Map[str, Any]]:
        """The named values for people who ask how a figure comes about: of the document under "", else by the key of a line.

        What cannot be computed is left out. Raises Rejected.
        """

    def difference_text(self, name: str) -> DifferenceText:
        """What to say of a field that differs, in a flow that compares. `StockLine.Price` names a field of its lines."""

    @property
    def has_parts(self) -> bool:
        """Whether a document is mapped to several named parts. Otherwise its only part is `""`."""

    def parts_of(self, doc: Doc, context: Context) -> Sequence[str]:
        """The parts that `apply` would yield. Raises Rejected or MissingLookup."""

    def policy(self, field: str) -> Policy:
        """The policy of a field of the mapped document. `StockLine.Price` names a field of its lines."""

    def natural_key(self, mapped: Doc) -> str:
        """The value that identifies the mapped document in the target. Raises Rejected if it is empty."""
