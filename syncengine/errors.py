"""All errors of the engine. The class alone decides what happens next (`engine/steps/running.py`, `engine/writes/outcomes.py`).

Errors of outside systems are translated into these once, at the boundary (`connectors/*/errors.py`, `http/`), most specific
first. A conflict and a missing dependency are outcomes of a plan, not errors.
"""

from __future__ import annotations

import math
from typing import Any

from syncengine.redaction import hide_secrets, quoted, redact, redact_text

LONGEST_WAIT_S = 900.0
"""The longest wait, in seconds, that an outside system may request. Longer requests are cut to this."""


def bounded_wait_s(seconds: float) -> float:
    """A wait requested from outside, in seconds, limited to 0 to `LONGEST_WAIT_S`. NaN counts as the longest."""
    return LONGEST_WAIT_S if math.isnan(seconds) else min(max(0.0, seconds), LONGEST_WAIT_S)


class SyncError(Exception):
    """Base of all errors that the engine handles. Texts are redacted, so they may be logged."""

    endpoint_id: int | None = None  # set by the engine: the endpoint of the failed call
    endpoint: str = ""

    def __init__(self, message: str, *, of: str = "") -> None:
        """`of`: the endpoint, or whatever else the message is about. `says` is the text without it."""
        self.says = redact_text(message)
        super().__init__(f"{of}: {self.says}" if of else self.says)


class Transient(SyncError):
    """A network error, a 5xx, a deadlock: the same call may succeed later."""


class DatabaseAway(Transient):
    """Our own database is away, locked or full; the transaction was rolled back."""


class DatabaseLocked(DatabaseAway):
    """Our own database is locked by another process."""


class DatabaseFull(DatabaseAway):
    """The disk of our own database is full, or cannot be read or written."""


class Throttled(SyncError):
    """The system, or our own limiter, requests a wait of `retry_in_s` seconds. Nothing was sent."""

    def __init__(self, message: str, *, retry_in_s: float, of: str = "") -> None:
        self.retry_in_s = bounded_wait_s(retry_in_s)
        super().__init__(message, of=of)


class EndpointDown(SyncError):
    """The endpoint cannot be used at all (connection refused, service restarting, breaker open, paused by a person).

    retry_in_s: seconds until the next attempt makes sense.
    """

    def __init__(self, message: str, *, retry_in_s: float = 15.0, of: str = "") -> None:
        self.retry_in_s = bounded_wait_s(retry_in_s)
        super().__init__(message, of=of)


class SessionLost(SyncError):
    """A SYSPRO session was evicted or expired, and logging on again has not helped. Nothing took effect."""


class AuthenticationFailed(SyncError):
    """The endpoint refused the credentials, also after one refresh. It is paused and an alert is raised."""

    retry_in_s = 300.0


class Forbidden(SyncError):
    """One call was refused (403), although other calls with the same credentials may be accepted. Nothing was done.

    It may concern one object (a permission for one warehouse, a firewall that blocks one address) or the whole endpoint.
    The engine tries the record alone and probes the endpoint. If the probe is accepted, the record becomes a dead letter;
    otherwise the endpoint is paused.
    """


class Rejected(SyncError):
    """The target understood the record and refused it, or the record is invalid; sending it again cannot help.

    A dead letter shows the four attributes, and the text contains them all. The value is redacted and may be None.
    """

    def __init__(self, *, field: str, value: object, reason: str, remedy: str) -> None:
        self.field = field
        self.value: Any = redact(value, field)
        self.reason = redact_text(reason)
        self.remedy = remedy
        value_ = "" if self.value is None else f" = {redact_text(quoted(self.value))}"
        message = f"{field}{value_}: {self.reason}. {remedy}"
        super().__init__(message)
        self.args = (hide_secrets(message),)  # not shortened: the remedy is at its end


class OutcomeUnknown(SyncError):
    """A write was sent, but nobody knows whether it took effect (time-out, dropped connection, unknown answer)."""


class Misconfigured(SyncError):
    """The installation is not set up correctly: a variable, a file, a migration.

    `says` is what is wrong and `remedy` what to do about it, empty if that is plain; the text has both, in one line.
    `setting` names the setting of an endpoint that is wrong, empty if there is none.
    """

    def __init__(self, message: str, remedy: str = "", *, of: str = "", setting: str = "") -> None:
        super().__init__(message, of=of)
        self.setting = setting
        self.says, self.remedy = hide_secrets(message), hide_secrets(remedy)  # whole: they name what to correct
        said = f"{of}: {self.says}" if of else self.says
        self.args = (f"{said}. {self.remedy}" if remedy else said,)


class NewerStore(Misconfigured):
    """Another version has migrated the store, perhaps while this process ran: the process stops writing and ends."""
