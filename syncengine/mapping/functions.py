"""The functions that expressions may call. Pure, exact, and safe for whatever a document holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from syncengine.mapping import texts
from syncengine.mapping.conversions import parsed, rounded
from syncengine.mapping.order import comparable, is_empty, truth
from syncengine.mapping.runtime import ARITHMETIC, Unfit, key_text, number
from syncengine.mapping.shapes import Kind

LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class Function:
    """A function: how many arguments it takes, the kind of its result, and the function itself.

    `keeps`: the result is of the kind of the arguments (`max` of dates is a date). `flat`: of a list's items, that is.
    `takes`: the kind of the first argument where no other makes sense, with what to do about another.
    """

    call: Callable[..., Any]
    least: int
    most: int
    kind: Kind
    keeps: bool = False
    flat: bool = False
    takes: tuple[Kind, str] | None = None


def text_of(value: Any) -> str:
    """A single value as text, `""` for nothing."""
    return value if isinstance(value, str) else key_text(value)


def listed(value: Any, what: str = "the list") -> list[Any]:
    """A list as it is, nothing as an empty one. Raises Unfit for anything else."""
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
    """`min` or `max` by the one order; of values with the same place the first. A number if there is one among them."""

    def call(*values: Any) -> Any:
        known = [one for one in (listed(values[0]) if len(values) == 1 else values) if not is_empty(one)]
        if not known:
            return None
        ranks = comparable(known, ["a value compared"] * len(known))
        found = choose(range(len(known)), key=ranks.__getitem__)
        if any(isinstance(one, int | Decimal | float) for one in known):
            return ranks[found][1]
        return known[found]

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


def _whole(value: Any) -> int:
    """The whole number in a text or number; fractions are refused."""
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


def _rest(value: Any, longest: Any) -> str:
    return " ".join(texts.wrap(text_of(value), _positive(longest))[1:])


def _split(value: Any, separator: Any = ",") -> list[str]:
    mark = text_of(separator)
    if not mark:
        raise Unfit("a separator to split at is needed")
    return [part.strip() for part in text_of(value).split(mark) if part.strip()]


def _replace(value: Any, old: Any, new: Any) -> str:
    text, wanted, put = text_of(value), text_of(old), text_of(new)
    if not wanted:
        return text
    if len(text) + text.count(wanted) * len(put) > LONGEST_TEXT:
        raise Unfit("the replaced text is too long", value=len(text))
    return text.replace(wanted, put)


def _days(value: Any, count: Any) -> date:
    """Days by the calendar. A time is refused: 24 hours later need not be the next day of its zone."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Unfit("a date is needed to add days to", value=value)
    return value + timedelta(days=_whole(count))


def _of_text(holds: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    """A question about a part of a text; the answer for an empty part is no."""

    def call(text: Any, part: Any) -> bool:
        wanted = text_of(part)
        return bool(wanted) and holds(text_of(text), wanted)

    return call


def _absolute(value: Any) -> Decimal:
    return number(value, "the value").copy_abs()


_NAME_A_DATE = "name it under values: or let: with as: date, and a zone: if it is a time"

FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(_absolute, 1, 1, Kind.DECIMAL),
    "all": Function(lambda values: all(map(truth, listed(values))), 1, 1, Kind.BOOLEAN),
    "any": Function(lambda values: any(map(truth, listed(values))), 1, 1, Kind.BOOLEAN),
    "contains": Function(_of_text(str.__contains__), 2, 2, Kind.BOOLEAN),
    "count": Function(_count, 1, 1, Kind.INTEGER),
    "days": Function(_days, 2, 2, Kind.DATE, takes=(Kind.DATE, _NAME_A_DATE)),
    "default": Function(_default, 2, 2, Kind.ANY, keeps=True),
    "ends": Function(_of_text(str.endswith), 2, 2, Kind.BOOLEAN),
    "first": Function(_first, 1, 20, Kind.ANY, keeps=True, flat=True),
    "join": Function(_join, 2, 20, Kind.TEXT),
    "left": Function(lambda text, length: text_of(text)[: _positive(length)], 2, 2, Kind.TEXT),
    "length": Function(_length, 1, 1, Kind.INTEGER),
    "lower": Function(lambda text: text_of(text).lower(), 1, 1, Kind.TEXT),
    "max": Function(_extreme(max), 1, 20, Kind.ANY, keeps=True, flat=True),
    "min": Function(_extreme(min), 1, 20, Kind.ANY, keeps=True, flat=True),
    "number": Function(_number, 1, 1, Kind.DECIMAL),
    "piece": Function(_piece, 2, 2, Kind.TEXT),
    "replace": Function(_replace, 3, 3, Kind.TEXT),
    "rest": Function(_rest, 2, 2, Kind.TEXT),
    "right": Function(lambda text, length: text_of(text)[-_positive(length) :], 2, 2, Kind.TEXT),
    "round": Function(_round, 1, 2, Kind.DECIMAL),
    "split": Function(_split, 1, 2, Kind.LIST),
    "starts": Function(_of_text(str.startswith), 2, 2, Kind.BOOLEAN),
    "strip": Function(lambda text: text_of(text).strip(), 1, 1, Kind.TEXT),
    "sum": Function(_sum, 1, 1, Kind.DECIMAL),
    "text": Function(text_of, 1, 1, Kind.TEXT),
    "upper": Function(lambda text: text_of(text).upper(), 1, 1, Kind.TEXT),
    "whole": Function(_whole, 1, 1, Kind.INTEGER),
}
