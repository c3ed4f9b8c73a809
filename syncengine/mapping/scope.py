"""The names that an expression may use, and what they mean: fields, rows, settings, tables, named values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from syncengine.mapping.functions import FUNCTIONS
from syncengine.mapping.runtime import Frame, Run, Unfit, key_text, number
from syncengine.mapping.shapes import ANY, FIELDS_HINT, Shape, ValueKind, nearest


class Complaint(Exception):
    """An error in a mapping. The caller adds file and line (`complaints.Place.at`)."""


@dataclass(frozen=True)
class Expr:
    """A compiled expression: the closure that evaluates it, the shape of its value, and its text for errors.

    base, steps: the start and the field names of a path, so that a longer path is still one closure. outcomes: the values
    between which it chooses, where they are known.
    """

    run: Run
    shape: Shape
    text: str
    base: Run | None = None
    steps: tuple[str, ...] = ()
    is_constant: bool = False
    outcomes: tuple[Expr, ...] = ()

    @property
    def kind(self) -> ValueKind:
        """The kind of the value."""
        return self.shape.kind


@dataclass(frozen=True)
class Setting:
    """A setting that a flow declares: its kind, its default, its purpose.

    is_zone: its text names a time zone. is_ids: the items of its list are ids, which are numbers. choices: the texts that it
    may be, beside an empty one if its default is empty; any text if there are none.
    """

    kind: ValueKind
    default: Any
    about: str = ""
    is_zone: bool = False
    is_ids: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """The names that are valid at one place of a mapping.

    doc, row, target: shapes of the document, of a row inside `each`, of the mapped document in lines and `checks`.
    found: shape of the target's document, in a flow that compares or sets levels. has_tallies: `tallied()` may be called.
    values: named values by name. loops: variables of comprehensions. tables: lookup tables of the flow's file.
    needs: entity -> flow. references: shapes of the documents that `ref()` may use, by resource. resources: shapes of all
    resources that references may name.
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
    found: Shape | None = None
    has_tallies: bool = False
    loops: Mapping[str, Shape] = field(default_factory=dict)

    def with_row(self, row: Shape | None) -> Scope:
        """The scope inside `each`, where bare names are fields of the row. `doc` is the document."""
        return replace(self, row=row or ANY, in_row=True)

    def with_value(self, name: str, value: Expr) -> Scope:
        """The scope with one more named value. Raises Complaint if the name is not valid or already has a meaning."""
        if name in RESERVED or name in FUNCTION_NAMES or name in self.values or name in self._fields().fields:
            raise Complaint(f"the name {name!r} is already taken; choose another name for this value")
        if not name.isidentifier():
            raise Complaint(f"{name!r} cannot be a name in expressions; use letters, digits and _")
        return replace(self, values={**self.values, name: value})

    def with_loop(self, name: str, item: Shape) -> Scope:
        """The scope inside a comprehension with this loop variable."""
        return replace(self, loops={**self.loops, name: item})

    def _fields(self) -> Shape:
        return self.row if self.in_row and self.row else self.doc

    def name(self, name: str) -> Expr:
        """The expression for a bare name. Raises Complaint with the closest valid name."""
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
        raise Complaint(f"{where} has no field {name!r}{hint}{FIELDS_HINT}")

    def _reserved(self, name: str) -> Expr:
        if name == "doc":
            return Expr(_doc, self.doc, "doc", _doc)
        if name == "row" and self.in_row and self.row:
            return Expr(_row, self.row, "row", _row)
        if name == "number" and self.in_row:
            return Expr(lambda frame: frame.number, Shape(ValueKind.INTEGER), "number")
        if name == "part":
            return Expr(lambda frame: frame.part, Shape(ValueKind.TEXT), "part")
        if name == "parts_wanted":
            item = Shape(ValueKind.TEXT)
            return Expr(lambda frame: list(frame.context.parts), Shape(ValueKind.LIST, item=item), "parts_wanted")
        if name == "mapped" and self.target:
            return Expr(lambda frame: frame.mapped, self.target, "mapped", lambda frame: frame.mapped)
        if name == "in_target" and self.found:
            return Expr(lambda frame: frame.context.found, self.found, "in_target", lambda frame: frame.context.found)
        if name in CONSTANTS:
            constant = CONSTANTS[name]
            kind = ValueKind.ANY if constant is None else ValueKind.BOOLEAN
            return Expr(lambda _: constant, Shape(kind), name, is_constant=True)
        if name == "settings":
            raise Complaint(f"write settings.NAME{nearest('', self.settings)}")
        raise Complaint(f"{name!r} is not available here")

    def setting(self, name: str) -> Expr:
        """The expression for a setting. Its value comes from a connection and is checked when it is read.

        Raises Complaint with the closest declared name.
        """
        if name not in self.settings:
            raise Complaint(f"the flow declares no setting {name!r}{nearest(name, self.settings)}")
        declared = self.settings[name]
        shape = Shape(declared.kind, item=ANY if declared.kind is ValueKind.LIST else None)
        if declared.kind is ValueKind.GROUP:
            shape = Shape(ValueKind.GROUP, is_open=True)

        def run(frame: Frame) -> Any:
            checked = frame.settings
            if name not in checked:
                checked[name] = checked_setting(name, declared, frame.context.settings.get(name, declared.default))
            return checked[name]

        return Expr(run, shape, f"settings.{name}")

    def table(self, name: str) -> Mapping[str, str]:
        """A declared lookup table. Raises Complaint with the closest declared name."""
        if name not in self.tables:
            raise Complaint(f"there is no lookup table {name!r}{nearest(name, self.tables)}")
        return self.tables[name]


