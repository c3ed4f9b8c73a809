"""A second reading of docs/mapping.md: an interpreter that walks the YAML of a mapping, for every document from the top.

It shares no code with `syncengine.mapping` and was written from that page alone. It is slow and plain on purpose: where
the two differ on a document, one of them, or the page, is wrong (`test_plain`). It takes a mapping that the loader has
accepted, and checks nothing that is checked at load.
"""

from __future__ import annotations

import ast
import decimal
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Doc = dict[str, Any]
Entry = Any
Names = Callable[[str], Any]

DIGITS = decimal.Context(prec=34, rounding=decimal.ROUND_HALF_EVEN, Emin=-999999, Emax=999999)
MOST_ITEMS, MOST_STEPS = 10_000, 1_000_000
WIDE = decimal.Context(prec=200)
ROUNDINGS = {
    "half_up": decimal.ROUND_HALF_UP,
    "half_even": decimal.ROUND_HALF_EVEN,
    "half_down": decimal.ROUND_HALF_DOWN,
    "up": decimal.ROUND_UP,
    "down": decimal.ROUND_DOWN,
    "ceiling": decimal.ROUND_CEILING,
    "floor": decimal.ROUND_FLOOR,
}


class DeadLetter(Exception):
    """The document cannot be mapped; `field` is the target's field, or what a rule names."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        super().__init__(f"{field}: {why}")


class Waits(Exception):
    """An entry of a lookup table is missing, and the record waits for it."""

    def __init__(self, table: str, key: str) -> None:
        self.table, self.key = table, key
        super().__init__(f"{table}: {key}")


class Wrong(Exception):
    """A value does not fit; whoever knows the field makes a dead letter of it."""


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """What goes wrong inside is a dead letter of `field`."""
    try:
        yield
    except Wrong as wrong:
        raise DeadLetter(field, str(wrong)) from wrong


# --- values and their kinds


class Digits(Decimal):
    """A decimal that the mapping itself says, which keeps its digits as text."""


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "datetime"
    if isinstance(value, date):
        return "date"
    if isinstance(value, list | tuple):
        return "list"
    return "none" if value is None else "group"


def is_empty(value: Any) -> bool:
    """No value, or text of nothing but white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def holds(value: Any) -> bool:
    """Whether a condition holds: not where it is empty, 0, false, an empty list or group."""
    return bool(value) and not is_empty(value)


def as_number(value: Any) -> Decimal:
    """A number of at most 30 digits before the point and 60 after it."""
    if kind_of(value) != "number" or not Decimal(value).is_finite():
        raise Wrong(f"{value!r} is not a number")
    found = Decimal(value)
    if found and (found.adjusted() >= 30 or -int(found.as_tuple().exponent) > 60):
        raise Wrong(f"{value!r} has too many digits")
    return found


def in_range(value: Any) -> Any:
    """The value, if all numbers in it are in range."""
    match kind_of(value):
        case "number":
            as_number(value)
        case "list":
            [in_range(one) for one in value]
        case "group":
            [in_range(one) for one in value.values()]
    return value


def plain_form(number: Any) -> str:
    """A number without exponent and without zeros at its end."""
    text = f"{as_number(number):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def as_text(value: Any) -> str:
    """What a function that takes text sees: any single value in its plain form."""
    match kind_of(value):
        case "none":
            return ""
        case "text":
            return str(value)
        case "number":
            return f"{value:f}" if isinstance(value, Digits) else plain_form(value)
        case "boolean":
            return "true" if value else "false"
        case "date" | "datetime":
            return str(value.isoformat())
    raise Wrong(f"{value!r} is not a single value")


NUMERIC = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,60})?")


def numeric(value: Any) -> Decimal | None:
    """The number of a number or of numeric text, else None."""
    if kind_of(value) == "text":
        return Decimal(value.strip()) if NUMERIC.fullmatch(value.strip()) else None
    return as_number(value) if kind_of(value) == "number" else None


def tidy(text: str) -> str:
    """Texts are the same if they are so as NFC and without white space at their ends."""
    return unicodedata.normalize("NFC", text).strip()


