"""Dead letters by cause, and the records that wait for them: "customer 214 blocks 40 orders"."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine.engine.core import record_keys
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import DEAD, alike
from syncengine.engine.people import dead_letters, selection
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.store.models import Failure, Record
from syncengine.store.states import Status


@dataclass(slots=True)
class Blocker:
    """A dead record that others wait for, with their number by flow."""

    flow: str
    key: str
    waiting: dict[str, int]


@dataclass(slots=True, kw_only=True)
class LetterGroup(selection.Group):
    """Dead letters of one flow, stage and field whose causes differ in numbers and quoted texts alone.

    example: the newest letter. blockers: those of the group that others wait for, in descending order of how many.
    """

    flow: str
    kind: str
    stage: str
    field: str
    cause: str
    example: int
    example_key: str
    example_value: str
    remedy: str
    blockers: list[Blocker] = dataclasses.field(default_factory=list)


def groups(session: Session, engine: Engine, chosen: LetterFilter | None = None) -> list[LetterGroup]:
    """Dead letters by cause, the largest group first."""
    query = dead_letters.newest_first(chosen).execution_options(yield_per=1000)
    return grouped(session, engine, session.scalars(query))


def grouped(session: Session, engine: Engine, letters: Iterable[Failure]) -> list[LetterGroup]:
    """These letters by cause, the largest group first. letters: the newest first."""
    waiting = _waiting(session)
    found: dict[tuple[str, ...], LetterGroup] = {}
    for letter in letters:
        cause = (letter.flow, letter.cause_key)
        if cause not in found:
            found[cause] = LetterGroup(
                flow=letter.flow, kind=letter.kind, stage=letter.stage, field=alike(letter.field), cause=letter.cause,
                first=letter.opened_at, last=letter.opened_at, example=letter.id, example_key=letter.key,
                example_value=letter.value, remedy=letter.remedy,
            )  # fmt: skip
        found[cause].add(letter.opened_at)
        if blocked := waiting.get(_need_of(engine, letter)):
            found[cause].blockers.append(Blocker(letter.flow, letter.key, blocked))
    for group in found.values():
        group.blockers.sort(key=lambda blocker: -sum(blocker.waiting.values()))
    return sorted(found.values(), key=lambda group: (-group.count, group.flow, group.cause))


def blocked_by(session: Session, engine: Engine, failures: Iterable[Failure]) -> dict[int, dict[str, int]]:
    """How many records wait for those of these letters, by letter id and flow; a letter that blocks none is absent."""
    waiting = _waiting(session)
    found = {failure.id: waiting.get(_need_of(engine, failure), {}) for failure in failures}
    return {id_: blocked for id_, blocked in found.items() if blocked}


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """How many records wait in total, by flow."""
    total: Counter[str] = Counter()
    for waiting in counts:
        total.update(waiting)
    return dict(total)


def _waiting(session: Session) -> dict[tuple[int, str, str], dict[str, int]]:
    query = (
        select(Record.connection_id, Record.need_entity, Record.need_key, Record.flow, func.count())
        .where(Record.status == Status.WAITING, Record.wanted == Record.done)
        .group_by(Record.connection_id, Record.need_entity, Record.need_key, Record.flow)
    )
    found: dict[tuple[int, str, str], dict[str, int]] = {}
    for connection_id, entity, key, flow, count in session.execute(query):
        found.setdefault((connection_id, entity, key), {})[flow] = count
    return found


def _need_of(engine: Engine, failure: Failure) -> tuple[int, str, str]:
    """What records waiting for this letter's record name as their need: connection, entity, and key without its side."""
    flow = engine.flows.get(failure.flow)
    if failure.kind != DEAD or flow is None:
        return failure.connection_id, "", ""
    return failure.connection_id, flow.entity, record_keys.object_key(flow, failure.key)
