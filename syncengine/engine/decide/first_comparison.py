"""The first comparison of two objects that a person linked. Without an agreement, the policy decides each difference.

A field that the target does not return counts as agreed. Lines are matched by their content. A line that the target lacks is a
conflict: no line is added to an existing object unless a person approves it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.merge import by_key, by_number, recognise

MARK = "@joined"  # names with an @ are never compared
NOTHING: Mapping[str, bool] = {MARK: True}
"""The base of a link that a person made."""


def by_hand(base: Mapping[str, object]) -> bool:
    """True if a person linked the two objects and there is no agreement yet."""
    return MARK in base


def base(wanted: Doc, current: Doc, *, line_fields: Mapping[str, Sequence[str]]) -> tuple[Doc, dict[str, str]]:
    """The base to compare both objects with, and the target's line numbers by our line keys, as far as lines match."""
    agreed = {name: value for name, value in wanted.items() if name not in current and name not in line_fields}
    numbers: dict[str, str] = {}
    for name, identity in line_fields.items():
        if name in wanted:
            asked, there = by_key(wanted, name), by_number(current, name)
            found = recognise(name, identity, asked, there)
            agreed[name] = [_line(line, there.get(found.get(key, "")), identity) for key, line in asked.items()]
            numbers |= found
    return agreed, numbers


def _line(asked: Doc, there: Doc | None, identity: Sequence[str]) -> Doc:
    """A line of the base: the fields that the target does not return; its identity if the target lacks the line."""
    if there is None:
        return {LINE_KEY: asked[LINE_KEY], MARK: True, **{name: asked.get(name) for name in identity}}
    return {LINE_KEY: asked[LINE_KEY], **{name: value for name, value in asked.items() if name not in there}}
