"""Conversions from one kind of value to another: which ones exist, their options, and the closures that convert."""

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

from syncengine.mapping.runtime import DecimalLiteral, Frame, Unfit, number, plain
from syncengine.mapping.shapes import ValueKind

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
"""Takes a value that is not None. Raises Unfit if it cannot be converted."""

_DECIMAL_TEXT = re.compile(r"[+-]?(?:\d{1,30})(?:\.\d{1,60})?", re.ASCII)
_TIMES = (ValueKind.DATE, ValueKind.DATETIME)
_TRUE, _FALSE = frozenset({"true", "y", "yes"}), frozenset({"false", "n", "no"})


@dataclass(frozen=True)
class ConversionOptions:
    """Options of a conversion: decimal places, rounding, strftime format of dates as text, time zone."""

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
        raise Unfit(f"{name[:60]!r} is not a time zone", value=name, remedy="Correct the setting") from None


def why_impossible(source: ValueKind, target: ValueKind, options: ConversionOptions) -> str | None:
    """Why a value of one kind can never become the other with these options, and the remedy; None if it can."""
    if source is ValueKind.ANY and target in _TIMES:
        return _vague(options.format)
    if ValueKind.ANY in (source, target) or source == target:
        return None
    if source in (ValueKind.GROUP, ValueKind.LIST):
        return f"a {source} cannot become {_a(target)}: name one field of it, or join, sum or count it"
    if target in (ValueKind.GROUP, ValueKind.LIST):
        return f"{_a(source)} cannot become a {target}"
    if ValueKind.BOOLEAN in (source, target) and (source, target) != (ValueKind.TEXT, ValueKind.BOOLEAN):
        return f"{_a(source)} cannot become {_a(target)}: use when, then and else, or compare it"
    return _impossible_time(source, target, options)


_SINGLE = (ValueKind.TEXT, ValueKind.INTEGER, ValueKind.DECIMAL, ValueKind.DATE, ValueKind.DATETIME, ValueKind.BOOLEAN)


def fitting(target: ValueKind) -> str:
    """The kinds of results that a target of this kind takes, with the entries they need: `datetime with zone:`."""
    if target in (ValueKind.GROUP, ValueKind.LIST):
        return f"{target} of the same form"
    if target is ValueKind.ANY:
        return "any"
    found = {kind: _entries_needed(kind, target) for kind in _SINGLE}
    return ", ".join(f"{kind}{needed}" for kind, needed in found.items() if needed is not None)


def _entries_needed(source: ValueKind, target: ValueKind) -> str | None:
    """` with zone: and format:`, empty if none is needed, None if no entries help."""
    zone: Callable[[Frame], tzinfo] = lambda _: UTC  # noqa: E731 - it is never called
    tries = {
        "": ConversionOptions(),
        " with zone:": ConversionOptions(zone=zone),
        " with format:": ConversionOptions(format="%Y-%m-%d"),
        " with zone: and format:": ConversionOptions(zone=zone, format="%Y-%m-%d"),
    }
    return next(
        (entries for entries, options in tries.items() if why_impossible(source, target, options) is None), None
    )


def _impossible_time(source: ValueKind, target: ValueKind, options: ConversionOptions) -> str | None:
    if source not in _TIMES and target not in _TIMES:
        return None
    if {source, target} & {ValueKind.INTEGER, ValueKind.DECIMAL}:
        return f"{_a(source)} cannot become {_a(target)}"
    if source is ValueKind.TEXT and options.format is None:
        return f"text becomes {_a(target)} only with a format, such as format: '%Y-%m-%d'"
    if source is ValueKind.TEXT and target is ValueKind.DATETIME and not _has_zone(options):
        return "text becomes a datetime only with a zone, or %z in its format"
    if {source, target} == set(_TIMES) and options.zone is None:
        return f"{_a(source)} becomes {_a(target)} only in a time zone, such as zone: settings.time_zone"
    if source is ValueKind.DATETIME and target is ValueKind.TEXT and (options.zone is None or options.format is None):
        return "a datetime becomes text only with a zone and a format"
    return _vague(options.format) if source is ValueKind.TEXT else None


def _has_zone(options: ConversionOptions) -> bool:
    return options.zone is not None or "%z" in (options.format or "")


def _vague(pattern: str | None) -> str | None:
    """What is wrong with a strptime pattern that lacks the year or the day, for which Python takes 1 January 1900."""
    if pattern is None:
        return None
    names = set(re.findall(r"%(.)", pattern))
    in_month = "d" in names and bool(names & {"m", "b", "B"})
    if (names & {"Y", "y"} and (in_month or "j" in names)) or {"G", "V", "u"} <= names:
        return None
    return f"the format {pattern} does not say which day it is: it needs year, month and day, such as '%Y-%m-%d'"


def _a(kind: ValueKind) -> str:
    if kind is ValueKind.TEXT:
        return "text"
    return f"{'an' if kind is ValueKind.INTEGER else 'a'} {kind}"


