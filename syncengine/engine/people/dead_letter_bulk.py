"""What a person does about dead letters, one or many: tries them again, with a look beforehand; discards them; closes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import decisions, failures, records, timeline
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.failures import ATTENTION, DEAD
from syncengine.engine.decide.plan import PlanKind, Step
from syncengine.engine.people import dead_letter_groups, dead_letters, seen
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.engine.people.preview import Preview, preview
from syncengine.engine.people.seen import ActionResult, Outdated
from syncengine.engine.steps import corrections
from syncengine.errors import Misconfigured, Rejected
from syncengine.store.models import Failure, Record
from syncengine.store.states import Status

PLANNED_AT_MOST = 200
MOST_EXAMPLES = 3
NOT_OF_KIND = {
    DEAD: "was written already and needs a look; it can be closed, not discarded",
    ATTENTION: "is a dead letter; it can be retried or discarded, not closed",
}
"""What is said of a letter that is not of this kind."""
KIND_IN_WORDS = {PlanKind.SKIP: "skipped", PlanKind.HOLD: "held", PlanKind.WAIT: "waiting"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The letters that a filter names, as far as they can be tried again, discarded or closed: the oldest first.

    left: how many more there are than were asked for at most. looks: how many need a look and are left out of another try.
    """

    letters: Sequence[Failure]
    left: int
    looks: int = 0


@dataclass(slots=True)
class WriteForecast:
    """Writes of one kind that would be made: how many, and what these documents are worth (net) by currency."""

    entity: str
    verb: str
    count: int
    worth: dict[str, Decimal]


@dataclass(slots=True)
class UnwrittenForecast:
    """Records that would not be written, for one reason: what they would be (`dead`, `held`, ...), and some keys."""

    flow: str
    state: str
    why: str
    remedy: str
    count: int
    keys: list[str]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What trying letters again would come to, by the sources, tables and mappings of now.

    planned: how many of the `total` were looked at; writes and stays are of these alone. needs: how many further objects
    would be written first, since others need them. wakes: how many records wait for these, by flow.
    """

    total: int
    planned: int
    writes: Sequence[WriteForecast]
    stays: Sequence[UnwrittenForecast]
    needs: int
    wakes: Mapping[str, int]


def choose(session: Session, chosen: LetterFilter, *, most: int) -> Choice:
    """Open dead letters for another try. Raises Misconfigured if an id is not open, or is one that needs a look."""
    found = dead_letters.retriable(session, chosen)
    dead = [failure for failure in found if failure.kind == DEAD]
    looks = len(found) - len(dead)
    if chosen.ids:
        dead_letters.check_retriable(session, found, chosen.ids)
    return Choice(dead[:most], max(0, len(dead) - most), looks)


def choose_of_kind(session: Session, chosen: LetterFilter, kind: str, *, most: int) -> Choice:
    """Open letters of one kind: dead ones to be discarded, or those for a look to be closed.

    Raises Misconfigured if one that is named by its id is not there, is closed, or is of the other kind.
    """
    _of_kind(named(session, chosen.ids), kind, session)
    found = [failure for failure, _ in reversed(dead_letters.listed(session, replace(chosen, kind=kind)))]
    return Choice(found[:most], max(0, len(found) - most))


def forecast(engine: Engine, letters: Sequence[Failure], *, at_most: int = PLANNED_AT_MOST) -> Forecast:
    """Plan these letters' records anew, from what the systems say now, and write nothing.

    Beyond `at_most` an even sample of them is planned. Raises what the systems' calls raise.
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
        _add(stays, letter.flow, letter.key, "not planned", letter.cause, "It may bring a worker down again")
    for (connection_id, flow), some in keys.items():
        for planned in preview(engine, connection_id, flow, some):
            needs += planned.key not in some or planned.flow != flow
            if isinstance(planned.outcome, Rejected) or planned.outcome.kind is not PlanKind.WRITE:
                _stay(stays, planned)
                continue
            for step in planned.outcome.steps:
                _count(engine, connection_id, planned.flow, step, writes)
    return Forecast(
        total=len(letters),
        planned=len(sample),
        writes=list(writes.values()),
        stays=sorted(stays.values(), key=lambda one: -one.count),
        needs=needs,
        wakes=dead_letter_groups.summed(blocked.values()),
    )


