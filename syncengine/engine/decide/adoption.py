"""Decide whether a found object is the one that we may have created. Objects of others are never adopted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncengine.connectors.base import Resource, Safety, Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.decide.merge import Alike, same
from syncengine.redaction import quoted

CLOCK_SKEW = timedelta(minutes=5)  # maximum difference between the target's clock and ours


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object with our natural key: as the system returned it, and typed."""

    key: str
    raw: Doc
    doc: Doc


@dataclass(frozen=True, slots=True)
class Adoption:
    """`adopt`: the object is ours. `reason`: why a person must decide. Neither: nothing was found; the write had no effect."""

    adopt: Candidate | None = None
    reason: str = ""


def judge(
    resource: Resource, asked: Doc, candidates: Sequence[Candidate], *, sent_at: datetime | None, verify: bool
) -> Adoption:
    """Decide whether one of the candidates is the object that we wrote.

    Ours is a single live object that is not older than `sent_at` and has the requested identity and lines. With `verify`
    (a first load, a restored backup), a single live object is ours if it has the requested identity, or if its key cannot
    belong to anybody else; its other values do not matter. What the
    target's people have cancelled is not created again: it may be what was sent, or was only searched for (`sent_at` is
    None). A cancelled object that is older than the write was somebody else's.
    """
    alive = [candidate for candidate in candidates if not resource.is_cancelled(candidate.doc)]
    if not alive:
        may_be_ours = any(sent_at is None or not _is_older(resource, found, sent_at) for found in candidates)
        return Adoption(reason=cancelled(candidates) if may_be_ours else "")
    if len(alive) > 1:
        return Adoption(reason=f"several objects have this reference: {_keys(alive)}")
    candidate = alive[0]
    if verify:
        is_ours = resource.safety.get(Verb.CREATE) is Safety.ENFORCED
        difference = "" if is_ours else identity_differs(resource, asked, candidate.doc)
        return Adoption(reason=_not_ours(candidate, difference)) if difference else Adoption(adopt=candidate)
    if _is_older(resource, candidate, sent_at):
        return Adoption(reason=f"{candidate.key} has this reference but is older than our write")
    if difference := _differs(resource, asked, candidate.doc):
        return Adoption(reason=_not_ours(candidate, difference))
    return Adoption(adopt=candidate)


def may_be_of(resource: Resource, asked: Doc, candidate: Candidate, *, sent_at: datetime | None) -> bool:
    """Whether this create may have made the object, even if it was edited since."""
    return not differs(resource, asked, candidate, sent_at=sent_at)


def differs(resource: Resource, asked: Doc, candidate: Candidate, *, sent_at: datetime | None) -> str:
    """Why this create cannot have made the object, even if it was edited since; empty if it may have."""
    if _is_older(resource, candidate, sent_at):
        return f"{candidate.key} is older than the write"
    return identity_differs(resource, asked, candidate.doc)


def _is_older(resource: Resource, candidate: Candidate, sent_at: datetime | None) -> bool:
    created = resource.created_at(candidate.raw)
    return sent_at is not None and created is not None and created < sent_at - CLOCK_SKEW


def cancelled(candidates: Sequence[Candidate]) -> str:
    """Why nothing is created where only these candidates are found."""
    has, was = ("has", "was") if len(candidates) == 1 else ("have", "were")
    return f"{_keys(candidates)} {has} this reference but {was} cancelled in the target"


def _keys(candidates: Sequence[Candidate]) -> str:
    return ", ".join(candidate.key for candidate in candidates)


def _not_ours(candidate: Candidate, difference: str) -> str:
    return f"{candidate.key} has this reference but is not ours: {difference}"


def identity_differs(resource: Resource, asked: Doc, found: Doc) -> str:
    """The first identifying field in which an object differs from the requested one; empty if none differs."""
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
                return f"{field} has no line that matches {line.get(LINE_KEY)}"
            unmatched.remove(match)
    return ""
