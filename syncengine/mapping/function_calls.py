"""Calls of functions in expressions: how many arguments they take, the shape of their result, and the closure that runs."""

from __future__ import annotations

from typing import Any

from syncengine.mapping.functions import Function
from syncengine.mapping.runtime import Frame, Run
from syncengine.mapping.scope import Expr
from syncengine.mapping.shapes import ANY, Shape, ValueKind, common


def arity(function: Function) -> str:
    """How many arguments a function takes, for people."""
    if function.least == function.most:
        return f"{function.least} argument{'s' if function.least > 1 else ''}"
    return f"{function.least} to {function.most} arguments"


def result(function: Function, arguments: list[Expr]) -> Shape:
    """The shape of what a call yields."""
    if not function.keeps:
        return Shape(function.kind, item=Shape(ValueKind.TEXT) if function.kind is ValueKind.LIST else None)
    return common([_item_shape(argument) if function.flat else argument.shape for argument in arguments])


def _item_shape(argument: Expr) -> Shape:
    return argument.shape.item or ANY if argument.kind is ValueKind.LIST else argument.shape


def application(function: Function, arguments: list[Expr], text: str) -> Run:
    """The closure of a call. It counts the items of lists that it visits. text: of the expression, for errors."""
    call, runs = function.call, [argument.run for argument in arguments]

    def run(frame: Frame) -> Any:
        values = [argument(frame) for argument in runs]
        for value in values:
            if isinstance(value, list):
                frame.spend(value, text)
        return call(*values)

    return run
