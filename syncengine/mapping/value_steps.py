"""The closures that values are made of: sources, lookups, links, text limits, conditions and defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.mapping import texts
from syncengine.mapping.contract import MissingLookup, Need
from syncengine.mapping.order import is_empty, truth
from syncengine.mapping.runtime import Frame, Run, Unfit, key_text, table_key
from syncengine.mapping.scope import Expr
from syncengine.mapping.shapes import ANY, Shape, ValueKind

Step = Callable[[Any, Frame], Any]
LEFT_OUT = object()
"""The outcome of a `when` that does not hold and has no `else`. `default` does not apply to it."""


@dataclass(frozen=True)
class LinkProbe:
    """Tells which link a `link` entry needs, before the mapping runs: its key and part, and under which condition."""

    entity: str
    flow: str
    key: Run
    part: Run
    condition: Run | None

    def need(self, frame: Frame) -> Need | None:
        """The link that this document needs, or None if it needs none. Raises Unfit."""
        if self.condition is not None and not truth(self.condition(frame)):
            return None
        key = key_text(self.key(frame))
        return Need(self.entity, key, key_text(self.part(frame)), self.flow) if key else None


def constant(value: Any) -> Expr:
    """A constant of the mapping as an expression."""
    kinds = {bool: ValueKind.BOOLEAN, int: ValueKind.INTEGER, str: ValueKind.TEXT, type(None): ValueKind.ANY}
    shape = Shape(kinds.get(type(value), ValueKind.DECIMAL))
    return Expr(lambda _: value, shape, "a constant", is_constant=True)


def no_part(_: Frame) -> str:
    """The part of a link that names none."""
    return ""


def text_or_any(shape: Shape) -> Shape:
    """The shape of a value that a lookup may have replaced by text."""
    return shape if shape.kind is ValueKind.TEXT else ANY


def first_filled(runs: Sequence[Run]) -> Run:
    """The first value that is not empty. Values after it are not computed."""
    return lambda frame: next((value for run in runs if not is_empty(value := run(frame))), None)


def first_case(cases: list[tuple[Run, Expr]], otherwise: Expr | None) -> Run:
    """The value of the first case whose condition holds."""
    outcomes = [(condition, outcome.run) for condition, outcome in cases]

    def run(frame: Frame) -> Any:
        for condition, outcome in outcomes:
            if truth(condition(frame)):
                return outcome(frame)
        return otherwise.run(frame) if otherwise else None

    return run


def lookup_step(name: str, table: Mapping[str, str], miss: str) -> Step:
    """Replace a key by its entry in a lookup table. Entries of the connection take precedence over those of the file.

    miss: what to do if there is no entry: `fail`, `wait`, `pass` or `default`.
    """

    def step(value: Any, frame: Frame) -> Any:
        key = table_key(value)
        if not key:
            return None
        found = frame.context.lookups.get(name, {}).get(key)
        if found is None:
            found = table.get(key)
        if found is not None:
            return found
        if miss == "wait":
            raise MissingLookup(Need(f"lookup:{name}", key[:255]))
        if miss == "fail":
            remedy = f"Add {key[:60]} to the lookup table {name} and retry"
            raise Unfit(f"the lookup table {name} has no entry {key[:60]!r}", value=value, remedy=remedy)
        return value if miss == "pass" else None

    return step


def link_step(probe: LinkProbe) -> Step:
    """Replace a key by the key of the linked object. Raises MissingLookup if the link does not exist."""

    def step(_: Any, frame: Frame) -> Any:
        need = probe.need(frame)
        if need is None:
            return None
        if need not in frame.context.links:
            raise MissingLookup(need)
        return frame.context.links[need]

    return step


def skipping_empty(convert: Step) -> Step:
    """The conversion, which an empty value bypasses as None."""
    return lambda value, frame: None if is_empty(value) else convert(value, frame)


def in_case(value: Any, upper: bool) -> Any:
    """A text in upper or lower case; any other value unchanged."""
    if not isinstance(value, str):
        return value
    return value.upper() if upper else value.lower()


def length_limit(longest: int, cuts: bool, source: str) -> Step:
    """Refuse a text of more than `longest` characters, or cut it at a space. `source` names it in the error text."""

    def step(value: Any, _: Frame) -> Any:
        if not isinstance(value, str) or len(value) <= longest:
            return value
        if cuts:
            return texts.wrap(value, longest)[0] if value.strip() else ""
        raise Unfit(
            f"{source} has {len(value)} characters, but the target takes {longest}",
            value=value,
            remedy="Shorten it at the source, or allow several lines in the mapping (spread, on_long)",
        )

    return step


def declared_length(target: Shape) -> int | None:
    """The maximum length of a text field, if the target declares one."""
    return target.longest if target.kind is ValueKind.TEXT else None


def with_steps(source: Run, steps: list[Step]) -> Run:
    """A source and its steps as one closure."""

    def run(frame: Frame) -> Any:
        value = source(frame)
        for step in steps:
            value = step(value, frame)
        return value

    return run


def conditional(condition: Run, yes: Run, no: Run) -> Run:
    """One closure or the other, depending on a condition."""
    return lambda frame: yes(frame) if truth(condition(frame)) else no(frame)


def with_default(outcome: Run, default: Run | None, required: bool, remedy: str) -> Run:
    """The outcome of either branch, or the default if it is empty. Raises Unfit if a required value is missing."""

    def run(frame: Frame) -> Any:
        value = outcome(frame)
        left_out = value is LEFT_OUT
        if left_out or is_empty(value):
            value = default(frame) if default is not None and not left_out else None
            if required and is_empty(value):
                why = "a value is required, but its when: does not hold and there is no else:"
                raise Unfit(why if left_out else "a value is required, but there is none", remedy=remedy)
        return value

    return run
