"""SYSPRO's error channels, translated once into the taxonomy. Facts: syspro-transport.md section 7.

Three channels: an answer that is not SYSPRO's (HTTP status, HTML), a text that begins with `ERROR:`, and item errors
inside a reply. Texts depend on the operator's language, so numbers go first; the patterns are settings of the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.xml import all_of, get, text_of, walk
from syncengine.errors import (
    AuthenticationFailed,
    EndpointDown,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    SessionLost,
    SyncError,
    Transient,
)

LOGON = "Logon"
DUPLICATE_KEY = "120001"
_QUOTED = re.compile(r"'([^']*)'")
_BRACED = re.compile(r"\{(\w+)\}")  # XML element '{StockLine}{PriceUom}' cannot be spaces
_NUMBER_IN_TEXT = re.compile(r"\b(\d{6})\b")
_GROUPS = ("errormessages", "errormessage")

REMEDIES = {
    "240004": "Create the stock code in SYSPRO, or correct the SKU or its lookup, then retry",
    "240008": "Add the stock code to that warehouse in SYSPRO, or map the order to another warehouse, then retry",
    "240003": "Map the product to a numeric stock code, as this SYSPRO company wants them, then retry",
    "240001": "Install the inventory module, or register it for this operator, then retry",
    "240096": "Give the operator access to that warehouse in SYSPRO, then retry",
    "240118": "Create the bin in SYSPRO, then retry",
    "100028": "The mapping must give a date here; correct the mapping, then retry",
    "100030": "The mapping gives no value here; correct the mapping or the source, then retry",
    "100031": "The mapping must give a number here; correct the mapping, then retry",
    DUPLICATE_KEY: "It exists in SYSPRO already; compare both and link them",
}
TEXTS = {
    "240001": r"inventory module not installed",
    "240003": r"stock code '.*' not numeric",
    "240004": r"stock code '.*' not found",
    "240008": r"stock code '.*' not stocked in warehouse",
    "240096": r"access to warehouse '.*' denied",
    "240118": r"bin '.*' not found in warehouse",
    "100028": r"it must be CCYY-MM-DD",
    "100030": r"cannot be spaces",
    "100031": r"must be numeric",
    DUPLICATE_KEY: r"duplicate key '",
}
"""The English texts of the known numbers: SORTOI gives its errors without a number (syspro-objects.md section 14 item 7)."""
_REMEDIES_BY_TEXT = {
    r"\bon hold\b": "Release the hold in SYSPRO, then retry",
    r"\bcredit\b": "Raise the credit limit in SYSPRO, then retry",
}
_USUAL_REMEDY = "Correct the record or SYSPRO's master data, then retry"


class UnknownAnswer(OutcomeUnknown):
    """SYSPRO answered a write with something unknown: it no longer works on the call."""


class OddAnswer(Transient):
    """SYSPRO answered a read with something unknown: it no longer works on the call."""


class Absent(Rejected):
    """SYSPRO has no object of that key."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was called, as error texts show it: `SORTOI` by `Transaction/Post`."""

    business_object: str
    method: str
    is_write: bool

    @property
    def name(self) -> str:
        """The business object, or the method where there is none."""
        return self.business_object or self.method

    def __str__(self) -> str:
        return f"SYSPRO {self.name}"


@dataclass(frozen=True, slots=True)
class ItemError:
    """One complaint inside a reply; `value`, `number` and `line` (CustomerPoLine) are empty where SYSPRO gives none."""

    field: str
    value: str
    number: str
    text: str
    line: str = ""


def from_text(text: str, call: Call, settings: Settings) -> SyncError:
    """The meaning of an `ERROR: text` in answer to anything but a logon.

    An unknown text in answer to a write does not prove that nothing ran.
    """
    shown = _without_mark(text)
    matches = {name: pattern.search(shown) is not None for name, pattern in settings.patterns.items()}
    if matches["rejected_pattern"]:
        return rejected_text(shown, call)
    if matches["session_lost_pattern"]:
        return SessionLost(f"{call}: the session is gone: {shown}")
    if matches["licence_pattern"] and not call.is_write:
        return EndpointDown(f"{call}: {shown}", retry_in_s=60)
    if call.is_write:
        return UnknownAnswer(f"{call}: unknown answer: {shown}")
    if matches["not_found_pattern"]:
        return Absent(field=call.business_object, value="", reason=shown, remedy="Check the key in SYSPRO")
    if matches["down_pattern"]:
        return EndpointDown(f"{call}: {shown}")
    return OddAnswer(f"{call}: {shown}")


