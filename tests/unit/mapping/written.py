"""Mappings and documents as somebody might write them, drawn at random: most of a mapping's features, awkward documents.

A mapping is written as its YAML would be read: tables, lists, texts, numbers. Nearly all of them are right; one in
twenty-five has a mistake that docs/mapping.md says is refused (`SPOILERS`), and nothing else about it. The schemas are
those of `mapping_fixtures`: `Source` for documents, `Target` for what is made of them.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
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
    "rows": ["rows"],
}
ROW = {
    "text": ["id", "sku", "name", "net.currency", "sequence"],
    "integer": ["parent", "number"],
    "decimal": ["qty", "net.value"],
}
"""The paths of a document and of a row, by kind."""

NUMBERS = [
    "{amount}", "{amount}", "{amount}", "{figure}", "settings.limit", "settings.top",
    "({number} + {number})", "({number} - {number})", "({number} * {number})", "({number} / {divisor})",
    "({number} // {divisor})", "({number} % {divisor})", "round({number}, {places})", "abs({number})", "sum({number of row})",
    "count({list})", "count({rows})", "length({words})", "number({text or any})", "whole({text or any})", "number('12.50')",
    "min({number of row})", "max({number of row})", "min({number}, {number})", "max({number}, {number})",
    "first({number}, {number})", "({number} if {condition} else {number})", "{any}", "-{amount}",
]  # fmt: skip
WORDS = [
    "{text}", "{text}", "{text}", "{text}", "{word}", "settings.zone",
    "strip({words})", "upper({words})", "lower({words})", "text({number})", "text({date})", "({filled} + {filled})",
    "join({separator}, {words}, {number})", "join({separator}, {list})", "replace({filled}, {word}, {word})",
    "left({words}, {few})", "right({words}, {few})", "piece({words}, {few})", "rest({words}, {few})",
    "first({words}, {words})", "first({a list})", "default({words}, {words})", "lookup('codes', {words})",
    "lookup('codes', {words}, {words})", "lookup('codes', {number}, {words})", "lookup('empty', {words}, {words})",
    "({words} if {condition} else {words})", "min({text}, {text})", "max({text}, {text})", "{any}",
    "ref('left.person', {text}).name", "ref('left.person', {id}).town",
]  # fmt: skip
CONDITIONS = [
    "{number} < {figure}", "{number} > {figure}", "{number} <= {figure}", "{number} >= {figure}", "{text} < {text}",
    "{words} == {word}", "{words} != {word}", "{text} == {text}", "{text} in ['padded', '7', '\u00e9t\u00e9']",
    "{number} == {figure}", "{text} == 7", "{integer} == '7'", "{decimal} != '7'", "{any} == {any}",
    "{any} == '7.00'", "{any} != 1", "{words} in {list}", "{words} not in {list}", "{integer} in {list}",
    "{decimal} not in {list}", "{list} == {list}", "{boolean}", "settings.strict", "true", "false", "{text}", "{any}",
    "{rows}", "{decimal}", "{text} == none", "{any} != none", "{decimal} is none", "{words} in {custom}",
    "({condition} and {condition})", "({condition} or {condition})", "(not {condition})", "starts({words}, {word})",
    "ends({words}, {word})", "contains({words}, {word})", "any({condition of row})", "all({condition of row})",
    "{a date} < {a date}", "{a date} == {a date}", "any({list})",
]  # fmt: skip
DATES = [
    "{date}",
    "{date}",
    "days({a date}, {shift})",
    "first({a date}, {a date})",
    "min({date}, {date})",
    "max({date}, {date})",
]
LISTS = [
    "{a list}", "settings.channels", "[1, 2, 7]", "['A', 'box', '7']", "[]", "['a', 1]", "split({text})",
    "split({text}, {separator})",    "[{words of row}]", "[{number of row}]",
]  # fmt: skip
EXPRESSIONS = {
    "number": NUMBERS,
    "words": WORDS,
    "condition": CONDITIONS,
    "a date": DATES,
    "list": LISTS,
    "amount": [
        "default({decimal}, 0)",
        "default({decimal}, 1)",
        "default({integer}, 2.50)",
        "default({decimal}, 100)",
        "{decimal}",
        "{integer}",
    ],
    "filled": ["default({words}, 'none')", "default({words}, 'none')", "{words}"],
    "divisor": ["2", "3", "7", "0.3", "-4", "({number} or 1)", "{number}"],
    "custom": ["{any}"],
    "text or any": ["{text}", "{any}"],
    "figure": ["0", "1", "2", "0.5", "2.50", "10", "100", "-3", "0.005", "7", "7.00"],
    "word": [
        "'A'",
        "'x'",
        "'1'",
        "' '",
        "''",
        "'two words'",
        "'\u00e9'",
        "'a'",
        "'box'",
        "'7'",
        "'padded'",
        "'\u00e9t\u00e9'",
    ],
    "separator": ["'/'", "', '", "' '"],
    "places": ["0", "1", "2", "5"],
    "few": ["3", "1", "5", "20"],
    "shift": ["1", "30", "-1", "365", "0", "{integer}"],
}
"""What an expression of a kind may be; in braces a path or an expression of another kind, `of row` for one of every row."""
SIMPLE = {"number": 6, "words": 6, "condition": 32, "a date": 2, "list": 6, "shift": 5, "divisor": 5}
"""How many of them hold no further expression but paths: the ones that end the depth."""

TEXTS = [
    "A", "a", "box", "1", "2", "7", "007", "10", "9", " ", "", "  padded  ", "two words", "Mug, large", "1.50", "-0", "1E+3",
    "12,5", "+5", "true", "no", "none", "2024-03-31", "31.03.2024", "29.02.2023", "31.03.2024 01:30", "27.10.2024 01:30",
    "Stra\u00dfe 12", "e\u0301te\u0301", "\u00e9t\u00e9", "\ufb01ne", "\u0663", "\u00b2", "\u00a0", "a\u00a0b", "\u200b",
    "line one\nline two", "tab\there", "x" * 45, "word " * 12, "abcde fghij klmno", "\U0001f9e6 socks", "GB", "London",
    "1 High Street", "a/b", "11111111111111111111111111111111111111.5", "\u0130stanbul",
]  # fmt: skip
ALIKE = [
    "A",
    "a",
    "7",
    "007",
    " 7 ",
    "7.0",
    "",
    " ",
    "padded",
    "  padded  ",
    "\u00e9t\u00e9",
    "e\u0301te\u0301",
    "10",
    "9",
]
"""Texts that nearly are one another: drawn as often as all others together, so that they meet."""
DECIMALS = [
    "0", "-0", "1", "2", "7", "7.00", "2.50", "-1.005", "9.995", "0.125", "0.0000001", "1E+3", "100", "20", "99.99", "1E+40",
    "12345678901234567890.123", "-12345678901234567890123456789012345.6", "1E-30", "3", "10000.01",
    "0.123456789012345678901234567890123456789", "99999999999999999999999999999.9999995",
]  # fmt: skip
INTEGERS = [0, 1, 2, 3, 4, 5, 7, 7, 8, 9, 11, 12, 40, -1, -7, 310, 1001, 2**31, 10**30, 10**40]
DAYS = [date(2024, 2, 29), date(2024, 3, 31), date(2023, 12, 31), date(1, 1, 1), date(9999, 12, 31), date(2024, 6, 9)]
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
LOOKUPS: dict[str, dict[str, Any]] = {
    "codes": {"a": "A", "A": "AA", "1": "one", "2": "x", "7": 70, "box": "BX", "GB": "GBR", "London": "LON"},
    "empty": {},
}
ROUNDINGS = ["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"]

FIELDS = {
    "key": "text", "customer": "text", "name": "text", "number": "integer", "amount": "decimal", "date": "date",
    "time": "datetime", "flag": "boolean", "free": "any", "words": "list", "more": "text",
}  # fmt: skip
LINE = {"code": "text", "text": "text", "quantity": "decimal", "price": "decimal", "when": "date"}
"""The target's fields and those of its lines, by kind."""