def same(left: Any, right: Any) -> bool:
    """`==`."""
    if is_empty(left) or is_empty(right):
        return is_empty(left) and is_empty(right)
    match kind_of(left), kind_of(right):
        case "text", "text":
            return tidy(left) == tidy(right)
        case ("number", "text"):
            return plain_form(left) == str(right).strip()
        case ("text", "number"):
            return same(right, left)
        case "list", "list":
            return len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))
        case "group", "group":
            return set(left) == set(right) and all(same(left[name], right[name]) for name in left)
        case one, other:
            return one == other and bool(in_range(left) == in_range(right))


def is_in(value: Any, among: Any) -> bool:
    """`in`."""
    if is_empty(among):
        return False
    match kind_of(among):
        case "list":
            return any(same(value, one) for one in among)
        case "group":
            return any(same(value, name) for name in among)
    raise Wrong(f"{among!r} contains nothing")


def rank(value: Any) -> tuple[Any, ...]:
    """The place of a value in the one order of values."""
    if is_empty(value):
        return (6,)
    kind = kind_of(value)
    number = numeric(value)
    if number is not None:
        return (1, number, value.strip() if kind == "text" else plain_form(value))
    if kind == "text":
        return (2, tidy(value))
    places = {"date": 3, "datetime": 4, "boolean": 5}
    if kind not in places:
        raise Wrong(f"{value!r} has no rank")
    if kind == "datetime" and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (places[kind], value)


def order(left: Any, right: Any) -> int:
    """-1, 0, 1 as left is below, equal to, above right; only for values that belong together."""
    if is_empty(left) or is_empty(right):
        raise Wrong("a value is missing")
    kinds = {kind_of(left), kind_of(right)}
    if kinds == {"number", "text"} and (numeric(left) is None or numeric(right) is None):
        raise Wrong(f"{left!r} and {right!r} do not belong together")
    if kinds != {"number", "text"} and (len(kinds) > 1 or kinds & {"boolean", "list", "group"}):
        raise Wrong(f"{left!r} and {right!r} do not belong together")
    return (rank(left) > rank(right)) - (rank(left) < rank(right))


# --- expressions

OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: DIGITS.add,
    ast.Sub: DIGITS.subtract,
    ast.Mult: DIGITS.multiply,
    ast.Div: DIGITS.divide,
    ast.FloorDiv: DIGITS.divide_int,
    ast.Mod: DIGITS.remainder,
}


@dataclass
class World:
    """What a document is mapped beside."""

    settings: Doc
    lookups: dict[str, dict[str, Any]]
    references: dict[str, dict[str, Doc]]
    steps: int = 0

    def spend(self, *given: Any) -> None:
        """A step for every item of the lists that a loop, an `in` or a function is given."""
        self.steps += sum(len(value) for value in given if kind_of(value) == "list")
        if self.steps > MOST_STEPS:
            raise Wrong("the loops take too many steps")


