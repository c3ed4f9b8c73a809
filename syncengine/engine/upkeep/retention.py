"""Retention: removes finished rows by age, so that the store holds what is open and a limited history.

The defaults and their reasons are in settings.py. Whatever affects the next sync is never removed, whatever its age:

- records and links;
- creates that were done, though not the documents that they sent: without them, an object whose link is lost would be
  created a second time;
- writes whose outcome is unknown, and open dead letters;
- whatever a record that is due, waiting, held or dead still needs;
- movements that one of two systems may not have yet;
- of a record that a person has discarded: its dead letter, which undoes the discard, and its document, which shows whether
  the source has changed.

It runs beside everything else, in small transactions ordered by id. If one fails, the next run continues from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import aliased

from syncengine import clock
from syncengine.connectors.base import Verb
from syncengine.engine.core import failures, movements, observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.watch import health
from syncengine.store.dialect import changed
from syncengine.store.lock import Lock
from syncengine.store.models import (
    Alert,
    Base,
    Correction,
    Decision,
    Effect,
    Event,
    Failure,
    Movement,
    Payload,
    Record,
    Run,
)
from syncengine.store.states import EffectState, Status

log = logging.getLogger(__name__)

PULSE = "retention"
AT_ONCE = 500
"""Rows per transaction."""

PAUSE_S = 0.02
"""Between two transactions: SQLite has one write lock, and other writers must find it free in between."""

LONGEST_S = 60.0
"""How long one run of the task works; the rest waits for the next run, an hour later."""

LEASE_S = 600.0
"""How long a run that was killed blocks the next one: longer than the time limit of a task."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How many days each kind of row is kept after it is finished; 0 means forever."""

    events: int = 400
    writes: int = 400
    letters: int = 400
    documents: int = 90
    runs: int = 90
    alerts: int = 90
    movements: int = movements.KEPT_DAYS


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of row.

    name: for people. days: the attribute of `Kept` that applies. over: the conditions of a row that is finished and older
    than the given time. sets: the columns to empty; None to remove the row.
    """

    name: str
    days: str
    model: Any
    over: Callable[[datetime], Sequence[ColumnElement[bool]]]
    sets: Mapping[str, Any] | None = None

    def chosen(self, before: datetime) -> list[ColumnElement[bool]]:
        """The newest row of a table stays: SQLite would reuse its id, by which people refer to dead letters."""
        newest = select(func.max(aliased(self.model).id)).scalar_subquery()
        return [*self.over(before), self.model.id < newest]


def _at_work(record_id: Any) -> ColumnElement[bool]:
    """The record of this id is due, being processed, waiting, held or dead, or has an open dead letter."""
    letter, record = aliased(Failure), aliased(Record)
    has_letter = select(letter.id).where(letter.record_id == record.id, letter.closed_at.is_(None)).exists()
    is_open = or_(
        record.wanted > record.done,
        record.token.is_not(None),
        record.status.not_in((Status.DONE, Status.SKIPPED)),
        has_letter,
    )
    return select(record.id).where(record.id == record_id, is_open).exists()


def _events(before: datetime) -> list[ColumnElement[bool]]:
    return [Event.at < before, or_(Event.record_id.is_(None), ~_at_work(Event.record_id))]


def _writes(before: datetime) -> list[ColumnElement[bool]]:
    """A create that was done is the only trace of an object whose link is lost (`effects.intend`)."""
    ended = (EffectState.REJECTED, EffectState.SUPERSEDED, EffectState.INTENDED)
    over = or_(Effect.state.in_(ended), and_(Effect.state == EffectState.DONE, Effect.verb != Verb.CREATE))
    return [over, Effect.updated_at < before, ~_at_work(Effect.record_id)]


def _requests(before: datetime) -> list[ColumnElement[bool]]:
    """The document that was sent is needed only while the outcome of its write is unknown."""
    over = Effect.state.not_in((EffectState.SENT, EffectState.UNKNOWN))
    return [over, Effect.request.is_not(None), Effect.updated_at < before, ~_at_work(Effect.record_id)]


def _letters(before: datetime) -> list[ColumnElement[bool]]:
    resting = select(Record.id).where(Record.id == Failure.record_id, *failures.rests_on_discard()).exists()
    return [Failure.closed_at < before, ~and_(Failure.kind == failures.DEAD, Failure.closed_by != "", resting)]


def _corrections(before: datetime) -> list[ColumnElement[bool]]:
    return [Correction.lapsed_at < before]


def _decisions(before: datetime) -> list[ColumnElement[bool]]:
    return [Decision.lapsed_at < before]


def _documents(before: datetime) -> list[ColumnElement[bool]]:
    """Of records at rest. `fetch` needs those of discarded records, people those of dead letters and of observed records."""
    discarded = select(Record.id).where(Record.id == Payload.record_id, *failures.rests_on_discard()).exists()
    letter = select(Failure.id).where(Failure.record_id == Payload.record_id).exists()
    observed = select(Record.id).where(Record.id == Payload.record_id, observe_mode.observed()).exists()
    return [Payload.created_at < before, ~_at_work(Payload.record_id), ~discarded, ~letter, ~observed]


def _runs(before: datetime) -> list[ColumnElement[bool]]:
    """`syncengine status` shows the latest run of each flow, so that one stays."""
    later = aliased(Run)
    same = (later.connection_id == Run.connection_id, later.flow == Run.flow, later.started_at > Run.started_at)
    return [Run.started_at < before, select(later.id).where(*same).exists()]


def _alerts(before: datetime) -> list[ColumnElement[bool]]:
    return [Alert.resolved_at < before]


KINDS = (
    _Kind("events", "events", Event, _events),
    _Kind("documents of writes", "documents", Effect, _requests, {"request": None}),
    _Kind("writes", "writes", Effect, _writes),
    _Kind("documents of records", "documents", Payload, _documents),
    _Kind("dead letters", "letters", Failure, _letters),
    _Kind("corrections", "letters", Correction, _corrections),
    _Kind("decisions", "letters", Decision, _decisions),
    _Kind("runs", "runs", Run, _runs),
    _Kind("alerts", "alerts", Alert, _alerts),
    _Kind("movements", "movements", Movement, movements.over),
)
"""Documents come before what they belong to, so that a run removes exactly what `foresee` counts."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows of each kind were removed, by its name. is_all: nothing that is old enough is left."""

    counts: Mapping[str, int]
    is_all: bool = True

    def __str__(self) -> str:
        """One line for people."""
        some = ", ".join(f"{count:,} {name}" for name, count in self.counts.items() if count)
        return f"removed {some or 'nothing'}{'' if self.is_all else '; the next run removes more'}"


