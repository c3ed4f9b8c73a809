"""Resolve a change whose outcome is unknown: where the target has the values that we tried to write, we wrote them. Pure.

A change cannot be searched for. Instead, after the settle time, the last agreement is updated with the part of the change that
the target has. From then on `merge.py` compares as usual, whatever happens before the next write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from syncengine.document import LINE_KEY, LINE_NUMBER, Doc
from syncengine.engine.decide.merge import Alike, by_key, by_number, numeric, same


def agreement_shown(
    base: Doc, tried: Doc, current: Doc, *, line_fields: Mapping[str, Sequence[str]], numbers: Mapping[str, str]
) -> tuple[Doc, dict[str, str]]:
    """The updated agreement and line numbers; equal to `base` and `numbers` if the change had no effect.

    `tried` is the full document that the change would have produced. `numbers` are the target's line numbers by our line
    keys, as known when the change was sent.
    """
    agreed, known = dict(base), dict(numbers)
    for name in set(tried) - set(line_fields):
        if name in current and same(current[name], tried[name]):
            agreed[name] = tried[name]
    for name, identity in line_fields.items():
        if name in base or name in tried:
            agreed[name] = _lines(by_key(base, name), by_key(tried, name), by_number(current, name), identity, known)
    return agreed, known


def _lines(
    agreed: Mapping[str, Doc],
    tried: Mapping[str, Doc],
    there: Mapping[str, Doc],
    identity: Sequence[str],
    known: dict[str, str],
) -> list[Doc]:
    lines = []
    for key, line in agreed.items():
        current = there.get(known.get(key, ""))
        if key in tried and current is not None:
            lines.append(_line(line, tried[key], current))
        elif key in tried or current is not None or key not in known:
            lines.append(line)  # not removed, or its line number is unknown
    new = {key: line for key, line in tried.items() if key not in agreed}
    return lines + [new[key] for key in _arrived(new, there, identity, known)]


def _line(agreed: Doc, tried: Doc, current: Doc) -> Doc:
    news = {
        name: value
        for name, value in tried.items()
        if name not in (LINE_KEY, LINE_NUMBER) and name in current and same(current[name], value)
    }
    return {**agreed, **news}


def _arrived(
    new: Mapping[str, Doc], there: Mapping[str, Doc], identity: Sequence[str], known: dict[str, str]
) -> Iterator[str]:
    """Keys of the new lines that the target has: an unassigned line with the same identity is ours.

    Adds their numbers to `known`.
    """
    unknown = _unknown(there, identity, known)
    for key, line in new.items():
        number = unknown.first(line)
        if number is None:
            continue
        had_another = key in known
        known[key] = number
        unknown.remove(number)
        if had_another:  # its former number is free again
            unknown = _unknown(there, identity, known)
        yield key


def _unknown(there: Mapping[str, Doc], identity: Sequence[str], known: Mapping[str, str]) -> Alike:
    """Lines that are not assigned to a key, newest first: the target assigns ascending numbers."""
    used = set(known.values())
    numbers = sorted((number for number in there if number not in used), key=numeric, reverse=True)
    return Alike(identity, ((number, there[number]) for number in numbers))