@dataclass(frozen=True)
class Scope:
    """What a name may mean where an expression is written: in a row or not, named values by kind, loop variables."""

    in_row: bool = False
    names: dict[str, str] = field(default_factory=dict)
    loops: str = ""
    refers: bool = False

    def paths(self, kind: str) -> list[str]:
        of_row, top = ROW.get(kind, []), TOP[kind]
        found = [*of_row, *(f"doc.{path}" for path in top)] if self.in_row else list(top)
        found += [name for name, of in self.names.items() if of == kind]
        return found + [f"{loop}.{path}" for loop in self.loops for path in of_row if path != "number"]

    def top(self, path: str) -> str:
        return f"doc.{path}" if self.in_row else path


@dataclass
class Written:
    """A mapping, a document, and what else is known. `spoiled` names the mapping's mistake."""

    spec: Entry
    doc: Doc
    settings: Doc
    lookups: dict[str, dict[str, Any]]
    references: dict[str, dict[str, Doc]]
    parts: tuple[str, ...]
    spoiled: str = ""
    is_linked: bool = True

    @property
    def yaml(self) -> str:
        return "\n".join(as_yaml(self.spec))

    @property
    def features(self) -> set[str]:
        """What the mapping has of the language: entries, functions, operators."""
        return set(entries_of(self.spec)) | set(parts_of(self.spec))


