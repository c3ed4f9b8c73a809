"""The functions that expressions may call. Pure, exact, and safe for any content of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from syncengine.mapping import texts
from syncengine.mapping.conversions import parsed, rounded
from syncengine.mapping.order import comparable, is_empty, truth
from syncengine.mapping.runtime import ARITHMETIC, Unfit, key_text, number
from syncengine.mapping.shapes import ValueKind

LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class Function:
    """A function: the function itself, how many arguments it takes (`least` to `most`), and the kind of its result.

    keeps: the result has the kind of the arguments (`max` of dates is a date). flat: a list counts as its items.
    takes: the only valid kind of the first argument, and the remedy for any other kind; None if any kind is valid.
    """

    call: Callable[..., Any]
    least: int
    most: int
    kind: ValueKind
    keeps: bool = False
    flat: bool = False
    takes: tuple[ValueKind, str] | None = None


def text_of(value: Any) -> str:
    """A single value as text, `""` for None. Raises Unfit for a group or a list."""
    return value if isinstance(value, str) else key_text(value)


def listed(value: Any, what: str = "the list") -> list[Any]:
    """A list as it is, None as an empty list. Raises Unfit for anything else."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return list(value)
    raise Unfit(f"{what} is not a list", value=value)


def _sum(values: Any) -> Decimal:
    total = Decimal(0)
    for value in listed(values, "what is summed"):
        total = ARITHMETIC.add(total, number(value, "a summand"))
    return total


def _extreme(choose: Callable[..., int]) -> Callable[..., Any]:
    """`min` or `max` by `order.rank`; the first of equal values. The result is a number if any value is one."""

    def call(*values: Any) -> Any:
        filled = [value for value in (listed(values[0]) if len(values) == 1 else values) if not is_empty(value)]
        if not filled:
            return None
        ranks = comparable(filled, ["a value compared"] * len(filled))
        found = choose(range(len(filled)), key=ranks.__getitem__)
        if any(isinstance(value, int | Decimal | float) for value in filled):
            return ranks[found][1]
        return filled[found]

    return call


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def _first(*values: Any) -> Any:
    for value in _flat(values):
        if not is_empty(value):
            return value
    return None


def _default(value: Any, other: Any) -> Any:
    return other if is_empty(value) else value


def _join(separator: Any, *values: Any) -> str:
    parts = [text_of(value).strip() for value in _flat(values)]
    joined = text_of(separator).join(part for part in parts if part)
    if len(joined) > LONGEST_TEXT:
        raise Unfit("the joined text is too long", value=len(joined))
    return joined


def _count(values: Any) -> int:
    return len(listed(values, "what is counted"))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple) else len(text_of(value))


def _round(value: Any, places: Any = 0) -> Decimal:
    digits = int(number(places, "the places to round to"))
    if not 0 <= digits <= 12:
        raise Unfit("the places to round to are 0 to 12", value=digits)
    return rounded(number(value, "what is rounded"), digits)


def _floor(value: Any) -> Decimal:
    return number(value, "what is rounded down").to_integral_value(rounding=ROUND_FLOOR)


def _integer(value: Any) -> int:
    """The integer in a text or number. Refuses fractions."""
    exact = _number(value)
    if exact != exact.to_integral_value():
        raise Unfit("it is not a whole number", value=value)
    return int(exact)


def _number(value: Any) -> Decimal:
    if isinstance(value, str):
        return parsed(value, "the text")
    return number(value, "the value")


def _positive(value: Any) -> int:
    length = int(number(value, "the length"))
    if not 1 <= length <= LONGEST_TEXT:
        raise Unfit("a length of 1 or more is needed", value=length)
    return length


def _piece(value: Any, longest: Any) -> str:
    pieces = texts.wrap(text_of(value), _positive(longest))
    return pieces[0] if pieces else ""


def _digits(value: Any) -> str:
    text = text_of(value).strip()
    return text if text.isascii() and text.isdigit() else ""


