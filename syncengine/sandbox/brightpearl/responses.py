"""JSON as Brightpearl writes it: strings with fixed decimals, the account's time zone, escaped markup (section 3.1)."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

CONTENT_TYPE = "application/json;charset=UTF-8"

#: Two-letter code: (countryId, name, three letters).
COUNTRIES: dict[str, tuple[int, str, str]] = {
    "GB": (222, "United Kingdom", "GBR"),
    "US": (223, "United States", "USA"),
    "IE": (103, "Ireland", "IRL"),
    "DE": (81, "Germany", "DEU"),
    "FR": (73, "France", "FRA"),
    "PL": (170, "Poland", "POL"),
    "CZ": (56, "Czech Republic", "CZE"),
    "GR": (84, "Greece", "GRC"),
    "JP": (107, "Japan", "JPN"),
}
_BY_THREE = {three: two for two, (_, _, three) in COUNTRIES.items()}
_BY_ID = {number: two for two, (number, _, _) in COUNTRIES.items()}


_MARKED_NUMBER = re.compile(r'"\\u0000([-.\d]+)\\u0000"')


def _marked(value: object) -> str:
    if isinstance(value, Decimal):
        return f"\0{value:f}\0"
    raise TypeError(f"{value!r} has no JSON form")


def dumps(body: object) -> str:
    """JSON text with `=`, `<` and `>` as `\\uXXXX`; none of them is JSON's own, so they can only be in strings.

    A Decimal becomes a JSON number with its decimals (`0.00`), which `json` cannot write (section 14.8).
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=_marked)
    text = _MARKED_NUMBER.sub(r"\1", text)
    return text.replace("=", "\\u003d").replace("<", "\\u003c").replace(">", "\\u003e")


def decimals(value: Decimal, places: int) -> str:
    """A number as a string with fixed decimals, rounded half up."""
    return str(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def moment(value: datetime, zone: tzinfo) -> str:
    """`yyyy-MM-ddTHH:mm:ss.SSS+hh:mm` in the zone's offset of that day."""
    return value.astimezone(zone).isoformat(timespec="milliseconds")


def read_moment(text: str) -> datetime:
    """A date or date-time that a client sent, aware UTC; a bare date is midnight UTC (section 3.1).

    Raises:
        ValueError: it is neither.
    """
    if len(text) == 10:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    value = datetime.fromisoformat(text)
    if len(text) < 16:
        raise ValueError(f"{text!r} is not an ISO 8601 date-time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def read_decimal(value: object) -> Decimal:
    """A number sent as JSON number or string.

    Raises:
        ValueError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a number")
    return number


def country_of(code: str = "", country_id: int = 0) -> str:
    """Two-letter code of a country given by two or three letters or by id; empty if unknown."""
    code = code.upper()
    return code if code in COUNTRIES else _BY_THREE.get(code) or _BY_ID.get(country_id, "")