def _sample(letters: Sequence[Failure], at_most: int) -> list[Failure]:
    if len(letters) <= at_most:
        return list(letters)
    return [letters[place * len(letters) // at_most] for place in range(at_most)]


def _count(
    engine: Engine, connection_id: int, flow: str, step: Step, writes: dict[tuple[str, str], WriteForecast]
) -> None:
    entity, verb = engine.flow(flow).entity, str(step.operation.verb)
    one = writes.setdefault((entity, verb), WriteForecast(entity, verb, 0, {}))
    one.count += 1
    worth = engine.connection(connection_id).resource(step.resource).worth(step.operation.doc)
    if worth is not None:
        currency, value = worth
        one.worth[currency] = one.worth.get(currency, Decimal(0)) + value


def _stay(stays: dict[tuple[str, str, str], UnwrittenForecast], planned: Preview) -> None:
    outcome = planned.outcome
    if isinstance(outcome, Rejected):
        state, why, remedy = "dead", f"{outcome.field}: {outcome.reason}", outcome.remedy
    else:
        state, why, remedy = KIND_IN_WORDS[outcome.kind], outcome.reason, ""
    _add(stays, planned.flow, planned.key, state, why, remedy)


def _add(
    stays: dict[tuple[str, str, str], UnwrittenForecast], flow: str, key: str, state: str, why: str, remedy: str
) -> None:
    one = stays.setdefault((flow, state, why), UnwrittenForecast(flow, state, why, remedy, 0, []))
    one.count += 1
    if len(one.keys) < MOST_EXAMPLES:
        one.keys.append(key)


def discard(engine: Engine, letters: Sequence[Failure], *, because: str, by: str) -> ActionResult:
    """Close dead letters and leave their records alone, with this reason, until their source changes.

    Left are those that have closed since they were chosen, and those whose record is not dead any more (it was corrected and
    is held, say), is being worked on, or has a correction that is still to be tried. Raises Misconfigured if one needs a look
    only, or all were left.
    """
    now = clock.now()
    _of_kind(letters, DEAD)
    _reasoned(because)
    with engine.store.write() as session:
        fits, left = _as_chosen(session, letters, lambda found: _undiscardable(session, engine, found))
        failures.close_by_hand(session, fits, because, by, now)
        found = list(dead_letters.records_of(session, fits).values())
        reason = failures.reason_of_discard(by, because)
        records.discard(session, {record.id: reason for record in found}, now)
        decisions.end(session, found, now, f"discarded by {by}")
        timeline.note(session, found, "discarded", now, {one.id: {"because": because, "by": by} for one in found})
        return seen.result_of(len(fits), left)


def close(engine: Engine, letters: Sequence[Failure], *, because: str, by: str) -> ActionResult:
    """A person has looked: close letters of records that were written. Left are those that have closed meanwhile.

    Raises Misconfigured if one is a dead letter, or all were left.
    """
    now = clock.now()
    _of_kind(letters, ATTENTION)
    _reasoned(because)
    with engine.store.write() as session:
        fits, left = _as_chosen(session, letters)
        found = list(dead_letters.records_of(session, fits).values())
        failures.close_by_hand(session, fits, because, by, now)
        timeline.note(session, found, "looked at", now, {one.id: {"because": because, "by": by} for one in found})
        return seen.result_of(len(fits), left)


def _as_chosen(
    session: Session,
    letters: Sequence[Failure],
    problems: Callable[[Mapping[int, Record]], Mapping[int, str]] = lambda _: {},
) -> tuple[list[Failure], list[Outdated]]:
    """Letters that nobody and nothing has closed since they were chosen and whose record has no problem, locked; the rest.

    problems: why a letter of these records, by id and locked, is left.
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
    """Why records, by id, are not to be discarded: those that are not dead, or that somebody has just corrected."""
    corrected = corrections.active(session, engine.vault, found)
    problems: dict[int, str] = {}
    for record in found.values():
        correction = corrected.get(record.id)
        if record.token is not None:
            problems[record.id] = seen.BUSY
        elif record.status != Status.DEAD:
            problems[record.id] = f"it is {record.status} by now{f': {record.reason}' if record.reason else ''}"
        elif correction is not None and record.wanted > record.done:
            paths = ", ".join(correction.paths)
            problems[record.id] = f"{correction.made_by} has corrected {paths}, and that is still to be tried"
    return problems


def _now(session: Session, letters: Iterable[Failure]) -> list[Failure]:
    """These letters as they are now."""
    query = select(Failure).execution_options(populate_existing=True)
    ids = [letter.id for letter in letters]
    return [one for some in chunks(ids, failures.AT_ONCE) for one in session.scalars(query.where(Failure.id.in_(some)))]


def _of_kind(letters: Iterable[Failure], kind: str, session: Session | None = None) -> None:
    """Raises Misconfigured if one is closed, with the one in its place if a session is given, or is of the other kind."""
    for letter in letters:
        if letter.closed_at is not None:
            newer = failures.replacement_of(session, letter) if session is not None else None
            then = f". Its record's newer letter is open: {newer}" if newer is not None else ""
            raise Misconfigured(f"{letter.id} {failures.closed_text(letter)}{then}")
        if letter.kind != kind:
            raise Misconfigured(f"{letter.id} {NOT_OF_KIND[kind]}")


def _reasoned(because: str) -> None:
    if not because.strip():
        raise Misconfigured("--because is empty", "Say why, for those who look at it later")


def named(session: Session, ids: Sequence[int]) -> list[Failure]:
    """Letters by id, open or closed. Raises Misconfigured if there is none of an id."""
    found = {one.id: one for one in session.scalars(select(Failure).where(Failure.id.in_(ids)))}
    if missing := sorted(set(ids) - set(found)):
        raise Misconfigured(f"there is no dead letter {missing[0]}", "`syncengine deadletters list` shows them")
    return [found[id_] for id_ in dict.fromkeys(ids)]
