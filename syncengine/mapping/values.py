"""One target value: its source, and the steps that convert it to what the target takes.

An entry such as `{from: placedOn, as: date, zone: settings.time_zone}` becomes one closure. The steps, in order: source
(`from`, `value`, `join`, `first`, `cases`, `then`), `lookup`, `link`, conversion, `case`, `max`; then, for both
branches of a `when`, `default` and `required`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import Context
from syncengine.mapping.conversions import ROUNDINGS, ConversionOptions, converter, why_impossible, zone_named
from syncengine.mapping.expressions import compile_expression
from syncengine.mapping.functions import FUNCTIONS
from syncengine.mapping.runtime import FAILURES, Frame, Run, Unfit
from syncengine.mapping.scope import Expr, Scope
from syncengine.mapping.shapes import ANY, Shape, ValueKind, common, nearest
from syncengine.mapping.value_steps import (
    LEFT_OUT,
    LinkProbe,
    Step,
    conditional,
    constant,
    declared_length,
    first_case,
    first_filled,
    in_case,
    length_limit,
    link_step,
    lookup_step,
    no_part,
    skipping_empty,
    text_or_any,
    with_default,
    with_steps,
)
from syncengine.mapping.yaml_lines import Items, Table
from syncengine.redaction import quoted

SOURCES = ("from", "value", "join", "first", "cases", "then")
ENTRIES = (
    *SOURCES, "with", "when", "else", "lookup", "miss", "default", "link", "part", "as", "places", "rounding", "format",
    "zone", "max", "on_long", "case", "required", "remedy",
)  # fmt: skip
COMPANIONS = {"else": "when", "with": "join", "miss": "lookup", "part": "link"}
"""Entries that need another entry."""
MISSES = ("fail", "wait", "pass", "default")
KINDS = tuple(kind.value for kind in ValueKind if kind not in (ValueKind.GROUP, ValueKind.LIST, ValueKind.ANY))


@dataclass(frozen=True)
class Value:
    """A compiled entry. `run` returns the value, None if there is none.

    text: the source, for error texts. link: the link that it uses. longest: the characters that its field takes, if that
    is limited. lines_of: the length of one line instead, if the entry has `on_long: lines`.
    """

    run: Run
    shape: Shape
    text: str
    link: LinkProbe | None = None
    lines_of: int | None = None
    longest: int | None = None


class ValueCompiler:
    """Compiles the entries of one scope."""

    def __init__(self, place: Place, scope: Scope) -> None:
        self.place, self.scope = place, scope

    def expression(self, table: Table | Items, key: Any, what: str) -> Expr:
        """The expression of one entry. Raises Misconfigured."""
        with self.place.at(table.line_of(key), what):
            return compile_expression(table[key], self.scope)

    def value(self, entry: Any, line: int, what: str, target: Shape = ANY, *, in_line: bool = False) -> Value:
        """Compile an entry for a target of this shape. `in_line`: for a field of a line. Raises Misconfigured."""
        if not isinstance(entry, Table):
            self.place.refuse(line, f"{what}: write {{from: field}} for a field or {{value: ...}} for a constant")
        self.place.only(entry, ENTRIES, what)
        self._check_companions(entry, what)
        source = self._source(entry, what)
        condition = self.expression(entry, "when", what) if "when" in entry else None
        shape, steps, link = source.shape, [], None
        if "lookup" in entry:
            steps.append(self._lookup(entry, what))
            shape = Shape(ValueKind.TEXT) if entry.get("miss") != "pass" else text_or_any(shape)
        if "link" in entry:
            link = self._link(entry, with_steps(source.run, steps), condition, what)
            steps = [link_step(link)]
            shape = Shape(ValueKind.TEXT)
        shape = self._convert(entry, shape, target, steps, source.text, what)
        if not {"lookup", "link"} & entry.keys():
            self._check_constants(source, steps, entry, next(name for name in SOURCES if name in entry), what)
        steps += self._texts(entry, target, source.text, what)
        run = with_steps(source.run, steps)
        if condition is not None:
            other = self._else(entry, target, what)
            run = conditional(condition.run, run, other.run if other else lambda _: LEFT_OUT)
            shape = common([shape, other.shape]) if other else shape
        default, required, remedy = self._ends(entry, target, what)
        if default is not None:
            shape = common([shape, default.shape])
        run = with_default(run, default.run if default else None, required, remedy)
        longest = self.place.whole_number(entry, "max", 1, 100_000) or declared_length(target)
        if entry.get("on_long") != "lines":
            return Value(run, shape, source.text, link, longest=longest)
        self._check_continues(entry, shape, in_line, what)
        return Value(run, shape, source.text, link, lines_of=longest)

    def _check_companions(self, entry: Table, what: str) -> None:
        for name, needed in COMPANIONS.items():
            if name in entry and needed not in entry:
                self.place.refuse(entry.line_of(name), f"{what} has {name}: without {needed}:")

    def _check_continues(self, entry: Table, shape: Shape, in_line: bool, what: str) -> None:
        line = entry.line_of("on_long")
        if not in_line:
            remedy = "use cut, or spread the text over several fields"
            self.place.refuse(line, f"{what}: on_long: lines is for fields of a line: {remedy}")
        if shape.kind is not ValueKind.TEXT:
            self.place.refuse(line, f"{what}: on_long: lines is for text, but this is {shape.kind}; add as: text")

    # Sources

    def _source(self, entry: Table, what: str) -> Expr:
        given = [name for name in SOURCES if name in entry]
        if len(given) != 1:
            problem = f"both {given[0]}: and {given[1]}:" if given else f"none of {', '.join(SOURCES)}"
            self.place.refuse(entry.line, f"{what} has {problem}; it needs exactly one source")
        name = given[0]
        if name == "value":
            return self._constant(entry, what)
        if name in ("join", "first"):
            return self._several(entry, name, what)
        if name == "cases":
            return self._cases(entry, what)
        if name == "then" and "when" not in entry:
            self.place.refuse(entry.line_of("then"), f"{what} has then: without when:")
        return self.expression(entry, name, what)

    def _constant(self, entry: Table, what: str) -> Expr:
        given = entry["value"]
        if isinstance(given, Table | Items):
            self.place.refuse(entry.line_of("value"), f"{what}: a constant must be a single value")
        return constant(given)

    def _several(self, entry: Table, name: str, what: str) -> Expr:
        items = entry[name]
        if not isinstance(items, Items) or not items:
            self.place.refuse(entry.line_of(name), f"{what}: {name}: needs a list of expressions")
        parts = [self.expression(items, index, what) for index in range(len(items))]
        runs = [part.run for part in parts]
        sources = ", ".join(part.text for part in parts)
        if name == "first":
            shape = common([part.shape for part in parts])
            return Expr(first_filled(runs), shape, sources, outcomes=tuple(parts))
        separator = entry.get("with", " ")
        if not isinstance(separator, str):
            self.place.refuse(entry.line_of("with"), f"{what}: with: must be a text in quotes")
        join = FUNCTIONS["join"].call
        return Expr(lambda frame: join(separator, *[run(frame) for run in runs]), Shape(ValueKind.TEXT), sources)

    def _cases(self, entry: Table, what: str) -> Expr:
        cases: list[tuple[Run, Expr]] = []
        otherwise: Expr | None = None
        for case in self.place.tables(entry["cases"], entry.line_of("cases"), f"cases of {what}"):
            self.place.only(case, ("when", "then", "else"), f"a case of {what}")
            if otherwise is not None:
                self.place.refuse(case.line, f"{what}: a case after else: can never apply")
            if "else" in case and len(case) == 1:
                otherwise = self.expression(case, "else", what)
            elif "when" in case and "then" in case and len(case) == 2:
                cases.append((self.expression(case, "when", what).run, self.expression(case, "then", what)))
            else:
                self.place.refuse(case.line, f"{what}: a case needs when: and then:; the last case may be else:")
        if not cases:
            self.place.refuse(entry.line_of("cases"), f"{what}: cases: needs at least one when: and then:")
        outcomes = [outcome for _, outcome in cases] + ([otherwise] if otherwise else [])
        sources = " or ".join(outcome.text for outcome in outcomes)
        shape = common([outcome.shape for outcome in outcomes])
        return Expr(first_case(cases, otherwise), shape, sources, outcomes=tuple(outcomes))

    def _else(self, entry: Table, target: Shape, what: str) -> Expr | None:
        if "else" not in entry:
            return None
        return self._finished(self.expression(entry, "else", what), entry, "else", target, what)

    def _finished(self, source: Expr, entry: Table, name: str, target: Shape, what: str) -> Expr:
        """The source under `name:` without lookup and link, but with conversion, case and length."""
        steps: list[Step] = []
        shape = self._convert(entry, source.shape, target, steps, source.text, what)
        self._check_constants(source, steps, entry, name, what)
        steps += self._texts(entry, target, source.text, what)
        return Expr(with_steps(source.run, steps), shape, source.text)

    def _check_constants(self, source: Expr, steps: list[Step], entry: Table, name: str, what: str) -> None:
        """Refuse a constant that can never become of its field's kind: it would fail with every document.

        steps: the conversions.
        """
        if str(entry.get("zone", "")).startswith("settings."):
            return  # known only when a connection gives the zone
        nothing = Frame({}, Context())
        for fixed in [each for each in (source, *source.outcomes) if each.is_constant]:
            try:
                with_steps(fixed.run, steps)(nothing)
            except (Unfit, *FAILURES) as error:
                reason = error.reason if isinstance(error, Unfit) else str(error)
                value = quoted(fixed.run(nothing))
                self.place.refuse(entry.line_of(name), f"{what}: the constant {value} can never be written: {reason}")

    # Steps

    def _lookup(self, entry: Table, what: str) -> Step:
        name = self.place.text(entry, "lookup", what)
        with self.place.at(entry.line_of("lookup"), what):
            table = self.scope.table(name)
        miss = self.place.choice(entry, "miss", MISSES, "default" if "default" in entry else "fail")
        if miss == "default" and "default" not in entry:
            self.place.refuse(entry.line_of("miss"), f"{what}: miss: default needs default:")
        return lookup_step(name, table, miss)

    def _link(self, entry: Table, key: Run, condition: Expr | None, what: str) -> LinkProbe:
        entity = self.place.text(entry, "link", what)
        if entity not in self.scope.needs:
            hint = nearest(entity, self.scope.needs)
            self.place.refuse(entry.line_of("link"), f"{what}: needs: does not name {entity!r}{hint}")
        part = self.expression(entry, "part", what).run if "part" in entry else no_part
        return LinkProbe(entity, self.scope.needs[entity], key, part, condition.run if condition else None)

    def _convert(self, entry: Table, shape: Shape, target: Shape, steps: list[Step], source: str, what: str) -> Shape:
        """Add the conversions to the kind of `as:` and then to the target's kind. Returns the resulting shape."""
        options = self._options(entry, what)
        line = entry.line_of("as") if "as" in entry else entry.line
        kinds = [ValueKind(self.place.choice(entry, "as", KINDS, ""))] if "as" in entry else []
        if target.kind is not ValueKind.ANY:
            if kinds and why_impossible(kinds[0], target.kind, options):
                self.place.refuse(line, f"{what} is {target.kind} in the target, not {kinds[0]}")
            kinds += [target.kind] if target.kind not in kinds else []
        for kind in kinds:
            if problem := why_impossible(shape.kind, kind, options):
                self.place.refuse(line, f"{what}: {source}: {problem}")
            steps.append(skipping_empty(converter(kind, options, source)))
            if kind != shape.kind:
                shape = Shape(kind)
        return shape

    def _options(self, entry: Table, what: str) -> ConversionOptions:
        zone: Callable[[Frame], tzinfo] | None = None
        if "zone" in entry:
            zone = self._zone(entry, what)
        date_format = entry.get("format")
        if date_format is not None and not (isinstance(date_format, str) and "%" in date_format):
            self.place.refuse(entry.line_of("format"), f"{what}: format: must be a pattern such as '%Y-%m-%d'")
        rounding = self.place.choice(entry, "rounding", ROUNDINGS, "half_up") if "rounding" in entry else None
        return ConversionOptions(self.place.whole_number(entry, "places", 0, 12), rounding, date_format, zone)

    def _zone(self, entry: Table, what: str) -> Callable[[Frame], tzinfo]:
        text = entry["zone"]
        if isinstance(text, str) and not text.startswith("settings."):
            try:
                fixed = zone_named(text)
            except Unfit as unfit:
                self.place.refuse(entry.line_of("zone"), f"{what}: {unfit.reason}")
            return lambda _: fixed
        run = self.expression(entry, "zone", what).run
        return lambda frame: zone_named(run(frame))

    def _texts(self, entry: Table, target: Shape, source: str, what: str) -> list[Step]:
        steps: list[Step] = []
        if "case" in entry:
            upper = self.place.choice(entry, "case", ("upper", "lower"), "upper") == "upper"
            steps.append(lambda value, _: in_case(value, upper))
        longest = self.place.whole_number(entry, "max", 1, 100_000)
        on_long = self.place.choice(entry, "on_long", ("fail", "cut", "lines"), "fail")
        if "on_long" in entry and longest is None:
            self.place.refuse(entry.line_of("on_long"), f"{what}: on_long: needs max:")
        if on_long == "lines":
            return steps
        if longest is None:
            longest = declared_length(target)
        if longest is not None:
            steps.append(length_limit(longest, on_long == "cut", source))
        return steps

    def _ends(self, entry: Table, target: Shape, what: str) -> tuple[Expr | None, bool, str]:
        """The default, whether a value is required, and the remedy if it is missing."""
        required = entry.get("required", False)
        if not isinstance(required, bool):
            self.place.refuse(entry.line_of("required"), f"{what}: required: must be true or false")
        remedy = entry.get("remedy", "")
        if not isinstance(remedy, str):
            self.place.refuse(entry.line_of("remedy"), f"{what}: remedy: must be a text")
        if "default" not in entry:
            return None, required, remedy
        return self._default(entry, what, target), required, remedy

    def _default(self, entry: Table, what: str, target: Shape) -> Expr:
        """`default:` is a constant, or an expression if it begins with `settings.`."""
        given = entry["default"]
        if isinstance(given, Table | Items):
            self.place.refuse(entry.line_of("default"), f"{what}: default: must be a single value")
        if isinstance(given, str) and given.startswith("settings."):
            source = self.expression(entry, "default", what)
        else:
            source = constant(given)
        return self._finished(source, entry, "default", target, what)
