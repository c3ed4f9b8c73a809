"""Which names an expression may use at its place, and what they mean: fields, rows, settings, tables, named values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from syncengine.mapping.functions import FUNCTIONS
from syncengine.mapping.runtime import Frame, Run, Unfit, key_text, number
from syncengine.mapping.shapes import ANY, Kind, Shape, nearest


class Complaint(Exception):
    """Something in a mapping is wrong; the caller knows file and line."""


@dataclass(frozen=True)
class Expr:
    """A compiled expression: how to get its value, what it will be, and its text for complaints.

    `base` and `steps` are kept for a path of fields, so that a longer path is still one closure.
    """

    run: Run
    shape: Shape
    text: str
    base: Run | None = None
    steps: tuple[str, ...] = ()
    is_constant: bool = False

    @property
    def kind(self) -> Kind:
        return self.shape.kind


@dataclass(frozen=True)
class Setting:
    """A setting that a flow declares: its kind, its default, and what it is for."""

    kind: Kind
    default: Any
    about: str = ""


@dataclass(frozen=True)
class Scope:
    """The names that are known at one place of a mapping.

    doc, row, target: shapes of the document, of a row inside `each`, of the mapped document in `checks`.
    values: named values by name. loops: variables of comprehensions. tables: lookup tables of the flow's file.
    needs: entity -> flow. references: shapes of the documents that may be read beside, by resource.
    """

    doc: Shape
    settings: Mapping[str, Setting] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, Shape] = field(default_factory=dict)
    resources: Mapping[str, Shape] = field(default_factory=dict)
    values: Mapping[str, Expr] = field(default_factory=dict)
    row: Shape | None = None
    in_row: bool = False
    target: Shape | None = None
    loops: Mapping[str, Shape] = field(default_factory=dict)

    def with_row(self, row: Shape | None) -> Scope:
        """The scope inside `each`: bare names are the row's fields, the document is `doc`."""
        return replace(self, row=row or ANY, in_row=True)

    def with_value(self, name: str, value: Expr) -> Scope:
        """The scope after a named value was declared. Raises Complaint if the name means something already."""
        if name in RESERVED or name in FUNCTION_NAMES or name in self.values or name in self._fields().fields:
            raise Complaint(f"the name {name!r} is taken already; choose another one for this value")
        if not name.isidentifier():
            raise Complaint(f"{name!r} cannot be a name in expressions; use letters, digits and _")
        return replace(self, values={**self.values, name: value})

    def with_loop(self, name: str, item: Shape) -> Scope:
        return replace(self, loops={**self.loops, name: item})

    def _fields(self) -> Shape:
        return self.row if self.in_row and self.row else self.doc

    def name(self, name: str) -> Expr:
        """What a bare name means here. Raises Complaint with the nearest valid one."""
        if name in self.loops:
            return Expr(lambda frame: frame.names[name], self.loops[name], name)
        if name in RESERVED:
            return self._reserved(name)
        if name in self.values:
            if self.in_row and self.row and name in self.row.fields:
                raise Complaint(
                    f"{name!r} is a named value and a field of the row: rename the value, or write row.{name}"
                )
            return self.values[name]
        fields = self._fields()
        if name in fields.fields or fields is ANY:
            base = _row if self.in_row else _doc
            shape = fields.fields.get(name, ANY)
            return Expr(path(base, (name,), name), shape, name, base, (name,))
        hint = nearest(name, [*fields.fields, *self.values, *self.loops])
        if self.in_row and name in self.doc.fields:
            hint = f" (did you mean doc.{name}?)"
        where = "a row" if self.in_row else "the source"
        raise Complaint(f"{where} has no field {name!r}{hint}")

    def _reserved(self, name: str) -> Expr:
        if name == "doc":
            return Expr(_doc, self.doc, "doc", _doc)
        if name == "row" and self.in_row and self.row:
            return Expr(_row, self.row, "row", _row)
        if name == "number" and self.in_row:
            return Expr(lambda frame: frame.number, Shape(Kind.INTEGER), "number")
        if name == "part":
            return Expr(lambda frame: frame.part, Shape(Kind.TEXT), "part")
        if name == "parts_wanted":
            item = Shape(Kind.TEXT)
            return Expr(lambda frame: list(frame.context.parts), Shape(Kind.LIST, item=item), "parts_wanted")
        if name == "mapped" and self.target:
            return Expr(lambda frame: frame.mapped, self.target, "mapped", lambda frame: frame.mapped)
        if name in CONSTANTS:
            constant = CONSTANTS[name]
            kind = Kind.ANY if constant is None else Kind.BOOLEAN
            return Expr(lambda _: constant, Shape(kind), name, is_constant=True)
        if name == "settings":
            raise Complaint(f"write settings.NAME{nearest('', self.settings)}")
        raise Complaint(f"{name!r} has no meaning at this place")

    def setting(self, name: str) -> Expr:
        """A declared setting; its value is checked when it is read, since it comes from a connection."""
        if name not in self.settings:
            raise Complaint(f"the flow declares no setting {name!r}{nearest(name, self.settings)}")
        declared = self.settings[name]
        shape = Shape(declared.kind, item=ANY if declared.kind is Kind.LIST else None)
        if declared.kind is Kind.GROUP:
            shape = Shape(Kind.GROUP, is_open=True)

        def run(frame: Frame) -> Any:
            known = frame.settings
            if name not in known:
                known[name] = checked_setting(name, declared, frame.context.settings.get(name, declared.default))
            return known[name]

        return Expr(run, shape, f"settings.{name}")

    def table(self, name: str) -> Mapping[str, str]:
        """A declared lookup table. Raises Complaint with the nearest one."""
        if name not in self.tables:
            raise Complaint(f"there is no lookup table {name!r}{nearest(name, self.tables)}")
        return self.tables[name]


