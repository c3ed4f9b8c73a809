"""Brightpearl's webhooks. Facts: reference/brightpearl.md section 10.

They are unsigned, and every app of an account can read the webhooks of others, so the secret in them only keeps strangers
out: a message is a hint, and the objects are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from syncengine.connectors.brightpearl.id_sets import MOST_DIGITS, keys_in
from syncengine.connectors.hooks import (
    MOST_KEYS,
    Message,
    Notice,
    Receiver,
    Refusal,
    Subscription,
    Subscriptions,
    is_one_of,
    object_of,
    time_of,
)

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway

AT_LEAST_ONCE = 1
"""Quality of service: everything but a 4xx is delivered again. 0 delivers again after a 503 alone."""

PATH = "integration-service/webhook"
LONGEST_EVENT = 100
TESTED_ID = "9" * (MOST_DIGITS - 1)


class BrightpearlReceiver(Receiver):
    """Reads the body that `body_template` makes."""

    def receive(self, message: Message, secrets: Sequence[str], now: datetime) -> Notice:  # noqa: ARG002 - see Receiver
        """See `Receiver.receive`. The secret is in the body or in the path."""
        said = object_of(message.body)
        given = said.get("secret") or message.path_secret
        if not isinstance(given, str) or not is_one_of(given, secrets):
            raise Refusal(403, "the secret is not accepted")
        event, ids = said.get("event"), said.get("ids")
        if not isinstance(event, str) or not 0 < len(event) <= LONGEST_EVENT or not isinstance(ids, str | int):
            raise Refusal(400, "event or ids are missing")
        try:
            keys = keys_in(str(ids), MOST_KEYS)
        except ValueError:
            raise Refusal(400, "ids are not an id set") from None
        if keys == (TESTED_ID,):
            return Notice(event, (), is_test=True)
        return Notice(event, keys, raised_at=time_of(said.get("raisedOn")))


RECEIVER = BrightpearlReceiver()


class BrightpearlSubscriptions(Subscriptions):
    """The webhooks of an account. in_path: whether the secret is in the address instead of the body."""

    def __init__(self, gateway: Gateway, *, in_path: bool) -> None:
        self._gateway, self._in_path = gateway, in_path

    def listed(self, address: str, secret: str) -> list[Subscription]:
        """See `Subscriptions.listed`."""
        from syncengine.connectors.brightpearl.answers import NothingFound

        try:
            found = self._gateway.call("GET", PATH).body["response"]
        except NothingFound:
            return []
        return [
            Subscription(
                str(hook["id"]),
                str(hook["subscribeTo"]),
                str(hook["uriTemplate"]),
                is_current=_is_same(hook, self._wanted(str(hook["subscribeTo"]), address, secret)),
            )
            for hook in found
        ]

    def create(self, event: str, address: str, secret: str) -> str:
        """See `Subscriptions.create`."""
        answer = self._gateway.call("POST", PATH, json=self._wanted(event, address, secret), is_write=True)
        return str(answer.body["response"])

    def remove(self, id_: str) -> None:
        """See `Subscriptions.remove`."""
        from syncengine.errors import Rejected

        try:
            self._gateway.call("DELETE", f"{PATH}/{id_}", is_write=True)
        except Rejected:
            if any(str(hook["id"]) == id_ for hook in self._gateway.call("GET", PATH).body["response"]):
                raise

    def test(self, id_: str) -> None:
        """See `Subscriptions.test`."""
        values = {"${resource-id}": TESTED_ID, "${raised-on}": datetime.now(UTC).isoformat(timespec="milliseconds")}
        self._gateway.call("POST", f"{PATH}/{id_}/simulate", json={"testData": values}, is_write=True)

    def _wanted(self, event: str, address: str, secret: str) -> dict[str, Any]:
        return {
            "subscribeTo": event,
            "httpMethod": "POST",
            "uriTemplate": f"{address}/{secret}" if self._in_path else address,
            "bodyTemplate": body_template("" if self._in_path else secret),
            "contentType": "application/json",
            "idSetAccepted": True,
            "qualityOfService": AT_LEAST_ONCE,
        }


def body_template(secret: str) -> str:
    """The body of our webhooks. Its variables are those without which a webhook is refused, and those that we read."""
    values = {"secret": secret} if secret else {}
    values |= {
        "event": "${full-event}",
        "ids": "${resource-id}",
        "raisedOn": "${raised-on}",
        "account": "${account-code}",
        "resource": "${resource-type}",
        "lifecycle": "${lifecycle-event}",
    }
    return json.dumps(values)


def _is_same(hook: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a webhook is as wanted. An answer may leave out a quality of service; then nobody knows it, and it counts."""
    return all(hook.get(name, value) == value for name, value in wanted.items())
