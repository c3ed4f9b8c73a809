"""Whether an object that was found is the one that we may have created. Nobody else's object is adopted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncengine.connectors.base import Resource, Safety, Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.merge import Alike, same
from syncengine.redaction import quoted

CLOCK_SKEW = timedelta(minutes=5)  # how far the target's clock may be from ours


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object that carries our natural key: as the system gave it, and typed."""

    key: str
    raw: Doc
    doc: Doc


@dataclass(frozen=True, slots=True)
class Adoption:
    """`adopt`: it is ours. Neither that nor `reason`: nothing was found, so the write did not happen."""

    adopt: Candidate | None = None
    reason: str = ""


def judge(
    resource: Resource, asked: Doc, candidates: Sequence[Candidate], *, sent_at: datetime | None, verify: bool
) -> Adoption:
    """Ours is a single live object that is not older than `sent_at` and equals what was asked in identity and lines.

    With `verify` (a first load, a restored backup) a single live object of that natural key is ours if it equals what was
    asked in identity, or if its key cannot be anybody else's; whatever else it holds. What the target's people have cancelled
    is not created again: it may be what was sent, or was only looked for (`sent_at` is None). One that is older than the write
    was somebody else's.
    """
    alive = [one for one in candidates if not resource.is_cancelled(one.doc)]
    if not alive:
        may_be_ours = any(sent_at is None or not _is_older(resource, found, sent_at) for found in candidates)
        return Adoption(reason=cancelled(candidates) if may_be_ours else "")
    if len(alive) > 1:
        return Adoption(reason=f"several objects carry this reference: {', '.join(one.key for one in alive)}")
    one = alive[0]
    if verify:
        is_ours = resource.safety.get(Verb.CREATE) is Safety.ENFORCED
        difference = "" if is_ours else identity_differs(resource, asked, one.doc)
        return Adoption(reason=_not_ours(one, difference)) if difference else Adoption(adopt=one)
    if _is_older(resource, one, sent_at):
        return Adoption(reason=f"{one.key} carries this reference and is older than our write")
    if difference := _differs(resource, asked, one.doc):
        return Adoption(reason=_not_ours(one, difference))
    return Adoption(adopt=one)


def may_be_of(resource: Resource, asked: Doc, one: Candidate, *, sent_at: datetime | None) -> bool:
    """Whether the object may be what this create has made, whatever was edited in it since."""
    return not differs(resource, asked, one, sent_at=sent_at)


def differs(resource: Resource, asked: Doc, one: Candidate, *, sent_at: datetime | None) -> str:
    """Why an object cannot be what this create has made, whatever was edited in it since; empty if it may be."""
    if _is_older(resource, one, sent_at):
        return f"{one.key} is older than the write"
    return identity_differs(resource, asked, one.doc)


def _is_older(resource: Resource, one: Candidate, sent_at: datetime | None) -> bool:
    created = resource.created_at(one.raw)
    return sent_at is not None and created is not None and created < sent_at - CLOCK_SKEW


def cancelled(candidates: Sequence[Candidate]) -> str:
    """Why nothing is created where only these are found."""
    return f"{', '.join(one.key for one in candidates)} carries this reference and was cancelled in the target"


def _not_ours(one: Candidate, difference: str) -> str:
    return f"{one.key} carries this reference and is not ours: {difference}"


def identity_differs(resource: Resource, asked: Doc, found: Doc) -> str:
    """What tells an object from the one that was asked for, by the fields that identify it; empty if nothing does."""
    for name in resource.identity:
        if name in found and not same(asked.get(name), found[name]):
            return f"{name} is {quoted(found[name])} instead of {quoted(asked.get(name))}"
    return ""


def _differs(resource: Resource, asked: Doc, found: Doc) -> str:
    if difference := identity_differs(resource, asked, found):
        return difference
    for field, identity in resource.line_fields.items():
        ours, theirs = asked.get(field) or [], found.get(field) or []
        if len(ours) != len(theirs):
            return f"{field} has {len(theirs)} lines instead of {len(ours)}"
        unmatched = Alike(identity, ((str(place), line) for place, line in enumerate(theirs)))
        for line in ours:
            match = unmatched.first(line)
            if match is None:
                return f"{field} has no line like {line.get(LINE_KEY)}"
            unmatched.remove(match)
    return ""