def rejected_text(text: str, call: Call) -> Rejected:
    """An `ERROR:` text that is known to say that the call was refused as a whole."""
    number = _NUMBER_IN_TEXT.search(text)
    remedy = REMEDIES.get(number[1] if number else "", _whole_call_remedy(text, call))
    quoted = _QUOTED.search(text)
    return Rejected(field=call.business_object, value=quoted[1] if quoted else "", reason=text, remedy=remedy)


def _whole_call_remedy(text: str, call: Call) -> str:
    if re.search(r"licen[cs]ed|100000|denied|registered", text, re.IGNORECASE):
        return f"License {call.business_object} and allow it for the operator in SYSPRO, then retry"
    return _USUAL_REMEDY


def from_logon(text: str, settings: Settings) -> SyncError:
    """The meaning of an `ERROR: text` in answer to a logon: credentials are refused, unless licences are all in use."""
    shown = _without_mark(text)
    who = f"operator {settings.operator!r}, company {settings.company!r}"
    if settings.patterns["licence_pattern"].search(shown):
        return EndpointDown(f"SYSPRO gives no licence to {who}: {shown}", retry_in_s=60)
    if settings.patterns["down_pattern"].search(shown):
        return EndpointDown(f"SYSPRO refuses to log on {who}: {shown}")
    return AuthenticationFailed(
        f"SYSPRO refuses to log on {who}: {shown}. Correct operator, company, instance or the passwords in syncengine.yml or "
        ".env, then run `syncengine configure`"
    )


def from_http(status: int, body: str, call: Call, *, is_large: bool = False) -> SyncError | None:
    """The meaning of an answer that did not come from SYSPRO: a status other than 200, or an HTML page. None if it did.

    `is_large`: the call was made by PostLD (section 2.2). HTTP.sys refuses an overlong address before SYSPRO is
    reached, so nothing ran; any other failure of a write leaves that open.
    """
    is_page = _is_page(body)
    if status == 200 and not is_page:
        return None
    shown = f"{call}: HTTP {status}{' with an HTML page' if is_page else ''}"
    if status in (401, 407) or (status == 403 and call.method == LOGON):
        return AuthenticationFailed(
            f"{shown}: the web server or a proxy refuses the call. Check url and its access rules"
        )
    if status == 403:
        return Forbidden(
            f"{shown}: the web server, a proxy or a firewall refuses this call. Check their rules for the address and for "
            "what this call holds"
        )
    if is_large and status in (400, 404, 405, 414, 501):
        return Misconfigured(
            f"{shown} in answer to PostLD: the SYSPRO service of this site is too old for large documents. "
            "Update it, or raise get_limit_bytes if its GET limit allows"
        )
    if status in (400, 413, 414):
        return Rejected(
            field=call.business_object,
            value="",
            reason=f"HTTP {status}: the web server refused the address, most likely as too long",
            remedy="Set get_limit_bytes below the site's limit for a GET, then retry",
        )
    if status == 404:
        return Misconfigured(f"{shown}: no SYSPRO REST service at this address. Check the setting url and its port")
    if call.is_write:
        return OutcomeUnknown(f"{shown} in answer to a write")
    return EndpointDown(shown) if status in (502, 503, 504) or status == 200 else Transient(shown)


def outage(status: int, body: str, settings: Settings) -> str | None:
    """What counts as a failure for the breaker: the web server answers in SYSPRO's place, or says that it is down."""
    is_page = _is_page(body)
    if status in (502, 503, 504) or (status == 200 and is_page):
        return f"HTTP {status}{' with an HTML page' if is_page else ''}"
    if is_error_text(body) and settings.patterns["down_pattern"].search(body):
        return _without_mark(body)
    return None


def _is_page(body: str) -> bool:
    return body[:200].lstrip().lower().startswith(("<!doctype html", "<html"))


