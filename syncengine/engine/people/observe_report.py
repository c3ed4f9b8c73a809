"""What an observed connection would have written, for those who decide whether it may go live.

Everything stands in the plans that were stored while nothing was written (`observe.py`); no system is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from syncengine.connectors.base import Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.core import observe_mode, payloads
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import alike
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Plan, Step
from syncengine.store.models import ConnectionRow, Record
from syncengine.store.states import Status

AT_ONCE = 200
"""Plans that are held in memory at a time."""

MOST_KEYS = 3
STAYS = (Status.HELD, Status.DEAD, Status.WAITING, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which records of a connection: of one flow or all, by keys, and looked at since then (UTC)."""

    connection: ConnectionRow
    flow: str | None = None
    since: datetime | None = None
    keys: tuple[str, ...] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query over Record."""
        found: list[ColumnElement[bool]] = [Record.connection_id == self.connection.id]
        if self.flow:
            found.append(Record.flow == self.flow)
        if self.since:
            found.append(Record.updated_at >= self.since)
        if self.keys:
            found.append(Record.key.in_(self.keys))
        return found


@dataclass(slots=True)
class WriteTotal:
    """Writes of one kind that a flow would make: of how many objects, and what these are worth (net) after it, by currency."""

    flow: str
    verb: str
    count: int = 0
    worth: dict[str, Decimal] = field(default_factory=dict)


@dataclass(slots=True)
class UnwrittenTotal:
    """Records that would not be written, for one reason (texts that differ in numbers and quotes alone are one)."""

    flow: str
    status: str
    reason: str
    count: int
    keys: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What one connection would have written.

    equal: records by flow that both sides agree on. unkept: records whose plan has been removed since, by age.
    """

    connection: str
    mode: str
    cut_over: datetime | None
    writes: list[WriteTotal]
    stays: list[UnwrittenTotal]
    equal: dict[str, int]
    unkept: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A record with the plan that would have been carried out."""

    flow: str
    key: str
    looked_at: datetime
    plan: Plan


def report(engine: Engine, chosen: ReportFilter) -> Report:
    """Sum up. Raises Transient, Misconfigured."""
    writes: dict[tuple[str, str], WriteTotal] = {}
    kept = 0
    for planned in written(engine, chosen):
        kept += 1
        for step in planned.plan.steps:
            _add(engine, chosen.connection, planned.flow, step, writes)
    with engine.store.read() as session:
        observed = session.scalar(
            select(func.count()).select_from(Record).where(*chosen.conditions(), observe_mode.observed())
        )
        stays = _stays(session, chosen)
        done = select(Record.flow, func.count()).where(*chosen.conditions(), Record.status == Status.DONE)
        equal = {row[0]: row[1] for row in session.execute(done.group_by(Record.flow))}
    order = {str(verb): place for place, verb in enumerate(Verb)}
    return Report(
        connection=chosen.connection.name,
        mode=chosen.connection.mode,
        cut_over=chosen.connection.cut_over,
        writes=sorted(writes.values(), key=lambda one: (one.flow, order[one.verb])),
        stays=stays,
        equal=equal,
        unkept=(observed or 0) - kept,
    )


def written(engine: Engine, chosen: ReportFilter) -> Iterator[Planned]:
    """The records that would have been written, with their plans, some at a time; oldest record first."""
    last = 0
    while True:
        with engine.store.read() as session:
            query = select(Record).where(*chosen.conditions(), observe_mode.observed(), Record.id > last)
            found = session.scalars(query.order_by(Record.id).limit(AT_ONCE)).all()
            made = payloads.load(session, engine.vault, "plan", [record.id for record in found])
        if not found:
            return
        for record in found:
            if record.id in made:
                yield Planned(record.flow, record.key, record.updated_at, plan_codec.from_doc(made[record.id]))
        last = found[-1].id


def _add(
    engine: Engine, connection: ConnectionRow, flow: str, step: Step, writes: dict[tuple[str, str], WriteTotal]
) -> None:
    verb = str(step.operation.verb)
    one = writes.setdefault((flow, verb), WriteTotal(flow, verb))
    one.count += 1
    worth = engine.connection(connection.id).resource(step.resource).worth(step.operation.doc)
    if worth is not None:
        currency, value = worth
        one.worth[currency] = one.worth.get(currency, Decimal(0)) + value


def _stays(session: Session, chosen: ReportFilter) -> list[UnwrittenTotal]:
    """The records that stay as they are, by reason, the largest group of each status first."""
    query = (
        select(Record.flow, Record.status, Record.reason, func.count(), func.min(Record.key))
        .where(*chosen.conditions(), Record.status.in_(STAYS), ~observe_mode.observed())
        .group_by(Record.flow, Record.status, Record.reason)
        .order_by(func.min(Record.key))
    )
    found: dict[tuple[str, str, str], UnwrittenTotal] = {}
    for flow, status, reason, count, key in session.execute(query):
        one = found.setdefault((flow, status, alike(reason)), UnwrittenTotal(flow, status, reason, 0, []))
        one.count += count
        if len(one.keys) < MOST_KEYS:
            one.keys.append(key)
    place = {status: number for number, status in enumerate(STAYS)}
    return sorted(found.values(), key=lambda one: (one.flow, place[Status(one.status)], -one.count))


# -- field by field ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one write: `path` as `StockLine[8101].Price`, the value before and after (None: nothing)."""

    path: str
    before: Any
    after: Any


def fields(step: Step) -> list[Field]:
    """A write field by field: of a create all that it sets, of a change what it changes, of a cancellation nothing."""
    operation = step.operation
    if operation.verb is Verb.CREATE:
        return list(_of_doc(operation.doc))
    found = [Field(name, change.old, change.new) for name, change in operation.changes.items()]
    for line in operation.lines:
        place = f"{line.field}[{line.number or line.key}]"
        if line.action == "change":
            found += [Field(f"{place}.{name}", one.old, one.new) for name, one in line.changes.items()]
        else:
            adds = line.action == "add"
            found += [
                Field(f"{place}.{name}", None if adds else value, value if adds else None)
                for name, value in _values(line.line)
            ]
    return found


def _of_doc(doc: Doc) -> Iterator[Field]:
    for name, value in doc.items():
        if isinstance(value, list):
            for line in value:
                place = f"{name}[{line.get(LINE_KEY, '')}]" if isinstance(line, dict) else name
                pairs = _values(line) if isinstance(line, dict) else [("", line)]
                yield from (Field(f"{place}.{part}".rstrip("."), None, one) for part, one in pairs)
        elif not name.startswith("@") and value not in (None, ""):
            yield Field(name, None, value)


def _values(line: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return [(name, value) for name, value in line.items() if not name.startswith("@") and value not in (None, "")]
