"""One target value: where it comes from, and the steps from there to what the target takes.

An entry such as `{from: placedOn, as: date, zone: settings.time_zone}` becomes one closure. The steps, in their order:
source (`from`, `value`, `join`, `first`, `cases`, `then`), `lookup`, `link`, conversion, `case`, `max`; and, whichever
branch of `when` and `else` it comes from, `default` and `required`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from syncengine.mapping import texts
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import MissingLookup, Need
from syncengine.mapping.conversions import ROUNDINGS, Manner, converter, impossible, zone_named
from syncengine.mapping.expressions import compile_expression
from syncengine.mapping.functions import FUNCTIONS
from syncengine.mapping.order import is_empty, truth
from syncengine.mapping.runtime import Frame, Run, Unfit, key_text, table_key
from syncengine.mapping.scope import Expr, Scope
from syncengine.mapping.shapes import ANY, Kind, Shape, common, nearest
from syncengine.mapping.yaml_lines import Items, Table

SOURCES = ("from", "value", "join", "first", "cases", "then")
ENTRIES = (
    *SOURCES, "with", "when", "else", "lookup", "miss", "default", "link", "part", "as", "places", "rounding", "format",
    "zone", "max", "on_long", "case", "required", "remedy",
)  # fmt: skip
COMPANIONS = {"else": "when", "with": "join", "miss": "lookup", "part": "link"}
"""Entries that mean nothing without another one."""
MISSES = ("fail", "wait", "pass", "default")
KINDS = tuple(kind.value for kind in (Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.DATE, Kind.DATETIME, Kind.BOOLEAN))

Step = Callable[[Any, Frame], Any]
_LEFT_OUT = object()
"""The outcome of a `when` that does not hold, where there is no `else`: `default` does not fill it."""


@dataclass(frozen=True)
class LinkProbe:
    """What a `link` entry refers to, to be asked before the mapping runs: under which condition, which key and part."""

    entity: str
    flow: str
    key: Run
    part: Run
    condition: Run | None

    def need(self, frame: Frame) -> Need | None:
        """The need of this document, or None if there is nothing to refer to. Raises Unfit."""
        if self.condition is not None and not truth(self.condition(frame)):
            return None
        key = key_text(self.key(frame))
        return Need(self.entity, key, key_text(self.part(frame)), self.flow) if key else None


@dataclass(frozen=True)
class Value:
    """A compiled entry. `run` gives the value, None for nothing.

    `longest`: characters that its field takes, if that is limited. `lines_of`: instead, the length of one line where
    the entry says `on_long: lines`.
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
        """The expression at one place of the file."""
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
            shape = Shape(Kind.TEXT) if entry.get("miss") != "pass" else _text_or(shape)
        if "link" in entry:
            link = self._link(entry, _assembled(source.run, steps), condition, what)
            steps = [_linked(link)]
            shape = Shape(Kind.TEXT)
        shape = self._convert(entry, shape, target, steps, source.text, what)
        steps += self._texts(entry, target, source.text, what)
        run = _assembled(source.run, steps)
        if condition is not None:
            other = self._else(entry, target, what)
            run = _conditional(condition.run, run, other.run if other else lambda _: _LEFT_OUT)
            shape = common([shape, other.shape]) if other else shape
        default, required, remedy = self._ends(entry, target, what)
        if default is not None:
            shape = common([shape, default.shape])
        run = _ended(run, default.run if default else None, required, remedy)
        longest = self.place.whole_number(entry, "max", 1, 100_000) or _declared_length(target)
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
            told = "on_long: lines is for fields of a line: use cut, or spread the text over several fields"
            self.place.refuse(line, f"{what}: {told}")
        if shape.kind is not Kind.TEXT:
            self.place.refuse(line, f"{what}: on_long: lines is for text, and this is {shape.kind}; say as: text")

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
        constant = entry["value"]
        if isinstance(constant, Table | Items):
            self.place.refuse(entry.line_of("value"), f"{what}: a constant is a single value")
        return _constant(constant)

    def _several(self, entry: Table, name: str, what: str) -> Expr:
        items = entry[name]
        if not isinstance(items, Items) or not items:
            self.place.refuse(entry.line_of(name), f"{what}: {name}: needs a list of expressions")
        parts = [self.expression(items, index, what) for index in range(len(items))]
        runs = [part.run for part in parts]
        shown = ", ".join(part.text for part in parts)
        if name == "first":
            shape = common([part.shape for part in parts])
            return Expr(_first_filled(runs), shape, shown)
        separator = entry.get("with", " ")
        if not isinstance(separator, str):
            self.place.refuse(entry.line_of("with"), f"{what}: with: must be a text in quotes")
        join = FUNCTIONS["join"].call
        return Expr(lambda frame: join(separator, *[run(frame) for run in runs]), Shape(Kind.TEXT), shown)

    def _cases(self, entry: Table, what: str) -> Expr:
        cases: list[tuple[Run, Expr]] = []
        otherwise: Expr | None = None
        for case in self.place.tables(entry["cases"], entry.line_of("cases"), f"cases of {what}"):
            self.place.only(case, ("when", "then", "else"), f"a case of {what}")
            if otherwise is not None:
                self.place.refuse(case.line, f"{what}: a case after else: is never reached")
            if "else" in case and len(case) == 1:
                otherwise = self.expression(case, "else", what)
            elif "when" in case and "then" in case and len(case) == 2:
                cases.append((self.expression(case, "when", what).run, self.expression(case, "then", what)))
            else:
                self.place.refuse(case.line, f"{what}: a case is when: and then:, the last one else:")
        if not cases:
            self.place.refuse(entry.line_of("cases"), f"{what}: cases: needs at least one when: and then:")
        outcomes = [outcome for _, outcome in cases] + ([otherwise] if otherwise else [])
        shown = " or ".join(outcome.text for outcome in outcomes)
        return Expr(_first_case(cases, otherwise), common([outcome.shape for outcome in outcomes]), shown)

    def _else(self, entry: Table, target: Shape, what: str) -> Expr | None:
        if "else" not in entry:
            return None
        return self._finished(self.expression(entry, "else", what), entry, target, what)

    def _finished(self, source: Expr, entry: Table, target: Shape, what: str) -> Expr:
        """A source that is neither looked up nor linked, with conversion, case and length."""
        steps: list[Step] = []
        shape = self._convert(entry, source.shape, target, steps, source.text, what)
        steps += self._texts(entry, target, source.text, what)
        return Expr(_assembled(source.run, steps), shape, source.text)

    # Steps

    def _lookup(self, entry: Table, what: str) -> Step:
        name = self.place.word(entry, "lookup", what)
        with self.place.at(entry.line_of("lookup"), what):
            table = self.scope.table(name)
        miss = self.place.choice(entry, "miss", MISSES, "default" if "default" in entry else "fail")
        if miss == "default" and "default" not in entry:
            self.place.refuse(entry.line_of("miss"), f"{what}: miss: default needs default:")
        return _lookup_step(name, table, miss)

    def _link(self, entry: Table, key: Run, condition: Expr | None, what: str) -> LinkProbe:
        entity = self.place.word(entry, "link", what)
        if entity not in self.scope.needs:
            hint = nearest(entity, self.scope.needs)
            self.place.refuse(entry.line_of("link"), f"{what}: needs: does not name {entity!r}{hint}")
        part = self.expression(entry, "part", what).run if "part" in entry else _nothing
        return LinkProbe(entity, self.scope.needs[entity], key, part, condition.run if condition else None)

    def _convert(self, entry: Table, shape: Shape, target: Shape, steps: list[Step], source: str, what: str) -> Shape:
        """Add the conversion to `as:`, and from there to the target's kind; the shape that comes of it."""
        manner = self._manner(entry, what)
        line = entry.line_of("as") if "as" in entry else entry.line
        kinds = [Kind(self.place.choice(entry, "as", KINDS, ""))] if "as" in entry else []
        if target.kind is not Kind.ANY:
            if kinds and impossible(kinds[0], target.kind, manner):
                self.place.refuse(line, f"{what} is {target.kind} in the target, not {kinds[0]}")
            kinds += [target.kind] if target.kind not in kinds else []
        for kind in kinds:
            if problem := impossible(shape.kind, kind, manner):
                self.place.refuse(line, f"{what}: {source}: {problem}")
            steps.append(_skipping_nothing(converter(kind, manner, source)))
            if kind != shape.kind:
                shape = Shape(kind)
        return shape

    def _manner(self, entry: Table, what: str) -> Manner:
        zone: Callable[[Frame], tzinfo] | None = None
        if "zone" in entry:
            zone = self._zone(entry, what)
        date_format = entry.get("format")
        if date_format is not None and not (isinstance(date_format, str) and "%" in date_format):
            self.place.refuse(entry.line_of("format"), f"{what}: format: is a pattern such as '%Y-%m-%d'")
        rounding = self.place.choice(entry, "rounding", ROUNDINGS, "half_up") if "rounding" in entry else None
        return Manner(self.place.whole_number(entry, "places", 0, 12), rounding, date_format, zone)

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
            steps.append(lambda value, _: _cased(value, upper))
        longest = self.place.whole_number(entry, "max", 1, 100_000)
        on_long = self.place.choice(entry, "on_long", ("fail", "cut", "lines"), "fail")
        if "on_long" in entry and longest is None:
            self.place.refuse(entry.line_of("on_long"), f"{what}: on_long: needs max:")
        if on_long == "lines":
            return steps
        if longest is None:
            longest = _declared_length(target)
        if longest is not None:
            steps.append(_limited(longest, on_long == "cut", source))
        return steps

    def _ends(self, entry: Table, target: Shape, what: str) -> tuple[Expr | None, bool, str]:
        """Default, whether a value is required, and the remedy if it has none."""
        required = entry.get("required", False)
        if not isinstance(required, bool):
            self.place.refuse(entry.line_of("required"), f"{what}: required: is true or false")
        remedy = entry.get("remedy", "")
        if not isinstance(remedy, str):
            self.place.refuse(entry.line_of("remedy"), f"{what}: remedy: is a text")
        if "default" not in entry:
            return None, required, remedy
        return self._default(entry, what, target), required, remedy

    def _default(self, entry: Table, what: str, target: Shape) -> Expr:
        """`default:` is a constant, or an expression where it begins with `settings.`."""
        given = entry["default"]
        if isinstance(given, Table | Items):
            self.place.refuse(entry.line_of("default"), f"{what}: default: is a single value")
        if isinstance(given, str) and given.startswith("settings."):
            source = self.expression(entry, "default", what)
        else:
            source = _constant(given)
        return self._finished(source, entry, target, what)