FUNCTION_NAMES = frozenset(FUNCTIONS)
CONSTANTS = {"true": True, "false": False, "none": None}
RESERVED = frozenset(
    {"doc", "row", "number", "part", "parts_wanted", "mapped", "settings", "ref", "lookup", *CONSTANTS}
)


def _doc(frame: Frame) -> Any:
    return frame.doc


def _row(frame: Frame) -> Any:
    return frame.row


def path(base: Run, steps: Sequence[str], text: str) -> Run:
    """The closure that follows a path of fields; anything missing on the way is None."""

    def run(frame: Frame) -> Any:
        value = base(frame)
        for step in steps:
            if value is None:
                return None
            if not isinstance(value, dict):
                raise Unfit(f"{text} cannot be read: what should hold {step} is a single value", value=value)
            value = value.get(step)
        return value

    return run


def checked_setting(name: str, declared: Setting, value: Any) -> Any:
    """The value of a setting as its declared kind. Raises Unfit that says which setting to correct."""
    try:
        return _setting_value(declared.kind, value)
    except (Unfit, ArithmeticError, ValueError):
        raise Unfit(
            f"the setting {name} must be {'a list' if declared.kind is Kind.LIST else declared.kind}",
            value=value,
            remedy=f"Correct the setting {name} of the connection and retry",
        ) from None


def _setting_value(kind: Kind, value: Any) -> Any:
    if value is None or kind is Kind.ANY:
        return value
    if kind in (Kind.DECIMAL, Kind.INTEGER):
        exact = number(Decimal(value) if isinstance(value, str) else value, "the setting")
        if kind is Kind.DECIMAL:
            return exact
        if exact != exact.to_integral_value():
            raise Unfit("not whole")
        return int(exact)
    if kind is Kind.TEXT:
        return format(value, "f") if isinstance(value, Decimal) else key_text(value)
    wanted: Mapping[Kind, type] = {Kind.LIST: list, Kind.GROUP: dict, Kind.BOOLEAN: bool}
    if not isinstance(value, wanted.get(kind, str)):
        raise Unfit("not of its kind")
    return value