class Expression:
    """Walks one expression; `names` says what a bare name means."""

    def __init__(self, text: str, names: Names, world: World) -> None:
        self.text, self.names, self.world = str(text), names, world

    def value(self) -> Any:
        return self.walk(ast.parse(self.text.strip(), mode="eval").body)

    def walk(self, node: ast.AST) -> Any:
        return getattr(self, f"of_{type(node).__name__.lower()}")(node)

    def of_constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, float):
            return Digits(str(ast.get_source_segment(self.text.strip(), node)))
        return node.value

    def of_name(self, node: ast.Name) -> Any:
        words = {"true": True, "false": False, "none": None}
        return words[node.id] if node.id in words else self.names(node.id)

    def of_attribute(self, node: ast.Attribute) -> Any:
        return step(self.walk(node.value), node.attr)

    def of_subscript(self, node: ast.Subscript) -> Any:
        return step(self.walk(node.value), self.walk(node.slice))

    def of_list(self, node: ast.List) -> Any:
        return [self.walk(one) for one in node.elts]

    def of_unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.walk(node.operand)
        if isinstance(node.op, ast.Not):
            return not holds(value)
        return DIGITS.minus(as_number(value))

    def of_binop(self, node: ast.BinOp) -> Any:
        left, right = self.walk(node.left), self.walk(node.right)
        if isinstance(node.op, ast.Add) and kind_of(left) == kind_of(right) == "text":
            return left + right
        try:
            return in_range(OPERATORS[type(node.op)](as_number(left), as_number(right)))
        except decimal.DecimalException as error:
            raise Wrong(str(error)) from error

    def of_compare(self, node: ast.Compare) -> Any:
        left = self.walk(node.left)
        for sign, operand in zip(node.ops, node.comparators, strict=True):
            right = self.walk(operand)
            if isinstance(sign, ast.In | ast.NotIn):
                self.world.spend(right)
            if not compared(sign, left, right):
                return False
            left = right
        return True

    def of_boolop(self, node: ast.BoolOp) -> Any:
        stop = isinstance(node.op, ast.Or)
        value: Any = None
        for operand in node.values:
            value = self.walk(operand)
            if holds(value) == stop:
                break
        return value

    def of_ifexp(self, node: ast.IfExp) -> Any:
        return self.walk(node.body if holds(self.walk(node.test)) else node.orelse)

    def of_generatorexp(self, node: ast.GeneratorExp | ast.ListComp) -> list[Any]:
        (loop,) = node.generators
        assert isinstance(loop.target, ast.Name)
        name, found, items = loop.target.id, [], items_of(self.walk(loop.iter))
        if len(items) > MOST_ITEMS:
            raise Wrong("the list is too long for a loop")
        self.world.spend(items)
        for item in items:
            inner = Expression(self.text, with_name(self.names, name, item), self.world)
            if all(holds(inner.walk(condition)) for condition in loop.ifs):
                found.append(inner.walk(node.elt))
        return found

    of_listcomp = of_generatorexp

    def of_call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        given = [self.walk(one) for one in (node.args[:2] if name == "lookup" else node.args)]
        match name:
            case "lookup":  # the default only where it is needed
                found = looked_up(self.world, given[0], given[1], MISSING)
                default = self.walk(node.args[2]) if found is MISSING and len(node.args) > 2 else None
                return default if found is MISSING else found
            case "ref":
                return self.world.references.get(given[0], {}).get(as_text(given[1]))
            case _:
                self.world.spend(*given)
                return FUNCTIONS[name](*given)


MISSING = object()


def with_name(names: Names, name: str, value: Any) -> Names:
    """Names, and one more."""
    return lambda asked: value if asked == name else names(asked)


def step(value: Any, name: Any) -> Any:
    """One step down a path: none where there is nothing."""
    if kind_of(value) == "group":
        return value.get(name)
    if value is None:
        return None
    raise Wrong(f"{value!r} has no fields")


def items_of(value: Any) -> list[Any]:
    if value is None:
        return []
    if kind_of(value) != "list":
        raise Wrong(f"{value!r} is not a list")
    return list(value)


def compared(sign: ast.cmpop, left: Any, right: Any) -> bool:
    match sign:
        case ast.Eq() | ast.Is():
            return same(left, right)
        case ast.NotEq() | ast.IsNot():
            return not same(left, right)
        case ast.In():
            return is_in(left, right)
        case ast.NotIn():
            return not is_in(left, right)
        case ast.Lt():
            return order(left, right) < 0
        case ast.LtE():
            return order(left, right) <= 0
        case ast.Gt():
            return order(left, right) > 0
        case _:
            return order(left, right) >= 0


def looked_up(world: World, table: str, key: Any, default: Any = None) -> Any:
    if is_empty(key):
        return default
    return world.lookups[table].get(tidy(as_text(key)), default)


# --- functions


def several(given: tuple[Any, ...]) -> list[Any]:
    """The values of a list, or several values."""
    return items_of(given[0]) if len(given) == 1 else list(given)


def flat(given: tuple[Any, ...]) -> list[Any]:
    """Values, and the items of lists."""
    return [one for value in given for one in (value if kind_of(value) == "list" else [value])]


def total(values: Any) -> Decimal:
    found = Decimal(0)
    for value in items_of(values):
        found = in_range(DIGITS.add(found, as_number(value)))
    return found


def extreme(wanted: int) -> Callable[..., Any]:
    def found(*given: Any) -> Any:
        values = [value for value in several(given) if not is_empty(value)]
        best = None
        for value in values:
            if best is None or order(value, best) == wanted:
                best = value
        return numeric(best) if any(kind_of(value) == "number" for value in values) else best

    return found


def first(*given: Any) -> Any:
    return next((value for value in flat(given) if not is_empty(value)), None)


def rounded(value: Any, places: Any = 0, rounding: str = decimal.ROUND_HALF_UP) -> Decimal:
    try:
        found = as_number(value).quantize(Decimal(1).scaleb(-int(places)), rounding, WIDE)
        return found or abs(found)  # zero is never negative
    except decimal.DecimalException as error:
        raise Wrong(str(error)) from error


