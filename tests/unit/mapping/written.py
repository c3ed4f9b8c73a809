"""Mappings and documents as somebody might write them, drawn at random: most of a mapping's features, awkward documents.

A mapping is written as its YAML would be read: tables, lists, texts, numbers. Nearly all of them are right; one in
twenty-five has a mistake that docs/mapping.md says is refused (`SPOILERS`), and nothing else about it. The schemas are those of
`mapping_fixtures`: `Source` for documents, `Target` for what is made of them.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Doc = dict[str, Any]
Entry = dict[str, Any]

TOP = {
    "text": ["title", "note", "buyer.name", "buyer.street", "buyer.town", "buyer.country", "buyer.friend.name"],
    "integer": ["id"],
    "decimal": ["total", "rate"],
    "date": ["day"],
    "datetime": ["at"],
    "boolean": ["paid"],
    "any": ["anything", "custom.colour", "custom['a-b']"],
}
ROW = {
    "text": ["id", "sku", "name", "net.currency", "sequence"],
    "integer": ["parent", "number"],
    "decimal": ["qty", "net.value"],
    "date": [],
    "datetime": [],
    "boolean": [],
    "any": [],
}
TEXTS = [
    "A", "a", "box", "1", "2", "7", "007", "10", " ", "", "  padded  ", "two words", "Mug, large", "1.50", "-0", "1E+3", "12,5",
    "true", "none", "2024-03-31", "31.03.2024", "29.02.2023", "31.03.2024 01:30", "27.10.2024 01:30", "Stra\u00dfe 12", "e\u0301te\u0301", "\u00e9t\u00e9", "\ufb01ne",
    "\u0663", "\u00b2", "\u00a0", "a\u00a0b", "\u200b", "line one\nline two", "tab\there", "x" * 45, "word " * 12, "abcde fghij klmno",
    "\U0001f9e6 socks", "GB", "London", "1 High Street", "a/b", "11111111111111111111111111111111111111.5",
]  # fmt: skip
DECIMALS = [
    "0", "-0", "1", "2", "7", "7.00", "2.50", "-1.005", "9.995", "0.125", "0.0000001", "1E+3", "1E+40", "100",
    "12345678901234567890.123", "-12345678901234567890123456789012345.6", "1E-30", "3", "10000.01",
]  # fmt: skip
INTEGERS = [0, 1, 2, 3, 7, 11, -1, -7, 1001, 2**31, 10**30, 10**40]
DATES = [date(2024, 2, 29), date(2024, 3, 31), date(2023, 12, 31), date(1, 1, 1), date(9999, 12, 31), date(2024, 6, 9)]
TIMES = [
    datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 0, tzinfo=UTC),
    datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
    datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
    datetime(2024, 6, 9, 23, 30, tzinfo=UTC),
    datetime(2024, 6, 9, 23, 30, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    datetime(2024, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 30),  # noqa: DTZ001 - no zone
]
ZONES = ["Europe/London", "Pacific/Auckland", "America/New_York", "UTC", "Asia/Kolkata"]
LOOKUPS: dict[str, dict[str, Any]] = {"codes": {"a": "A", "1": "one", "7": 70, "box": "BX"}, "empty": {}}
ROUNDINGS = ["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"]
FUNCTIONS_OF_TEXT = ["strip", "upper", "lower", "text"]


@dataclass
class Scope:
    """What a name may mean where an expression is written: in a row or not, named values by kind, loop variables."""

    in_row: bool = False
    names: dict[str, str] = field(default_factory=dict)
    loops: tuple[str, ...] = ()
    more: dict[str, list[str]] = field(default_factory=dict)
    refers: bool = False

    def paths(self, kind: str) -> list[str]:
        top = TOP.get(kind, [])
        rows = ROW.get(kind, [])
        found = [*rows, *(f"doc.{path}" for path in top)] if self.in_row else list(top)
        found += [name for name, of in self.names.items() if of == kind]
        for loop in self.loops:
            found += [f"{loop}.{path}" for path in rows if path != "number"]
        return found + self.more.get(kind, [])

    def rows(self) -> str:
        return "doc.rows" if self.in_row else "rows"

    def top(self, path: str) -> str:
        return f"doc.{path}" if self.in_row else path


@dataclass
class Written:
    """A mapping, a document, what else is known, and what the mapping has of the language."""

    spec: Entry
    doc: Doc
    settings: Doc
    lookups: dict[str, dict[str, Any]]
    references: dict[str, dict[str, Doc]]
    parts: tuple[str, ...]
    met: Counter[str]
    spoiled: str = ""
    is_linked: bool = True

    @property
    def yaml(self) -> str:
        return "\n".join(as_yaml(self.spec))


def as_yaml(value: Any, before: str = "") -> Iterator[str]:
    """A table in YAML, an entry a line, inner ones in braces; texts in double quotes."""
    for name, entry in value.items():
        if isinstance(entry, dict) and entry and not before:
            yield f"{in_key(name)}:"
            yield from as_yaml(entry, "  ")
        else:
            yield f"{before}{in_key(name)}: {in_braces(entry)}"


def in_key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def in_braces(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_key(key)}: {in_braces(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(in_braces(entry) for entry in value) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value)


class Pen:
    """Draws; keeps count of what it has written. `0` and the first choice are the simplest, for shrinking."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.met: Counter[str] = Counter()
        self.names_values = False

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def chance(self, percent: int) -> bool:
        return self.number(0, 99) >= 100 - percent

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def meet(self, feature: str) -> None:
        self.met[feature] += 1

    # --- expressions

    def path(self, kind: str, scope: Scope) -> str:
        self.meet("path")
        return self.pick(scope.paths(kind))

    def amount(self, scope: Scope, depth: int = 2) -> str:
        """An expression that is a number."""
        kinds = ["path", "path", "path", "literal", "settings"]
        if depth:
            kinds += ["arithmetic"] * 3 + [
                "round",
                "abs",
                "sum",
                "count",
                "extreme",
                "length",
                "number",
                "whole",
                "if",
                "wild",
            ]
        match self.pick(kinds):
            case "path":
                path = self.path(self.pick(["decimal", "decimal", "integer"]), scope)
                if self.chance(75):
                    self.meet("default()")
                    return f"default({path}, {self.pick(['0', '1', '2.5'])})"
                return path
            case "literal":
                return self.pick(["0", "1", "2", "0.5", "100", "-3", "0.005", "7"])
            case "settings":
                self.meet("settings.")
                return self.pick(["settings.limit", "settings.top"])
            case "arithmetic":
                sign = self.pick(["+", "-", "*", "*", "+", "/", "//", "%"])
                self.meet(f"{sign} of numbers")
                right = self.amount(scope, depth - 1)
                if sign in ("/", "//", "%") and self.chance(80):
                    right = self.pick(["2", "3", "7", "0.3", "-4", f"({right} or 1)"])
                return f"({self.amount(scope, depth - 1)} {sign} {right})"
            case "round":
                self.meet("round()")
                return f"round({self.amount(scope, depth - 1)}, {self.pick(['0', '1', '2', '5'])})"
            case "abs":
                self.meet("abs()")
                return f"abs({self.amount(scope, depth - 1)})"
            case "sum":
                self.meet("sum()")
                return f"sum({self.over_rows(scope, lambda inner: self.amount(inner, depth - 1))})"
            case "count":
                self.meet("count()")
                return f"count({self.pick([scope.rows(), scope.top('tags'), self.a_list(scope)])})"
            case "extreme":
                name = self.pick(["min", "max", "first"])
                self.meet(f"{name}()")
                if self.chance(50):
                    return f"{name}({self.over_rows(scope, lambda inner: self.amount(inner, depth - 1))})"
                return f"{name}({self.amount(scope, depth - 1)}, {self.amount(scope, depth - 1)})"
            case "length":
                self.meet("length()")
                return f"length({self.words(scope, depth - 1)})"
            case "number":
                self.meet("number()")
                return f"number({self.pick([self.path('text', scope), repr_of('12.50'), self.path('any', scope)])})"
            case "whole":
                self.meet("whole()")
                return f"whole({self.pick([self.path('text', scope), repr_of('12'), self.path('any', scope)])})"
            case "if":
                self.meet("A if C else B")
                one, other = self.amount(scope, depth - 1), self.amount(scope, depth - 1)
                return f"({one} if {self.condition(scope, depth - 1)} else {other})"
            case _:
                return self.path("any", scope)

    def over_rows(self, scope: Scope, of: Callable[[Scope], str]) -> str:
        """A comprehension over the rows."""
        self.meet("for x in")
        name = "rst"[len(scope.loops)]
        inner = replace(scope, loops=(*scope.loops, name))
        if len(inner.loops) == 3:
            inner = scope
            return of(scope)
        condition = ""
        if self.chance(40):
            self.meet("for x in, if")
            condition = f" if {self.condition(inner, 0)}"
        return f"{of(inner)} for {name} in {scope.rows()}{condition}"

    def a_list(self, scope: Scope) -> str:
        match self.pick(["literal", "tags", "settings", "split", "rows"]):
            case "literal":
                self.meet("[a, b]")
                return self.pick(["[1, 2, 7]", "['A', 'box', '7']", "[]", "['a', 1]"])
            case "tags":
                return scope.top("tags")
            case "settings":
                self.meet("settings.")
                return "settings.channels"
            case "split":
                self.meet("split()")
                return f"split({self.path('text', scope)}{self.pick(['', ', ' + repr_of(' '), ', ' + repr_of('/')])})"
            case _:
                if len(scope.loops) > 1:
                    return scope.top("tags")
                return f"[{self.over_rows(scope, lambda inner: self.words(inner, 0))}]"

    def words(self, scope: Scope, depth: int = 2) -> str:
        """An expression that is a text."""
        kinds = ["path", "path", "path", "path", "literal", "settings"]
        if depth:
            kinds += [
                "function",
                "function",
                "+",
                "join",
                "replace",
                "left",
                "piece",
                "first",
                "lookup",
                "if",
                "ref",
                "wild",
            ]
        match self.pick(kinds):
            case "path":
                return self.path("text", scope)
            case "literal":
                return repr_of(self.pick(["A", "x", "1", " ", "", "two words", "\u00e9"]))
            case "settings":
                self.meet("settings.")
                return "settings.zone"
            case "function":
                name = self.pick(FUNCTIONS_OF_TEXT)
                self.meet(f"{name}()")
                inner = self.amount(scope, depth - 1) if name == "text" else self.words(scope, depth - 1)
                return f"{name}({inner})"
            case "+":
                self.meet("+ of texts")
                return f"({self.filled(scope, depth - 1)} + {self.filled(scope, depth - 1)})"
            case "join":
                self.meet("join()")
                others = [self.pick([self.words, self.amount])(scope, depth - 1) for _ in range(self.number(1, 3))]
                return f"join({repr_of(self.pick(['/', ', ', '']))}, {', '.join(others)})"
            case "replace":
                self.meet("replace()")
                old, new = self.pick(["a", " ", "1", ""]), self.pick(["b", "", "--"])
                return f"replace({self.filled(scope, depth - 1)}, {repr_of(old)}, {repr_of(new)})"
            case "left":
                name = self.pick(["left", "right"])
                self.meet(f"{name}()")
                return f"{name}({self.words(scope, depth - 1)}, {self.pick(['3', '1', '20'])})"
            case "piece":
                name = self.pick(["piece", "rest"])
                self.meet(f"{name}()")
                return f"{name}({self.words(scope, depth - 1)}, {self.pick(['5', '1', '20'])})"
            case "first":
                name = self.pick(["first", "default"])
                self.meet(f"{name}()")
                return f"{name}({self.words(scope, depth - 1)}, {self.words(scope, depth - 1)})"
            case "lookup":
                self.meet("lookup()")
                default = f", {self.words(scope, 0)}" if self.chance(60) else ""
                key = self.pick([self.words, self.amount])(scope, depth - 1)
                return f"lookup('{self.pick(['codes', 'codes', 'empty'])}', {key}{default})"
            case "if":
                self.meet("A if C else B")
                one, other = self.words(scope, depth - 1), self.words(scope, depth - 1)
                return f"({one} if {self.condition(scope, depth - 1)} else {other})"
            case "ref" if scope.refers:
                self.meet("ref()")
                return f"ref('left.person', {self.pick([self.path('text', scope), scope.top('id')])}).{self.pick(['name', 'town'])}"
            case _:
                return self.path("any", scope)

    def filled(self, scope: Scope, depth: int) -> str:
        """A text that is seldom missing, for what wants one."""
        made = self.words(scope, depth)
        return f"default({made}, 'none')" if self.chance(80) else made

    def condition(self, scope: Scope, depth: int = 2) -> str:
        kinds = ["compare", "compare", "equal", "equal", "in", "flag", "text", "none"]
        if depth:
            kinds += ["and", "or", "not", "starts", "any", "dates"]
        match self.pick(kinds):
            case "compare":
                sign = self.pick(["<", ">", "<=", ">="])
                self.meet(f"{sign} of numbers")
                return f"{self.amount(scope, min(depth, 1))} {sign} {self.pick(['0', '1', '10', '2.5'])}"
            case "equal":
                sign = self.pick(["==", "!="])
                self.meet(sign)
                match self.pick(["texts", "numbers", "mixed", "any"]):
                    case "texts":
                        return f"{self.words(scope, min(depth, 1))} {sign} {repr_of(self.pick(['A', '', '1', 'box']))}"
                    case "numbers":
                        return f"{self.amount(scope, min(depth, 1))} {sign} {self.pick(['0', '7', '2.5', '1.0'])}"
                    case "mixed":
                        pair = [(self.path("text", scope), "7"), (self.path("decimal", scope), repr_of("7"))]
                        left, right = self.pick([*pair, (self.path("integer", scope), repr_of("7"))])
                        return f"{left} {sign} {right}"
                    case _:
                        return f"{self.path('any', scope)} {sign} {self.pick(['1', repr_of('a'), repr_of('7.00')])}"
            case "in":
                sign = self.pick(["in", "not in"])
                self.meet(sign)
                value = self.pick([self.words(scope, 0), self.path("integer", scope), self.path("decimal", scope)])
                return f"{value} {sign} {self.a_list(scope)}"
            case "flag":
                self.meet("a boolean as a condition")
                return self.pick([scope.top("paid"), "settings.strict", "true", "false"])
            case "text":
                self.meet("a value as a condition")
                return self.pick(
                    [self.path("text", scope), self.path("any", scope), scope.rows(), self.path("decimal", scope)]
                )
            case "none":
                self.meet("== none")
                kind = self.pick(["text", "decimal", "any"])
                return f"{self.path(kind, scope)} {self.pick(['==', '!='])} none"
            case "and" | "or" as word:
                self.meet(word)
                return f"({self.condition(scope, depth - 1)} {word} {self.condition(scope, depth - 1)})"
            case "not":
                self.meet("not")
                return f"(not {self.condition(scope, depth - 1)})"
            case "starts":
                name = self.pick(["starts", "ends", "contains"])
                self.meet(f"{name}()")
                return f"{name}({self.words(scope, depth - 1)}, {repr_of(self.pick(['1', 'A', '']))})"
            case "any":
                name = self.pick(["any", "all"])
                self.meet(f"{name}()")
                return f"{name}({self.over_rows(scope, lambda inner: self.condition(inner, 0))})"
            case _:
                sign = self.pick(["<", ">=", "=="])
                self.meet(f"{sign} of dates")
                return f"{scope.top('day')} {sign} days({scope.top('day')}, {self.pick(['1', '-1', '0'])})"

    def a_date(self, scope: Scope, depth: int = 1) -> str:
        match self.pick(["path", "days", "first"] if depth else ["path"]):
            case "path":
                return self.path("date", scope)
            case "days":
                self.meet("days()")
                return f"days({self.a_date(scope, depth - 1)}, {self.pick(['1', '30', '-1', '365', scope.top('id')])})"
            case _:
                name = self.pick(["first", "min", "max"])
                self.meet(f"{name}() of dates")
                return f"{name}({self.a_date(scope, 0)}, {self.a_date(scope, 0)})"


