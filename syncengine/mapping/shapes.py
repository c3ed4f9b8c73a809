"""The shape of documents: kinds and fields, read from marshmallow schemas when a mapping is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import get_args

from marshmallow import Schema, fields, validate

FIELDS_HINT = "; `syncengine fields RESOURCE` lists them"
"""Follows an error about a field that does not exist."""


class ValueKind(StrEnum):
    """The kinds of values in the mapping language."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    GROUP = "group"  # named fields
    LIST = "list"
    ANY = "any"  # known only at run time


@dataclass(frozen=True)
class Shape:
    """The kind of a value, the fields of a group, the shape of a list's items.

    is_open: undeclared fields are allowed (custom fields). longest: the maximum length in characters, if declared.
    """

    kind: ValueKind = ValueKind.ANY
    fields: Mapping[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    is_open: bool = False
    longest: int | None = None


ANY = Shape(ValueKind.ANY, is_open=True)

# The first match counts; AwareDateTime and others are subclasses.
_SCALARS: tuple[tuple[type[fields.Field], ValueKind], ...] = (  # type: ignore[type-arg]
    (fields.Boolean, ValueKind.BOOLEAN),
    (fields.Integer, ValueKind.INTEGER),
    (fields.Decimal, ValueKind.DECIMAL),
    (fields.Date, ValueKind.DATE),
    (fields.Time, ValueKind.ANY),
    (fields.DateTime, ValueKind.DATETIME),
    (fields.String, ValueKind.TEXT),
)

_KINDS_BY_TYPE: dict[object, ValueKind] = {
    bool: ValueKind.BOOLEAN,
    int: ValueKind.INTEGER,
    Decimal: ValueKind.DECIMAL,
    datetime: ValueKind.DATETIME,
    date: ValueKind.DATE,
    str: ValueKind.TEXT,
}


@lru_cache(maxsize=256)
def shape_of(schema: type[Schema]) -> Shape:
    """The shape of a typed document, as `schema.load` returns it: attribute names, not the names on the wire.

    A connector's own field declares its kind by its type argument (`fields.Field[Decimal | None]`). A field that returns
    a list of rows declares them by `row_schema`; each row also has an `id`.
    """
    return _shape_of(schema(), ())


def _shape_of(schema: Schema, above: tuple[type[Schema], ...]) -> Shape:
    inner = (*above, type(schema))
    return Shape(
        ValueKind.GROUP,
        {declared.attribute or name: _shape(declared, inner) for name, declared in schema.fields.items()},
    )


def _shape(declared: fields.Field, above: tuple[type[Schema], ...]) -> Shape:  # type: ignore[type-arg]
    if isinstance(declared, fields.Nested):
        nested = declared.schema
        group = ANY if type(nested) in above else _shape_of(nested, above)
        return Shape(ValueKind.LIST, item=group) if declared.many or nested.many else group
    if isinstance(declared, fields.List):
        return Shape(ValueKind.LIST, item=_shape(declared.inner, above))
    if isinstance(declared, fields.Dict):
        return Shape(ValueKind.GROUP, is_open=True)
    if rows := getattr(declared, "row_schema", None):
        row = _shape_of(rows(), above)
        return Shape(ValueKind.LIST, item=Shape(ValueKind.GROUP, {**row.fields, "id": Shape(ValueKind.TEXT)}))
    for kind_of_field, kind in _SCALARS:
        if isinstance(declared, kind_of_field):
            return Shape(kind, is_open=kind is ValueKind.ANY, longest=_longest(declared))
    own_kind = _declared_kind(type(declared))
    return Shape(own_kind, longest=_longest(declared)) if own_kind else ANY


def _declared_kind(field_type: type) -> ValueKind | None:
    """The kind that a connector's own field declares by its type: `class Amount(fields.Field[Decimal | None])`."""
    for base in field_type.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            types = {part for argument in get_args(generic) for part in (get_args(argument) or (argument,))} - {
                type(None)
            }
            if len(types) == 1 and (kind := _KINDS_BY_TYPE.get(types.pop())):
                return kind
    return None


def _longest(declared: fields.Field) -> int | None:  # type: ignore[type-arg]
    limits = [check.max or check.equal for check in declared.validators if isinstance(check, validate.Length)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def common(shapes: Sequence[Shape]) -> Shape:
    """The shape of a value that has one of these shapes: their common shape, or ANY if they differ."""
    kinds = {shape.kind for shape in shapes}
    if kinds == {ValueKind.LIST}:
        return Shape(ValueKind.LIST, item=common([shape.item or ANY for shape in shapes]))
    if len(kinds) == 1:
        return shapes[0]
    return Shape(ValueKind.DECIMAL) if kinds == {ValueKind.INTEGER, ValueKind.DECIMAL} else ANY


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for an error text: ` (did you mean NAME?)`, or the first few valid names, or empty if there are none."""
    valid = sorted(set(names))
    by_lower = {candidate.lower(): candidate for candidate in reversed(valid)}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.55)
    if found:
        return f" (did you mean {by_lower[found[0]]}?)"
    if not valid:
        return ""
    more = ", …" if len(valid) > 6 else ""
    return f" (valid: {', '.join(valid[:6])}{more})"
