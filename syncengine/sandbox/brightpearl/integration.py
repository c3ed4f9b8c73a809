"""The webhook resource (section 10)."""

from __future__ import annotations

from syncengine.sandbox.brightpearl.calls import Call, part
from syncengine.sandbox.brightpearl.errors import ApiError, missing


def create(call: Call) -> dict[str, object]:
    """`POST webhook`."""
    body = call.json_object()
    with call.account.lock:
        return {"response": call.account.webhooks.subscribe(body)}


def read(call: Call) -> dict[str, object]:
    """`GET webhook[/{ids}]`; an unknown id set is 404, no webhook at all is an empty list."""
    known = call.account.webhooks.subscriptions
    if "ids" not in call.path:
        return {"response": [known[key].described() for key in sorted(known)]}
    keys = call.ids(known)
    if not keys:
        raise missing(f"No webhooks available in ID Set {call.path['ids']}")
    return {"response": [known[key].described() for key in keys]}


def delete(call: Call) -> dict[str, object]:
    """`DELETE webhook/{id}`."""
    if call.account.webhooks.subscriptions.pop(call.key(), None) is None:
        raise missing(f"Cannot find webhook: {call.key()}")
    return {}


def simulate(call: Call) -> dict[str, object]:
    """`POST webhook/{id}/simulate`."""
    subscription = call.account.webhooks.subscriptions.get(call.key())
    if subscription is None:
        raise missing(f"Cannot find webhook: {call.key()}")
    data = part(call.json_object(), "testData")
    if not isinstance(data, dict):
        raise ApiError(400, ("INTC-055", "You have not supplied testData"))  # invented
    call.account.webhooks.simulate(subscription, data)
    return {}