def number(value: Any) -> Decimal:
    found = numeric(value)
    if found is None:
        raise Wrong(f"{value!r} is not numeric")
    return found


def whole(value: Any) -> int:
    found = number(value)
    if found != found.to_integral_value():
        raise Wrong(f"{value!r} is not a whole number")
    return int(found)


def joined(separator: Any, *given: Any) -> str:
    return as_text(separator).join(as_text(value).strip() for value in flat(given) if not is_empty(value))


def split(text: Any, separator: Any = ",") -> list[str]:
    return [part.strip() for part in as_text(text).split(as_text(separator)) if part.strip()]


def pieces(text: str, most: int) -> list[str]:
    """Words put together with one blank as long as they fit; a word longer than the length is broken inside."""
    found: list[str] = []
    for word in text.split():
        if found and len(found[-1]) + 1 + len(word) <= most:
            found[-1] += " " + word
        else:
            found += [word[at : at + most] for at in range(0, len(word), most)]
    return found


def days(day: Any, count: Any) -> Any:
    if kind_of(day) != "date":
        raise Wrong(f"{day!r} is not a date")
    try:
        return day + timedelta(days=whole(as_number(count)))
    except OverflowError as error:
        raise Wrong("there is no such date") from error


def part_of(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda text, part: as_text(part) != "" and test(as_text(text), as_text(part))


def replaced(text: Any, old: Any, new: Any) -> str:
    return as_text(text).replace(as_text(old), as_text(new)) if as_text(old) else as_text(text)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": total,
    "count": lambda values: len(items_of(values)),
    "min": extreme(-1),
    "max": extreme(1),
    "any": lambda values: any(holds(value) for value in items_of(values)),
    "all": lambda values: all(holds(value) for value in items_of(values)),
    "first": first,
    "default": lambda value, other: other if is_empty(value) else value,
    "round": rounded,
    "abs": lambda value: DIGITS.abs(as_number(value)),
    "number": number,
    "whole": whole,
    "text": as_text,
    "join": joined,
    "split": split,
    "replace": replaced,
    "strip": lambda text: as_text(text).strip(),
    "upper": lambda text: as_text(text).upper(),
    "lower": lambda text: as_text(text).lower(),
    "left": lambda text, most: as_text(text)[: int(most)],
    "right": lambda text, most: as_text(text)[-int(most) :],
    "length": lambda value: len(value) if kind_of(value) == "list" else len(as_text(value)),
    "starts": part_of(str.startswith),
    "ends": part_of(str.endswith),
    "contains": part_of(str.__contains__),
    "piece": lambda text, most: "".join(pieces(as_text(text), int(most))[:1]),
    "rest": lambda text, most: " ".join(pieces(as_text(text), int(most))[1:]),
    "days": days,
}


# --- a mapping


@dataclass(frozen=True)
class Field:
    """What the target takes: a kind, its greatest length; for a list of lines, the fields of a line."""

    kind: str
    longest: int | None = None
    line: dict[str, Field] = field(default_factory=dict)