def as_yaml(value: Entry, before: str = "") -> Iterator[str]:
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
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)


def entries_of(value: Any) -> Iterator[str]:
    """The entries of a mapping's tables; with their values where they choose one of a few ways."""
    if isinstance(value, list):
        for one in value:
            yield from entries_of(one)
    if isinstance(value, dict):
        for name, entry in value.items():
            yield f"{name}: {entry}" if name in ("miss", "on_long", "rounding", "as", "case") else f"{name}:"
            yield from entries_of(entry)


def parts_of(value: Any) -> Iterator[str]:
    """The functions and operators of a mapping's expressions."""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        if isinstance(one, str):
            try:
                nodes = list(ast.walk(ast.parse(one, mode="eval")))
            except SyntaxError:
                continue
            yield from (
                f"{node.func.id}()" for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            )
            yield from (
                type(node).__name__ for node in nodes if isinstance(node, ast.operator | ast.cmpop | ast.boolop)
            )
            yield from (
                type(node).__name__ for node in nodes if isinstance(node, ast.IfExp | ast.GeneratorExp | ast.ListComp)
            )
        else:
            yield from parts_of(one)


class Pen:
    """Draws expressions and values; `0` and the first choice are the simplest, for shrinking."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def chance(self, percent: int) -> bool:
        return self.number(0, 99) >= 100 - percent

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def expression(self, kind: str, scope: Scope, depth: int = 2) -> str:
        """An expression of a kind of `EXPRESSIONS`, or a path of a kind of `TOP`."""
        if kind == "a list":
            return scope.top("tags")
        if kind == "id":
            return scope.top("id")
        if kind in TOP:
            return self.pick(scope.paths(kind))
        choices = EXPRESSIONS[kind]
        template = self.pick(choices if depth > 0 else choices[: SIMPLE.get(kind, len(choices))])
        if template.startswith("ref(") and not scope.refers:
            template = "{text}"
        return self.filled(template, scope, depth)

    def filled(self, template: str, scope: Scope, depth: int = 1) -> str:
        return re.sub(r"\{([^}]+)\}", lambda found: self.inside(found[1], scope, depth - 1), template)

    def inside(self, kind: str, scope: Scope, depth: int) -> str:
        inner, _, of_row = kind.partition(" of ")
        if not of_row:
            return self.expression(kind, scope, depth)
        loop = "rst"[len(scope.loops) % 3]
        within = replace(scope, loops=scope.loops + loop)
        condition = f" if {self.expression('condition', within, 0)}" if self.chance(40) else ""
        return (
            f"{self.expression(inner, within, min(depth, 1))} for {loop} in {self.expression('rows', scope)}{condition}"
        )


class Author(Pen):
    """Writes the entries of a mapping."""

    def entry(self, kind: str, scope: Scope, *, is_named: bool = False) -> Entry:
        """A value for a target's field of a kind; for a named value one whose kind is surely that."""
        if kind in ("date", "datetime"):
            return self.dated(kind, scope)
        if kind == "text" and not is_named and self.chance(12):
            return self.written_out(scope) | self.ends("")
        made = self.source(kind, scope, is_named)
        if kind == "text":
            made |= self.looked_up() if self.chance(25) else {}
            made |= self.bounded()
        if kind == "integer":
            made["rounding"] = self.pick(ROUNDINGS)
        if kind == "decimal" and self.chance(60):
            made["places"] = self.pick([2, 0, 5, 6])
            made |= {"rounding": self.pick(ROUNDINGS)} if self.chance(50) else {}
        return made | self.ends("" if "default" in made else kind)

    def wanted(self, kind: str, scope: Scope, is_named: bool = False) -> str:
        """An expression for a field of a kind, or of one that becomes it."""
        match kind:
            case "text":
                return self.expression("words" if is_named or self.chance(80) else "number", scope)
            case "integer":
                return self.expression(self.pick(["integer", "integer", "text", "number"]), scope)
            case "decimal":
                return self.expression("number" if is_named or self.chance(90) else "text", scope)
            case "boolean":
                wanted = self.pick(["condition", "boolean", "text"])
                made = self.expression(wanted, scope)
                return f"not {made}" if wanted == "condition" else made
            case "list":
                return self.expression("list", scope)
        return self.expression(self.pick(["words", "number", "any", "list"]), scope)

    def source(self, kind: str, scope: Scope, is_named: bool) -> Entry:
        def ask() -> str:
            return self.wanted(kind, scope, is_named)

        forms = ["from", "from", "from", "from", "then", "cases"]
        forms += {"text": ["first", "join", "join", "value"], "decimal": ["first", "value"], "list": []}.get(
            kind, ["first"]
        )
        made: Entry = {}
        form = self.pick(forms)
        if form == "then" or self.chance(15):
            made["when"] = self.expression("condition", scope)
        match form:
            case "from" | "then":
                made[form] = ask()
            case "value":
                made["value"] = self.constant(kind, is_named)
            case "join" | "first":
                made[form] = [ask() for _ in range(self.number(1, 3))]
                if form == "join" and self.chance(50):
                    made["with"] = self.pick([", ", "/", "", " - "])
            case "cases":
                cases: list[Entry] = [
                    {"when": self.expression("condition", scope, 1), "then": ask()} for _ in range(self.number(1, 2))
                ]
                made["cases"] = [*cases, {"else": ask()}] if self.chance(60) else cases
        return made | ({"else": ask()} if "when" in made and self.chance(55) else {})

    def constant(self, kind: str, is_named: bool = False) -> Any:
        if kind == "text":  # a named value is of its constant's kind, a field of its own
            return self.pick(["WEB001", "a", "0010", "NO", "x y", *([] if is_named else [Decimal("1.50"), 7])])
        return self.pick([0, 1, 7, -3] if kind == "integer" else [0, 1, Decimal("2.50"), Decimal("-0.005")])

    def looked_up(self) -> Entry:
        made: Entry = {"lookup": self.pick(["codes", "codes", "codes", "empty"])}
        if miss := self.pick(["", "fail", "wait", "pass", "pass", "default", "default"]):
            made["miss"] = miss
        return made | ({"default": self.pick(["", "X", "settings.zone"])} if miss == "default" else {})

    def written_out(self, scope: Scope) -> Entry:
        """Text of another kind: by way of `as:`, with decimals, by a format."""
        zone = {"zone": self.pick([*ZONES, "settings.zone"])}
        match self.pick(["integer", "decimal", "places", "date", "time", "time to date"]):
            case "integer":
                return {"from": self.expression("number", scope), "as": "integer", "rounding": self.pick(ROUNDINGS)}
            case "decimal":
                return {"from": self.expression("text", scope), "as": "decimal"}
            case "places":
                return {"from": self.expression("number", scope), "places": self.pick([2, 0])}
            case "date":
                return {"from": self.expression("a date", scope)} | ({"format": "%d/%m/%Y"} if self.chance(50) else {})
            case "time":
                return {"from": self.expression("datetime", scope), "format": self.pick(["%Y%m%d", "%H:%M"])} | zone
        return {"from": self.expression("datetime", scope), "as": "date"} | zone

    def bounded(self) -> Entry:
        added: Entry = {"case": self.pick(["upper", "lower"])} if self.chance(12) else {}
        if self.chance(40):
            added["max"] = self.pick([30, 40, 10, 5, 1])
            added |= {"on_long": self.pick(["fail", "cut"])} if self.chance(60) else {}
        return added

    def ends(self, kind: str) -> Entry:
        """`required:`, and a default if the kind can have a constant."""
        added: Entry = {"required": True} if self.chance(10) else {}
        if added and self.chance(50):
            added["remedy"] = "Fill it in at the source"
        if kind in ("text", "decimal", "integer") and self.chance(15):
            added["default"] = "settings.zone" if kind == "text" and self.chance(30) else self.constant(kind)
        return added

    def dated(self, kind: str, scope: Scope) -> Entry:
        """A date or a time, each way there is to one."""
        zone = {"zone": self.pick([*ZONES, "settings.zone"])}
        way = self.pick(["date", "datetime", "text"])
        made: Entry = {"from": self.expression("a date" if way == "date" else way, scope)}
        if way == "text":
            formats = ["%Y-%m-%d", "%d.%m.%Y"] if kind == "date" else ["%d.%m.%Y %H:%M", "%d.%m.%Y"]
            made["format"] = self.pick(formats)
        if way != kind and (kind == "datetime" or way == "datetime"):
            made |= zone
        return made | ({"as": "date"} if kind == "date" and self.chance(30) else {}) | self.ends("")

    # --- the parts of a mapping

    def fields(self, scope: Scope) -> Entry:
        made: Entry = {}
        for name, kind in FIELDS.items():
            if self.chance(30):
                made[name] = self.linked(scope) if name == "customer" and self.chance(70) else self.entry(kind, scope)
        if self.chance(25):
            made["line1, line2, line3"] = self.spread(scope)
        return made

    def linked(self, scope: Scope) -> Entry:
        keys = ["sku", "parent"] if scope.in_row else []
        made: Entry = {"from": self.pick([*keys, scope.top("id"), scope.top("title")]), "link": "customers"}
        if self.chance(15):
            made |= {"lookup": "codes", "miss": self.pick(["pass", "wait", "fail"])}
        if self.chance(40):
            made["part"] = self.pick([scope.top("buyer.country"), "'EUR'"])
        if self.chance(30):
            made = {"when": self.expression("condition", scope, 1), **made}
            made |= {"else": self.expression("words", scope, 0)} if self.chance(60) else {}
        return made | self.ends("")

    def spread(self, scope: Scope) -> Entry:
        items = [self.expression("words", scope, 0) for _ in range(self.number(1, 4))]
        made: Entry = {"spread": items, "max": self.pick([10, 5, 20, 30])}
        if self.chance(15):
            made["when"] = self.expression("condition", scope, 1)
        if self.chance(30):
            made["before"] = self.expression("words", scope, 1)
        if self.chance(30):
            made["shorter"] = [self.expression("words", scope, 0) if self.chance(40) else item for item in items]
        return made | ({"overflow": "more"} if self.chance(50) else {})

    def block(self, scope: Scope) -> Entry:
        """A block of lines."""
        is_each = self.chance(80)
        made: Entry = {"each": "rows"} if is_each else {}
        inner, let = replace(scope, in_row=is_each), {}
        for name, kind in (("net_", "decimal"), ("code_", "text")):
            if self.chance(25):
                let[name] = {"from": self.expression("words" if kind == "text" else "number", inner)}
                inner = replace(inner, names={**inner.names, name: kind})
        if self.chance(50):
            made["where"] = self.expression("condition", inner, 1)
        if is_each and self.chance(40):
            by = self.filled(
                self.pick(["sequence", "qty", "id", "sku", "net.value", "parent", "{number}", "{words}"]), inner
            )
            made["sort"] = "qty" if re.search(r"\bnumber\b[^(]|number$", by) else by  # a place is known after sorting
        made["key"] = self.pick(["id", "id", "id", "id + '/x'", "number"] if is_each else ["'only'", "'1'"])
        if let:
            made["let"] = let
        return made | (self.continued(inner) if self.chance(30) else self.line(inner))

    def line(self, scope: Scope) -> Entry:
        made = {name: self.entry(kind, scope) for name, kind in LINE.items() if self.chance(40)}
        if self.chance(10):
            made["code"] = self.linked(scope)
        return made or {"code": self.entry("text", scope)}

    def continued(self, scope: Scope) -> Entry:
        """A line that runs over further lines; none of its fields is a number."""
        made: Entry = {
            "text": {"from": self.expression("words", scope, 1), "max": self.pick([10, 5, 20]), "on_long": "lines"}
        }
        if self.chance(50):
            made["code"] = self.entry("text", scope)
        return made

    def rules(self, scope: Scope, values: Entry) -> list[Entry]:
        found: list[Entry] = []
        kinds = ["skip", "cancel", "hold", "reject"] + ["route", "route"] * bool(values)
        for number in range(self.pick([0, 0, 1, 2, 3])):
            kind = self.pick(kinds)
            rule: Entry = {kind: f"reason {number}", "when": self.expression("condition", scope)}
            if kind == "reject":
                rule |= {"field": self.pick(["rows", "title"]), "value": self.expression("words", scope, 0)}
                rule["remedy"] = "Correct it"
            if kind == "route":
                name = self.pick(sorted(values))
                rule["set"] = {name: {"value": "WEB001" if scope.names[name] == "text" else 7}}
            found.append(rule)
        return found

    def checks(self) -> list[Entry]:
        """Conditions over the mapped document."""
        conditions = [
            "count(mapped.goods) > 2",
            "sum(line.quantity for line in mapped.goods if line.quantity) > 100",
            "mapped.key == title and title",
            "any(line.text == '' for line in mapped.notes)",
            "mapped.amount > 1000 if mapped.amount != none else false",
            "length(mapped.name) > 9",
        ]
        return [
            {
                "reject": f"check {number}",
                "when": self.pick(conditions),
                "field": "goods",
                "value": "count(mapped.goods)",
            }
            for number in range(self.number(0, 2))
        ]

    def mapping(self) -> Entry:
        spec: Entry = {}
        scope = Scope(refers=self.chance(30))
        if scope.refers:
            spec["references"] = [{"resource": "left.person", "keys": [self.pick(["id", "title", "tags", "anything"])]}]
        values: Entry = {}
        for name, kind in (("term", "text"), ("score", "decimal")):
            if self.chance(30):
                values[name] = self.entry(kind, scope, is_named=True)
                scope = replace(scope, names={**scope.names, name: kind})
        if values:
            spec["values"] = values
        if rules := self.rules(scope, values):
            spec["rules"] = rules
        if self.chance(20):
            parts = [["buyer.country"], ["'EUR'", "'GBP'"], ["tags"], ["buyer.country", "parts_wanted"]]
            spec["parts"] = self.pick(parts)
            scope = replace(scope, names={**scope.names, "part": "text"})
        body = self.fields(scope)
        for name in ("goods", "notes"):
            if self.chance(40):
                body[name] = [self.block(scope) for _ in range(self.number(1, 2))]
        spec["mapping"] = body or {"key": {"from": "id"}}
        if checks := self.checks() if self.chance(25) else []:
            spec["checks"] = checks
        return spec

    # --- documents

    def value(self, kind: str) -> Any:
        if self.chance(2):
            kind = self.pick(["text", "decimal", "boolean", "date", "list", "group", "datetime"])
        match kind:
            case "text":
                return self.pick(self.pick([TEXTS, ALIKE])) if self.chance(95) else self.draw(st.text(max_size=12))
            case "decimal":
                return Decimal(self.pick(DECIMALS))
            case "integer":
                return self.pick(INTEGERS)
            case "boolean":
                return self.chance(50)
            case "date":
                return self.pick(DAYS)
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
        if self.number(0, 499) == 499:
            like = self.row(0)
            made["rows"] = [{**like, "id": str(number)} for number in range(self.pick([1_100, 10_000, 10_001]))]
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
        known: dict[str, list[Any]] = {
            "zone": [*ZONES, "Mars/Base"], "limit": [Decimal("2.50"), 0], "channels": [[], ["7", 1]], "strict": [True],
            "top": [0, 7],
        }  # fmt: skip
        settings = {name: self.pick(choices) for name, choices in known.items() if self.chance(20)}
        lookups: dict[str, dict[str, Any]] = {}
        if self.chance(40):
            keys = {unicodedata.normalize("NFC", self.pick(TEXTS)).strip() for _ in range(2)}  # as they are stored
            lookups["codes"] = {key: self.pick(["Z", "a very long value", ""]) for key in sorted(keys) if key}
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
        spoiled=spoiled,
        is_linked=not author.chance(10),
    )