def repr_of(text: str) -> str:
    """A literal of the language."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


class Author(Pen):
    """Writes the entries of a mapping."""

    def entry(self, kind: str, scope: Scope, longest: int | None = None) -> Entry:
        """A value for a target's field of a kind."""
        if kind == "text" and not self.names_values and self.chance(12):
            return self.written_out(scope) | self.ends("text", {"default": ""})
        made = self.source(kind, scope)
        if kind == "text" and self.chance(25):
            made |= self.looked_up()
        made |= self.converted(kind, made)
        made |= self.bounded(kind, longest)
        made |= self.ends(kind, made)
        return made

    def expression(self, kind: str, scope: Scope) -> str:
        match kind:
            case "text":
                return self.words(scope) if self.names_values or self.chance(80) else self.amount(scope)
            case "integer":
                return self.pick([self.path("integer", scope), f"count({scope.rows()})", self.path("text", scope)])
            case "decimal":
                return self.amount(scope) if self.chance(90) else self.path("text", scope)
            case "date":
                return self.a_date(scope)
            case "datetime":
                return self.path("datetime", scope)
            case "boolean":
                return self.pick(
                    [f"not {self.condition(scope)}", self.path("boolean", scope), self.path("text", scope)]
                )
            case "list":
                return self.a_list(scope)
            case _:
                return self.pick([self.words, self.amount])(scope)

    def source(self, kind: str, scope: Scope) -> Entry:
        forms = ["from", "from", "from", "from", "when", "cases"] + ["first"] * (kind != "list")
        if kind == "text":
            forms += ["join", "join", "value"]
        if kind in ("decimal", "integer"):
            forms += ["value"]
        form = self.pick(forms)
        self.meet(f"{form}:")
        made: Entry
        match form:
            case "from":
                made = {"from": self.expression(kind, scope)}
            case "value":
                made = {"value": self.constant(kind)}
            case "join":
                made = {"join": [self.expression("text", scope) for _ in range(self.number(1, 3))]}
                if self.chance(50):
                    made["with"] = self.pick([", ", "/", "", " - "])
            case "first":
                made = {"first": [self.expression(kind, scope) for _ in range(self.number(1, 3))]}
            case "when":
                made = {"when": self.condition(scope), "then": self.expression(kind, scope)}
                if self.chance(60):
                    made["else"] = self.expression(kind, scope)
            case _:
                cases: list[Entry] = [
                    {"when": self.condition(scope, 1), "then": self.expression(kind, scope)}
                    for _ in range(self.number(1, 2))
                ]
                made = {"cases": [*cases, {"else": self.expression(kind, scope)}] if self.chance(60) else cases}
        if "when" not in made and self.chance(15):
            self.meet("when: beside another source")
            made = {"when": self.condition(scope, 1), **made}
            if self.chance(50):
                made["else"] = self.expression(kind, scope)
        return made

    def constant(self, kind: str) -> Any:
        if kind == "text":
            return self.pick(["WEB001", "a", "0010", "NO", "x y", 7, Decimal("1.50")])
        return self.pick([0, 1, 7, -3] if kind == "integer" else [0, 1, Decimal("2.50"), Decimal("-0.005")])

    def looked_up(self) -> Entry:
        table = self.pick(["codes", "codes", "codes", "empty"])
        miss = self.pick(["", "fail", "wait", "pass", "default"])
        self.meet(f"lookup: miss {miss or 'not said'}")
        made: Entry = {"lookup": table}
        if miss:
            made["miss"] = miss
        if miss == "default":
            made["default"] = self.pick(["", "X", "settings.zone"])
        return made

    def converted(self, kind: str, made: Entry) -> Entry:
        """Conversions that the field needs, or that are said without need."""
        if kind == "integer":
            self.meet("rounding: to an integer")
            return {"rounding": self.pick(ROUNDINGS)}
        if kind == "decimal" and self.chance(60):
            self.meet("places:")
            added: Entry = {"places": self.pick([2, 0, 5, 6])}
            if self.chance(50):
                self.meet("rounding:")
                added["rounding"] = self.pick(ROUNDINGS)
            return added
        return {}

    def written_out(self, scope: Scope) -> Entry:
        """Text of another kind, by way of `as:`, with decimals, by a format."""
        zone = {"zone": self.pick([*ZONES, "settings.zone"])}
        shape = {"format": self.pick(["%d/%m/%Y", "%Y%m%d", "%H:%M"])}
        match self.pick(["integer", "decimal", "places", "date", "formatted", "time", "time to date"]):
            case "integer":
                self.meet("as: integer, to text")
                return {"from": self.amount(scope), "as": "integer", "rounding": self.pick(ROUNDINGS)}
            case "decimal":
                self.meet("as: decimal, to text")
                return {"from": self.path("text", scope), "as": "decimal"}
            case "places":
                self.meet("places: of a text")
                return {"from": self.amount(scope), "places": self.pick([2, 0])}
            case "date":
                self.meet("a date to text")
                return {"from": self.a_date(scope)}
            case "formatted":
                self.meet("a date to text by a format")
                return {"from": self.a_date(scope), "format": "%d/%m/%Y"}
            case "time":
                self.meet("a time to text")
                return {"from": self.path("datetime", scope)} | zone | shape
            case _:
                self.meet("a time to a date to text")
                return {"from": self.path("datetime", scope), "as": "date"} | zone

    def bounded(self, kind: str, longest: int | None) -> Entry:
        if kind != "text":
            return {}
        added: Entry = {}
        if self.chance(12):
            self.meet("case:")
            added["case"] = self.pick(["upper", "lower"])
        if self.chance(40):
            self.meet("max:")
            added["max"] = self.pick([10, 5, 1, 30] if longest is None else [5, longest, 1])
        if "max" in added and self.chance(60):
            how = self.pick(["fail", "cut"])
            self.meet(f"on_long: {how}")
            added["on_long"] = how
        return added

    def ends(self, kind: str, made: Entry) -> Entry:
        added: Entry = {}
        if self.chance(15):
            self.meet("required:")
            added["required"] = True
            if self.chance(50):
                added["remedy"] = "Fill it in at the source"
        if "default" not in made and kind in ("text", "decimal", "integer") and self.chance(15):
            self.meet("default:")
            added["default"] = self.constant(kind) if self.chance(70) or kind != "text" else "settings.zone"
        return added

    def dated(self, kind: str, scope: Scope) -> Entry:
        """A date or a time, each way there is to one."""
        ways = ["date", "time", "text"] if kind == "date" else ["time", "date", "text"]
        way = self.pick(ways)
        self.meet(f"{way} to a {kind}")
        zone = {"zone": self.pick([*ZONES, "settings.zone"])}
        if way == "text":
            text = self.path("text", scope)
            made: Entry = {"from": text, "format": self.pick(["%Y-%m-%d", "%d.%m.%Y"])}
            if kind == "datetime":
                made |= {"format": self.pick(["%d.%m.%Y %H:%M", "%d.%m.%Y"])} | zone
            return made | self.ends(kind, {})
        if way == "time":
            path = self.path("datetime", replace(scope, in_row=False) if not scope.in_row else scope)
            made = {"from": path}
            if kind == "date":
                made |= {"as": "date"} if self.chance(50) else {}
                made |= zone
            return made | self.ends(kind, {})
        made = {"from": self.a_date(scope)}
        return made | ({} if kind == "date" else zone) | self.ends(kind, {})

    # --- the parts of a mapping

    def fields(self, scope: Scope) -> Entry:
        made: Entry = {}
        kinds = {
            "key": ("text", None), "customer": ("text", None), "name": ("text", 10), "number": ("integer", None),
            "amount": ("decimal", None), "date": ("date", None), "time": ("datetime", None), "flag": ("boolean", None),
            "free": ("any", None), "words": ("list", None), "more": ("text", None),
        }  # fmt: skip
        for name, (kind, longest) in kinds.items():
            if not self.chance(30):
                continue
            self.meet(f"a field: {kind}")
            if kind in ("date", "datetime"):
                made[name] = self.dated(kind, scope)
            elif name == "customer" and self.chance(70):
                made[name] = self.linked(scope)
            else:
                made[name] = self.entry(kind, scope, longest)
        if self.chance(25):
            made["line1, line2, line3"] = self.spread(scope, "more" not in made or self.chance(30))
        return made

    def linked(self, scope: Scope) -> Entry:
        self.meet("link:")
        keys = ["sku", "parent"] if scope.in_row else []
        made: Entry = {"from": self.pick([*keys, scope.top("id"), scope.top("title")]), "link": "customers"}
        if self.chance(40):
            self.meet("link: with part")
            made["part"] = self.pick([scope.top("buyer.country"), "'EUR'"])
        if self.chance(30):
            made = {"when": self.condition(scope, 1), **made}
            if self.chance(60):
                made["else"] = self.words(scope, 0)
        return made | self.ends("text", {"default": ""})

    def spread(self, scope: Scope, may_overflow: bool) -> Entry:
        self.meet("spread:")
        items = [self.words(scope, 0) for _ in range(self.number(1, 4))]
        made: Entry = {"spread": items, "max": self.pick([10, 5, 20, 30])}
        if self.chance(15):
            self.meet("when: of a spread")
            made["when"] = self.condition(scope, 1)
        if self.chance(30):
            self.meet("before:")
            made = {"before": self.words(scope, 1), **made}
        if self.chance(30):
            self.meet("shorter:")
            made["shorter"] = [self.words(scope, 0) if self.chance(40) else item for item in items]
        if may_overflow and self.chance(50):
            self.meet("overflow:")
            made["overflow"] = "more"
        return made

    def lines(self, scope: Scope) -> Entry:
        """A block of lines."""
        made: Entry = {}
        inner = replace(scope)
        each = self.chance(80)
        if each:
            self.meet("each:")
            made["each"] = "rows"
            inner = replace(scope, in_row=True)
        else:
            self.meet("a line for the document")
        let: Entry = {}
        if self.chance(35):
            self.meet("let:")
            for name, kind in (("net_", "decimal"), ("code_", "text")):
                if self.chance(60):
                    let[name] = {"from": self.words(inner) if kind == "text" else self.amount(inner)}
                    inner.names = {**inner.names, name: kind}
        if self.chance(50):
            self.meet("where:")
            made["where"] = self.condition(inner, 1)
        if each and self.chance(40):
            self.meet("sort:")
            made["sort"] = self.pick(["sequence", "qty", "id", "sku", "net.value", "parent"])
        made["key"] = (
            self.pick(["id", "id", "id", "id + '/x'", "number"]) if each else repr_of(self.pick(["only", "1"]))
        )
        if let:
            made["let"] = let
        lines_on = self.chance(30)
        for name, kind in (
            ("code", "text"),
            ("text", "text"),
            ("quantity", "decimal"),
            ("price", "decimal"),
            ("when", "date"),
        ):
            if lines_on and kind != "text":
                continue
            if self.chance(40):
                scope_ = inner
                made[name] = self.dated("date", scope_) if kind == "date" else self.entry(kind, scope_)
        if self.chance(10):
            made["code"] = self.linked(inner)
        if lines_on:
            self.meet("on_long: lines")
            made["text"] = {"from": self.words(inner, 1), "max": self.pick([10, 5, 20]), "on_long": "lines"}
        elif not {"code", "text", "quantity", "price", "when"} & set(made):
            made["code"] = self.entry("text", inner)
        return made

    def rules(self, scope: Scope, values: Entry) -> list[Entry]:
        found: list[Entry] = []
        for number in range(self.number(0, 3)):
            kind = self.pick(["skip", "cancel", "hold", "reject", "route"])
            if kind == "route" and not values:
                continue
            self.meet(f"{kind}: rule")
            rule: Entry = {kind: f"reason {number}", "when": self.condition(scope)}
            if kind == "reject":
                rule |= {"field": self.pick(["rows", "title"]), "value": self.words(scope, 0), "remedy": "Correct it"}
            if kind == "route":
                name = self.pick(sorted(values))
                rule["set"] = {name: {"value": self.constant(scope.names[name])}}
            found.append(rule)
        return found

    def checks(self) -> list[Entry]:
        """Conditions over the mapped document."""
        found: list[Entry] = []
        for number in range(self.number(0, 2)):
            self.meet("checks:")
            condition = self.pick(
                [
                    "count(mapped.goods) > 2",
                    "sum(line.quantity for line in mapped.goods if line.quantity) > 100",
                    "mapped.key == title and title",
                    "any(line.text == '' for line in mapped.notes)",
                    "mapped.amount > 1000 if mapped.amount != none else false",
                    "length(mapped.name) > 9",
                ]
            )
            found.append(
                {"reject": f"check {number}", "when": condition, "field": "goods", "value": "count(mapped.goods)"}
            )
        return found

    def mapping(self) -> Entry:
        spec: Entry = {}
        scope = Scope()
        if self.chance(30):
            self.meet("references:")
            scope.refers = True
            spec["references"] = [{"resource": "left.person", "keys": [self.pick(["id", "title", "tags", "anything"])]}]
        values: Entry = {}
        self.names_values = True  # their kind must be what is said of them: `word + 'x'` is refused for a number
        if self.chance(50):
            for name, kind in (("word", "text"), ("figure", "decimal")):
                if self.chance(60):
                    self.meet("values:")
                    values[name] = self.entry(kind, scope)
                    scope.names = {**scope.names, name: kind}
        self.names_values = False
        if values:
            spec["values"] = values
        if rules := self.rules(scope, values):
            spec["rules"] = rules
        inner = scope
        if self.chance(20):
            self.meet("parts:")
            spec["parts"] = self.pick(
                [["buyer.country"], ["'EUR'", "'GBP'"], ["tags"], ["buyer.country", "parts_wanted"]]
            )
            inner = replace(scope, more={"text": ["part"]})
        body = self.fields(inner)
        for name in ("goods", "notes"):
            if self.chance(40):
                blocks = [self.lines(inner) for _ in range(self.number(1, 2))]
                if len(blocks) == 2:
                    self.meet("several blocks for one list")
                body[name] = blocks if len(blocks) > 1 else blocks[0]
        if not body:
            body["key"] = {"from": "id"}
        spec["mapping"] = body
        if checks := self.checks() if self.chance(25) else []:
            spec["checks"] = checks
        return spec

    # --- documents

    def value(self, kind: str) -> Any:
        if self.chance(4):
            self.meet("document: another kind of value")
            kind = self.pick(["text", "decimal", "boolean", "date", "list", "group", "datetime"])
        match kind:
            case "text":
                return self.pick(TEXTS) if self.chance(90) else self.draw(st.text(max_size=12))
            case "decimal":
                return Decimal(self.pick(DECIMALS))
            case "integer":
                return self.pick(INTEGERS)
            case "boolean":
                return self.chance(50)
            case "date":
                return self.pick(DATES)
            case "datetime":
                return self.pick(TIMES)
            case "list":
                return [self.pick(TEXTS) for _ in range(self.number(0, 2))]
            case "group":
                return {"value": self.pick(TEXTS)} if self.chance(50) else {}
            case _:
                return self.value(self.pick(["text", "decimal", "integer", "boolean", "list", "group"]))

    def filled_in(self, kinds: dict[str, str]) -> Doc:
        """Some of the fields: a key may be missing, or null."""
        made: Doc = {}
        for name, kind in kinds.items():
            state = self.number(0, 99)
            if state < 82:
                made[name] = self.value(kind)
            elif state < 92:
                made[name] = None
        return made

    def document(self) -> Doc:
        kinds = {
            "id": "integer", "title": "text", "note": "text", "paid": "boolean", "total": "decimal", "rate": "decimal",
            "day": "date", "at": "datetime", "anything": "any",
        }  # fmt: skip
        made = self.filled_in(kinds)
        if self.chance(75):
            made["buyer"] = self.person()
            if self.chance(30):
                made["buyer"]["friend"] = self.person()
        if self.chance(85):
            made["rows"] = [self.row(number) for number in range(self.number(0, 4))]
        if self.chance(70):
            made["tags"] = [self.pick(TEXTS) for _ in range(self.number(0, 3))]
        if self.chance(50):
            made["custom"] = self.filled_in({"colour": "any", "a-b": "any"})
        if self.chance(3):
            made[self.pick(["buyer", "rows", "tags", "custom"])] = self.value("any")
        return made

    def person(self) -> Doc:
        return self.filled_in(dict.fromkeys(["name", "street", "town", "country"], "text"))

    def row(self, number: int) -> Doc:
        made: Doc = {"id": str(number + 11)} if self.chance(95) else self.filled_in({"id": "text"})
        kinds = {"sku": "text", "name": "text", "qty": "decimal", "parent": "integer", "sequence": "text"}
        made |= self.filled_in(kinds)
        if self.chance(75):
            made["net"] = self.filled_in({"value": "decimal", "currency": "text"})
        return made

    def surroundings(self) -> dict[str, Any]:
        """What the connection has: settings, entries of tables, documents read, parts asked for."""
        settings: Doc = {}
        for name, choices in {
            "zone": ZONES, "limit": [Decimal("2.50"), 0], "channels": [[], ["7", 1]], "strict": [True], "top": [0, 7],
        }.items():  # fmt: skip
            if self.chance(20):
                settings[name] = self.pick(choices)  # type: ignore[arg-type]
        lookups: dict[str, dict[str, Any]] = {}
        if self.chance(40):
            keys = {unicodedata.normalize("NFC", key).strip(): key for key in (self.pick(TEXTS) for _ in range(2))}
            lookups["codes"] = {key: self.pick(["Z", "a very long value", ""]) for key in keys.values() if key.strip()}
        people = {self.pick(["1", "7", "A", "11"]): self.person() for _ in range(self.number(0, 2))}
        return {
            "settings": settings,
            "lookups": lookups,
            "references": {"left.person": people} if people else {},
            "parts": tuple(self.pick(["EUR", "GBP", "7"]) for _ in range(self.number(0, 2))),
        }


