"""What a document may hold, read from its marshmallow schema once, when a mapping is loaded."""

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


class Kind(StrEnum):
    """The kinds of values that the language tells apart."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    GROUP = "group"  # named fields
    LIST = "list"
    ANY = "any"  # not known before it is met


@dataclass(frozen=True)
class Shape:
    """The kind of a value and, for a group, its fields; for a list, what its items are.

    `is_open`: names that are not declared are allowed below it (custom fields). `longest`: characters, if declared.
    """

    kind: Kind = Kind.ANY
    fields: Mapping[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    is_open: bool = False
    longest: int | None = None


ANY = Shape(Kind.ANY, is_open=True)

# The first that fits decides; AwareDateTime and the like are subclasses.
_SCALARS: tuple[tuple[type[fields.Field], Kind], ...] = (  # type: ignore[type-arg]
    (fields.Boolean, Kind.BOOLEAN),
    (fields.Integer, Kind.INTEGER),
    (fields.Decimal, Kind.DECIMAL),
    (fields.Date, Kind.DATE),
    (fields.Time, Kind.ANY),
    (fields.DateTime, Kind.DATETIME),
    (fields.String, Kind.TEXT),
)

_KINDS_BY_TYPE: dict[object, Kind] = {
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    Decimal: Kind.DECIMAL,
    datetime: Kind.DATETIME,
    date: Kind.DATE,
    str: Kind.TEXT,
}


@lru_cache(maxsize=256)
def shape_of(schema: type[Schema]) -> Shape:
    """The shape of a typed document, as `schema.load` gives it: attribute names, not the names on the wire.

    A connector's own field may say its kind by its type argument (`fields.Field[Decimal | None]`), and a field that gives
    a list of rows by `row_schema`; each row then has an `id` besides.
    """
    return _shape_of(schema(), ())


def _shape_of(schema: Schema, above: tuple[type[Schema], ...]) -> Shape:
    inner = (*above, type(schema))
    return Shape(Kind.GROUP, {one.attribute or name: _shape(one, inner) for name, one in schema.fields.items()})


def _shape(one: fields.Field, above: tuple[type[Schema], ...]) -> Shape:  # type: ignore[type-arg]
    if isinstance(one, fields.Nested):
        nested = one.schema
        group = ANY if type(nested) in above else _shape_of(nested, above)
        return Shape(Kind.LIST, item=group) if one.many or nested.many else group
    if isinstance(one, fields.List):
        return Shape(Kind.LIST, item=_shape(one.inner, above))
    if isinstance(one, fields.Dict):
        return Shape(Kind.GROUP, is_open=True)
    if rows := getattr(one, "row_schema", None):
        row = _shape_of(rows(), above)
        return Shape(Kind.LIST, item=Shape(Kind.GROUP, {**row.fields, "id": Shape(Kind.TEXT)}))
    for kind_of_field, kind in _SCALARS:
        if isinstance(one, kind_of_field):
            return Shape(kind, is_open=kind is Kind.ANY, longest=_longest(one))
    declared = _declared_kind(type(one))
    return Shape(declared, longest=_longest(one)) if declared else ANY


def _declared_kind(field_type: type) -> Kind | None:
    """The kind that a connector's own field declares as its type: `class Amount(fields.Field[Decimal | None])`."""
    for base in field_type.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            said = {one for argument in get_args(generic) for one in (get_args(argument) or (argument,))} - {type(None)}
            if len(said) == 1 and (kind := _KINDS_BY_TYPE.get(said.pop())):
                return kind
    return None


def _longest(one: fields.Field) -> int | None:  # type: ignore[type-arg]
    limits = [check.max or check.equal for check in one.validators if isinstance(check, validate.Length)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def common(shapes: Sequence[Shape]) -> Shape:
    """The shape of a value that is one of these: theirs, if they agree."""
    kinds = {shape.kind for shape in shapes}
    if kinds == {Kind.LIST}:
        return Shape(Kind.LIST, item=common([shape.item or ANY for shape in shapes]))
    if len(kinds) == 1:
        return shapes[0]
    return Shape(Kind.DECIMAL) if kinds == {Kind.INTEGER, Kind.DECIMAL} else ANY


def nearest(name: str, names: Iterable[str]) -> str:
    """` (did you mean ...?)` with the nearest valid name; else the first few of them; empty if there are none."""
    valid = sorted(set(names))
    by_lower = {one.lower(): one for one in reversed(valid)}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.55)
    if found:
        return f" (did you mean {by_lower[found[0]]}?)"
    if not valid:
        return ""
    more = ", …" if len(valid) > 6 else ""
    return f" (there is {', '.join(valid[:6])}{more})"
