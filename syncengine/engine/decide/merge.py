"""Three ways to compare: what was agreed last (base), what the source says now (wanted), what the target has (current).

Pure. Changed in the source: written. Changed in the target alone: left, and shown, unless the policy enforces the source.
Changed on both sides: by policy.
Lines are matched by the numbers in the link, or, when those are not known yet, by what stands in them; a line that is not
in the link belongs to the target's people and is never touched.
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
"""The target shows the source's value, whoever has changed what."""

PolicyOf = Callable[[str], Policy]

ABSENT = object()
UNCLEAR = "cannot be told apart from other lines of the target"
LONGEST_NUMBER = 28  # digits before or behind the point; those of Python's decimal arithmetic


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs and is not simply written: `path` (`StockLine[8101].Price`), base, source's and target's value."""

    path: str
    base: Any
    wanted: Any
    current: Any
    because: str


@dataclass
class Merged:
    """What has to be written (`changes`, `lines`), what is left (`kept`), what a person must decide (`conflicts`).

    `numbers` are the line numbers of the target by our line keys, completed by what was recognised.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    lines: list[LineChange] = field(default_factory=list)
    kept: list[Difference] = field(default_factory=list)
    conflicts: list[Difference] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        return bool(self.changes or self.lines)


def same(one: Any, other: Any) -> bool:
    """Equal for the business: nothing and empty are the same, numbers compare by value, text without trailing blanks."""
    one, other = _plain(one), _plain(other)
    if one == other:
        return True
    if isinstance(one, str) != isinstance(other, str):
        return _text(one) == _text(other)
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
    """A text that two values share exactly when `same` calls them equal; None for a value that has no such text.

    `same` compares a text with the text of anything else, but two things that are no texts by their values. For some kinds
    the two disagree: True equals 1, and 1 equals "1", but True does not equal "1". So it is with negative zero, NaN, floats,
    numbers of more digits than the arithmetic keeps, times in other zones than UTC, and lists.
    """
    value = _plain(value)
    if isinstance(value, datetime):
        has_one = value.tzinfo in (None, UTC)
    elif isinstance(value, Decimal):
        has_one = _is_ordinary(value)
    else:
        has_one = isinstance(value, str) or type(value) in (int, date)
    return _text(value) if has_one else None


def _is_ordinary(number: Decimal) -> bool:
    """Whether the text of this number tells its value exactly, and no other text does."""
    if number.is_zero():
        return not number.is_signed()
    return abs(number.adjusted()) < LONGEST_NUMBER and number.normalize() == number


