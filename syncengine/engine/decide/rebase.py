"""What two objects must have agreed on, where the store does not know it: after a restored backup, and for one that was found.

While creates are verified (`verify_creates_until`) the last agreement may be older than both objects: what both show alike was
written since, by writes that the store has forgotten. In a field `merge.py` leaves that alone, whatever the agreement says. A
line that is there already must be found here, so that it is not added again. What neither the store nor the two objects can
tell is left to the policies, and lines to a person. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.merge import Alike, alike_together, by_key, by_number, numeric, same

FOUND = "@found"  # names with an @ are compared by nobody
NOTHING: Mapping[str, bool] = {FOUND: True}
"""The base of a link to an object that was found in the target under our reference."""


@dataclass(frozen=True, slots=True)
class Known:
    """The link as the store has it: the last agreement, and the target's line numbers by our line keys."""

    base: Doc
    numbers: Mapping[str, str]

    @property
    def is_found(self) -> bool:
        """True if there is no agreement yet."""
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
    """The agreement to compare with, and the line numbers as far as they can be told.

    edited: whether the source was edited after it was created; if not, an object that was found was made from just this, and
    what differs is its people's doing. is_held: whether a list's lines are for a person if both sides have changed them.
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
        """What stands in the target was made from the source as it is now, and may have been changed there since."""
        return self.is_found and not self.edited


@dataclass
class _Lines:
    """The lines of one list: as they are wanted, by our key, and as they are there, by number. `numbers` is completed."""

    kind: _Kind
    asked: Mapping[str, Doc]
    there: Mapping[str, Doc]
    numbers: dict[str, str]

    def agreed(self, before: Mapping[str, Doc]) -> list[Doc]:
        """The lines of the agreement, of which `before` is what the store knows."""
        lines = {key: line for key, line in before.items() if self._stands(key, line)}
        new = [key for key in self.asked if key not in lines]
        free = self._numbered(lines, new)
        # A line in another state is still the same by its first field; of lines that have no more than that, any may be it.
        near = Alike(self.kind.identity[:1] if len(self.kind.identity) > 1 else (), free.items())
        for key in new:
            if key in self.numbers:
                lines[key] = self._met(self.asked[key], self.there[self.numbers[key]])
            elif self.kind.is_made_from_this:
                lines[key] = dict(self.asked[key])  # removed in the target alone
            elif self.kind.is_found or near.first(self.asked[key]) is not None:
                lines[key] = self._unclear(key)
        if self.kind.is_found and self.kind.edited and self.kind.is_held:
            lines |= {f"@{number}": self._stranger(number) for number in free}
        return list(lines.values())

    def _numbered(self, before: Mapping[str, Doc], new: Sequence[str]) -> dict[str, Doc]:
        """Find the lines whose numbers are not known yet: as they are wanted, as they were agreed, and by what tells them
        apart. Returns the lines of the target that are left."""
        for key in [key for key in new if self.numbers.get(key) not in self.there]:
            self.numbers.pop(key, None)
        used = set(self.numbers.values())
        free = {number: line for number, line in self.there.items() if number not in used}
        whole = len(self.kind.identity)
        for docs, depth in ((self.asked, whole), (before, whole), *((self.asked, d) for d in range(whole - 1, 0, -1))):
            unknown = [key for key in (*before, *new) if key not in self.numbers and key in docs]
            fields = self.kind.identity[:depth]
            candidates = Alike(fields, free.items())
            for group in alike_together(unknown, docs, fields):
                alike = [number for number in candidates.like(docs[group[0]]) if number in free]
                if len(alike) == len(group) or (depth == whole and len(alike) > len(group)):
                    self._take(group, alike, free)
        return free

    def _take(self, group: Sequence[str], alike: Sequence[str], free: dict[str, Doc]) -> None:
        """Give a group of equal lines the last of these numbers: the target numbers upwards."""
        for key, number in zip(group, sorted(alike, key=numeric)[-len(group) :], strict=True):
            self.numbers[key] = number
            free.pop(number)

    def _stands(self, key: str, line: Doc) -> bool:
        """False if the line's number bears another line by now, since the target gives numbers anew."""
        current, first = self.there.get(self.numbers.get(key, "")), self.kind.identity[0]
        if key in self.asked or current is None or same(line.get(first), current.get(first)):
            return True
        del self.numbers[key]
        return False

    def _met(self, asked: Doc, current: Doc) -> Doc:
        """The base of a line that is there: what differs was agreed by nobody, unless it was made from just this."""
        if self.kind.is_made_from_this:
            return dict(asked)
        untold = {name: value for name, value in asked.items() if name not in current}
        return {**untold, LINE_KEY: asked[LINE_KEY]}

    def _unclear(self, key: str) -> Doc:
        """The base of a line that may be there, or was taken away there: a person must say."""
        return {LINE_KEY: key, **NOTHING, **{name: self.asked[key].get(name) for name in self.kind.identity}}

    def _stranger(self, number: str) -> Doc:
        """The base of a line that the source does not have: removed there since, or added by the target's people."""
        self.numbers[f"@{number}"] = number
        return {LINE_KEY: f"@{number}", self.kind.identity[0]: ""}
