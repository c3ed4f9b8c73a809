"""The states of records and effects. Only `engine/core/records.py` and `engine/writes/effects.py` set them."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Lane(IntEnum):
    """Urgency: the lower number goes first. Each lane has its own queue."""

    REALTIME = 0
    SCHEDULED = 1
    BACKFILL = 2

    @property
    def label(self) -> str:
        """The lane's name in texts and queues: `realtime`."""
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Lane:
        """The lane of a label. Raises KeyError."""
        return cls[label.upper()]


class Stage(StrEnum):
    """The step that a record needs next."""

    FETCH = "fetch"
    TRANSFORM = "transform"
    PUSH = "push"


class Status(StrEnum):
    """The outcome of the last revision that was processed. A record is due while `wanted > done`, whatever its status."""

    OPEN = "open"  # not processed yet
    DONE = "done"  # written, or found equal
    SKIPPED = "skipped"  # nothing to do; `reason` says why
    WAITING = "waiting"  # for the object or lookup entry in `need_*`; the pump wakes it
    HELD = "held"  # held for a person by a rule, a conflict or an unknown write
    DEAD = "dead"  # a dead letter: it needs a correction to continue


class Why(StrEnum):
    """Why a record is as its `status` says, for the program. Its `reason` says the same to people, and nobody else reads it."""

    NONE = ""
    # skipped
    EQUAL = "equal"  # both sides agree already
    NOT_THERE = "not there"  # the source does not have it
    NOT_LINKED = "not linked"  # a write-back of an object that no other flow has linked yet
    TOO_OLD = "too old"  # created before the connection's cut-over date
    OBSERVED = "observed"  # planned, and not written since the connection is observed
    IGNORED = "ignored"  # by a person, until a person says otherwise
    DIFFERS = "differs"  # a flow that compares has found differences
    DISCARDED = "discarded"  # a person has discarded its dead letter; until its source changes
    DECIDED = "decided"  # a person has refused what was planned
    # skipped or held
    RULE = "rule"  # of the flow
    NO_STOCK = "no stock"  # the target keeps no level of it
    # held
    CONFLICT = "conflict"  # both sides have changed; approved, the source wins
    UNCLEAR = "unclear"  # lines of the target that cannot be distinguished
    REFUSED = "refused"  # the target would not take it any more
    GONE = "gone"  # the target does not have a linked object any more
    GONE_LEFT = "gone left"  # of a pair, the object of the left side
    GONE_RIGHT = "gone right"
    UNKNOWN_WRITE = "unknown write"  # a person must find out whether a write took effect
    CEILING = "ceiling"  # of writes
    EXISTS = "exists"  # the target refused to create it: an object that we did not create has its reference
    WRITE = "write"  # came to light when it was to be written, for example that it is not what we have written
    # waiting
    NEED = "need"  # for the object or lookup entry in `need_*`
    MOVEMENTS = "movements"  # for what moved in the target until its level was read
    IN_TRANSIT = "in transit"  # for what may be in only one of two levels
    NOT_SYNCED = "not synced"  # for the flow that writes the object, before it is compared
    # dead
    REJECTED = "rejected"  # by us or by the target
    CRASHED = "crashed"  # it brought its step down alone


class Pause(StrEnum):
    """Why `not_before` is in the future. A `want` clears it, unless it is a settle time or a back-off."""

    NONE = ""
    SETTLE = "settle"  # the target may still commit a write that was given up
    BACKOFF = "backoff"  # something failed temporarily
    QUIET = "quiet"  # the source may still be building the object
    RISE = "rise"  # a level rises once the target's movements until its reading are known
    PACED = "paced"  # one of many that a person retries at a limited rate


class EffectState(StrEnum):
    """intended -> sent -> done, rejected or unknown. Rejected and unknown effects become intended again, in the same row.

    A sent change is superseded if its object was written or agreed on by another effect before its outcome was known.
    """

    INTENDED = "intended"  # committed, nothing was sent
    SENT = "sent"  # the bytes may have left
    DONE = "done"
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # sent, outcome unknown; searched for after `settle_until`
    SUPERSEDED = "superseded"  # a later write or agreement replaced it
