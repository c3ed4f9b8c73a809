"""Signed messages from a SYSPRO site. SYSPRO itself sends none: a service of the site does (docs/webhooks.md).

The signature is HMAC-SHA256 over the time stamp, the name of the connection and the body, each but the last followed by a line
feed. A message is accepted once, and only near the time that it is stamped with.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from syncengine.connectors.hooks import MOST_KEYS, Message, Notice, Receiver, Refusal, object_of, time_of

TIME, SIGNATURE = "x-syncengine-time", "x-syncengine-signature"
CLOCKS_S = 300.0
"""How far the time stamp of a message may be from our clock, in seconds."""

LONGEST_KEY = 100
LONGEST_EVENT = 100
MOST_LISTED = 20_000


class SysproReceiver(Receiver):
    """Reads `{"event": "stock_level", "keys": ["A100"], "raisedAt": "2026-01-31T06:00:00.000Z"}`."""

    def receive(self, message: Message, secrets: Sequence[str], now: datetime) -> Notice:
        """See `Receiver.receive`."""
        stamp, given = message.headers.get(TIME, ""), message.headers.get(SIGNATURE, "")
        if not stamp or not given:
            raise Refusal(401, f"{TIME} or {SIGNATURE} is missing")
        is_right = False
        for secret in secrets:
            is_right |= hmac.compare_digest(signature(secret, stamp, message.connection, message.body), _bytes(given))
        if not is_right:
            raise Refusal(403, "the signature is not accepted")
        if not _is_near(stamp, now):
            raise Refusal(403, "the time stamp is too far from this host's clock")
        return _notice(message.body, once=sha256(_bytes(given)).hexdigest())


RECEIVER = SysproReceiver()


def signature(secret: str, stamp: str, connection: str, body: bytes) -> bytes:
    """The signature of a message: `sha256=` and 64 hexadecimal digits."""
    signed = f"{stamp}\n{connection}\n".encode() + body
    return b"sha256=" + hmac.new(secret.encode(), signed, sha256).hexdigest().encode()


def _notice(body: bytes, *, once: str) -> Notice:
    said = object_of(body)
    event, keys = said.get("event"), said.get("keys")
    if not isinstance(event, str) or not 0 < len(event) <= LONGEST_EVENT or not _are_keys(keys):
        raise Refusal(400, "event or keys are missing")
    distinct = tuple(dict.fromkeys(map(str, keys or ())))
    return Notice(event, distinct if len(distinct) <= MOST_KEYS else (), time_of(said.get("raisedAt")), once)


def _are_keys(keys: Any) -> bool:
    return (
        isinstance(keys, list)
        and 0 < len(keys) <= MOST_LISTED
        and all(isinstance(key, str) and 0 < len(key) <= LONGEST_KEY for key in keys)
    )


def _is_near(stamp: str, now: datetime) -> bool:
    try:
        return abs(float(stamp) - now.timestamp()) <= CLOCKS_S
    except ValueError:
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
