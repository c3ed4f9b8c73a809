"""Brightpearl's answers as errors of the engine. Facts: reference/brightpearl.md sections 3, 4 and 5.

The status alone is not enough: 500 is also used for mistakes of the client, 503 for throttling, 404 for nothing found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests

from syncengine.connectors.brightpearl.answers import NothingFound, Stale
from syncengine.errors import (
    AuthenticationFailed,
    EndpointDown,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    SyncError,
    Throttled,
    Transient,
    bounded_wait_s,
)

REQUESTS_REMAINING = "brightpearl-requests-remaining"
NEXT_THROTTLE_PERIOD = "brightpearl-next-throttle-period"
"""Milliseconds until the window resets (section 5)."""

DEFAULT_THROTTLE_S = 60.0
_THROTTLE_TEXTS = ("too many requests", "please wait before sending another request")
_NOTHING_FOUND = "CMNC-404"
_UNKNOWN_PATH = "cannot find the resource"
_CLIENT_MISTAKE = "CMNC-"
MIXED_OUTCOMES = 207
"""A destructive call on several resources, of which some were done and some were not (section 4)."""
_NOT_OF_BRIGHTPEARL = (408, 409, 423, 425, 499)
"""Without an `errors` array a proxy has answered: it gave up waiting, or did not pass the call on. Nobody knows which."""

_FIELDS = {
    "ORDC-003": ("order id", "Check that the order still exists"),
    "ORDC-005": ("orderTypeCode", "Give the order a type: SO, SC, PO or PC"),
    "ORDC-006": ("orderTypeCode", "Use one of SO, SC, PO, PC"),
    "ORDC-022": ("parties.supplier.contactId", "Name the supplier's contact id"),
    "ORDC-026": ("productName", "Give the free-text row a product name"),
    "PRDC-024": ("brand.name", "Give the brand a name"),
    "WHSC-014": ("productId", "Name a product id greater than 0"),
    "WHSC-020": ("product ids", "Name the products whose availability is wanted"),
    "CMNC-010": ("body", "The body is missing or not JSON; this is a bug in the connector, report it"),
}
"""The field that a code is about, and what to do (sections 4 and 11)."""

_BAD_FILTER = re.compile(r"The filter (?P<field>\w+)=(?P<value>.*) cannot be parsed as: (?P<type>\w+)")
_BAD_PATCH = re.compile(r"Invalid patch operation \((?P<value>\w+)\) for given path \((?P<field>[^)]+)\)")

_MOST_DIGITS = 300  # fewer than those of the greatest float
_MOST_LEVELS = 50
_TOO_DEEP = "(nested too deeply)"
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


@dataclass(frozen=True, slots=True)
class Refusal:
    """One entry of an `errors` array."""

    code: str
    message: str


def body_of(response: requests.Response) -> Any:
    """The JSON of an answer, numbers with a point as Decimal; None if it is not JSON.

    What cannot be a number (`NaN`, thousands of digits) becomes a text, and what is nested too deeply a text that says so: the
    document's schema refuses it by its field, and the other documents of the answer are read.
    """
    try:
        return _loads(response.content)
    except RecursionError:
        return _loads(_shallow(response.content.decode("utf-8", "replace")))
    except ValueError:
        return None


def _loads(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=_integer, parse_constant=str)


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _shallow(text: str) -> str:
    """The JSON text with `_TOO_DEEP` in the place of whatever is nested deeper than `_MOST_LEVELS`."""
    kept, depth, at = [], 0, 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            if depth == _MOST_LEVELS:
                kept += [text[at : token.start()], json.dumps(_TOO_DEEP)]
            depth += 1
        elif token[0] in "]}":
            depth -= 1
            if depth == _MOST_LEVELS:
                at = token.end()
    return "".join([*kept, text[at:]])


def count(response: requests.Response, header: str) -> int | None:
    """The whole number in a header of section 5; None if there is none, or an absurd one."""
    text = response.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def throttled_for(response: requests.Response) -> float | None:
    """Seconds to wait, at most `LONGEST_WAIT_S`, if the answer says that we called too often; None if it does not."""
    text = response.text.lower() if response.status_code in (429, 503) else ""
    if response.status_code == 429 or any(known in text for known in _THROTTLE_TEXTS):
        millis = count(response, NEXT_THROTTLE_PERIOD)
        return DEFAULT_THROTTLE_S if millis is None else bounded_wait_s(millis / 1000)
    return None


def outage(response: requests.Response) -> str | None:
    """What counts as a failure for the breaker: Brightpearl, or a proxy before it, is down. Throttling is not one."""
    if response.status_code in (502, 503, 504) and throttled_for(response) is None:
        return f"it answers {response.status_code}"
    return None


def answer(endpoint: str, call: str, response: requests.Response, *, is_write: bool) -> Any:
    """The JSON object of a successful answer.

    A body with `errors` is not successful, whatever its status says, nor is 207 for a write: it may not have been done.

    Args:
        call: what was called, for the texts: verb and path without a query.

    Raises:
        NothingFound: a read of which nothing exists.
        Whatever `failure` gives.
    """
    body = body_of(response)
    refusals = list(_refusals(body))
    is_mixed = is_write and response.status_code == MIXED_OUTCOMES
    if 200 <= response.status_code < 300 and isinstance(body, dict) and not refusals and not is_mixed:
        return body
    if response.status_code == 404 and not is_write and any(_is_nothing_found(refusal) for refusal in refusals):
        raise NothingFound
    raise failure(endpoint, call, response, refusals, is_write=is_write)


def failure(
    endpoint: str, what: str, response: requests.Response, refusals: list[Refusal], *, is_write: bool
) -> SyncError:
    """The error that an unsuccessful answer means, most specific first."""
    status = response.status_code
    wait_s = throttled_for(response)
    if wait_s is not None:
        return Throttled(f"{what}: too many requests", retry_in_s=wait_s, of=endpoint)
    if status < 400:
        return _not_understood(endpoint, what, status, refusals, is_write)
    if status == 401:
        return AuthenticationFailed(f"{what}: refused with 401: {_plain_text(response)}", of=endpoint)
    if status == 403:
        return Forbidden(
            f"{what}: refused with 403: {(_shown(refusals) or _plain_text(response))[:80]}. Check the app's permissions in "
            "Brightpearl, and any firewall in between",
            of=endpoint,
        )
    if any(refusal.message.lower().startswith(_UNKNOWN_PATH) for refusal in refusals) or (
        status == 404 and not refusals
    ):
        return Misconfigured(f"{what}: there is no such resource; check the endpoint's url and account", of=endpoint)
    if status in _NOT_OF_BRIGHTPEARL and not refusals:
        shown = f"{what}: {status} without a reason, not by Brightpearl itself"
        return OutcomeUnknown(shown, of=endpoint) if is_write else Transient(shown, of=endpoint)
    if 400 <= status < 500 or any(refusal.code.startswith(_CLIENT_MISTAKE) for refusal in refusals):
        return _rejected(f"{endpoint}: {what}", status, refusals)
    if is_write:  # a fault in the middle of the work, or a proxy that gave up on it: it may have been done
        return OutcomeUnknown(f"{what}: {status} {_shown(refusals)}", of=endpoint)
    if status in (502, 503, 504):
        return EndpointDown(f"{what}: {status}, Brightpearl is not available", of=endpoint)
    return Transient(f"{what}: {status} {_shown(refusals)}", of=endpoint)


def _not_understood(endpoint: str, what: str, status: int, refusals: list[Refusal], is_write: bool) -> SyncError:
    if 300 <= status < 400:
        return EndpointDown(f"{what}: answered with a redirection ({status}); check the endpoint's url", of=endpoint)
    shown = (
        f"{what}: {status} with errors: {_shown(refusals)}" if refusals else f"{what}: the answer is not a JSON object"
    )
    if not is_write:
        return Transient(shown, of=endpoint)
    if status == MIXED_OUTCOMES:
        shown = f"{what}: 207, only a part may have been done: {_shown(refusals) or 'no errors given'}"
    return OutcomeUnknown(shown, of=endpoint)


def _rejected(what: str, status: int, refusals: list[Refusal]) -> Rejected:
    if status == 412:
        reason = _shown(refusals) or "it has changed since it was read"
        return Stale(field=what, value=None, reason=reason, remedy="It is read and planned again")
    first = refusals[0] if refusals else Refusal("", f"status {status}")
    field, remedy = _FIELDS.get(first.code, (what, "Correct it at the source, or ask Brightpearl about the code"))
    value: str | None = None
    if found := _BAD_FILTER.search(first.message) or _BAD_PATCH.search(first.message):
        field, value = found["field"], found["value"]
        remedy = "This is a bug in the connector or in its settings; report it with the code"
    return Rejected(field=field, value=value, reason=_shown(refusals) or f"status {status}", remedy=remedy)


def _refusals(body: Any) -> Iterator[Refusal]:
    errors = body.get("errors") if isinstance(body, dict) else None
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            yield Refusal(str(error.get("code", "")), str(error.get("message", "")))


def _is_nothing_found(refusal: Refusal) -> bool:
    return refusal.code == _NOTHING_FOUND and not refusal.message.lower().startswith(_UNKNOWN_PATH)


def _shown(refusals: list[Refusal]) -> str:
    return "; ".join(f"{refusal.code} {refusal.message}".strip() for refusal in refusals)


def _plain_text(response: requests.Response) -> str:
    """What a 401 says: a bare string, of which `Invalid instance token: ...` repeats the token."""
    body = body_of(response)
    text = body.get("response") if isinstance(body, dict) else None
    return str(text).split(":", 1)[0] if isinstance(text, str) else "no reason given"