@dataclass
class Plain:
    """One mapping, one document, what is known beside it. `links` gives the other side's key of an entity, key and part;
    without it nothing is linked yet."""

    spec: Entry
    target: dict[str, Field]
    tables: dict[str, dict[str, Any]]
    defaults: Doc
    doc: Doc
    settings: Doc
    lookups: dict[str, dict[str, Any]]
    references: dict[str, dict[str, Doc]]
    wanted_parts: tuple[str, ...] = ()
    links: Callable[[str, str, str], str] | None = None

    def __post_init__(self) -> None:
        tables = {
            name: {tidy(key): entry for key, entry in (*table.items(), *self.lookups.get(name, {}).items())}
            for name, table in self.tables.items()
        }
        self.world = World({**self.defaults, **self.settings}, tables, self.references)
        self.routed: dict[str, Entry] = {}
        self.found: dict[str, Any] = {}
        self.awaited: list[tuple[str, str, str]] = []

    # what the engine asks

    def refers_to(self) -> list[tuple[str, str]]:
        """The documents to be read beside this one."""
        found = []
        for entry in self.spec.get("references", []):
            blamed = f"references: {entry['resource']}"
            for expression in entry["keys"]:
                value = self.evaluate(expression, self.top, blamed)
                for key in value if kind_of(value) == "list" else [value]:
                    if not is_empty(key) and not (kind_of(key) == "number" and key == 0):
                        found.append((entry["resource"], self.text(key, blamed)))
        return list(dict.fromkeys(found))

    def decide(self) -> tuple[str, str]:
        """The verdict of the rules and its reason. A rule that needs an awaited entry decides nothing: `needs` has it."""
        try:
            for rule in self.spec.get("rules", []):
                kind = next(kind for kind in RULES if kind in rule)
                if not holds(self.evaluate(rule["when"], self.top, rule_name(rule))):
                    continue
                if kind == "reject":
                    raise DeadLetter(rule["field"], rule["reject"])
                if kind != "route":
                    return kind, rule[kind]
                self.routed, self.found = {**rule["set"], **self.routed}, {}
        except Waits as missing:
            self.awaited = [("lookup:" + missing.table, missing.key, "")]
        return "go", ""

    def needs(self) -> list[tuple[str, str, str]]:
        """What must be linked first, and entries of tables that rules and links need."""
        self.decide()
        found = self.awaited
        try:
            for need in [] if self.awaited else self.asked_for():
                found.append(need)
        except Waits as missing:
            found.append((f"lookup:{missing.table}", missing.key, ""))
        return sorted(set(found))

    def asked_for(self) -> Iterator[tuple[str, str, str]]:
        """What the entries with `link:` want, in the order of the mapping."""
        self.route()
        for part in self.part_names():
            names = self.of_part(part)
            for name, entry in self.spec["mapping"].items():
                if "," not in name and self.target[name].line:
                    for block in in_a_list(entry):
                        links = [one for one in block.values() if isinstance(one, dict) and "link" in one]
                        for scope in self.scopes(name, block, names) if links else []:
                            for one in links:
                                yield from self.needed(one, scope, f"{name}.link to {one['link']}")
                elif "link" in entry:
                    yield from self.needed(entry, names, f"link to {entry['link']}")

    def needed(self, entry: Entry, names: Names, blamed: str) -> list[tuple[str, str, str]]:
        """What an entry with `link:` wants linked."""
        if "when" in entry and not holds(self.evaluate(entry["when"], names, blamed)):
            return []
        with blaming(blamed):
            key, part = self.link_key(entry, names, blamed)
        return [(entry["link"], key, part)] if key else []

    def link_key(self, entry: Entry, names: Names, name: str) -> tuple[str, str]:
        key = self.text(self.looked_up(entry, self.given(entry, names, name)), name)
        return key, self.text(self.evaluate(entry["part"], names, name), name) if "part" in entry and key else ""

    def apply(self) -> dict[str, Doc]:
        """The target's documents by part."""
        self.route()
        return {part: self.document(part) for part in self.part_names()}

    # the whole

    def route(self) -> None:
        """All routes that apply set their values: also those after a rule that holds what is mapped all the same."""
        self.routed, self.found = {}, {}
        for rule in self.spec.get("rules", []):
            if "route" in rule and holds(self.evaluate(rule["when"], self.top, rule_name(rule))):
                self.routed, self.found = {**rule["set"], **self.routed}, {}

    def part_names(self) -> list[str]:
        if "parts" not in self.spec:
            return [""]
        found: list[str] = []
        for expression in self.spec["parts"]:
            value = self.evaluate(expression, self.top, "parts")
            for name in value if kind_of(value) == "list" else [value]:
                if not is_empty(name):
                    found.append(self.text(name, "parts"))
        if not found:
            raise DeadLetter("parts", "there is none")
        return list(dict.fromkeys(found))

    def of_part(self, part: str) -> Names:
        return with_name(self.top, "part", part)

    def document(self, part: str) -> Doc:
        names = self.of_part(part)
        self.world.steps, self.found = 0, {}
        made: Doc = {}
        rests: dict[str, str] = {}
        for name, entry in self.spec["mapping"].items():
            if "," in name:
                if left := self.spread(name, entry, names, made):
                    rests[entry["overflow"]] = left
            elif self.target[name].line:
                lines = [line for block in in_a_list(entry) for line in self.lines(name, block, names)]
                keys = [line["@key"] for line in lines]
                if not all(keys) or len(set(keys)) < len(keys):
                    raise DeadLetter(f"{name}.@key", "a key is empty, or two lines have the same")
                if lines:
                    made[name] = lines
            else:
                value = self.field(entry, names, name, self.target[name])
                if value is not None:
                    made[name] = value
        for name, left in rests.items():
            self.overflow(name, left, made)
        for check in self.spec.get("checks", []):
            inner = with_name(names, "mapped", made)
            if holds(self.evaluate(check["when"], inner, rule_name(check))):
                raise DeadLetter(check["field"], check["reject"])
        return made

    def overflow(self, name: str, left: str, made: Doc) -> None:
        made[name] = f"{made[name]} {left}" if name in made else left
        longest = self.spec["mapping"].get(name, {}).get("max", self.target[name].longest)
        if longest is not None and len(made[name]) > longest:
            raise DeadLetter(name, "it is too long")

    def is_named(self, name: str) -> bool:
        """Whether a bare name means something other than a field of a row."""
        return name in ("settings", "doc", "parts_wanted", "part", "mapped") or name in self.spec.get("values", {})

    def top(self, name: str) -> Any:
        """A bare name outside rows."""
        if name == "settings":
            return self.world.settings
        if name == "doc":
            return self.doc
        if name == "parts_wanted":
            return list(self.wanted_parts)
        if name in self.routed:
            return self.named(self.routed[name], self.top)
        if name in self.spec.get("values", {}):
            if name not in self.found:
                self.found[name] = self.named(self.spec["values"][name], self.top)
            return self.found[name]
        return self.doc.get(name)

    def evaluate(self, expression: Any, names: Names, field: str) -> Any:
        with blaming(field):
            return Expression(expression, names, self.world).value()

    def text(self, value: Any, field: str) -> str:
        """A name or a key."""
        with blaming(field):
            return as_text(value).strip()

    # one field

    def field(self, entry: Entry, names: Names, name: str, of: Field) -> Any:
        """The value of a field; None leaves it out."""
        with blaming(name):
            value = self.value_of(entry, names, name, of)
        if is_empty(value):
            if entry.get("required"):
                raise DeadLetter(name, "it is empty")
            return None
        return value

    def named(self, entry: Entry, names: Names) -> Any:
        """A value of `values:`, `let:` or `set:`; what goes wrong is a dead letter of the field that uses it."""
        try:
            return self.field(entry, names, "a named value", Field("any"))
        except DeadLetter as error:
            raise Wrong(str(error)) from error

    def value_of(self, entry: Entry, names: Names, name: str, of: Field) -> Any:
        value, branch = self.source_of(entry, names, name)
        if branch == "left out":
            return None
        if branch == "source":
            value = self.looked_up(entry, value)
        if branch == "source" and "link" in entry:
            key, part = self.link_key(entry, names, name)
            if key and self.links is None:
                raise Waits(entry["link"], key)
            value = self.links(entry["link"], key, part) if key and self.links else None
        value = self.finished(value, entry, names, name, of)
        if is_empty(value) and "default" in entry:
            value = self.finished(self.default(entry, names, name), entry, names, name, of)
        return value

    def finished(self, value: Any, entry: Entry, names: Names, name: str, of: Field) -> Any:
        """Conversion, case, length."""
        value = convert(value, entry, of, self.zone(entry, names, name))
        if kind_of(value) == "text" and "case" in entry:
            value = value.upper() if entry["case"] == "upper" else value.lower()
        longest = entry.get("max", of.longest)
        if longest is None or kind_of(value) != "text" or len(value) <= longest:
            return value
        match entry.get("on_long", "fail"):
            case "cut":
                return pieces(value, longest)[0]
            case "lines":
                return value
        raise Wrong("it is too long")

    def default(self, entry: Entry, names: Names, name: str) -> Any:
        default = entry["default"]
        if isinstance(default, str) and default.startswith("settings."):
            return self.evaluate(default, names, name)
        return as_written(default)

    def zone(self, entry: Entry, names: Names, name: str) -> str:
        zone = entry.get("zone", "")
        return str(self.evaluate(zone, names, name)) if zone.startswith("settings.") else zone

    def source_of(self, entry: Entry, names: Names, name: str) -> tuple[Any, str]:
        """What the one source gives, and where from: `source`, `else`, or `left out`."""
        if "when" in entry and not holds(self.evaluate(entry["when"], names, name)):
            return (self.evaluate(entry["else"], names, name), "else") if "else" in entry else (None, "left out")
        return self.given(entry, names, name), "source"

    def given(self, entry: Entry, names: Names, name: str) -> Any:
        """What the source gives where its `when:` holds."""

        def ask(expression: Any) -> Any:
            return self.evaluate(expression, names, name)

        if "then" in entry:
            return ask(entry["then"])
        if "value" in entry:
            return as_written(entry["value"])
        if "from" in entry:
            return ask(entry["from"])
        if "first" in entry:
            return next((found for one in entry["first"] if not is_empty(found := ask(one))), None)
        if "join" in entry:
            return joined(entry.get("with", " "), *[ask(one) for one in entry["join"]])
        for case in entry["cases"]:
            if "when" not in case:
                return ask(case["else"])
            if holds(ask(case["when"])):
                return ask(case["then"])
        return None

    def looked_up(self, entry: Entry, value: Any) -> Any:
        if "lookup" not in entry or is_empty(value):
            return value
        table, key = entry["lookup"], tidy(as_text(value))
        if key in self.world.lookups[table]:
            return self.world.lookups[table][key]
        match entry.get("miss", "default" if "default" in entry else "fail"):
            case "pass":
                return value
            case "default":
                return None
            case "wait":
                raise Waits(table, key)
        raise Wrong("the table has no such entry")

    # lines and groups

    def lines(self, name: str, block: Entry, names: Names) -> list[Doc]:
        made = [line for scope in self.scopes(name, block, names) for line in self.line(name, block, scope)]
        if len(made) > MOST_ITEMS:
            raise DeadLetter(name, "there are too many lines")
        return made

    def scopes(self, name: str, block: Entry, names: Names) -> Iterator[Names]:
        """What names mean in each line of a block."""
        scopes = [self.of_row(block, {}, 0, names)]
        if "each" in block:
            rows = self.rows(name, block, names)
            scopes = [self.of_row(block, row, place, names) for place, row in enumerate(rows, 1)]
        for scope in scopes:
            if "where" not in block or holds(self.evaluate(block["where"], scope, name)):
                yield scope

    def rows(self, name: str, block: Entry, names: Names) -> list[Any]:
        """The rows of a block, in its order."""
        with blaming(name):
            rows = items_of(self.evaluate(block["each"], names, name))
            if len(rows) > MOST_ITEMS or not all(kind_of(row) == "group" for row in rows):
                raise Wrong("there are too many rows, or one is not a group")
            if "sort" not in block:
                return rows
            places = [rank(self.evaluate(block["sort"], self.of_row(block, row, 0, names), name)) for row in rows]
        return [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0])]

    def of_row(self, block: Entry, row: Doc, place: int, names: Names) -> Names:
        lets, found = block.get("let", {}), {}

        def scope(name: str) -> Any:
            if name in lets:
                if name not in found:
                    found[name] = self.named(lets[name], scope)
                return found[name]
            if "each" in block:
                match name:
                    case "row":
                        return row
                    case "number":
                        return place
                    case _ if not self.is_named(name):
                        return step(row, name)
            return names(name)

        return scope

    def line(self, name: str, block: Entry, scope: Names) -> Iterator[Doc]:
        """A line, and those that continue it."""
        key = self.text(self.evaluate(block["key"], scope, name), name)
        made: Doc = {}
        running, more = "", [""]
        for entry_name, entry in block.items():
            if entry_name in ("each", "where", "sort", "key", "let"):
                continue
            value = self.field(entry, scope, f"{name}.{entry_name}", self.target[name].line[entry_name])
            if value is not None and entry.get("on_long") == "lines":
                running, more = entry_name, pieces(value, entry["max"])
            if value is not None:
                made[entry_name] = value
        for number, text in enumerate(more, 1):
            yield {**made, "@key": key if number == 1 else f"{key}/{number}", **({running: text} if running else {})}

    def spread(self, name: str, entry: Entry, names: Names, made: Doc) -> str:
        """Several fields from several texts, laid over them; gives what does not fit."""
        fields = [one.strip() for one in name.split(",")]
        if "when" in entry and not holds(self.evaluate(entry["when"], names, fields[0])):
            return ""
        before = [text for text in self.texts([entry.get("before", "none")], names, fields[0]) if text]
        for texts in (entry["spread"], entry.get("shorter", entry["spread"])):
            lines, left = laid(before, self.texts(texts, names, fields[0]), entry["max"], len(fields))
            if not left:
                break
        if left and "overflow" not in entry:
            raise DeadLetter(fields[0], "it does not fit")
        made.update({field: line for field, line in zip(fields, lines, strict=False) if line})
        return " ".join(left)

    def texts(self, expressions: list[Any], names: Names, name: str) -> list[str]:
        return [self.text(self.evaluate(one, names, name), name) for one in expressions]


