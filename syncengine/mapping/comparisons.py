"""Comparisons in expressions: which kinds can be compared, and the closures that compare them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from syncengine.mapping.order import comparable, contains, same
from syncengine.mapping.runtime import Frame, Run, number
from syncengine.mapping.scope import Complaint, Expr
from syncengine.mapping.shapes import ANY, ValueKind

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}
_NUMBERS = (ValueKind.INTEGER, ValueKind.DECIMAL)
_IN_ORDER = (ValueKind.TEXT, ValueKind.DATE, ValueKind.DATETIME)


def comparison(left: Expr, right: Expr, operator: type[ast.cmpop]) -> Run:
    """Compile one comparison. Raises Complaint if the kinds of its sides can never compare as true."""
    first, second = left.run, right.run
    if operator in (ast.In, ast.NotIn):
        return _membership(left, right, operator is ast.In)
    if operator in (ast.Eq, ast.Is, ast.NotEq, ast.IsNot):
        _check_equality(left, right)
        holds = operator in (ast.Eq, ast.Is)
        return lambda frame: same(first(frame), second(frame)) is holds
    _check_order(left, right)
    order, sources = _ORDER[operator], (left.text, right.text)

    def run(frame: Frame) -> bool:
        values = first(frame), second(frame)
        if type(values[0]) is type(values[1]) is Decimal:  # the common case; the ranks give the same result
            return order(number(values[0], sources[0]), number(values[1], sources[1]))
        return order(*comparable(values, sources))

    return run


def _membership(left: Expr, right: Expr, holds: bool) -> Run:
    _check_membership(left, right)
    item, container, text = left.run, right.run, right.text

    def run(frame: Frame) -> bool:
        found = container(frame)
        frame.spend(found, text)
        return contains(item(frame), found, text) is holds

    return run


def _check_equality(left: Expr, right: Expr) -> None:
    if ValueKind.ANY in (left.kind, right.kind) or _family(left.kind) == _family(right.kind):
        return
    raise Complaint(
        f"{left.text} ({left.kind}) and {right.text} ({right.kind}) are never equal: {_remedy(left, right)}"
    )


def _family(kind: ValueKind) -> ValueKind:
    """Numbers and text may be the same id; any other kind equals only its own kind."""
    return ValueKind.TEXT if kind in _NUMBERS else kind


def _remedy(left: Expr, right: Expr) -> str:
    by_kind = {side.kind: side for side in (right, left)}
    for kind, remedy in (
        (ValueKind.LIST, "write x in {0}, count({0}) or any(...)"),
        (ValueKind.GROUP, "name one field of {0}"),
        (ValueKind.BOOLEAN, "write {0} or not {0}"),
    ):
        if kind in by_kind:
            return remedy.format(by_kind[kind].text)
    if ValueKind.DATE in by_kind and ValueKind.DATETIME in by_kind:
        return f"name {by_kind[ValueKind.DATETIME].text} under values: or let: with as: date and a zone:"
    day, other = (left, right) if left.kind in (ValueKind.DATE, ValueKind.DATETIME) else (right, left)
    return (
        f"write not {day.text} to ask whether it is empty, or name {other.text} under values: or let: "
        f"with as: {day.kind} and a format:"
    )


def _check_membership(left: Expr, right: Expr) -> None:
    if right.kind is ValueKind.LIST:
        item = right.shape.item or ANY
        _check_equality(left, Expr(right.run, item, f"an item of {right.text}"))
    elif right.kind is ValueKind.TEXT:
        raise Complaint(
            f"{right.text} is text, but `in` needs a list: write split({right.text}, ',') for a list of texts, "
            f"or contains({right.text}, {left.text}) for a part of a text"
        )
    elif right.kind is ValueKind.GROUP:
        if _family(left.kind) not in (ValueKind.TEXT, ValueKind.ANY):
            raise Complaint(f"{left.text} is {left.kind} and never the name of a field of {right.text}")
    elif right.kind is not ValueKind.ANY:
        raise Complaint(f"{right.text} is {right.kind}, but `in` needs a list: write {left.text} == {right.text}")


def _check_order(left: Expr, right: Expr) -> None:
    families = [ValueKind.DECIMAL if side.kind in _NUMBERS else side.kind for side in (left, right)]
    for side, family in zip((left, right), families, strict=True):
        nothing = family is ValueKind.ANY and side.is_constant
        if nothing or family not in (ValueKind.DECIMAL, ValueKind.ANY, *_IN_ORDER):
            kind = "nothing" if nothing else side.kind
            raise Complaint(f"{side.text} ({kind}) cannot be compared by size")
    if ValueKind.ANY not in families and families[0] != families[1]:
        raise Complaint(
            f"{left.text} ({left.kind}) and {right.text} ({right.kind}) cannot be compared by size: "
            f"{_order_remedy(left, right)}"
        )


def _order_remedy(left: Expr, right: Expr) -> str:
    if {left.kind, right.kind} <= {ValueKind.TEXT, *_NUMBERS}:
        text = left if left.kind is ValueKind.TEXT else right
        return f"write number({text.text})"
    return _remedy(left, right)
