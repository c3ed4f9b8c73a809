"""Webhooks: subscriptions, and their delivery to a URL, with everything a receiver must cope with (section 10)."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from syncengine.sandbox.brightpearl.errors import ApiError
from syncengine.sandbox.host import Host
from syncengine.sandbox.id_sets import compact, spans

log = logging.getLogger(__name__)

VERSION = "4.95.3000"
LIFECYCLES = ("created", "modified", "destroyed")
#: What can be subscribed; `order.created` and `contact.*` cannot (live account of 2026).
EVENTS = frozenset(
    {
        "order.modified",
        "order.modified.order-status",
        "order.modified.fully-shipped",
        "sales-order.created",
        "product.created",
        "product.modified",
        "product.modified.on-hand-modified",
        "product.destroyed",
        "goods-out-note.created",
        "goods-out-note.destroyed",
        "goods-out-note.modified",
        *(
            f"goods-out-note.modified.{step}"
            for step in ("printed", "picked", "packed", "shipped", "un-printed", "un-picked", "un-packed")
        ),
        "goods-in-note.created",
        "quarantine-release.created",
        "drop-ship-note.created",
        "drop-ship-note.destroyed",
        "drop-ship-note.modified.shipped",
    }
)
PREFIXES = frozenset(event.split(".", 1)[0] for event in EVENTS)
VARIABLES = (
    "account-code",
    "resource-type",
    "resource-id",
    "lifecycle-event",
    "full-event",
    "raised-on",
    "brightpearl-version",
    "resource-specifier",
)
MOST_SIMULATED_IDS = 10
_TEMPLATES_LACK = "templateUri OR templateBody (for POST/PUT) must contatin the template variable"  # as recorded


@dataclass(frozen=True, slots=True)
class Subscription:
    """One webhook, with the names that the API gives its fields."""

    id: int
    subscribe_to: str
    http_method: str
    uri_template: str
    body_template: str
    content_type: str
    id_set_accepted: bool
    quality_of_service: int
    was_quality_given: bool

    def described(self) -> dict[str, object]:
        """As `GET webhook` shows it; `qualityOfService` only where it was sent (recordings of 2014 leave it out)."""
        return {
            "id": self.id,
            "subscribeTo": self.subscribe_to,
            "httpMethod": self.http_method,
            "uriTemplate": self.uri_template,
            **({"bodyTemplate": self.body_template, "contentType": self.content_type} if self.body_template else {}),
            "idSetAccepted": self.id_set_accepted,
            **({"qualityOfService": self.quality_of_service} if self.was_quality_given else {}),
        }


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One request to make; `attempt` counts from 1."""

    subscription: Subscription
    values: Mapping[str, str]
    attempt: int = 1


