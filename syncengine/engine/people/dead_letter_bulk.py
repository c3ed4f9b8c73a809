"""What people do about dead letters, singly or in bulk: forecast and choose a retry, discard, close."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import decisions, failures, records, timeline
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.failures import ATTENTION, DEAD
from syncengine.engine.decide.plan import PlanKind
from syncengine.engine.people import dead_letter_groups, dead_letters, seen, selection
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.engine.people.preview import Preview, preview
from syncengine.engine.people.seen import ActionResult, Outdated
from syncengine.engine.steps import corrections
from syncengine.errors import Misconfigured, Rejected
from syncengine.store.models import Failure, Record
from syncengine.store.states import Status

PLANNED_AT_MOST = 200
NOT_OF_KIND = {
    DEAD: "is about a record that was written; it can be closed, not discarded",
    ATTENTION: "is a dead letter; it can be retried or discarded, not closed",
}
"""What to say about a letter of the other kind."""
STATE_BY_KIND = {PlanKind.SKIP: "skipped", PlanKind.HOLD: "held", PlanKind.WAIT: "waiting"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The letters of a filter that can be retried, discarded or closed, the oldest first.

    left: how many more match beyond the maximum. looks: how many are only to be reviewed, and are left out of a retry.
    """

    letters: Sequence[Failure]
    left: int
    looks: int = 0


@dataclass(slots=True, kw_only=True)
class WriteForecast(selection.WriteSum):
    """Writes of one kind that a retry would make."""

    entity: str
    verb: str


