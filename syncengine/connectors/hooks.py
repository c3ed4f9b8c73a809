"""Webhooks of a system: how a message is authenticated and read, and which subscriptions an account has. Knows no system.

A system that can send webhooks has a module `hooks` that exports `RECEIVER`. What a message says is a hint and never the
truth: the engine reads the objects that it names.
"""

from __future__ import annotations

import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

MOST_KEYS = 5_000
"""Objects that one message may name. A message about more has the feed read instead."""

SECRET, FORMER_SECRET = "hook_secret", "hook_secret_old"
"""The secret of an endpoint's webhooks, and the one before it, which is still accepted."""


class Refusal(Exception):
    """A message that is not accepted. status: the HTTP status of the answer. says: the reason, without any of the message."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status, self.says = status, says


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook's call. connection: the name in its path. path_secret: the rest of the path. headers: by lower-case name."""

    connection: str
    path_secret: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """What a message says. event: the system's full name of it.

    keys: of the objects, each once; empty if they are more than `MOST_KEYS`. raised_at: when it happened (UTC, the system's
    clock), None if it does not say. once: a digest of a message that must be accepted only once; empty if it may be repeated.
    is_test: it was sent by `Subscriptions.test`, so it is about no object.
    """

    event: str
    keys: tuple[str, ...]
    raised_at: datetime | None = None
    once: str = ""
    is_test: bool = False


class Receiver(ABC):
    """How messages of one system are read."""

    @abstractmethod
    def receive(self, message: Message, secrets: Sequence[str], now: datetime) -> Notice:
        """Authenticate a message and read it. secrets: each of them is accepted. Raises Refusal."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook as an account has it. address: where it calls. is_current: whether it is exactly as we would create it."""

    id: str
    event: str
    address: str
    is_current: bool


class Subscriptions(ABC):
    """The webhooks of one account. Each method may raise what a connector's calls raise."""

    @abstractmethod
    def listed(self, address: str, secret: str) -> list[Subscription]:
        """All webhooks of the account, also those of other programs; compared with ours for this address and secret."""

    @abstractmethod
    def create(self, event: str, address: str, secret: str) -> str:
        """Subscribe to an event; returns the id."""

    @abstractmethod
    def remove(self, id_: str) -> None:
        """Remove a webhook; one that is gone already counts as removed."""

    @abstractmethod
    def test(self, id_: str) -> None:
        """Have the system send a webhook now, about an object that need not exist."""


def is_about(event: str, declared: Iterable[str]) -> bool:
    """Whether an event is one of the declared ones, or under one of them (`order.modified.order-status`)."""
    return any(event == name or event.startswith(f"{name}.") for name in declared)


def widest(events: Iterable[str]) -> list[str]:
    """The events without those that others of them include, sorted."""
    known = sorted(set(events))
    return [event for event in known if not is_about(event, (other for other in known if other != event))]


def is_one_of(given: str, secrets: Sequence[str]) -> bool:
    """Whether a text is one of the secrets. It takes the same time wherever the first difference is."""
    given_digest = sha256(given.encode("utf-8", "replace")).digest()
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(given_digest, sha256(secret.encode()).digest())
    return found


def object_of(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a message. Raises Refusal."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(said, dict):
        raise Refusal(400, "the body is not a JSON object")
    return said


def time_of(text: object) -> datetime | None:
    """A time with its zone, in UTC; None for anything else."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