FUNCTION_NAMES = frozenset(FUNCTIONS)
CONSTANTS = {"true": True, "false": False, "none": None}
RESERVED = frozenset(
    {
        "doc",
        "row",
        "number",
        "part",
        "parts_wanted",
        "mapped",
        "in_target",
        "settings",
        "ref",
        "lookup",
        "dated",
        "by_value",
        "tallied",
        *CONSTANTS,
    }
)


def _doc(frame: Frame) -> Any:
    return frame.doc


def _row(frame: Frame) -> Any:
    return frame.row


def path(base: Run, steps: Sequence[str], text: str) -> Run:
    """The closure that follows a path of fields. A missing field yields None."""

    def run(frame: Frame) -> Any:
        value = base(frame)
        for step in steps:
            if value is None:
                return None
            if not isinstance(value, dict):
                raise Unfit(f"{text} cannot be read: {step} is requested of a single value", value=value)
            value = value.get(step)
        return value

    return run


def checked_setting(name: str, declared: Setting, value: Any) -> Any:
    """The value of a setting, converted to its declared kind. Raises Unfit, which names the setting."""
    try:
        checked = _setting_value(declared.kind, value)
        is_empty = not checked and not declared.default
        if declared.choices and checked not in declared.choices and not is_empty:
            raise Unfit("not one of its choices")
        return checked
    except (Unfit, ArithmeticError, ValueError):
        raise Unfit(
            f"the setting {name} must be {_wanted(declared)}",
            value=value,
            remedy=f"Correct the setting {name} of the connection and retry",
        ) from None


def _wanted(declared: Setting) -> str:
    if declared.choices:
        *others, last = declared.choices
        return f"{', '.join(others)} or {last}" if others else last
    return "a list" if declared.kind is ValueKind.LIST else str(declared.kind)


def _setting_value(kind: ValueKind, value: Any) -> Any:
    if value is None or kind is ValueKind.ANY:
        return value
    if kind in (ValueKind.DECIMAL, ValueKind.INTEGER):
        exact = number(Decimal(value) if isinstance(value, str) else value, "the setting")
        if kind is ValueKind.DECIMAL:
            return exact
        if exact != exact.to_integral_value():
            raise Unfit("not an integer")
        return int(exact)
    if kind is ValueKind.TEXT:
        return format(value, "f") if isinstance(value, Decimal) else key_text(value)
    expected: Mapping[ValueKind, type] = {ValueKind.LIST: list, ValueKind.GROUP: dict, ValueKind.BOOLEAN: bool}
    if not isinstance(value, expected.get(kind, str)):
        raise Unfit("not of its kind")
    return value