def laid(before: list[str], texts: list[str], most: int, count: int) -> tuple[list[str], list[str]]:
    """Texts over at most `count` lines, and the pieces that do not fit: each at its place, without blank lines, joined."""
    lines = [line for text in before for line in pieces(text, most)]
    for place, text in enumerate(texts):
        if text:
            lines += [""] * (place - len(lines)) + pieces(text, most)
    for tried in (lines, [line for line in lines if line]):
        if len(tried) <= count:
            return tried, []
    together = pieces(", ".join([*before, *(text for text in texts if text)]), most)
    return together[:count], together[count:]


def as_written(value: Any) -> Any:
    return Digits(value) if isinstance(value, Decimal) else value


RULES = ("skip", "cancel", "hold", "reject", "route")


def rule_name(rule: Entry) -> str:
    """What a dead letter calls a rule or a check."""
    return "rule: " + str(next(rule[kind] for kind in RULES if kind in rule))


def in_a_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def convert(value: Any, entry: Entry, of: Field, zone: str) -> Any:
    """By way of `as:` to what the target's field takes."""
    for kind in [entry["as"], of.kind] if "as" in entry else [of.kind]:
        if not is_empty(value):
            try:
                value = to_kind(value, kind, entry, zone)
            except (OverflowError, ValueError, KeyError) as error:  # no such date, not in this format, no such zone
                raise Wrong(str(error)) from error
    return None if is_empty(value) else value


