"""Rebuild an agreement that the store does not have: after a restored backup, and for an object found in the target. Pure.

While creates are verified (`verify_creates_until`), the last agreement may be older than both objects: where both have the same
value, a write that the store has lost made it so. `merge.py` leaves such a field alone, whatever the agreement says. A line
that exists already must be matched here, or it would be added again. If neither the store nor the two objects can answer, the
policies decide fields and a person decides lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.merge import Alike, alike_together, by_key, by_number, numeric, same

FOUND = "@found"  # names with an @ are never compared
NOTHING: Mapping[str, bool] = {FOUND: True}
"""The base of a link to an object that was found in the target by our reference."""


@dataclass(frozen=True, slots=True)
class Known:
    """The stored link: the last agreement and the target's line numbers by our line keys."""

    base: Doc
    numbers: Mapping[str, str]

    @property
    def is_found(self) -> bool:
        """True if the object was found in the target and there is no agreement yet."""
        return FOUND in self.base


def agreement(
    known: Known,
    wanted: Doc,
    current: Doc,
    *,
    line_fields: Mapping[str, Sequence[str]],
    edited: bool,
    is_held: Callable[[str], bool],
) -> tuple[Doc, dict[str, str]]:
    """The agreement to compare with, and the line numbers as far as lines can be matched.

    edited: whether the source was edited after its creation. If not, a found object was made from the current document, and
    any difference was made in the target. is_held: by path, whether a person decides about lines that both sides changed.
    """
    numbers = dict(known.numbers)
    header = {name: value for name, value in wanted.items() if name not in line_fields}
    if known.is_found and not edited:
        agreed = header
    elif known.is_found:
        agreed = {name: value for name, value in header.items() if name not in current}
    else:
        agreed = dict(known.base)
    for name, identity in line_fields.items():
        if name in known.base or name in wanted:
            kind = _Kind(identity, known.is_found, edited, is_held(f"{name}.{identity[0]}"))
            lines = _Lines(kind, by_key(wanted, name), by_number(current, name), numbers)
            agreed[name] = lines.agreed(by_key(known.base, name))
    return agreed, numbers


@dataclass(frozen=True, slots=True)
class _Kind:
    identity: Sequence[str]
    is_found: bool
    edited: bool
    is_held: bool

    @property
    def is_made_from_this(self) -> bool:
        """The target's object was made from the source's current document, and may have been edited in the target since."""
        return self.is_found and not self.edited


@dataclass
class _Lines:
    """The lines of one list: wanted (`asked`) by our key, current (`there`) by number. Adds matched lines to `numbers`."""

    kind: _Kind
    asked: Mapping[str, Doc]
    there: Mapping[str, Doc]
    numbers: dict[str, str]

    def agreed(self, before: Mapping[str, Doc]) -> list[Doc]:
        """The lines of the rebuilt agreement; `before` are those of the stored one."""
        lines = {key: line for key, line in before.items() if self._is_valid(key, line)}
        new = [key for key in self.asked if key not in lines]
        free = self._numbered(lines, new)
        # An edited line still matches by its first field. If that is its only field, any free line may be the edited one.
        near = Alike(self.kind.identity[:1] if len(self.kind.identity) > 1 else (), free.items())
        for key in new:
            if key in self.numbers:
                lines[key] = self._matched(self.asked[key], self.there[self.numbers[key]])
            elif self.kind.is_made_from_this:
                lines[key] = dict(self.asked[key])  # removed only in the target
            elif self.kind.is_found or near.first(self.asked[key]) is not None:
                lines[key] = self._unclear(key)
        if self.kind.is_found and self.kind.edited and self.kind.is_held:
            lines |= {f"@{number}": self._stranger(number) for number in free}
        return list(lines.values())

    def _numbered(self, before: Mapping[str, Doc], new: Sequence[str]) -> dict[str, Doc]:
        """Match lines without a known number, by their wanted content, then the agreed one, then by part of the identity.

        Returns the target's unmatched lines.
        """
        for key in [key for key in new if self.numbers.get(key) not in self.there]:
            self.numbers.pop(key, None)
        used = set(self.numbers.values())
        free = {number: line for number, line in self.there.items() if number not in used}
        full = len(self.kind.identity)
        for docs, depth in ((self.asked, full), (before, full), *((self.asked, d) for d in range(full - 1, 0, -1))):
            unknown = [key for key in (*before, *new) if key not in self.numbers and key in docs]
            fields = self.kind.identity[:depth]
            candidates = Alike(fields, free.items())
            for group in alike_together(unknown, docs, fields):
                alike = [number for number in candidates.like(docs[group[0]]) if number in free]
                if len(alike) == len(group) or (depth == full and len(alike) > len(group)):
                    self._take(group, alike, free)
        return free

    def _take(self, group: Sequence[str], alike: Sequence[str], free: dict[str, Doc]) -> None:
        """Give a group of equal lines the highest of these numbers: the target assigns ascending numbers."""
        for key, number in zip(group, sorted(alike, key=numeric)[-len(group) :], strict=True):
            self.numbers[key] = number
            free.pop(number)

    def _is_valid(self, key: str, line: Doc) -> bool:
        """False, and the number is dropped, if another line has this line's number now: the target reuses numbers."""
        current, first = self.there.get(self.numbers.get(key, "")), self.kind.identity[0]
        if key in self.asked or current is None or same(line.get(first), current.get(first)):
            return True
        del self.numbers[key]
        return False

    def _matched(self, asked: Doc, current: Doc) -> Doc:
        """The base of a matched line: differing fields have no agreed value, unless the line was made from this document."""
        if self.kind.is_made_from_this:
            return dict(asked)
        unreadable = {name: value for name, value in asked.items() if name not in current}
        return {**unreadable, LINE_KEY: asked[LINE_KEY]}

    def _unclear(self, key: str) -> Doc:
        """The base of a line that may exist or may have been removed in the target: a person must decide."""
        return {LINE_KEY: key, **NOTHING, **{name: self.asked[key].get(name) for name in self.kind.identity}}

    def _stranger(self, number: str) -> Doc:
        """The base of a line that the source lacks: removed from the source since, or added in the target."""
        self.numbers[f"@{number}"] = number
        return {LINE_KEY: f"@{number}", self.kind.identity[0]: ""}
