"""Dead letters by their cause, and what waits for them: "customer 214 blocks 40 orders"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import DEAD, alike
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.store.models import ConnectionRow, Failure, Record
from syncengine.store.states import Status


@dataclass(slots=True)
class Blocker:
    """A dead record that others wait for: how many, by their flow."""

    flow: str
    key: str
    waiting: dict[str, int]


@dataclass(slots=True)
class LetterGroup:
    """Dead letters of one cause: same flow, stage and field, and the same text but for numbers and what stands in quotes.

    `example` is the newest. `blockers`: those of the group that others wait for, the one that blocks most first.
    """

    flow: str
    kind: str
    stage: str
    field: str
    cause: str
    count: int
    first: datetime
    last: datetime
    example: int
    example_key: str
    example_value: str
    remedy: str
    blockers: list[Blocker]


def groups(session: Session, engine: Engine, chosen: LetterFilter | None = None) -> list[LetterGroup]:
    """Dead letters by cause, the largest group first."""
    query = select(Failure).join(ConnectionRow, ConnectionRow.id == Failure.connection_id)
    query = query.where(*(chosen or LetterFilter()).conditions()).order_by(Failure.opened_at.desc(), Failure.id.desc())
    return grouped(session, engine, session.scalars(query.execution_options(yield_per=1000)))


def grouped(session: Session, engine: Engine, letters: Iterable[Failure]) -> list[LetterGroup]:
    """These letters, given the newest first, by cause; the largest group first."""
    waiting = _waiting(session)
    found: dict[tuple[str, ...], LetterGroup] = {}
    for one in letters:
        place = (one.flow, one.kind, one.stage, alike(one.field), alike(one.cause))
        group = found.get(place)
        if group is None:
            group = found[place] = LetterGroup(
                one.flow, one.kind, one.stage, alike(one.field), one.cause, 0, one.opened_at, one.opened_at,
                one.id, one.key, one.value, one.remedy, [],
            )  # fmt: skip
        group.count, group.first = group.count + 1, one.opened_at
        if blocked := waiting.get(_need_of(engine, one)):
            group.blockers.append(Blocker(one.flow, one.key, blocked))
    for group in found.values():
        group.blockers.sort(key=lambda one: -sum(one.waiting.values()))
    return sorted(found.values(), key=lambda one: (-one.count, one.flow, one.cause))


def blocked_by(session: Session, engine: Engine, failures: Iterable[Failure]) -> dict[int, dict[str, int]]:
    """How many records wait for those of these letters, by letter and flow; a letter that blocks none is absent."""
    waiting = _waiting(session)
    found = {one.id: waiting.get(_need_of(engine, one), {}) for one in failures}
    return {id_: blocked for id_, blocked in found.items() if blocked}


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """How many wait in all, by flow."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _waiting(session: Session) -> dict[tuple[int, str, str], dict[str, int]]:
    query = (
        select(Record.connection_id, Record.need_entity, Record.need_key, Record.flow, func.count())
        .where(Record.status == Status.WAITING, Record.wanted == Record.done)
        .group_by(Record.connection_id, Record.need_entity, Record.need_key, Record.flow)
    )
    found: dict[tuple[int, str, str], dict[str, int]] = {}
    for connection_id, entity, key, flow, many in session.execute(query):
        found.setdefault((connection_id, entity, key), {})[flow] = many
    return found


def _need_of(engine: Engine, failure: Failure) -> tuple[int, str, str]:
    """What those say that wait for the record of this letter: the entity, and the key without its side."""
    flow = engine.flows.get(failure.flow)
    if failure.kind != DEAD or flow is None:
        return failure.connection_id, "", ""
    key = failure.key.partition(":")[2] if flow.keys_name_their_side else failure.key
    return failure.connection_id, flow.entity, key
