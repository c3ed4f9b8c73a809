"""How a flow names its records: by the source's key, or by side and key where a record may start from either side. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from syncengine.flows.flow import FlowHead

SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Ends:
    """The keys of a link on either side; None where it has none yet."""

    left: str | None
    right: str | None

    @property
    def side(self) -> str:
        """The side of the record's own object."""
        return "left" if self.left is not None else "right"

    def on(self, side: str) -> str | None:
        """Return the key on `side`, "left" or "right"; None if there is none yet."""
        return self.left if side == "left" else self.right


def _end(side: str, key: str) -> Ends:
    return Ends(left=key if side == "left" else None, right=key if side == "right" else None)


@dataclass(frozen=True, slots=True)
class RecordKeys(ABC):
    """The names of a flow's records. owner: the side whose object a linked record is named after."""

    owner: str

    @property
    @abstractmethod
    def name_their_side(self) -> bool:
        """Whether a key names its side (`left:310`)."""

    @property
    def one_per_pair(self) -> bool:
        """Whether two linked objects, both of which can start a sync, share one record."""
        return False

    @abstractmethod
    def of(self, side: str, key: str) -> str:
        """The record key of an object that is not linked."""

    @abstractmethod
    def ends(self, record_key: str) -> Ends:
        """The side and key of the object that a record is named after."""

    def of_link(self, left: str, right: str) -> str:
        """The record key of two linked objects."""
        return self.of(self.owner, left if self.owner == "left" else right)

    def all_of_link(self, left: str, right: str) -> tuple[str, ...]:
        """The keys of all records that two objects may have, linked or not."""
        return (self.of_link(left, right),)

    def named(self, text: str) -> tuple[str, str]:
        """The side and key that a person means by a record's key."""
        side, colon, key = text.partition(":")
        return (side, key) if self.name_their_side and colon and side in SIDES else (self.default_side, text)

    @property
    def default_side(self) -> str:
        """The side that a person means who names none."""
        return self.owner


class SourceKeys(RecordKeys):
    """Of a one-way flow: the source's key."""

    @property
    def name_their_side(self) -> bool:
        """False: only the source's objects have records."""
        return False

    def of(self, side: str, key: str) -> str:  # noqa: ARG002 - the side is always the source's
        """The source's key."""
        return key

    def ends(self, record_key: str) -> Ends:
        """The source's object."""
        return _end(self.owner, record_key)


@dataclass(frozen=True, slots=True)
class SidedKeys(RecordKeys):
    """Of a write-back: side and key, named after the target's object once it is linked."""

    source_side: str

    @property
    def name_their_side(self) -> bool:
        """True: a record may start from either side."""
        return True

    @property
    def default_side(self) -> str:
        """The source's side."""
        return self.source_side

    def of(self, side: str, key: str) -> str:
        """Side and key."""
        return f"{side}:{key}"

    def all_of_link(self, left: str, right: str) -> tuple[str, ...]:
        """The records of both objects: the linked one, and the other one, which exists until then."""
        return self.of("left", left), self.of("right", right)

    def ends(self, record_key: str) -> Ends:
        """The object by side and key."""
        side, _, key = record_key.partition(":")
        return _end(side, key)


class PairKeys(SidedKeys):
    """Of a two-way flow: side and key, named after the left object once it is linked."""

    @property
    def one_per_pair(self) -> bool:
        """True: the two records of a pair become one when it is linked."""
        return True


def of(flow: FlowHead, source_side: str, target_side: str) -> RecordKeys:
    """The keys of a flow's records on a connection, given the sides of its source and target."""
    if flow.two_way:
        return PairKeys("left", source_side)
    return SidedKeys(target_side, source_side) if flow.write_back else SourceKeys(source_side)


def object_key(flow: FlowHead, record_key: str) -> str:
    """The key of the object that a record is named after, without its side."""
    ends = of(flow, *SIDES).ends(record_key)
    return ends.on(ends.side) or ""
