"""One taxonomy of errors. What happens next follows from the class alone, by its `fate`.

Outside errors are translated into these once, at the boundary (`connectors/*/errors.py`, `http/`), most specific
first. A conflict and a missing dependency are outcomes of a plan, not errors.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from syncengine.redaction import hide_secrets, quoted, redact, redact_text

LONGEST_WAIT_S = 900.0
"""The longest wait that an outside system may ask for, in seconds: longer ones are not meant, and are cut to this."""


class Fate(StrEnum):
    """What the engine does about an error."""

    RETRY = "retry"  # the record, or the step, again later with exponential back-off; never dropped
    WAIT = "wait"  # again after the time that was told; costs no attempt
    REST = "rest"  # the endpoint cannot be used: its records rest until it is back
    DEAD_LETTER = "dead letter"  # a person must look; sending it again cannot help
    SETTLE = "settle"  # nobody knows whether the write happened: look it up after the settle time
    STOP = "stop"  # the configuration is wrong: say what to do


def bounded_wait_s(seconds: float) -> float:
    """A wait that was told from outside, in seconds: at least 0, at most `LONGEST_WAIT_S`; no number counts as the longest."""
    return LONGEST_WAIT_S if math.isnan(seconds) else min(max(0.0, seconds), LONGEST_WAIT_S)


class SyncError(Exception):
    """Base of all errors that the engine knows. Texts are redacted, so they may be logged."""

    fate: Fate
    endpoint_id: int | None = None  # set by the engine: whose call raised it
    endpoint: str = ""

    def __init__(self, message: str, *, of: str = "") -> None:
        """`of`: the endpoint, or whatever else the message is about. `says` is the text without it."""
        self.says = redact_text(message)
        super().__init__(f"{of}: {self.says}" if of else self.says)


class Transient(SyncError):
    """A network error, a 5xx, a deadlock: the same call may well succeed later."""

    fate = Fate.RETRY


class DatabaseAway(Transient):
    """Our own database is away, locked or full; nothing of the transaction stands."""


class DatabaseLocked(DatabaseAway):
    """Our own database is locked by another process."""


class Throttled(SyncError):
    """The system, or our own limiter, asks us to wait `retry_in_s` seconds. Nothing was done."""

    fate = Fate.WAIT

    def __init__(self, message: str, *, retry_in_s: float, of: str = "") -> None:
        self.retry_in_s = bounded_wait_s(retry_in_s)
        super().__init__(message, of=of)


class EndpointDown(SyncError):
    """The endpoint cannot be used at all (connection refused, service restarting, breaker open, paused by a person)."""

    fate = Fate.REST

    def __init__(self, message: str, *, retry_in_s: float = 15.0, of: str = "") -> None:
        self.retry_in_s = bounded_wait_s(retry_in_s)
        super().__init__(message, of=of)


class SessionLost(SyncError):
    """A SYSPRO session was evicted or has expired, and logging on again did not help yet. Nothing is known to have run."""

    fate = Fate.RETRY


class AuthenticationFailed(SyncError):
    """Credentials are refused, also after one refresh. The endpoint is paused and an alert raised."""

    fate = Fate.REST
    retry_in_s = 300.0


class Forbidden(SyncError):
    """One call was refused (403) with credentials that other calls are accepted with, or may be. Nothing was done.

    It may concern one object (a right on one warehouse, a firewall that dislikes one address) or all of the endpoint. The
    engine tries the record alone and probes the endpoint: a dead letter if the probe is accepted, else the endpoint is paused.
    """

    fate = Fate.DEAD_LETTER


class Rejected(SyncError):
    """The target understood the record and refused it, or the record is invalid; sending it again cannot help.

    The four attributes are what a dead letter shows; the value is redacted first, and may be None. The text has them all.
    """

    fate = Fate.DEAD_LETTER

    def __init__(self, *, field: str, value: object, reason: str, remedy: str) -> None:
        self.field = field
        self.value: Any = redact(value, field)
        self.reason = redact_text(reason)
        self.remedy = remedy
        value_ = "" if self.value is None else f" = {redact_text(quoted(self.value))}"
        message = f"{field}{value_}: {self.reason}. {remedy}"
        super().__init__(message)
        self.args = (hide_secrets(message),)  # whole: what to do stands at its end


class OutcomeUnknown(SyncError):
    """A write was sent and nobody knows whether it took effect (time-out, dropped connection, unknown answer)."""

    fate = Fate.SETTLE


class Misconfigured(SyncError):
    """The installation is not set up right: a variable, a file, a migration.

    `says` is what is wrong and `remedy` what to do about it, empty if that is plain; the text has both, in one line.
    """

    fate = Fate.STOP

    def __init__(self, message: str, remedy: str = "", *, of: str = "") -> None:
        super().__init__(message, of=of)
        self.says, self.remedy = hide_secrets(message), hide_secrets(remedy)  # whole: they name what to correct
        said = f"{of}: {self.says}" if of else self.says
        self.args = (f"{said}. {self.remedy}" if remedy else said,)


class NewerStore(Misconfigured):
    """The store was migrated by another version, perhaps while this process ran: the process writes nothing more and ends."""
