"""How far the sweep of a flow has come, stored in the row of its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import case, or_, select, update

from syncengine import clock
from syncengine.engine.core.engine import Route
from syncengine.engine.steps.discover import CURSOR_LEASES, TICK_SLACK
from syncengine.store.dialect import insert_into
from syncengine.store.models import Schedule

FULL_EVERY = timedelta(hours=23)
"""From the beginning of one full sweep to the next: once a day, whatever the interval."""


class SweepProgress:
    """How far the sweep of a flow has come, in the row of its schedule. One worker at a time holds it, for some leases."""

    def __init__(self, route: Route) -> None:
        self._engine = route.engine
        self._of = (route.connection_id, route.flow.name)
        self._mine = (Schedule.connection_id == route.connection_id, Schedule.flow == route.flow.name)

    def take(self, interval_s: float) -> int | None:
        """Begin the sweep if it is due, and hold it: the id of the last record read; None if there is nothing to do."""
        now = clock.now()
        following = now + timedelta(seconds=interval_s * TICK_SLACK)
        is_unset = or_(
            Schedule.next_sweep.is_(None), Schedule.next_sweep > following
        )  # the latter: it was longer before
        is_due = (Schedule.sweep_after.is_(None), Schedule.next_sweep <= now)
        is_free = or_(Schedule.sweep_held_until.is_(None), Schedule.sweep_held_until < now)
        with self._engine.store.write() as session:
            session.execute(update(Schedule).where(*self._mine, is_unset).values(next_sweep=following))
            session.execute(update(Schedule).where(*self._mine, *is_due).values(sweep_after=0, next_sweep=following))
            return session.scalars(
                update(Schedule)
                .where(*self._mine, Schedule.sweep_after.is_not(None), is_free)
                .values(sweep_held_until=self._until())
                .returning(Schedule.sweep_after)
                .execution_options(synchronize_session=False)
            ).one_or_none()

    def begin_pages(self, interval_s: float) -> bool:
        """Begin a sweep by pages if it is due, the first one at once; whether one is under way.

        One a day is full: it wants every object, so that what has gone astray in the target comes to light.
        """
        now = clock.now()
        is_full = or_(Schedule.full_at.is_(None), Schedule.full_at < now - FULL_EVERY)
        following = now + timedelta(seconds=interval_s * TICK_SLACK)
        is_due = or_(Schedule.next_sweep.is_(None), Schedule.next_sweep <= now, Schedule.next_sweep > following)
        connection_id, flow = self._of
        with self._engine.store.write() as session:
            fresh = insert_into(session, Schedule).values(connection_id=connection_id, flow=flow, next_due=now)
            session.execute(fresh.on_conflict_do_nothing(index_elements=["connection_id", "flow"]))
            session.execute(
                update(Schedule)
                .where(*self._mine, Schedule.sweep_after.is_(None), is_due)
                .values(
                    sweep_after=0,
                    sweep_position={},
                    next_sweep=following,
                    sweep_is_full=is_full,
                    full_at=case((is_full, now), else_=Schedule.full_at),
                )
            )
            under_way = select(Schedule.flow).where(*self._mine, Schedule.sweep_after.is_not(None))
            return session.scalar(under_way) is not None

    def take_position(self) -> tuple[dict[str, Any], bool] | None:
        """Hold the sweep by pages that is under way: where its next page begins, and whether it is full.

        None if there is none, or another holds it.
        """
        is_free = or_(Schedule.sweep_held_until.is_(None), Schedule.sweep_held_until < clock.now())
        with self._engine.store.write() as session:
            row = session.execute(
                update(Schedule)
                .where(*self._mine, Schedule.sweep_after.is_not(None), is_free)
                .values(sweep_held_until=self._until())
                .returning(Schedule.sweep_position, Schedule.sweep_is_full)
                .execution_options(synchronize_session=False)
            ).one_or_none()
        return None if row is None else (dict(row[0] or {}), bool(row[1]))

    def move_to(self, position: Mapping[str, Any]) -> None:
        """All pages up to this position were read."""
        self._set(sweep_position=dict(position), sweep_held_until=self._until())

    def move(self, record_id: int) -> None:
        """All records up to this id were read."""
        self._set(sweep_after=record_id, sweep_held_until=self._until())

    def end(self) -> None:
        """All records were read."""
        self._set(sweep_after=None, sweep_position=None)

    def release(self) -> None:
        """Let another worker continue."""
        self._set(sweep_held_until=None)

    def _until(self) -> Any:
        return clock.now() + timedelta(seconds=CURSOR_LEASES * self._engine.limits.lease_s)

    def _set(self, **values: Any) -> None:
        with self._engine.store.write() as session:
            session.execute(
                update(Schedule).where(*self._mine).values(**values).execution_options(synchronize_session=False)
            )
