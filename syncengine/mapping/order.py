"""Which values are empty, true as a condition, or equal, and the order of values of all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from syncengine.mapping.conversions import numeric
from syncengine.mapping.runtime import LARGEST_POWER, Unfit, key_text, normal, number, plain

_INTEGER_AND_TEXT = {(int, int), (int, str), (str, int)}


def is_empty(value: Any) -> bool:
    """True for None and for text that is only white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def truth(value: Any) -> bool:
    """Whether a value is true as a condition. None, blank text, 0, false, an empty list and an empty group are not."""
    return bool(value.strip() if isinstance(value, str) else value)


def rank(value: Any, what: str = "the value") -> tuple[int, Any, str]:
    """A sort key for single values of all kinds. Two values have the same key if and only if they are `same`.

    The order is: numbers and numeric texts by value, then by text; other texts; dates; times; booleans; empty values.
    Raises Unfit for a group, a list, and a number that is not finite.
    """
    if is_empty(value):
        return (5, 0, "")
    if isinstance(value, str):
        text = normal(value)
        exact = numeric(text)
        return (1, text, "") if exact is None else (0, exact, text)
    if isinstance(value, bool):
        return (4, value, "")
    if isinstance(value, datetime):
        return (3, value if value.tzinfo else value.replace(tzinfo=UTC), "")
    if isinstance(value, date):
        return (2, value, "")
    if isinstance(value, dict | list | tuple):
        raise Unfit(f"{what} is a group or a list, but only single values can be sorted", value=value)
    exact = number(value, what)
    return (0, exact, plain(exact))


def same(left: Any, right: Any) -> bool:
    """Equality as people mean it: 5 equals the text `5`, all empty values are equal, otherwise kinds must agree."""
    kinds = type(left), type(right)
    if kinds == (str, str):
        return left == right or bool(normal(left) == normal(right))
    if (
        kinds in _INTEGER_AND_TEXT and _is_id(left) and _is_id(right)
    ):  # the most frequent comparison, without computing ranks
        return str(left).strip() == str(right).strip()
    if is_empty(left) or is_empty(right):
        return is_empty(left) and is_empty(right)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, dict | list | tuple) or isinstance(right, dict | list | tuple):
        return False
    return rank(left) == rank(right)


def _is_id(value: Any) -> bool:
    """Whether the value is text, or an integer that is in range."""
    return isinstance(value, str) or -(10**LARGEST_POWER) < value < 10**LARGEST_POWER


def contains(item: Any, container: Any, what: str) -> bool:
    """`item in container`: an item of a list, or a field name of a group. An empty container contains nothing.

    Raises Unfit for a container of any other kind. `what` names the container in error texts.
    """
    if is_empty(container):
        return False
    if isinstance(container, list | tuple):
        return any(same(item, element) for element in container)
    if isinstance(container, dict):
        return key_text(item) in container
    kind = "a text" if isinstance(container, str) else "a single value"
    raise Unfit(
        f"{what} is {kind}, but `in` needs a list",
        value=container,
        remedy=f"In the mapping write split({what}, ',') for a list of texts, or contains({what}, ...)",
    )


def comparable(values: Sequence[Any], sources: Sequence[str]) -> list[tuple[int, Any, str]]:
    """The ranks of values that are compared by size.

    sources: the source of each value, for error texts. Raises Unfit unless all values are numbers or numeric texts, or
    all are texts, or all dates, or all times. An empty value is refused too.
    """
    for value, source in zip(values, sources, strict=True):
        if is_empty(value):
            raise Unfit(f"{source} has no value to compare; write default({source}, ...) if it may be missing")
    ranks = [rank(value, source) for value, source in zip(values, sources, strict=True)]
    kinds = {place[0] for place in ranks}
    if kinds <= {0, 1} and all(isinstance(value, str) for value in values):
        return ranks
    for value, source, place in zip(values, sources, ranks, strict=True):
        if place[0] == 4 or (0 in kinds and place[0] != 0):
            raise Unfit(f"{source} is not a number", value=value)
        if place[0] != ranks[0][0]:
            raise Unfit(f"{source} and {sources[0]} are of different kinds and have no order", value=value)
    return ranks
