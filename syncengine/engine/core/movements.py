"""Movements: stored as feeds tell of them, and as flows post them; read as tallies. Rows are of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from syncengine.connectors.base import Moved
from syncengine.engine.core.engine import Route, chunks
from syncengine.engine.decide.tallies import Entry, Marks
from syncengine.store.dialect import changed, upsert
from syncengine.store.models import Movement

AT_ONCE = 500
RESOLUTION = timedelta(seconds=1)
"""Of the times of movements: within it a figure that was read may or may not have the movement."""

KEPT_DAYS = 7
"""How long a movement that both systems surely have is kept, for people."""

Item = tuple[str, str]
"""A side, and the key of a level on it."""


def note(session: Session, route: Route, side: str, moved: Sequence[Moved], now: datetime) -> set[str]:
    """Store movements that a feed of one side tells of; returns the items that others than we have moved, as far as it is new.

    A movement that no flow brings to the other side is posted there by somebody else, at most `within` minutes earlier or later
    (the flow's setting).
    """
    ours = _ours(session, route.connection_id, side, [each.note for each in moved])
    within, known = posted_within(route), _known(session, route.connection_id, side, [each.ref for each in moved])
    rows = [_row(route.connection_id, side, each, within, now) for each in moved if each.note not in ours]
    for some in chunks(rows, AT_ONCE):
        upsert(
            session, Movement, list(some), keys=("connection_id", "side", "ref"),
            update=("item", "place", "quantity", "correction", "at"),
        )  # fmt: skip
    return {each.item for each in moved if each.note not in ours and known.get(each.ref) != each.at}


def _known(session: Session, connection_id: int, side: str, refs: Sequence[str]) -> dict[str, datetime]:
    """When movements that are stored have happened, by ref: feeds read the last minutes again."""
    found: dict[str, datetime] = {}
    for some in chunks(refs, AT_ONCE):
        mine = select(Movement.ref, Movement.at).where(Movement.connection_id == connection_id, Movement.side == side)
        found |= dict(session.execute(mine.where(Movement.ref.in_(some))).tuples().all())
    return found


def posted_within(route: Route) -> timedelta:
    """How far apart the two systems may have a movement that no flow brings to the other one."""
    return timedelta(minutes=float(route.settings[route.flow.levels.within])) if route.flow.levels else timedelta()


def _row(connection_id: int, side: str, moved: Moved, within: timedelta, now: datetime) -> dict[str, object]:
    other = "right" if side == "left" else "left"
    return {
        "connection_id": connection_id,
        "side": side,
        "ref": moved.ref,
        "note": moved.note,
        "kind": moved.kind,
        "item": moved.item,
        "place": moved.place,
        "quantity": format(moved.quantity, "f"),
        "correction": moved.correction,
        "is_ours": False,
        "at": moved.at,
        f"{side}_after": moved.at - RESOLUTION,
        f"{side}_by": moved.at + RESOLUTION,
        f"{other}_after": moved.at - within,
        f"{other}_by": moved.at + within,
        "noted_at": now,
    }


def note_ours(session: Session, connection_id: int, side: str, made: Sequence[Moved], now: datetime) -> None:
    """Store corrections that we have made, so that the feed that reports them wants nothing."""
    if not made:
        return
    rows = [
        {
            "connection_id": connection_id, "side": side, "ref": each.ref, "note": each.note, "kind": each.kind,
            "item": each.item, "place": each.place, "quantity": format(each.quantity, "f"), "correction": True, "is_ours": True,
            "at": each.at, "noted_at": now,
        }
        for each in made
    ]  # fmt: skip
    upsert(session, Movement, rows, keys=("connection_id", "side", "ref"), update=("noted_at",))
    notes = [each.note for each in made]
    for some in chunks(notes, AT_ONCE):
        fed = update(Movement).where(
            Movement.connection_id == connection_id,
            Movement.side == side,
            Movement.note.in_(some),
            Movement.is_ours.is_(False),
        )
        changed(session, fed.values(is_ours=True).execution_options(synchronize_session=False))


def _ours(session: Session, connection_id: int, side: str, notes: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(list(dict.fromkeys(notes)), AT_ONCE):
        mine = select(Movement.note).where(
            Movement.connection_id == connection_id, Movement.side == side, Movement.is_ours.is_(True)
        )
        found |= set(session.scalars(mine.where(Movement.note.in_(some))))
    return found


def tallied(session: Session, route: Route, side: str, items: Sequence[str]) -> dict[str, list[Entry]]:
    """The movements of items of one side that count for the flow's target, by item. Corrections do not."""
    found: dict[str, list[Entry]] = {}
    for row in of_items(session, route.connection_id, side, items):
        if not row.correction:
            found.setdefault(row.item, []).append(entry(route, row))
    return found


def entry(route: Route, row: Movement) -> Entry:
    """A movement as the flow's tallies count it."""
    left, right = Marks(row.left_after, row.left_by), Marks(row.right_after, row.right_by)
    in_source, in_target = (left, right) if route.target_side == "right" else (right, left)
    return Entry(row.place, Decimal(row.quantity), in_source, in_target)


def unsaved(session: Session, route: Route, side: str, moved: Sequence[Moved], now: datetime) -> list[Movement]:
    """The rows that `note` would store, for people who compare without storing anything."""
    ours = _ours(session, route.connection_id, side, [each.note for each in moved])
    within = posted_within(route)
    return [Movement(**_row(route.connection_id, side, each, within, now)) for each in moved if each.note not in ours]


def corrected(session: Session, route: Route, side: str, since: Mapping[str, datetime]) -> dict[str, set[str]]:
    """The places at which others have corrected items since a time (both by item and that side's clock)."""
    found: dict[str, set[str]] = {}
    for row in of_items(session, route.connection_id, side, list(since)):
        if row.correction and not row.is_ours and row.at + RESOLUTION >= since[row.item]:
            found.setdefault(row.item, set()).add(row.place)
    return found


def of_items(session: Session, connection_id: int, side: str, items: Sequence[str]) -> Iterable[Movement]:
    """The stored movements of items of one side, in the order in which they were noted."""
    for some in chunks(items, AT_ONCE):
        mine = (Movement.connection_id == connection_id, Movement.side == side, Movement.item.in_(some))
        yield from session.scalars(select(Movement).where(*mine).order_by(Movement.id))


def over(before: datetime) -> list[ColumnElement[bool]]:
    """The conditions of a movement that both systems have surely had since before a time, or of a correction of that age."""
    both = and_(Movement.left_by < before, Movement.right_by < before)
    return [Movement.at < before, or_(Movement.correction.is_(True), both)]