@dataclass(slots=True, kw_only=True)
class UnwrittenForecast(selection.UnwrittenSum):
    """Records that a retry would not write, for one reason. state: what they would be (`dead`, `held`, ...)."""

    flow: str
    state: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a retry would do, given the current sources, lookup tables and mappings.

    planned: how many of the `total` letters were planned; writes and stays cover only these. stays: what would not be
    written. needs: how many further objects would be synced first, since others need them. wakes: how many records wait for
    these, by flow.
    """

    total: int
    planned: int
    writes: Sequence[WriteForecast]
    stays: Sequence[UnwrittenForecast]
    needs: int
    wakes: Mapping[str, int]


def choose(session: Session, chosen: LetterFilter, *, most: int) -> Choice:
    """Open dead letters to retry. most: at most this many. Raises Misconfigured if an id is not open, or is for review only."""
    found = dead_letters.retriable(session, chosen)
    dead = [failure for failure in found if failure.kind == DEAD]
    looks = len(found) - len(dead)
    if chosen.ids:
        dead_letters.check_retriable(session, found, chosen.ids)
    return Choice(dead[:most], max(0, len(dead) - most), looks)


def choose_of_kind(session: Session, chosen: LetterFilter, kind: str, *, most: int) -> Choice:
    """Open letters of one kind: dead ones to discard, or reviewed ones to close. most: how many at most.

    Raises Misconfigured if one that is named by id does not exist, is closed, or is of the other kind.
    """
    _of_kind(named(session, chosen.ids), kind, session)
    found = [failure for failure, _ in reversed(dead_letters.listed(session, replace(chosen, kind=kind)))]
    return Choice(found[:most], max(0, len(found) - most))


def forecast(engine: Engine, letters: Sequence[Failure], *, at_most: int = PLANNED_AT_MOST) -> Forecast:
    """Plan the records of these letters again from the systems' current state, and write nothing.

    at_most: beyond this number an even sample is planned. Raises what the systems' calls raise.
    """
    sample = _sample([letter for letter in letters if not failures.is_poison(letter)], at_most)
    with engine.store.read() as session:
        its_record = dead_letters.records_of(session, sample)
        blocked = dead_letter_groups.blocked_by(session, engine, letters)
    keys: dict[tuple[int, str], list[str]] = {}
    for record in its_record.values():
        keys.setdefault((record.connection_id, record.flow), []).append(record.key)
    writes: dict[tuple[str, str], WriteForecast] = {}
    stays: dict[tuple[str, str, str], UnwrittenForecast] = {}
    needs = 0
    for letter in filter(failures.is_poison, letters):
        _add(stays, letter.flow, letter.key, "not planned", letter.cause, "It may crash a worker again")
    for (connection_id, flow), some in keys.items():
        if flow in engine.broken:
            for key in some:
                _add(stays, flow, key, "not planned", str(engine.broken[flow]), engine.broken[flow].remedy)
            continue
        for planned in preview(engine.route(connection_id, flow), some):
            needs += planned.key not in some or planned.flow != flow
            if isinstance(planned.outcome, Rejected) or planned.outcome.kind is not PlanKind.WRITE:
                _stay(stays, planned)
                continue
            for step in planned.outcome.steps:
                entity, verb = engine.flow(planned.flow).entity, str(step.operation.verb)
                total = writes.setdefault((entity, verb), WriteForecast(entity=entity, verb=verb))
                total.add(engine, connection_id, step)
    return Forecast(
        total=len(letters),
        planned=len(sample),
        writes=list(writes.values()),
        stays=sorted(stays.values(), key=lambda stay: -stay.count),
        needs=needs,
        wakes=dead_letter_groups.summed(blocked.values()),
    )


def _sample(letters: Sequence[Failure], at_most: int) -> list[Failure]:
    if len(letters) <= at_most:
        return list(letters)
    return [letters[place * len(letters) // at_most] for place in range(at_most)]


def _stay(stays: dict[tuple[str, str, str], UnwrittenForecast], planned: Preview) -> None:
    outcome = planned.outcome
    if isinstance(outcome, Rejected):
        state, why, remedy = "dead", f"{outcome.field}: {outcome.reason}", outcome.remedy
    else:
        state, why, remedy = STATE_BY_KIND[outcome.kind], outcome.reason, ""
    _add(stays, planned.flow, planned.key, state, why, remedy)


def _add(
    stays: dict[tuple[str, str, str], UnwrittenForecast], flow: str, key: str, state: str, why: str, remedy: str
) -> None:
    new = UnwrittenForecast(flow=flow, state=state, why=why, remedy=remedy)
    stays.setdefault((flow, state, why), new).add(key)


def discard(engine: Engine, letters: Sequence[Failure], *, because: str, by: str) -> ActionResult:
    """Close dead letters and skip their records, for this reason, until their source changes.

    Left out are letters that have closed since they were chosen, and those whose record is no longer dead (it was corrected
    and is held, for example), is in progress, or has a correction that was not tried yet. Raises Misconfigured if a letter is
    only to be reviewed, `because` is empty, or all were left out.
    """
    now = clock.now()
    _of_kind(letters, DEAD)
    seen.require_reason(because)
    with engine.store.write() as session:
        fits, left = _as_chosen(session, letters, lambda found: _undiscardable(session, engine, found))
        failures.close_by_hand(session, fits, because, by, now)
        found = list(dead_letters.records_of(session, fits).values())
        reason = failures.reason_of_discard(by, because)
        records.discard(session, {record.id: reason for record in found}, now)
        decisions.end(session, found, now, f"discarded by {by}")
        timeline.note(session, found, "discarded", now, {record.id: {"because": because, "by": by} for record in found})
        return seen.result_of(len(fits), left)


def close(engine: Engine, letters: Sequence[Failure], *, because: str, by: str) -> ActionResult:
    """Close reviewed letters of records that were written. Those that have closed meanwhile are left out.

    Raises Misconfigured if one is a dead letter, `because` is empty, or all were left out.
    """
    now = clock.now()
    _of_kind(letters, ATTENTION)
    seen.require_reason(because)
    with engine.store.write() as session:
        fits, left = _as_chosen(session, letters)
        found = list(dead_letters.records_of(session, fits).values())
        failures.close_by_hand(session, fits, because, by, now)
        timeline.note(
            session, found, "looked at", now, {record.id: {"because": because, "by": by} for record in found}
        )  # phrases: allow, an event name
        return seen.result_of(len(fits), left)


def _as_chosen(
    session: Session,
    letters: Sequence[Failure],
    problems: Callable[[Mapping[int, Record]], Mapping[int, str]] = lambda _: {},
) -> tuple[list[Failure], list[Outdated]]:
    """Letters still open whose record has no problem, locked; and the others.

    problems: from the locked records by id, the reasons to leave some out, by record id.
    """
    its_record = seen.locked(session, [letter.record_id for letter in letters])
    of_record = problems(its_record)
    fresh = {letter.id: letter for letter in _now(session, letters)}
    fits, left = [], []
    for letter in letters:
        now, record = fresh.get(letter.id), its_record.get(letter.record_id)
        if now is None or record is None:
            why = seen.missing(session, letter.record_id)
        elif now.closed_at is not None:
            why = f"its letter {failures.closed_text(now)}"
        else:
            why = of_record.get(record.id, "")
        if why:
            left.append(Outdated(letter.flow, letter.key, why))
        elif now is not None:
            fits.append(now)
    return fits, left


def _undiscardable(session: Session, engine: Engine, found: Mapping[int, Record]) -> dict[int, str]:
    """Why records cannot be discarded, by id: those that are busy, not dead, or have a correction that was not tried yet."""
    corrected = corrections.active(session, engine.vault, found)
    problems: dict[int, str] = {}
    for record in found.values():
        correction = corrected.get(record.id)
        if record.token is not None:
            problems[record.id] = seen.BUSY
        elif record.status != Status.DEAD:
            problems[record.id] = f"it is now {record.status}{f': {record.reason}' if record.reason else ''}"
        elif correction is not None and record.wanted > record.done:
            paths = ", ".join(correction.paths)
            problems[record.id] = f"{correction.made_by} has corrected {paths}, which was not tried yet"
    return problems


def _now(session: Session, letters: Iterable[Failure]) -> list[Failure]:
    """These letters in their current state."""
    query = select(Failure).execution_options(populate_existing=True)
    ids = [letter.id for letter in letters]
    return [
        letter
        for some in chunks(ids, failures.AT_ONCE)
        for letter in session.scalars(query.where(Failure.id.in_(some)))
    ]


def _of_kind(letters: Iterable[Failure], kind: str, session: Session | None = None) -> None:
    """Raises Misconfigured if a letter is closed or of the other kind. With a session, names the letter that replaced it."""
    for letter in letters:
        if letter.closed_at is not None:
            newer = failures.replacement_of(session, letter) if session is not None else None
            remedy = f"Its record's newer letter is open: use {newer}" if newer is not None else ""
            raise Misconfigured(f"{letter.id} {failures.closed_text(letter)}", remedy)
        if letter.kind != kind:
            raise Misconfigured(f"{letter.id} {NOT_OF_KIND[kind]}")


def named(session: Session, ids: Sequence[int]) -> list[Failure]:
    """Letters by id, open or closed. Raises Misconfigured if an id does not exist."""
    found = {letter.id: letter for letter in session.scalars(select(Failure).where(Failure.id.in_(ids)))}
    if missing := sorted(set(ids) - set(found)):
        raise Misconfigured(f"no dead letter has the id {missing[0]}", dead_letters.UNKNOWN_LETTER)
    return [found[id_] for id_ in dict.fromkeys(ids)]
