"""What an observed connection would have written, for people who decide whether it may go live.

Everything comes from the plans that were stored while nothing was written (core/observe_mode.py); no system is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from syncengine.connectors.base import Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.engine.core import observe_mode, payloads
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import alike, common_text
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Step
from syncengine.engine.people import level_report, selection
from syncengine.engine.people.level_report import Jump, LevelTotal, Planned
from syncengine.store.models import ConnectionRow, Record
from syncengine.store.states import Status

AT_ONCE = 200
"""Plans in memory at a time."""

STAYS = (Status.HELD, Status.DEAD, Status.WAITING, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which records of a connection: of one flow or all, with these keys or any, and planned since then (UTC)."""

    connection: ConnectionRow
    flow: str | None = None
    since: datetime | None = None
    keys: tuple[str, ...] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a query over Record."""
        return selection.conditions(
            equal=((Record.connection_id, self.connection.id), (Record.flow, self.flow)),
            among=((Record.key, self.keys),),
            since=(Record.updated_at, self.since),
        )


@dataclass(slots=True, kw_only=True)
class WriteTotal(selection.WriteSum):
    """Writes of one kind that a flow would have made."""

    flow: str
    verb: str


@dataclass(slots=True, kw_only=True)
class UnwrittenTotal(selection.UnwrittenSum):
    """Records of a flow that would not have been written, whose reasons differ in numbers and quoted texts alone."""

    flow: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one connection would have written.

    levels, jumps: of flows that set levels: units and value by place, and the largest rises. stays: what would not have been
    written. equal: number of records on which both sides agree, by flow. unkept: number of
    records whose plan was removed because of its age.
    """

    connection: str
    mode: str
    cut_over: datetime | None
    writes: list[WriteTotal]
    levels: list[LevelTotal]
    jumps: list[Jump]
    stays: list[UnwrittenTotal]
    equal: dict[str, int]
    unkept: int


def report(engine: Engine, chosen: ReportFilter) -> Report:
    """Sum up what would have been written. Raises Transient, Misconfigured."""
    writes: dict[tuple[str, str], WriteTotal] = {}
    kept = 0
    changed = list(planned_levels(engine, chosen))
    for planned in written(engine, chosen):
        kept += 1
        for step in planned.plan.steps:
            kind = (planned.flow, str(step.operation.verb))
            writes.setdefault(kind, WriteTotal(flow=kind[0], verb=kind[1])).add(engine, chosen.connection.id, step)
    with engine.store.read() as session:
        observed = session.scalar(
            select(func.count()).select_from(Record).where(*chosen.conditions(), observe_mode.observed())
        )
        stays = _stays(session, chosen)
        done = select(Record.flow, func.count()).where(*chosen.conditions(), Record.status == Status.DONE)
        equal = {row[0]: row[1] for row in session.execute(done.group_by(Record.flow))}
    levels, jumps = level_report.totals(engine, chosen.connection, changed)
    order = {str(verb): place for place, verb in enumerate(Verb)}
    return Report(
        connection=chosen.connection.name,
        mode=chosen.connection.mode,
        cut_over=chosen.connection.cut_over,
        writes=sorted(writes.values(), key=lambda total: (total.flow, order[total.verb])),
        levels=levels,
        jumps=jumps,
        stays=stays,
        equal=equal,
        unkept=(observed or 0) - kept,
    )


def written(engine: Engine, chosen: ReportFilter) -> Iterator[Planned]:
    """The records that would have been written, with their plans; the oldest record first. Raises Transient."""
    return _planned(engine, chosen, observe_mode.observed())


def planned_levels(engine: Engine, chosen: ReportFilter) -> Iterator[Planned]:
    """The records of flows that set levels whose plans write or are held, with their plans. Raises Transient."""
    flows = [name for name in chosen.connection.flows if name in engine.flows and engine.flows[name].levels]
    where = and_(Record.flow.in_(flows), or_(observe_mode.observed(), Record.status == Status.HELD))
    return (each for each in _planned(engine, chosen, where) if each.plan.steps)


def _planned(engine: Engine, chosen: ReportFilter, where: ColumnElement[bool]) -> Iterator[Planned]:
    last = 0
    while True:
        with engine.store.read() as session:
            query = select(Record).where(*chosen.conditions(), where, Record.id > last)
            found = session.scalars(query.order_by(Record.id).limit(AT_ONCE)).all()
            made = payloads.load(session, engine.vault, "plan", [record.id for record in found])
        if not found:
            return
        for record in found:
            if record.id in made:
                plan = plan_codec.from_doc(made[record.id])
                yield Planned(record.id, record.flow, record.key, record.updated_at, plan, made[record.id]["hash"])
        last = found[-1].id


def _stays(session: Session, chosen: ReportFilter) -> list[UnwrittenTotal]:
    """The records that would not have been written, by reason, the largest group of each status first."""
    query = (
        select(Record.flow, Record.status, Record.reason, func.count(), func.min(Record.key))
        .where(*chosen.conditions(), Record.status.in_(STAYS), ~observe_mode.observed())
        .group_by(Record.flow, Record.status, Record.reason)
        .order_by(func.min(Record.key))
    )
    found: dict[tuple[str, str, str], UnwrittenTotal] = {}
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for flow, status, reason, count, key in session.execute(query):
        group = (flow, status, alike(reason))
        reasons.setdefault(group, []).append(reason)
        found.setdefault(group, UnwrittenTotal(flow=flow, status=status, reason=reason)).add(key, count)
    for group, total in found.items():
        total.reason = common_text(reasons[group])
    place = {status: number for number, status in enumerate(STAYS)}
    return sorted(found.values(), key=lambda total: (total.flow, place[Status(total.status)], -total.count))


# -- field by field ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a write. path: for example `StockLine[8101].Price`. before, after: its value, None for nothing."""

    path: str
    before: Any
    after: Any


def fields(step: Step) -> list[Field]:
    """A write field by field: all fields of a create, the changed ones of a change, none of a cancellation."""
    operation = step.operation
    if operation.verb is Verb.CREATE:
        return list(_of_doc(operation.doc))
    found = [Field(name, change.old, change.new) for name, change in operation.changes.items()]
    for line in operation.lines:
        place = f"{line.field}[{line.number or line.key}]"
        if line.action == "change":
            found += [Field(f"{place}.{name}", change.old, change.new) for name, change in line.changes.items()]
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
                yield from (Field(f"{place}.{part}".rstrip("."), None, new) for part, new in pairs)
        elif not name.startswith("@") and value not in (None, ""):
            yield Field(name, None, value)


def _values(line: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return [(name, value) for name, value in line.items() if not name.startswith("@") and value not in (None, "")]
