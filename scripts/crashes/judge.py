"""What must be true in the end: every object in the target once and equal to its source, and every record at rest.

What SYSPRO holds is compared with the shop by the demo's comparison, which knows neither the engine's mapping nor its store;
the store's own account (records, dead letters, unknown writes) is checked here. Awkward orders are judged in `awkward.py`, and
left out here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from scripts.crashes.installation import FLOWS, LAG_S
from scripts.crashes.people import People
from syncengine.demo.comparison import compare
from syncengine.store import Store
from syncengine.store.models import Cursor, Effect, Failure, Record
from syncengine.store.states import EffectState

REASONS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problems` is empty if all is right. `wrong_orders` are ids; `lost` and `duplicates` count orders and customers."""

    problems: list[str]
    wrong_orders: frozenset[str]
    lost: int
    duplicates: int
    orders: int
    customers: int
    records: dict[str, dict[str, int]]


def due(store: Store) -> int:
    """Records that are not dealt with yet."""
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Record).where(Record.wanted > Record.done)) or 0


def all_is_read(store: Store, last_edit: datetime) -> bool:
    """Whether every feed was read after the last edit had become visible in a search."""
    visible = last_edit + timedelta(seconds=LAG_S + 1)
    with store.read() as session:
        read = session.scalars(select(Cursor.read_at).where(Cursor.feed != "")).all()
    return bool(read) and all(at is not None and at >= visible for at in read)


def await_calm(
    store: Store, last_edit: datetime, *, calm_s: float, patience_s: float, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Until the feeds have seen the last edit and nothing is due for `calm_s`; `patience_s` at the most."""
    begun = calm_since = time.monotonic()
    while time.monotonic() - calm_since < calm_s and time.monotonic() - begun < patience_s:
        meanwhile()
        if due(store) or not all_is_read(store, last_edit):
            calm_since = time.monotonic()
        time.sleep(0.2)


def judge(store: Store, url: str, people: People, awkward: Collection[int] = ()) -> Verdict:
    """Compare all that there is, once nothing moves any more; `url` is the sandbox's. `awkward`: ids of orders."""
    keys = [str(key) for key in awkward]
    statuses, letters = _statuses(store, keys), _letters(store)
    report = compare(
        url, people.shop(), letters, statuses,
        edited=people.edited.union(awkward), edited_contacts=people.edited_contacts,
    )  # fmt: skip
    found = [problem for problem in report.problems if problem.subject != "order" or problem.key not in keys]
    wrong = frozenset(problem.key for problem in found if problem.subject == "order")
    return Verdict(
        [*map(str, found), *_unsettled(store, keys)],
        wrong,
        report.lost,
        report.duplicates,
        report.found,
        report.customers,
        statuses,
    )


def judge_stock(store: Store, differences: Sequence[str]) -> Verdict:
    """Judge a round in which goods moved: the levels that are wrong, and the store's own account. No order is compared."""
    statuses = _statuses(store, [])
    return Verdict([*differences, *_unsettled(store, [])], frozenset(), 0, 0, 0, 0, statuses)


def _statuses(store: Store, but_for: Collection[str]) -> dict[str, dict[str, int]]:
    with store.read() as session:
        rows = session.execute(
            select(Record.flow, Record.status, func.count())
            .where(~_is_order(but_for))
            .group_by(Record.flow, Record.status)
        )
        found: dict[str, Counter[str]] = {flow: Counter() for flow in FLOWS}
        for flow, status, count in rows:
            found.setdefault(flow, Counter())[str(status)] += count
    return {flow: dict(counts) for flow, counts in found.items()}


def _letters(store: Store) -> list[dict[str, Any]]:
    with store.read() as session:
        open_ones = session.scalars(select(Failure).where(Failure.closed_at.is_(None)))
        names = ("flow", "key", "field", "value", "cause", "kind")
        return [{name: getattr(one, name) for name in names} for one in open_ones]


def _is_order(keys: Collection[str]) -> ColumnElement[bool]:
    return and_(Record.flow == "orders", Record.key.in_(keys))


def _unsettled(store: Store, but_for: Collection[str]) -> list[str]:
    """Writes that nobody has found out about, and records that rest for a reason that no fault explains."""
    with store.read() as session:
        doubts = session.execute(
            select(Record.flow, Record.key, Effect.verb, Effect.state)
            .join(Record, Record.id == Effect.record_id)
            .where(Effect.state.in_((EffectState.SENT, EffectState.UNKNOWN)), ~_is_order(but_for))
        ).all()
        stuck = session.execute(
            select(Record.flow, Record.key, Record.status, Record.reason)
            .where((Record.wanted > Record.done) | Record.status.in_(("held", "waiting", "open")), ~_is_order(but_for))
            .limit(REASONS_SHOWN)
        ).all()
    return [
        *(f"{flow} {key}: its {verb} is still {state}" for flow, key, verb, state in doubts),
        *(f"{flow} {key} is {status}: {reason}" for flow, key, status, reason in stuck),
    ]
