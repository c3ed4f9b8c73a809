"""From one kind of value to another: which conversions exist, what they need to be told, the closures that do them."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from types import UnionType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from syncengine.mapping.runtime import Frame, Unfit, Written, number, plain
from syncengine.mapping.shapes import Kind

ROUNDINGS = {
    "half_up": decimal.ROUND_HALF_UP,
    "half_even": decimal.ROUND_HALF_EVEN,
    "half_down": decimal.ROUND_HALF_DOWN,
    "up": decimal.ROUND_UP,
    "down": decimal.ROUND_DOWN,
    "ceiling": decimal.ROUND_CEILING,
    "floor": decimal.ROUND_FLOOR,
}

Convert = Callable[[Any, Frame], Any]
"""Takes a value that is not None; raises Unfit where it cannot be converted."""

_DECIMAL_TEXT = re.compile(r"[+-]?(?:\d{1,30})(?:\.\d{1,60})?", re.ASCII)
_TIMES = (Kind.DATE, Kind.DATETIME)
_TRUE, _FALSE = frozenset({"true", "y", "yes"}), frozenset({"false", "n", "no"})


@dataclass(frozen=True)
class Manner:
    """What a conversion may be told: decimal places, how to round, the format of dates as text, the time zone."""

    places: int | None = None
    rounding: str | None = None
    format: str | None = None
    zone: Callable[[Frame], tzinfo] | None = None


def zone_named(name: Any) -> tzinfo:
    """The time zone of an IANA name. Raises Unfit."""
    if not isinstance(name, str) or not name:
        raise Unfit("a time zone is needed, such as Europe/London", value=name, remedy="Correct the setting")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unfit(f"there is no time zone {name[:60]!r}", value=name, remedy="Correct the setting") from None


def impossible(source: Kind, target: Kind, manner: Manner) -> str | None:
    """Why a value of one kind can never become the other in this manner, and the way out; None if it can."""
    if source is Kind.ANY and target in _TIMES:
        return _vague(manner.format)
    if Kind.ANY in (source, target) or source == target:
        return None
    if source in (Kind.GROUP, Kind.LIST):
        return f"a {source} cannot become {_a(target)}: name one field of it, or join, sum or count it"
    if target in (Kind.GROUP, Kind.LIST):
        return f"{_a(source)} cannot become a {target}"
    if Kind.BOOLEAN in (source, target) and (source, target) != (Kind.TEXT, Kind.BOOLEAN):
        return f"{_a(source)} cannot become {_a(target)}: use when, then and else, or compare it"
    return _impossible_time(source, target, manner)


def _impossible_time(source: Kind, target: Kind, manner: Manner) -> str | None:
    if source not in _TIMES and target not in _TIMES:
        return None
    if {source, target} & {Kind.INTEGER, Kind.DECIMAL}:
        return f"{_a(source)} cannot become {_a(target)}"
    if source is Kind.TEXT and manner.format is None:
        return f"text becomes {_a(target)} only with a format, such as format: '%Y-%m-%d'"
    if source is Kind.TEXT and target is Kind.DATETIME and manner.zone is None and "%z" not in (manner.format or ""):
        return "text becomes a datetime only with a zone, or %z in its format"
    if {source, target} == set(_TIMES) and manner.zone is None:
        return f"{_a(source)} becomes {_a(target)} only in a time zone, such as zone: settings.time_zone"
    if source is Kind.DATETIME and target is Kind.TEXT and (manner.zone is None or manner.format is None):
        return "a datetime becomes text only with a zone and a format"
    return _vague(manner.format) if source is Kind.TEXT else None


def _vague(pattern: str | None) -> str | None:
    """What is wrong with a pattern of strptime that names no year or no day: Python takes those of 1 January 1900."""
    if pattern is None:
        return None
    names = set(re.findall(r"%(.)", pattern))
    in_month = "d" in names and bool(names & {"m", "b", "B"})
    if (names & {"Y", "y"} and (in_month or "j" in names)) or {"G", "V", "u"} <= names:
        return None
    return f"the format {pattern} does not say which day it is: it needs year, month and day, such as '%Y-%m-%d'"


def _a(kind: Kind) -> str:
    if kind is Kind.TEXT:
        return "text"
    return f"{'an' if kind is Kind.INTEGER else 'a'} {kind}"


def converter(target: Kind, manner: Manner, what: str) -> Convert:
    """The closure that makes a value the wanted kind. `what` names the source in its complaints."""
    made: dict[Kind, Convert] = {
        Kind.TEXT: _to_text(manner, what),
        Kind.INTEGER: _to_integer(manner, what),
        Kind.DECIMAL: _to_decimal(manner, what),
        Kind.BOOLEAN: _to_boolean(what),
        Kind.DATE: _to_date(manner, what),
        Kind.DATETIME: _to_datetime(manner, what),
        Kind.LIST: _unchanged(list | tuple, "a list", what),
        Kind.GROUP: _unchanged(dict, "a group of fields", what),
    }
    return made.get(target, lambda value, _: value)


def _unchanged(kind: UnionType | type, name: str, what: str) -> Convert:
    def convert(value: Any, _: Frame) -> Any:
        if not isinstance(value, kind):
            raise Unfit(f"{what} is not {name}", value=value)
        return value

    return convert


def _to_text(manner: Manner, what: str) -> Convert:
    rounding = ROUNDINGS[manner.rounding or "half_up"]

    def convert(value: Any, frame: Frame) -> Any:
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, bool):
            raise Unfit(f"{what} is true or false, and text is needed", value=value)
        if isinstance(value, Written) and manner.places is None:
            return format(value, "f")
        if isinstance(value, int | Decimal | float):
            exact = number(value, what)
            return plain(exact) if manner.places is None else format(rounded(exact, manner.places, rounding), "f")
        if isinstance(value, date):
            return _time_text(value, manner, what, frame)
        raise Unfit(f"{what} is not a single value, and text is needed", value=value)

    return convert


def _time_text(value: date, manner: Manner, what: str, frame: Frame) -> str:
    if isinstance(value, datetime):
        if manner.zone is None or value.tzinfo is None:
            raise Unfit(f"{what} is a time, and becomes text only in a time zone", value=value)
        value = value.astimezone(manner.zone(frame))
    return value.strftime(manner.format) if manner.format else value.isoformat()


def numeric(text: str) -> Decimal | None:
    """The number that a text without white space at its ends is; None if it is not one (no thousands separators)."""
    return Decimal(text) if _DECIMAL_TEXT.fullmatch(text) else None


def parsed(value: Any, what: str) -> Decimal:
    """A number, or a text that is one. Raises Unfit."""
    if isinstance(value, str):
        exact = numeric(value.strip())
        value = value if exact is None else exact
    return number(value, what)


def rounded(value: Decimal, places: int, rounding: str = decimal.ROUND_HALF_UP) -> Decimal:
    """The number with exactly so many decimal places. Never minus zero."""
    result = value.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=_WIDE)
    return result if result else abs(result)


_WIDE = decimal.Context(prec=120, traps=[decimal.InvalidOperation, decimal.Overflow])


def _to_decimal(manner: Manner, what: str) -> Convert:
    places, rounding = manner.places, ROUNDINGS[manner.rounding or "half_up"]
    if places is None:
        return lambda value, _: parsed(value, what)
    decided: int = places
    return lambda value, _: rounded(parsed(value, what), decided, rounding)


def _to_integer(manner: Manner, what: str) -> Convert:
    def convert(value: Any, _: Frame) -> Any:
        if type(value) is int and value.bit_length() <= 96:
            return value
        exact = parsed(value, what)
        if manner.rounding is None and exact != exact.to_integral_value():
            raise Unfit(f"{what} is not a whole number", value=value)
        return int(rounded(exact, 0, ROUNDINGS[manner.rounding or "half_up"]))

    return convert


def _to_boolean(what: str) -> Convert:
    def convert(value: Any, _: Frame) -> Any:
        if isinstance(value, bool):
            return value
        word = value.strip().lower() if isinstance(value, str) else None
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise Unfit(f"{what} is neither true nor false", value=value)

    return convert


def _to_date(manner: Manner, what: str) -> Convert:
    def convert(value: Any, frame: Frame) -> Any:
        if isinstance(value, datetime):
            if manner.zone is None or value.tzinfo is None:
                raise Unfit(f"{what} is a time, and becomes a date only in a time zone", value=value)
            return value.astimezone(manner.zone(frame)).date()
        if isinstance(value, date):
            return value
        return _from_text(value, manner, what).date()

    return convert


def _to_datetime(manner: Manner, what: str) -> Convert:
    def convert(value: Any, frame: Frame) -> Any:
        if not isinstance(value, date):
            value = _from_text(value, manner, what)
        elif not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if value.tzinfo is None:
            if manner.zone is None:
                raise Unfit(f"{what} becomes a time only in a time zone", value=value)
            value = value.replace(tzinfo=manner.zone(frame))
        return value.astimezone(UTC)

    return convert


def _from_text(value: Any, manner: Manner, what: str) -> datetime:
    if not isinstance(value, str) or manner.format is None:
        raise Unfit(f"{what} is not a date", value=value)
    try:
        return datetime.strptime(value.strip(), manner.format)  # noqa: DTZ007 - the zone is put on by the caller
    except ValueError:
        raise Unfit(f"{what} is not a date of the form {manner.format}", value=value) from None