class Alike:
    """Lines that are found again by what stands in some of their fields, without comparing each with each.

    Which lines are like another is what `same` says of every field. Only where a value has no canonical text are the lines
    compared one by one.
    """

    def __init__(self, fields: Sequence[str], lines: Iterable[tuple[str, Doc]] = ()) -> None:
        self._fields = fields
        self._lines: dict[str, Doc] = {}
        self._by_text: dict[tuple[str | None, ...], dict[str, Doc]] = {}
        self._is_exact = True  # every line has a canonical text
        for name, line in lines:
            self.add(name, line)

    def add(self, name: str, line: Doc) -> None:
        """Put in a line under a name that is not taken."""
        texts = self._texts(line)
        self._lines[name] = line
        self._by_text.setdefault(texts, {})[name] = line
        self._is_exact = self._is_exact and None not in texts

    def remove(self, name: str) -> None:
        """Take the line of this name out. Raises KeyError if it is not in."""
        del self._by_text[self._texts(self._lines.pop(name))][name]

    def like(self, line: Doc) -> Iterable[str]:
        """The names of the lines that are like this one, in the order in which they were put in."""
        texts = self._texts(line)
        if self._is_exact and None not in texts:
            return self._by_text.get(texts, {})
        return (name for name, other in self._lines.items() if self._are_same(line, other))

    def first(self, line: Doc) -> str | None:
        """The first of these names, if there is one."""
        return next(iter(self.like(line)), None)

    def _texts(self, line: Doc) -> tuple[str | None, ...]:
        return tuple(canonical(line.get(name)) for name in self._fields)

    def _are_same(self, one: Doc, other: Doc) -> bool:
        return all(same(one.get(name), other.get(name)) for name in self._fields)


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
    """Compare one mapped document with its target.

    `source_is_newer` serves the policy `newest`: None where one side has no time stamp, which makes it a conflict.
    `approved`: a person has decided that the source wins where both sides have changed.
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
    if current is ABSENT:  # the target does not tell this field: take it as it was agreed
        current = base
    if same(wanted, current):
        return
    source_changed, target_changed = not same(wanted, base), not same(current, base)
    kind = rules.policy(_without_key(path))
    shown = Difference(path, _shown(base), _shown(wanted), _shown(current), "")
    if kind in ENFORCED:
        changes[name] = Change(old=_shown(current), new=_shown(wanted))
    elif kind is Policy.ON_CREATE or not source_changed:
        because = "is set only on creation" if kind is Policy.ON_CREATE else "was changed in the target alone"
        merged.kept.append(_because(shown, because))
    elif not target_changed or _source_wins(kind, rules):
        changes[name] = Change(old=_shown(current), new=_shown(wanted))
    elif kind is Policy.RIGHT or (kind is Policy.NEWEST and rules.source_is_newer is False):
        merged.kept.append(_because(shown, "the target is the master, or newer"))
    else:
        merged.conflicts.append(_because(shown, "was changed on both sides"))


def _source_wins(kind: Policy, rules: _Rules) -> bool:
    if kind is Policy.NEWEST and rules.source_is_newer is not None:
        return rules.source_is_newer
    return rules.approved if kind in (Policy.HOLD, Policy.NEWEST) else kind is Policy.SOURCE


def _because(difference: Difference, because: str) -> Difference:
    return Difference(difference.path, difference.base, difference.wanted, difference.current, because)


def _shown(value: Any) -> Any:
    return None if value is ABSENT else value


def _without_key(path: str) -> str:
    """`StockLine[8101].Price` -> `StockLine.Price`, the name under which a mapping declares a policy."""
    before, bracket, rest = path.partition("[")
    return before + rest.partition("]")[2] if bracket else path


def recognise(name: str, identity: Sequence[str], lines: Mapping[str, Doc], there: Mapping[str, Doc]) -> dict[str, str]:
    """The target's numbers of lines (by our key) whose like can be told there, by as much of `identity` as it takes."""
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
                self._one(key, line, asked.get(key), there)
            for key, line in asked.items():
                if key not in agreed:
                    self.merged.lines.append(LineChange(self.name, "add", key, None, dict(line)))

    def _differs(self, agreed: Doc, asked: Doc) -> bool:
        names = {*agreed, *asked} - {LINE_KEY}
        return any(not same(agreed.get(name), asked.get(name)) for name in names)

    def _recognise(self, agreed: Mapping[str, Doc], there: Mapping[str, Doc], *, needed: Collection[str]) -> bool:
        """Complete the line numbers by content. False, with a conflict, if a line that must change is ambiguous."""
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
            shown = without_marks(agreed[key])
            self.merged.conflicts.append(Difference(f"{self.name}[{key}]", shown, None, None, UNCLEAR))
        return not unclear

    def _one(self, key: str, agreed: Doc, asked: Doc | None, there: Mapping[str, Doc]) -> None:
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
            gone = Difference(path, without_marks(agreed), without_marks(asked), None, "is gone in the target")
            self.merged.conflicts.append(gone)
        else:
            gone = Difference(
                path, without_marks(agreed), without_marks(asked), None, "was removed in the target alone"
            )
            self.merged.kept.append(gone)

    def _remove(self, path: str, key: str, number: str | None, agreed: Doc, current: Doc | None) -> None:
        if current is None or number is None:
            return  # gone on both sides
        readable = [name for name in agreed if name != LINE_KEY and name in current and self._matters(name)]
        if not self.rules.approved and any(not same(agreed[name], current[name]) for name in readable):
            shown = Difference(path, without_marks(agreed), None, without_marks(current), "was changed on both sides")
            self.merged.conflicts.append(shown)
        else:
            self.merged.lines.append(LineChange(self.name, "remove", key, number, dict(current)))

    def _matters(self, name: str) -> bool:
        """Whether the target's own value of a field speaks against removing the line."""
        return self.rules.policy(f"{self.name}.{name}") not in (Policy.SOURCE, Policy.ON_CREATE, *ENFORCED)


def by_key(doc: Doc, name: str) -> dict[str, Doc]:
    return {str(line[LINE_KEY]): line for line in doc.get(name) or ()}


def by_number(doc: Doc, name: str) -> dict[str, Doc]:
    return {str(line[LINE_NUMBER]): line for line in doc.get(name) or ()}


def alike_together(keys: Sequence[str], lines: Mapping[str, Doc], fields: Sequence[str]) -> list[list[str]]:
    """The keys, those together whose lines agree in `fields`: any of them may take any of as many equal lines."""
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
    return (int(number), number) if number.isdigit() else (0, number)
