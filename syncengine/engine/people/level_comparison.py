"""What both systems show of levels, what the flow that sets them makes of it, and why. It reads live and stores nothing.

Everything comes from the functions that plan: the documents of a dry run, the mapping's named values, the tallies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Moved
from syncengine.document import Doc
from syncengine.engine.core import feeds, movements, readings
from syncengine.engine.core.engine import Engine, Route, calling, chunks
from syncengine.engine.decide import level_plan, tallies
from syncengine.engine.decide.level_plan import Level
from syncengine.engine.decide.plan import Plan
from syncengine.engine.decide.situation import Situation
from syncengine.engine.decide.tallies import Range, Window
from syncengine.engine.people import preview, trace
from syncengine.engine.steps.planner import Material, Planner
from syncengine.engine.writes import link_keys
from syncengine.errors import Rejected
from syncengine.store.models import Link, Movement, Record


@dataclass(frozen=True, slots=True)
class ComparedMovement:
    """A movement of an item, and the least and the most that it adds to what is in transit.

    A correction adds nothing. is_ours: this engine made it. at: UTC, by the target's clock.
    """

    note: str
    kind: str
    at: datetime
    quantity: Decimal
    is_correction: bool
    is_ours: bool
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPlace:
    """The level of an item at one place of the target.

    current: what the target shows; figures: all that it shows there. low, high: the range in which the level is right.
    values: the mapping's named values of the line. in_transit: the tallies. movements: those behind them, and corrections.
    held_for: why a person must decide before the level rises, empty if nobody need.
    """

    place: str
    current: Decimal
    figures: Mapping[str, Any]
    low: Decimal
    high: Decimal
    target: Decimal
    values: Mapping[str, Any]
    in_transit: Range
    movements: Sequence[ComparedMovement]
    held_for: str

    @property
    def difference(self) -> Decimal:
        """By how much the target shows too much (or too little, below 0); 0 within the range."""
        return self.current - self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedItem:
    """One object of the source, with its levels in the target.

    name: its natural key in the target; target_key: of the object there, empty if there is none. outcome: its plan as of now,
    or why it cannot be planned. state: of its record, in words; empty if it has none. source, target: the documents as read,
    None if the system has none. source_read, target_read: bounds of the moments of reading (UTC). moved_until: up to when
    all movements of the target are known. values: the mapping's named values of the document.
    """

    connection: str
    flow: str
    key: str
    name: str
    target_key: str
    outcome: Plan | Rejected
    state: str
    source: Doc | None
    target: Doc | None
    source_read: Window | None
    target_read: Window | None
    moved_until: datetime | None
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Sequence[ComparedPlace] = ()

    @property
    def differs(self) -> bool:
        """Whether a level is outside its range, or the item cannot be compared at all."""
        return not self.places or any(place.difference for place in self.places)


def routes(engine: Engine, connection: str | None = None) -> list[Route]:
    """The flows that set levels, by connection. Raises Misconfigured if there is no such connection."""
    return [
        engine.route(row.id, name)
        for row in engine.connections(None, connection)
        for name in row.flows
        if name in engine.flows and engine.flows[name].levels
    ]


def compare(route: Route, names: Sequence[str] = ()) -> Iterator[ComparedItem]:
    """The items with these names (natural keys of the target, or keys of the source); all of the source if none is given.

    Reads both systems as it goes. Raises what their calls raise.
    """
    for docs, keys in _batches(route, names):
        for some in chunks(keys, route.flow.batch):
            yield from _compared(route, some, docs)


def _batches(route: Route, names: Sequence[str]) -> Iterator[tuple[Mapping[str, Doc], list[str]]]:
    """Keys of the source, with the documents that listing them has read."""
    if names:
        yield {}, _keys(route, names)
        return
    if not route.source.has_pages:
        with route.engine.store.read() as session:
            mine = (Record.connection_id == route.connection_id, Record.flow == route.flow.name)
            yield {}, list(session.scalars(select(Record.key).where(*mine).order_by(Record.key)))
        return
    pages = route.source.pages({})
    while True:
        with calling(route.connection.endpoint(route.source.name)):
            page = next(pages, None)
        if page is None:
            return
        read = {key: readings.marked(doc, page.source_time, clock.now(), 0) for key, doc in page.docs.items()}
        yield read, [ref.key for ref in page.refs]


def _keys(route: Route, names: Sequence[str]) -> list[str]:
    """Keys of the source: of linked objects with such a natural key, else the names themselves."""
    with route.engine.store.read() as session:
        mine = (Link.connection_id == route.connection_id, Link.entity == route.flow.entity)
        found = {
            link.natural_key: link.left_key if route.source_side == "left" else str(link.right_key)
            for link in session.scalars(select(Link).where(*mine, Link.natural_key.in_(names)))
        }
    return list(dict.fromkeys(found.get(name, name) for name in names))


def _compared(route: Route, keys: Sequence[str], docs: Mapping[str, Doc]) -> Iterator[ComparedItem]:
    records, read = preview.material(route, [(key, ()) for key in keys], docs)
    items = {record.id: _target_key(route, record, read) for record in records}
    rows, until = _movements(route, [item for item in items.values() if item])
    counted = {item: [movements.entry(route, row) for row in some if not row.correction] for item, some in rows.items()}
    read = replace(read, tallied=counted, moved_until=until)
    planner = Planner(route, read)
    with route.engine.store.read() as session:
        plans = planner.plans(session, records)
        for record in records:
            found = _Item(route, planner, record, items[record.id], plans[record.id], rows.get(items[record.id], []))
            yield found.compared(session)


def _target_key(route: Route, record: Record, read: Material) -> str:
    link = next(iter(read.linked[record.id]), None)
    return (link_keys.target_key(route, link) or "") if link is not None else ""


def _movements(route: Route, items: Sequence[str]) -> tuple[dict[str, list[Movement]], datetime | None]:
    """The movements of items of the target, those that no poll has read yet included, and up to when all are known."""
    with route.engine.store.read() as session:
        known = feeds.known_until(session, route)
        read_to = feeds.positions(session, route)
        stored = list(movements.of_items(session, route.connection_id, route.target_side, items))
    news: list[Moved] = []
    for feed in route.flow.backward_feeds if known is not None else ():
        position = read_to[feeds.cursor_name(route, route.target.name, feed)]
        with calling(route.connection.endpoint(route.target.name)):
            for page in route.target.changes(feed, position):
                news += [moved for moved in page.movements if moved.item in items]
    refs = {row.ref for row in stored}
    with route.engine.store.read() as session:
        fresh = movements.unsaved(session, route, route.target_side, news, clock.now())
    found: dict[str, list[Movement]] = {}
    for row in [*stored, *(row for row in fresh if row.ref not in refs)]:
        found.setdefault(row.item, []).append(row)
    return found, known


@dataclass(frozen=True, slots=True)
class _Item:
    """One record, with all that its comparison is made from."""

    route: Route
    planner: Planner
    record: Record
    item: str
    outcome: Plan | Rejected
    rows: Sequence[Movement]

    def compared(self, session: Session) -> ComparedItem:
        route, record = self.route, self.record
        docs = self.planner.material.docs.get(record.id, {})
        source = docs.get(route.source.name, {}).get(record.key)
        target = docs.get(route.target.name, {}).get(self.item)
        read = [
            readings.between(resource, doc) if doc is not None else None
            for resource, doc in ((route.source, source), (route.target, target))
        ]
        link = next(iter(self.planner.material.linked[record.id]), None)
        found = ComparedItem(
            connection=route.connection.row.name, flow=route.flow.name, key=record.key,
            name=link.natural_key if link is not None else "", target_key=self.item, outcome=self.outcome,
            state=trace.state_of(session, record) if record.id > 0 else "", source=source, target=target,
            source_read=read[0], target_read=read[1], moved_until=self.planner.material.moved_until,
        )  # fmt: skip
        if isinstance(self.outcome, Rejected):
            return found
        situation = self.planner.situation(session, record)
        name = found.name or (situation.levels.key if situation.levels else "")
        values = self._values(situation)
        return replace(found, name=name, values=values.get("", {}), places=self._places(situation, values, read))

    def _values(self, situation: Situation) -> Mapping[str, Mapping[str, Any]]:
        doc = situation.source_doc
        return self.route.flow.mapping.named_values(doc, situation.context) if doc is not None else {}

    def _places(
        self, situation: Situation, values: Mapping[str, Mapping[str, Any]], read: Sequence[Window | None]
    ) -> list[ComparedPlace]:
        levels, link = self.route.flow.levels, situation.link
        assert levels is not None  # noqa: S101 - `routes` gives no other flow
        found = level_plan.levels_of(situation, levels)
        if link is None or link.current is None:
            return []
        identity = self.route.target.line_fields[levels.lines][0]
        there = {str(line[identity]): line for line in link.current.get(levels.lines) or ()}
        held = level_plan.reasons_to_hold(situation, levels, link, [level for level in found if level.rises])
        transit = situation.levels.tallied if situation.levels else {}
        return [
            ComparedPlace(
                place=level.key, current=level.current, figures=_figures(there.get(level.key, {})), low=level.low,
                high=level.high, target=level.target, values=values.get(level.key, {}),
                in_transit=transit.get(level.key, Range()), movements=self._moved(level, read),
                held_for=held.get(level.key, ""),
            )
            for level in found
        ]  # fmt: skip

    def _moved(self, level: Level, read: Sequence[Window | None]) -> list[ComparedMovement]:
        source, target = read
        found = []
        for row in self.rows:
            if row.place != level.key or source is None or target is None:
                continue
            own = Range() if row.correction else tallies.term(movements.entry(self.route, row), source, target)
            found.append(
                ComparedMovement(
                    row.note,
                    row.kind,
                    row.at,
                    Decimal(row.quantity),
                    row.correction,
                    bool(row.is_ours),
                    own.low,
                    own.high,
                )
            )
        return found


def _figures(line: Mapping[str, Any]) -> dict[str, Any]:
    """What the target shows at a place, without its parts."""
    return {name: value for name, value in line.items() if isinstance(value, int | Decimal) and name[0] != "@"}