class Webhooks:
    """Subscriptions and a thread that delivers; the thread runs only while there is something to deliver."""

    def __init__(self, host: Host, new_id: Callable[[], int]) -> None:
        self._now = host.now
        self._switches = host.switches
        self._new_id = new_id
        self.subscriptions: dict[int, Subscription] = {}
        self.outcomes: Counter[str] = Counter()  # delivered, refused (4xx), retried, given_up, lost
        self._wake = threading.Condition()
        self._raised: dict[tuple[int, str], tuple[float, set[int], datetime]] = {}
        self._due: list[tuple[float, int, _Delivery]] = []
        self._ticket = itertools.count()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._in_flight = 0
        self._lost_share = 0
        self._http = requests.Session()
        self._http.trust_env = False  # receivers are on this machine: no proxy

    # --- subscriptions -----------------------------------------------------------------------------------------

    def subscribe(self, body: Mapping[str, Any]) -> int:
        """Create a webhook; returns its id.

        Raises:
            ApiError: 400 with all errors of the body.
        """
        if errors := self._wrong_with(body):
            raise ApiError(400, *errors)
        subscription = Subscription(
            self._new_id(),
            body["subscribeTo"],
            body["httpMethod"],
            body["uriTemplate"],
            body.get("bodyTemplate", ""),
            body.get("contentType", ""),
            bool(body.get("idSetAccepted", False)),
            int(body.get("qualityOfService", 0)),
            "qualityOfService" in body,
        )
        self.subscriptions[subscription.id] = subscription
        return subscription.id

    def _wrong_with(self, body: Mapping[str, Any]) -> list[tuple[str, str]]:
        """All errors; codes other than INTC-057, 062 and 064 are invented."""
        errors = [
            ("INTC-050", f"You have not supplied {name}")
            for name in ("subscribeTo", "httpMethod", "uriTemplate")
            if not isinstance(body.get(name), str) or not body[name]
        ]
        if errors:
            return errors
        if body["httpMethod"] not in ("GET", "POST", "PUT", "DELETE"):
            errors.append(("INTC-051", f"{body['httpMethod']} is not a valid HTTP method"))
        elif body["httpMethod"] in ("POST", "PUT") and not (body.get("bodyTemplate") and body.get("contentType")):
            errors.append(("INTC-052", "bodyTemplate and contentType are required for POST and PUT"))
        if not urlsplit(body["uriTemplate"]).netloc:
            errors.append(("INTC-053", "uriTemplate must be an absolute URI"))
        if body.get("qualityOfService", 0) not in (0, 1):
            errors.append(("INTC-054", "qualityOfService must be 0 or 1"))
        return errors + self._wrong_templates(body) + self._wrong_event(body["subscribeTo"])

    def _wrong_event(self, event: str) -> list[tuple[str, str]]:
        lifecycle = event.split(".")[1] if "." in event else ""
        is_refused = event == "product.destroyed" and not self._switches.on("brightpearl_product_destroyed")
        if is_refused or (lifecycle and lifecycle not in LIFECYCLES):
            return [("INTC-062", f"{lifecycle} is not a valid lifecycle")]
        if event in EVENTS or event in PREFIXES:
            return []
        return [("INTC-064", f"{event} either does not exist or cannot be subscribed too")]

    def _wrong_templates(self, body: Mapping[str, Any]) -> list[tuple[str, str]]:
        templates = f"{body['uriTemplate']} {body.get('bodyTemplate', '')}"
        needed = ["lifecycle-event", "account-code", "resource-type"]
        if self._switches.on("brightpearl_webhook_needs_resource_id"):
            needed.append("resource-id")
        return [("INTC-057", f"{_TEMPLATES_LACK} ${{{name}}}") for name in needed if f"${{{name}}}" not in templates]

    # --- events ------------------------------------------------------------------------------------------------

    def raise_event(self, resource: str, key: int, lifecycle: str, specifier: str = "") -> None:
        """Notify the subscribers; events for one of them within the delay are joined."""
        event = ".".join(filter(None, (resource, lifecycle, specifier)))
        due = time.monotonic() + self._switches.number("brightpearl_webhook_delay_s")
        with self._wake:
            for subscription in self.subscriptions.values():
                if event == subscription.subscribe_to or event.startswith(f"{subscription.subscribe_to}."):
                    entry = self._raised.setdefault((subscription.id, event), (due, set(), self._now()))
                    entry[1].add(key)
            self._run()

    def simulate(self, subscription: Subscription, test_data: Mapping[str, Any]) -> None:
        """Send what a real event would, with the values given (section 10).

        Raises:
            ApiError: 400 for more than 10 ids, or something that is not an id set; the code is invented.
        """
        given = {str(name).removeprefix("${").removesuffix("}"): str(value) for name, value in test_data.items()}
        values = {**self._values("order", "modified", "", self._now()), "resource-id": "1", **given}
        try:
            ranges = spans(values["resource-id"])
        except ValueError as problem:
            raise ApiError(400, ("INTC-055", str(problem))) from None
        if sum(high - low + 1 for low, high in ranges) > MOST_SIMULATED_IDS:
            raise ApiError(400, ("INTC-055", f"At most {MOST_SIMULATED_IDS} ids can be simulated"))
        with self._wake:
            for id_text in self._id_texts(subscription, {n for low, high in ranges for n in range(low, high + 1)}):
                self._push(time.monotonic(), _Delivery(subscription, {**values, "resource-id": id_text}))
            self._run()

    def wait(self, timeout_s: float = 10.0) -> bool:
        """Block until everything is delivered or given up; False after a time-out."""
        with self._wake:
            return self._wake.wait_for(lambda: not (self._raised or self._due or self._in_flight), timeout_s)

    def stop(self) -> None:
        """Stop delivering."""
        with self._wake:
            self._is_stopped = True
            self._raised.clear()
            self._due.clear()
            self._wake.notify_all()

    # --- delivery ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Start or wake the thread; called under the lock."""
        if (self._raised or self._due) and self._thread is None and not self._is_stopped:
            self._thread = threading.Thread(target=self._deliver_all, name="webhooks", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def _deliver_all(self) -> None:
        while True:
            with self._wake:
                self._collect(time.monotonic())
                if not self._due and not self._raised:
                    self._thread = None
                    self._wake.notify_all()
                    return
                now = time.monotonic()
                batch = self._take_due(now)
                if not batch:
                    self._wake.wait(max(0.001, self._next_due() - now))
                    continue
                self._in_flight = len(batch)
            for delivery in batch:
                self._deliver(delivery)
            with self._wake:
                self._in_flight = 0
                self._wake.notify_all()

    def _next_due(self) -> float:
        times = [entry[0] for entry in self._raised.values()] + [due for due, _, _ in self._due[:1]]
        return min(times, default=0.0)

    def _collect(self, now: float) -> None:
        for (subscription_id, event), (due, keys, raised_on) in list(self._raised.items()):
            if due > now:
                continue
            del self._raised[subscription_id, event]
            subscription = self.subscriptions.get(subscription_id)
            if subscription is None:
                continue
            resource, lifecycle, specifier = [*event.split(".", 2), ""][:3]
            values = self._values(resource, lifecycle, specifier, raised_on)
            for id_text in self._id_texts(subscription, keys):
                self._push(now, _Delivery(subscription, {**values, "resource-id": id_text}))

    def _take_due(self, now: float) -> list[_Delivery]:
        batch = []
        while self._due and self._due[0][0] <= now:
            delivery = heapq.heappop(self._due)[2]
            if not self._is_lost(delivery):
                batch.append(delivery)
        if self._switches.on("brightpearl_webhook_duplicates"):
            batch = [delivery for each in batch for delivery in (each, replace(each))]
        return batch[::-1] if self._switches.on("brightpearl_webhook_shuffled") else batch

    def _is_lost(self, delivery: _Delivery) -> bool:
        """Whether this delivery is never made; that many of a hundred, evenly spread. Tries after the first are not lost."""
        if delivery.attempt > 1:
            return False
        self._lost_share += self._switches.integer("brightpearl_webhook_lost_percent")
        if self._lost_share < 100:
            return False
        self._lost_share -= 100
        self.outcomes["lost"] += 1
        return True

    def _push(self, due: float, delivery: _Delivery) -> None:
        heapq.heappush(self._due, (due, next(self._ticket), delivery))

    def _id_texts(self, subscription: Subscription, keys: set[int]) -> list[str]:
        return [compact(keys)] if subscription.id_set_accepted else [str(key) for key in sorted(keys)]

    def _values(self, resource: str, lifecycle: str, specifier: str, raised_on: datetime) -> dict[str, str]:
        return {
            "account-code": self._switches.text("brightpearl_account"),
            "resource-type": resource,
            "lifecycle-event": lifecycle,
            "full-event": ".".join(filter(None, (resource, lifecycle, specifier))),
            "raised-on": raised_on.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "brightpearl-version": VERSION,
            "resource-specifier": specifier,
        }

    def _deliver(self, delivery: _Delivery) -> None:
        subscription = delivery.subscription
        status = self._send(subscription, delivery.values)
        if status is not None and 200 <= status < 300:
            self.outcomes["delivered"] += 1
            return
        # Quality 0 tries again only after a 503; quality 1 after any failure but a 4xx (section 10).
        is_refused = status is not None and 400 <= status < 500
        may_retry = status == 503 if subscription.quality_of_service == 0 else not is_refused
        if not may_retry:
            self.outcomes["refused"] += 1
        elif delivery.attempt >= self._switches.integer("brightpearl_webhook_attempts"):
            self.outcomes["given_up"] += 1
        else:
            self.outcomes["retried"] += 1
            pause = self._switches.number("brightpearl_webhook_retry_s") * 2 ** (delivery.attempt - 1)
            with self._wake:
                if not self._is_stopped:
                    self._push(time.monotonic() + pause, replace(delivery, attempt=delivery.attempt + 1))

    def _send(self, subscription: Subscription, values: Mapping[str, str]) -> int | None:
        """Make one request; returns its status, None if there was no answer."""
        url = _rendered(subscription.uri_template, {name: quote(value, safe="") for name, value in values.items()})
        body = _rendered(subscription.body_template, values).encode()
        try:
            response = self._http.request(
                subscription.http_method,
                url,
                data=body or None,
                headers={"Content-Type": subscription.content_type or "application/json"},
                timeout=self._switches.number("brightpearl_webhook_timeout_s"),
                allow_redirects=False,
            )
        except requests.RequestException as problem:
            log.info("webhook %d had no answer: %s", subscription.id, type(problem).__name__)  # the URL holds a secret
            return None
        return response.status_code


def _rendered(template: str, values: Mapping[str, str]) -> str:
    for name in VARIABLES:
        template = template.replace(f"${{{name}}}", values.get(name, ""))
    return template
