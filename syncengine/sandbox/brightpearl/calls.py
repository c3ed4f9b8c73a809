"""One API call as a handler sees it, and how its body is read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from werkzeug import Request

from syncengine.sandbox import id_sets
from syncengine.sandbox.brightpearl.errors import BAD_ID_SET, TOO_MANY_IDS, bad_patch, invalid
from syncengine.sandbox.brightpearl.responses import read_decimal, read_moment
from syncengine.sandbox.brightpearl.state import Account

MOST_IDS = 200


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated call; `path` holds the named parts of its path."""

    account: Account
    request: Request
    path: Mapping[str, str]

    def key(self, name: str = "id") -> int:
        """One id of the path."""
        return int(self.path[name])

    def ids(self, known: Mapping[int, object], name: str = "ids", most: int = MOST_IDS) -> list[int]:
        """The known ids of the path's id set, ascending.

        Raises:
            ApiError: 400: not an id set, or too long.
        """
        ascending = self.account.switches.on("brightpearl_id_lists_ascend")
        return list(id_sets.members(_ranges(self.path[name], most, ascending), dict(known)))

    def json(self) -> Any:
        """The body.

        Raises:
            ApiError: 400 `CMNC-010`: the body is missing or not JSON.
        """
        try:
            return json.loads(self.request.get_data())
        except ValueError:
            raise invalid("CMNC-010", "You must supply a JSON formatted body with your request") from None

    def json_object(self) -> dict[str, Any]:
        """The body, which must be an object.

        Raises:
            ApiError: 400 `CMNC-010`.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise invalid("CMNC-010", "You must supply a JSON formatted body with your request")
        return body


@dataclass(frozen=True, slots=True)
class Patch:
    """One operation of a JSON-Patch body (section 9)."""

    op: str
    path: str
    value: Any


def patches(call: Call, allowed: Mapping[str, tuple[str, ...]]) -> list[Patch]:
    """The operations of a PATCH, each allowed for its path.

    Raises:
        ApiError: 400 without an array of operations; 500 `CMNC-044` for one that its path does not allow.
    """
    body = call.json()
    if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
        raise invalid("CMNC-010", "You must supply a JSON formatted body with your request")
    found = [Patch(str(entry.get("op", "")), str(entry.get("path", "")), entry.get("value")) for entry in body]
    for patch in found:
        if patch.op not in allowed.get(patch.path, ()):
            raise bad_patch(patch.op, patch.path)
    return found


def apply(call: Call, operations: list[Patch], change: Callable[[Patch, bool], None]) -> None:
    """Apply operations by `change(patch, is_trial)`: first a trial run of all, so that a bad one changes nothing.

    Without the switch `brightpearl_patch_is_atomic` there is no trial run.
    """
    if call.account.switches.on("brightpearl_patch_is_atomic"):
        for patch in operations:
            change(patch, True)
    for patch in operations:
        change(patch, False)


def read_uris(resource: str, keys: Sequence[int]) -> dict[str, object]:
    """The answer to OPTIONS: where objects of these ascending ids can be read, 200 at a time (section 6)."""
    pages = [id_sets.compact(keys[at : at + MOST_IDS]) for at in range(0, len(keys), MOST_IDS)]
    return {"response": {"getUris": [f"/{resource}/{page}" for page in pages]}}


def part(body: Any, *names: str) -> Any:
    """A nested value, None where any step is missing."""
    for name in names:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def text(value: Any) -> str:
    """A text field; empty for null."""
    return "" if value is None else str(value)


def number(value: Any, field: str, code: str) -> Decimal:
    """A numeric field.

    Raises:
        ApiError: 400 with the code given.
    """
    try:
        return read_decimal(value)
    except ValueError:
        raise invalid(code, f"{field} is not a valid number: {value}") from None


def integer(value: Any, field: str, code: str) -> int:
    """An integer field.

    Raises:
        ApiError: 400 with the code given.
    """
    found = number(value, field, code)
    if found != found.to_integral_value():
        raise invalid(code, f"{field} is not a valid whole number: {value}")
    return int(found)


def moment(value: Any, field: str, code: str) -> datetime:
    """A date or date-time field, aware UTC.

    Raises:
        ApiError: 400 with the code given.
    """
    try:
        return read_moment(str(value))
    except ValueError:
        raise invalid(code, f"{field} is not a valid date: {value}") from None


def _ranges(text: str, most: int, ascending: bool) -> list[tuple[int, int]]:
    """The ranges of an id set in a path.

    Args:
        most: how many ids it may name, known or not.
        ascending: whether parts out of numerical order are refused.

    Raises:
        ApiError: 400; the codes are invented, no recording shows this case.
    """
    try:
        found = id_sets.spans(text)
    except ValueError as problem:
        raise invalid(BAD_ID_SET, f"The ID set {text} is invalid: {problem}") from None
    if ascending and any(after[0] <= before[1] for before, after in itertools.pairwise(found)):
        raise invalid(BAD_ID_SET, f"The ID set {text} is invalid: it must be in ascending order")
    if sum(high - low + 1 for low, high in found) > most:
        raise invalid(TOO_MANY_IDS, f"The ID set has more than the {most} IDs allowed")
    return found