def converter(target: ValueKind, options: ConversionOptions, what: str) -> Convert:
    """The closure that converts a value to the target kind. `what` names the source in its error texts."""
    converters: dict[ValueKind, Convert] = {
        ValueKind.TEXT: _to_text(options, what),
        ValueKind.INTEGER: _to_integer(options, what),
        ValueKind.DECIMAL: _to_decimal(options, what),
        ValueKind.BOOLEAN: _to_boolean(what),
        ValueKind.DATE: _to_date(options, what),
        ValueKind.DATETIME: _to_datetime(options, what),
        ValueKind.LIST: _unchanged(list | tuple, "a list", what),
        ValueKind.GROUP: _unchanged(dict, "a group of fields", what),
    }
    return converters.get(target, lambda value, _: value)


def _unchanged(kind: UnionType | type, name: str, what: str) -> Convert:
    def convert(value: Any, _: Frame) -> Any:
        if not isinstance(value, kind):
            raise Unfit(f"{what} is not {name}", value=value)
        return value

    return convert


def _to_text(options: ConversionOptions, what: str) -> Convert:
    rounding = ROUNDINGS[options.rounding or "half_up"]

    def convert(value: Any, frame: Frame) -> Any:
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, bool):
            raise Unfit(f"{what} is true or false, but text is needed", value=value)
        if isinstance(value, DecimalLiteral) and options.places is None:
            return format(value, "f")
        if isinstance(value, int | Decimal | float):
            exact = number(value, what)
            return plain(exact) if options.places is None else format(rounded(exact, options.places, rounding), "f")
        if isinstance(value, date):
            return _time_text(value, options, what, frame)
        raise Unfit(f"{what} is not a single value, but text is needed", value=value)

    return convert


def _time_text(value: date, options: ConversionOptions, what: str, frame: Frame) -> str:
    if isinstance(value, datetime):
        if options.zone is None or value.tzinfo is None:
            raise Unfit(f"{what} is a time and becomes text only in a time zone", value=value)
        value = value.astimezone(options.zone(frame))
    return value.strftime(options.format) if options.format else value.isoformat()


def numeric(text: str) -> Decimal | None:
    """The number in a text without surrounding white space; None if it is not a number. No thousands separators."""
    return Decimal(text) if _DECIMAL_TEXT.fullmatch(text) else None


def parsed(value: Any, what: str) -> Decimal:
    """The number in a value: a number itself, or a numeric text. Raises Unfit."""
    if isinstance(value, str):
        exact = numeric(value.strip())
        value = value if exact is None else exact
    return number(value, what)


def rounded(value: Decimal, places: int, rounding: str = decimal.ROUND_HALF_UP) -> Decimal:
    """The number with exactly this number of decimal places. Never minus zero."""
    result = value.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=_WIDE)
    return result if result else abs(result)


_WIDE = decimal.Context(prec=120, traps=[decimal.InvalidOperation, decimal.Overflow])


def _to_decimal(options: ConversionOptions, what: str) -> Convert:
    places, rounding = options.places, ROUNDINGS[options.rounding or "half_up"]
    if places is None:
        return lambda value, _: parsed(value, what)
    digits: int = places
    return lambda value, _: rounded(parsed(value, what), digits, rounding)


def _to_integer(options: ConversionOptions, what: str) -> Convert:
    def convert(value: Any, _: Frame) -> Any:
        if type(value) is int and value.bit_length() <= 96:
            return value
        exact = parsed(value, what)
        if options.rounding is None and exact != exact.to_integral_value():
            raise Unfit(f"{what} is not a whole number", value=value)
        return int(rounded(exact, 0, ROUNDINGS[options.rounding or "half_up"]))

    return convert


def _to_boolean(what: str) -> Convert:
    def convert(value: Any, _: Frame) -> Any:
        if isinstance(value, bool):
            return value
        text = value.strip().lower() if isinstance(value, str) else None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise Unfit(f"{what} is neither true nor false", value=value)

    return convert


def _to_date(options: ConversionOptions, what: str) -> Convert:
    def convert(value: Any, frame: Frame) -> Any:
        if isinstance(value, datetime):
            if options.zone is None or value.tzinfo is None:
                raise Unfit(f"{what} is a time and becomes a date only in a time zone", value=value)
            return value.astimezone(options.zone(frame)).date()
        if isinstance(value, date):
            return value
        return _from_text(value, options, what).date()

    return convert


def _to_datetime(options: ConversionOptions, what: str) -> Convert:
    def convert(value: Any, frame: Frame) -> Any:
        if not isinstance(value, date):
            value = _from_text(value, options, what)
        elif not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if value.tzinfo is None:
            if options.zone is None:
                raise Unfit(f"{what} becomes a time only in a time zone", value=value)
            value = value.replace(tzinfo=options.zone(frame))
        return value.astimezone(UTC)

    return convert


def _from_text(value: Any, options: ConversionOptions, what: str) -> datetime:
    if not isinstance(value, str) or options.format is None:
        raise Unfit(f"{what} is not a date", value=value)
    try:
        return datetime.strptime(value.strip(), options.format)  # noqa: DTZ007 - the caller adds the zone
    except ValueError:
        raise Unfit(f"{what} is not a date of the form {options.format}", value=value) from None