def item_errors(document: Mapping[str, Any]) -> list[ItemError]:
    """Every element of a reply that has an `ErrorDescription`, in document order (section 7.2)."""
    found = []
    for path, group, around in walk(document):
        for text in all_of(group, "ErrorDescription"):
            if isinstance(text, str) and text.strip():
                found.append(_item_error(path, group, around, text.strip()))
    return found


def _item_error(path: Sequence[str], group: Mapping[str, Any], around: Sequence[Any], text: str) -> ItemError:
    number, value = text_of(group, "ErrorNumber"), text_of(group, "Value")
    owner = around[-1] if around else {}
    line = text_of(owner, "CustomerPoLine") or text_of(owner, "SalesOrderLine")
    if path and path[-1].lower() not in _GROUPS:
        return ItemError(path[-1], value, number, text, line)
    section = path[-2] if len(path) > 1 else "document"
    name, value = _named_in_text(owner, text, value)
    return ItemError(f"{section}.{name}" if name else section, value, number, text, line)


def _named_in_text(section: Any, text: str, value: str) -> tuple[str, str]:
    """The field of a section that a text speaks of: the one whose value it quotes, or whose name it has."""
    fields = (
        {name: item for name, item in section.items() if isinstance(item, str)} if isinstance(section, Mapping) else {}
    )
    quoted = [value] if value else _QUOTED.findall(text)
    for shown in quoted:
        for name, item in fields.items():
            if item and item == shown.strip():
                return name, item
    if braced := _BRACED.findall(text):
        return braced[-1], fields.get(braced[-1], "")
    for name, item in fields.items():
        if re.search(rf"\b{re.escape(name)}\b", text):
            return name, item
    return "", quoted[0] if quoted else ""


def rejected(errors: Sequence[ItemError], remedies: Mapping[str, str] | None = None) -> Rejected:
    """The first complaint, with the texts of all. `remedies`: those of the business object, by patterns of texts."""
    first = errors[0]
    reasons = dict.fromkeys(_reason(error) for error in errors)
    return Rejected(
        field=first.field,
        value=first.value,
        reason="; ".join(reasons),
        remedy=_remedy(first, remedies or {}),
    )


def _remedy(error: ItemError, remedies: Mapping[str, str]) -> str:
    number = error.number or next((number for number, text in TEXTS.items() if _says(error, text)), "")
    if number in REMEDIES:
        return REMEDIES[number]
    by_text = {**remedies, **_REMEDIES_BY_TEXT}
    return next((remedy for pattern, remedy in by_text.items() if _says(error, pattern)), _USUAL_REMEDY)


def _says(error: ItemError, pattern: str) -> bool:
    return re.search(pattern, error.text, re.IGNORECASE) is not None


def _reason(error: ItemError) -> str:
    number = f" ({error.number})" if error.number else ""
    line = f"line {error.line}: " if error.line.strip("0") else ""
    return f"{line}{error.text}{number}"


def says_duplicate(errors: Sequence[ItemError], settings: Settings) -> bool:
    """True if a refusal says that an object of this key or reference is there already."""
    pattern = settings.patterns["duplicate_pattern"]
    return any(error.number == DUPLICATE_KEY or pattern.search(error.text) is not None for error in errors)


def says_locked(errors: Sequence[ItemError], settings: Settings) -> bool:
    """True if only a lock, of a person at a screen for example, prevented the write (section 12 of the objects)."""
    pattern = settings.patterns["locked_pattern"]
    return bool(errors) and all(pattern.search(error.text) is not None for error in errors)


def is_error_text(text: str) -> bool:
    """True of a decoded body that is an e.net exception: `ERROR: ` or `Error: ` at its beginning (section 2.3)."""
    return text[:5].upper() == "ERROR" and not text[5:6].isalnum()


def _without_mark(text: str) -> str:
    return re.sub(r"\A(error\b:?\s*)+", "", text.strip(), flags=re.IGNORECASE)


def failed_status(document: Mapping[str, Any]) -> bool:
    """True if a `ValidationStatus` of the reply says Failed."""
    return any(text_of(get(group, "ValidationStatus"), "Status").lower() == "failed" for _, group, _ in walk(document))