def to_kind(value: Any, kind: str, entry: Entry, zone: str) -> Any:
    have = kind_of(value)
    match kind:
        case "any":
            return in_range(value)
        case "text" if have not in ("boolean", "list", "group"):
            return to_text(value, entry, zone)
        case "integer" | "decimal":
            return to_number(value, kind, entry)
        case "boolean" if have == "boolean":
            return value
        case "boolean" if have == "text" and value.strip().lower() in BOOLEANS:
            return BOOLEANS[value.strip().lower()]
        case "date" | "datetime" if have in ("date", "datetime", "text"):
            return to_day(value, kind, entry, zone)
        case "list" if have == "list":
            return in_range(value)
    raise Wrong(f"{value!r} cannot become {kind}")


BOOLEANS = {"true": True, "y": True, "yes": True, "false": False, "n": False, "no": False}


def to_text(value: Any, entry: Entry, zone: str) -> str:
    match kind_of(value):
        case "number" if "places" in entry:
            return f"{rounded(value, entry['places'], ROUNDINGS[entry.get('rounding', 'half_up')]):f}"
        case "date" if "format" in entry:
            return str(value.strftime(entry["format"]))
        case "datetime":
            if not zone or "format" not in entry or value.tzinfo is None:
                raise Wrong("a time becomes text by a zone and a format")
            return str(value.astimezone(ZoneInfo(zone)).strftime(entry["format"]))
    return as_text(value).strip()


def to_number(value: Any, kind: str, entry: Entry) -> Any:
    found = numeric(value)
    if found is None:
        raise Wrong(f"{value!r} is not numeric")
    rounding = ROUNDINGS[entry.get("rounding", "half_up")]
    if "places" in entry:
        found = rounded(found, entry["places"], rounding)
    if kind == "decimal":
        return found
    if "rounding" in entry:
        found = found.to_integral_value(rounding)
    if found != found.to_integral_value():
        raise Wrong(f"{value!r} is not a whole number")
    return int(found)


def to_day(value: Any, kind: str, entry: Entry, zone: str) -> Any:
    """A date or a time, from one another by the zone, from text by the format."""
    have = kind_of(value)
    if (have == "text" and "format" not in entry) or ("datetime" in (have, kind) and have != kind and not zone):
        raise Wrong(f"{value!r} needs a format or a zone to become a {kind}")
    if have == "text":
        read = datetime.strptime(value.strip(), entry["format"])  # noqa: DTZ007
        return read.date() if kind == "date" else read.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    if have == "datetime" and value.tzinfo is None:
        raise Wrong("a time without a zone")
    if have == kind:
        return value
    if kind == "date":
        return value.astimezone(ZoneInfo(zone)).date()
    return datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