def _constant(value: Any) -> Expr:
    kinds = {bool: Kind.BOOLEAN, int: Kind.INTEGER, str: Kind.TEXT, type(None): Kind.ANY}
    shape = Shape(kinds.get(type(value), Kind.DECIMAL))
    return Expr(lambda _: value, shape, "a constant", is_constant=True)


def _nothing(_: Frame) -> str:
    return ""


def _text_or(shape: Shape) -> Shape:
    return shape if shape.kind is Kind.TEXT else ANY


def _first_filled(runs: Sequence[Run]) -> Run:
    """The first value that is not empty; those after it are not computed."""
    return lambda frame: next((value for run in runs if not is_empty(value := run(frame))), None)


def _first_case(cases: list[tuple[Run, Expr]], otherwise: Expr | None) -> Run:
    outcomes = [(condition, outcome.run) for condition, outcome in cases]

    def run(frame: Frame) -> Any:
        for condition, outcome in outcomes:
            if truth(condition(frame)):
                return outcome(frame)
        return otherwise.run(frame) if otherwise else None

    return run


def _lookup_step(name: str, table: Mapping[str, str], miss: str) -> Step:
    """Entries of the connection go before those of the file."""

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


def _linked(probe: LinkProbe) -> Step:
    def step(_: Any, frame: Frame) -> Any:
        need = probe.need(frame)
        if need is None:
            return None
        if need not in frame.context.links:
            raise MissingLookup(need)
        return frame.context.links[need]

    return step


