"""The first comparison of two objects that a person has linked: there is no agreement yet, so each difference goes by policy.

What the target does not tell is taken as agreed. Lines are recognised by what stands in them; one that the target lacks is a
conflict, so that no line is added to an object that was there before without a person's word. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.merge import by_key, by_number, recognise

MARK = "@joined"  # names with an @ are compared by nobody
NOTHING: Mapping[str, bool] = {MARK: True}
"""The base of a link that a person has made."""


def by_hand(base: Mapping[str, object]) -> bool:
    """True if this base is no agreement yet: a person has linked the two."""
    return MARK in base


def base(wanted: Doc, current: Doc, *, line_fields: Mapping[str, Sequence[str]]) -> tuple[Doc, dict[str, str]]:
    """What the two are compared with, and the target's line numbers by our line keys as far as they can be told."""
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
    """A line of the base: nothing that the target tells; of one that it lacks, what would tell it from others."""
    if there is None:
        return {LINE_KEY: asked[LINE_KEY], MARK: True, **{name: asked.get(name) for name in identity}}
    return {LINE_KEY: asked[LINE_KEY], **{name: value for name, value in asked.items() if name not in there}}