BY = {"each": "rows", "key": "id"}
SPOILERS: dict[str, Entry] = {
    "a field of the source that is not there": {"key": {"from": "titel"}},
    "a field of the target that is not there": {"kee": {"from": "title"}},
    "a function that is not there": {"key": {"from": "lenght(title)"}},
    "a table that is not there": {"key": {"from": "title", "lookup": "coeds"}},
    "a setting that is not there": {"key": {"from": "settings.zne"}},
    "a bad expression": {"key": {"from": "title +"}},
    "a method": {"key": {"from": "title.upper()"}},
    "a power": {"amount": {"from": "total ** 2"}},
    "two sources": {"key": {"from": "title", "value": "x"}},
    "text to a date without a format": {"date": {"from": "title"}},
    "a format without a day": {"date": {"from": "title", "format": "%m.%Y"}},
    "a time to a date without a zone": {"date": {"from": "at"}},
    "a number to a boolean": {"flag": {"from": "total"}},
    "a boolean to a text": {"key": {"from": "paid"}},
    "a list to a text": {"key": {"from": "tags"}},
    "a group to a text": {"key": {"from": "buyer"}},
    "else: without when:": {"key": {"from": "title", "else": "note"}},
    "with: without join:": {"key": {"from": "title", "with": ", "}},
    "miss: without lookup:": {"key": {"from": "title", "miss": "pass"}},
    "part: without link:": {"key": {"from": "title", "part": "note"}},
    "on_long: without max:": {"key": {"from": "title", "on_long": "cut"}},
    "on_long: lines outside lines": {"key": {"from": "title", "max": 5, "on_long": "lines"}},
    "a comparison that cannot hold": {"flag": {"from": "not day == title"}},
    "a comparison of emptiness": {"flag": {"from": "not day == ''"}},
    "in of a text": {"flag": {"from": "not title in note"}},
    "< of a time and a date": {"flag": {"from": "not day < at"}},
    "< of none": {"flag": {"from": "not total < none"}},
    "days of a time": {"date": {"from": "days(at, 1)", "zone": "UTC"}},
    "a continued line with a number": {
        "goods": {**BY, "quantity": {"from": "qty"}, "text": {"from": "name", "max": 5, "on_long": "lines"}}
    },
    "two fields that continue a line": {
        "goods": {
            **BY, "code": {"from": "sku", "max": 5, "on_long": "lines"}, "text": {"from": "name", "max": 5, "on_long": "lines"}
        }
    },
    "overflow: into the spread": {"line1, line2": {"spread": ["title"], "max": 5, "overflow": "line2"}},
}  # fmt: skip
"""Mistakes that docs/mapping.md says are refused at load."""


@st.composite
def written(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Written:
    """A mapping and a document."""
    author = Author(draw)
    spec = author.mapping()
    spoiled = author.pick(sorted(SPOILERS)) if author.chance(4) else ""
    spec["mapping"] |= SPOILERS.get(spoiled, {})
    return Written(
        spec=spec,
        doc=author.document(),
        **author.surroundings(),
        met=author.met,
        spoiled=spoiled,
        is_linked=not author.chance(10),
    )
