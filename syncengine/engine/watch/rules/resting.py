"""Rules about records at rest: those that wait for another object for long, and those that are held for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, not_, select
from sqlalchemy.orm import aliased

from syncengine import clock
from syncengine.alerts import Severity, Sign
from syncengine.engine.core import observe_mode
from syncengine.engine.core.failures import alike
from syncengine.engine.watch.rule import View
from syncengine.engine.watch.rules.timelines import ENDS, MOST_RECORDS
from syncengine.engine.writes import ceiling
from syncengine.store.models import ConnectionRow, Event, Record
from syncengine.store.states import Status


@dataclass(frozen=True, slots=True)
class _Rest:
    """A record that waits or is held: since when (UTC), why, and for which object if it waits."""

    since: datetime
    reason: str
    need_entity: str
    need_key: str


def long_waiting(view: View) -> list[Sign]:
    """Records have long waited for another object: it does not come by itself."""
    signs = []
    groups = select(Record.connection_id, Record.flow, ConnectionRow.name, func.count()).where(
        Record.status == Status.WAITING
    )
    groups = groups.join(ConnectionRow, ConnectionRow.id == Record.connection_id)
    for connection_id, flow, name, total in view.session.execute(
        groups.group_by(Record.connection_id, Record.flow, ConnectionRow.name)
    ):
        rests = _long_resting(view, connection_id, flow, Status.WAITING)
        if rests:
            need = _commonest([(rest.need_entity, rest.need_key) for rest in rests])
            text = (
                f"{_count(rests)} of {total} waiting records of {flow} in {name} have waited for more than "
                f"{clock.spell(view.thresholds.waiting_s)}, the longest for {_longest(view, rests)}; {need}"
            )
            signs.append(Sign("waiting", f"{name}: {flow}", Severity.WARNING, text, need.remedy, len(rests)))
    return signs


def long_held(view: View) -> list[Sign]:
    """Records of live flows have long been held: a person must decide. A flow that is shut has a rule of its own."""
    signs = []
    is_for_people = not_(ceiling.holds())
    place = (Record.connection_id, Record.flow)
    groups = select(*place, func.count()).where(Record.status == Status.HELD, is_for_people).group_by(*place)
    totals = {(connection_id, flow): count for connection_id, flow, count in view.session.execute(groups)}
    for connection in view.session.scalars(select(ConnectionRow).where(ConnectionRow.mode == observe_mode.LIVE)):
        for flow in (name for name in connection.flows if (connection.id, name) in totals):
            rests = _long_resting(view, connection.id, flow, Status.HELD, is_for_people)
            if rests:
                reason, times = Counter(alike(rest.reason) for rest in rests).most_common(1)[0]
                text = (
                    f"{_count(rests)} of {totals[connection.id, flow]} held records of {flow} in {connection.name} have been "
                    f"held for more than {clock.spell(view.thresholds.waiting_s)}, the longest for {_longest(view, rests)}; "
                    f"{times} of them: {reason}"
                )
                remedy = f"Run `syncengine held list --flow {flow}` to see them by reason, then approve or refuse them"
                signs.append(Sign("held", f"{connection.name}: {flow}", Severity.WARNING, text, remedy, len(rests)))
    return signs


def _count(rests: Sequence[_Rest]) -> str:
    return f"{len(rests)} or more" if len(rests) == MOST_RECORDS else f"{len(rests)}"


def _longest(view: View, rests: Sequence[_Rest]) -> str:
    return clock.spell((view.now - min(rest.since for rest in rests)).total_seconds())


def _long_resting(
    view: View, connection_id: int, flow: str, status: Status, *which: ColumnElement[bool]
) -> list[_Rest]:
    """Records that have waited or been held longer than allowed, among those that were created first.

    They are planned again every hour, and rest again: what counts is the first time since they had another status.
    """
    before = view.now - timedelta(seconds=view.thresholds.waiting_s)
    oldest = (
        select(Record.id, Record.reason, Record.need_entity, Record.need_key)
        .where(Record.connection_id == connection_id, Record.flow == flow, Record.status == status, *which)
        .where(Record.created_at < before)
        .order_by(Record.created_at, Record.id)
        .limit(MOST_RECORDS)
        .subquery()
    )
    earlier = aliased(Event)
    other = select(func.max(earlier.id)).where(earlier.record_id == oldest.c.id)
    other = other.where(earlier.what.in_([what for what in ENDS if what != status]))
    since = (
        select(func.min(Event.at))
        .where(Event.record_id == oldest.c.id, Event.what == status)
        .where(Event.id > func.coalesce(other.scalar_subquery(), 0))
        .scalar_subquery()
    )
    rows = view.session.execute(select(since, oldest.c.reason, oldest.c.need_entity, oldest.c.need_key))
    return [_Rest(at, *rest) for at, *rest in rows if at is not None and at < before]


@dataclass(frozen=True, slots=True)
class _Need:
    """What most records wait for: a single object, or an example of one kind. times: how many records wait for it."""

    entity: str
    key: str
    times: int
    is_single: bool

    def __str__(self) -> str:
        return f"{self.times} of them for {self.entity}{'' if self.is_single else ' such as'} {self.key}"

    @property
    def remedy(self) -> str:
        table = self.entity.removeprefix("lookup:")
        if table != self.entity:
            return (
                f"Add the missing entry to the lookup table {table} of the connection in syncengine.yml, then run "
                "`syncengine configure`"
            )
        return (
            f"Run `syncengine trace {self.key} --flow {self.entity}` to see what became of it, and "
            "`syncengine deadletters list` to see whether it needs a correction"
        )


def _commonest(needs: Sequence[tuple[str, str]]) -> _Need:
    """A single object if several records wait for it, else the first of the commonest kind."""
    (entity, key), times = Counter(needs).most_common(1)[0]
    if times > 1 or len(needs) == 1:
        return _Need(entity, key, times, is_single=True)
    entity, times = Counter(entity for entity, _ in needs).most_common(1)[0]
    return _Need(entity, next(key for kind, key in needs if kind == entity), times, is_single=times == 1)