def remove(engine: Engine, kept: Kept, *, for_s: float | None = None) -> Removed | None:
    """Remove what is finished and old; None if another process is doing so now. Raises Transient.

    for_s: seconds after which it stops, with the rest left for the next run; None for no limit.
    """
    with Lock(engine.store, PULSE, LEASE_S).tried() as is_ours:
        if not is_ours:
            return None
        until = None if for_s is None else clock.monotonic() + for_s
        removed = _remove(engine, kept, until)
        with engine.store.write(durable=False) as session:
            health.note(session, PULSE, clock.now())
    log.info("retention: %s", removed)
    return removed


def foresee(engine: Engine, kept: Kept) -> Removed:
    """Count what `remove` would remove now. Raises Transient."""
    counts = {}
    for kind, before in _due(kept, clock.now()):
        with engine.store.read() as session:
            query = select(func.count()).select_from(kind.model).where(*kind.chosen(before))
            counts[kind.name] = session.scalar(query) or 0
    return Removed(counts)


def _remove(engine: Engine, kept: Kept, until: float | None) -> Removed:
    counts: dict[str, int] = {}
    for kind, before in _due(kept, clock.now()):
        for count in _batches(engine, kind, before):
            counts[kind.name] = counts.get(kind.name, 0) + count
            if engine.is_ending() or (until is not None and clock.monotonic() >= until):
                return Removed(counts, is_all=False)
            clock.sleep(PAUSE_S)
    return Removed(counts)


def _due(kept: Kept, now: datetime) -> Iterator[tuple[_Kind, datetime]]:
    """The kinds that are not kept forever, each with the time before which a row is old."""
    for kind in KINDS:
        days = getattr(kept, kind.days)
        if days:
            yield kind, now - timedelta(days=days)


def _batches(engine: Engine, kind: _Kind, before: datetime) -> Iterator[int]:
    """Remove batch by batch; yields the size of each. A row that was reopened since it was chosen is left."""
    model: type[Base] = kind.model
    last = 0
    while True:
        with engine.store.write(durable=False) as session:
            chosen = select(kind.model.id).where(*kind.chosen(before), kind.model.id > last)
            ids = session.scalars(chosen.order_by(kind.model.id).limit(AT_ONCE)).all()
            if not ids:
                return
            statement = delete(model) if kind.sets is None else update(model).values(**kind.sets)
            count = changed(session, statement.where(kind.model.id.in_(ids), *kind.over(before)))
        last = ids[-1]
        yield count
        if len(ids) < AT_ONCE:
            return
