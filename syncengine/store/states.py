"""The states of records and effects, their meanings in one place. Only `engine/records.py` and `engine/effects.py` set them."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Lane(IntEnum):
    """Urgency; the lower goes first. Each lane is a queue of its own."""

    REALTIME = 0
    SCHEDULED = 1
    BACKFILL = 2

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Lane:
        return cls[label.upper()]


class Stage(StrEnum):
    """The step that a record needs next."""

    FETCH = "fetch"
    TRANSFORM = "transform"
    PUSH = "push"


class Status(StrEnum):
    """What became of the revision that was dealt with last. A record is due while `wanted > done`, whatever its status."""

    OPEN = "open"  # not dealt with yet
    DONE = "done"  # written, or seen to be equal
    SKIPPED = "skipped"  # nothing to do, for the reason given
    WAITING = "waiting"  # for the object or lookup entry in `need_*`; the pump wakes it
    HELD = "held"  # a rule, a conflict or a doubt holds it for a person
    DEAD = "dead"  # a dead letter: it cannot go on without a correction


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
    DISCARDED = "discarded"  # a person has discarded its dead letter; until its source changes
    DECIDED = "decided"  # a person has refused what was planned
    # skipped or held
    RULE = "rule"  # of the flow
    # held
    CONFLICT = "conflict"  # both sides have changed; approved, the source wins
    UNCLEAR = "unclear"  # lines of the target that cannot be told apart
    REFUSED = "refused"  # the target would not take it any more
    GONE = "gone"  # the target does not have a linked object any more
    GONE_LEFT = "gone left"  # of a pair, the object of the left side
    GONE_RIGHT = "gone right"
    UNKNOWN_WRITE = "unknown write"  # a person must find out whether a write took effect
    CEILING = "ceiling"  # of writes
    WRITE = "write"  # came to light when it was to be written: it is there already, or is not what we have written
    # waiting
    NEED = "need"  # for the object or lookup entry in `need_*`
    # dead
    REJECTED = "rejected"  # by us or by the target
    CRASHED = "crashed"  # it brought its step down alone


class Pause(StrEnum):
    """Why `not_before` lies in the future. A `want` clears it, unless it is a settle time or a back-off."""

    NONE = ""
    SETTLE = "settle"  # the target may still commit a write that was given up
    BACKOFF = "backoff"  # something failed for the moment
    QUIET = "quiet"  # the source may still be building the object
    PACED = "paced"  # it is one of many that a person has tried again, so many a minute


class EffectState(StrEnum):
    """intended -> sent -> done, rejected or unknown; rejected and unknown are reopened as intended, in their own row.

    A change that was sent, and whose object was written or agreed on by another one before its outcome was learned, is
    superseded.
    """

    INTENDED = "intended"  # committed, the bytes have not left
    SENT = "sent"  # the bytes may have left
    DONE = "done"
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # sent, and nobody knows; looked up after `settle_until`
    SUPERSEDED = "superseded"  # a later write or agreement has taken its place