def _unique(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in listed(values):
        if value not in found:
            found.append(value)
    return found


def _rest(value: Any, longest: Any) -> str:
    return " ".join(texts.wrap(text_of(value), _positive(longest))[1:])


def _split(value: Any, separator: Any = ",") -> list[str]:
    mark = text_of(separator)
    if not mark:
        raise Unfit("a separator to split at is needed")
    return [part.strip() for part in text_of(value).split(mark) if part.strip()]


def _replace(value: Any, old: Any, new: Any) -> str:
    text, searched, replacement = text_of(value), text_of(old), text_of(new)
    if not searched:
        return text
    if len(text) + text.count(searched) * len(replacement) > LONGEST_TEXT:
        raise Unfit("the replaced text is too long", value=len(text))
    return text.replace(searched, replacement)


def _days(value: Any, count: Any) -> date:
    """A date this number of days later. Refuses a time: 24 hours later need not be the next day in its zone."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Unfit("a date is needed to add days to", value=value)
    return value + timedelta(days=_integer(count))


def _of_text(holds: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    """A test for a part of a text. It is false for an empty part."""

    def call(text: Any, part: Any) -> bool:
        searched = text_of(part)
        return bool(searched) and holds(text_of(text), searched)

    return call


def _absolute(value: Any) -> Decimal:
    return number(value, "the value").copy_abs()


NAME_A_DATE = "name it under values: or let: with as: date, and a zone: if it is a time"

FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(_absolute, 1, 1, ValueKind.DECIMAL),
    "all": Function(lambda values: all(map(truth, listed(values))), 1, 1, ValueKind.BOOLEAN),
    "any": Function(lambda values: any(map(truth, listed(values))), 1, 1, ValueKind.BOOLEAN),
    "contains": Function(_of_text(str.__contains__), 2, 2, ValueKind.BOOLEAN),
    "count": Function(_count, 1, 1, ValueKind.INTEGER),
    "days": Function(_days, 2, 2, ValueKind.DATE, takes=(ValueKind.DATE, NAME_A_DATE)),
    "default": Function(_default, 2, 2, ValueKind.ANY, keeps=True),
    "digits": Function(_digits, 1, 1, ValueKind.TEXT),
    "ends": Function(_of_text(str.endswith), 2, 2, ValueKind.BOOLEAN),
    "first": Function(_first, 1, 20, ValueKind.ANY, keeps=True, flat=True),
    "floor": Function(_floor, 1, 1, ValueKind.DECIMAL),
    "join": Function(_join, 2, 20, ValueKind.TEXT),
    "left": Function(lambda text, length: text_of(text)[: _positive(length)], 2, 2, ValueKind.TEXT),
    "length": Function(_length, 1, 1, ValueKind.INTEGER),
    "lower": Function(lambda text: text_of(text).lower(), 1, 1, ValueKind.TEXT),
    "max": Function(_extreme(max), 1, 20, ValueKind.ANY, keeps=True, flat=True),
    "min": Function(_extreme(min), 1, 20, ValueKind.ANY, keeps=True, flat=True),
    "number": Function(_number, 1, 1, ValueKind.DECIMAL),
    "piece": Function(_piece, 2, 2, ValueKind.TEXT),
    "replace": Function(_replace, 3, 3, ValueKind.TEXT),
    "rest": Function(_rest, 2, 2, ValueKind.TEXT),
    "right": Function(lambda text, length: text_of(text)[-_positive(length) :], 2, 2, ValueKind.TEXT),
    "round": Function(_round, 1, 2, ValueKind.DECIMAL),
    "split": Function(_split, 1, 2, ValueKind.LIST),
    "starts": Function(_of_text(str.startswith), 2, 2, ValueKind.BOOLEAN),
    "strip": Function(lambda text: text_of(text).strip(), 1, 1, ValueKind.TEXT),
    "sum": Function(_sum, 1, 1, ValueKind.DECIMAL),
    "text": Function(text_of, 1, 1, ValueKind.TEXT),
    "unique": Function(_unique, 1, 1, ValueKind.LIST),
    "upper": Function(lambda text: text_of(text).upper(), 1, 1, ValueKind.TEXT),
    "whole": Function(_integer, 1, 1, ValueKind.INTEGER),
}
