"""Three-way merge of the last agreement (base), the source's current values (wanted) and the target's (current). Pure.

A field that changed only in the source is written. A field that changed only in the target is left and reported, unless the
policy enforces the source. If both sides changed it, the policy decides.
Lines are matched by the numbers in the link or, if those are not known yet, by their content. A line that is not in the link
belongs to the target's users and is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from syncengine.connectors.base import Change, LineChange
from syncengine.document import LINE_KEY, LINE_NUMBER, Doc, without_marks
from syncengine.mapping.contract import Policy

ENFORCED = (Policy.ENFORCE, Policy.LEFT)
"""The target always gets the source's value, whichever side changed it."""

PolicyOf = Callable[[str], Policy]

ABSENT = object()
UNCLEAR = "cannot be distinguished from other lines of the target"
LONGEST_NUMBER = 28  # digits before or after the point; the precision of Python's decimal arithmetic


@dataclass(frozen=True, slots=True)
class Difference:
    """A differing field that is not simply written: `path` (`StockLine[8101].Price`), base, wanted and current value."""

    path: str
    base: Any
    wanted: Any
    current: Any
    because: str


@dataclass
class Merged:
    """What to write (`changes`, `lines`), what to leave (`kept`) and what a person must decide (`conflicts`).

    `numbers` are the target's line numbers by our line keys, including those that the merge has matched.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    lines: list[LineChange] = field(default_factory=list)
    kept: list[Difference] = field(default_factory=list)
    conflicts: list[Difference] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        """True if there is anything to write."""
        return bool(self.changes or self.lines)


def same(value: Any, other: Any) -> bool:
    """True if two values mean the same: None equals empty, numbers compare by value, texts without trailing blanks."""
    value, other = _plain(value), _plain(other)
    if value == other:
        return True
    if isinstance(value, str) != isinstance(other, str):
        return _text(value) == _text(other)
    return False


def _plain(value: Any) -> Any:
    if value is None or value is ABSENT:
        return ""
    return value.rstrip() if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def canonical(value: Any) -> str | None:
    """A text that two values share exactly when `same` finds them equal; None for a value without such a text.

    `same` compares a text with any other value by its text, but two values that are not texts by value. For some types these
    disagree: True equals 1, and 1 equals "1", but True does not equal "1". The same applies to negative zero, NaN, floats,
    numbers with more digits than the arithmetic keeps, times outside UTC, and lists.
    """
    value = _plain(value)
    if isinstance(value, datetime):
        has_text = value.tzinfo in (None, UTC)
    elif isinstance(value, Decimal):
        has_text = _is_ordinary(value)
    else:
        has_text = isinstance(value, str) or type(value) in (int, date)
    return _text(value) if has_text else None


def _is_ordinary(number: Decimal) -> bool:
    """True if this number has exactly one text and the text preserves its value."""
    if number.is_zero():
        return not number.is_signed()
    return abs(number.adjusted()) < LONGEST_NUMBER and number.normalize() == number


class Alike:
    """An index of lines by the content of some fields, to find equal lines without comparing every pair.

    Two lines are alike if `same` holds for each of the fields. Lines are compared one by one only if a value has no canonical
    text.
    """

    def __init__(self, fields: Sequence[str], lines: Iterable[tuple[str, Doc]] = ()) -> None:
        self._fields = fields
        self._lines: dict[str, Doc] = {}
        self._by_text: dict[tuple[str | None, ...], dict[str, Doc]] = {}
        self._is_exact = True  # every line has a canonical text
        for name, line in lines:
            self.add(name, line)

    def add(self, name: str, line: Doc) -> None:
        """Add a line under an unused name."""
        texts = self._texts(line)
        self._lines[name] = line
        self._by_text.setdefault(texts, {})[name] = line
        self._is_exact = self._is_exact and None not in texts

    def remove(self, name: str) -> None:
        """Remove the line of this name. Raises KeyError if there is none."""
        del self._by_text[self._texts(self._lines.pop(name))][name]

    def like(self, line: Doc) -> Iterable[str]:
        """Names of the lines that are like this one, in insertion order."""
        texts = self._texts(line)
        if self._is_exact and None not in texts:
            return self._by_text.get(texts, {})
        return (name for name, other in self._lines.items() if self._are_same(line, other))

    def first(self, line: Doc) -> str | None:
        """The first name that `like` yields; None if it yields none."""
        return next(iter(self.like(line)), None)

    def _texts(self, line: Doc) -> tuple[str | None, ...]:
        return tuple(canonical(line.get(name)) for name in self._fields)

    def _are_same(self, line: Doc, other: Doc) -> bool:
        return all(same(line.get(name), other.get(name)) for name in self._fields)


def merge(
    base: Doc,
    wanted: Doc,
    current: Doc,
    *,
    policy: PolicyOf,
    line_fields: Mapping[str, Sequence[str]],
    numbers: Mapping[str, str],
    source_is_newer: bool | None = None,
    approved: bool = False,
) -> Merged:
    """Merge one mapped document with its target.

    Args:
        base: the last agreement.
        wanted: the mapped source document.
        current: the target's document; a field that it lacks counts as unchanged.
        policy: the policy of a field, by its path without line keys.
        line_fields: the identifying fields of lines, by list field.
        numbers: the target's known line numbers, by our line keys.
        source_is_newer: for the policy `newest`; None if either side has no time stamp, which makes a conflict.
        approved: a person decided that the source wins where both sides changed.
    """
    merged = Merged(numbers=dict(numbers))
    rules = _Rules(policy, source_is_newer, approved)
    sides = _Sides(base, wanted, current)
    for name in sorted(name for name in {*base, *wanted} - set(line_fields) if not name.startswith("@")):
        _merge_field(merged.changes, merged, name, name, sides, rules)
    for name, identity in line_fields.items():
        if name in base or name in wanted:
            _LineMerge(merged, name, identity, rules).run(sides)
    return merged


@dataclass(frozen=True, slots=True)
class _Rules:
    policy: PolicyOf
    source_is_newer: bool | None
    approved: bool


@dataclass(frozen=True, slots=True)
class _Sides:
    base: Doc
    wanted: Doc
    current: Doc


def _merge_field(
    changes: dict[str, Change],
    merged: Merged,
    name: str,
    path: str,
    sides: _Sides,
    rules: _Rules,
) -> None:
    base, wanted, current = (side.get(name, ABSENT) for side in (sides.base, sides.wanted, sides.current))
    if current is ABSENT:  # the target does not return this field: assume the agreed value
        current = base
    if same(wanted, current):
        return
    source_changed, target_changed = not same(wanted, base), not same(current, base)
    kind = rules.policy(_without_key(path))
    difference = Difference(path, _or_none(base), _or_none(wanted), _or_none(current), "")
    edited = "changed at the source, another value in the target" if source_changed else "another value in the target"
    written = Change(
        _or_none(current), _or_none(wanted), because=f"{edited}, policy {kind.value}" if target_changed else ""
    )
    if kind in ENFORCED:
        changes[name] = written
    elif kind is Policy.ON_CREATE or not source_changed:
        because = (
            "is set only on creation"
            if kind is Policy.ON_CREATE
            else "has another value in the target, and is unchanged at the source"
        )
        merged.kept.append(_because(difference, because))
    elif not target_changed or _source_wins(kind, rules):
        changes[name] = written
    elif kind is Policy.RIGHT or (kind is Policy.NEWEST and rules.source_is_newer is False):
        merged.kept.append(_because(difference, "is left because the target is the master or newer"))
    else:
        merged.conflicts.append(_because(difference, "was changed on both sides"))


def _source_wins(kind: Policy, rules: _Rules) -> bool:
    if kind is Policy.NEWEST and rules.source_is_newer is not None:
        return rules.source_is_newer
    return rules.approved if kind in (Policy.HOLD, Policy.NEWEST) else kind is Policy.SOURCE


def _because(difference: Difference, because: str) -> Difference:
    return Difference(difference.path, difference.base, difference.wanted, difference.current, because)


def _or_none(value: Any) -> Any:
    return None if value is ABSENT else value


def _without_key(path: str) -> str:
    """`StockLine[8101].Price` -> `StockLine.Price`, the name under which a mapping declares a policy."""
    before, bracket, rest = path.partition("[")
    return before + rest.partition("]")[2] if bracket else path


def recognise(name: str, identity: Sequence[str], lines: Mapping[str, Doc], there: Mapping[str, Doc]) -> dict[str, str]:
    """Match lines to the target's lines by the longest prefix of `identity` that fits; returns their numbers by our keys."""
    merged = Merged()
    rules = _Rules(lambda _: Policy.HOLD, None, False)
    _LineMerge(merged, name, identity, rules)._recognise(lines, there, needed=())
    return merged.numbers


