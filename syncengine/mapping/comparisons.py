"""Comparisons in expressions: which can hold by the kinds of their sides, and the closures that compare."""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from syncengine.mapping.order import comparable, contains, same
from syncengine.mapping.runtime import Frame, Run, number
from syncengine.mapping.scope import Complaint, Expr
from syncengine.mapping.shapes import ANY, Kind

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}
_NUMBERS = (Kind.INTEGER, Kind.DECIMAL)
_IN_ORDER = (Kind.TEXT, Kind.DATE, Kind.DATETIME)


def comparison(left: Expr, right: Expr, operator: type[ast.cmpop]) -> Run:
    """The closure of one comparison. Raises Complaint for one that can never hold by the kinds of its sides."""
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
        if type(values[0]) is type(values[1]) is Decimal:  # as most are; their ranks would say the same
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
    if Kind.ANY in (left.kind, right.kind) or _family(left.kind) == _family(right.kind):
        return
    raise Complaint(
        f"{left.text} ({left.kind}) and {right.text} ({right.kind}) are never equal: {_remedy(left, right)}"
    )


def _family(kind: Kind) -> Kind:
    """Numbers and text may be the same id; other kinds are equal to their own alone."""
    return Kind.TEXT if kind in _NUMBERS else kind


def _remedy(left: Expr, right: Expr) -> str:
    by_kind = {one.kind: one for one in (right, left)}
    for kind, remedy in (
        (Kind.LIST, "write x in {0}, count({0}) or any(...)"),
        (Kind.GROUP, "name one field of {0}"),
        (Kind.BOOLEAN, "write {0} or not {0}"),
    ):
        if kind in by_kind:
            return remedy.format(by_kind[kind].text)
    if Kind.DATE in by_kind and Kind.DATETIME in by_kind:
        return f"name {by_kind[Kind.DATETIME].text} under values: or let: with as: date and a zone:"
    day, other = (left, right) if left.kind in (Kind.DATE, Kind.DATETIME) else (right, left)
    return (
        f"write not {day.text} to ask whether it is empty, or name {other.text} under values: or let: "
        f"with as: {day.kind} and a format:"
    )


def _check_membership(left: Expr, right: Expr) -> None:
    if right.kind is Kind.LIST:
        item = right.shape.item or ANY
        _check_equality(left, Expr(right.run, item, f"an item of {right.text}"))
    elif right.kind is Kind.TEXT:
        raise Complaint(
            f"{right.text} is text, and `in` needs a list: write split({right.text}, ',') for a list of words, "
            f"or contains({right.text}, {left.text}) for a part of a text"
        )
    elif right.kind is Kind.GROUP:
        if _family(left.kind) not in (Kind.TEXT, Kind.ANY):
            raise Complaint(f"{left.text} is {left.kind} and never the name of a field of {right.text}")
    elif right.kind is not Kind.ANY:
        raise Complaint(f"{right.text} is {right.kind}, and `in` needs a list: write {left.text} == {right.text}")


def _check_order(left: Expr, right: Expr) -> None:
    families = [Kind.DECIMAL if one.kind in _NUMBERS else one.kind for one in (left, right)]
    for one, family in zip((left, right), families, strict=True):
        nothing = family is Kind.ANY and one.is_constant
        if nothing or family not in (Kind.DECIMAL, Kind.ANY, *_IN_ORDER):
            kind = "nothing" if nothing else one.kind
            raise Complaint(f"{one.text} ({kind}) cannot be compared by size")
    if Kind.ANY not in families and families[0] != families[1]:
        raise Complaint(
            f"{left.text} ({left.kind}) and {right.text} ({right.kind}) cannot be compared by size: "
            f"{_order_remedy(left, right)}"
        )


def _order_remedy(left: Expr, right: Expr) -> str:
    if {left.kind, right.kind} <= {Kind.TEXT, *_NUMBERS}:
        text = left if left.kind is Kind.TEXT else right
        return f"write number({text.text})"
    return _remedy(left, right)
