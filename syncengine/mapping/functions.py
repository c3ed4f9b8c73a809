"""The functions that expressions may call. Pure, exact, and safe for whatever a document holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from syncengine.mapping import texts
from syncengine.mapping.conversions import parsed, rounded
from syncengine.mapping.runtime import ARITHMETIC, Unfit, key_text, number, plain
from syncengine.mapping.shapes import Kind

LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class Function:
    """A function: how many arguments it takes, the kind of its result, and the function itself.

    `keeps`: the result is of the kind of the arguments (`max` of dates is a date).
    """

    call: Callable[..., Any]
    least: int
    most: int
    kind: Kind
    keeps: bool = False


def text_of(value: Any) -> str:
    """A single value as text, `""` for nothing."""
    if isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date) else key_text(value)


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


def _extreme(choose: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        known = [one for one in (listed(values[0]) if len(values) == 1 else values) if one is not None]
        if any(isinstance(one, int | Decimal | float) for one in known):
            known = [number(one, "a value compared") for one in known]
        return choose(known) if known else None

    return call


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def _first(*values: Any) -> Any:
    for value in _flat(values):
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return None


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
    if not isinstance(value, date):
        raise Unfit("a date is needed to add days to", value=value)
    return value + timedelta(days=int(number(count, "the days")))


def _absolute(value: Any) -> Decimal:
    return number(value, "the value").copy_abs()


FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(_absolute, 1, 1, Kind.DECIMAL),
    "all": Function(lambda values: all(listed(values)), 1, 1, Kind.BOOLEAN),
    "any": Function(lambda values: any(listed(values)), 1, 1, Kind.BOOLEAN),
    "count": Function(_count, 1, 1, Kind.INTEGER),
    "days": Function(_days, 2, 2, Kind.ANY),
    "default": Function(_first, 2, 2, Kind.ANY, keeps=True),
    "ends": Function(lambda text, end: text_of(text).endswith(text_of(end)), 2, 2, Kind.BOOLEAN),
    "first": Function(_first, 1, 20, Kind.ANY, keeps=True),
    "join": Function(_join, 2, 20, Kind.TEXT),
    "left": Function(lambda text, length: text_of(text)[: _positive(length)], 2, 2, Kind.TEXT),
    "length": Function(_length, 1, 1, Kind.INTEGER),
    "lower": Function(lambda text: text_of(text).lower(), 1, 1, Kind.TEXT),
    "max": Function(_extreme(max), 1, 20, Kind.ANY, keeps=True),
    "min": Function(_extreme(min), 1, 20, Kind.ANY, keeps=True),
    "number": Function(_number, 1, 1, Kind.DECIMAL),
    "piece": Function(_piece, 2, 2, Kind.TEXT),
    "replace": Function(_replace, 3, 3, Kind.TEXT),
    "rest": Function(_rest, 2, 2, Kind.TEXT),
    "right": Function(lambda text, length: text_of(text)[-_positive(length) :], 2, 2, Kind.TEXT),
    "round": Function(_round, 1, 2, Kind.DECIMAL),
    "split": Function(_split, 1, 2, Kind.LIST),
    "starts": Function(lambda text, start: text_of(text).startswith(text_of(start)), 2, 2, Kind.BOOLEAN),
    "strip": Function(lambda text: text_of(text).strip(), 1, 1, Kind.TEXT),
    "sum": Function(_sum, 1, 1, Kind.DECIMAL),
    "text": Function(text_of, 1, 1, Kind.TEXT),
    "upper": Function(lambda text: text_of(text).upper(), 1, 1, Kind.TEXT),
    "whole": Function(_whole, 1, 1, Kind.INTEGER),
}


def same(left: Any, right: Any) -> bool:
    """Equality as people mean it: the number 5 and the text `5` are the same id; otherwise kinds must agree."""
    if isinstance(left, str) != isinstance(right, str):
        words = left if isinstance(left, str) else right
        other = right if isinstance(left, str) else left
        if isinstance(other, int | Decimal) and not isinstance(other, bool):
            return words.strip() == plain(number(other, "the value compared"))
        return False
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)


def contains(item: Any, container: Any) -> bool:
    """`item in container`: an item of a list, a part of a text, a name of a group; nothing contains nothing."""
    if container is None:
        return False
    if isinstance(container, str):
        return item is not None and text_of(item) in container
    if isinstance(container, list | tuple):
        return any(same(item, one) for one in container)
    if isinstance(container, dict):
        return key_text(item) in container
    raise Unfit("it is neither a list nor a text to look into", value=container)


def ordered(left: Any, right: Any, sources: tuple[str, str]) -> tuple[Any, Any]:
    """Two values made comparable by size: both numbers, both texts or both dates. Raises Unfit."""
    for value, source in zip((left, right), sources, strict=True):
        if value is None:
            raise Unfit(f"{source} has no value to compare; write default({source}, ...) if it may be missing")
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    if isinstance(left, date) and type(left) is type(right):
        return left, right
    return number(left, sources[0]), number(right, sources[1])