@dataclass
class _LineMerge:
    """The lines of one list field."""

    merged: Merged
    name: str
    identity: Sequence[str]
    rules: _Rules

    def run(self, sides: _Sides) -> None:
        agreed, asked = (by_key(side, self.name) for side in (sides.base, sides.wanted))
        there = by_number(sides.current, self.name)
        touched = {key for key in agreed if key not in asked or self._differs(agreed[key], asked[key])}
        if self._recognise(agreed, there, needed=touched):
            for key, line in agreed.items():
                self._merge_line(key, line, asked.get(key), there)
            for key, line in asked.items():
                if key not in agreed:
                    self.merged.lines.append(LineChange(self.name, "add", key, None, dict(line)))

    def _differs(self, agreed: Doc, asked: Doc) -> bool:
        names = {*agreed, *asked} - {LINE_KEY}
        return any(not same(agreed.get(name), asked.get(name)) for name in names)

    def _recognise(self, agreed: Mapping[str, Doc], there: Mapping[str, Doc], *, needed: Collection[str]) -> bool:
        """Add missing line numbers by content. Records a conflict and returns False if a line that must change is ambiguous."""
        numbers = self.merged.numbers
        used = {numbers[key] for key in agreed if key in numbers}
        free = {number: line for number, line in there.items() if number not in used}
        clear = True
        for depth in range(len(self.identity), 0, -1):
            fields = self.identity[:depth]
            unnumbered, candidates = [key for key in agreed if key not in numbers], Alike(fields, free.items())
            for group in alike_together(unnumbered, agreed, fields):
                alike = [number for number in candidates.like(agreed[group[0]]) if number in free]
                if alike and len(alike) == len(group):
                    for key, number in zip(group, sorted(alike, key=numeric), strict=True):
                        numbers[key] = number
                        free.pop(number)
                elif alike and any(key in needed for key in group):
                    clear = False
        unclear = [key for key in agreed if key not in numbers and key in needed and not clear]
        for key in unclear:
            line = without_marks(agreed[key])
            self.merged.conflicts.append(Difference(f"{self.name}[{key}]", line, None, None, UNCLEAR))
        return not unclear

    def _merge_line(self, key: str, agreed: Doc, asked: Doc | None, there: Mapping[str, Doc]) -> None:
        number = self.merged.numbers.get(key)
        current = there.get(number) if number is not None else None
        path = f"{self.name}[{key}]"
        if asked is None:
            self._remove(path, key, number, agreed, current)
        elif current is not None:
            changes: dict[str, Change] = {}
            for name in sorted({*agreed, *asked} - {LINE_KEY, LINE_NUMBER}):
                sides = _Sides(agreed, asked, current)
                _merge_field(changes, self.merged, name, f"{path}.{name}", sides, self.rules)
            if changes:
                self.merged.lines.append(LineChange(self.name, "change", key, number, dict(asked), changes))
        elif (self._differs(agreed, asked) and self.rules.approved) or self.rules.policy(self.name) in ENFORCED:
            self.merged.numbers.pop(key, None)
            self.merged.lines.append(LineChange(self.name, "add", key, None, dict(asked)))
        elif self._differs(agreed, asked):
            gone = Difference(path, without_marks(agreed), without_marks(asked), None, "no longer exists in the target")
            self.merged.conflicts.append(gone)
        else:
            gone = Difference(path, without_marks(agreed), without_marks(asked), None, "was removed only in the target")
            self.merged.kept.append(gone)

    def _remove(self, path: str, key: str, number: str | None, agreed: Doc, current: Doc | None) -> None:
        if current is None or number is None:
            return  # neither side has it
        readable = [name for name in agreed if name != LINE_KEY and name in current and self._matters(name)]
        if not self.rules.approved and any(not same(agreed[name], current[name]) for name in readable):
            conflict = Difference(
                path, without_marks(agreed), None, without_marks(current), "was changed on both sides"
            )
            self.merged.conflicts.append(conflict)
        else:
            self.merged.lines.append(LineChange(self.name, "remove", key, number, dict(current)))

    def _matters(self, name: str) -> bool:
        """True if an edit of this field in the target prevents the removal of its line."""
        return self.rules.policy(f"{self.name}.{name}") not in (Policy.SOURCE, Policy.ON_CREATE, *ENFORCED)


def by_key(doc: Doc, name: str) -> dict[str, Doc]:
    """The lines of a list field by our line key."""
    return {str(line[LINE_KEY]): line for line in doc.get(name) or ()}


def by_number(doc: Doc, name: str) -> dict[str, Doc]:
    """The lines of a list field by the target's line number."""
    return {str(line[LINE_NUMBER]): line for line in doc.get(name) or ()}


def alike_together(keys: Sequence[str], lines: Mapping[str, Doc], fields: Sequence[str]) -> list[list[str]]:
    """Group the keys whose lines agree in `fields`: within a group, any key may get any of the equal lines."""
    groups: dict[str, list[str]] = {}
    firsts = Alike(fields)
    for key in keys:
        first = firsts.first(lines[key])
        if first is None:
            firsts.add(key, lines[key])
            groups[key] = [key]
        else:
            groups[first].append(key)
    return list(groups.values())


def numeric(number: str) -> tuple[int, str]:
    """A sort key that orders line numbers by value; numbers that are not digits come first."""
    return (int(number), number) if number.isdigit() else (0, number)