def _skipping_nothing(convert: Step) -> Step:
    return lambda value, frame: None if is_empty(value) else convert(value, frame)


def _cased(value: Any, upper: bool) -> Any:
    if not isinstance(value, str):
        return value
    return value.upper() if upper else value.lower()


def _limited(longest: int, cuts: bool, source: str) -> Step:
    def step(value: Any, _: Frame) -> Any:
        if not isinstance(value, str) or len(value) <= longest:
            return value
        if cuts:
            return texts.wrap(value, longest)[0] if value.strip() else ""
        raise Unfit(
            f"{source} has {len(value)} characters, and the target takes {longest}",
            value=value,
            remedy="Shorten it at the source, or let it run over in the mapping (spread, on_long)",
        )

    return step


def _declared_length(target: Shape) -> int | None:
    return target.longest if target.kind is Kind.TEXT else None


def _assembled(source: Run, steps: list[Step]) -> Run:
    """Source and steps as one closure."""

    def run(frame: Frame) -> Any:
        value = source(frame)
        for step in steps:
            value = step(value, frame)
        return value

    return run


def _conditional(condition: Run, yes: Run, no: Run) -> Run:
    return lambda frame: yes(frame) if truth(condition(frame)) else no(frame)


def _ended(outcome: Run, default: Run | None, required: bool, remedy: str) -> Run:
    """The outcome of either branch; where it is empty the default, where even that is empty perhaps a refusal."""

    def run(frame: Frame) -> Any:
        value = outcome(frame)
        left_out = value is _LEFT_OUT
        if left_out or is_empty(value):
            value = default(frame) if default is not None and not left_out else None
            if required and is_empty(value):
                why = "its when: does not hold and there is no else:, and a value is required"
                raise Unfit(why if left_out else "there is no value, and one is required", remedy=remedy)
        return value

    return run
