"""What a target is asked to write, and what became of it. Nothing here knows a system."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from syncengine.document import Doc
from syncengine.errors import Rejected, SyncError


class Verb(StrEnum):
    """What a write does to its object."""

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
class Change:
    """A value before and after. because: why it replaces an edit made in the target, for people; empty if it replaces none."""

    old: Any
    new: Any
    because: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line to add, change or remove: `field` names the list (`StockLine`), `key` is the source's key of the line.

    `number` is the target's own number of the line (None for a line to add); `line` is the whole wanted line
    (for a removal: the line as the target has it); `changes` what differs, by field.
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
    found again (`Target.find`); `token` is unique to this write and stays the same when it is sent again: resources that
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


@dataclass(frozen=True, slots=True)
class SentWrite:
    """A change that was sent, of which nobody knows whether it took effect. sent_at: UTC, by our clock, before the first call.

    operation: as it was sent, with its token and what the target showed before.
    """

    operation: Operation
    sent_at: datetime


class Result(StrEnum):
    """What became of one operation."""

    DONE = "done"
    EXISTS = "exists"  # refused because an object of that key or reference is there already
    REJECTED = "rejected"  # `error` is a Rejected
    UNKNOWN = "unknown"  # sent, and nobody knows; `error` is an OutcomeUnknown
    RETRY = "retry"  # certainly not done, and may be done later; `error` says when


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one operation. `key` is the target's key after a DONE create; None if the answer did not give it
    (then the engine asks `Target.keys_of`, for many at once). `note` names the document that the write has made, as a feed of
    movements names it (`Moved.note`).

    `lines` maps our line keys to the target's line numbers, as far as the answer gave them. `warnings` are shown,
    `attention` says why a person should check the object although all was written.
    """

    result: Result
    key: str | None = None
    lines: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    attention: str | None = None
    error: SyncError | None = None
    note: str = ""

    @classmethod
    def done(cls, key: str | None = None, **more: Any) -> Outcome:
        """The write took effect; `key` as in the class, `more` are further fields."""
        return cls(Result.DONE, key=key, **more)

    @classmethod
    def rejected(cls, error: Rejected) -> Outcome:
        """The target refused the write; sending it again cannot help."""
        return cls(Result.REJECTED, error=error)

    @classmethod
    def unknown(cls, error: SyncError) -> Outcome:
        """The write was sent and nobody knows whether it took effect."""
        return cls(Result.UNKNOWN, error=error)

    @classmethod
    def retry(cls, error: SyncError) -> Outcome:
        """The write was certainly not done, and may be done later."""
        return cls(Result.RETRY, error=error)
